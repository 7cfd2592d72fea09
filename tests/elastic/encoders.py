"""Token weights for tests: no model, no randomness."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from vectorface.embeddings import EmbeddingIdentity


class WordWeights:
    """Each word is a token; how often it occurs is its weight."""

    identity = EmbeddingIdentity(name="word weights")

    def embed_documents(self, texts: list[str]) -> Sequence[dict[str, float]]:
        """Return the weights of each text's words, relative to its length."""
        return [_weights(text) for text in texts]

    def embed_query(self, text: str) -> dict[str, float]:
        """Return the same weights as for a document."""
        return _weights(text)


def _weights(text: str) -> dict[str, float]:
    words = Counter(re.findall(r"\w+", text.lower()) or [text])
    length = sum(count * count for count in words.values()) ** 0.5
    return {word: count / length for word, count in words.items()}
