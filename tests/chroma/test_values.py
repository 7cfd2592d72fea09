"""Values that Chroma drops, changes or refuses, and that come back from a store as they went in."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import chromadb.errors
import pytest
from langchain_core.documents import Document

from tests.chroma.conftest import raw_twin, raw_view
from tests.chroma.samples import bearing, put
from vectorface import ChromaDB
from vectorface.errors import InvalidDocumentError


def chroma_gives_back(store: ChromaDB, metadata: dict[str, Any]) -> dict[str, Any] | None:
    raw = raw_twin(store)
    raw.upsert(ids=["a"], embeddings=[bearing(0)], metadatas=[metadata])
    [found] = raw.get()["metadatas"] or []
    return None if found is None else dict(found)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_are_no_numbers_are_refused_where_chroma_drops_them(
    store: ChromaDB, value: float
) -> None:
    assert chroma_gives_back(store, {"x": value}) is None

    with pytest.raises(InvalidDocumentError, match=r"metadata\['x'\]"):
        store.upsert([Document(id="a", page_content="a", metadata={"x": value})], vectors=[bearing(0)])
    assert store.count() == 0


@pytest.mark.parametrize(
    ("value", "changed"),
    [(2**63, float(2**63)), (123456789.12345679, 123456789.1234568), (-0.0, 0.0), (None, None)],
    ids=repr,
)
def test_values_that_chroma_changes_come_back_as_they_were(store: ChromaDB, value: Any, changed: Any) -> None:
    assert repr((chroma_gives_back(store, {"x": value}) or {}).get("x")) == repr(changed)

    put(store, {"a": {"x": value}})

    assert repr(store.get()[0].metadata) == repr({"x": value})


@pytest.mark.parametrize(
    "metadata",
    [
        {"x": []},
        {"x": [1, "two", 2.5, None, [True]]},
        {"x": {"y": {"z": 1}}},
        {"x": {}},
        {"": 1},
        {"#tag": 1},
        {"$and": 1},
        {"chroma:document": 1},
        {"x": date(2024, 5, 1)},
        {"x": datetime(2024, 5, 1, 12, tzinfo=UTC)},
    ],
    ids=repr,
)
def test_metadata_that_chroma_refuses_is_kept(store: ChromaDB, metadata: dict[str, Any]) -> None:
    with pytest.raises((ValueError, chromadb.errors.InvalidArgumentError)):
        chroma_gives_back(store, metadata)

    put(store, {"a": metadata, "b": {**metadata, "other": 1}})

    assert store.get(["a"])[0].metadata == metadata
    assert store.query(vector=bearing(1), k=1)[0].metadata == {**metadata, "other": 1}


@pytest.mark.parametrize(
    "metadata",
    [
        {"x": 2**53 + 1},
        {"x": -(2**63)},
        {"x": 10**400},
        {"x": 5e-324},
        {"x": 1.7976931348623157e308},
        {"x": 0.1 + 0.2},
        {"x": 2.0},
        {"x": [0.1 + 0.2, 1.0]},
        {"x": [2**60, 1]},
        {"x": "a\0b"},
        {"x.y": 1, "x": {"y": 2}},
        {"_vectorface": 1, "_vectorface_paths": [2], "_vectorface_date:x": 3},
    ],
    ids=lambda metadata: repr(metadata)[:40],
)
def test_values_at_the_edges_come_back_exactly(store: ChromaDB, metadata: dict[str, Any]) -> None:
    put(store, {"a": metadata})

    found = store.get()[0].metadata
    assert found == metadata
    assert repr(sorted(found.items())) == repr(sorted(metadata.items()))


def test_what_is_stored_for_other_programs_to_see(store: ChromaDB) -> None:
    put(store, {"a": {"chapter": 1, "tags": ["sea"], "ship": {"name": "Nan", "crew": None}}})

    [metadata] = raw_view(store).get()["metadatas"]

    stamped = metadata.pop("_vectorface")
    assert metadata == {
        "chapter": 1,
        "tags": ["sea"],
        "ship.name": "Nan",
        "_vectorface_paths": ["n:ship.crew", "l:tags"],
    }
    assert stamped.startswith('{"exact":{"ship":{"crew":null,"name":"Nan"}},"stamp":"')


@pytest.mark.parametrize("key", ["chroma:", "chroma:uri", "chroma:document", "chroma:document.x", "chroma:é"])
@pytest.mark.parametrize("value", [1, ["a"], {"x": [1]}, None])
def test_keys_that_chroma_keeps_to_itself_come_back(store: ChromaDB, key: str, value: Any) -> None:
    put(store, {"a": {key: value, "ok": 2}})
    assert store.get(["a"])[0].metadata == {key: value, "ok": 2}
    assert store.count({key: {"$exists": True}}) == 1
