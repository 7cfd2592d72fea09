"""Documents whose vectors can be worked out in one's head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from langchain_core.documents import Document
from numpy.typing import NDArray

from vectorface import ChromaDB


def bearing(degrees: float) -> list[float]:
    """Return the unit vector in a direction: the cosine of two is that of the angle between them."""
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def bearings(count: int) -> NDArray[np.float32]:
    """Return so many directions, spread over a half circle."""
    angles = np.linspace(0, math.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def numbered(count: int, *, text: str = "boat", start: int = 0) -> list[Document]:
    """Return documents ``0``, ``1``, … with their number as metadata."""
    return [
        Document(id=str(n), page_content=f"{text} {n}", metadata={"number": n})
        for n in range(start, start + count)
    ]


def put(store: ChromaDB, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write documents given as id and metadata; their text is the id."""
    store.upsert(
        [Document(id=id_, page_content=id_, metadata=dict(metadata)) for id_, metadata in documents.items()],
        vectors=[bearing(i) for i in range(len(documents))],
    )


def matching(store: ChromaDB, filter: Mapping[str, Any]) -> set[str]:
    """Return the ids that a filter selects; reading and searching must agree."""
    read = {record.id for record in store.get(filter=filter)}
    found = {hit.id for hit in store.query(vector=bearing(0), k=1_000, filter=filter)}
    assert read == found
    assert store.count(filter) == len(read)
    return read


def contents(store: ChromaDB) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return everything in the store: text and metadata by id."""
    return {record.id: (record.text, record.metadata) for record in store.get()}
