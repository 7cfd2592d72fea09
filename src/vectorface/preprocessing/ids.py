"""Ids that the same chunk has in every run."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable

from langchain_core.documents import Document  # noqa: TC002 - the doctest needs it


def identified(chunks: Iterable[Document]) -> list[Document]:
    """Give each chunk the id that it has in every run.

    The id is the sha256, in 64 hex digits, of source, chapter and content, and of how many chunks before it
    have these in common; positions are not part of it, so text added elsewhere does not change it.

    Args:
        chunks: Documents with ``source`` and ``chapter`` in their metadata.

    Returns:
        Copies with ids, in the same order; no two ids are alike.

    Example:
        >>> chunk = Document(page_content="It was dark.", metadata={"source": "The Lamp", "chapter": 1})
        >>> [chunk.id[:8] for chunk in identified([chunk, chunk])]
        ['3a5cff64', 'dfba12e7']
    """
    seen: Counter[str] = Counter()
    found: list[Document] = []
    for chunk in chunks:
        key = _key(chunk)
        found.append(chunk.model_copy(update={"id": _digest(key, seen[key])}))
        seen[key] += 1
    return found


def _key(chunk: Document) -> str:
    source = chunk.metadata["source"]
    name = None if source is None else str(source)
    return json.dumps([name, chunk.metadata["chapter"], chunk.page_content], default=str)


def _digest(key: str, occurrence: int) -> str:
    return hashlib.sha256(f"{key}{occurrence}".encode()).hexdigest()
