"""How many requests came, by method and kind of path, so that round trips can be counted."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.elastic.gateway.wire import Call

_WORDS: Final = frozenset(
    "trained_models deployment cache vocabulary definition model_aliases pipeline api_key stats health state "
    "memory info sparse_embedding text_embedding settings local scroll query template".split()
)


class Counters:
    """Counts requests; ``GET /_gateway/counters``."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()

    def count(self, call: Call) -> None:
        self.requests[kind(call)] += 1


def kind(call: Call) -> str:
    """Return ``METHOD /path`` with a star for each name: ``POST /*/_bulk``."""
    parts = call.path.strip("/").split("/")
    kept = [part if part.startswith("_") or part in _WORDS else "*" for part in parts if part]
    return f"{call.method} /{'/'.join(kept)}"
