"""Finding the chapter headings of a text.

A *finder* is any function from a text to :class:`Heading` objects; :func:`find_headings` is the one used by
default.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from vectorface.preprocessing.cleaning import OffsetMap
from vectorface.preprocessing.markdown import DEEPEST, iter_markdown
from vectorface.preprocessing.numbering import select_chapters, select_lead
from vectorface.preprocessing.punctuation import BRACKETS, SEPARATORS
from vectorface.preprocessing.styles import MEDIUM, STRONG, Candidate, find_candidates
from vectorface.preprocessing.titles import title_below
from vectorface.preprocessing.views import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Where a chapter begins.

    Attributes:
        start: Position of its first character.
        end: Position after it, its title included.
        number: The chapter's number; ``None`` for an unnumbered part such as a prologue. Where no heading has
            one, they are counted from 1.
        title: The chapter's title, if it has one.
    """

    start: int
    end: int
    number: int | None = None
    title: str | None = None

    def moved(self, offsets: OffsetMap) -> Heading:
        """Return the heading as it lies in the text that the offsets lead to."""
        return replace(self, start=offsets.to_origin(self.start), end=offsets.to_origin(self.end))


def _unnumbered(names: str) -> re.Pattern[str]:
    """Match a line that is one of these names, or has a title after it: a lower-case letter begins none."""
    title = rf"[{BRACKETS} \t]*[{SEPARATORS}]+[ \t]*[^\W_a-z].{{0,80}}?(?<![,;])"
    return re.compile(rf"^[ \t#*\[]*(?P<name>(?:{names})(?:{title})?)[ \t.#*\]]*$", re.MULTILINE)


_PROLOGUE: Final = _unnumbered("(?i:prologue|prolog|prólogo|prologo)|序章|序幕|楔子")
_EPILOGUE: Final = _unnumbered("(?i:epilogue|epilog|épilogue|epílogo|epilogo)|终章|終章|尾声|尾聲")
_DECORATION: Final = " \t#*_[]=~"
# An introduction is more than a line or two, and no list, table, quotation or link.
_SHORTEST_INTRODUCTION: Final = 160
_PROSE: Final = re.compile(r"^[ ]{0,3}(?![-*+>|!<\[#`~=]|\d+[.)])\S.*", re.MULTILINE)
_LEADING_NUMBER: Final = re.compile(r"(?P<number>\d{1,4})(?:[.):][ \t]+|[ \t]+(?=\D))(?P<title>\S.*)")


def find_headings(text: str) -> list[Heading]:
    r"""Find the chapter headings of a text in any of the usual styles.

    Known are "Chapter N" (also Chapitre, Kapitel, Capítulo, Capitolo and others), in brackets or decorated,
    with arabic, roman or spelled-out numbers; ``VII. THE TITLE``; any word that counts ("ADVENTURE I.");
    ``第N章`` and its kin; Markdown's ``#``. The title stands on the heading's line or below it. The numbering
    as a whole decides which lines are chapters: a table of contents, numbered parts inside a chapter and
    mentions of other chapters are none. A prologue and an epilogue become unnumbered headings, and so do
    what counts in another style before the first chapter ("Letter 1"), and the one ``# Title`` above
    Markdown's chapters if an introduction stands below it.

    Args:
        text: The text; its lines end in ``\n``.

    Returns:
        The headings in the order of the text, or an empty list.

    Example:
        >>> for heading in find_headings("CHAPTER I. The Lamp\nDark.\n\nCHAPTER II.\n\nTHE DOOR\n\nShut."):
        ...     print(heading)
        Heading(start=0, end=19, number=1, title='The Lamp')
        Heading(start=27, end=48, number=2, title='THE DOOR')
    """
    view, offsets = plain(text)
    return [heading.moved(offsets) for heading in _found(view)]


def _found(view: str) -> list[Heading]:
    candidates = find_candidates(view)
    chapters = select_chapters(view, candidates)
    named = bool(chapters) and chapters[0].tier == STRONG  # nothing says chapter louder than the word
    markdown = [] if named else _markdown_headings(view)
    if len(markdown) > len(chapters):
        return _with_introduction(view, markdown)
    lead = [_unnumbered_part(view, part) for part in select_lead(view, candidates, chapters)]
    return _with_unnumbered_parts(view, [*lead, *_with_titles(view, chapters, candidates)])


