"""Token weights made by the client: Elastic's published cases, pruning, matched tokens, mmr."""

from __future__ import annotations

import math
from typing import Any

import pytest
from langchain_core.documents import Document

from tests.elastic.encoders import WordWeights
from tests.elastic.samples import PUBLISHED, PUBLISHED_CASES, PUBLISHED_QUERY
from tests.elasticsearch.stores import Stores
from vectorface.backends.elasticsearch import ElasticsearchDB, Pruning, SparseEncoder
from vectorface.errors import InvalidDocumentError, InvalidQueryError, UnsupportedError
from vectorface.searching import mmr


def filled(stores: Stores, **options: Any) -> ElasticsearchDB:
    store = stores.open(SparseEncoder(WordWeights(), **options))
    store.add([Document(id=text, page_content=text) for text in PUBLISHED], vectors=list(PUBLISHED.values()))
    return store


@pytest.mark.parametrize(("pruning", "found", "best"), PUBLISHED_CASES)
def test_elastics_published_cases(
    stores: Stores, pruning: dict[str, Any] | None, found: int, best: float
) -> None:
    store = filled(stores, pruning=None if pruning is None else Pruning(**pruning))
    hits = store.query(vector=PUBLISHED_QUERY, k=10)
    assert (len(hits), hits[0].score, hits[0].score_kind) == (found, best, "sparse")


def test_hits_tell_which_tokens_matched(stores: Stores) -> None:
    hits = filled(stores, tokens=True).query(vector=PUBLISHED_QUERY, k=10)
    best = hits[0]
    assert best.id == "the octopus comforter smells"
    assert list((best.tokens or {}).items()) == [("comforter", 4.0), ("smells", 1.0), ("the", 0.25)]
    assert all(sum((hit.tokens or {}).values()) == pytest.approx(hit.score, rel=5e-3) for hit in hits)


def test_without_being_asked_hits_tell_no_tokens(stores: Stores) -> None:
    assert filled(stores).query(vector=PUBLISHED_QUERY, k=1)[0].tokens is None


def test_mmr_goes_by_the_scores_and_the_stored_weights(stores: Stores) -> None:
    store = filled(stores)
    nearest = store.query(vector=PUBLISHED_QUERY, k=20)
    shares = [hit.score / nearest[0].score for hit in nearest]
    assert len(nearest) > 3
    for weight in (0.0, 0.3, 0.7, 1.0):
        hits = store.query(vector=PUBLISHED_QUERY, k=3, search_type="mmr", lambda_mult=weight)
        vectors = [PUBLISHED[str(hit.id)] for hit in nearest]
        chosen = mmr(PUBLISHED_QUERY, vectors, k=3, lambda_mult=weight, relevance=shares)
        assert [hit.id for hit in hits] == [nearest[i].id for i in chosen]
    assert [hit.id for hit in hits] == [hit.id for hit in nearest[:3]]


def test_weights_come_back_as_they_were(stores: Stores) -> None:
    records = filled(stores).get(list(PUBLISHED), include_vectors=True)
    assert {record.id: record.vector for record in records} == PUBLISHED


def test_weights_that_say_nothing_are_left_out(stores: Stores) -> None:
    store = stores.open(SparseEncoder(WordWeights()))
    store.add([Document(id="a", page_content="lamp")], vectors=[{"lamp": 1, "fog": 0.0, "sea": -2.5}])
    [record] = store.get(["a"], include_vectors=True)
    assert record.vector == {"lamp": 1.0}


def test_tokens_may_hold_any_sign(stores: Stores) -> None:
    tokens = {".": 1.0, "a.b": 2.0, "##ing": 3.0, "日本": 4.0, "'": 5.0, "[CLS]": 0.5}
    store = stores.open(SparseEncoder(WordWeights()))
    store.add([Document(id="a", page_content="lamp")], vectors=[tokens])
    assert [store.query(vector={token: 1.0})[0].score for token in tokens] == list(tokens.values())


def test_a_query_of_no_tokens_finds_nothing(stores: Stores) -> None:
    assert filled(stores).query(vector={}) == []


@pytest.mark.parametrize(
    ("vector", "says"),
    [
        ([1.0, 2.0], r"not a dict of token weights"),
        ({"lamp": float("nan")}, "nan"),
        ({"lamp": "heavy"}, "'heavy' is not a number"),
    ],
)
def test_what_is_no_weights_is_refused(stores: Stores, vector: Any, says: str) -> None:
    store = stores.open(SparseEncoder(WordWeights()))
    with pytest.raises(InvalidDocumentError, match=says):
        store.add([Document(page_content="lamp")], vectors=[vector])
    with pytest.raises(InvalidQueryError, match=says):
        store.query(vector=vector)


def test_a_threshold_on_scores_without_an_end_is_refused(stores: Stores) -> None:
    retriever = filled(stores).as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.5}
    )
    with pytest.raises(UnsupportedError, match="no scale from 0 to 1"):
        retriever.invoke("comforter")


def test_scores_beyond_32_bits_are_numbers(stores: Stores) -> None:
    store = stores.open(SparseEncoder(WordWeights()))
    store.upsert([Document(id="1", page_content="lamp")], vectors=[{"lamp": 3e38}])
    [hit] = store.query(vector={"lamp": 3e38}, min_score=1.0)
    assert hit.score == math.inf
    assert "inf" in repr(hit)
