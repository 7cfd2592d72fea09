"""Putting chunks together again into the text they were cut from.

A splitter leaves two riddles at each seam between chunks: how much of the next chunk repeats the end of this
one (:mod:`~vectorface.preprocessing.overlaps`), and which blanks it stripped
(:mod:`~vectorface.preprocessing.joints`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.documents import Document  # noqa: TC002 - the doctest needs it

from vectorface.preprocessing.joints import Joints
from vectorface.preprocessing.overlaps import overlaps_of
from vectorface.preprocessing.rules import Rule


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a document lies in the stitched text; pieces overlap where the documents did."""

    start: int
    end: int
    document: Document


def stitch(documents: Sequence[Document], rule: Rule, *, split: bool) -> tuple[str, tuple[Piece, ...]]:
    r"""Put documents together into one text.

    Args:
        documents: Chunks of one text in order, or its pages; none is empty.
        rule: What a heading looks like, so that one that was cut in two is made whole.
        split: Whether they are chunks, which may overlap and have lost blanks at their ends.

    Returns:
        The text, and where each document lies in it.

    Example:
        >>> from vectorface.preprocessing.headings import find_headings
        >>> from vectorface.preprocessing.rules import rule_for
        >>> chunks = [Document(page_content=text) for text in ("So it was.\n[ Chap", "ter 2 ]")]
        >>> stitch(chunks, rule_for(find_headings), split=True)[0]
        'So it was.\n[ Chapter 2 ]'
    """
    texts = [document.page_content for document in documents]
    joints = Joints.for_texts(texts, rule, split=split)
    overlaps = [0, *(overlaps_of(documents, rule) if split else [0] * len(texts[1:]))]
    parts: list[str] = []
    pieces: list[Piece] = []
    end = 0
    for index, (document, overlap) in enumerate(zip(documents, overlaps, strict=False)):
        joint = ""
        if index and not overlap:
            joint = joints.between(texts[index - 1], texts[index], last=index == len(texts) - 1)
        start = end + len(joint) - overlap
        end = start + len(texts[index])
        parts += [joint, texts[index][overlap:]]
        pieces.append(Piece(start, end, document))
    return "".join(parts), tuple(pieces)
