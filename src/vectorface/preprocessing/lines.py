"""A line of a text, and what stands around it: what a heading is judged by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from vectorface.preprocessing.punctuation import BRACKETS, SEPARATORS, UNFINISHED

LONGEST_LINE: Final = 120
_TRAILING_DECORATION: Final = " \t#*_=~|"
_REST: Final = re.compile(
    rf"[ \t]*(?P<closing>[{BRACKETS}]*)[ \t]*(?P<separator>[{SEPARATORS}]*)(?P<space>[ \t]*)(?P<title>.*)"
)
_CONTENTS_LINE: Final = re.compile(r"(?:(?:[.·…][ \t]?){3,}|…[ \t]*|\t|[ ]{3,})(?:\d+|[ivxlc]+)\Z")
_UNFINISHED: Final = re.compile(rf"[{UNFINISHED}]\s*\Z")


@dataclass(frozen=True, slots=True)
class Rest:
    """What follows the number of a heading on its line.

    Attributes:
        title: The words of the title, if any.
        marked: Whether more than one blank stands between the number and the title.
        closing: How many characters close the bracket that the number stands in.
    """

    title: str
    marked: bool
    closing: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line that may be a heading.

    Attributes:
        text: The text it is a line of.
        start: Where its first word begins, after brackets and decoration.
        end: Where it ends.
    """

    text: str
    start: int
    end: int

    @property
    def words(self) -> str:
        """What it says, from its first word on."""
        return self.text[self.start : self.end]

    @property
    def opening(self) -> str:
        """What stands before the first word, blanks at the beginning aside."""
        return self.text[self.text.rfind("\n", 0, self.start) + 1 : self.start].lstrip()

    @property
    def follows_blank_line(self) -> bool:
        """Whether a blank line or nothing stands above it."""
        above = self._line_above()
        return above is None or not above.strip()

    @property
    def precedes_blank_line(self) -> bool:
        """Whether a blank line or nothing stands below it."""
        stop = self.text.find("\n", self.end + 1)
        return not self.text[self.end : stop if stop >= 0 else len(self.text)].strip()

    @property
    def goes_on_from_above(self) -> bool:
        """Whether the line above ends within a sentence."""
        return _UNFINISHED.search((self._line_above() or "")[-LONGEST_LINE:]) is not None

    def follows(self, pattern: re.Pattern[str]) -> bool:
        """Say whether the line above begins like that."""
        return pattern.match(self._line_above() or "") is not None

    @property
    def shouts(self) -> bool:
        """Whether it is short and in capitals."""
        return self.end - self.start <= LONGEST_LINE and self.words == self.words.upper()

    def rest(self, after: int) -> Rest | None:
        """Read what follows the number, or return nothing if no heading goes on like that.

        Args:
            after: Where the number ends.
        """
        rest = self.text[after : self.end].rstrip(_TRAILING_DECORATION)
        parts = _REST.match(rest)
        if parts is None or _CONTENTS_LINE.search(rest[-2 * LONGEST_LINE :]):
            return None
        if "[" in self.opening and "]" not in rest:
            return None
        title, separator = parts["title"].strip(" *_"), parts["separator"]
        if title[:1].isdigit() and separator and not parts["space"]:
            return None  # 3.2 and 3-5 are not chapter 3
        if title.isdigit() and not separator:
            return None  # a contents line with its page
        return Rest(
            title=title if any(map(str.isalnum, title)) else "",
            marked=bool(separator or parts["closing"] or rest.startswith(("\t", "  "))),
            closing=parts.end("closing") if parts["closing"] else 0,
        )

    def _line_above(self) -> str | None:
        line_end = self.text.rfind("\n", 0, self.start)
        return None if line_end < 0 else self.text[self.text.rfind("\n", 0, line_end) + 1 : line_end]
