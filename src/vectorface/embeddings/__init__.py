"""Texts to vectors: the default model, an adapter for sentence-transformers, and checks around any other.

Importing this package loads neither numpy nor a model; each name loads its own module when it is first used.

>>> from vectorface.embeddings import MiniLM, embed_texts
>>> embed_texts(MiniLM(), ["who lit the lamp?", "a keeper of the light"]).shape
(2, 384)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vectorface.embeddings.calls import Embedder, concurrency, embed_query, embed_texts
    from vectorface.embeddings.identity import EmbeddingIdentity, identify
    from vectorface.embeddings.minilm import MiniLM, TruncationWarning
    from vectorface.embeddings.sentence_transformers import SentenceTransformerEmbeddings
    from vectorface.embeddings.splade import SpladeEmbeddings

__all__ = [
    "Embedder",
    "EmbeddingIdentity",
    "MiniLM",
    "SentenceTransformerEmbeddings",
    "SpladeEmbeddings",
    "TruncationWarning",
    "concurrency",
    "embed_query",
    "embed_texts",
    "identify",
]

_HOMES: Final = {
    "calls": ("Embedder", "concurrency", "embed_query", "embed_texts"),
    "identity": ("EmbeddingIdentity", "identify"),
    "minilm": ("MiniLM", "TruncationWarning"),
    "sentence_transformers": ("SentenceTransformerEmbeddings",),
    "splade": ("SpladeEmbeddings",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
