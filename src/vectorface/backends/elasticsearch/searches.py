"""Sending searches: one page, many queries in one request, more than a page, or all documents."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from vectorface.backends.elasticsearch.codec import stored_of, vector_of
from vectorface.backends.elasticsearch.filters import Clause
from vectorface.backends.elasticsearch.layout import VECTOR
from vectorface.backends.elasticsearch.server import Server, line_of
from vectorface.backends.elasticsearch.strategies import WINDOW, Strategy
from vectorface.backends.elasticsearch.translation import answered
from vectorface.errors import VectorfaceError
from vectorface.primitives import Query, Stored
from vectorface.records import Metric
from vectorface.searching import exact_scores

Hits: TypeAlias = Sequence[Mapping[str, Any]]

#: How long a server keeps a scan's view of the index between two pages.
_KEEP_ALIVE: Final = "5m"
#: An answer that lacks a shard's documents is an error, not an answer.
_WHOLE: Final = {"allow_partial_search_results": False}


class Request(Protocol):
    """Sends a request to the current index."""

    def __call__(self, method: str, api: str, *, doing: str, **options: Any) -> Any: ...


class Searcher:
    """Searches one index.

    Args:
        request: Sends a request to the index.
        server: Sends requests that name no index.
        index: Its name.
        strategy: How it is searched.
        metric: How it compares vectors.
    """

    def __init__(
        self, request: Request, server: Server, index: str, strategy: Strategy, metric: Metric
    ) -> None:
        self._request = request
        self._server = server
        self._index = index
        self._strategy = strategy
        self._metric = metric

    def search(
        self, queries: Sequence[Query], native: Sequence[Clause], limit: int, wanted: Sequence[str]
    ) -> list[list[Stored]]:
        """Return for each query up to ``limit`` of the nearest documents that pass, best first."""
        return self._strategy.search(self, queries, native, limit, wanted)

    @property
    def metric(self) -> Metric:
        """How the index compares vectors."""
        return self._metric

    # -- one page -----------------------------------------------------------------------------------------

    def pages(self, bodies: Sequence[Mapping[str, Any]], limit: int, wanted: Sequence[str]) -> list[Hits]:
        """Answer several searches in one request, each with at most a page of hits."""
        size = min(limit, WINDOW)
        full = [
            {**body, "size": size, "track_total_hits": False, "_source": list(wanted) or False}
            for body in bodies
        ]
        if len(full) == 1:
            [body] = full
            answer = self._request("POST", "_search", body=body, params=_WHOLE, doing="searching")
            return [_hits(answer)]
        lines = [line_of(part) for body in full for part in (_WHOLE, body)]
        answer = self._request("POST", "_msearch", body=lines, doing="searching")
        return [self._hits_of(response) for response in answer["responses"]]

    def _hits_of(self, response: Mapping[str, Any]) -> Hits:
        if "error" in response:
            raise answered(response["status"], response, f"searching index {self._index!r}")
        return _hits(response)

    # -- more than a page ---------------------------------------------------------------------------------

    def deep(self, body: Mapping[str, Any], limit: int, wanted: Sequence[str]) -> Hits:
        """Answer a search with more hits than a page holds, page by page."""
        found: list[Mapping[str, Any]] = []
        sort = [{"_score": "desc"}, {"_shard_doc": "asc"}]
        for page in self._paged({**body, "sort": sort, "_source": list(wanted) or False}, WINDOW):
            found += page
            if len(found) >= limit:
                break
        return found[:limit]

    def scan(self, native: Sequence[Clause] | None, wanted: Sequence[str], batch_size: int) -> Iterator[Hits]:
        """Yield all documents that pass, as they are now, in batches."""
        query = {"bool": {"filter": list(native)}} if native else {"match_all": {}}
        body = {
            "query": query,
            "sort": ["_shard_doc"],
            "_source": list(wanted) or False,
            "seq_no_primary_term": True,
        }
        yield from self._paged(body, min(batch_size, WINDOW))

    def _paged(self, body: Mapping[str, Any], size: int) -> Iterator[Hits]:
        with self._point_in_time() as pit:
            full = {**body, "size": size, "track_total_hits": False}
            while True:
                full["pit"] = {"id": pit[-1], "keep_alive": _KEEP_ALIVE}
                answer = self._server.request(
                    "POST", "/_search", body=full, params=_WHOLE, doing=f"reading index {self._index!r}"
                )
                pit.append(answer.get("pit_id", pit[-1]))
                hits = _hits(answer)
                if hits:
                    yield hits
                if len(hits) < size:
                    return
                full["search_after"] = hits[-1]["sort"]

    @contextmanager
    def _point_in_time(self) -> Iterator[list[str]]:
        """Open a view of the index that later writes do not change; yield its ids, the newest last."""
        answer = self._request("POST", "_pit", params={"keep_alive": _KEEP_ALIVE}, doing="reading")
        ids = [answer["id"]]
        try:
            yield ids
        finally:
            with suppress(VectorfaceError):  # it ends by itself, a little later
                self._server.request("DELETE", "/_pit", body={"id": ids[-1]}, doing="ending a scan")

    # -- exact --------------------------------------------------------------------------------------------

    def count(self, native: Sequence[Clause]) -> int:
        """Return how many documents pass."""
        body = {"query": {"bool": {"filter": list(native)}}} if native else None
        count: int = self._request("POST", "_count", body=body, doing="counting in")["count"]
        return count

    def exact(
        self, queries: Sequence[Query], native: Sequence[Clause], limit: int, wanted: Sequence[str]
    ) -> list[list[Stored]]:
        """Compare dense queries with every document that passes: for what kNN cannot promise."""
        best: list[list[tuple[float, int, Mapping[str, Any]]]] = [[] for _ in queries]
        fields = [*wanted, VECTOR] if VECTOR not in wanted else list(wanted)
        position = 0
        for page in self.scan(native, fields, 1_000):
            hits = [hit for hit in page if (hit.get("_source") or {}).get(VECTOR)]
            if not hits:
                continue
            matrix = np.array([vector_of(hit["_source"]) for hit in hits], dtype=np.float64)
            for heap, query in zip(best, queries, strict=True):
                scores = exact_scores(matrix, np.asarray(query.vector), self._metric)
                for offset, (score, hit) in enumerate(zip(scores, hits, strict=True)):
                    entry = (float(score), -(position + offset), hit)
                    if len(heap) < limit:
                        heapq.heappush(heap, entry)
                    else:
                        heapq.heappushpop(heap, entry)
            position += len(hits)
        keep = VECTOR in wanted
        ranked = [
            [stored_of(hit, score=score) for score, _, hit in sorted(heap, reverse=True)] for heap in best
        ]
        return ranked if keep else [[replace(stored, vector=None) for stored in found] for found in ranked]


def _hits(answer: Mapping[str, Any]) -> Hits:
    hits: Hits = answer["hits"]["hits"]
    return hits
