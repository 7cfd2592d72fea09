"""Preprocessing and LangChain, in short: their own suites go deep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.documents import Document

from vectorface.testing.contract.base import Contract, ids_of, story

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface

BOOK = """
[ Chapter 1 ]
Nan lit the lamp.

[ Chapter 2 ]
Fog hid the lamp.

[ Chapter 3 ]
The lamp went out.
"""


class LangChainContract(Contract):
    """A store is at home in LangChain."""

    def test_chunks_of_a_book_can_be_filtered_by_chapter(self, store: VectorDBInterface) -> None:
        """``preprocess`` gives stable ids, so writing them twice changes nothing."""
        chunks = store.preprocess([Document(page_content=BOOK)], source="The Lamp", author="A. Writer")
        store.upsert(chunks)
        store.upsert_parallel(store.preprocess([BOOK], source="The Lamp", author="A. Writer"))
        assert store.count() == len(chunks) == 3
        [hit] = store.query("lamp", filter={"chapter": 2, "source": "The Lamp"})
        assert "Fog" in hit.text
        assert hit.metadata["author"] == "A. Writer"

    def test_as_vectorstore_writes_searches_and_deletes(self, store: VectorDBInterface) -> None:
        """The methods every LangChain ``VectorStore`` has."""
        vectorstore = store.as_vectorstore()
        ids = vectorstore.add_documents(story())
        assert ids == [one.id for one in story()] == ids_of(store.get(ids))
        assert vectorstore.similarity_search("Nan lit the lamp at dusk.", k=1) == [story()[0]]
        [(found, score)] = vectorstore.similarity_search_with_score("lamp", k=1, filter={"chapter": 2})
        assert found.id == "fog"
        assert score == self.near(store.query("lamp", k=1, filter={"chapter": 2})[0].score)
        assert vectorstore.delete(["fog", "none"]) in {True, None}
        assert store.count() == len(story()) - 1

    def test_as_retriever_retrieves(self, library: VectorDBInterface) -> None:
        """With ``k`` and ``search_kwargs``, which may be changed later."""
        retriever = library.as_retriever(k=2)
        assert [one.id for one in retriever.invoke("lamp fog")] == ids_of(library.query("lamp fog", k=2))
        retriever = library.as_retriever(search_kwargs={"k": 100, "filter": {"place": "sea"}})
        assert {one.id for one in retriever.invoke("lamp")} == {"fog", "storm"}
        retriever.search_kwargs["filter"] = {"chapter": 1}
        assert [one.id for one in retriever.invoke("lamp")] == ["dusk"]
