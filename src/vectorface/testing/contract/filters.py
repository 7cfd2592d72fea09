"""Filters mean what ``vectorface.filters.matches`` says, on every store and by every way of asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from vectorface.filters import constant, matches, parse
from vectorface.metadata import dumps
from vectorface.testing import strategies
from vectorface.testing.contract.base import Contract, document, ids_of
from vectorface.testing.examples import for_each

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from vectorface.interface import VectorDBInterface

_NAIVE = datetime(2024, 5, 1, 12)  # noqa: DTZ001 - naive on purpose
_NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)

#: What the documents of the table below hold, by id.
SHELF: Mapping[str, dict[str, Any]] = {
    "one": {"n": 1, "tags": ["sea", "fog"], "author": {"name": "Nan", "born": 1830}},
    "one.0": {"n": 1.0, "tags": ["fire"], "author.name": "Nan"},
    "true": {"n": True, "tags": []},
    "text": {"n": "1", "tags": "sea"},
    "half": {"n": 1.5, "tags": ["sea", 1, None]},
    "list": {"n": [0, 5], "parts": [{"k": 1, "v": "a"}, {"k": 2, "v": "b"}]},
    "none": {"n": None, "author": {}},
    "big": {"n": 2**53 + 1},
    "date": {"n": date(2024, 5, 1)},
    "naive": {"n": _NAIVE},
    "aware": {"n": _NOON},
    "bare": {},
}

_NUMBERS_BELOW_TWO = {"one", "one.0", "half", "list"}

#: Each filter with the documents it matches: the language, line by line.
TABLE: Sequence[tuple[Mapping[str, Any], set[str]]] = (
    # numbers compare as numbers; a bool is none, a text is none
    ({"n": 1}, {"one", "one.0"}),
    ({"n": 1.0}, {"one", "one.0"}),
    ({"n": True}, {"true"}),
    ({"n": "1"}, {"text"}),
    ({"n": {"$eq": 1.5}}, {"half"}),
    ({"n": 2**53}, set()),
    ({"n": 2**53 + 1}, {"big"}),
    ({"n": float(2**53)}, set()),
    ({"n": {"$gt": 2**53}}, {"big"}),
    ({"n": {"$gte": 2**53 + 2}}, set()),
    # a range sees values of its operand's own type
    ({"n": {"$lt": 2}}, _NUMBERS_BELOW_TWO),
    ({"n": {"$gte": 1.5}}, {"half", "list", "big"}),
    ({"n": {"$gt": 1.5}}, {"list", "big"}),
    ({"n": {"$gt": 1.4, "$lt": 1.6}}, {"half", "list"}),
    ({"n": {"$gt": ""}}, {"text"}),
    ({"n": {"$lte": "1"}}, {"text"}),
    # any element of a list will do
    ({"tags": "sea"}, {"one", "text", "half"}),
    ({"tags": 1}, {"half"}),
    ({"tags": None}, {"half"}),
    ({"n": 5}, {"list"}),
    ({"tags": {"$in": ["fire", "fog"]}}, {"one", "one.0"}),
    # $in takes values of any types; an empty one matches nothing
    ({"n": {"$in": [1, "1", None, True]}}, {"one", "one.0", "text", "none", "true"}),
    ({"n": {"$in": []}}, set()),
    ({"n": {"$nin": []}}, set(SHELF)),
    # complements are exact: they match documents that lack the key
    ({"n": {"$ne": 1}}, set(SHELF) - {"one", "one.0"}),
    ({"tags": {"$ne": "sea"}}, set(SHELF) - {"one", "text", "half"}),
    ({"tags": {"$nin": ["sea", "fire"]}}, set(SHELF) - {"one", "text", "half", "one.0"}),
    ({"n": {"$not": {"$lt": 2}}}, set(SHELF) - _NUMBERS_BELOW_TWO),
    ({"$not": {"n": {"$lt": 2}}}, set(SHELF) - _NUMBERS_BELOW_TWO),
    # None and being there are two questions
    ({"n": None}, {"none"}),
    ({"n": {"$ne": None}}, set(SHELF) - {"none"}),
    ({"n": {"$exists": True}}, set(SHELF) - {"bare"}),
    ({"n": {"$exists": False}}, {"bare"}),
    ({"tags": {"$exists": True}}, {"one", "one.0", "true", "text", "half"}),
    ({"author": {"$exists": True}}, {"one", "none"}),
    # dotted paths reach into objects, lists of objects, and keys with dots
    ({"author.name": "Nan"}, {"one", "one.0"}),
    ({"author.born": {"$lt": 1900}}, {"one"}),
    ({"author.name": {"$exists": True}}, {"one", "one.0"}),
    ({"parts.k": 2}, {"list"}),
    ({"parts.k": 1, "parts.v": "b"}, {"list"}),
    ({"author": "Nan"}, set()),
    # date, naive datetime and aware datetime are three types; instants compare across time zones
    ({"n": date(2024, 5, 1)}, {"date"}),
    ({"n": {"$gte": date(2024, 4, 30)}}, {"date"}),
    ({"n": {"$lt": _NAIVE + timedelta(microseconds=1)}}, {"naive"}),
    ({"n": _NOON.astimezone(timezone(timedelta(hours=2)))}, {"aware"}),
    ({"n": {"$gt": _NOON}}, set()),
    ({"n": "2024-05-01"}, set()),
    # combinations
    ({"n": 1, "tags": "sea"}, {"one"}),
    ({"$and": [{"n": 1}, {"tags": "fire"}]}, {"one.0"}),
    ({"$or": [{"n": None}, {"n": {"$exists": False}}]}, {"none", "bare"}),
    ({"$not": {"$or": [{"n": {"$exists": True}}]}}, {"bare"}),
    ({"$or": [{"n": 1}], "tags": {"$ne": "fire"}}, {"one"}),
    ({}, set(SHELF)),
    ({"$and": [{}]}, set(SHELF)),
    ({"$not": {}}, set()),
)


class FilterContract(Contract):
    """Counting, reading, searching and deleting agree on what a filter matches, exactly.

    Attributes:
        filter_examples: How many sets of documents are generated; each is asked 100 filters.
    """

    filter_examples: ClassVar[int] = 6

    def test_the_language_line_by_line(self, store: VectorDBInterface) -> None:
        """Each filter of the table finds what it says."""
        store.add(document(id_, **metadata) for id_, metadata in SHELF.items())
        found = [(spec, set(ids_of(store.get(filter=spec)))) for spec, _ in TABLE]
        assert found == list(TABLE)

    def test_any_filter_matches_what_the_definition_says(self, store: VectorDBInterface) -> None:
        """Generated documents and filters, each filter and its complement, by four ways of asking."""

        def check(case: strategies.FilterCase) -> None:
            store.upsert(case.documents)
            for spec in case.filters:
                assert_agrees(store, case.documents, spec)
                assert_agrees(store, case.documents, {"$not": spec})

        for_each(strategies.filter_cases(), check, examples=self.filter_examples)

    def test_filters_see_metadata_that_was_written_alone(self, store: VectorDBInterface) -> None:
        """After ``skip_unchanged`` has replaced only the metadata."""

        def check(case: strategies.FilterCase) -> None:
            store.upsert_parallel(case.documents, skip_unchanged=True)
            for spec in case.filters:
                assert_agrees(store, case.documents, spec)

        for_each(strategies.filter_cases(filters=20), check, examples=3)

    def test_filter_and_contains_agree(self, store: VectorDBInterface) -> None:
        """Both together find what both say."""

        def check(case: strategies.FilterCase) -> None:
            store.upsert(case.documents)
            for spec in case.filters:
                wanted = {
                    one.id
                    for one in case.documents
                    if "2" in one.page_content and matches(parse(spec), one.metadata)
                }
                assert store.count(spec, contains="2") == len(wanted), spec
                assert set(ids_of(store.query("lamp", k=99, filter=spec, contains="2"))) == wanted, spec

        for_each(strategies.filter_cases(filters=20), check, examples=2)

    @pytest.mark.parametrize("size", [9, 200, 40_000])
    def test_in_takes_any_number_of_values(self, store: VectorDBInterface, size: int) -> None:
        """More than any single request holds."""
        given = [
            document(f"d{i}", n=n) for i, n in enumerate((0, 5.0, -1, "5", [5, -5], None, True, {"x": 5}))
        ]
        store.add(given)
        assert_agrees(store, given, {"n": {"$in": list(range(size))}})
        assert_agrees(store, given, {"n": {"$nin": [f"{n}" for n in range(size)]}})

    def test_a_filter_may_be_wide(self, store: VectorDBInterface) -> None:
        """Hundreds of parts, combined in either way."""
        given = [document(f"d{i}", n=i, **{f"k{i}": "x"}) for i in range(8)]
        store.add(given)
        assert_agrees(store, given, {"$or": [{f"k{i}": "x"} for i in range(3, 500)]})
        assert_agrees(store, given, {"$and": [{"n": {"$ne": i}} for i in range(3, 500)]})
        assert_agrees(store, given, {"$or": [{"n": {"$gt": 500 - i}, f"k{i}": "x"} for i in range(500)]})

    def test_a_filter_may_be_deep(self, store: VectorDBInterface) -> None:
        """As deep as the language allows."""
        given = [document(f"d{i}", n=i) for i in range(4)]
        store.add(given)
        spec: dict[str, Any] = {"n": {"$lt": 2}}
        for i in range(23):
            spec = {"$not": spec} if i % 3 else {"$or": [{"n": 99}, spec]}
        assert_agrees(store, given, spec)


# -- comparing with the definition ------------------------------------------------------------------------


def assert_agrees(store: VectorDBInterface, documents: Sequence[Document], spec: Mapping[str, Any]) -> None:
    """Check that a store that holds ``documents`` finds what the definition says.

    If it does not, the error shows the smallest part of the filter that is wrong, and the documents that
    it is wrong about.
    """
    if not _differences(store, documents, spec):
        return
    for part in [*_parts(spec), spec]:  # the smallest come first
        differences = _differences(store, documents, part)
        if differences:
            raise AssertionError("\n".join([f"the filter {part!r}", *differences]))


def _differences(
    store: VectorDBInterface, documents: Sequence[Document], spec: Mapping[str, Any]
) -> list[str]:
    """Describe how what the store finds differs from the definition; empty if it does not."""
    parsed = parse(spec)
    expected = {str(one.id) for one in documents if matches(parsed, one.metadata)}
    ways = {
        "get": set(ids_of(store.get(filter=spec))),
        "query": set(ids_of(store.query(strategies.COMMON_WORD, k=len(documents), filter=spec))),
    }
    if constant(parsed) is not True:  # what matches everything by its form is refused
        ways["delete"] = set(store.delete_by_filter(spec, dry_run=True).ids)
    wrong = [
        f"{way} {verb} {one.id}: {dumps(one.metadata)}"
        for way, found in ways.items()
        for one in documents
        for verb in [_verb(str(one.id) in found, str(one.id) in expected)]
        if verb
    ]
    counted = store.count(spec)
    return wrong if counted == len(expected) else [*wrong, f"count gives {counted}, not {len(expected)}"]


def _verb(found: bool, expected: bool) -> str:  # noqa: FBT001 - two truths side by side
    return "" if found == expected else "finds" if found else "misses"


def _parts(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the filters that a filter is made of, inner ones first."""
    for key, value in spec.items():
        if key in {"$and", "$or"}:
            for part in value:
                yield from _parts(part)
                yield part
        elif key == "$not":
            yield from _parts(value)
            yield value
        elif isinstance(value, dict):
            yield from ({key: {operator: operand}} for operator, operand in value.items())
        else:
            yield {key: value}
