"""The shapes that a chapter heading takes, one line at a time.

Each style is a pattern for the beginning of a line, and a reader that turns its match into a
:class:`Candidate`, or into nothing if the rest of the line speaks like a sentence ("Chapter 3 we saw ...").
Nothing here decides whether a candidate is a chapter: the numbering as a whole does
(:mod:`~vectorface.preprocessing.numbering`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from vectorface.preprocessing.lines import LONGEST_LINE, Line, Rest
from vectorface.preprocessing.numerals import CHINESE, ENGLISH, NUMBER, ROMAN, parse_number
from vectorface.preprocessing.punctuation import DECORATION, PAUSES, WIDE_STOPS, WORD_GOES_ON

CHAPTER_WORDS: Final = (
    "chapter|chap|chapitre|kapitel|capítulo|capitulo|capitolo|capítol|hoofdstuk|kapittel|rozdział|глава"
)
PART_WORDS: Final = "part|book|volume|vol|act|teil|band|buch|partie|tome|livre|parte|libro|tomo"
PART_SIGNS: Final = "部卷篇集幕부"
#: How much a style says "chapter".
STRONG: Final = 4.0
MEDIUM: Final = 2.0
WEAK: Final = 1.0

# Words that a number follows without making a heading: captions, references, dates, beginnings of sentences.
_NO_HEADINGS: Final = frozenset(
    f"""
    {CHAPTER_WORDS.replace("|", " ")}
    fig figure table page plate illustration image photo note footnote endnote verse line step item option
    question answer exercise example equation theorem lemma definition number nos version type
    january february march april may june july august september october november december
    and but then when did can could shall should will would had have has was were are not nor for the
    """.split()
)
_LONGEST_CJK_TITLE: Final = 25
_CJK_SENTENCE: Final = re.compile(f"[{WIDE_STOPS}{PAUSES}!?]")
_BROKEN_WEIGHT: Final = 0.5
_FULL_STOP_COST: Final = 0.05  # "Chapter 3." may end a sentence that was wrapped

# Where a line's first word begins, if a heading can begin with it.
_FIRST_WORD: Final = re.compile(
    rf"^[{DECORATION}]*+(?=[^\W_a-z]|(?i:{CHAPTER_WORDS})\b)(?P<words>.*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A line that could be a heading.

    Attributes:
        start: Where it begins, with its bracket or decoration.
        marker: Where the number, and the bracket that closes it, end.
        end: Where its line ends.
        number: What it counts.
        title: What stands beside the number, if anything.
        family: The style it shares with the other headings of its kind.
        tier: How much the style says "chapter".
        weight: How much this line looks like a heading, up to 1.
    """

    start: int
    marker: int
    end: int
    number: int
    title: str | None
    family: str
    tier: float
    weight: float = 1.0


def find_candidates(text: str) -> list[Candidate]:
    r"""Find every line that could be a numbered heading.

    Args:
        text: A text whose lines end in ``\n``.

    Returns:
        The candidates in the order of the text; one line can be a candidate in several styles.

    Example:
        >>> [(found.family, found.number, found.title) for found in find_candidates("CHAPTER IV. The Lamp")]
        [('chapter', 4, 'The Lamp')]
    """
    found = [*_at_line_starts(text), *_within_lines(text)]
    return sorted(found, key=lambda candidate: candidate.start)


def _within_lines(text: str) -> Iterator[Candidate]:
    """Find ``[ Chapter N ]`` where line ends became blanks; a mention has no blanks inside its brackets."""
    for match in _BRACKETED.finditer(text):
        rest = Rest(title="", marked=True, closing=0)
        found = _candidate(match, Line(text, *match.span()), rest, "chapter", STRONG, weight=_BROKEN_WEIGHT)
        if found:
            yield replace(found, start=match.start())


def _at_line_starts(text: str) -> Iterator[Candidate]:
    for first in _FIRST_WORD.finditer(text):
        for pattern, read in _STYLES:
            match = pattern.match(text, first.start("words"))
            found = match and read(match, Line(text, first.start("words"), first.end()))
            if found:
                yield found


