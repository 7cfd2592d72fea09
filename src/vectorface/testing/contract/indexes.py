"""Index management, which is real everywhere."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from vectorface.errors import IndexExistsError, IndexNotFoundError, InvalidIndexNameError
from vectorface.testing.contract.base import Contract, assert_refused, contents, contents_of, document, story

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface

WRONG_NAMES = ("", "ab", "Stories", "my stories", "-stories", "stories.", "stories/old", "a" * 256, "straße")


class IndexContract(Contract):
    """Indexes are made, described, listed and deleted by name."""

    def test_create_index_makes_one(self, store: VectorDBInterface) -> None:
        """It is empty, listed, and described as it was asked for."""
        made = store.create_index(self.name("two"))
        assert (made.name, made.count) == (self.name("two"), 0)
        assert store.get_index(self.name("two")) == made
        assert self.name("two") in store.list_indexes()

    def test_create_index_does_not_switch(self, library: VectorDBInterface) -> None:
        """The store goes on with the index it is connected to."""
        library.create_index(self.name("two"))
        assert library.index == self.name()
        assert library.count() == len(story())

    def test_create_index_refuses_a_name_that_is_taken(self, library: VectorDBInterface) -> None:
        """What is there stays as it is."""
        with pytest.raises(IndexExistsError, match=self.name()):
            library.create_index(self.name())
        assert library.count() == len(story())

    def test_create_index_refuses_names_that_are_not_valid_everywhere(self, store: VectorDBInterface) -> None:
        """A name that only some stores take is refused by all."""
        calls = {name: partial(store.create_index, name) for name in WRONG_NAMES}
        assert_refused(calls, InvalidIndexNameError, "3 to 255 lower-case letters")
        assert not set(WRONG_NAMES) & set(store.list_indexes())

    def test_create_index_takes_long_names_with_all_signs(self, store: VectorDBInterface) -> None:
        """255 characters of letters, digits, dots, underscores and hyphens are fine."""
        name = self.name("a.b_c-0-").ljust(255, "z")
        store.create_index(name)
        assert name in store.list_indexes()

    def test_get_index_counts(self, library: VectorDBInterface) -> None:
        """The description knows how many documents there are."""
        assert library.get_index(self.name()).count == len(story())

    def test_get_index_of_none_says_which_there_are(self, store: VectorDBInterface) -> None:
        """A name that does not exist is named, beside those that do."""
        with pytest.raises(IndexNotFoundError, match=rf"{self.name('none')}.*{self.name()}"):
            store.get_index(self.name("none"))

    def test_delete_index_deletes(self, store: VectorDBInterface) -> None:
        """The index is not listed any more."""
        store.create_index(self.name("two"))
        store.delete_index(self.name("two"))
        assert self.name("two") not in store.list_indexes()

    def test_delete_index_of_none_raises(self, store: VectorDBInterface) -> None:
        """A typing error does not pass for success."""
        with pytest.raises(IndexNotFoundError, match=self.name("none")):
            store.delete_index(self.name("none"))

    def test_delete_index_takes_the_documents_along(self, library: VectorDBInterface) -> None:
        """An index of the same name starts empty."""
        library.delete_index(self.name())
        library.create_index(self.name())
        assert library.get_index(self.name()).count == 0

    def test_a_deleted_index_leaves_nothing_behind(self, library: VectorDBInterface) -> None:
        """Documents that are written later get nothing of it, under any name."""
        later = [document(str(one.id), str(one.page_content)) for one in story()]
        for suffix in ("", "other"):
            library.delete_index(library.index)
            self.connect(library, self.name(suffix))
            library.add(later)
            assert contents(library) == contents_of(later)
            assert library.count({"tags": {"$exists": True}}) == library.count({"tags": "sea"}) == 0

    def test_without_its_index_a_store_says_so(self, library: VectorDBInterface) -> None:
        """Reading and writing raise, instead of making an index by the way."""
        library.delete_index(self.name())
        with pytest.raises(IndexNotFoundError):
            library.count()
        with pytest.raises(IndexNotFoundError):
            library.query("lamp")
        with pytest.raises(IndexNotFoundError):
            library.get(["dusk"])
        assert self.name() not in library.list_indexes()

    def test_connect_makes_a_deleted_index_anew(self, library: VectorDBInterface) -> None:
        """The same ``connect`` again leads to an empty index."""
        library.delete_index(self.name())
        self.connect(library, self.name())
        assert library.count() == 0
        library.add([document("new")])
        assert library.query("lamp")[0].id == "new"

    def test_list_indexes_is_sorted(self, store: VectorDBInterface) -> None:
        """Names come in order."""
        for suffix in ("zebra", "ant", "cat"):
            store.create_index(self.name(suffix))
        ours = [name for name in store.list_indexes() if name.startswith(self.name())]
        assert ours == sorted([self.name(), self.name("zebra"), self.name("ant"), self.name("cat")])
