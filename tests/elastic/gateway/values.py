"""Times, sizes and numbers as Elasticsearch reads and writes them.

Source: ``libs/core/.../TimeValue.java``, ``server/.../common/unit/ByteSizeValue.java``,
``server/.../rest/RestRequest.java`` (the words of a parameter that is no number).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tests.elastic.gateway.errors import illegal_argument

_SECONDS: Final = {"nanos": 1e-9, "micros": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}


def seconds(text: str, name: str) -> float:
    """Return the seconds of a time such as ``30s`` or ``500ms``."""
    found = re.fullmatch(r"(-?\d+)(nanos|micros|ms|s|m|h|d)", text.strip().lower())
    if found is None:
        if text.strip() in {"-1", "0"}:
            return float(text)
        raise illegal_argument(
            f"failed to parse setting [{name}] with value [{text}] as a time value: unit is missing or "
            "unrecognized"
        )
    return int(found[1]) * _SECONDS[found[2]]


def time_text(duration: float) -> str:
    """Return seconds as Elasticsearch prints a time: the largest unit that is not below one."""
    for unit in ("d", "h", "m", "s", "ms", "micros"):
        if (count := duration / _SECONDS[unit]) >= 1:
            return f"{_short(count)}{unit}"
    return "0s"


def size(text: str, name: str) -> int:
    """Return the bytes of a size such as ``10kb``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgtp]?b)", text.strip().lower())
    if found is None:
        if text.strip() == "0":
            return 0
        raise illegal_argument(
            f"failed to parse setting [{name}] with value [{text}] as a size in bytes: unit is missing or "
            "unrecognized"
        )
    return int(float(found[1]) * _BYTES[found[2]])


def size_text(count: int) -> str:
    """Return bytes as Elasticsearch prints a size: ``262mb``, ``1.9gb``."""
    for unit in ("pb", "tb", "gb", "mb", "kb"):
        if count >= _BYTES[unit]:
            return f"{_short(count / _BYTES[unit])}{unit}"
    return f"{count}b" if count else "0"


def _short(number: float) -> str:
    """Cut to one digit behind the point, and drop it if it is zero."""
    return f"{int(number * 10) / 10:g}"


def integer(value: object, name: str) -> int:
    """Return a parameter's or a body field's whole number."""
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value)):
        raise illegal_argument(f"Failed to parse int parameter [{name}] with value [{value}]")
    return int(str(value))


def flag(params: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return a parameter that is true or false; present without a value means true."""
    value = params.get(name)
    if value is None:
        return default
    if value not in {"", "true", "false"}:
        raise illegal_argument(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
    return value != "false"


def now_millis() -> int:
    return time.time_ns() // 1_000_000


def timestamp(millis: int | None = None) -> str:
    """Return a time as ISO 8601 with milliseconds."""
    moment = datetime.fromtimestamp((now_millis() if millis is None else millis) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
