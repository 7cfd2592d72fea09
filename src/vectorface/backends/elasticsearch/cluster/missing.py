"""Which documents one index has and another lacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.errors import VectorfaceError

_PAGE: Final = 5_000
_KEEP_ALIVE: Final = "5m"


def missing(server: Server, source: str, dest: str) -> Iterator[list[str]]:
    """Yield the ids of the documents that ``source`` has and ``dest`` lacks, in pages.

    All are known before the first page comes: whoever copies it may take longer than a point in time lasts.

    Args:
        server: Where both are.
        source: The index whose ids are read, as it is now.
        dest: The index that is looked into.
    """
    server.request("POST", path_of(dest, "_refresh"), doing=f"refreshing index {dest!r}")
    found: list[str] = []
    for ids in _ids(server, source):
        answer = server.request(
            "POST",
            path_of(dest, "_mget"),
            params={"_source": False},
            body={"ids": ids},
            doing=f"looking what index {dest!r} lacks",
        )
        found += [one["_id"] for one in answer["docs"] if not one.get("found")]
    for start in range(0, len(found), _PAGE):
        yield found[start : start + _PAGE]


def _ids(server: Server, index: str) -> Iterator[list[str]]:
    """Yield all ids of an index at one point in time, in pages."""
    doing = f"reading the ids of index {index!r}"
    opened = server.request("POST", path_of(index, "_pit"), params={"keep_alive": _KEEP_ALIVE}, doing=doing)
    pit = {"id": opened["id"], "keep_alive": _KEEP_ALIVE}
    body: dict[str, Any] = {"size": _PAGE, "_source": False, "track_total_hits": False}
    body |= {"pit": pit, "sort": ["_shard_doc"]}
    try:
        while True:
            answer = server.request("POST", "/_search", body=body, doing=doing)
            pit["id"] = answer.get("pit_id", pit["id"])  # it may change on the way
            hits = answer["hits"]["hits"]
            if not hits:
                return
            yield [hit["_id"] for hit in hits]
            body["search_after"] = hits[-1]["sort"]
    finally:
        with suppress(VectorfaceError):  # it ends by itself, and another error may be under way
            server.request("DELETE", "/_pit", body={"id": pit["id"]}, doing=doing)
