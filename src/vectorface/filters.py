"""The filter language: Mongo-style dicts, parsed once and meaning the same on every backend.

==============================  ===============================================================
``{"chapter": 1}``              the value, or an element of the list, at ``chapter`` equals 1
``$eq $ne $in $nin``            equality; ``$in: []`` matches nothing
``$gt $gte $lt $lte``           order, among values of the operand's own type
``$exists: true | false``       the key is there, whatever it holds (``None`` and ``[]`` too)
``$and [...]  $or [...]``       combine filters; several keys in one dict mean ``$and``
``$not {...}``                  the complement, around a filter or around a field's operators
``"author.name"``               a dotted path reaches into objects and lists of objects
==============================  ===============================================================

Positive operators hold if *any* element of a list does. ``$ne``, ``$nin`` and ``$not`` are exact
complements, so they match documents that lack the key. Numbers compare as numbers (``1 == 1.0``, large
integers exactly); a bool is not a number, and text is not a number or a date. ``date``, naive
``datetime`` and aware ``datetime`` are three types. ``{"tag": None}`` matches a ``None`` that is there.
A path also reaches a key that itself contains dots: ``"a.b"`` finds both ``{"a": {"b": 1}}`` and
``{"a.b": 1}``.

:func:`matches` is the definition: every backend is tested against it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal, TypeAlias

from vectorface.errors import InvalidFilterError
from vectorface.metadata import Scalar, encodable, plain_date, plain_text

#: Deepest nesting of ``$and``, ``$or`` and ``$not``; below what every backend's query parser takes.
MAX_DEPTH: Final = 24

Order: TypeAlias = Literal["$gt", "$gte", "$lt", "$lte"]
Kind: TypeAlias = Literal["null", "bool", "number", "string", "date", "datetime", "instant"]


@dataclass(frozen=True, kw_only=True, slots=True)
class In:
    """Some value at ``path`` equals one of ``values``; ``value in filter_`` tells it of one."""

    path: str
    values: tuple[Scalar, ...]
    _known: frozenset[tuple[Kind, Scalar]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_known", frozenset((kind(value), value) for value in self.values))

    def __contains__(self, value: Scalar) -> bool:
        try:
            return (kind(value), value) in self._known
        except TypeError:  # unhashable, so no plain value: metadata that no store has checked
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Some value at ``path`` has the bound's type and stands in this order to it."""

    path: str
    order: Order
    bound: Scalar


@dataclass(frozen=True, kw_only=True, slots=True)
class Exists:
    """``path`` leads to a key."""

    path: str


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; without parts it matches everything."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter: TypeAlias = In | Range | Exists | And | Or | Not

ALL: Final = And(())


# -- parsing ----------------------------------------------------------------------------------------------


def parse(spec: Mapping[str, Any] | None) -> Filter:
    """Turn a filter dict into its tree, or say where it is wrong.

    Args:
        spec: The filter; ``None`` and ``{}`` match everything.

    Raises:
        InvalidFilterError: With the path to the fault, as in ``filter['$and'][1]['chapter']``.

    Example:
        >>> parse({"chapter": {"$gte": 3}})
        Range(path='chapter', order='$gte', bound=3)
    """
    return ALL if spec is None else _parse_object(spec, "filter", 0)


def _parse_object(spec: object, at: str, depth: int) -> Filter:
    if not isinstance(spec, Mapping):
        raise InvalidFilterError(f"{at} must be a dict such as {{'chapter': 1}}, not {_shown(spec)}.")
    if depth > MAX_DEPTH:
        raise InvalidFilterError(
            f"The filter is nested more than {MAX_DEPTH} deep; write nested $and/$or as one flat list."
        )
    return _all_of([_parse_item(key, value, at, depth) for key, value in spec.items()])


