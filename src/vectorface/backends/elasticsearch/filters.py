"""From a filter to Elasticsearch's query language: exactly, wherever a query can say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from vectorface.backends.elasticsearch.terms import after, bounds, is_whole, prefix, term
from vectorface.filters import ALL, And, Exists, Filter, In, Not, Or, Range, constant
from vectorface.primitives import chunks

Clause: TypeAlias = Mapping[str, Any]

#: Values of one ``terms`` clause (``index.max_terms_count``).
_MAX_TERMS: Final = 65_536
#: Clauses of one query: Elasticsearch's least for a small heap (``indices.query.bool.max_clause_count``).
_MAX_CLAUSES: Final = 1_024
#: Levels of ``bool`` (``indices.query.bool.max_nested_depth`` is 30; the search around it needs a few).
_MAX_DEPTH: Final = 26

NOTHING: Final[Clause] = {"match_none": {}}


def translated(filter_: Filter, field: str) -> tuple[list[Clause], Filter]:
    """Return clauses that let through at least what matches, and what is left to verify.

    Args:
        filter_: The filter.
        field: The field that holds the terms of :mod:`vectorface.backends.elasticsearch.terms`.

    Returns:
        Clauses that must all hold, none if all documents match; and the filter that still has to be
        applied to what they let through, :data:`vectorface.filters.ALL` where they say it all.
    """
    decided = constant(filter_)
    if decided is not None:
        return ([] if decided else [NOTHING]), ALL
    parts = filter_.parts if isinstance(filter_, And) else (filter_,)
    sayable = [part for part in parts if _is_exact(part) and _depth(part) <= _MAX_DEPTH]
    clauses = [_clause(part, field) for part in sayable]
    kept = list(_within_limit(clauses))
    if len(kept) == len(parts):
        return kept, ALL
    return kept, filter_


def _within_limit(clauses: Sequence[Clause]) -> Iterator[Clause]:
    """Yield as many clauses as a query may hold."""
    left = _MAX_CLAUSES - 8  # some are left to the search around it
    for clause in clauses:
        left -= _size(clause)
        if left < 0:
            return
        yield clause


def _size(clause: Clause) -> int:
    """Return how many clauses a clause counts as."""
    inner = clause.get("bool")
    if inner is None:
        return 1
    return 1 + sum(_size(part) for name in ("filter", "should", "must_not") for part in inner.get(name, ()))


def _is_exact(filter_: Filter) -> bool:
    """Tell whether terms say it all: a bound whose term ends in a hash has no order."""
    match filter_:
        case Range(bound=bound):
            return is_whole(bound)
        case And(parts) | Or(parts):
            return all(_is_exact(part) for part in parts)
        case Not(part):
            return _is_exact(part)
        case _:
            return True


def _depth(filter_: Filter) -> int:
    match filter_:
        case And(parts) | Or(parts):
            return 1 + max((_depth(part) for part in parts), default=0)
        case Not(part):
            return 1 + _depth(part)
        case _:
            return 1


def _clause(filter_: Filter, field: str) -> Clause:
    match filter_:
        case In(path=path, values=values):
            return _one_of([term(path, value) for value in values], field)
        case Range():
            return _range(filter_, field)
        case Exists(path=path):
            return {"range": {field: {"gte": prefix(path), "lt": after(path)}}}
        case And(parts):
            return {"bool": {"filter": [_clause(part, field) for part in parts]}}
        case Or(parts):
            return {"bool": {"should": [_clause(part, field) for part in parts], "minimum_should_match": 1}}
        case Not(part):
            return {"bool": {"must_not": [_clause(part, field)]}}


def _one_of(terms: Sequence[str], field: str) -> Clause:
    if not terms:
        return NOTHING
    some: list[Clause] = [{"terms": {field: part}} for part in chunks(sorted(set(terms)), _MAX_TERMS)]
    return some[0] if len(some) == 1 else {"bool": {"should": some, "minimum_should_match": 1}}


def _range(filter_: Range, field: str) -> Clause:
    """Return the values of the bound's kind on one side of it.

    Each range stays a clause of its own: of a list, one element may satisfy one and another the other.
    """
    first, beyond = bounds(filter_.path, filter_.bound)
    here = term(filter_.path, filter_.bound)
    if filter_.order in {"$gt", "$gte"}:
        return {"range": {field: {filter_.order[1:]: here, "lt": beyond}}}
    return {"range": {field: {"gte": first, filter_.order[1:]: here}}}


# -- text -------------------------------------------------------------------------------------------------

#: Longest needle that is looked for by the server; of a longer one its beginning. One that repeats itself
#: makes an automaton that grows with the square of its length, and Lucene gives up after some 300 characters.
_LONGEST_NEEDLE: Final = 250
#: Longest text, in characters, of which a keyword is kept: 32,766 bytes are 8,191 of the widest characters.
LONGEST_KEYWORD: Final = 8_191


def containing(needle: str, field: str) -> Clause:
    """Return a clause for texts that may contain ``needle``: too long texts are let through."""
    escaped = "".join(f"\\{sign}" if sign in "\\*?" else sign for sign in needle[:_LONGEST_NEEDLE])
    return {
        "bool": {
            "should": [{"wildcard": {field: {"value": f"*{escaped}*"}}}, {"term": {"_ignored": field}}],
            "minimum_should_match": 1,
        }
    }
