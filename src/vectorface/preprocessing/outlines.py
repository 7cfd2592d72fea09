"""The outline of a book: its chapters, and what lies outside them."""

from __future__ import annotations

import re
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

    A chapter reaches from its heading to the next, the last one to an end marker: what looks like one
    earlier ends something else, as a letter or a film in the story. The text before the first chapter is
    front matter if the count begins there; before a later chapter it may be the end of the one that is not in
    the text, so it is kept.

    Args:
        text: The text.
        headings: Its headings, in order.
        end_markers: What ends the story, where it stands after the last heading.
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
        stop = _end_of_story(text, headings[-1].end, end_markers)
        rest = Section(start=stop, body=stop, end=len(text), reason="after the end marker")
        found = [_before(headings[0]), *_chapters(headings, stop), rest]
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


def _end_of_story(text: str, start: int, end_markers: Iterable[re.Pattern[str]]) -> int:
    """Find the first end marker after the last heading, or the end of the text."""
    matches = (pattern.search(text, start) for pattern in end_markers)
    return min((match.start() for match in matches if match), default=len(text))


def _chapters(headings: Sequence[Heading], stop: int) -> Iterator[Section]:
    ends = [heading.start for heading in headings[1:]] + [stop]
    for heading, end in zip(headings, ends, strict=True):
        yield Section(start=heading.start, body=heading.end, end=end, heading=heading)
