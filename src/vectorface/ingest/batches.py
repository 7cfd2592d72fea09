"""Windows of documents cut into batches that a request can hold."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from vectorface.documents import Prepared
from vectorface.ingest.writer import Limits


def batches(
    window: Sequence[Prepared], *, size: int, limits: Limits, dimension: int | None
) -> Iterator[list[Prepared]]:
    """Cut a window into batches bounded by count and bytes, documents of like length together.

    An embedding model pads every text of a batch to the longest one, so sorting saves work. Within a batch
    the documents keep their order.
    """
    batch: list[int] = []
    filled = 0
    most = min(size, limits.max_documents)
    for place in sorted(range(len(window)), key=lambda place: len(window[place].text)):
        bytes_ = limits.size(window[place], dimension)
        if batch and (len(batch) >= most or filled + bytes_ > limits.max_bytes):
            yield _in_order(window, batch)
            batch, filled = [], 0
        batch.append(place)
        filled += bytes_
    if batch:
        yield _in_order(window, batch)


def _in_order(window: Sequence[Prepared], places: Sequence[int]) -> list[Prepared]:
    return [window[place] for place in sorted(places)]


#: Some 4 MB.
_IN_MEMORY: Final = 20_000


class SeenIds:
    """Remembers the documents of a run, in bounded memory.

    It keeps two short hashes of each: the latest in memory, those before in a temporary SQLite database,
    which spills to disk, so that an input of any length can be checked for repetitions.

    Args:
        in_memory: How many are kept in memory.
    """

    def __init__(self, *, in_memory: int = _IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._latest: dict[bytes, bytes] = {}
        self._db: sqlite3.Connection | None = None

    def check(self, document: Prepared) -> Literal["new", "same", "conflict"]:
        """Tell whether the id is new to the run, or stands for the same or for another document."""
        key, identity = _short(document.id), _short("".join(document.identity))
        known = self._latest.get(key) or self._before(key)
        if known is not None:
            return "same" if known == identity else "conflict"
        self._latest[key] = identity
        if len(self._latest) >= self._in_memory:
            self._put_away()
        return "new"

    def _before(self, key: bytes) -> bytes | None:
        if self._db is None:
            return None
        row = self._db.execute("SELECT identity FROM seen WHERE id = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _put_away(self) -> None:
        if self._db is None:
            self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._db.execute("CREATE TABLE seen (id BLOB PRIMARY KEY, identity BLOB) WITHOUT ROWID")
            self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO seen VALUES (?, ?)", self._latest.items())
        self._latest.clear()

    def close(self) -> None:
        """Forget all of them."""
        self._latest.clear()
        if self._db is not None:
            self._db.close()


def _short(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
