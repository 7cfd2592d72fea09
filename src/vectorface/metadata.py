"""What metadata may hold, its exact JSON form, and its hash.

Metadata is a JSON-like object that may also hold dates: ``str``, ``bool``, ``int`` of any size, finite
``float``, ``None``, ``date``, ``datetime``, lists and string-keyed objects of these, nested up to
:data:`MAX_DEPTH`. :func:`dumps` and :func:`loads` keep every type apart, so backends that store text
can give back exactly what they were given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timezone
from types import NoneType
from typing import Any, Final, TypeAlias

import orjson

from vectorface.errors import InvalidDocumentError

Scalar: TypeAlias = str | bool | int | float | date | datetime | None
Value: TypeAlias = "Scalar | list[Value] | dict[str, Value]"
Metadata: TypeAlias = "dict[str, Value]"

#: Deepest nesting of lists and objects. Far beyond real metadata, well below Python's recursion limit.
MAX_DEPTH = 64

_INT64 = 1 << 63

#: A tuple, because a union would be made anew for each value that is asked about.
_SAID_BY_JSON: Final = (str, bool, float, NoneType)


class _InvalidValueError(Exception):
    def __init__(self, path: str, problem: str) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem


def validated(metadata: object, *, where: str) -> Metadata:
    """Return a deep copy of ``metadata`` made of plain Python values.

    Args:
        metadata: The mapping to check.
        where: Names the document in the error message.

    Raises:
        InvalidDocumentError: A value cannot be stored; the message says which, and what to do.

    Example:
        >>> validated({"chapter": 1, "tags": ["sea"]}, where="document 0")
        {'chapter': 1, 'tags': ['sea']}
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidDocumentError(f"{where}: metadata must be a dict, not {type(metadata).__name__}.")
    try:
        return _plain_object(metadata, "metadata", 0)
    except _InvalidValueError as error:
        raise InvalidDocumentError(f"{where}: {error.path} {error.problem}") from None


def _plain_object(value: Mapping[Any, Any], path: str, depth: int) -> Metadata:
    if depth > MAX_DEPTH:
        raise _InvalidValueError(path[:80] + "…", f"is nested more than {MAX_DEPTH} deep; flatten it.")
    return {_plain_key(key, path): _plain(item, f"{path}[{key!r}]", depth) for key, item in value.items()}


def _plain_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise _InvalidValueError(path, f"has the key {key!r} of type {type(key).__name__}; keys must be str.")
    return _plain_text(key, path)


def _plain(value: object, path: str, depth: int) -> Value:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _plain_text(value, path)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _plain_float(value, path)
    if isinstance(value, date):
        return plain_date(value)
    if isinstance(value, list):
        if depth >= MAX_DEPTH:
            raise _InvalidValueError(path[:80] + "…", f"is nested more than {MAX_DEPTH} deep; flatten it.")
        return [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _plain_object(value, path, depth + 1)
    raise _InvalidValueError(path, f"is of type {type(value).__name__}, which {_advice(value)}")


def _advice(value: object) -> str:
    if isinstance(value, tuple | set | frozenset):
        return "would come back as a list; pass a list."
    if hasattr(value, "item"):
        return "is not a plain Python value; call its .item() or .tolist() first."
    return "cannot be stored; use str, bool, int, float, None, date, datetime, list or dict."


def _plain_text(value: str, path: str) -> str:
    if not encodable(value):
        raise _InvalidValueError(
            path,
            "holds a lone surrogate, which is not Unicode text; decode the source with errors='replace'.",
        )
    return plain_text(value)


def _plain_float(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise _InvalidValueError(path, f"is {value}, which no store keeps; use None or leave the key out.")
    return float(value)


def plain_text(text: str) -> str:
    """Return the characters of ``text`` as a plain ``str``: of an enum of strings that is its value."""
    return str.__str__(text)


def plain_date(value: date) -> date:
    """Return a date or datetime without what JSON cannot keep: subclass, time zone's name, ``fold``.

    The offset from UTC stays. A named time zone does not: in the hour that is repeated in autumn, times of
    named zones are unequal to all others, even to themselves in UTC.

    Example:
        >>> from zoneinfo import ZoneInfo
        >>> plain_date(datetime(2024, 5, 1, tzinfo=ZoneInfo("Europe/Oslo"))).isoformat()
        '2024-05-01T00:00:00+02:00'
    """
    if not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    offset = value.utcoffset()
    parts = value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
    return datetime(*parts, tzinfo=None if offset is None else timezone(offset))


def encodable(text: str) -> bool:
    """Tell whether ``text`` can be written as UTF-8 (it holds no lone surrogate)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def dumps(value: Value) -> str:
    """Return ``value`` as canonical JSON: sorted keys, no spaces, types kept apart.

    What JSON cannot say is an object with one key that starts with ``$``: ``{"$date": "2024-05-01"}``,
    ``{"$datetime": …}``, ``{"$int": "0x…"}`` beyond 64 bits, and ``{"$object": …}`` around a real object
    of that shape.

    Example:
        >>> dumps({"b": 1.0, "a": date(2024, 5, 1)})
        '{"a":{"$date":"2024-05-01"},"b":1.0}'
    """
    return orjson.dumps(to_json(value), option=orjson.OPT_SORT_KEYS).decode()


def loads(text: str) -> Any:
    """Return the value that :func:`dumps` wrote.

    Example:
        >>> loads('{"a":{"$date":"2024-05-01"}}')
        {'a': datetime.date(2024, 5, 1)}
    """
    return from_json(orjson.loads(text))


def to_json(value: Value) -> Any:
    """Return ``value`` as plain JSON values, as :func:`dumps` writes them.

    Example:
        >>> to_json([date(2024, 5, 1), None])
        [{'$date': '2024-05-01'}, None]
    """
    if isinstance(value, _SAID_BY_JSON):
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else {"$int": hex(value)}
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, date):
        return {"$date": value.isoformat()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    encoded = {key: to_json(item) for key, item in value.items()}
    return {"$object": list(encoded.items())} if _looks_tagged(encoded) else encoded


def from_json(value: Any) -> Any:
    """Return the value that :func:`to_json` made plain; what is read from JSON may be passed as it is.

    Example:
        >>> from_json([{"$date": "2024-05-01"}, None])
        [datetime.date(2024, 5, 1), None]
    """
    if isinstance(value, dict):
        return _from_json({key: from_json(item) for key, item in value.items()})
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return value


def _looks_tagged(value: Mapping[str, object]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def _from_json(value: dict[str, Any]) -> Any:
    if not _looks_tagged(value):
        return value
    [(tag, content)] = value.items()
    return _DECODERS[tag](content) if tag in _DECODERS else value


_DECODERS: Mapping[str, Any] = {
    "$int": lambda text: int(text, 16),
    "$date": date.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$object": dict,
}
