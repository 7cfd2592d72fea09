"""The index that a store works with, as it was a moment ago."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from vectorface.backends.elasticsearch import indexes
from vectorface.backends.elasticsearch.layout import Layout
from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import IndexNotFoundError

#: Seconds for which an index is taken to be as it was when it was looked at.
_FRESH: Final = 2.0


class Current:
    """An index, and how it is laid out: an alias may lead elsewhere by now, to one with another layout.

    Args:
        server: Where it is.
        check: Raises if a layout is not one that the store can work with.
        seen: How it is laid out, looked up and checked a moment ago.
    """

    def __init__(self, server: Server, seen: Layout, *, check: Callable[[Layout], None]) -> None:
        self.server = server
        self.name = seen.info.name
        self._text_field = seen.text
        self._check = check
        self._seen: Layout | None = seen
        self._looked = monotonic()

    def look(self) -> Layout:
        """Return how it is laid out in this very moment, whatever it is."""
        return indexes.look_up(self.server, self.name, text_field=self._text_field)

    @property
    def layout(self) -> Layout:
        """How it is laid out; looked up, and checked if it is another, when it was not for a moment."""
        seen = self._seen
        if seen is not None and monotonic() - self._looked <= _FRESH:
            return seen
        layout = self.look()
        if layout != seen:
            self._check(layout)
        self._seen, self._looked = layout, monotonic()
        return layout

    def forget(self) -> None:
        """Look again next time: there may be another one of this name by then."""
        self._seen = None

    def request(self, method: str, api: str, *, doing: str, **options: Any) -> Any:
        """Send a request to it."""
        try:
            return self.server.to_index(self.name, method, api, doing=doing, **options)
        except IndexNotFoundError:
            self.forget()
            raise
