"""Which documents one index has and another lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vectorface.backends.elasticsearch.server import Server, path_of

_PAGE: Final = 5_000
_KEEP_ALIVE: Final = "5m"


def missing(server: Server, source: str, dest: str) -> Iterator[list[str]]:
    """Yield the ids of the documents that ``source`` has and ``dest`` lacks, in pages.

    Args:
        server: Where both are.
        source: The index whose ids are read, as it is now.
        dest: The index that is looked into.
    """
    server.request("POST", path_of(dest, "_refresh"), doing=f"refreshing index {dest!r}")
    for ids in _ids(server, source):
        answer = server.request(
            "POST",
            path_of(dest, "_mget"),
            params={"_source": False},
            body={"ids": ids},
            doing=f"looking what index {dest!r} lacks",
        )
        lacking = [one["_id"] for one in answer["docs"] if not one.get("found")]
        if lacking:
            yield lacking


def _ids(server: Server, index: str) -> Iterator[list[str]]:
    """Yield all ids of an index at one point in time, in pages."""
    doing = f"reading the ids of index {index!r}"
    opened = server.request("POST", path_of(index, "_pit"), params={"keep_alive": _KEEP_ALIVE}, doing=doing)
    body = {
        "size": _PAGE,
        "_source": False,
        "track_total_hits": False,
        "pit": {"id": opened["id"], "keep_alive": _KEEP_ALIVE},
        "sort": ["_shard_doc"],
    }
    try:
        while hits := server.request("POST", "/_search", body=body, doing=doing)["hits"]["hits"]:
            yield [hit["_id"] for hit in hits]
            body["search_after"] = hits[-1]["sort"]
    finally:
        server.request("DELETE", "/_pit", body={"id": opened["id"]}, doing=doing)
