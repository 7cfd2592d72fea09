"""Filters for Chroma: a ``where`` that lets through at least what matches; the rest is verified.

Chroma's own operators differ from ours in small ways: a float operand is cut to an integer before it is
compared with integers, scalar operators never see lists, an ``$in`` takes one type, dates and None do not
exist. Each leaf therefore becomes the smallest ``where`` that surely contains its matches, or none.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeAlias

from vectorface.backends.chroma.codec import (
    PATHS,
    SAFE_INT,
    date_key,
    is_native_key,
    microseconds,
    native_scalar,
)
from vectorface.filters import And, Exists, Filter, In, Kind, Not, Or, Order, Range, kind
from vectorface.metadata import Scalar

Where: TypeAlias = dict[str, Any]

#: A filter that no document can match; Chroma has no way to say it.
NOTHING: Final[Where] = {"$nothing": True}

#: Each clause costs a look-up over the collection; beyond this many, verifying is cheaper.
_MOST_CLAUSES: Final = 64
#: SQLite takes 32,766 variables in a statement, other parts of it included.
_MOST_OPERANDS: Final = 8_000

_INT64: Final = 1 << 63


def superset(filter_: Filter) -> Where | None:
    """Return a ``where`` that matches every document that ``filter_`` does, and maybe more.

    Returns:
        ``None`` where nothing useful can be said natively, :data:`NOTHING` where nothing can match.
    """
    where = _compile(filter_, negated=False)
    return where if where is None or _fits(*_size(where)) else None


def _compile(filter_: Filter, *, negated: bool) -> Where | None:
    match filter_:
        case Not(part):
            return _compile(part, negated=not negated)
        case And(parts):
            return _combined(parts, conjunction=not negated, negated=negated)
        case Or(parts):
            return _combined(parts, conjunction=negated, negated=negated)
        case In(path=path, values=values):
            return _none_of(path, values) if negated else _any_of(path, values)
        case Range(path=path, order=order, bound=bound):
            return None if negated else _range(path, order, bound)
        case Exists():
            return None


def _combined(parts: Iterable[Filter], *, conjunction: bool, negated: bool) -> Where | None:
    compiled = [_compile(part, negated=negated) for part in parts]
    return _all(compiled) if conjunction else _any(compiled)


def _all(wheres: Iterable[Where | None]) -> Where | None:
    """Join with ``$and``; leaving a clause out only lets more through."""
    kept: list[Where] = []
    clauses = operands = 0
    for where in wheres:
        if where is NOTHING:
            return NOTHING
        if where is not None:
            more_clauses, more_operands = _size(where)
            if _fits(clauses + more_clauses, operands + more_operands):
                kept.append(where)
                clauses, operands = clauses + more_clauses, operands + more_operands
    return _joined("$and", kept)


def _any(wheres: Iterable[Where | None]) -> Where | None:
    parts: list[Where] = []
    for where in wheres:
        if where is None:
            return None
        if where is not NOTHING:
            parts.append(where)
    return _joined("$or", parts) or NOTHING


def _joined(operator: str, parts: Sequence[Where]) -> Where | None:
    if len(parts) > 1:
        return {operator: list(parts)}
    return parts[0] if parts else None


def _fits(clauses: int, operands: int) -> bool:
    return clauses <= _MOST_CLAUSES and operands <= _MOST_OPERANDS


def _size(where: Where) -> tuple[int, int]:
    """Return how many clauses and operands a ``where`` has."""
    [(key, value)] = where.items()
    if key in {"$and", "$or"}:
        sizes = [_size(part) for part in value]
        return sum(clauses for clauses, _ in sizes), sum(operands for _, operands in sizes)
    [operand] = value.values() if isinstance(value, dict) else [value]
    return 1, len(operand) if isinstance(operand, list) else 1


# -- equality ---------------------------------------------------------------------------------------------


def _any_of(path: str, values: Sequence[Scalar]) -> Where | None:
    if not values:
        return NOTHING
    if len(values) > _MOST_OPERANDS or not is_native_key(path):
        return None if is_native_key(path) else _odd(path)
    groups = _by_kind(values)
    clauses = [clause for kind_, group in groups.items() for clause in _equal(path, kind_, group)]
    return _any([*clauses, _odd(path)])


def _by_kind(values: Iterable[Scalar]) -> Mapping[Kind, list[Scalar]]:
    groups: dict[Kind, list[Scalar]] = {}
    for value in values:
        groups.setdefault(kind(value), []).append(value)
    return groups


def _equal(path: str, kind_: Kind, values: Sequence[Scalar]) -> list[Where]:
    match kind_:
        case "null":
            return []
        case "number":
            return _equal_numbers(path, values)
        case "string" | "bool":
            return [_in(path, values), *_in_lists(path, values)]
        case _:
            return [_in(date_key(path, kind_), [microseconds(v) for v in values if isinstance(v, date)])]


def _equal_numbers(path: str, values: Sequence[Any]) -> list[Where]:
    whole = [int(value) for value in values if value == int(value)]
    asked = [value for value in whole if -_INT64 <= value < _INT64]
    clauses = [_in(path, asked)] if asked else []
    beyond = (value for value in values if abs(value) > SAFE_INT or value != int(value))
    clauses += [_near(path, float(value)) for value in beyond if abs(value) <= sys.float_info.max]
    return [*clauses, *_in_lists(path, [spelled for value in values for spelled in _spellings(value)])]


def _spellings(value: Any) -> Iterator[int | float]:
    """Yield the native values that equal a number; a list of Chroma's tells integers from floats."""
    if value == int(value) and -_INT64 <= value < _INT64:
        yield int(value)
    if abs(value) <= sys.float_info.max:
        yield float(value)


