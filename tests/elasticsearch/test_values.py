"""What an index takes: thousands of keys, keys of many types, values of any size."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document

from tests.elasticsearch.stores import Stores
from vectorface.backends.elasticsearch import BM25
from vectorface.errors import BackendError


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
    with pytest.raises(BackendError, match=text) as refused:
        store.query("lamp", native={"range": {"fields.year": {"gte": text}}})
    assert type(refused.value) is BackendError
