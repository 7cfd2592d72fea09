"""Metadata in Chroma: as native as it can be, and exact.

Chroma keeps strings, bools, integers, floats and one-typed lists of them. Those go in as they are, nested
objects as native ``a.b`` keys, so that its filters and other programs see them. One reserved key holds a
JSON string with the stamp and the exact value of each top-level key that native values cannot say: None,
empties, mixed lists, nesting, dates, integral and long floats, large integers. A second reserved key, only
where needed, lists the paths whose values a native comparison does not see.

Another library may change native values later; then the JSON is out of date, path by path, and native wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from vectorface.filters import Kind, kind
from vectorface.metadata import Metadata, Scalar, Value, dumps, loads

PREFIX: Final = "_vectorface"
#: Holds the stamp and the exact values.
EXACT: Final = PREFIX
#: Lists paths as ``n:path`` (not native at all) and ``l:path`` (a native list, which ranges do not see).
PATHS: Final = f"{PREFIX}_paths"

_NUL: Final = "\0"
_NUL_SIGN: Final = "\N{REPLACEMENT CHARACTER}"

#: Beyond this an integer and a double can be confused.
SAFE_INT: Final = 1 << 53

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Native = str | bool | int | float | list[str] | list[bool] | list[int] | list[float]


@dataclass(slots=True)
class _Flat:
    """The native view of metadata: what each native key holds, and which paths are odd."""

    native: dict[str, Native] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)

    def put(self, path: str, value: Native | None, *, key: str | None = None) -> None:
        """Note the value of a path; a path with two values, or a value Chroma cannot hold, is odd."""
        key = key or path
        if value is None or key in self.native or path in self.odd or not is_native_key(path):
            self.native.pop(key, None)
            self.odd.add(path)
        else:
            self.native[key] = value


def encode(metadata: Metadata, stamp: str, text: str = "") -> dict[str, Native]:
    """Return Chroma's metadata for a document; ``text`` is its content."""
    flat = _flat(metadata)
    exact = {key: value for key, value in metadata.items() if not (key in flat.native and _is_plain(value))}
    tokens = [f"n:{path}" for path in sorted(flat.odd)]
    tokens += [f"l:{path}" for path, value in flat.native.items() if isinstance(value, list)]
    encoded = dict(flat.native)
    if tokens:
        encoded[PATHS] = tokens
    about: Metadata = {"stamp": stamp}
    if exact:
        about["exact"] = exact
    if _NUL in text:
        about["text"] = text
    encoded[EXACT] = dumps(about)
    return encoded


def native_text(text: str) -> str:
    """Return a text, or what is looked for in texts, without NUL, at which Chroma's search stops reading."""
    return text.replace(_NUL, _NUL_SIGN)


def exact_text(native: str, metadata: Mapping[str, Any] | None) -> str:
    """Return a document's content as it was written."""
    if _NUL_SIGN not in native or not metadata:
        return native
    exact = _read_exact(metadata.get(EXACT)).get("text")
    return exact if isinstance(exact, str) and native_text(exact) == native else native


def decode(native: Mapping[str, Any] | None) -> tuple[Metadata, str | None]:
    """Return the metadata and stamp of a document, as vectorface or any other library wrote it."""
    if not native:
        return {}, None
    about = _read_exact(native.get(EXACT))
    metadata: Metadata = {key: value for key, value in native.items() if not key.startswith(PREFIX)}
    exact, stamp = about.get("exact"), about.get("stamp")
    if isinstance(exact, dict):
        _restore(metadata, exact, native)
    metadata = dict(sorted(metadata.items()))  # Chroma gives keys in another order each time
    return metadata, stamp if isinstance(stamp, str) else None


def _restore(metadata: Metadata, exact: Metadata, native: Mapping[str, Any]) -> None:
    """Put exact values in the place of their native view, where that still is what we wrote."""
    written = _flat(exact)
    for key, value in exact.items():
        own = _flat({key: value})
        paths = {key, *own.native, *own.odd} - {EXACT, PATHS}  # a caller's keys of these names are not there
        if all(_same(native.get(path), written.native.get(path)) for path in paths):
            for path in own.native:
                metadata.pop(path, None)
            metadata[key] = value


