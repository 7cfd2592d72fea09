"""The suites, on the in-memory store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.langchain.suites import IndexingSuite, RetrieverSuite, VectorStoreSuite
from vectorface import InMemoryDB

if TYPE_CHECKING:
    import pytest
    from langchain_core.embeddings import Embeddings


class Memory:
    def make_store(self, embeddings: Embeddings, request: pytest.FixtureRequest) -> InMemoryDB:
        del request
        return InMemoryDB(embeddings).connect(index="suite")


class TestVectorStore(Memory, VectorStoreSuite):
    pass


class TestRetriever(Memory, RetrieverSuite):
    pass


class TestIndexing(Memory, IndexingSuite):
    pass
