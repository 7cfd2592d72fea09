"""What Chroma's where-filters cannot say or say wrongly, and what the same filter finds through a store.

That every filter means what ``vectorface.filters`` says is proven elsewhere, on random filters; here stand
the reasons why that needs an effort.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import chromadb.errors
import pytest

from tests.chroma.conftest import Place, raw_twin, raw_view
from tests.chroma.samples import bearing, matching, put
from vectorface import ChromaDB
from vectorface.backends.chroma.filters import NOTHING, superset
from vectorface.filters import parse

LONG = 2**53


@pytest.fixture(params=["memory", "server"])
def place(request: pytest.FixtureRequest) -> Place:
    """Chroma's two ways of taking a filter: in the process, and as JSON."""
    found: Place = request.getfixturevalue(request.param)
    return found


def raw_matching(store: ChromaDB, documents: dict[str, dict[str, Any]], where: dict[str, Any]) -> set[str]:
    """Return what Chroma's own filter finds among documents that were written without vectorface."""
    raw = raw_twin(store)
    raw.upsert(
        ids=list(documents),
        embeddings=[bearing(0) for _ in documents],
        metadatas=list(documents.values()),
    )
    return set(raw.get(where=where)["ids"])


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({"chapter": 1, "part": 2}, "a"),
        ({"chapter": {"$gte": 1, "$lt": 2}}, "ab"),
        ({"$and": [{"chapter": 1}]}, "ab"),
        ({"$or": [{"chapter": 2}]}, "c"),
        ({"chapter": {"$in": []}}, ""),
        ({"chapter": {"$in": [1, 2.5, "three"]}}, "abde"),
        ({"chapter": {"$in": [True, 2]}}, "cf"),
    ],
    ids=str,
)
def test_filters_of_a_shape_that_chroma_refuses(store: ChromaDB, filter: dict[str, Any], found: str) -> None:
    documents: dict[str, dict[str, Any]] = {
        "a": {"chapter": 1, "part": 2},
        "b": {"chapter": 1, "part": 3},
        "c": {"chapter": 2, "part": 3},
        "d": {"chapter": 2.5},
        "e": {"chapter": "three"},
        "f": {"chapter": True},
    }
    with pytest.raises(ValueError, match="Expected"):
        raw_matching(store, documents, filter)

    put(store, documents)

    assert matching(store, filter) == set(found)


@pytest.mark.parametrize(
    ("documents", "filter", "chromas", "ours"),
    [
        pytest.param(
            {"one": {"x": 1}, "two": {"x": 2}},
            {"x": {"$gte": 1.5}},
            {"one", "two"},
            {"two"},
            id="a fraction is cut to an integer before integers are compared with it",
        ),
        pytest.param(
            {"zero": {"x": 0}, "minus one": {"x": -1}},
            {"x": {"$lte": -0.5}},
            {"zero", "minus one"},
            {"minus one"},
            id="negative fractions are cut towards zero",
        ),
        pytest.param(
            {"plain": {"x": "sea"}, "list": {"x": ["sea", "fog"]}},
            {"x": "sea"},
            {"plain"},
            {"plain", "list"},
            id="plain operators do not look into lists",
        ),
        pytest.param(
            {"plain": {"x": "sea"}, "list": {"x": ["sea", "fog"]}},
            {"x": {"$ne": "sea"}},
            {"list"},
            set(),
            id="so the complement lets lists through",
        ),
        pytest.param(
            {"list": {"x": [1, 5]}},
            {"x": {"$gt": 4}},
            set(),
            {"list"},
            id="nor do ranges",
        ),
        pytest.param(
            {"integer": {"x": LONG + 1}, "double": {"x": float(LONG)}},
            {"x": LONG + 1},
            {"integer", "double"},
            {"integer"},
            id="large integers are confused with doubles",
        ),
    ],
)
def test_filters_that_chroma_answers_in_its_own_way(
    store: ChromaDB,
    documents: dict[str, dict[str, Any]],
    filter: dict[str, Any],
    chromas: set[str],
    ours: set[str],
) -> None:
    assert raw_matching(store, documents, filter) == chromas

    put(store, documents)

    assert matching(store, filter) == ours


