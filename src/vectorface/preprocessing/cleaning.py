r"""Taking noise out of a text without losing track of where everything stood.

:func:`clean` removes what the patterns match, makes every line end ``\\n``, and returns the text together
with an :class:`OffsetMap` back into the one it was given.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

#: A line that only says where a picture was goes with its line end; inside a line only the mark goes.
DEFAULT_NOISE: Final = (r"^[ \t]*\(picture\)[ \t]*(?:\r?\n|\Z)", r"\(picture\)")

_CARRIAGE_RETURN: Final = re.compile(r"\r(?=\n)")


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetMap:
    """Where the positions of a derived text lie in the text it was made from.

    The two texts agree in stretches: the stretch that starts at ``derived[i]`` came from ``origin[i]``.

    Attributes:
        derived: Starts of the stretches in the derived text, ascending.
        origin: Their starts in the original, ascending.

    Example:
        >>> offsets = OffsetMap(derived=(0, 5), origin=(0, 15))  # ten characters were cut out at 5
        >>> offsets.to_origin(6), offsets.to_derived(16), offsets.to_derived(9)
        (16, 6, 5)
    """

    derived: tuple[int, ...] = (0,)
    origin: tuple[int, ...] = (0,)

    def to_origin(self, position: int) -> int:
        """Return where the character at ``position`` of the derived text stood."""
        stretch = max(0, bisect_right(self.derived, position) - 1)
        return self.origin[stretch] + position - self.derived[stretch]

    def to_derived(self, position: int) -> int:
        """Return where ``position`` of the original went; what was cut out maps to where the cut is."""
        stretch = bisect_right(self.origin, position) - 1
        if stretch < 0:
            return self.derived[0]
        moved = self.derived[stretch] + position - self.origin[stretch]
        return min([moved, *self.derived[stretch + 1 : stretch + 2]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    r"""A text without its noise.

    Attributes:
        text: What is left; every line ends in ``\\n``.
        offsets: From positions in ``text`` to positions in the text before.
        noise: The spans that were removed, in the text before.
    """

    text: str
    offsets: OffsetMap
    noise: tuple[tuple[int, int], ...]


def clean(text: str, patterns: Sequence[re.Pattern[str]]) -> Cleaned:
    r"""Remove what the patterns match, and turn ``\r\n`` and ``\r`` into ``\n``.

    Args:
        text: Any text.
        patterns: What to remove; each is matched against the whole text as given.

    Returns:
        The clean text and the way back.

    Example:
        >>> cleaned = clean("One\r\n(picture)\r\nTwo", [re.compile(p, re.M) for p in DEFAULT_NOISE])
        >>> cleaned.text, cleaned.offsets.to_origin(4)
        ('One\nTwo', 16)
    """
    noise = _merge(match.span() for pattern in patterns for match in pattern.finditer(text))
    returns = [match.span() for match in _CARRIAGE_RETURN.finditer(text)]
    cuts = _merge([*noise, *returns]) if returns else noise
    kept = [span for span in _complement(cuts, len(text)) if span[0] < span[1]]
    return Cleaned(
        text="".join(text[start:end] for start, end in kept).replace("\r", "\n"),
        offsets=_offsets(kept) if kept else OffsetMap(),
        noise=tuple(noise),
    )


def _merge(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return [(start, end) for start, end in merged if start < end]


def _complement(cuts: Sequence[tuple[int, int]], length: int) -> Iterable[tuple[int, int]]:
    return ((before[1], after[0]) for before, after in pairwise([(0, 0), *cuts, (length, length)]))


def _offsets(kept: Sequence[tuple[int, int]]) -> OffsetMap:
    derived = [0]
    for start, end in kept[:-1]:
        derived.append(derived[-1] + end - start)
    return OffsetMap(derived=tuple(derived), origin=tuple(start for start, _ in kept))
