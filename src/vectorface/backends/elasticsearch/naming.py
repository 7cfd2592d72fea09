"""The strategies that a URL can name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from vectorface.backends.elasticsearch.expansion import Elser
from vectorface.backends.elasticsearch.hybrid import Hybrid
from vectorface.backends.elasticsearch.strategies import BM25, Dense, Strategy
from vectorface.encoding import EmbeddingsLike
from vectorface.errors import ConfigurationError

#: As the entry points of the package name them.
_STRATEGIES: Final[Mapping[str, Callable[[EmbeddingsLike], Strategy]]] = {
    "dense": Dense,
    "elser": lambda _: Elser(),
    "bm25": lambda _: BM25(),
    "hybrid": lambda embeddings: Hybrid(Dense(embeddings), BM25()),
}


def named_strategy(name: str, embeddings: EmbeddingsLike) -> Strategy:
    """Return the strategy of a URL ``elasticsearch+NAME://…``; those that make none leave embeddings alone.

    Raises:
        ConfigurationError: There is none of this name.

    Example:
        >>> named_strategy("hybrid", None).name
        'hybrid(dense+bm25)'
    """
    if name not in _STRATEGIES:
        known = ", ".join(f"elasticsearch+{known}://" for known in _STRATEGIES)
        raise ConfigurationError(
            f"{name!r} is no strategy that a URL can name; use {known} or a store's own."
        )
    return _STRATEGIES[name](embeddings)
