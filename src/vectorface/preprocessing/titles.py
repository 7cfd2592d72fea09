"""The title of a chapter where it stands on the line after the heading."""

from __future__ import annotations

import re
from typing import Final

from vectorface.preprocessing.punctuation import CLOSING, FULL_STOPS, PAUSES, SPEECH, WIDE_STOPS, WORD_GOES_ON

_LINE: Final = re.compile(r"[^\n]*[^\s][^\n]*")
_LONGEST: Final = 80
_LONGEST_SUBTITLE: Final = 120
_LONGEST_CJK: Final = 20
_MOST_BLANK_LINES: Final = 2
_LIGHT: Final = 3
_WORD: Final = re.compile(rf"[^\W\d_](?:-|{WORD_GOES_ON})*")
_SPEECH: Final = re.compile(f"[{SPEECH}]")
_SENTENCE_END: Final = re.compile(rf"[{FULL_STOPS}{WIDE_STOPS}{PAUSES}][{CLOSING}]*$")
_HAN: Final = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_DECORATION: Final = " \t*_#=~"
_END: Final = re.compile(
    r"\[\s*(?:the\s+)?end\s*\]|end of (?:the |this )?project gutenberg\b.*", re.IGNORECASE
)


def title_below(text: str, start: int, stop: int) -> tuple[str, int] | None:
    r"""Read the title that stands below a heading.

    A title is a short line apart from the text: in capitals, with Every Word of Weight capitalized, begun
    with ``- ``, or followed by a blank line and not ended like a sentence. The last line before ``stop`` is
    never a title: it is all the text there is.

    Args:
        text: A text whose lines end in ``\n``.
        start: The end of the heading's line.
        stop: Where the chapter ends.

    Returns:
        The title and where it ends, or ``None``.

    Example:
        >>> title_below("Chapter 1\n\nThe Lamp\n\nIt was dark.", 9, 33)
        ('The Lamp', 19)
    """
    line = _LINE.search(text, start, stop)
    line_ends = text.count("\n", start, line.start()) if line else 0
    if line is None or not 1 <= line_ends <= _MOST_BLANK_LINES + 1:
        return None
    below = _LINE.search(text, line.end(), stop)
    if below is None:
        return None
    if line.group().startswith("#") and f"\n{line.group().split()[0]} " in text[line.end() : stop]:
        return None  # the first of several sections
    words = line.group().strip(_DECORATION)
    apart = text.count("\n", line.end(), below.start()) > 1
    if line_ends == 1 and _is_subtitle(words):
        return words.removeprefix("- "), line.end()
    if not _is_title(words, apart=apart):
        return None
    return _with_capitals_below(words, line.end(), below, apart=apart)


def _is_subtitle(words: str) -> bool:
    return (
        words.startswith("- ")
        and len(words) <= _LONGEST_SUBTITLE
        and not _SENTENCE_END.search(words.rstrip("?!"))
    )


def _is_title(words: str, *, apart: bool) -> bool:
    letters = [sign for sign in words if sign.isalpha()]
    if not letters or len(words) > _LONGEST or words.startswith("- ") or _END.fullmatch(words):
        return False
    if _HAN.search(words):
        return apart and len(words) <= _LONGEST_CJK and not _SENTENCE_END.search(words)
    if all(letter.isupper() for letter in letters):
        return True
    if letters[0].islower() or _SPEECH.match(words) or _SENTENCE_END.search(words.rstrip("?!")):
        return False
    return _is_capitalized(words) or (apart and not _SENTENCE_END.search(words))


def _is_capitalized(words: str) -> bool:
    """Say whether two words at least begin with a capital, and all others are as light as "of the"."""
    small = [word for word in _WORD.findall(words) if word[0].islower()]
    return len(_WORD.findall(words)) > len(small) + 1 and not any(len(word) > _LIGHT for word in small)


def _with_capitals_below(words: str, end: int, below: re.Match[str], *, apart: bool) -> tuple[str, int]:
    """Go on over the next line where a title in capitals was wrapped."""
    more = below.group().strip(_DECORATION)
    if apart or not (words.isupper() and more.isupper()) or len(more) > _LONGEST:
        return words, end
    return f"{words} {more}", below.end()