def numbered_from_one(headings: Sequence[Heading]) -> list[Heading]:
    """Count the headings.

    Example:
        >>> numbered_from_one([Heading(start=0, end=4, title="Dusk")])
        [Heading(start=0, end=4, number=1, title='Dusk')]
    """
    return [replace(heading, number=number) for number, heading in enumerate(headings, start=1)]


def _with_titles(text: str, chapters: Sequence[Candidate], candidates: Sequence[Candidate]) -> list[Heading]:
    stops = [*(chapter.start for chapter in chapters[1:]), len(text)]
    others = _other_headings(chapters, candidates)
    return [_with_title(text, chapter, stop, others) for chapter, stop in zip(chapters, stops, strict=False)]


def _other_headings(chapters: Sequence[Candidate], candidates: Sequence[Candidate]) -> list[int]:
    """Find the lines that are headings themselves, so no titles: those that say so or count in a chapter."""
    starts = [chapter.start for chapter in chapters]
    medium = [candidate for candidate in candidates if candidate.tier == MEDIUM]
    counts = Counter((bisect_right(starts, section.start), section.family) for section in medium)
    sections = {family for (chapter, family), times in counts.items() if chapter and times > 1}
    return [
        candidate.start
        for candidate in candidates
        if candidate.tier == STRONG or (candidate.tier == MEDIUM and candidate.family in sections)
    ]


def _with_title(text: str, chapter: Candidate, stop: int, others: Sequence[int]) -> Heading:
    if chapter.end > stop:  # the next heading stands in the same line
        return Heading(start=chapter.start, end=chapter.marker, number=chapter.number)
    heading = Heading(start=chapter.start, end=chapter.end, number=chapter.number, title=chapter.title)
    below = None if chapter.title else title_below(text, chapter.end, stop)
    if below is None or bisect_right(others, below[1]) > bisect_right(others, chapter.end):
        return heading
    return replace(heading, title=below[0], end=below[1])


def _unnumbered_part(text: str, part: Candidate) -> Heading:
    return Heading(start=part.start, end=part.end, title=text[part.start : part.end].strip(_DECORATION))


def _with_unnumbered_parts(text: str, headings: list[Heading]) -> list[Heading]:
    if not headings:
        return []
    before = [_part(match) for match in _PROLOGUE.finditer(text, 0, headings[0].start)][-1:]
    after = [_part(match) for match in _EPILOGUE.finditer(text, headings[-1].end)][:1]
    return [*before, *headings, *after]


def _part(match: re.Match[str]) -> Heading:
    lead = len(match.group()) - len(match.group().lstrip())
    return Heading(start=match.start() + lead, end=match.end(), title=match["name"])


def _markdown_headings(text: str) -> list[Heading]:
    """Take the outermost level of which there are several, or the one heading that a text begins with."""
    levels: dict[int, list[Heading]] = {level: [] for level in range(1, DEEPEST + 1)}
    for start, end, level, words in iter_markdown(text):
        levels[level].append(Heading(start=start, end=end, title=words or None))
    several = [headings for headings in levels.values() if len(headings) > 1]
    first = [headings for headings in levels.values() if headings and not text[: headings[0].start].strip()]
    return _counted([*several, *first, []][0])


def _with_introduction(text: str, headings: list[Heading]) -> list[Heading]:
    """Let the one title above the chapters head what stands between, if that is more than a motto."""
    title = next(iter_markdown(text))
    between = text[title.end : headings[0].start]
    prose = sum(len(line) for line in _PROSE.findall(between))
    if title.level > 1 or text[: title.start].strip() or prose < _SHORTEST_INTRODUCTION:
        return headings
    return [Heading(start=title.start, end=title.end, title=title.words or None), *headings]


def _counted(headings: Sequence[Heading]) -> list[Heading]:
    """Number Markdown headings by their own numbers where all have one and these rise, else from 1."""
    matches = [match for heading in headings if (match := _LEADING_NUMBER.fullmatch(heading.title or ""))]
    numbers = [int(match["number"]) for match in matches]
    if len(matches) < len(headings) or any(a >= b for a, b in pairwise(numbers)):
        return numbered_from_one(headings)
    return [
        replace(heading, number=int(match["number"]), title=match["title"])
        for heading, match in zip(headings, matches, strict=True)
    ]