def _read_exact(text: object) -> Mapping[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        about = loads(text)
    except (ValueError, TypeError):  # somebody else's value under our key: nothing we wrote
        return {}
    return about if isinstance(about, dict) else {}


def _same(stored: Any, written: Any) -> bool:
    """Tell whether Chroma still holds what was written; a float may come back changed in its last bits."""
    if isinstance(stored, float) and isinstance(written, float):
        return math.isclose(stored, written, rel_tol=1e-14)
    return type(stored) is type(written) and bool(stored == written)


# -- the native view --------------------------------------------------------------------------------------


def _flat(metadata: Metadata) -> _Flat:
    flat = _Flat()
    for key, value in metadata.items():
        _flatten(key, value, flat)
    return flat


def _flatten(path: str, value: Value, flat: _Flat) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{path}.{key}", item, flat)
    elif not isinstance(value, list):
        key = date_key(path, kind(value)) if isinstance(value, date) else path
        flat.put(path, native_scalar(value), key=key)
    elif value and _is_native_list(value):
        flat.put(path, list(value))  # type: ignore[arg-type]
    else:
        for inner in set(_inner_paths(path, value)):
            flat.put(inner, None)


def _inner_paths(path: str, value: Value) -> Iterator[str]:
    """Yield every path with a value in a list that is not native."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _inner_paths(f"{path}.{key}", item)
    elif isinstance(value, list):
        for item in value:
            yield from _inner_paths(path, item)
    else:
        yield path


def date_key(path: str, kind_: Kind) -> str:
    """Return the key that holds dates of one kind, as microseconds since 1970."""
    return f"{PREFIX}_{kind_}:{path}"


def native_scalar(value: Scalar) -> Native | None:
    """Return what Chroma holds for a value; ``None`` if it cannot be compared natively."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, date):
        return _safe(microseconds(value))
    if isinstance(value, int):
        return _safe(value)
    return _safe(int(value)) if value.is_integer() else _native_float(value)


def _safe(value: int) -> int | None:
    return value if -SAFE_INT <= value <= SAFE_INT else None


def _native_float(value: float) -> float | None:
    """Return a float that compares rightly although its last bits may change: none beside an integer."""
    return None if math.isclose(value, round(value), rel_tol=1e-12, abs_tol=1e-12) else value


def microseconds(value: date) -> int:
    """Return microseconds since 1970, of the day's start for a date; naive times count as UTC."""
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif value.utcoffset() is None:
        value = value.replace(tzinfo=UTC)
    return (value - _EPOCH) // _MICROSECOND


# -- what Chroma gives back as it was ---------------------------------------------------------------------


def _is_plain(value: Value) -> bool:
    if isinstance(value, list):
        return _is_native_list(value)
    if isinstance(value, float):
        return not value.is_integer() and _is_short(value)
    return isinstance(value, bool | str | int)


def _is_short(value: float) -> bool:
    """Tell whether a float has at most 15 digits, which Chroma gives back unchanged."""
    if value == 0:
        return math.copysign(1, value) > 0  # Chroma drops the sign of -0.0
    return native_scalar(value) is not None and float(f"{value:.15g}") == value


def _is_native_list(values: list[Value]) -> bool:
    types = {type(value) for value in values}
    if types == {float}:
        return all(_is_short(value) for value in values if isinstance(value, float))
    if types == {int}:
        return all(native_scalar(value) is not None for value in values if isinstance(value, int))
    return types in ({str}, {bool})


def is_native_key(key: str) -> bool:
    """Tell whether Chroma takes the key in metadata and filters, and it is none of ours."""
    return bool(key) and key[0] not in "#$" and not key.startswith(("chroma:", PREFIX))
