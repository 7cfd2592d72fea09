"""What metadata may hold, and its exact JSON."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings

from vectorface.errors import InvalidDocumentError
from vectorface.metadata import MAX_DEPTH, Metadata, dumps, encodable, loads, plain_date, validated
from vectorface.testing import strategies

OSLO = ZoneInfo("Europe/Oslo")


def plain(value: object) -> Any:
    return validated({"key": value}, where="document 0")["key"]


# -- what may be stored -----------------------------------------------------------------------------------


class Colour(str, enum.Enum):  # noqa: UP042 - str() of it gives its name, which is the trap
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


class Moment(datetime):
    """A subclass, as data frames have."""


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (Text("x"), "x"),
        (np.str_("x"), "x"),
        (np.float64(1.5), 1.5),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": [Colour.RED]}), {"a": ["red"]}),
        ({Colour.RED: 1}, {"red": 1}),
        (Moment(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)),
        (-0.0, -0.0),
        (10**400, 10**400),
    ],
    ids=repr,
)
def test_values_become_plain_python(given_value: Any, expected: Any) -> None:
    found = plain(given_value)
    assert found == expected
    assert type(found) is type(expected)
    assert dumps(found) == dumps(expected)


def test_the_copy_is_deep() -> None:
    given_metadata: dict[str, Any] = {"list": [1, {"x": [2]}]}
    copied = validated(given_metadata, where="document 0")
    given_metadata["list"][1]["x"].append(3)
    assert copied == {"list": [1, {"x": [2]}]}


def test_no_metadata_is_empty_metadata() -> None:
    assert validated(None, where="document 0") == {}


def deep(depth: int, kind: type) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = [inner] if kind is list else {"k": inner}
    return inner


@pytest.mark.parametrize("kind", [list, dict])
def test_nesting_is_allowed_to_a_depth(kind: type) -> None:
    assert plain(deep(MAX_DEPTH, kind)) == deep(MAX_DEPTH, kind)
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(InvalidDocumentError, match=f"more than {MAX_DEPTH} deep; flatten it"):
            plain(deep(depth, kind))


def test_a_structure_that_holds_itself_is_too_deep() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    with pytest.raises(InvalidDocumentError, match="deep"):
        plain(loop)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ((1,), "is of type tuple, which would come back as a list; pass a list."),
        (frozenset(), "is of type frozenset, which would come back as a list; pass a list."),
        (
            np.int64(1),
            "is of type int64, which is not a plain Python value; call its .item() or .tolist() first.",
        ),
        (
            np.array([1]),
            "is of type ndarray, which is not a plain Python value; call its .item() or .tolist()",
        ),
        (
            b"x",
            "is of type bytes, which cannot be stored; use str, bool, int, float, None, date, datetime, list",
        ),
        (1j, "is of type complex, which cannot be stored"),
        (timedelta(1), "is of type timedelta, which cannot be stored"),
        (float("nan"), "is nan, which no store keeps; use None or leave the key out."),
        (float("inf"), "is inf, which no store keeps"),
        (
            "\ud800",
            "holds a lone surrogate, which is not Unicode text; decode the source with errors='replace'.",
        ),
        ({1: 2}, "has the key 1 of type int; keys must be str."),
        ({"\udfff": 2}, "holds a lone surrogate"),
    ],
    ids=repr,
)
def test_what_cannot_be_stored_is_named_with_its_path(value: Any, problem: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        validated({"a": [0, {"b": value}]}, where="document 7")
    assert str(caught.value).startswith("document 7: metadata['a'][1]['b'] " + problem)


def test_metadata_must_be_a_mapping() -> None:
    with pytest.raises(InvalidDocumentError, match=r"document 7: metadata must be a dict, not list\."):
        validated([1], where="document 7")


# -- dates ------------------------------------------------------------------------------------------------


def test_a_named_time_zone_becomes_its_offset() -> None:
    summer, winter = datetime(2024, 7, 1, tzinfo=OSLO), datetime(2024, 1, 1, tzinfo=OSLO)
    assert plain(summer).isoformat() == "2024-07-01T00:00:00+02:00"
    assert plain(winter).isoformat() == "2024-01-01T00:00:00+01:00"
    assert isinstance(plain(summer).tzinfo, timezone)


def test_the_hour_that_is_repeated_keeps_its_instant() -> None:
    # In Oslo, 02:30 came twice on 27 October 2024.
    first = datetime(2024, 10, 27, 2, 30, tzinfo=OSLO)
    second = first.replace(fold=1)
    assert plain(first).isoformat() == "2024-10-27T02:30:00+02:00"
    assert plain(second).isoformat() == "2024-10-27T02:30:00+01:00"
    assert plain(second) - plain(first) == timedelta(hours=1)
    assert plain(second) == datetime(2024, 10, 27, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("moment", strategies.DATES, ids=repr)
def test_plain_dates_stay_as_they_are(moment: date) -> None:
    assert plain_date(moment) == moment
    assert plain_date(moment).isoformat() == moment.isoformat()


# -- JSON -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (2**63 - 1, "9223372036854775807"),
        (2**63, '{"$int":"0x8000000000000000"}'),
        (-(2**63) - 1, '{"$int":"-0x8000000000000001"}'),
        (date(2024, 5, 1), '{"$date":"2024-05-01"}'),
        (datetime(2024, 5, 1, tzinfo=UTC), '{"$datetime":"2024-05-01T00:00:00+00:00"}'),
        ({"$date": "x"}, '{"$object":[["$date","x"]]}'),
        ({"$x": 1}, '{"$object":[["$x",1]]}'),
        ({"$x": 1, "y": 2}, '{"$x":1,"y":2}'),
        ("é\0", '"é\\u0000"'),
    ],
    ids=repr,
)
def test_the_json_of_a_value(value: Any, text: str) -> None:
    assert dumps(value) == text
    assert loads(text) == value
    assert type(loads(text)) is type(value)


def test_an_unknown_tag_is_an_object() -> None:
    assert loads('{"$future":1}') == {"$future": 1}


def identical(one: Any, other: Any) -> bool:
    """Tell whether two values are the same in type and representation, through and through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    return repr(one) == repr(other)


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(strategies.metadata(max_size=8))
def test_any_metadata_survives_json(metadata: Metadata) -> None:
    checked = validated(metadata, where="document 0")
    text = dumps(checked)
    assert identical(loads(text), metadata)
    assert json.loads(text) is not None
    assert dumps(dict(reversed(checked.items()))) == text


@pytest.mark.parametrize(
    ("text", "expected"), [("lamp", True), ("漢字🪔", True), ("\ud83e", False), ("a\udeb4", False)]
)
def test_encodable(text: str, expected: bool) -> None:  # noqa: FBT001
    assert encodable(text) is expected
