"""ChromaDB keeps the whole contract: in memory, in a directory, on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chroma_server import ChromaServer
from vectorface import ChromaDB
from vectorface.testing import DenseContract, DurableContract, FingerprintContract, StoreContract


class TestInMemory(StoreContract, DenseContract):
    def make(self, embeddings: Any) -> ChromaDB:
        return ChromaDB(embeddings)

    def connect(self, store: Any, index: str, **options: Any) -> ChromaDB:
        connected: ChromaDB = store.connect(collection=index, **options)
        return connected


class TestPersistent(TestInMemory, DurableContract, FingerprintContract):
    @pytest.fixture(autouse=True)
    def _in_a_directory(self, tmp_path: Path) -> None:
        self.path = tmp_path

    def connect(self, store: Any, index: str, **options: Any) -> ChromaDB:
        return super().connect(store, index, path=self.path, **options)


class TestServer(TestInMemory, DurableContract, FingerprintContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, chroma_server: ChromaServer) -> None:
        self.server = chroma_server

    def connect(self, store: Any, index: str, **options: Any) -> ChromaDB:
        return super().connect(store, index, host=self.server.host, port=self.server.port, **options)
