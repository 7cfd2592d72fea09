"""From a dict to a tree, or to an error with the path to the fault."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from vectorface.errors import InvalidFilterError
from vectorface.filters import ALL, MAX_DEPTH, And, Exists, Filter, In, Not, Or, Range, constant, parse


def eq(path: str, *values: Any) -> In:
    return In(path=path, values=values)


OPERATORS = "a field takes $eq, $ne, $in, $nin, $gt, $gte, $lt, $lte, $exists and $not."
EMPTY = "is empty; give a value or an operator such as {'$eq': 1}."
USE_CONTAINS = "To find text in the content use the argument contains= of query() and get()."
COMBINE = "$and, $or and $not combine filters."
LOOK_INTO = "to look into an object write"
NO_NUMBER = "which no document can hold; use a finite number."
NO_VALUE = "is not a value to compare with;"
USE_IN = "to match any of several values write {'$in': [...]}."
USE_PLAIN = "use str, bool, int, float, None, date or datetime."

CHAPTER_3 = eq("chapter", 3)
SEA = eq("tags", "sea")


@pytest.mark.parametrize(
    ("spec", "tree"),
    [
        (None, ALL),
        ({}, ALL),
        ({"chapter": 3}, CHAPTER_3),
        ({"chapter": {"$eq": 3}}, CHAPTER_3),
        ({"chapter": {"$ne": 3}}, Not(CHAPTER_3)),
        ({"chapter": None}, eq("chapter", None)),
        ({"chapter": {"$in": [3, "x", None]}}, eq("chapter", 3, "x", None)),
        ({"chapter": {"$in": []}}, eq("chapter")),
        ({"chapter": {"$in": (3,)}}, CHAPTER_3),
        ({"chapter": {"$in": {3}}}, CHAPTER_3),
        ({"chapter": {"$nin": [3]}}, Not(CHAPTER_3)),
        ({"chapter": {"$gte": 3}}, Range(path="chapter", order="$gte", bound=3)),
        ({"chapter": {"$lt": "b"}}, Range(path="chapter", order="$lt", bound="b")),
        ({"chapter": {"$exists": True}}, Exists(path="chapter")),
        ({"chapter": {"$exists": False}}, Not(Exists(path="chapter"))),
        ({"chapter": {"$not": {"$eq": 3}}}, Not(CHAPTER_3)),
        ({"chapter": {"$not": {"$not": {"$eq": 3}}}}, Not(Not(CHAPTER_3))),
        ({"$not": {"chapter": 3}}, Not(CHAPTER_3)),
        ({"$not": {}}, Not(ALL)),
        ({"$and": [{"chapter": 3}, {"tags": "sea"}]}, And((CHAPTER_3, SEA))),
        ({"$or": [{"chapter": 3}]}, Or((CHAPTER_3,))),
        ({"$or": ({"chapter": 3}, {"tags": "sea"})}, Or((CHAPTER_3, SEA))),
        ({"chapter": 3, "tags": "sea"}, And((CHAPTER_3, SEA))),
        ({"tags": {"$exists": True, "$ne": "sea"}}, And((Exists(path="tags"), Not(SEA)))),
        ({"chapter": 3, "$or": [{"tags": "sea"}]}, And((CHAPTER_3, Or((SEA,))))),
        (MappingProxyType({"chapter": MappingProxyType({"$eq": 3})}), CHAPTER_3),
        ({"author.name": "Nan"}, eq("author.name", "Nan")),
        ({"": 1}, eq("", 1)),
        ({"price in $": 1}, eq("price in $", 1)),
    ],
    ids=str,
)
def test_a_filter_becomes_its_tree(spec: Any, tree: Filter) -> None:
    assert parse(spec) == tree


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([], "filter must be a dict such as {'chapter': 1}, not []."),
        ("chapter", "filter must be a dict such as {'chapter': 1}, not 'chapter'."),
        ({1: 2}, "filter[1]: keys must be str, not int."),
        ({"$and": {}}, "filter['$and'] must be a non-empty list of filters, not {}."),
        ({"$and": []}, "filter['$and'] must be a non-empty list of filters, not []."),
        ({"$or": [1]}, "filter['$or'][0] must be a dict such as {'chapter': 1}, not 1."),
        ({"$or": [{"a": 1}, None]}, "filter['$or'][1] must be a dict such as {'chapter': 1}, not None."),
        ({"$not": []}, "filter['$not'] must be a dict such as {'chapter': 1}, not []."),
        (
            {"$nor": [{}]},
            "filter['$nor']: unknown operator '$nor' here; $and, $or and $not combine filters.",
        ),
        ({"$eq": 1}, "filter['$eq']: unknown operator '$eq' here; $and, $or and $not combine filters."),
        ({"a": {}}, f"filter['a'] {EMPTY}"),
        (
            {"a": {"$like": 1}},
            f"filter['a']['$like']: unknown operator '$like'; {OPERATORS} {USE_CONTAINS}",
        ),
        (
            {"$text": {"$search": "lamp"}},
            f"filter['$text']: unknown operator '$text' here; {COMBINE} {USE_CONTAINS}",
        ),
        (
            {"chapter": {"gt": 1}},
            f"filter['chapter']['gt'] is not an operator; did you mean '$gt'? Or {LOOK_INTO} 'chapter.gt'.",
        ),
        (
            {"a": {"not": {"$eq": 1}}},
            f"filter['a']['not'] is not an operator; did you mean '$not'? Or {LOOK_INTO} 'a.not'.",
        ),
        (
            {"a": {"b": 1}},
            "filter['a']['b'] is not an operator; to look into an object write 'a.b'.",
        ),
        ({"a": {1: 1}}, "filter['a'][1] is not an operator; to look into an object write 'a.1'."),
        ({"a": {"$not": 1}}, "filter['a']['$not'] takes operators, as in {'$not': {'$eq': 1}}, not 1."),
        (
            {"a": {"$not": {}}},
            "filter['a']['$not'] is empty; give a value or an operator such as {'$eq': 1}.",
        ),
        ({"a": {"$in": "bc"}}, "filter['a']['$in'] takes a list of values, not 'bc'."),
        ({"a": {"$in": None}}, "filter['a']['$in'] takes a list of values, not None."),
        (
            {"a": {"$nin": [1, [2]]}},
            f"filter['a']['$nin'][1]: [2] {NO_VALUE} {USE_IN}",
        ),
        ({"a": {"$exists": 0}}, "filter['a']['$exists'] takes True or False, not 0."),
        (
            {"a": {"$gt": None}},
            "filter['a']['$gt']: None has no order; a range takes a number, text or a date.",
        ),
        (
            {"a": {"$lte": False}},
            "filter['a']['$lte']: False has no order; a range takes a number, text or a date.",
        ),
        ({"a": float("nan")}, f"filter['a'] is nan, {NO_NUMBER}"),
        (
            {"a": {"$lt": -np.inf}},
            f"filter['a']['$lt'] is -inf, {NO_NUMBER}",
        ),
        (
            {"a": [1]},
            f"filter['a']: [1] {NO_VALUE} {USE_IN}",
        ),
        (
            {"a": {"$eq": {"b": 1}}},
            f"filter['a']['$eq']: {{'b': 1}} {NO_VALUE} {USE_PLAIN}",
        ),
        (
            {"a": np.int64(1)},
            f"filter['a']: np.int64(1) {NO_VALUE} call its .item() first.",
        ),
        ({"a": "\ud800"}, "filter['a'] holds a lone surrogate, which is not Unicode text."),
        ({"\ud800": 1}, "filter['\\ud800'] holds a lone surrogate, which is not Unicode text."),
        (
            {"$and": [{"a": 1}, {"$or": [{"b": {"$not": {"$in": [1, b"x"]}}}]}]},
            f"filter['$and'][1]['$or'][0]['b']['$not']['$in'][1]: b'x' {NO_VALUE} {USE_PLAIN}",
        ),
    ],
    ids=str,
)
def test_a_fault_is_named_with_its_path_and_a_remedy(spec: Any, message: str) -> None:
    with pytest.raises(InvalidFilterError) as caught:
        parse(spec)
    assert str(caught.value) == message


@pytest.mark.parametrize("operator", ["$contains", "$not_contains", "$regex", "$like", "$ilike", "$text"])
def test_operators_that_search_text_elsewhere_lead_to_contains(operator: str) -> None:
    for spec in ({operator: "lamp"}, {"title": {operator: "lamp"}}, {"title": {"$not": {operator: "lamp"}}}):
        with pytest.raises(InvalidFilterError, match=r"contains= of query\(\) and get\(\)\.$"):
            parse(spec)
    with pytest.raises(InvalidFilterError, match=r"and \$not\.$"):
        parse({"title": {"$size": 1}})


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(InvalidFilterError) as caught:
        parse({"a": ["x" * 10_000]})
    assert len(str(caught.value)) < 250


# -- depth ------------------------------------------------------------------------------------------------


def nested(depth: int, wrap: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        spec = wrap(spec)
    return spec


WRAPS = {
    "$not": lambda spec: {"$not": spec},
    "$and": lambda spec: {"$and": [spec]},
    "$or": lambda spec: {"$or": [{"b": 2}, spec]},
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_filters_nest_up_to_a_depth(wrap: Any) -> None:
    parse(nested(MAX_DEPTH, wrap))
    with pytest.raises(InvalidFilterError, match=f"more than {MAX_DEPTH} deep"):
        parse(nested(MAX_DEPTH + 1, wrap))


def test_not_in_a_field_counts_as_depth() -> None:
    def in_field(depth: int) -> dict[str, Any]:
        operators: dict[str, Any] = {"$eq": 1}
        for _ in range(depth):
            operators = {"$not": operators}
        return {"a": operators}

    parse(in_field(MAX_DEPTH - 1))
    for depth in (MAX_DEPTH, 1_000):
        with pytest.raises(InvalidFilterError, match="deep"):
            parse(in_field(depth))


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
@pytest.mark.parametrize("depth", [1_000, 50_000])
def test_far_too_deep_is_an_error_like_any_other(wrap: Any, depth: int) -> None:
    with pytest.raises(InvalidFilterError, match="flat list"):
        parse(nested(depth, wrap))


def test_values_that_cannot_be_shown_do_not_hide_the_error() -> None:
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(InvalidFilterError, match="a value of type list is not a value to compare with"):
        parse({"a": deep})
    with pytest.raises(InvalidFilterError, match="takes True or False, not a value of type int"):
        parse({"a": {"$exists": 10**10_000}})


# -- operands ---------------------------------------------------------------------------------------------


class Colour(str, enum.Enum):  # noqa: UP042 - str() of it gives its name, which is the trap
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Stamp(datetime):
    """A subclass, as data frames have."""


@pytest.mark.parametrize(
    ("operand", "plain"),
    [
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (np.float64(1.5), 1.5),
        (np.str_("x"), "x"),
        (Stamp(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)),
        (
            datetime(2024, 5, 1, tzinfo=ZoneInfo("Europe/Oslo")),
            datetime(2024, 5, 1, tzinfo=timezone(timedelta(hours=2))),
        ),
        (date(2024, 5, 1), date(2024, 5, 1)),
    ],
    ids=repr,
)
def test_operands_become_plain_values(operand: Any, plain: Any) -> None:
    for spec in ({"a": operand}, {"a": {"$eq": operand}}, {"a": {"$in": [operand]}}):
        parsed = parse(spec)
        assert isinstance(parsed, In)
        assert parsed.values == (plain,)
        assert type(parsed.values[0]) is type(plain)


def test_paths_become_plain_text() -> None:
    parsed = parse({Colour.RED: 1})
    assert isinstance(parsed, In)
    assert (parsed.path, type(parsed.path)) == ("red", str)


# -- what a filter says by its form -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, True),
        ({"$and": [{}, {}]}, True),
        ({"$or": [{"a": 1}, {}]}, True),
        ({"$not": {"$not": {}}}, True),
        ({"a": {"$nin": []}}, True),
        ({"$not": {"$and": [{"a": 1}, {"b": {"$in": []}}]}}, True),
        ({"$not": {}}, False),
        ({"a": {"$in": []}}, False),
        ({"$and": [{"a": 1}, {"$not": {}}]}, False),
        ({"$or": [{"a": {"$in": []}}, {"$not": {}}]}, False),
        ({"a": 1}, None),
        ({"$and": [{}, {"a": 1}]}, None),
        ({"$or": [{"a": 1}, {"$not": {}}]}, None),
        ({"a": {"$exists": True}}, None),
        ({"$not": {"a": {"$gt": 1}}}, None),
    ],
    ids=str,
)
def test_what_a_filter_says_by_its_form_alone(spec: dict[str, Any], says: bool | None) -> None:  # noqa: FBT001
    assert constant(parse(spec)) is says
