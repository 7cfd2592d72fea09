"""Finding the nearest documents: by Chroma's graph, and exactly where the graph does not find what is there.

Chroma searches an HNSW graph, which falls apart where hundreds of vectors are (nearly) equal: it then
returns fewer documents than it holds. Comparing with all of them is slow and right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from chromadb.errors import InternalError

from vectorface.backends.chroma.engine import MAX_DOCUMENTS
from vectorface.backends.chroma.results import one_query, rows
from vectorface.primitives import Stored, chunks
from vectorface.searching import exact_scores

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

    from vectorface.records import Metric, Vector

#: Chroma reads the documents it found by id, in one statement for all queries of a request.
_MOST_FOUND: Final = 30_000
#: What Chroma says of a document whose vector this process has not read yet.
_UNKNOWN_VECTOR: Final = "Error finding id"


def passing(collection: Collection, native: Any) -> list[str]:
    """Return the ids of all documents that pass a native filter, as they are at this moment."""
    return list(collection.get(include=[], **native)["ids"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """Searches one collection.

    Attributes:
        collection: Chroma's collection.
        native: The filter, as arguments of Chroma's ``get`` and ``query``.
        metric: How the collection compares vectors.
        include: The columns that are wanted.
    """

    collection: Collection
    native: Any
    metric: Metric
    include: Sequence[Any]

    def nearest(self, vectors: Sequence[Vector | None], limit: int) -> list[list[Stored]]:
        """Return up to ``limit`` documents for each vector, best first."""
        if limit * len(vectors) <= _MOST_FOUND:
            return self.complete(vectors, limit)
        limit = min(limit, self.collection.count())
        ids_only = replace(self, include=())
        return [self._read(ids_only.complete([vector], limit)[0]) for vector in vectors]

    def complete(self, vectors: Sequence[Vector | None], limit: int) -> list[list[Stored]]:
        """Search by the graph, and without it where it gave fewer documents than there are."""
        results = self._by_graph(vectors, limit)
        if all(len(result) >= limit for result in results):
            return results
        ids = passing(self.collection, self.native)
        there = min(limit, len(ids))
        try:
            return [
                result if len(result) >= there else self._by_comparing(vector, ids, there)
                for vector, result in zip(vectors, results, strict=True)
            ]
        except InternalError as error:
            if _UNKNOWN_VECTOR not in str(error):
                raise
            return results  # another process added documents since: this is the answer of a moment ago

    def _by_graph(self, vectors: Sequence[Vector | None], limit: int) -> list[list[Stored]]:
        found = self.collection.query(
            query_embeddings=np.asarray(vectors, dtype=np.float32),
            n_results=max(limit, 1),
            include=[*self.include, "distances"],
            **self.native,
        )
        return [rows(one_query(found, i), metric=self.metric) for i in range(len(vectors))]

    def _by_comparing(self, vector: Vector | None, ids: Sequence[str], limit: int) -> list[Stored]:
        scored: list[Stored] = []
        for part in chunks(ids, MAX_DOCUMENTS):
            found = self.collection.get(ids=list(part), include=["embeddings"])
            if found["ids"]:
                matrix = np.asarray(found["embeddings"], dtype=np.float64)
                scores = exact_scores(matrix, np.asarray(vector), self.metric)
                scored += (
                    Stored(id=id_, score=float(score))
                    for id_, score in zip(found["ids"], scores, strict=True)
                )
        scored.sort(key=lambda stored: -stored.score)
        return self._read(scored[:limit]) if self.include else scored[:limit]

    def _read(self, nearest: Sequence[Stored]) -> list[Stored]:
        """Read the documents of which only ids and scores are known."""
        documents = {
            stored.id: stored
            for part in chunks(nearest, MAX_DOCUMENTS)
            for stored in rows(self.collection.get(ids=[one.id for one in part], include=list(self.include)))
        }
        return [replace(documents[one.id], score=one.score) for one in nearest if one.id in documents]
