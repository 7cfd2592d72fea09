"""An embedding whose scores can be worked out in one's head, and documents to go with it."""

from __future__ import annotations

import math
import re

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings


class Compass(Embeddings):
    """The last whole number of a text is a bearing in degrees, and its vector the unit vector that way.

    So the cosine of two texts is the cosine of the angle between their bearings.
    """

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        bearing = math.radians(int(re.findall(r"\d+", text)[-1]))
        return [math.cos(bearing), math.sin(bearing)]


def towards(bearing: int, **metadata: object) -> Document:
    """Return a document with a bearing, named after it."""
    return Document(id=f"d{bearing}", page_content=f"a boat on course {bearing}", metadata=metadata)


def bearings(documents: list[Document]) -> list[int]:
    """Return which of them were found, in order."""
    return [int(str(document.id).removeprefix("d")) for document in documents]
