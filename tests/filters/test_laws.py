"""Laws of logic that hold for every filter and document."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vectorface.filters import constant, matches, parse
from vectorface.metadata import Metadata, Scalar
from vectorface.testing import strategies

lawful = settings(max_examples=40, derandomize=True, deadline=None, database=None)

metadatas = st.lists(strategies.metadata(), min_size=1, max_size=3)


@st.composite
def two_filters(draw: st.DrawFn) -> tuple[list[Metadata], dict[str, Any], dict[str, Any]]:
    """Documents, and two filters about them."""
    found = draw(metadatas)
    one, other = draw(strategies.filters(found)), draw(strategies.filters(found, depth=1))
    return found, one, other


@st.composite
def a_value(draw: st.DrawFn) -> tuple[Metadata, str, Scalar]:
    """A document, one of its keys, and a value that may be there."""
    metadata = draw(strategies.metadata().filter(lambda found: any(not key.startswith("$") for key in found)))
    path = draw(st.sampled_from([key for key in metadata if not key.startswith("$")]))
    stored = metadata[path]
    near = [] if isinstance(stored, list | dict) else [stored, *strategies.lookalikes(stored)]
    return metadata, path, draw(st.one_of(strategies.scalars(), *(st.just(value) for value in near)))


def holds(spec: dict[str, Any], metadata: Metadata) -> bool:
    return matches(parse(spec), metadata)


@lawful
@given(two_filters())
def test_not_is_the_exact_complement(case: tuple[list[Metadata], dict[str, Any], dict[str, Any]]) -> None:
    found, one, _ = case
    for metadata in found:
        assert holds({"$not": one}, metadata) is not holds(one, metadata)
        assert holds({"$not": {"$not": one}}, metadata) is holds(one, metadata)


@lawful
@given(two_filters())
def test_de_morgan(case: tuple[list[Metadata], dict[str, Any], dict[str, Any]]) -> None:
    found, one, other = case
    neither = {"$and": [{"$not": one}, {"$not": other}]}
    not_both = {"$or": [{"$not": one}, {"$not": other}]}
    for metadata in found:
        assert holds({"$not": {"$or": [one, other]}}, metadata) is holds(neither, metadata)
        assert holds({"$not": {"$and": [one, other]}}, metadata) is holds(not_both, metadata)


@lawful
@given(two_filters())
def test_and_or_are_what_they_are_in_python(
    case: tuple[list[Metadata], dict[str, Any], dict[str, Any]],
) -> None:
    found, one, other = case
    for metadata in found:
        assert holds({"$and": [one, other]}, metadata) is (holds(one, metadata) and holds(other, metadata))
        assert holds({"$or": [one, other]}, metadata) is (holds(one, metadata) or holds(other, metadata))
        assert holds({"$or": [one]}, metadata) is holds({"$and": [one]}, metadata) is holds(one, metadata)


@lawful
@given(two_filters())
def test_what_a_filter_says_by_its_form_is_true(
    case: tuple[list[Metadata], dict[str, Any], dict[str, Any]],
) -> None:
    found, one, other = case
    for spec in (one, {"$or": [one, {}]}, {"$and": [other, {"$not": {}}]}, {"$not": {"$or": [one, {}]}}):
        said = constant(parse(spec))
        assert said in {None, *(holds(spec, metadata) for metadata in found)}
        if said is not None:
            assert all(holds(spec, metadata) is said for metadata in found)


@lawful
@given(a_value())
def test_a_field_has_opposites(case: tuple[Metadata, str, Scalar]) -> None:
    metadata, path, value = case
    opposites: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"$eq": value}, {"$ne": value}),
        ({"$in": [value]}, {"$nin": [value]}),
        ({"$exists": True}, {"$exists": False}),
    ]
    for one, other in opposites:
        assert holds({path: one}, metadata) is not holds({path: other}, metadata)
        assert holds({path: {"$not": one}}, metadata) is holds({path: other}, metadata)
    assert holds({path: value}, metadata) is holds({path: {"$in": [value, value]}}, metadata)


@lawful
@given(a_value())
def test_ranges_are_made_of_order_and_equality(case: tuple[Metadata, str, Scalar]) -> None:
    metadata, path, value = case
    if value is None or isinstance(value, bool):
        return
    equal = holds({path: value}, metadata)
    for strict, loose in (("$gt", "$gte"), ("$lt", "$lte")):
        assert holds({path: {loose: value}}, metadata) is (holds({path: {strict: value}}, metadata) or equal)


@lawful
@given(st.lists(strategies.scalars(), max_size=5), strategies.metadata())
def test_in_is_any_of_its_values(values: list[Scalar], metadata: Metadata) -> None:
    assert holds({"a": {"$in": values}}, metadata) is any(holds({"a": value}, metadata) for value in values)


@lawful
@given(strategies.metadata(), st.randoms(use_true_random=False))
def test_asking_changes_nothing(metadata: Metadata, random: Any) -> None:
    shuffled = dict(random.sample(sorted(metadata.items()), len(metadata)))
    for path in (*metadata, "a.b", "missing"):
        if not path.startswith("$"):
            assert holds({path: 1}, metadata) is holds({path: 1}, shuffled)
    assert shuffled == metadata
