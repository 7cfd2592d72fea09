"""What a caller says a heading looks like, made uniform: a regular expression, a function, nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from vectorface.errors import ConfigurationError, InvalidInputError
from vectorface.preprocessing.headings import Heading, find_headings, numbered_from_one
from vectorface.preprocessing.markdown import iter_markdown
from vectorface.preprocessing.numbering import select_chapters
from vectorface.preprocessing.numerals import parse_number
from vectorface.preprocessing.patterns import Regex, compile_pattern
from vectorface.preprocessing.styles import MEDIUM, STRONG, find_candidates
from vectorface.preprocessing.views import plain

Finder: TypeAlias = Callable[[str], Iterable[Heading]]
#: What ``headings=`` takes: a regular expression, a finder, or ``None`` for texts without chapters.
Headings: TypeAlias = Regex | Finder | None

_BEGINS_LIKE_HEADING: Final = re.compile(r"[\W_]*(?:[^\W_a-z]|[ckhr])")


@dataclass(frozen=True, slots=True)
class Mark:
    """What makes a line a heading; false if nothing does.

    Attributes:
        end: Where its number, and the bracket around it, end.
        clarity: How surely it is a heading, to compare with another.
    """

    end: int = 0
    clarity: float = 0.0

    def __bool__(self) -> bool:
        return self.clarity > 0


@dataclass(frozen=True, slots=True)
class Rule:
    """What a heading looks like.

    Attributes:
        find: Finds the headings of a text, in order and without overlaps.
        mark: Says what makes a line a heading, looked at alone: so one that was cut in two is known.
        count: Finds the headings that have a number written in them; those that are counted by us, and a
            caller's function, which may be costly, find none.
    """

    find: Callable[[str], list[Heading]]
    mark: Callable[[str], Mark]
    count: Callable[[str], list[Heading]] = lambda _: []


def rule_for(headings: Headings) -> Rule:
    r"""Turn the option ``headings`` into a rule.

    Args:
        headings: :func:`find_headings`; a regular expression, each match of which is a heading, with the
            optional groups ``number`` and ``title``; another finder; or ``None``, which finds nothing.

    Returns:
        The rule.

    Raises:
        ConfigurationError: It is none of these, or the expression is unusable, or has groups without names.

    Example:
        >>> rule = rule_for(r"^== (?P<title>.+) ==$")
        >>> [(heading.number, heading.title) for heading in rule.find("== Dusk ==\n...\n== Dawn ==")]
        [(1, 'Dusk'), (2, 'Dawn')]
    """
    if headings is None:
        return Rule(find=lambda _: [], mark=lambda _: Mark())
    if headings is find_headings:
        return Rule(find=find_headings, mark=_usual_mark, count=_usual_count)
    if isinstance(headings, str | re.Pattern):
        return _pattern_rule(_with_named_groups(compile_pattern(headings, option="headings")))
    if callable(headings):
        finder: Finder = headings
        return Rule(find=lambda text: _checked(finder(text), len(text)), mark=lambda _: Mark())
    raise ConfigurationError(
        "headings: expected a regular expression, a function from text to Heading objects, or None, "
        f"got {type(headings).__name__}."
    )


def _usual_mark(line: str) -> Mark:
    if not _BEGINS_LIKE_HEADING.match(line):
        return Mark()
    view, offsets = plain(line)
    candidates = find_candidates(view)
    if candidates:
        return Mark(offsets.to_origin(candidates[0].marker), candidates[0].tier)
    return next((Mark(offsets.to_origin(heading.end), MEDIUM) for heading in iter_markdown(view)), Mark())


def _usual_count(text: str) -> list[Heading]:
    view, offsets = plain(text)
    return [
        Heading(start=chapter.start, end=chapter.end, number=chapter.number, title=chapter.title).moved(
            offsets
        )
        for chapter in select_chapters(view, find_candidates(view))
    ]


def _with_named_groups(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Refuse groups that nobody would read: what they hold is mostly meant to be the number and the title."""
    if pattern.groups and not pattern.groupindex.keys() & {"number", "title"}:
        raise ConfigurationError(
            f"headings: none of the groups of {pattern.pattern!r} is named number or title, so neither would "
            "be read; name them (?P<number>...) and (?P<title>...), or group with (?:...)."
        )
    return pattern


def _pattern_rule(pattern: re.Pattern[str]) -> Rule:
    def find(text: str) -> list[Heading]:
        return _numbered([_matched(match) for match in pattern.finditer(text)])

    def mark(line: str) -> Mark:
        match = pattern.search(line)
        return Mark(match.end(), STRONG) if match else Mark()

    def count(text: str) -> list[Heading]:
        return [heading for heading in map(_matched, pattern.finditer(text)) if heading.number is not None]

    return Rule(find=find, mark=mark, count=count)


def _matched(match: re.Match[str]) -> Heading:
    groups = match.groupdict()
    return Heading(
        start=match.start() + len(match.group()) - len(match.group().lstrip()),
        end=match.end(),
        number=parse_number(groups.get("number") or ""),
        title=(groups.get("title") or "").strip() or None,
    )


def _numbered(headings: list[Heading]) -> list[Heading]:
    if any(heading.number is not None for heading in headings):
        return headings
    return numbered_from_one(headings)


def _checked(headings: Iterable[Heading], length: int) -> list[Heading]:
    found = [_valid(heading, position, length) for position, heading in enumerate(headings)]
    found.sort(key=lambda heading: heading.start)
    for before, after in pairwise(found):
        if after.start < before.end or after.start == before.start:
            raise InvalidInputError(f"headings: {before!r} and {after!r} overlap.")
    return _numbered(found)


def _valid(heading: object, position: int, length: int) -> Heading:
    if not isinstance(heading, Heading):
        raise InvalidInputError(
            f"headings: the function returned {type(heading).__name__} at position {position}; "
            "return vectorface.preprocessing.Heading objects."
        )
    if not 0 <= heading.start <= heading.end <= length:
        raise InvalidInputError(f"headings: {heading!r} does not lie in the text of {length} characters.")
    return heading