def _all_of(parts: Sequence[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _parse_item(key: object, value: object, at: str, depth: int) -> Filter:
    here = f"{at}[{key!r}]"
    if not isinstance(key, str):
        raise InvalidFilterError(f"{here}: keys must be str, not {type(key).__name__}.")
    if key in {"$and", "$or"}:
        parts = _parse_list(value, here, depth)
        return And(parts) if key == "$and" else Or(parts)
    if key == "$not":
        return Not(_parse_object(value, here, depth + 1))
    if key.startswith("$"):
        raise InvalidFilterError(
            f"{here}: {_unknown(key)} here; $and, $or and $not combine filters.{_elsewhere(key)}"
        )
    return _parse_field(_check_text(key, here), value, here, depth)


def _parse_list(value: object, at: str, depth: int) -> tuple[Filter, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InvalidFilterError(f"{at} must be a non-empty list of filters, not {_shown(value)}.")
    return tuple(_parse_object(item, f"{at}[{i}]", depth + 1) for i, item in enumerate(value))


def _parse_field(path: str, value: object, at: str, depth: int) -> Filter:
    if not isinstance(value, Mapping):
        return In(path=path, values=(_scalar(value, at),))
    if not value:
        raise InvalidFilterError(f"{at} is empty; give a value or an operator such as {{'$eq': 1}}.")
    return _all_of([_parse_operator(path, op, operand, at, depth) for op, operand in value.items()])


def _parse_operator(path: str, op: object, operand: object, at: str, depth: int) -> Filter:
    here = f"{at}[{op!r}]"
    if not isinstance(op, str) or not op.startswith("$"):
        raise InvalidFilterError(f"{here} is not an operator; {_meant(path, op)}")
    if depth >= MAX_DEPTH:
        raise InvalidFilterError(f"The filter is nested more than {MAX_DEPTH} deep; flatten it.")
    parser = _OPERATORS.get(op)
    if op == "$not":
        return Not(_parse_field(path, _operators_of(operand, here), here, depth + 1))
    if parser is None:
        raise InvalidFilterError(
            f"{here}: {_unknown(op)}; a field takes {', '.join(_OPERATORS)} and $not.{_elsewhere(op)}"
        )
    return parser(path, operand, here)


def _operators_of(operand: object, at: str) -> object:
    if not isinstance(operand, Mapping):
        raise InvalidFilterError(
            f"{at} takes operators, as in {{'$not': {{'$eq': 1}}}}, not {_shown(operand)}."
        )
    return operand


def _unknown(op: str) -> str:
    return f"unknown operator {op!r}"


def _meant(path: str, op: object) -> str:
    """Say what to write instead of a key that stands where an operator should."""
    inside = f"to look into an object write '{path}.{op}'."
    if op == "not" or f"${op}" in _OPERATORS:
        return f"did you mean '${op}'? Or {inside}"
    return inside


def _elsewhere(op: str) -> str:
    """Add to a message what to do for an operator that searches text in other stores."""
    if op not in _TEXT_OPERATORS:
        return ""
    return " To find text in the content use the argument contains= of query() and get()."


#: What other stores call a search for text, in metadata or content.
_TEXT_OPERATORS: Final = frozenset(
    {"$contains", "$not_contains", "$regex", "$not_regex", "$like", "$ilike", "$text"}
)


def _parse_eq(path: str, operand: object, at: str) -> Filter:
    return In(path=path, values=(_scalar(operand, at),))


def _parse_ne(path: str, operand: object, at: str) -> Filter:
    return Not(_parse_eq(path, operand, at))


def _parse_in(path: str, operand: object, at: str) -> Filter:
    if not isinstance(operand, list | tuple | set | frozenset):
        raise InvalidFilterError(f"{at} takes a list of values, not {_shown(operand)}.")
    return In(path=path, values=tuple(_scalar(item, f"{at}[{i}]") for i, item in enumerate(operand)))


def _parse_nin(path: str, operand: object, at: str) -> Filter:
    return Not(_parse_in(path, operand, at))


def _parse_range(order: Order) -> Callable[[str, object, str], Filter]:
    def parse_range(path: str, operand: object, at: str) -> Filter:
        bound = _scalar(operand, at)
        if bound is None or isinstance(bound, bool):
            raise InvalidFilterError(f"{at}: {bound!r} has no order; a range takes a number, text or a date.")
        return Range(path=path, order=order, bound=bound)

    return parse_range


def _parse_exists(path: str, operand: object, at: str) -> Filter:
    if not isinstance(operand, bool):
        raise InvalidFilterError(f"{at} takes True or False, not {_shown(operand)}.")
    return Exists(path=path) if operand else Not(Exists(path=path))


_OPERATORS: Final[Mapping[str, Callable[[str, object, str], Filter]]] = {
    "$eq": _parse_eq,
    "$ne": _parse_ne,
    "$in": _parse_in,
    "$nin": _parse_nin,
    "$gt": _parse_range("$gt"),
    "$gte": _parse_range("$gte"),
    "$lt": _parse_range("$lt"),
    "$lte": _parse_range("$lte"),
    "$exists": _parse_exists,
}


def _scalar(value: object, at: str) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, date):
        return plain_date(value)
    if isinstance(value, str):
        return _check_text(value, at)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidFilterError(f"{at} is {value}, which no document can hold; use a finite number.")
        return float(value)
    raise InvalidFilterError(f"{at}: {_shown(value)} is not a value to compare with; {_advice(value)}")


def _advice(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return "to match any of several values write {'$in': [...]}."
    if hasattr(value, "item"):
        return "call its .item() first."
    return "use str, bool, int, float, None, date or datetime."


def _check_text(text: str, at: str) -> str:
    if not encodable(text):
        raise InvalidFilterError(f"{at} holds a lone surrogate, which is not Unicode text.")
    return plain_text(text)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
        return f"a value of type {type(value).__name__}"
    return f"{text[:60]}…" if len(text) > 60 else text  # noqa: PLR2004 - a message, kept to a line


# -- meaning ----------------------------------------------------------------------------------------------


def matches(filter_: Filter, metadata: Mapping[str, Any]) -> bool:
    """Tell whether ``metadata`` satisfies ``filter_``: the definition of the language.

    Example:
        >>> matches(parse({"tags": "sea", "chapter": {"$lt": 3}}), {"tags": ["sea", "fog"], "chapter": 2})
        True
    """
    match filter_:
        case In(path=path):
            return any(found in filter_ for found in scalars_at(metadata, path))
        case Range(path=path, order=order, bound=bound):
            return any(ordered(found, order, bound) for found in scalars_at(metadata, path))
        case Exists(path=path):
            return any(True for _ in _nodes(metadata, path.split(".")))
        case And(parts):
            return all(matches(part, metadata) for part in parts)
        case Or(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)


def constant(filter_: Filter) -> bool | None:
    """Return what a filter says of all documents by its form alone; ``None`` if that depends on them.

    Example:
        >>> constant(parse({"$or": [{}, {"chapter": 1}]})), constant(parse({"chapter": 1}))
        (True, None)
    """
    match filter_:
        case And(parts):
            return _decided(parts, by=False)
        case Or(parts):
            return _decided(parts, by=True)
        case Not(part):
            inner = constant(part)
            return None if inner is None else not inner
        case In(values=()):
            return False
        case _:
            return None


def _decided(parts: Sequence[Filter], *, by: bool) -> bool | None:
    """Return ``by`` if any part says so, else its opposite if all parts do."""
    said = {constant(part) for part in parts}
    if by in said:
        return by
    return None if None in said else not by


def kind(value: Scalar) -> Kind:
    """Return the type a value compares as: values of different kinds never match."""
    if isinstance(value, str):
        return "string"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):  # a tuple, because a union would be made anew for each value
        return "number"
    if isinstance(value, datetime):
        return "datetime" if value.utcoffset() is None else "instant"
    return "date"


_ORDERS: Final[Mapping[Order, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def ordered(value: Scalar, order: Order, bound: Scalar) -> bool:
    """Tell whether ``value`` is of the bound's kind and stands in ``order`` to it."""
    return kind(value) == kind(bound) and _ORDERS[order](value, bound)


def scalars_at(metadata: Mapping[str, Any], path: str) -> Iterator[Scalar]:
    """Yield every plain value that ``path`` leads to; lists are looked into at any depth."""
    for node in _nodes(metadata, path.split(".")):
        yield from _leaves(node)


def _leaves(node: Any) -> Iterator[Scalar]:
    if isinstance(node, list):
        for item in node:
            yield from _leaves(item)
    elif not isinstance(node, Mapping):
        yield node


def _nodes(node: Any, parts: Sequence[str]) -> Iterator[Any]:
    if not parts:
        yield node
    elif isinstance(node, Mapping):
        for end in range(1, len(parts) + 1):
            key = ".".join(parts[:end])
            if key in node:
                yield from _nodes(node[key], parts[end:])
    elif isinstance(node, list):
        for item in node:
            if isinstance(item, Mapping | list):
                yield from _nodes(item, parts)
