"""LangChain's own suites on Chroma, in its three modes."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chroma_server import ChromaServer
from tests.langchain.suites import IndexingSuite, RetrieverSuite, VectorStoreSuite
from vectorface import ChromaDB

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


class InMemory:
    def make_store(self, embeddings: Embeddings, request: pytest.FixtureRequest) -> ChromaDB:
        del request
        return ChromaDB(embeddings).connect(collection="suite")


class InADirectory:
    def make_store(self, embeddings: Embeddings, request: pytest.FixtureRequest) -> ChromaDB:
        folder: Path = request.getfixturevalue("tmp_path")
        return ChromaDB(embeddings).connect(path=str(folder), collection="suite")


class OnAServer:
    def make_store(self, embeddings: Embeddings, request: pytest.FixtureRequest) -> ChromaDB:
        server: ChromaServer = request.getfixturevalue("chroma_server")
        collection = f"suite-{uuid.uuid4().hex}"
        return ChromaDB(embeddings).connect(host=server.host, port=server.port, collection=collection)


class TestVectorStoreInMemory(InMemory, VectorStoreSuite): ...


class TestVectorStoreInADirectory(InADirectory, VectorStoreSuite): ...


class TestVectorStoreOnAServer(OnAServer, VectorStoreSuite): ...


class TestRetrieverInMemory(InMemory, RetrieverSuite): ...


class TestRetrieverInADirectory(InADirectory, RetrieverSuite): ...


class TestRetrieverOnAServer(OnAServer, RetrieverSuite): ...


class TestIndexingInMemory(InMemory, IndexingSuite): ...


class TestIndexingInADirectory(InADirectory, IndexingSuite): ...


class TestIndexingOnAServer(OnAServer, IndexingSuite): ...