def test_chroma_contains_is_strict_about_the_number_type_and_we_are_not(store: ChromaDB) -> None:
    documents: dict[str, dict[str, Any]] = {"ints": {"x": [1, 2]}, "floats": {"x": [1.0, 2.5]}}
    assert raw_matching(store, documents, {"x": {"$contains": 1}}) == {"ints"}
    assert raw_matching(store, documents, {"x": {"$contains": 1.0}}) == {"floats"}

    put(store, documents)

    assert matching(store, {"x": 1}) == matching(store, {"x": 1.0}) == {"ints", "floats"}


def test_integers_beyond_64_bits_compare_exactly_although_chroma_makes_floats_of_them(
    store: ChromaDB,
) -> None:
    raw = raw_twin(store)
    raw.upsert(ids=["a"], embeddings=[bearing(0)], metadatas=[{"x": 2**63}])
    [metadata] = raw.get()["metadatas"] or []
    assert isinstance(metadata["x"], float)

    put(store, {"big": {"x": 2**63}, "bigger": {"x": 2**63 + 1}, "huge": {"x": 10**400}, "small": {"x": 1}})

    assert matching(store, {"x": 2**63}) == {"big"}
    assert matching(store, {"x": {"$gt": 2**63}}) == {"bigger", "huge"}
    assert matching(store, {"x": {"$gte": 10**400}}) == {"huge"}
    assert matching(store, {"x": {"$lt": -(10**400)}}) == set()
    assert matching(store, {"x": {"$nin": [2**63, 10**400]}}) == {"bigger", "small"}


def test_floats_are_found_although_chroma_changes_their_last_bits(store: ChromaDB) -> None:
    value = 123456789.12345679
    raw = raw_twin(store)
    raw.upsert(ids=["a"], embeddings=[bearing(0)], metadatas=[{"x": value}])
    [metadata] = raw.get()["metadatas"] or []
    assert metadata["x"] != value

    put(store, {"a": {"x": value}, "list": {"x": [value, 1.5]}})

    assert matching(store, {"x": value}) == {"a", "list"}
    assert matching(store, {"x": {"$ne": value}}) == set()
    assert matching(store, {"x": {"$gte": value, "$lte": value}}) == {"a", "list"}
    assert matching(store, {"x": {"$lt": value}}) == {"list"}


def test_a_none_that_is_there_is_found_although_chroma_drops_it(store: ChromaDB) -> None:
    put(store, {"none": {"x": None}, "one": {"x": 1}, "absent": {}})

    assert matching(store, {"x": None}) == {"none"}
    assert matching(store, {"x": {"$in": [None, 1]}}) == {"none", "one"}
    assert matching(store, {"x": {"$ne": None}}) == {"one", "absent"}


def test_keys_that_chroma_refuses_can_be_filtered_by(store: ChromaDB) -> None:
    keys = ["", "#tag", "chroma:document", "_vectorface"]
    put(store, {"a": dict.fromkeys(keys, 1), "b": dict.fromkeys(keys, 2)})

    for key in keys:
        assert matching(store, {key: 1}) == {"a"}
        assert matching(store, {key: {"$ne": 1}}) == {"b"}
        assert matching(store, {key: {"$gt": 1}}) == {"b"}


def test_dates_compare_as_dates(store: ChromaDB) -> None:
    put(
        store,
        {
            "day": {"at": date(2024, 5, 1)},
            "noon": {"at": datetime(2024, 5, 1, 12)},  # noqa: DTZ001 - naive is the point
            "noon utc": {"at": datetime(2024, 5, 1, 12, tzinfo=UTC)},
            "text": {"at": "2024-05-01"},
        },
    )

    assert matching(store, {"at": date(2024, 5, 1)}) == {"day"}
    assert matching(store, {"at": {"$gt": datetime(2024, 5, 1, tzinfo=UTC)}}) == {"noon utc"}
    assert matching(store, {"at": {"$ne": date(2024, 5, 1)}}) == {"noon", "noon utc", "text"}


