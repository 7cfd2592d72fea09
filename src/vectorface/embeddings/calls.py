"""Call any embedding, and let nothing through that a store could not keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from vectorface.embeddings._arrays import FloatArray
from vectorface.embeddings._texts import check_texts
from vectorface.embeddings.identity import identify
from vectorface.errors import EmbeddingError


class Embedder(Protocol):
    """What vectorface needs of an embedding; every LangChain ``Embeddings`` has it."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector for each text."""
        ...

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a search text."""
        ...


@runtime_checkable
class ArrayEmbedder(Protocol):
    """An embedding that can skip Python lists."""

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """Return the vectors of documents, shape (n, d)."""
        ...


def embed_texts(embeddings: Embedder, texts: Sequence[str]) -> FloatArray:
    """Embed documents in one call and check what comes back.

    ``embed_array`` is called where the object offers it, else ``embed_documents``. Without texts the
    object is not called. What the object itself raises (a time-out, say) passes unchanged.

    Args:
        embeddings: The embedding to call.
        texts: The texts of the documents.

    Returns:
        A float32 array of shape (n, d), row i for text i; (0, d) without texts, where d is 0 if unknown.

    Raises:
        InvalidInputError: ``texts`` is one string, or holds something that is not text.
        EmbeddingError: There is not exactly one vector for each text, the vectors differ in length, or
            one holds something other than finite 32-bit numbers. The message names its position.

    >>> from langchain_core.embeddings import DeterministicFakeEmbedding
    >>> embed_texts(DeterministicFakeEmbedding(size=6), ["a lamp", "a keeper"]).shape
    (2, 6)
    """
    check_texts(texts)
    if not len(texts):
        return np.empty((0, identify(embeddings).dimension or 0), dtype=np.float32)
    if isinstance(embeddings, ArrayEmbedder):
        return _checked(embeddings.embed_array(texts), len(texts), embeddings)
    return _checked(embeddings.embed_documents(list(texts)), len(texts), embeddings)


def embed_query(embeddings: Embedder, text: str) -> FloatArray:
    """Embed a search text and check what comes back.

    Args:
        embeddings: The embedding to call; always its ``embed_query``, since some models treat questions
            and documents differently.
        text: The search text.

    Returns:
        A float32 array of shape (d,).

    Raises:
        InvalidInputError: ``text`` is not text.
        EmbeddingError: What comes back is not one vector of finite 32-bit numbers.

    >>> from langchain_core.embeddings import DeterministicFakeEmbedding
    >>> embed_query(DeterministicFakeEmbedding(size=6), "who lit the lamp?").shape
    (6,)
    """
    check_texts([text])
    vector: FloatArray = _checked([embeddings.embed_query(text)], 1, embeddings)[0]
    return vector


def concurrency(embeddings: object) -> int | None:
    """Return how many calls at the same time pay.

    Returns:
        The object's ``max_concurrency`` where that is a positive int; else ``None``, and the caller decides.

    >>> from vectorface.embeddings import MiniLM
    >>> concurrency(MiniLM())
    2
    """
    own = getattr(embeddings, "max_concurrency", None)
    return own if type(own) is int and own > 0 else None


def _checked(vectors: Any, expected: int, embeddings: object) -> FloatArray:
    if not hasattr(vectors, "__len__"):
        raise _error(embeddings, f"{_kind(vectors)} where a list of {expected} vectors belongs")
    if len(vectors) != expected:
        raise _error(embeddings, f"{len(vectors)} vectors for {expected} texts")
    array = _as_float32(vectors)
    if array is None or not np.isfinite(array).all():
        raise _error(embeddings, f"something that is not a vector: {_fault(vectors)}")
    return array


def _error(embeddings: object, what: str) -> EmbeddingError:
    return EmbeddingError(f"{identify(embeddings).name} returned {what}.")


def _as_float32(vectors: Any) -> FloatArray | None:
    """Return an array of shape (n, d), d > 0, or ``None`` where the vectors do not form one."""
    try:
        array = np.asarray(vectors)
    except (TypeError, ValueError):  # rows of different lengths
        return None
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":  # noqa: PLR2004 - a matrix
        return None
    with np.errstate(over="ignore"):  # too large for 32 bits becomes infinite, which the caller refuses
        return np.ascontiguousarray(array, dtype=np.float32)


def _fault(vectors: Any) -> str:
    """Name the first vector that is at fault; only called when one is."""
    width = 0
    for position, vector in enumerate(vectors):
        row = _as_float32([vector])
        if row is None:
            return f"at position {position} is {_kind(vector)}, not a non-empty list of numbers"
        if not np.isfinite(row).all():
            component = int(np.flatnonzero(~np.isfinite(row[0]))[0])
            return f"number {component} at position {position} is NaN or infinite (as a 32-bit float)"
        width = width or row.size
        if row.size != width:
            return f"at position {position} are {row.size} numbers, at position 0 there are {width}"
    return f"all together they are {_kind(vectors)}"


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple) and value:
        return f"a {type(value).__name__} of {type(value[0]).__name__}"
    return "None" if value is None else f"of type {type(value).__name__}"
