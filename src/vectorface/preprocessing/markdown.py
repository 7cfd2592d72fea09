"""Markdown's own headings: lines that begin with ``#``, outside fenced code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

DEEPEST: Final = 6
_LINE: Final = re.compile(
    rf"^[ ]{{0,3}}(?:(?P<fence>`{{3,}}(?=[^`\n]*$)|~{{3,}})(?P<info>.*)"
    rf"|(?P<hashes>#{{1,{DEEPEST}}})[ \t]+(?P<words>.*))$",
    re.MULTILINE,
)


class MarkdownHeading(NamedTuple):
    """Where a heading stands, its level from 1 to 6, and its words."""

    start: int
    end: int
    level: int
    words: str


def iter_markdown(text: str) -> Iterator[MarkdownHeading]:
    r"""Find the Markdown headings of a text, in order.

    Args:
        text: A text whose lines end in ``\n``.

    Yields:
        The headings.

    Example:
        >>> list(iter_markdown("# One #\n~~~\n# a comment\n~~~"))
        [MarkdownHeading(start=0, end=7, level=1, words='One')]
    """
    fence = ""
    for match in _LINE.finditer(text):
        if match["fence"] and not fence:
            fence = match["fence"]
        elif match["fence"] and match["fence"].startswith(fence) and not match["info"].strip():
            fence = ""  # a shorter one, or one with a language, is part of the code
        elif match["hashes"] and not fence:
            words = match["words"].rstrip(" \t#").strip()
            yield MarkdownHeading(match.start(), match.end(), len(match["hashes"]), words)