def _read_chapter(match: re.Match[str], line: Line) -> Candidate | None:
    rest = line.rest(match.end())
    if rest is None:
        return None
    broken = line.goes_on_from_above
    wrapped = broken and not line.follows(_CHAPTER_LINE)  # below another entry, this is one of the contents
    run_in = line.end - match.end() > LONGEST_LINE  # the chapter's text goes on in the heading's line
    if rest.title and not rest.marked and (run_in or wrapped or not _is_title_like(rest.title)):
        return None
    weight = _BROKEN_WEIGHT if broken or run_in else 1.0
    if line.text[match.end() : line.end].strip() == ".":
        weight -= _FULL_STOP_COST
    if run_in:
        rest = replace(rest, title="")
    return _candidate(match, line, rest, "chapter", STRONG, weight=weight)


def _read_named(match: re.Match[str], line: Line) -> Candidate | None:
    family = match["word"].casefold()
    rest = line.rest(match.end())
    if rest is None or family in _NO_HEADINGS or not (line.shouts or line.follows_blank_line):
        return None
    if rest.title and not (rest.marked and _is_title_like(rest.title)):
        return None
    return _candidate(match, line, rest, family, MEDIUM)


def _read_roman(match: re.Match[str], line: Line) -> Candidate | None:
    rest = line.rest(match.end())
    if rest is None or (rest.title and not (rest.marked and _is_title_like(rest.title))):
        return None
    apart = line.follows_blank_line and line.precedes_blank_line
    if not apart and not (rest.title and line.shouts):
        return None
    family = "roman" if rest.title else "roman alone"
    return _candidate(match, line, rest, family, WEAK)


def _read_cjk(match: re.Match[str], line: Line) -> Candidate | None:
    rest = line.rest(match.end())
    if rest is None:
        return None
    apart = rest.marked or not rest.title or line.text[match.end()].isspace()
    if not apart and (len(rest.title) > _LONGEST_CJK_TITLE or _CJK_SENTENCE.search(rest.title)):
        return None
    unit, weight = match["unit"], 1.0 if apart or line.follows_blank_line else _BROKEN_WEIGHT
    tier = STRONG if unit in "章回話话장" else MEDIUM
    return _candidate(match, line, rest, unit, tier, weight=weight)


def _is_title_like(title: str) -> bool:
    """Say whether these words could be a title: short, not begun in lower case, not broken off."""
    return len(title) <= LONGEST_LINE and not title[:1].islower() and not title.endswith((",", ";"))


def _candidate(
    match: re.Match[str], line: Line, rest: Rest, family: str, tier: float, *, weight: float = 1.0
) -> Candidate | None:
    number = parse_number(match["number"])
    if number is None:
        return None
    return Candidate(
        start=line.start - len(line.opening),
        marker=match.end() + rest.closing,
        end=line.end,
        number=number,
        title=rest.title or None,
        family=family,
        tier=tier,
        weight=weight,
    )


def _style(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"{pattern}(?!{WORD_GOES_ON})")


_CHAPTER_LINE: Final = re.compile(
    rf"[{DECORATION}]*+(?i:(?:{CHAPTER_WORDS})\b\.?[ \t]+(?:{NUMBER}))(?!{WORD_GOES_ON})"
)
_Reader = Callable[[re.Match[str], Line], Candidate | None]
_BRACKETED: Final = re.compile(
    rf"(?<=\S[ \t])\[[ \t](?i:(?:{CHAPTER_WORDS})[ \t]+(?P<number>{NUMBER}))[ \t]\]"
)
_STYLES: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = (
    (_style(rf"(?i:(?:{CHAPTER_WORDS})\b\.?[ \t]+(?:the[ \t]+)?(?P<number>{NUMBER}))"), _read_chapter),
    (
        _style(rf"(?i:the[ \t]+)?(?P<number>[^\W_]+(?:-[^\W_]+)?)[.ºª]?[ \t]+(?i:{CHAPTER_WORDS})\b"),
        _read_chapter,
    ),
    (_style(rf"(?P<word>[^\W\d_]{{3,20}})[ \t]+(?P<number>\d{{1,4}}|{ROMAN}|{ENGLISH})"), _read_named),
    (_style(rf"(?P<number>{ROMAN})"), _read_roman),
    (re.compile(rf"第[ \t]*(?P<number>{CHINESE})[ \t]*(?P<unit>[章回話话節节部卷篇集幕])"), _read_cjk),
    (re.compile(r"제[ \t]*(?P<number>\d{1,4})[ \t]*(?P<unit>[장부])"), _read_cjk),
)
