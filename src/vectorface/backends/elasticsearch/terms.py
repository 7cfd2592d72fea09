"""Metadata as keyword terms, so that one field answers every filter exactly.

A term is ``path NUL tag value``. Terms of one path and kind sort as their values do, so a range of values is
a range of terms; every path has its own terms, so ten thousand metadata keys are still one mapped field.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from vectorface.filters import Kind, kind
from vectorface.metadata import Scalar

#: Each kind's tag; the next letter ends its range. ``l`` and ``o`` say that a list or an object is there.
_TAGS: Final[Mapping[Kind, str]] = {
    "bool": "b",
    "date": "d",
    "datetime": "e",
    "instant": "i",
    "number": "n",
    "string": "s",
    "null": "z",
}
_LIST: Final = "l"
_OBJECT: Final = "o"

#: Characters of text, and hex digits of a number, that are kept; a hash stands for the rest.
LONGEST: Final = 256
#: Longest path in bytes; Elasticsearch refuses terms above 32,766.
_LONGEST_PATH: Final = 1_024

_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the naive one
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: More than any exponent of a number that a computer can hold.
_BIAS: Final = 1 << 39
_COMPLEMENT: Final = str.maketrans("0123456789abcdef", "fedcba9876543210")


def terms_of(metadata: Mapping[str, Any]) -> list[str]:
    """Return the terms of a document's metadata, sorted, each once.

    Example:
        >>> [term.replace(chr(0), "|") for term in terms_of({"tags": ["sea"], "draft": True})]
        ['draft|b1', 'tags|l', 'tags|ssea']
    """
    return sorted({term for key, value in metadata.items() for term in _terms(key, value)})


def _terms(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield prefix(path) + _OBJECT
        for key, item in value.items():
            yield from _terms(f"{path}.{key}", item)
    elif isinstance(value, list):
        yield prefix(path) + _LIST
        for item in value:
            yield from _terms(path, item)
    else:
        yield term(path, value)


@lru_cache(maxsize=4_096)
def prefix(path: str) -> str:
    """Return what the terms of a path begin with, and no others."""
    path = path.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")
    if len(encoded := path.encode()) > _LONGEST_PATH:
        path = f"{path[:LONGEST]}\x01\x03{hashlib.sha256(encoded).hexdigest()}"
    return path + "\0"


def after(path: str) -> str:
    """Return a term beyond all terms of a path."""
    return prefix(path)[:-1] + "\x01"


def term(path: str, value: Scalar) -> str:
    """Return the term of a value."""
    return prefix(path) + _TAGS[kind(value)] + _encoded(value)


def bounds(path: str, value: Scalar) -> tuple[str, str]:
    """Return where the terms of the value's kind begin, and what is beyond them all."""
    tag = _TAGS[kind(value)]
    return prefix(path) + tag, prefix(path) + chr(ord(tag) + 1)


def is_whole(value: Scalar) -> bool:
    """Tell whether the term holds the whole value, so that it can bound a range."""
    return len(_unhashed(value)) <= LONGEST


def _encoded(value: Scalar) -> str:
    text = _unhashed(value)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\0{hashlib.sha256(text.encode()).hexdigest()}"


def _unhashed(value: Scalar) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        epoch = _NAIVE_EPOCH if value.utcoffset() is None else _EPOCH
        return number((value - epoch) // _MICROSECOND)
    if isinstance(value, date):
        return number(value.toordinal())
    return number(value)


def number(value: float) -> str:
    """Return hex digits that sort as numbers do, the same for equal ones, for integers of any size.

    They are the sign, the power of two that the number is below, and its binary digits without the
    zeros at the end; for negative numbers the complement of all of them.

    Example:
        >>> number(1) == number(1.0), number(-2) < number(-1.5) < number(0) < number(2**70 + 1)
        (True, True)
    """
    if value == 0:
        return "1"
    exponent, digits = _parts(abs(value))
    magnitude = f"{exponent + _BIAS:010x}{digits}"
    return f"2{magnitude}" if value > 0 else f"0{magnitude.translate(_COMPLEMENT)}g"


def _parts(value: float) -> tuple[int, str]:
    """Return e and the hex digits of f, for which ``value`` is ``f * 2**e`` with f from 1/2 to below 1."""
    if isinstance(value, int):
        exponent = value.bit_length()
        padding = -exponent % 4
        return exponent, f"{value << padding:x}".rstrip("0")
    fraction, exponent = math.frexp(value)
    return exponent, f"{int(fraction * (1 << 56)):014x}".rstrip("0")
