"""What stood between two chunks before a splitter stripped it: nothing, a blank, a line end, a blank line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from vectorface.preprocessing.overlaps import fits
from vectorface.preprocessing.punctuation import CLOSING, FULL_STOPS, WIDE_STOPS
from vectorface.preprocessing.rules import Rule

_UNSTRIPPED_SHARE: Final = 0.1
_FULL_SHARE: Final = 0.8
_FEWEST_FULL: Final = 2
_FIXED_SHARE: Final = 0.4
_WITHIN_WORDS_SHARE: Final = 0.3
_LONGEST_LINE: Final = 120
_LONGEST_TITLE_END: Final = 60
_BLANKS: Final = " \t\u00a0"
_WORD_OR_BRACKET: Final = re.compile(r"[^\W_]|[\[(【《]")
_SENTENCE_END: Final = re.compile(rf"[{FULL_STOPS}{WIDE_STOPS}:][{CLOSING}*_]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joints:
    """Guesses what to put between two texts that do not overlap.

    Attributes:
        rule: What a heading looks like: what makes one whole is right.
        limit: The size of the largest chunk: how much the splitter would have put into one.
        split: Whether the texts are chunks, not pages.
        exact: Whether nothing was stripped at the seams.
        fixed: Whether the text was cut every so many characters, words or not.
        by_words: Whether even chunks of several lines are so full that the splitter cut between words.
    """

    rule: Rule
    limit: int
    split: bool
    exact: bool
    fixed: bool
    by_words: bool

    @classmethod
    def for_texts(cls, texts: Sequence[str], rule: Rule, *, split: bool) -> Joints:
        """Look at the texts for how they were cut."""
        limit = max(map(len, texts), default=0)
        seams = list(pairwise(texts))
        bare = [before[-1].isspace() or after[0].isspace() for before, after in seams]
        longest = [len(before) == limit for before, _ in seams]
        in_words = [
            before[-1].isalnum() and after[0].isalnum() for before, after in seams if len(before) == limit
        ]
        full = [_is_full(before, after, limit) for before, after in seams if "\n" in before]
        return cls(
            rule=rule,
            limit=limit,
            split=split,
            exact=split and sum(bare) > _UNSTRIPPED_SHARE * len(bare),
            # paragraphs may be equally long too, but they end with a sentence
            fixed=sum(longest) > _FIXED_SHARE * len(longest) > 1
            and sum(in_words) > _WITHIN_WORDS_SHARE * len(in_words),
            by_words=sum(full) > max(_FEWEST_FULL, _FULL_SHARE * len(full)),
        )

    def between(self, before: str, after: str, *, last: bool) -> str:
        """Return what to put between two texts, neither of them empty.

        Args:
            before: A text.
            after: The text after it.
            last: Whether none comes after that.
        """
        if self.exact or before[-1].isspace() or after[0].isspace():
            return "\n\n" if self._hides_heading(before, after) else ""
        if self.fixed and len(before) == self.limit and (last or len(after) == self.limit):
            return ""
        tail, head = _last_line(before), after[:_LONGEST_LINE].partition("\n")[0]
        whole = self._completing(tail, head)
        return self._usual(before, after, tail, head) if whole is None else whole

    def _hides_heading(self, before: str, after: str) -> bool:
        """Say whether only blanks part a heading from the text before, as where a page ends with one."""
        told, heading = before.rstrip(_BLANKS), after.lstrip(_BLANKS)
        parted = len(told) + len(heading) < len(before) + len(after)
        if not parted or not told or not heading or told[-1].isspace() or heading[0].isspace():
            return False
        ends = not self.split or _SENTENCE_END.search(told[-_LONGEST_LINE:])
        return bool(ends and self.rule.mark(heading[:_LONGEST_LINE].partition("\n")[0]))

    def _completing(self, tail: str, head: str) -> str | None:
        """Find what makes one heading of an end and a beginning: a clearer one than the beginning alone."""
        if not _WORD_OR_BRACKET.search(tail) or self.rule.mark(tail):
            return None
        alone = self.rule.mark(head).clarity
        for joint in (" ", "") if _could_be_one_word(tail, head) else (" ",):
            mark = self.rule.mark(tail + joint + head)
            as_clear = mark.clarity == alone and (tail.endswith("[") or (self.fixed and not joint))
            if (mark.clarity > alone or as_clear) and mark.end > len(tail) + len(joint):
                return joint
        return None

    def _usual(self, before: str, after: str, tail: str, head: str) -> str:
        full = self.split and _is_full(before, after, self.limit)
        if self.rule.mark(head):
            return "\n\n"
        if self.rule.mark(tail):
            return " " if full and _ends_title(after, head) else "\n\n"
        if full and (self.by_words or "\n" not in before):
            return " "
        if _SENTENCE_END.search(before[-_LONGEST_LINE:]):
            return "\n\n"
        return "\n\n" if self._stopped_at_blank_line(before, head) and not head[:1].islower() else "\n"

    def _stopped_at_blank_line(self, before: str, head: str) -> bool:
        """Say whether the splitter had room for the next line, or had blank lines inside, or no line end."""
        return fits(before, head, self.limit) or "\n\n" in before or "\n" not in before


def _could_be_one_word(tail: str, head: str) -> bool:
    return not (tail[-1].islower() and head[:1].isupper())


def _is_full(before: str, after: str, limit: int) -> bool:
    """Say whether the next text's first word would not have fitted."""
    return not fits(before, (after.split(maxsplit=1) or [""])[0], limit)


def _last_line(text: str) -> str:
    """Return the last line, or nothing if it is too long to hold a heading."""
    _, line_end, line = text[-_LONGEST_LINE:].rpartition("\n")
    return line if line_end or len(text) <= _LONGEST_LINE else ""


def _ends_title(after: str, head: str) -> bool:
    """Say whether a line looks like the rest of a title: short, no sentence, with a blank line below."""
    short = len(head) <= _LONGEST_TITLE_END and not _SENTENCE_END.search(head)
    return short and after[len(head) :].startswith("\n\n")
