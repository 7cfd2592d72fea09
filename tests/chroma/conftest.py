"""Real Chroma in each of its modes: in memory, in a directory, on a server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import chromadb
import pytest

from tests.chroma.processes import OtherProcess
from tests.chroma_server import ChromaServer
from vectorface import ChromaDB


@dataclass
class Place:
    """Where the stores of one test live; each test has collections of its own."""

    mode: Literal["memory", "persistent", "server"]
    address: dict[str, Any]
    collection: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    stores: list[ChromaDB] = field(default_factory=list)

    def connect(self, embeddings: Any = None, **options: Any) -> ChromaDB:
        """Open a store; it is closed after the test."""
        store = ChromaDB(embeddings)
        self.stores.append(store)
        return store.connect(**{"collection": self.collection, **self.address, **options})


def raw_client(path: Path, **options: Any) -> Any:
    """Return Chroma's own client of a directory; ``Any``, because its type knows no ``with``."""
    return chromadb.PersistentClient(path, **options)


def raw_twin(store: ChromaDB) -> Any:
    """Make a collection beside the store's, as Chroma itself makes it, to show what that does.

    ``Any``, because its type takes less than it does.
    """
    return store.client.create_collection(f"raw-{uuid.uuid4().hex[:12]}", embedding_function=None)


def raw_view(store: ChromaDB) -> Any:
    """Return the store's own collection, as Chroma itself sees it."""
    return store.client.get_collection(store.index, embedding_function=None)


def _closing(place: Place) -> Iterator[Place]:
    yield place
    for store in place.stores:
        store.close()


@pytest.fixture
def memory() -> Iterator[Place]:
    yield from _closing(Place("memory", {}))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Place]:
    yield from _closing(Place("persistent", {"path": tmp_path / "chroma"}))


@pytest.fixture
def server(chroma_server: ChromaServer) -> Iterator[Place]:
    yield from _closing(Place("server", {"host": chroma_server.host, "port": chroma_server.port}))


@pytest.fixture(params=["memory", "directory", "server"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each mode in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(place: Place) -> ChromaDB:
    """A store without an embedding function, in each mode in turn."""
    return place.connect()


@pytest.fixture(scope="session")
def _long_lived_process() -> Iterator[OtherProcess]:
    with OtherProcess() as other:
        yield other


@pytest.fixture
def other(_long_lived_process: OtherProcess) -> Iterator[OtherProcess]:
    """Another process, which does as it is told; what it opened is closed after the test."""
    yield _long_lived_process
    _long_lived_process.close_stores()
