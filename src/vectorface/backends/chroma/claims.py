"""Documents in the middle of being written: nobody else of this store touches them meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Claims:
    """Lets one thread at a time write a document; different documents do not wait for each other.

    A write to Chroma is two requests, since it has to know the old metadata: two writes of one document at
    the same time would mix their keys.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._changed = threading.Condition()

    @contextmanager
    def on(self, ids: Iterable[str]) -> Iterator[None]:
        """Hold the documents of these ids, waiting for whoever holds one of them."""
        wanted = set(ids)
        with self._changed:
            self._changed.wait_for(lambda: self._taken.isdisjoint(wanted))
            self._taken |= wanted
        try:
            yield
        finally:
            with self._changed:
                self._taken -= wanted
                self._changed.notify_all()
