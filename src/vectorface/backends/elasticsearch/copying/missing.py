"""Which documents one index has and another lacks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from vectorface.backends.elasticsearch.paging import pages
from vectorface.backends.elasticsearch.server import Server, path_of

_PAGE: Final = 5_000
_IDS: Final = {"_source": False, "sort": ["_shard_doc"]}


def missing(server: Server, source: str, dest: str, *, window: int) -> Iterator[list[str]]:
    """Yield the ids of the documents that ``source`` has and ``dest`` lacks, in pages.

    All are known before the first page comes: whoever copies it may take longer than a point in time lasts.

    Args:
        server: Where both are.
        source: The index whose ids are read, as it is now.
        dest: The index that is looked into.
        window: How many hits a page of the source shows at most.
    """
    server.request("POST", path_of(dest, "_refresh"), doing=f"refreshing index {dest!r}")
    found: list[str] = []
    for hits in pages(server, partial(server.to_index, source), _IDS, name=source, size=min(_PAGE, window)):
        answer = server.request(
            "POST",
            path_of(dest, "_mget"),
            params={"_source": False},
            body={"ids": [hit["_id"] for hit in hits]},
            doing=f"looking what index {dest!r} lacks",
        )
        found += [one["_id"] for one in answer["docs"] if not one.get("found")]
    for start in range(0, len(found), _PAGE):
        yield found[start : start + _PAGE]
