"""Options of a search, candidates that are verified, and maximal marginal relevance."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectorface import bridge, searching
from vectorface.errors import InvalidFilterError, InvalidQueryError
from vectorface.filters import ALL, parse
from vectorface.primitives import Query, Selection, Stored
from vectorface.records import ScoreKind
from vectorface.searching import (
    Search,
    checked_contains,
    checked_search,
    checked_text,
    mmr,
    positive,
    ranked,
    verified,
    whole,
)

DEFAULTS: dict[str, Any] = {
    "k": 4,
    "filter": None,
    "contains": None,
    "native": None,
    "search_type": "similarity",
    "fetch_k": 20,
    "lambda_mult": 0.5,
    "min_score": None,
}
ORIGIN = np.zeros(2, np.float32)


# -- the query ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"question": "x"}, "must be text (str), not dict; take the question out of it first."),
        (["x", "y"], "not list; for several texts use query_batch(), for a vector query(vector=...)."),
        (np.ones(2), "not ndarray; for several texts use query_batch()"),
        (7, "must be text (str), not int; it is 7."),
        (" \n", "The query ' \\n' must be text that is not blank."),
        ("\ud800", "holds a lone surrogate"),
    ],
    ids=repr,
)
def test_what_cannot_be_searched_for_is_refused(text: object, message: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        checked_text(text)
    assert message in str(caught.value)


def test_text_can_be_searched_for() -> None:
    assert checked_text("the lamp") == "the lamp"


# -- options ----------------------------------------------------------------------------------------------


def test_options_are_checked_into_a_search() -> None:
    search = checked_search(**DEFAULTS | {"filter": {"a": 1}, "min_score": 1})
    assert search == Search(filter=parse({"a": 1}), min_score=1.0)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"k": 0}, "k=0 must be a whole number of at least 1."),
        ({"k": -1}, "k=-1 must be a whole number"),
        ({"k": True}, "k=True must be a whole number"),
        ({"k": 1.0}, "k=1.0 must be a whole number"),
        ({"k": None}, "k=None must be a whole number"),
        ({"k": np.int64(3)}, "must be a whole number"),
        ({"fetch_k": 0}, "fetch_k=0 must be a whole number"),
        ({"search_type": "nearest"}, "search_type='nearest' is unknown; use 'similarity' or 'mmr'."),
        ({"lambda_mult": -0.1}, "lambda_mult=-0.1 must lie between 0 (diverse) and 1 (near)."),
        ({"lambda_mult": 1.1}, "must lie between"),
        ({"lambda_mult": True}, "lambda_mult=True must be a number."),
        ({"lambda_mult": float("nan")}, "lambda_mult=nan must be a number."),
        ({"min_score": "0.5"}, "min_score='0.5' must be a number."),
        ({"min_score": float("nan")}, "min_score=nan must be a number."),
        ({"contains": ""}, "contains='' must be non-empty text, or None."),
        ({"contains": 5}, "contains=5 must be non-empty text"),
        ({"contains": "\ud800"}, "must be non-empty text"),
    ],
    ids=str,
)
def test_wrong_options_are_named(option: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidQueryError) as caught:
        checked_search(**DEFAULTS | option)
    assert message in str(caught.value)


def test_a_wrong_filter_is_a_wrong_filter() -> None:
    with pytest.raises(InvalidFilterError):
        checked_search(**DEFAULTS | {"filter": {"$x": 1}})


def test_whole_numbers() -> None:
    assert positive("k", 3) == 3
    assert whole("expect", 0, least=0) == 0
    with pytest.raises(InvalidQueryError, match="expect=-1 must be a whole number of at least 0"):
        whole("expect", -1, least=0)


def test_contains_is_text_or_nothing() -> None:
    assert checked_contains(None) is None
    assert checked_contains(" ") == " "


def test_mmr_wants_more_candidates() -> None:
    assert Search(filter=ALL, k=4, fetch_k=20).candidates == 4
    assert Search(filter=ALL, k=4, fetch_k=20, search_type="mmr").candidates == 20
    assert Search(filter=ALL, k=30, fetch_k=20, search_type="mmr").candidates == 30


# -- candidates -------------------------------------------------------------------------------------------


class Shelf:
    """Documents by falling score; every ``step``-th is wanted. Counts what is fetched."""

    def __init__(self, size: int, step: int) -> None:
        self.stored = [
            Stored(id=str(i), metadata={"wanted": i % step == 0}, score=1 - i / size) for i in range(size)
        ]
        self.limits: list[int] = []

    def fetch(self, query: Query, limit: int) -> Sequence[Stored]:
        del query
        self.limits.append(limit)
        return self.stored[:limit]

    def search(self, kind: ScoreKind = "cosine", **options: Any) -> list[str]:
        search = Search(filter=ALL, **options)
        selection = Selection(filter=parse({"wanted": True}))
        first = self.stored[: search.candidates]
        return [
            one.id for one in verified(self.fetch, Query(vector=ORIGIN), selection, first, search, kind=kind)
        ]


def test_enough_at_once_fetches_no_more() -> None:
    shelf = Shelf(100, 1)
    assert shelf.search(k=3) == ["0", "1", "2"]
    assert shelf.limits == []


def test_too_few_fetches_more_until_there_are_enough() -> None:
    shelf = Shelf(1_000, 10)
    assert shelf.search(k=5) == ["0", "10", "20", "30", "40"]
    assert shelf.limits == [20, 80]


def test_fetching_ends_where_the_documents_do() -> None:
    shelf = Shelf(100, 60)
    assert shelf.search(k=5) == ["0", "60"]
    assert shelf.limits[-1] > 100


def test_fetching_ends_below_the_least_score() -> None:
    shelf = Shelf(1_000, 600)
    assert shelf.search(k=2, min_score=0.95) == ["0"]
    assert shelf.limits == [8, 32, 128]


def test_fetching_goes_on_where_a_deeper_look_raises_scores() -> None:
    shelf = Shelf(1_000, 600)
    assert shelf.search("rrf", k=2, min_score=0.95) == ["0", "600"]


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 70))
def test_verified_candidates_are_the_nearest_that_are_wanted(size: int, step: int, k: int) -> None:
    assert Shelf(size, step).search(k=k) == [str(i) for i in range(0, size, step)][:k] if size else True


def test_ranking_cuts_by_score_and_number() -> None:
    stored = [Stored(id=str(i), score=1 - i / 10) for i in range(5)]
    assert [one.id for one in ranked(Search(filter=ALL, k=2), Query(vector=ORIGIN), stored, "cosine")] == [
        "0",
        "1",
    ]
    near = ranked(Search(filter=ALL, min_score=0.8), Query(vector=ORIGIN), stored, "cosine")
    assert [one.id for one in near] == ["0", "1", "2"]


def test_mmr_needs_vectors() -> None:
    search = Search(filter=ALL, search_type="mmr")
    with pytest.raises(InvalidQueryError, match="mmr needs stored vectors, and 'a' has none"):
        ranked(search, Query(vector=ORIGIN), [Stored(id="a")], "cosine")
    with pytest.raises(InvalidQueryError, match="this store searches by text; use similarity"):
        ranked(search, Query(text="lamp"), [Stored(id="a", vector=ORIGIN)], "cosine")


# -- maximal marginal relevance ---------------------------------------------------------------------------


def by_the_book(query: Any, vectors: Any, k: int, weight: float) -> list[int]:
    """Choose as the paper says, one cosine at a time."""

    def cosine(a: Any, b: Any) -> float:
        norms = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(np.dot(a, b)) / norms if norms else 0.0

    chosen: list[int] = []
    while len(chosen) < min(k, len(vectors)):
        values = [
            weight * cosine(query, v)
            - (1 - weight) * (max(cosine(v, vectors[j]) for j in chosen) if chosen else 0.0)
            if i not in chosen
            else -np.inf
            for i, v in enumerate(vectors)
        ]
        chosen.append(int(np.argmax(values)))
    return chosen


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("k", [1, 5, 40, 100])
def test_mmr_follows_the_paper(weight: float, k: int) -> None:
    random = np.random.default_rng(3)
    vectors = list(random.normal(size=(40, 6)).astype(np.float32))
    query = random.normal(size=6).astype(np.float32)
    assert mmr(query, vectors, k=k, lambda_mult=weight) == by_the_book(query, vectors, k, weight)


def test_mmr_over_token_weights_is_mmr_over_their_vectors() -> None:
    random = np.random.default_rng(4)
    tokens = ["lamp", "sea", "fog", "oil"]
    dense = random.random((12, 4)).astype(np.float32) * (random.random((12, 4)) > 0.4)
    sparse = [{t: float(w) for t, w in zip(tokens, row, strict=True) if w} for row in dense]
    query = {"lamp": 1.0, "fog": 0.5, "nowhere else": 0.0}
    expected = mmr(np.array([1.0, 0.0, 0.5, 0.0], np.float32), list(dense), k=6, lambda_mult=0.5)
    assert mmr(query, sparse, k=6, lambda_mult=0.5) == expected


def test_mmr_over_many_token_weights_spells_none_out() -> None:
    random = np.random.default_rng(5)
    vectors = [{f"t{t}": 1.0 for t in random.integers(0, 20_000, 50)} for _ in range(1_000)]
    tracemalloc.start()
    assert len(mmr(vectors[0], vectors, k=3, lambda_mult=0.5)) == 3
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30_000_000  # a row over all tokens for each would be 150 MB


def test_mmr_takes_token_weights_of_nothing() -> None:
    assert mmr({"lamp": 1.0}, [{}, {"lamp": 2.0}, {"sea": 1.0}], k=3, lambda_mult=1.0) == [1, 0, 2]
    assert mmr({}, [{}, {}], k=2, lambda_mult=0.5) == [0, 1]


@pytest.mark.parametrize(("count", "threads"), [(20, 0), (1_000, 1)])
def test_mmr_over_many_leaves_an_event_loop_alone(
    monkeypatch: pytest.MonkeyPatch, count: int, threads: int
) -> None:
    used: list[threading.Thread] = []

    def noted(*arguments: Any, **options: Any) -> list[int]:
        used.append(threading.current_thread())
        return mmr(*arguments, **options)

    monkeypatch.setattr(searching, "mmr", noted)
    stored = [Stored(id=str(i), vector=np.ones(2, np.float32)) for i in range(count)]
    search = Search(filter=ALL, k=5, search_type="mmr")
    found = asyncio.run(bridge.run(lambda: ranked(search, Query(vector=ORIGIN), stored, "cosine")))
    assert [one.id for one in found] == ["0", "1", "2", "3", "4"]
    assert len(used) == 1
    assert len(set(used) - {threading.main_thread()}) == threads


@pytest.mark.parametrize("choose", [lambda: mmr(ORIGIN, [], k=3, lambda_mult=0.5)])
def test_mmr_of_nothing_is_nothing(choose: Callable[[], list[int]]) -> None:
    assert choose() == []


def test_mmr_takes_zero_vectors() -> None:
    assert mmr(np.ones(2, np.float32), [ORIGIN, np.ones(2, np.float32)], k=2, lambda_mult=0.5) == [1, 0]
