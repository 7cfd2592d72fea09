"""The outline of a book: its chapters, and what lies outside them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from vectorface.preprocessing.headings import Heading

#: Lines after which nothing belongs to the story: ``[ END ]``, Project Gutenberg's own, and, because a story
#: may say it anywhere, ``THE END`` only below a blank line with no more than a few lines of text after it.
DEFAULT_END_MARKERS: Final = (
    r"^[ \t]*\[[ \t]*(?i:the[ \t]+)?(?i:end)[ \t]*\][ \t]*$",
    r"(?<=\n\n)[ \t]*THE END[ \t]*[.!]?[ \t]*$(?=\s*\S[\s\S]{0,500}\Z)",
    r"^[ \t]*\*{3}[ \t]*END OF (?:THE|THIS) PROJECT GUTENBERG\b.*$",
    r"^[ \t]*End of (?:the )?Project Gutenberg\b.*$",
)

Reason = Literal["front matter", "after the end marker", "noise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """A chapter of an outline.

    Attributes:
        number: Its number; ``None`` for a prologue or epilogue.
        title: Its title, if it has one.
        start: Where its heading begins, counted like ``start_index``.
        end: Where it ends.
    """

    number: int | None
    title: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A stretch of text that :func:`preprocess` leaves out.

    Attributes:
        reason: Why.
        start: Where it begins, counted like ``start_index``.
        end: Where it ends.
        text: What it says.
    """

    reason: Reason
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What :func:`outline` found in one book.

    Attributes:
        source: The book's source, or ``None``.
        chapters: Its chapters in order; empty if no heading was found.
        dropped: What is left out, in order.
    """

    source: Any
    chapters: tuple[Chapter, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A stretch of a text: a chapter, or what lies outside the chapters.

    Attributes:
        start: Where it begins.
        body: Where its heading ends; ``start`` if it has none.
        end: Where it ends.
        heading: The chapter's heading.
        reason: Why it is left out; ``None`` if it is kept.
    """

    start: int
    body: int
    end: int
    heading: Heading | None = None
    reason: Reason | None = None


def find_sections(
    text: str, headings: Sequence[Heading], end_markers: Sequence[re.Pattern[str]], *, keep_outside: bool
) -> list[Section]:
    r"""Cut a text into its chapters and what lies outside them.

    A chapter reaches from its heading to the next, or to an end marker. The text before the first chapter is
    front matter if the count begins there; before a later chapter it may be the end of the one that is not in
    the text, so it is kept.

    Args:
        text: The text.
        headings: Its headings, in order.
        end_markers: What ends the story, wherever it stands after the first heading.
        keep_outside: Whether to keep what would be left out.

    Returns:
        The sections in order, without those that are blank. Without headings, the whole text.

    Example:
        >>> text = "By A. Writer\\nChapter 1\\nIt was dark."
        >>> headings = [Heading(start=13, end=22, number=1)]
        >>> [section.reason for section in find_sections(text, headings, (), keep_outside=False)]
        ['front matter', None]
    """
    if not headings:
        found = [Section(start=0, body=0, end=len(text))]
    else:
        found = [_before(headings[0]), *_chapters(text, headings, end_markers)]
    return [
        Section(start=part.start, body=part.body, end=part.end, heading=part.heading)
        if keep_outside
        else part
        for part in found
        if not text[part.start : part.end].isspace() and part.start < part.end
    ]


def _before(first: Heading) -> Section:
    counts_from_here = first.number is None or first.number <= 1
    return Section(start=0, body=0, end=first.start, reason="front matter" if counts_from_here else None)


def _chapters(
    text: str, headings: Sequence[Heading], end_markers: Iterable[re.Pattern[str]]
) -> Iterator[Section]:
    markers = sorted(
        match.start() for pattern in end_markers for match in pattern.finditer(text, headings[0].end)
    )
    stops = [heading.start for heading in headings[1:]] + [len(text)]
    for heading, stop in zip(headings, stops, strict=True):
        end = min([stop, *markers[(first := bisect_left(markers, heading.end)) : first + 1]])
        yield Section(start=heading.start, body=heading.end, end=end, heading=heading)
        yield Section(start=end, body=end, end=stop, reason="after the end marker")
