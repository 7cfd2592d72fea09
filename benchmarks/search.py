"""A query through vectorface beside the same query to Chroma's own collection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
from langchain_core.documents import Document

from benchmarks._timing import Row, interleave
from vectorface import ChromaDB

DIMENSION = 384
INCLUDE: Any = ["documents", "metadatas", "distances"]


def measure(*, quick: bool = False) -> Iterator[Row]:
    """Compare queries by vector, with and without a filter."""
    count = 2_000 if quick else 20_000
    random = np.random.default_rng(0)
    vectors = random.normal(size=(count, DIMENSION)).astype(np.float32)
    documents = [
        Document(
            page_content=f"Document number {i} of the benchmark.", id=f"{i}", metadata={"chapter": i % 20}
        )
        for i in range(count)
    ]
    with ChromaDB(embeddings=None).connect(collection="bench") as store:
        store.upsert(documents, vectors=list(vectors))
        collection = store.client.get_collection("bench")
        queries = iter(random.normal(size=(100_000, DIMENSION)).astype(np.float32))
        for name, filter_ in (("", None), (" with a filter", {"chapter": 3})):

            def ours(filter_: Any = filter_) -> object:
                return store.query(vector=next(queries), filter=filter_)

            def raw(filter_: Any = filter_) -> object:
                return collection.query(
                    query_embeddings=next(queries)[None], n_results=4, where=filter_, include=INCLUDE
                )

            yield _row(name, count, ours, raw, rounds=20 if quick else 100)


def _row(name: str, count: int, ours: Callable[[], object], raw: Callable[[], object], *, rounds: int) -> Row:
    times = interleave({"vectorface": ours, "Chroma": raw}, rounds=rounds)
    extra = median(a - b for a, b in zip(times.rounds["vectorface"], times.rounds["Chroma"], strict=True))
    return Row(
        name=f"query{name} at {count:,} vectors: time beside raw `collection.query`",
        value=times.ratio("vectorface", "Chroma"),
        goal=1.1,
        at_most=True,
        detail=f"{extra * 1000:+.2f} ms a query (or at most +0.5 ms); {times.detail('vectorface', 'Chroma')}",
    )
