"""How much of a chunk repeats the end of the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from langchain_core.documents import Document  # noqa: TC002 - the doctest needs it

from vectorface.preprocessing.rules import Rule

#: Blanks that a splitter counted and stripped: two before the text, one between it and the next.
STRIPPED: Final = 3
_TELLING: Final = 16  # so many characters are rarely repeated by chance
_TELLING_SHARE: Final = 0.03
_LONGEST: Final = 8192
_LINE_END: Final = 2


def start_index(document: Document) -> int | None:
    """Return the document's own ``start_index`` if it is one (splitters write -1 where they lost it).

    Example:
        >>> start_index(Document(page_content="", metadata={"start_index": 7}))
        7
    """
    index = document.metadata.get("start_index")
    return index if type(index) is int and index >= 0 else None


def fits(before: str, more: str, limit: int) -> bool:
    """Say whether a splitter would have put ``more`` into the chunk ``before``.

    Example:
        >>> fits("The old", "lamp", 14), fits("The old", "lamp", 13)
        (True, False)
    """
    return len(before) + STRIPPED + len(more) <= limit


def overlaps_of(documents: Sequence[Document], rule: Rule) -> list[int]:
    """Find the overlap at each seam between chunks: told by ``start_index`` where the texts bear it out.

    Args:
        documents: Chunks of one text, in order.
        rule: What a heading looks like.

    Returns:
        One number less than documents.

    Example:
        >>> from vectorface.preprocessing.rules import rule_for
        >>> chunks = [Document(page_content="a b", metadata={"start_index": 0}),
        ...           Document(page_content="b c", metadata={"start_index": 2})]
        >>> overlaps_of(chunks, rule_for(None))
        [1]
    """
    found = find_overlaps([document.page_content for document in documents], rule)
    seams = zip(pairwise(documents), found, strict=True)
    return [_declared(before, after, overlap) for (before, after), overlap in seams]


def find_overlaps(texts: Sequence[str], rule: Rule) -> list[int]:
    """Find how many characters of each text repeat the end of the one before.

    Repetitions happen by chance, so they count only where the texts show that their splitter overlaps: by
    repeating a heading, or much, or as much each time, or what would have fitted into the chunk before.

    Args:
        texts: Chunks in order.
        rule: What a heading looks like.

    Returns:
        The overlap at each seam; one number less than texts.

    Example:
        >>> from vectorface.preprocessing.rules import rule_for
        >>> find_overlaps(["The old lamp was dark, dark", "lamp was dark, dark and cold"], rule_for(None))
        [19]
    """
    found = [_repetition(before, after) for before, after in pairwise(texts)]
    regular = _regular(found)
    seams = list(zip(pairwise(texts), found, strict=True))
    telling = sum(overlap >= _TELLING for overlap in found) > _TELLING_SHARE * len(found)
    limit = max(map(len, texts), default=0)
    if not (telling or regular or any(_is_certain(*seam, overlap, rule, limit) for seam, overlap in seams)):
        return [0] * len(found)
    return [
        overlap if overlap <= regular or overlap >= _TELLING or _is_words(before, after, overlap) else 0
        for (before, after), overlap in seams
    ]


def _repetition(before: str, after: str) -> int:
    """Measure the longest end of ``before`` that ``after`` begins with and goes beyond."""
    window = min(len(before), len(after) - 1, _LONGEST)
    tail = before[len(before) - window :]
    position = tail.find(after[:1])
    while position >= 0:
        if after.startswith(tail[position:]):
            return window - position
        position = tail.find(after[:1], position + 1)
    return 0


def _regular(found: Sequence[int]) -> int:
    """Return the overlap that most seams have, to the character, as a cutter of fixed lengths makes it."""
    ((usual, times),) = Counter(found).most_common(1) or [(0, 0)]
    return usual if times > 1 and 2 * times > len(found) else 0


def _is_certain(before: str, after: str, overlap: int, rule: Rule, limit: int) -> bool:
    """Say whether this repetition is no chance: a heading, or what would have been in the chunk before."""
    if not overlap or not _is_words(before, after, overlap):
        return False
    repeated = after[:overlap]
    return fits(before, repeated, limit) or bool(rule.mark(repeated.rpartition("\n")[2]))


def _is_words(before: str, after: str, overlap: int) -> bool:
    """Say whether the repetition begins and ends with a word."""
    cut_left = overlap < len(before) and before[-overlap - 1].isalnum() and before[-overlap].isalnum()
    return not cut_left and not (after[overlap - 1].isalnum() and after[overlap].isalnum())


def _declared(before: Document, after: Document, found: int) -> int:
    """Believe ``start_index`` where the texts bear it out, else what was found."""
    start, following = start_index(before), start_index(after)
    if start is None or following is None or following <= start:
        return found
    declared = start + len(before.page_content) - following
    if -_LINE_END <= declared <= 0:
        return 0  # nothing, or the blanks of one line end, lay between
    overlaps = 0 < declared < len(after.page_content) and before.page_content.endswith(
        after.page_content[:declared]
    )
    return declared if overlaps else found
