"""Cutting a stretch of text where an edit moves few borders.

A splitter that fills one chunk after the other may move every later border when one paragraph grows. Here
each border is decided by what is near it. Every paragraph has a *rank*, a hash of its opening words. There is
a border before a paragraph if the stretch in which its rank is the lowest is too long for one chunk; of the
pieces between the borders, neighbours that fit into one chunk are then joined. So what makes a border lies
within about one chunk's length of it. A paragraph that is too long itself is cut by sentences in the same
way, then by lines, then by words.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, TypeAlias

from vectorface.preprocessing.punctuation import CLOSING, FULL_STOPS, WIDE_STOPS

Span: TypeAlias = tuple[int, int]

#: What ends a unit, from the largest units to the smallest.
_LEVELS: Final = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(rf"[{FULL_STOPS}][{CLOSING}]*\s+|[{WIDE_STOPS}][{CLOSING}]*\s*"),
    re.compile(r"\n\s*"),
    re.compile(r"\s+"),
)
_INK: Final = re.compile(r"\S")
_OPENING: Final = 32  # characters of a unit that make its rank


def cut(text: str, start: int, body: int, end: int, *, limit: int) -> list[Span]:
    """Cut a stretch into spans of at most ``limit`` characters, without the blanks at their ends.

    Args:
        text: The whole text.
        start: Where the stretch begins.
        body: Where its heading ends: the heading is cut neither in itself nor from the words after it, unless
            these do not fit.
        end: Where the stretch ends.
        limit: The most characters of a span.

    Returns:
        The spans in order. Together they hold every character of the stretch that is not blank.

    Example:
        >>> cut("One. Two. Three. Four.", 0, 0, 22, limit=12)
        [(0, 9), (10, 22)]
    """
    first_words = _INK.search(text, body, end)
    cutter = _Cutter(text=text, body=first_words.start() if first_words else end, limit=limit)
    return list(_joined(cutter.cut(start, end, level=0), limit))


def _joined(spans: Iterable[Span], limit: int) -> Iterator[Span]:
    """Join neighbours that fit into the limit together."""
    begin = end = -1
    for start, stop in spans:
        if begin >= 0 and stop - begin > limit:
            yield begin, end
            begin = start
        begin, end = (start if begin < 0 else begin), stop
    if begin >= 0:
        yield begin, end


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cutter:
    text: str
    body: int  # where the words after the heading begin; no border is set from the heading up to here
    limit: int

    def cut(self, start: int, end: int, *, level: int) -> Iterator[Span]:
        """Cut a stretch between the units of a level."""
        start, end = _stripped(self.text, start, end)
        if end - start <= self.limit:
            yield from [(start, end)] if start < end else []
        elif level < len(_LEVELS):
            yield from self._cut_units(self._units(start, end, _LEVELS[level]), level)
        elif start < self.body:  # not even the heading fits
            yield from replace(self, body=start).cut(start, end, level=0)
        else:
            yield from ((at, min(at + self.limit, end)) for at in range(start, end, self.limit))

    def _units(self, start: int, end: int, separator: re.Pattern[str]) -> list[Span]:
        borders = [match.end() for match in separator.finditer(self.text, start, end)]
        edges = [start, *(border for border in borders if self.body < border < end), end]
        return [_stripped(self.text, begin, stop) for begin, stop in pairwise(edges)]

    def _cut_units(self, units: Sequence[Span], level: int) -> Iterator[Span]:
        for first, last in pairwise([0, *self._borders(units), len(units)]):
            start, end = units[first][0], units[last - 1][1]
            if end - start <= self.limit:
                yield start, end
            else:
                yield from self.cut(start, end, level=level + 1)

    def _borders(self, units: Sequence[Span]) -> Iterator[int]:
        """Find the units that begin a piece: the lowest of rank in a stretch too long for one chunk."""
        ranks = [-1, *(_rank(self.text, unit) for unit in units[1:])]
        for index, (first, last) in enumerate(_realms(ranks)):
            if index and units[last - 1][1] - units[first][0] > self.limit:
                yield index


def _realms(ranks: Sequence[int]) -> list[Span]:
    """Find how far around each rank no other is lower: from the next lower one before it to the next after.

    Of equal ranks, the first counts as the lowest.
    """
    realms = [(0, len(ranks))] * len(ranks)
    rising: list[int] = []
    for index, rank in enumerate(ranks):
        while rising and ranks[rising[-1]] > rank:
            lower = rising.pop()
            realms[lower] = (realms[lower][0], index)
        if rising:
            realms[index] = (rising[-1], len(ranks))
        rising.append(index)
    return realms


def _rank(text: str, unit: Span) -> int:
    opening = text[unit[0] : min(unit[0] + _OPENING, unit[1])]
    return zlib.crc32(opening.encode("utf-8", "surrogatepass"))


def _stripped(text: str, start: int, end: int) -> Span:
    stretch = text[start:end]
    inner = stretch.strip()
    begin = start + len(stretch) - len(stretch.lstrip())
    return begin, begin + len(inner)
