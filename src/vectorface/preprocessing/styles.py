"""The shapes that a chapter heading takes, one line at a time.

Each style is a pattern for a whole line and a reader that turns its match into a :class:`Candidate`, or into
nothing if the rest of the line speaks like a sentence ("Chapter 3 we saw ..."). Nothing here decides whether a
candidate is a chapter: that is for the numbering as a whole (:mod:`~vectorface.preprocessing.numbering`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from vectorface.preprocessing.numerals import CHINESE, NUMBER, ROMAN, parse_number
from vectorface.preprocessing.punctuation import (
    BRACKETS,
    DECORATION,
    PAUSES,
    SEPARATORS,
    UNFINISHED,
    WIDE_STOPS,
    WORD_GOES_ON,
)

CHAPTER_WORDS: Final = (
    "chapter|chap|chapitre|kapitel|capítulo|capitulo|capitolo|capítol|hoofdstuk|kapittel|rozdział|глава"
)
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
STRONG: Final = 4.0
MEDIUM: Final = 2.0
WEAK: Final = 1.0
_LONGEST_LINE: Final = 120
_LONGEST_CJK_TITLE: Final = 25

_CLOSING: Final = " \t#*_=~|"  # decoration after a heading
_REST: Final = re.compile(
    rf"[ \t]*(?P<closing>[{BRACKETS}]*)[ \t]*(?P<separator>[{SEPARATORS}]*)(?P<space>[ \t]*)(?P<title>.*)"
)
_CONTENTS_LINE: Final = re.compile(r"(?:(?:[.·…][ \t]?){3,}|…[ \t]*|\t|[ ]{3,})(?:\d+|[ivxlc]+)$")
_SENTENCE_GOES_ON: Final = re.compile(rf"[{UNFINISHED}]\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A line that could be a heading.

    Attributes:
        start: Where its line begins, blanks aside.
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


@dataclass(frozen=True, slots=True)
class _Rest:
    """What follows the number on its line."""

    title: str
    marked: bool  # something other than one blank stands between number and title
    marker: int  # where the bracket that closes the number ends


def find_candidates(text: str) -> list[Candidate]:
    r"""Find every line that could be a numbered heading.

    Args:
        text: A text whose lines end in ``\\n``.

    Returns:
        The candidates in the order of the text; one line can be a candidate in several styles.

    Example:
        >>> [(found.family, found.number, found.title) for found in find_candidates("CHAPTER IV. The Lamp")]
        [('chapter', 4, 'The Lamp')]
    """
    found = [
        candidate
        for pattern, read in _STYLES
        for match in pattern.finditer(text)
        if (candidate := read(match)) is not None
    ]
    return sorted(found, key=lambda candidate: candidate.start)


def blank_before(text: str, start: int) -> bool:
    """Say whether the line at ``start`` follows a blank line, or nothing."""
    line = text.rfind("\n", 0, start)
    return line < 0 or not text[text.rfind("\n", 0, line) + 1 : line].strip()


def blank_after(text: str, end: int) -> bool:
    """Say whether the line that ends at ``end`` precedes a blank line, or nothing."""
    line_end = text.find("\n", end + 1)
    return not text[end : line_end if line_end >= 0 else len(text)].strip()


def is_title_like(title: str) -> bool:
    """Say whether these words could be a title: short, not begun in lower case, not broken off."""
    return len(title) <= _LONGEST_LINE and not title[:1].islower() and not title.endswith((",", ";"))


def _read_chapter(match: re.Match[str]) -> Candidate | None:
    rest = _rest(match)
    if rest is None:
        return None
    goes_on = _follows_broken_sentence(match)
    run_in = len(match["rest"]) > _LONGEST_LINE  # the chapter's text goes on in the heading's line
    if not rest.marked and rest.title and (run_in or goes_on or not is_title_like(rest.title)):
        return None
    weight = (0.5 if goes_on or run_in else 1.0) - (0.05 if match["rest"].strip() == "." else 0.0)
    title = "" if run_in else rest.title
    return _candidate(match, replace(rest, title=title), family="chapter", tier=STRONG, weight=weight)


def _read_named(match: re.Match[str]) -> Candidate | None:
    word = match["word"].casefold()
    rest = _rest(match)
    if (
        rest is None
        or word in _NO_HEADINGS
        or (rest.title and not rest.marked)
        or not is_title_like(rest.title)
    ):
        return None
    if not (_shouts(match) or blank_before(match.string, match.start("word"))):
        return None
    return _candidate(match, rest, family=word, tier=MEDIUM)


def _read_roman(match: re.Match[str]) -> Candidate | None:
    rest = _rest(match)
    if rest is None or not is_title_like(rest.title) or (rest.title and not rest.marked):
        return None
    text = match.string
    alone = not rest.title
    apart = blank_before(text, match.start("number")) and blank_after(text, match.end())
    if not apart and (alone or not _shouts(match)):
        return None
    return _candidate(match, rest, family="roman alone" if alone else "roman", tier=WEAK)


def _read_cjk(match: re.Match[str]) -> Candidate | None:
    rest = _rest(match)
    if rest is None:
        return None
    title = rest.title
    apart = rest.marked or bool(match["rest"][:1].isspace())
    if (
        title
        and not apart
        and (len(title) > _LONGEST_CJK_TITLE or re.search(f"[{WIDE_STOPS}{PAUSES}!?]", title))
    ):
        return None
    tier = STRONG if match["unit"] in "章回話话장" else MEDIUM
    weight = 1.0 if apart or not title else 0.8
    return _candidate(match, rest, family=match["unit"], tier=tier, weight=weight)


def _candidate(
    match: re.Match[str], rest: _Rest, *, family: str, tier: float, weight: float = 1.0
) -> Candidate | None:
    number = parse_number(match["number"])
    if number is None:
        return None
    return Candidate(
        start=match.start() + len(match["opening"]) - len(match["opening"].lstrip()),
        marker=rest.marker,
        end=match.end(),
        number=number,
        title=rest.title or None,
        family=family,
        tier=tier,
        weight=weight,
    )


def _rest(match: re.Match[str]) -> _Rest | None:
    """Read what follows the number, or return nothing if no heading goes on like that."""
    rest = match["rest"].rstrip(_CLOSING)
    parts = _REST.match(rest)
    if parts is None or _CONTENTS_LINE.search(rest[-2 * _LONGEST_LINE :]):
        return None
    if "[" in match["opening"] and "]" not in rest:
        return None
    title, separator = parts["title"].strip(" *_"), parts["separator"]
    if title[:1].isdigit() and separator and not parts["space"]:
        return None  # 3.2 and 3-5 are not chapter 3
    if title.isdigit() and not separator:
        return None  # a contents line with its page
    return _Rest(
        title=title if any(map(str.isalnum, title)) else "",
        marked=bool(separator or parts["closing"] or rest.startswith(("\t", "  "))),
        marker=match.start("rest") + (parts.end("closing") if parts["closing"] else 0),
    )


def _follows_broken_sentence(match: re.Match[str]) -> bool:
    text, start = match.string, match.start()
    if start == 0 or blank_before(text, start):
        return False
    return bool(_SENTENCE_GOES_ON.search(text[max(0, start - 2) : start].rstrip()))


def _shouts(match: re.Match[str]) -> bool:
    letters = match["line"]
    return letters == letters.upper() and len(letters) <= _LONGEST_LINE


def _line(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"^(?P<opening>[{DECORATION}]*)(?P<line>{pattern}(?P<rest>.*))$", re.MULTILINE)


_STYLES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Candidate | None]], ...]] = (
    (
        _line(rf"(?i:{CHAPTER_WORDS})\b\.?[ \t]+(?:the[ \t]+)?(?P<number>(?i:{NUMBER}))(?!{WORD_GOES_ON})"),
        _read_chapter,
    ),
    (
        _line(rf"(?P<number>(?i:{NUMBER}))(?:\.|º|ª|\b)[ \t]*(?i:{CHAPTER_WORDS})\b(?!{WORD_GOES_ON})"),
        _read_chapter,
    ),
    (
        _line(rf"(?P<word>[^\W\d_a-z][^\W\d_]{{2,19}})[ \t]+(?P<number>{NUMBER})(?!{WORD_GOES_ON})"),
        _read_named,
    ),
    (_line(rf"(?P<number>{ROMAN})(?!{WORD_GOES_ON})"), _read_roman),
    (_line(rf"第[ \t]*(?P<number>{CHINESE})[ \t]*(?P<unit>[章回話话節节部卷篇集幕])"), _read_cjk),
    (_line(r"제[ \t]*(?P<number>\d{1,4})[ \t]*(?P<unit>[장부])"), _read_cjk),
)
