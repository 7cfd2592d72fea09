"""Adding, replacing, ids, and duplicates."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from langchain_core.documents import Document

from vectorface.documents import document_id
from vectorface.errors import DeleteGuardError, DuplicateDocumentError
from vectorface.testing import strategies
from vectorface.testing.contract.base import Contract, contents, contents_of, document, ids_of, story
from vectorface.testing.examples import for_each

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface


class WriteContract(Contract):
    """What is written is there, whole; what is refused has left no trace."""

    # -- add ----------------------------------------------------------------------------------------------

    def test_add_writes(self, store: VectorDBInterface) -> None:
        """Documents are there as they were given, and the report counts them."""
        report = store.add(story())
        assert contents(store) == contents_of(story())
        assert (report.written, report.total, report.failed, report.ok) == (6, 6, 0, True)

    def test_add_reports_one_id_for_each_document(self, store: VectorDBInterface) -> None:
        """Ids come in the order of the input, repetitions included."""
        given = [*story(), story()[0]]
        assert store.add(given).ids == tuple(one.id for one in given)

    def test_add_of_nothing_is_fine(self, store: VectorDBInterface) -> None:
        """An empty list writes nothing and raises nothing."""
        assert store.add([]).total == 0
        assert store.count() == 0

    def test_add_takes_any_iterable(self, store: VectorDBInterface) -> None:
        """A generator is read once."""
        store.add(one for one in story())
        assert store.count() == len(story())

    def test_add_refuses_ids_that_exist(self, library: VectorDBInterface) -> None:
        """The error names them, says what to do, and nothing is written."""
        before = contents(library)
        with pytest.raises(DuplicateDocumentError, match=r"1 of 2 ids.*upsert\(\)") as caught:
            library.add([document("new"), document("fog")])
        assert caught.value.ids == ("fog",)
        assert contents(library) == before

    def test_add_leaves_the_input_alone(self, store: VectorDBInterface) -> None:
        """Neither documents nor their metadata change, and none gets an id."""
        given = [*story(), Document(page_content="a lamp without an id", metadata={"deep": {"list": [1]}})]
        before = copy.deepcopy(given)
        store.add(given)
        assert given == before

    def test_what_is_stored_is_a_copy(self, store: VectorDBInterface) -> None:
        """Changing the document later, or one that was read, changes nothing in the store."""
        given = document("a", tags=["sea"], deep={"x": [1]})
        store.add([given])
        given.metadata["tags"].append("fog")
        read = store.get(["a"])[0]
        read.metadata["deep"]["x"].append(2)
        read.metadata["new"] = True
        assert store.get(["a"])[0].metadata == {"tags": ["sea"], "deep": {"x": [1]}}

    # -- upsert -------------------------------------------------------------------------------------------

    def test_upsert_writes_new_and_old(self, library: VectorDBInterface) -> None:
        """Ids that exist are replaced, others added, all are counted as written."""
        report = library.upsert([document("new"), document("fog", "Fog went, the lamp stayed.")])
        assert (report.written, report.ids) == (2, ("new", "fog"))
        assert library.count() == len(story()) + 1
        assert library.get(["fog"])[0].text == "Fog went, the lamp stayed."

    def test_upsert_replaces_the_metadata_as_a_whole(self, store: VectorDBInterface) -> None:
        """A key that is gone is gone, at the top and inside; so is its value in filters."""
        store.upsert([document("a", gone=1, kept=1, deep={"gone": 1, "kept": 1}, tags=["sea"], none=None)])
        store.upsert([document("a", kept=2, deep={"kept": 2})])
        assert store.get(["a"])[0].metadata == {"kept": 2, "deep": {"kept": 2}}
        for path in ("gone", "deep.gone", "tags", "none"):
            assert store.count({path: {"$exists": True}}) == 0
        assert store.count({"gone": 1}) == store.count({"deep.gone": 1}) == store.count({"tags": "sea"}) == 0

    def test_upsert_without_metadata_removes_it(self, store: VectorDBInterface) -> None:
        """No metadata replaces any metadata."""
        store.upsert([document("a", chapter=1)])
        store.upsert([document("a")])
        assert store.get(["a"])[0].metadata == {}
        assert store.count({"chapter": 1}) == 0

    def test_upsert_changes_what_a_search_finds(self, library: VectorDBInterface) -> None:
        """The old text is not found any more, the new one is."""
        library.upsert([document("fog", "Quills of the porcupine lamp.")])
        assert library.query("quills porcupine", k=1)[0].id == "fog"
        assert library.count(contains="ferry") == 0

    def test_upsert_twice_is_upsert_once(self, library: VectorDBInterface) -> None:
        """The same documents again change nothing."""
        library.upsert(story())
        assert contents(library) == contents_of(story())

    # -- ids ----------------------------------------------------------------------------------------------

    def test_ids_argument_comes_before_the_documents_own(self, store: VectorDBInterface) -> None:
        """``ids=`` wins over ``Document.id``."""
        store.add([document("own")], ids=["given"])
        assert ids_of(store.get()) == ["given"]

    def test_without_an_id_the_content_gives_one(self, store: VectorDBInterface) -> None:
        """It depends on text and metadata, and not on position or run."""
        anonymous = [Document(page_content=f"lamp {i}", metadata={"n": i}) for i in range(3)]
        report = store.add(anonymous)
        assert report.ids == tuple(document_id(one) for one in anonymous)
        assert store.upsert(anonymous[::-1]).ids == report.ids[::-1]
        assert store.count() == 3

    def test_an_id_in_the_metadata_is_data(self, store: VectorDBInterface) -> None:
        """Splitters copy it to every chunk, so it names none of them."""
        store.add([document("a", id="book"), document("b", id="book")])
        assert sorted(ids_of(store.get(filter={"id": "book"}))) == ["a", "b"]

    def test_any_text_of_up_to_512_bytes_is_an_id(self, store: VectorDBInterface) -> None:
        """Whatever it holds, it is found by it, kept apart from others, and deleted by it."""

        def check(id_: str) -> None:
            store.upsert([document(id_, "lamp", own=id_), document("other")])
            [found] = store.get([id_])
            assert (found.id, found.metadata) == (id_, {"own": id_})
            assert store.delete_by_filter(ids=[id_]).deleted == 1
            assert ids_of(store.get()) == ["other"]

        for_each(strategies.ids().filter(lambda id_: id_ != "other"), check, examples=30)

    # -- duplicates in one call ---------------------------------------------------------------------------

    @pytest.mark.parametrize("method", ["add", "upsert"])
    def test_identical_documents_of_a_call_collapse(self, store: VectorDBInterface, method: str) -> None:
        """They are written once, and counted."""
        report = getattr(store, method)([document("a", n=1), document("b"), document("a", n=1)])
        assert (report.written, report.collapsed, report.total) == (2, 1, 3)
        assert store.count() == 2

    @pytest.mark.parametrize("method", ["add", "upsert"])
    @pytest.mark.parametrize(
        "other", [document("a", "lamp other"), document("a", n=1.0)], ids=["text", "metadata"]
    )
    def test_different_documents_under_one_id_raise(
        self, store: VectorDBInterface, method: str, other: Document
    ) -> None:
        """Nothing is written, and the error names the id."""
        with pytest.raises(DuplicateDocumentError, match="nothing was written") as caught:
            getattr(store, method)([document("b"), document("a", n=1), other])
        assert caught.value.ids == ("a",)
        assert store.count() == 0

    # -- replace ------------------------------------------------------------------------------------------

    def test_replace_writes_then_deletes_what_is_left(self, store: VectorDBInterface) -> None:
        """Afterwards the filter matches exactly the new set, and nothing else has changed."""
        store.add([document(f"old-{i}", source="book") for i in range(4)] + [document("x", source="other")])
        report = store.replace(
            [document("old-1", source="book", n=2), document("new", source="book")], {"source": "book"}
        )
        assert sorted(ids_of(store.get(filter={"source": "book"}))) == ["new", "old-1"]
        assert store.get(["old-1"])[0].metadata["n"] == 2
        assert store.get(["x"])
        assert (report.write.written, report.delete.deleted) == (2, 3)

    def test_replace_is_guarded(self, store: VectorDBInterface) -> None:
        """Too many to delete: nothing is deleted, and nothing is written either."""
        store.add([document(f"old-{i}", source="book") for i in range(4)])
        with pytest.raises(DeleteGuardError, match="4 documents match"):
            store.replace([document("new", source="book")], {"source": "book"}, max_delete=3)
        assert sorted(ids_of(store.get())) == [f"old-{i}" for i in range(4)]
        assert store.replace([document("new")], {"source": "book"}, max_delete=4).delete.deleted == 4

    def test_replace_deletes_nothing_unless_all_is_written(self, store: VectorDBInterface) -> None:
        """One id with two contents is refused, so the old set stays and nothing is written."""
        store.add([document("old", source="book")])
        with pytest.raises(DuplicateDocumentError):
            store.replace([document("a", n=1), document("a", n=2)], {"source": "book"})
        assert ids_of(store.get()) == ["old"]
