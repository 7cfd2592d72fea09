"""Whether one book holds the beginning of another: then two were given where one was meant.

The chapters of a book are read from all of its text together, so a second book's are lost or mixed up with
the first one's. Each text, read alone, says whether it counts from the beginning again. Pages and chunks say
less than whole texts, so more is asked of them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from vectorface.preprocessing.headings import Heading
from vectorface.preprocessing.rules import Rule
from vectorface.preprocessing.styles import PART_WORDS, STRONG

_PART: Final = re.compile(
    rf"\W*(?:(?:the|end|of)\s+)*(?:\w+\s+)?(?:{PART_WORDS})\b.{{0,60}}|第.{{1,4}}[部卷篇集].*", re.IGNORECASE
)
_LINES_WITH_PART: Final = 3  # the part, its title, a motto


@dataclass(frozen=True, slots=True)
class Beginning:
    """A text that begins its chapters anew.

    Attributes:
        index: Which of the texts it is.
        number: The number that it begins with.
        reached: The number that the texts before it reached.
    """

    index: int
    number: int
    reached: int


def find_beginnings(
    text: str, spans: Sequence[tuple[int, int]], chapters: Iterable[Heading], rule: Rule, *, longest_page: int
) -> Iterator[Beginning]:
    r"""Find the texts that begin another book.

    Args:
        text: The book as it was put together.
        spans: Where each text lies in it.
        chapters: The headings found in the whole book.
        rule: What a heading looks like.
        longest_page: How long a text may be and still be a page or a chunk.

    Yields:
        The texts whose own chapters begin at or below the number reached before.

    Example:
        >>> from vectorface.preprocessing.headings import find_headings
        >>> from vectorface.preprocessing.rules import rule_for
        >>> rule, text = rule_for(find_headings), "Chapter 1\n\nAaa\n\nChapter 2\n\nBbb\n\nChapter 1\n\nCcc"
        >>> list(find_beginnings(text, [(0, 32), (32, 46)], find_headings(text), rule, longest_page=999))
        [Beginning(index=1, number=1, reached=2)]
    """
    known = [chapter for chapter in chapters if chapter.number is not None]
    reached, began = 0, False
    for index, (start, end) in enumerate(spans):
        own = rule.count(text[start:end])
        here = known[_rank(known, start) : _rank(known, end)]
        whole = end - start > longest_page
        if own and not _goes_on(here, own[0].start + start, reached):
            number = own[0].number or 0
            if number <= reached and (
                whole or _page_begins_book(text, start, own, rule, reached, began=began)
            ):
                yield Beginning(index, number, reached)
        began = began or _counts_from_one(own)
        if here or (own and whole):
            reached = (here or own)[-1].number or 0


def _rank(chapters: Sequence[Heading], position: int) -> int:
    return bisect_left(chapters, position, key=lambda chapter: chapter.start)


def _goes_on(here: Sequence[Heading], first: int, reached: int) -> bool:
    """Say whether the book's next chapter begins here: what the text counts within it is its own affair."""
    return bool(here) and here[0].start <= first and (here[0].number or 0) > reached


def _page_begins_book(
    text: str, start: int, own: Sequence[Heading], rule: Rule, reached: int, *, began: bool
) -> bool:
    """Say whether a page begins a book, which a running head, a list of notes or a new part does not."""
    first = start + own[0].start
    clear = rule.mark(text[first : start + own[0].end]).clarity >= STRONG
    if not clear or (own[0].number or 0) > 1 or reached <= 1 or _follows_part(text[:first]):
        return False
    return not text[start:first].strip() or (began and _counts_from_one(own))


def _counts_from_one(own: Sequence[Heading]) -> bool:
    return [heading.number for heading in own[:2]] == [1, 2]


def _follows_part(before: str) -> bool:
    lines = [line for line in before[-500:].splitlines() if line.strip()]
    return any(_PART.fullmatch(line.strip()) for line in lines[-_LINES_WITH_PART:])
