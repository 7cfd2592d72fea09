"""An embedding for tests: no model, no randomness, and similar texts are near."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from langchain_core.embeddings import Embeddings

from vectorface.embeddings import EmbeddingIdentity

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Numbers of a vector; one byte of the longest blake2b each.
DIMENSION: Final = 64


class WordEmbeddings(Embeddings):
    """Texts that share words are near: a text's vector is the sum of its words' vectors.

    A word's vector is its hash, read as numbers between -1 and 1, so the words of a language are nearly
    at right angles to each other and every run gives the same vectors. Case does not count, and a text
    without words counts as one word.

    Args:
        name: Its name in fingerprints; embeddings of different names do not mix in an index.

    Example:
        >>> lamp, lamps, ferry = WordEmbeddings().embed_documents(
        ...     ["Nan lit the lamp.", "The lamp was lit.", "A late ferry"]
        ... )
        >>> bool(np.dot(lamp, lamps) > np.dot(lamp, ferry))
        True
    """

    def __init__(self, name: str = "words") -> None:
        self.identity = EmbeddingIdentity(name=name, dimension=DIMENSION)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector for each text."""
        return [_vector(text).tolist() for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return the same vector as for a document with this text."""
        return [float(number) for number in _vector(text)]

    def embed_array(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of documents, shape (n, 64), without detour over lists."""
        return np.array([_vector(text) for text in texts], dtype=np.float32)


def _vector(text: str) -> NDArray[np.float32]:
    words = re.findall(r"\w+", text.lower()) or [text]
    total: NDArray[Any] = np.sum([_word_vector(word) for word in words], axis=0)
    return total.astype(np.float32)


@lru_cache(maxsize=10_000)
def _word_vector(word: str) -> NDArray[np.float64]:
    digest = hashlib.blake2b(word.encode(), digest_size=DIMENSION).digest()
    return np.frombuffer(digest, np.uint8) / 127.5 - 1
