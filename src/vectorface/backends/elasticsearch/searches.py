"""Sending searches: one page, many queries in one request, more than a page, or all documents."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from vectorface.backends.elasticsearch.codec import Shown, stored_of
from vectorface.backends.elasticsearch.filters import Clause
from vectorface.backends.elasticsearch.layout import VECTOR, Layout
from vectorface.backends.elasticsearch.paging import WHOLE, Hits, Request, hits_of, pages
from vectorface.backends.elasticsearch.server import Server, line_of
from vectorface.backends.elasticsearch.translation import answered
from vectorface.primitives import Query, Stored
from vectorface.records import Metric
from vectorface.searching import exact_scores

#: Vectors that are compared at a time.
_EXACT_BATCH: Final = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a search is to bring.

    Attributes:
        native: Clauses that documents must pass.
        limit: At most how many.
        shown: Which fields of each.
    """

    native: Sequence[Clause]
    limit: int
    shown: Shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Searcher:
    """Searches one index.

    Attributes:
        server: Sends requests that name no index.
        request: Sends those to the index.
        layout: Where it keeps what.
        metric: How it compares vectors.
    """

    server: Server
    request: Request
    layout: Layout
    metric: Metric

    @property
    def is_modern(self) -> bool:
        """Whether the server knows the query ``sparse_vector``, which came with 8.15."""
        return self.server.version >= (8, 15, 0)

    @property
    def can_rescore(self) -> bool:
        """Whether the server can look again at quantized vectors, which came with 8.18."""
        return self.server.version >= (8, 18, 0)

    @property
    def window(self) -> int:
        """How many hits a page shows at most."""
        return self.layout.window

    # -- one page -----------------------------------------------------------------------------------------

    def pages(self, bodies: Sequence[Mapping[str, Any]], asked: Asked) -> list[Hits]:
        """Answer several searches in one request, each with at most a page of hits."""
        size = min(asked.limit, self.window)
        same = {"size": size, "track_total_hits": False, "_source": asked.shown.body}
        full = [{**body, **same} for body in bodies]
        if len(full) == 1:
            [body] = full
            answer = self.request("POST", "_search", body=body, params=WHOLE, doing="searching")
            return [hits_of(answer)]
        lines = [line_of(part) for body in full for part in (WHOLE, body)]
        answer = self.request("POST", "_msearch", body=lines, doing="searching")
        return [self._told(response) for response in answer["responses"]]

    def _told(self, response: Mapping[str, Any]) -> Hits:
        if "error" in response:
            raise answered(response["status"], response, f"searching index {self.layout.info.name!r}")
        return hits_of(response)

    # -- more than a page ---------------------------------------------------------------------------------

    def deep(self, body: Mapping[str, Any], asked: Asked) -> Hits:
        """Answer a search with more hits than a page holds, page by page."""
        found: list[Mapping[str, Any]] = []
        sort = [{"_score": "desc"}, {"_shard_doc": "asc"}]
        for page in self._pages({**body, "sort": sort, "_source": asked.shown.body}, self.window):
            found += page
            if len(found) >= asked.limit:
                break
        return found[: asked.limit]

    def scan(self, native: Sequence[Clause] | None, shown: Shown, batch_size: int) -> Iterator[Hits]:
        """Yield all documents that pass, as they are now, in batches.

        What fits one batch comes in one request; only for more is the state of the index held on to.
        """
        size = min(batch_size, self.window)
        body = {
            "query": {"bool": {"filter": list(native)}} if native else {"match_all": {}},
            "_source": shown.body,
            "seq_no_primary_term": True,
        }
        page = {"size": size, "sort": ["_doc"], "track_total_hits": False}
        first = self.request("POST", "_search", body={**body, **page}, params=WHOLE, doing="reading")
        if len(hits_of(first)) == size:
            yield from self._pages({**body, "sort": ["_shard_doc"]}, size)
        elif hits_of(first):
            yield hits_of(first)

    def _pages(self, body: Mapping[str, Any], size: int) -> Iterator[Hits]:
        return pages(self.server, self.request, body, name=self.layout.info.name, size=size)

    # -- exact --------------------------------------------------------------------------------------------

    def count(self, native: Sequence[Clause]) -> int:
        """Return how many documents pass."""
        body = {"query": {"bool": {"filter": list(native)}}} if native else None
        count: int = self.request("POST", "_count", body=body, doing="counting in")["count"]
        return count

    def exact(self, queries: Sequence[Query], asked: Asked) -> list[list[Stored]]:
        """Compare dense queries with every document that passes: for what kNN cannot promise."""
        best = [_Best(asked.limit) for _ in queries]
        for page in self.scan(asked.native, asked.shown.with_field(VECTOR), _EXACT_BATCH):
            hits = [hit for hit in page if hit["_source"].get(VECTOR)]
            if hits:
                matrix = np.array([hit["_source"][VECTOR] for hit in hits], dtype=np.float64)
                for heap, query in zip(best, queries, strict=True):
                    heap.add(hits, exact_scores(matrix, np.asarray(query.vector), self.metric))
        return [
            [stored_of(hit, self.layout, score=score) for score, hit in heap.best_first()] for heap in best
        ]


class _Best:
    """The hits with the highest scores, the first ones of equal scores."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen = 0
        self._heap: list[tuple[float, int, Mapping[str, Any]]] = []

    def add(self, hits: Hits, scores: Iterable[float]) -> None:
        """Offer some more."""
        for hit, score in zip(hits, scores, strict=True):
            self._seen += 1
            push = heapq.heappush if len(self._heap) < self._limit else heapq.heappushpop
            push(self._heap, (float(score), -self._seen, hit))

    def best_first(self) -> list[tuple[float, Mapping[str, Any]]]:
        """Return scores and hits."""
        return [(score, hit) for score, _, hit in sorted(self._heap, reverse=True)]