def test_a_filter_may_name_more_values_than_sqlite_takes(store: ChromaDB) -> None:
    many = {"$in": list(range(7_900))}
    keys = ["a", "b", "c", "d", "e"]
    with pytest.raises(chromadb.errors.InternalError, match="too many SQL variables"):
        raw_twin(store).get(where={"$and": [{key: many} for key in keys]})

    put(store, {"in": dict.fromkeys(keys, 7_899), "out": {"a": 7_899, "b": 7_900}})

    assert matching(store, dict.fromkeys(keys, many)) == {"in"}
    assert store.count({"$or": [{key: many} for key in keys]}) == 2
    assert store.count({"a": {"$in": list(range(9_000))}}) == 2
    assert store.count({"a": {"$nin": list(range(9_000))}}) == 0


def test_a_filter_may_have_more_parts_than_chroma_answers_quickly(store: ChromaDB) -> None:
    put(store, {"in": {"x": 1}, "out": {"x": 500}})

    assert matching(store, {"$and": [{"x": {"$ne": n}} for n in range(2, 2_000)]}) == {"in"}
    assert matching(store, {"$or": [{"x": n} for n in range(100)]}) == {"in"}


@pytest.mark.parametrize(
    "filter",
    [
        {"x": {"$in": []}},
        {"x": 1, "y": {"$in": []}},
        {"$or": [{"x": {"$in": []}}, {"y": {"$in": []}}]},
    ],
    ids=str,
)
def test_what_can_match_nothing_asks_chroma_nothing(store: ChromaDB, filter: dict[str, Any]) -> None:
    put(store, {"a": {"x": 1}})

    assert superset(parse(filter)) is NOTHING
    assert matching(store, filter) == set()
    assert store.delete_by_filter(filter).matched == 0


@pytest.mark.parametrize(
    "filter",
    [
        {},
        {"x": {"$nin": []}},
        {"x": {"$exists": True}},
        {"title": {"$gt": "M"}},
        {"x": {"$not": {"$gt": 1}}},
        {"$or": [{"x": 1}, {"x": {"$exists": False}}]},
        {"#tag": {"$ne": 1}},
        {"x": {"$ne": 1.5}},
        {"x": {"$ne": None}},
        {"x": {"$ne": date(2024, 5, 1)}},
    ],
    ids=str,
)
def test_what_chroma_cannot_narrow_down_is_left_to_be_verified(filter: dict[str, Any]) -> None:
    assert superset(parse(filter)) is None


def test_what_chroma_can_narrow_down_is_pushed_to_it() -> None:
    assert superset(parse({"title": {"$ne": "The Lamp"}})) == {"title": {"$nin": ["The Lamp"]}}
    assert superset(parse({"x": {"$gt": 5}})) == {
        "$or": [
            {"x": {"$gt": 5}},
            {"_vectorface_paths": {"$contains": "l:x"}},
            {"_vectorface_paths": {"$contains": "n:x"}},
        ]
    }


def test_a_date_that_another_library_replaced_is_not_left_out_of_the_complement(store: ChromaDB) -> None:
    put(store, {"a": {"at": date(2024, 5, 1)}})
    raw_view(store).update(ids=["a"], metadatas=[{"at": "some day"}])

    assert matching(store, {"at": {"$ne": date(2024, 5, 1)}}) == {"a"}
    assert matching(store, {"at": date(2024, 5, 1)}) == set()
    assert matching(store, {"at": "some day"}) == {"a"}


def test_contains_is_case_sensitive_and_joins_with_a_filter(store: ChromaDB) -> None:
    put(store, {"The Lamp": {"x": 1}, "the lamp": {"x": 1}, "The Lamp again": {"x": 2}})

    found = {hit.id for hit in store.query(vector=bearing(0), k=9, filter={"x": 1}, contains="The L")}

    assert found == {"The Lamp"}
    assert store.count({"x": {"$ne": 2}}, contains="The L") == 1
