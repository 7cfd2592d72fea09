"""All hits of a search, page by page, at one moment of the index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol, TypeAlias

from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import VectorfaceError

Hits: TypeAlias = Sequence[Mapping[str, Any]]

#: How long a server keeps that moment between two pages.
_KEEP_ALIVE: Final = "5m"
#: An answer that lacks a shard's documents is an error, not an answer.
WHOLE: Final = {"allow_partial_search_results": False}


class Request(Protocol):
    """Sends a request to one index."""

    def __call__(self, method: str, api: str, *, doing: str, **options: Any) -> Any:
        """Return the decoded answer."""
        ...


def pages(
    server: Server, request: Request, body: Mapping[str, Any], *, name: str, size: int
) -> Iterator[Hits]:
    """Yield what a search finds in pages of ``size``.

    Args:
        server: Sends requests that name no index.
        request: Sends those to the index.
        body: The search; its ``sort`` has to tell any two documents apart.
        name: Of the index, for messages.
        size: How many hits a page holds.
    """
    with _moment(server, request) as ids:
        full = {**body, "size": size, "track_total_hits": False}
        while True:
            full["pit"] = {"id": ids[-1], "keep_alive": _KEEP_ALIVE}
            doing = f"reading index {name!r}"
            answer = server.request("POST", "/_search", body=full, params=WHOLE, doing=doing)
            ids.append(answer.get("pit_id", ids[-1]))
            hits = hits_of(answer)
            if hits:
                yield hits
            if len(hits) < size:
                return
            full["search_after"] = hits[-1]["sort"]


@contextmanager
def _moment(server: Server, request: Request) -> Iterator[list[str]]:
    """Hold on to the index as it is now; yield the ids of that moment, the newest last."""
    answer = request("POST", "_pit", params={"keep_alive": _KEEP_ALIVE}, doing="reading")
    ids = [answer["id"]]
    try:
        yield ids
    finally:
        with suppress(VectorfaceError):  # it ends by itself, a little later
            server.request("DELETE", "/_pit", body={"id": ids[-1]}, doing="ending a scan")


def hits_of(answer: Mapping[str, Any]) -> Hits:
    """Return the hits of an answer to a search."""
    hits: Hits = answer["hits"]["hits"]
    return hits
