# ruff: noqa: RUF001
"""The signs that end sentences, quote speech and stand around headings, in the scripts we read.

Many look alike; telling them apart is what this file is for.
"""

from __future__ import annotations

from typing import Final

#: What closes speech or a bracket; may follow the end of a sentence. For use inside ``[...]``.
CLOSING: Final = r"""\"'”’»)\]」』）"""
#: What ends a sentence only where a blank follows, and what always ends one.
FULL_STOPS: Final = ".!?…"
WIDE_STOPS: Final = "。！？"
#: What a line ends with that is a sentence or the beginning of one, not a title.
PAUSES: Final = ",;:，；：、"
#: What speech begins with.
SPEECH: Final = "\"'“”‘’«„‚「『("
#: What stands between a chapter's number and its title.
SEPARATORS: Final = ".:：、．|—–-"
#: What may stand before a heading on its line, and what closes a number's bracket.
DECORATION: Final = r" \t#*_=~>|\[(【《〈—–-"
BRACKETS: Final = r"\])】》〉*_"
#: What a word goes on with: no number ends before it.
WORD_GOES_ON: Final = r"[\w'’]"
#: What a line ends with when its sentence goes on below: a word, a pause, a dash.
UNFINISHED: Final = r"\w,;–—-"
