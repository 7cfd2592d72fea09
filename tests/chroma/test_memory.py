"""In memory: each store for itself, where Chroma's clients of a process share all they have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import chromadb
import pytest
from chromadb.config import Settings

from tests.chroma.conftest import Place
from tests.chroma.samples import put
from vectorface import ChromaDB
from vectorface.backends.chroma.internals import running, users_in_memory


def test_stores_do_not_see_each_other_where_chromas_clients_do(memory: Place) -> None:
    one: Any = chromadb.EphemeralClient()
    other: Any = chromadb.EphemeralClient()
    one.create_collection("shared", embedding_function=None)
    assert [collection.name for collection in other.list_collections()] == ["shared"]

    here, there = memory.connect(collection="stories"), memory.connect(collection="stories")
    put(here, {"a": {}})

    assert there.count() == 0
    assert here.list_indexes() == there.list_indexes() == ["stories"]
    assert [collection.name for collection in one.list_collections()] == ["shared"]
    one.delete_collection("shared")
    one.close()
    other.close()


def test_what_a_store_held_is_gone_when_it_is_closed(memory: Place) -> None:
    store = memory.connect()
    put(store, {"a": {}})
    store.close()

    assert store.connect(collection=memory.collection).count() == 0


def test_a_store_can_be_opened_beside_a_client_with_other_settings(memory: Place) -> None:
    client: Any = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    with pytest.raises(ValueError, match="different settings"):
        chromadb.EphemeralClient()

    store = memory.connect()
    put(store, {"a": {}})
    client.close()

    assert store.count() == 1


def test_the_last_store_takes_the_engine_with_it() -> None:
    before = users_in_memory()
    stores = [ChromaDB(embeddings=None).connect() for _ in range(3)]
    for store in stores:
        assert users_in_memory() > before
        assert "ephemeral" in running()
        store.close()
    assert users_in_memory() == before
    assert ("ephemeral" in running()) == bool(before)


def test_stores_can_be_opened_and_closed_from_several_threads() -> None:
    def live(number: int) -> int:
        with ChromaDB(embeddings=None).connect() as store:
            put(store, {str(n): {} for n in range(number + 1)})
            return store.count()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(live, range(24))) == list(range(1, 25))
