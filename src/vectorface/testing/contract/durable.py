"""What outlives a store object, and what others see of it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from vectorface.errors import IndexMismatchError, IndexNotFoundError, NotConnectedError
from vectorface.testing.contract.base import Contract, contents, contents_of, document, story
from vectorface.testing.embeddings import WordEmbeddings

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface


class DurableContract(Contract):
    """For stores whose documents are there when the store is opened again."""

    def test_documents_are_there_after_closing(self, library: VectorDBInterface) -> None:
        """Whole, and found by searching."""
        library.close()
        again = self.open(create=False)
        assert contents(again) == contents_of(story())
        assert again.query("Nan lit the lamp at dusk.", k=1)[0].id == "dusk"

    def test_two_stores_see_each_others_writes(self, library: VectorDBInterface) -> None:
        """At once, in reads and searches; deletes as well."""
        other = self.open()
        assert contents(other) == contents_of(story())
        other.add([document("new", "lamp quill")])
        library.delete_by_filter(ids=["dusk"])
        for store in (library, other):
            assert store.query("lamp quill", k=1)[0].id == "new"
            assert store.get(["dusk"]) == []
            assert store.count() == len(story())

    def test_indexes_keep_their_documents_apart(self, library: VectorDBInterface) -> None:
        """The same ids in two indexes are two documents."""
        other = self.open("other")
        other.add([document("dusk", "another lamp")])
        assert contents(other) == contents_of([document("dusk", "another lamp")])
        assert contents(library) == contents_of(story())
        assert {self.name(), self.name("other")} <= set(library.list_indexes())
        other.delete_by_filter(ids=["dusk"])
        assert library.get(["dusk"])

    @pytest.mark.usefixtures("library")
    def test_an_existing_index_is_taken_as_it_is(self) -> None:
        """Whether it may be made or not."""
        for create in (True, False):
            assert self.open(create=create).count() == len(story())

    def test_a_deleted_index_is_gone_for_others_too(self, library: VectorDBInterface) -> None:
        """They say so, until they connect again."""
        other = self.open()
        library.delete_index(self.name())
        with pytest.raises(IndexNotFoundError):
            other.count()
        self.connect(other, self.name())
        assert other.count() == 0

    def test_an_index_made_anew_is_seen_by_connect(self, library: VectorDBInterface) -> None:
        """Another store deleted and made it meanwhile."""
        other = self.open()
        library.delete_index(self.name())
        library.create_index(self.name())
        self.connect(other, self.name())
        other.add([document("new")])
        assert list(contents(other)) == ["new"]

    def test_closing_one_store_leaves_others_open(self, library: VectorDBInterface) -> None:
        """Each has a connection of its own."""
        other = self.open()
        other.close()
        with pytest.raises(NotConnectedError):
            other.count()
        assert library.query("lamp")

    def test_a_store_can_be_pickled(self, library: VectorDBInterface) -> None:
        """It is sent as a recipe, and its copy connects on its own."""
        copy = pickle.loads(pickle.dumps(library))  # noqa: S301 - our own bytes
        try:
            library.close()
            assert contents(copy) == contents_of(story())
            assert copy.query("Nan lit the lamp at dusk.", k=1)[0].id == "dusk"
        finally:
            copy.close()


class FingerprintContract(Contract):
    """For stores that are dense and durable: an index made otherwise is refused."""

    def test_another_embedding_is_refused(self, library: VectorDBInterface) -> None:
        """The message shows both sides; nothing is changed."""
        self._refused(
            r"embedding: index 'words', here 'other words'", embeddings=WordEmbeddings("other words")
        )
        assert contents(library) == contents_of(story())

    def test_another_metric_is_refused(self, library: VectorDBInterface) -> None:
        """Unless none is asked for: then the index's own counts."""
        self._refused("metric: index 'cosine', here 'l2'", metric="l2")
        library.create_index(self.name("l2"), metric="l2")
        assert self.open("l2").metric == "l2"

    def test_without_an_embedding_any_index_opens(self, library: VectorDBInterface) -> None:
        """Who brings the vectors knows where they are from; their length is still checked."""
        other = self.open(embeddings=None)
        assert other.dimension == library.dimension
        assert (
            other.query(vector=WordEmbeddings().embed_query("Nan lit the lamp at dusk."), k=1)[0].id == "dusk"
        )

    def test_a_new_index_remembers_what_it_was_made_with(self, store: VectorDBInterface) -> None:
        """Also one made by ``create_index``."""
        store.create_index(self.name("two"))
        for name in (self.name(), self.name("two")):
            fingerprint = store.get_index(name).fingerprint or {}
            assert (fingerprint["embedding"], fingerprint["metric"]) == ("words", "cosine")
        self._refused("other words", suffix="two", embeddings=WordEmbeddings("other words"))

    def _refused(self, says: str, *, suffix: str = "", **options: Any) -> None:
        with pytest.raises(IndexMismatchError, match=f"{says}.*Open it with what it was made with"):
            self.open(suffix, **options)
