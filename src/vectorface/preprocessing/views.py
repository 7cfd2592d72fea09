"""A text as headings are looked for in it: usual blanks and line ends, accents in their letters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from vectorface.preprocessing.cleaning import OffsetMap

# Signs that stand for a blank or a line end, each replaced by one sign.
_PLAIN: Final = str.maketrans("\f\v\x85\u2028\u2029\ufeff\u00a0\u2007\u202f\u3000", "\n\n\n\n\n     ")
_UNUSUAL: Final = re.compile(f"[{''.join(map(chr, _PLAIN))}]")
# Letters with accents beside them, and Korean syllables in parts, as PDF files and macOS give them (NFD).
_DECOMPOSED: Final = re.compile(
    r"[^\W\d_][\u0300-\u036f\u3099\u309a]+|[\u1100-\u1112][\u1161-\u1175][\u11a8-\u11c2]?"
)


def plain(text: str) -> tuple[str, OffsetMap]:
    r"""Replace unusual blanks and line ends by usual ones, and put accents into their letters (NFC).

    Returns:
        The text so, and where its parts lie in the text as it was.

    Example:
        >>> view, offsets = plain("\fCapi\u0301tulo\u00a01")
        >>> view, offsets.to_origin(view.index("1"))
        ('\nCapítulo 1', 11)
    """
    if _UNUSUAL.search(text):
        text = text.translate(_PLAIN)
    return (text, OffsetMap()) if unicodedata.is_normalized("NFC", text) else _composed(text)


def _composed(text: str) -> tuple[str, OffsetMap]:
    parts: list[str] = []
    derived, origin = [0], [0]
    for match in _DECOMPOSED.finditer(text):
        letter = unicodedata.normalize("NFC", match.group())
        parts += [text[origin[-1] : match.start()], letter]
        derived.append(derived[-1] + match.start() - origin[-1] + len(letter))
        origin.append(match.end())
    return "".join([*parts, text[origin[-1] :]]), OffsetMap(derived=tuple(derived), origin=tuple(origin))
