"""What an index takes: thousands of keys, keys of many types, values of any size."""

from __future__ import annotations

import math
from typing import Any

import pytest
from langchain_core.documents import Document

from tests.elasticsearch.stores import Stores
from vectorface.backends.elasticsearch import BM25, Dense, Hybrid
from vectorface.errors import InvalidQueryError


def test_three_thousand_keys_are_one_field(stores: Stores) -> None:
    store = stores.open(BM25())
    given = [
        Document(id=f"{n}", page_content="lamp", metadata={f"key{n}-{m}": m for m in range(10)})
        for n in range(300)
    ]
    assert store.upsert_parallel(given).written == 300
    assert [record.id for record in store.get(filter={"key17-3": 3})] == ["17"]
    assert store.count({"key17-3": {"$exists": True}}) == 1
    [described] = store.client.indices.get_mapping(index=store.index).body.values()
    assert len(described["mappings"]["properties"]) == 3


def test_one_key_holds_values_of_all_types(stores: Stores) -> None:
    store = stores.open(BM25())
    values = [1, 1.5, "1", True, None, [1, "1"], {"1": 1}, [], {}, 2**80, -(10**400), "x" * 40_000]
    store.add(
        Document(id=f"{i}", page_content="lamp", metadata={"key": value}) for i, value in enumerate(values)
    )
    assert [record.metadata["key"] for record in store.get([str(i) for i in range(len(values))])] == values
    assert {record.id for record in store.get(filter={"key": 1})} == {"0", "5"}
    assert {record.id for record in store.get(filter={"key": {"$gt": 2**79}})} == {"9"}
    assert {record.id for record in store.get(filter={"key": {"$lt": -(10**399)}})} == {"10"}
    assert {record.id for record in store.get(filter={"key": "x" * 40_000})} == {"11"}
    assert store.count({"key": {"$exists": True}}) == len(values)


def test_more_values_than_a_clause_takes(stores: Stores) -> None:
    store = stores.open(BM25())
    store.add(Document(id=f"{n}", page_content="lamp", metadata={"n": n}) for n in (0, 69_999, 70_000))
    many = list(range(70_000))
    assert {record.id for record in store.get(filter={"n": {"$in": many}})} == {"0", "69999"}
    assert {record.id for record in store.get(filter={"n": {"$nin": many}})} == {"70000"}


def test_more_clauses_than_a_query_takes_are_verified(stores: Stores) -> None:
    store = stores.open(BM25())
    store.add(Document(id=f"{n}", page_content="lamp", metadata={"n": n, "m": n % 2}) for n in range(20))
    wide = {"$or": [{"n": {"$gt": 1_000 + n}} for n in range(3_000)] + [{"n": 7}]}
    assert {record.id for record in store.get(filter=wide)} == {"7"}
    assert store.count({"m": 1, **wide}) == 1


def test_more_than_a_page_of_hits(stores: Stores) -> None:
    store = stores.open(BM25())
    store.upsert_parallel(Document(id=f"{n}", page_content="lamp", metadata={"n": n}) for n in range(10_500))
    hits = store.query("lamp", k=10_400)
    assert len({hit.id for hit in hits}) == 10_400
    assert len(list(store.scan(batch_size=3_000))) == 10_500
    assert store.delete_by_filter({"n": {"$lt": 10_400}}, expect=10_400).deleted == 10_400
    assert store.count() == 100


def test_what_an_error_quotes_is_not_taken_for_what_it_says(stores: Stores) -> None:
    store = stores.open(BM25(), fields={"year": "integer"})
    store.add([Document(id="1", page_content="lamp")])
    text = "model definition truncated"
    with pytest.raises(InvalidQueryError, match=text) as refused:
        store.query("lamp", native={"range": {"fields.year": {"gte": text}}})
    assert type(refused.value) is InvalidQueryError


def test_values_that_no_mapped_field_can_hold_are_left_out_of_it(stores: Stores) -> None:
    store = stores.open(BM25(), fields={"chapter": "integer", "author.name": "keyword"})
    values: list[Any] = [1, {"a": 1}, 2**70, "one", [1, {"a": 2}], None, [1, 2]]
    given = [Document(id=f"{i}", page_content="lamp", metadata={"chapter": v}) for i, v in enumerate(values)]
    given.append(Document(id="author", page_content="lamp", metadata={"author": {"name": "x", "age": 3}}))
    given.append(Document(id="text", page_content="lamp", metadata={"author": "x"}))
    assert store.upsert(given).written == len(given)
    assert [
        record.metadata["chapter"] for record in store.get([f"{i}" for i in range(len(values))])
    ] == values
    found = store.query("lamp", k=20, native={"exists": {"field": "fields.chapter"}})
    assert {hit.id for hit in found} == {"0", "6"}
    [hit] = store.query("lamp", native={"term": {"fields.author.name": "x"}})
    assert hit.metadata == {"author": {"name": "x", "age": 3}}


@pytest.mark.parametrize("needle", ["=" * 500, "é" * 900, "ab" * 600])
def test_long_needles_that_repeat_themselves_are_found(stores: Stores, needle: str) -> None:
    store = stores.open(BM25())
    texts = {"whole": f"lamp {needle} fog", "part": f"lamp {needle[:-1]} fog"}
    store.add(Document(id=id_, page_content=text) for id_, text in texts.items())
    assert [record.id for record in store.get(contains=needle)] == ["whole"]


def test_a_hybrid_is_searched_by_a_vector_alone(stores: Stores) -> None:
    store = stores.open(Hybrid(Dense(None), BM25()))
    store.add(
        [Document(id="lamp", page_content="lamp"), Document(id="fog", page_content="fog")],
        vectors=[[1.0, 0.0], [0.0, 1.0]],
    )
    assert [hit.id for hit in store.query(vector=[0.1, 1.0])] == ["fog", "lamp"]


def test_products_beyond_32_bits_are_the_least_of_all(stores: Stores) -> None:
    store = stores.open(Dense(None, index_type="flat"), metric="dot")
    store.add([Document(id="far", page_content="lamp")], vectors=[[1e19, 1.0]])
    assert store.query(vector=[-1e20, 1.0])[0].score == -math.inf