def _near(path: str, value: float) -> Where:
    """Match a float although Chroma may have changed its last bits."""
    return {"$and": [{path: {"$gte": _stretched(value, -1)}}, {path: {"$lte": _stretched(value, +1)}}]}


def _stretched(value: float, direction: int) -> float:
    """Move a bound outwards past the last bits that Chroma may have changed, but not to infinity."""
    largest = sys.float_info.max
    return max(-largest, min(largest, value + direction * 4 * math.ulp(value)))


def _in(path: str, values: Sequence[Any]) -> Where:
    return {path: {"$in": list(values)}} if len(values) > 1 else {path: {"$eq": values[0]}}


def _in_lists(path: str, values: Sequence[Any]) -> list[Where]:
    return [{path: {"$contains": value}} for value in values]


def _none_of(path: str, values: Sequence[Scalar]) -> Where | None:
    """Leave out documents whose native value surely equals one of the values."""
    if not is_native_key(path):
        return None
    groups = _by_kind(value for value in values if _is_sure(value)).values()
    return _all({path: {"$nin": [native_scalar(value) for value in group]}} for group in groups)


def _is_sure(value: Scalar) -> bool:
    """Tell whether a native value equal to this one is the document's own.

    Chroma may have changed a fraction in its last bits, and another library may have written past a date.
    """
    native = native_scalar(value)
    return native is not None and not isinstance(native, float) and not isinstance(value, date)


# -- order ------------------------------------------------------------------------------------------------


def _range(path: str, order: Order, bound: Scalar) -> Where | None:
    if isinstance(bound, str):
        return None  # Chroma orders numbers only
    if not is_native_key(path):
        return _odd(path)
    if isinstance(bound, date):
        return _any([{date_key(path, kind(bound)): {order: microseconds(bound)}}, _odd(path)])
    return _any([_number_range(path, order, bound), _lists(path), _odd(path)])


def _number_range(path: str, order: Order, bound: Any) -> Where | None:
    if isinstance(bound, float) and bound.is_integer():
        bound = int(bound)
    if isinstance(bound, int) and abs(bound) <= SAFE_INT:
        return {path: {order: bound}}
    direction = -1 if order.startswith("$gt") else +1
    if abs(bound) > _INT64:
        if (bound > 0) == (direction > 0):
            return (
                None  # nearly all numbers match, and Chroma does not compare its integers with such a bound
            )
        bound = -direction * _INT64
    value = float(bound)
    # A fraction is cut to an integer before Chroma compares integers with it, so "or equal" lets it pass.
    return {path: {f"{order[:3]}e": _stretched(value, direction)}}


# -- what native comparisons do not see -------------------------------------------------------------------


def _odd(path: str) -> Where:
    return {PATHS: {"$contains": f"n:{path}"}}


def _lists(path: str) -> Where:
    return {PATHS: {"$contains": f"l:{path}"}}
