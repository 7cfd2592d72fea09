"""The store that ``from_texts`` and ``from_documents`` write to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vectorface.connecting import connect
from vectorface.errors import ConfigurationError, NotConnectedError

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from vectorface.interface import VectorDBInterface

_IN_MEMORY = "memory:vectorface"


@contextmanager
def opened(
    *, store: VectorDBInterface | None, url: str | None, embedding: Embeddings | None
) -> Iterator[VectorDBInterface]:
    """Open the store that is asked for, and leave it open; if the body raises, close what was opened.

    Args:
        store: A store, connected or not yet.
        url: A URL for ``vectorface.connect``; without store and URL the store is in memory.
        embedding: What to embed with; ``None`` for the store's own, or the default model.

    Raises:
        ConfigurationError: There are both a store and a URL, or the store embeds with something else.
    """
    if store is not None and url is not None:
        raise ConfigurationError("Pass store= or url=, not both.")
    if store is not None and _is_connected(_agreed(store, embedding)):
        yield store
        return
    target = _connected(store) if store is not None else _from_url(url or _IN_MEMORY, embedding)
    try:
        yield target
    except BaseException:
        target.close()
        raise


def _agreed(store: VectorDBInterface, embedding: Embeddings | None) -> VectorDBInterface:
    own = embeddings_of(store)
    if embedding is not None and embedding != own:
        raise ConfigurationError(
            f"The store embeds with {type(own).__name__}, not with the {type(embedding).__name__} passed "
            "here; pass the same object to both, or embedding=None for the store's own."
        )
    return store


def embeddings_of(store: VectorDBInterface) -> Embeddings | None:
    """Return the embedding function of a store; ``None`` if it works without one."""
    embeddings: Embeddings | None = getattr(store.encoder, "embeddings", None)
    return embeddings


def _is_connected(store: VectorDBInterface) -> bool:
    try:
        return bool(store.index)
    except NotConnectedError:
        return False


def _connected(store: Any) -> VectorDBInterface:
    connected: VectorDBInterface = store.connect()
    return connected


def _from_url(url: str, embedding: Embeddings | None) -> VectorDBInterface:
    return connect(url) if embedding is None else connect(url, embeddings=embedding)
