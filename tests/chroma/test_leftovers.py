"""Lists of a deleted collection, which Chroma 1.5 gives to whoever writes next (chroma-core/chroma#7594)."""

from __future__ import annotations

import chromadb
import pytest

from tests.chroma.conftest import Place, raw_twin
from tests.chroma.samples import bearing, contents, put
from vectorface.backends.chroma import leftovers

LISTS = {"tags": ["sea", "fog"]}


def test_chroma_gives_the_lists_of_a_deleted_collection_to_the_next_document(directory: Place) -> None:
    client = directory.connect().client
    raw = raw_twin(directory.stores[0])
    raw.add(ids=["old"], embeddings=[bearing(0)], metadatas=[{**LISTS, "x": 1}])
    client.delete_collection(raw.name)

    new = raw_twin(directory.stores[0])
    new.add(ids=["new"], embeddings=[bearing(0)], metadatas=[{"x": 2}])

    assert new.get()["metadatas"] == [{"x": 2, **LISTS}]


def test_an_index_that_is_deleted_leaves_nothing_to_the_next_one(
    directory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "MAX_DOCUMENTS", 2)
    store = directory.connect()
    store.create_index("other-stories")
    put(store, {"a": LISTS, "b": {"x": 1}, "c": {**LISTS, "x": 2}, "d": {}, "e": {"lost": None}})

    store.delete_index(store.index)

    store.connect(**{**directory.address, "collection": "other-stories"})
    put(store, {"f": {"x": 1}, "g": {}, "h": {}, "i": {}, "j": {}})
    assert contents(store) == {"f": ("f", {"x": 1}), **{id_: (id_, {}) for id_ in "ghij"}}


def test_a_store_in_memory_that_is_closed_leaves_nothing_to_the_others(memory: Place) -> None:
    with chromadb.EphemeralClient() as client:  # type: ignore[attr-defined]
        store = memory.connect()
        put(store, {"a": LISTS, "b": LISTS})
        store.close()

        new = client.create_collection("new-stories", embedding_function=None)
        new.add(ids=["c"], embeddings=[bearing(0)], metadatas=[{"x": 1}])
        found = new.get()["metadatas"]
        client.delete_collection("new-stories")

    assert found == [{"x": 1}]
