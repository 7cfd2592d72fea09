"""LangChain's own suites, and its ``index()``, over whatever store a subclass makes.

A backend is proven by three subclasses of one line each::

    class Memory:
        def make_store(self, embeddings, request):
            return InMemoryDB(embeddings).connect(index="suite")

    class TestVectorStore(Memory, VectorStoreSuite): ...
    class TestRetriever(Memory, RetrieverSuite): ...
    class TestIndexing(Memory, IndexingSuite): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytest
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from vectorface.interface import VectorDBInterface
from vectorface.langchain import VectorfaceRetriever, VectorfaceVectorStore

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class MakesStores(Protocol):
    """What a backend adds to a suite."""

    def make_store(self, embeddings: Embeddings, request: pytest.FixtureRequest) -> VectorDBInterface:
        """Return a connected, empty store; ``request`` gets it a server or a directory."""
        ...


class VectorStoreSuite(VectorStoreIntegrationTests):
    """LangChain's suite for vector stores, synchronous and asynchronous, nothing skipped or overridden."""

    @pytest.fixture
    def vectorstore(self: Any, request: pytest.FixtureRequest) -> Iterator[VectorfaceVectorStore]:
        with self.make_store(self.get_embeddings(), request) as store:
            yield store.as_vectorstore()


class RetrieverSuite(RetrieversIntegrationTests):
    """LangChain's suite for retrievers, nothing skipped or overridden."""

    _vectorstore: VectorfaceVectorStore

    @pytest.fixture(autouse=True)
    def _filled(self: Any, request: pytest.FixtureRequest) -> Iterator[None]:
        with self.make_store(VectorStoreIntegrationTests.get_embeddings(), request) as store:
            self._vectorstore = store.as_vectorstore()
            self._vectorstore.add_texts(["foo", "bar", "baz", "qux"])
            yield

    @property
    def retriever_constructor(self) -> type[VectorfaceRetriever]:
        return VectorfaceRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"vectorstore": self._vectorstore}

    @property
    def retriever_query_example(self) -> str:
        return "foo"


Cleanup = Literal["incremental", "full", "scoped_full"]


def page(source: str, text: str) -> Document:
    return Document(page_content=text, metadata={"source": source})


class Indexer:
    """LangChain's ``index()`` on one store with one record manager, run again and again."""

    def __init__(self, vectorstore: VectorfaceVectorStore) -> None:
        self.vectorstore = vectorstore
        self._options: dict[str, Any] = {"source_id_key": "source", "key_encoder": "blake2b", "batch_size": 2}
        self._records = InMemoryRecordManager(namespace="suite")
        self._records.create_schema()

    def run(self, pages: list[Document], cleanup: Cleanup, **options: Any) -> dict[str, int]:
        merged = {**self._options, **options}
        return counts(index(pages, self._records, self.vectorstore, cleanup=cleanup, **merged))

    async def arun(self, pages: list[Document], cleanup: Cleanup) -> dict[str, int]:
        result = await aindex(pages, self._records, self.vectorstore, cleanup=cleanup, **self._options)
        return counts(result)

    def texts(self) -> list[str]:
        return sorted(record.text for record in self.vectorstore.store.scan())


def counts(result: Any) -> dict[str, int]:
    """Return what happened, without the zeros."""
    return {name.removeprefix("num_"): number for name, number in result.items() if number}


class IndexingSuite:
    """LangChain's ``index()`` keeps a store in step with its sources."""

    @pytest.fixture
    def indexer(self: Any, request: pytest.FixtureRequest) -> Iterator[Indexer]:
        with self.make_store(VectorStoreIntegrationTests.get_embeddings(), request) as store:
            indexer = Indexer(store.as_vectorstore())
            indexer.run([page("log", "dawn"), page("log", "noon"), page("chart", "reef")], "incremental")
            yield indexer

    def test_the_first_run_writes_every_document(self, indexer: Indexer) -> None:
        assert indexer.texts() == ["dawn", "noon", "reef"]

    def test_documents_are_stored_under_the_ids_of_the_record_manager(self, indexer: Indexer) -> None:
        recorded = indexer._records.list_keys()
        assert sorted(str(document.id) for document in indexer.vectorstore.get_by_ids(recorded)) == sorted(
            recorded
        )

    @pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full"])
    def test_a_second_run_writes_nothing(self, indexer: Indexer, cleanup: Cleanup) -> None:
        pages = [page("log", "dawn"), page("log", "noon"), page("chart", "reef")]
        assert indexer.run(pages, cleanup) == {"skipped": 3}

    @pytest.mark.parametrize("cleanup", ["incremental", "full", "scoped_full"])
    def test_a_changed_document_replaces_the_old_one(self, indexer: Indexer, cleanup: Cleanup) -> None:
        pages = [page("log", "dawn"), page("log", "midday"), page("chart", "reef")]
        assert indexer.run(pages, cleanup) == {"added": 1, "deleted": 1, "skipped": 2}
        assert indexer.texts() == ["dawn", "midday", "reef"]

    def test_full_cleanup_removes_a_source_that_is_gone(self, indexer: Indexer) -> None:
        assert indexer.run([page("chart", "reef")], "full") == {"deleted": 2, "skipped": 1}
        assert indexer.texts() == ["reef"]

    def test_incremental_cleanup_keeps_a_source_that_was_not_seen(self, indexer: Indexer) -> None:
        indexer.run([page("chart", "reef")], "incremental")
        assert indexer.texts() == ["dawn", "noon", "reef"]

    def test_forced_updates_replace_documents_in_place(self, indexer: Indexer) -> None:
        assert indexer.run([page("chart", "reef")], "incremental", force_update=True) == {"updated": 1}
        assert indexer.texts() == ["dawn", "noon", "reef"]

    async def test_aindex_does_the_same(self, indexer: Indexer) -> None:
        pages = [page("log", "dawn"), page("log", "midday")]
        assert await indexer.arun(pages, "full") == {"added": 1, "deleted": 2, "skipped": 1}
        assert indexer.texts() == ["dawn", "midday"]
