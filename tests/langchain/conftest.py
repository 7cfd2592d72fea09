"""A store in memory whose scores are known beforehand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.langchain.compass import Compass, towards
from vectorface import InMemoryDB
from vectorface.langchain import VectorfaceVectorStore


@pytest.fixture
def store() -> Iterator[InMemoryDB]:
    """An empty store that embeds with Compass."""
    with InMemoryDB(Compass()).connect(index="boats") as connected:
        yield connected


@pytest.fixture
def vectorstore(store: InMemoryDB) -> VectorfaceVectorStore:
    """That store, empty, as LangChain sees it."""
    return VectorfaceVectorStore(store)


@pytest.fixture
def boats(vectorstore: VectorfaceVectorStore) -> VectorfaceVectorStore:
    """That store with boats on the courses 0, 5, 60 and 120."""
    vectorstore.add_documents([towards(course, harbour=course >= 60) for course in (0, 5, 60, 120)])
    return vectorstore
