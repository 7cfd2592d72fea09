"""What filters mean: each line of the language's definition as a table."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from vectorface.filters import kind, matches, parse, scalars_at

DAY = date(2024, 5, 1)
NAIVE = datetime(2024, 5, 1)  # noqa: DTZ001 - naive on purpose
INSTANT = datetime(2024, 5, 1, tzinfo=UTC)
ELSEWHERE = datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2)))
BIG = 2**53

YES, NO = True, False


def check(spec: dict[str, Any], metadata: dict[str, Any], *, expected: bool) -> None:
    """Check the filter, and that its complement says the opposite."""
    assert matches(parse(spec), metadata) is expected
    assert matches(parse({"$not": spec}), metadata) is not expected


@pytest.mark.parametrize(
    ("operand", "stored", "expected"),
    [
        # numbers compare as numbers
        (1, 1, YES),
        (1, 1.0, YES),
        (1.0, 1, YES),
        (0, -0.0, YES),
        (1, 2, NO),
        (0.3, 0.1 + 0.2, NO),
        (1.5, math.nextafter(1.5, 2), NO),
        (BIG, float(BIG), YES),
        (BIG + 1, float(BIG), NO),
        (BIG + 1, BIG, NO),
        (2**63, 2**63 - 1, NO),
        (10**30, 10**30, YES),
        (10**400, 10**400, YES),
        # booleans are not numbers, texts are not numbers
        (1, True, NO),
        (True, 1, NO),
        (0, False, NO),
        (False, 0.0, NO),
        (True, True, YES),
        (True, False, NO),
        (1, "1", NO),
        ("1", 1, NO),
        ("True", True, NO),
        # text is compared character by character
        ("a", "a", YES),
        ("a", "A", NO),
        ("a", "a ", NO),
        ("é", "e\u0301", NO),
        ("", "", YES),
        ("a\0", "a", NO),
        # None is a value of its own
        (None, None, YES),
        (None, 0, NO),
        (None, "", NO),
        (None, False, NO),
        ("None", None, NO),
        # date, naive datetime and aware datetime are three types
        (DAY, DAY, YES),
        (DAY, NAIVE, NO),
        (NAIVE, DAY, NO),
        (NAIVE, NAIVE, YES),
        (NAIVE, INSTANT, NO),
        (INSTANT, ELSEWHERE, YES),
        (DAY, "2024-05-01", NO),
        (DAY.isoformat(), DAY, NO),
        # any element of a list will do, at any depth
        ("sea", ["fog", "sea"], YES),
        ("sea", ["fog"], NO),
        ("sea", [], NO),
        ("sea", [["fog"], [["sea"]]], YES),
        (None, [None], YES),
        (None, [], NO),
        (1, ["1", 1.0], YES),
        # objects are no values
        ("sea", {"sea": "sea"}, NO),
        ("sea", [{"a": "sea"}], NO),
        (None, {}, NO),
    ],
)
def test_equality(operand: Any, stored: Any, expected: bool) -> None:  # noqa: FBT001
    metadata = {"key": stored}
    check({"key": operand}, metadata, expected=expected)
    check({"key": {"$eq": operand}}, metadata, expected=expected)
    check({"key": {"$ne": operand}}, metadata, expected=not expected)
    check({"key": {"$in": ["no such value", operand]}}, metadata, expected=expected)
    check({"key": {"$nin": ["no such value", operand]}}, metadata, expected=not expected)


@pytest.mark.parametrize(
    ("order", "bound", "stored", "expected"),
    [
        ("$gt", 1, 2, YES),
        ("$gt", 1, 1, NO),
        ("$gte", 1, 1.0, YES),
        ("$lt", 2, 1.5, YES),
        ("$lte", 1.5, 1.5, YES),
        ("$gt", 1.5, math.nextafter(1.5, 2), YES),
        ("$gt", float(BIG), BIG + 1, YES),
        ("$lt", BIG + 1, float(BIG), YES),
        ("$lt", 10**400, 1e308, YES),
        # only values of the bound's own type
        ("$gt", 0, True, NO),
        ("$gt", 0, "1", NO),
        ("$gt", "0", 1, NO),
        ("$lt", 5, None, NO),
        ("$gte", DAY, NAIVE, NO),
        ("$gte", NAIVE, INSTANT, NO),
        ("$lte", "2025", DAY, NO),
        # text by code points, dates and instants by time
        ("$gt", "a", "b", YES),
        ("$lt", "a", "B", YES),
        ("$gt", "z", "é", YES),
        ("$gt", "a", "aa", YES),
        ("$gt", DAY, date(2024, 5, 2), YES),
        ("$lt", INSTANT, datetime(2024, 5, 1, 1, tzinfo=timezone(timedelta(hours=2))), YES),
        ("$gt", INSTANT, ELSEWHERE, NO),
        ("$gte", INSTANT, ELSEWHERE, YES),
        # any element of a list will do
        ("$gt", 3, [1, 5], YES),
        ("$gt", 5, [1, 5], NO),
        ("$gt", 3, [], NO),
        ("$gt", 3, ["9", [4]], YES),
    ],
)
def test_order(order: str, bound: Any, stored: Any, expected: bool) -> None:  # noqa: FBT001
    check({"key": {order: bound}}, {"key": stored}, expected=expected)
    check({"key": {"$not": {order: bound}}}, {"key": stored}, expected=not expected)


def test_the_ends_of_a_range_may_be_met_by_two_elements() -> None:
    check({"key": {"$gt": 4, "$lt": 2}}, {"key": [1, 5]}, expected=True)
    check({"key": {"$gt": 4, "$lt": 2}}, {"key": [3]}, expected=False)


@pytest.mark.parametrize(
    "operators", [{"$ne": 1}, {"$nin": [1, 2]}, {"$not": {"$gt": 0}}, {"$exists": False}]
)
def test_complements_match_documents_without_the_key(operators: dict[str, Any]) -> None:
    check({"key": operators}, {}, expected=True)
    check({"key.inner": operators}, {"key": 5}, expected=True)


@pytest.mark.parametrize("operators", [1, None, {"$in": []}, {"$gt": 0}, {"$lte": "x"}, {"$exists": True}])
def test_positive_operators_do_not_match_documents_without_the_key(operators: Any) -> None:
    check({"key": operators}, {}, expected=False)


@pytest.mark.parametrize("stored", [None, [], {}, "", 0, False, [None], {"a": 1}])
def test_a_key_exists_whatever_it_holds(stored: Any) -> None:
    check({"key": {"$exists": True}}, {"key": stored}, expected=True)
    check({"key": {"$exists": False}}, {"key": stored}, expected=False)


def test_in_of_nothing_matches_nothing() -> None:
    values: list[Any] = [None, [], {}, 1]
    for stored in values:
        check({"key": {"$in": []}}, {"key": stored}, expected=False)
        check({"key": {"$nin": []}}, {"key": stored}, expected=True)


@pytest.mark.parametrize(
    ("metadata", "path", "found"),
    [
        ({"a": {"b": 1}}, "a.b", [1]),
        ({"a.b": 1}, "a.b", [1]),
        ({"a": {"b": 1}, "a.b": 2}, "a.b", [1, 2]),
        ({"a": {"b.c": 1}}, "a.b.c", [1]),
        ({"a.b": {"c": 1}}, "a.b.c", [1]),
        ({"a": [{"b": 1}, {"b": 2}, 3, {"c": 4}]}, "a.b", [1, 2]),
        ({"a": [[{"b": 1}]]}, "a.b", [1]),
        ({"a": {"b": [1, [2, {"c": 3}]]}}, "a.b", [1, 2]),
        ({"a": {"b": [1, [2, {"c": 3}]]}}, "a.b.c", [3]),
        ({"a": 1}, "a.b", []),
        ({"a": {"b": 1}}, "a", []),
        ({"a": [5, 6]}, "a.0", []),
        ({"": 1}, "", [1]),
        ({"": {"": 1}, ".": 2}, ".", [1, 2]),
        ({"a": {"": 1}, "a.": 2}, "a.", [1, 2]),
        ({}, "a", []),
    ],
)
def test_paths(metadata: dict[str, Any], path: str, found: list[Any]) -> None:
    assert sorted(map(repr, scalars_at(metadata, path))) == sorted(map(repr, found))


def test_conditions_on_one_list_of_objects_may_be_met_by_two_of_them() -> None:
    check({"parts.k": 1, "parts.v": "b"}, {"parts": [{"k": 1, "v": "a"}, {"k": 2, "v": "b"}]}, expected=True)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, YES),
        ({"a": 1, "b": 2}, YES),
        ({"a": 1, "b": 3}, NO),
        ({"$and": [{"a": 1}, {"b": 2}]}, YES),
        ({"$and": [{"a": 1}, {"b": 3}]}, NO),
        ({"$or": [{"a": 9}, {"b": 2}]}, YES),
        ({"$or": [{"a": 9}, {"b": 9}]}, NO),
        ({"$not": {"a": 9, "b": 2}}, YES),
        ({"$not": {"a": 1, "b": 2}}, NO),
        ({"a": 1, "$or": [{"b": 2}, {"b": 3}], "$not": {"c": 1}}, YES),
        ({"$and": [{"$or": [{"a": 1}, {"a": 2}]}, {"$not": {"$or": [{"b": 1}, {"b": 3}]}}]}, YES),
    ],
)
def test_combinations(spec: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    check(spec, {"a": 1, "b": 2}, expected=expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "bool"),
        (1, "number"),
        (1.0, "number"),
        ("x", "string"),
        (DAY, "date"),
        (NAIVE, "datetime"),
        (INSTANT, "instant"),
    ],
)
def test_kinds(value: Any, expected: str) -> None:
    assert kind(value) == expected


@pytest.mark.parametrize("found", [{"sea"}, ("sea", ["fog"]), bytearray(b"sea")])
def test_what_no_store_holds_equals_nothing(found: object) -> None:
    assert not matches(parse({"tag": "sea"}), {"tag": found})
    assert matches(parse({"tag": {"$ne": "sea"}}), {"tag": found})
