"""What other programs and other threads do meanwhile: to documents, to aliases, to indexes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from langchain_core.documents import Document

from tests.elasticsearch.stores import Stores
from vectorface import InMemoryDB, VectorDBInterface
from vectorface.backends.elasticsearch import BM25, Dense, ElasticsearchDB
from vectorface.errors import (
    ConfigurationError,
    IndexMismatchError,
    InvalidIndexNameError,
    PartialWriteError,
)
from vectorface.testing import WordEmbeddings
from vectorface.writing import StoreWriter

STORY = [Document(id=str(n), page_content=f"lamp {n}", metadata={"chapter": n}) for n in range(3)]


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as client:
        yield client


def exchange(client: Elasticsearch, alias: str, index: str, documents: Sequence[Document] = ()) -> None:
    """Have an alias lead to another index, with the same documents in a layout of its own."""
    client.indices.create(index=index, mappings={"properties": {"text": {"type": "text"}}})
    for one in documents:
        source = {"text": one.page_content, "metadata": one.metadata}
        client.index(index=index, id=one.id, document=source, refresh=True)
    client.indices.update_aliases(
        actions=[
            {"remove_index": {"index": f"{alias}-000001"}},
            {"add": {"index": index, "alias": alias}},
        ]
    )


# -- documents ---------------------------------------------------------------------------------------------


def test_a_delete_looks_at_what_others_wrote(stores: Stores, client: Elasticsearch) -> None:
    store = stores.open(BM25())
    store.upsert(STORY)
    theirs = {"text": "lamp", "metadata": {"chapter": 1}}
    client.index(index=store.index, id="theirs", document=theirs)
    client.update(index=store.index, id="1", doc={"metadata": {"chapter": 7}}, refresh=True)
    assert store.delete_by_filter({"chapter": {"$ne": 1}}).ids == ("0", "2")
    assert store.delete_by_filter({"chapter": 1}).matched == 0
    assert {record.id for record in store.scan()} == {"1", "theirs"}


@pytest.mark.parametrize("kind", ["elasticsearch", "memory"])
def test_metadata_alone_is_not_written_beside_another_text(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def opened() -> VectorDBInterface:
        return stores.open(Dense(WordEmbeddings(), index_type="flat"))

    store = opened() if kind == "elasticsearch" else InMemoryDB(WordEmbeddings()).connect()
    other = opened() if kind == "elasticsearch" else store
    store.upsert([Document(id="x", page_content="lamp dusk", metadata={"version": 1})])
    look = StoreWriter.stored_stamps
    meanwhile = [Document(id="x", page_content="ferry fog", metadata={"version": 9})]

    def looked(writer: StoreWriter, ids: Any) -> Any:
        found = look(writer, ids)
        if meanwhile:
            other.upsert([meanwhile.pop()])
        return found

    monkeypatch.setattr(StoreWriter, "stored_stamps", looked)
    again = [Document(id="x", page_content="lamp dusk", metadata={"version": 2})]
    with pytest.raises(PartialWriteError, match="by another writer while its metadata") as caught:
        store.upsert_parallel(again, skip_unchanged=True)
    assert store.get(["x"])[0].text == "ferry fog"
    assert caught.value.report.retry().written == 1
    [record] = store.get(["x"], include_vectors=True)
    assert (record.text, record.metadata) == ("lamp dusk", {"version": 2})
    np.testing.assert_allclose(
        np.asarray(record.vector), WordEmbeddings().embed_documents(["lamp dusk"])[0], atol=1e-6
    )


# -- aliases -----------------------------------------------------------------------------------------------


def test_an_open_store_notices_where_its_alias_leads(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectorface.backends.elasticsearch.current._FRESH", 0.0)
    store = stores.open(BM25())
    store.upsert(STORY)
    exchange(client, store.index, stores.name("new"), STORY)
    assert store.count({"chapter": {"$ne": 1}}) == 2
    assert store.delete_by_filter({"chapter": {"$ne": 1}}).ids == ("0", "2")


def test_even_before_it_notices_a_delete_takes_no_more_than_it_should(
    stores: Stores, client: Elasticsearch
) -> None:
    store = stores.open(BM25())
    store.upsert(STORY)
    exchange(client, store.index, stores.name("new"), STORY)
    assert set(store.delete_by_filter({"chapter": {"$ne": 1}}).ids) <= {"0", "2"}
    assert "1" in {record.id for record in store.scan()}


def test_an_alias_that_leads_to_another_kind_of_index_is_refused(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectorface.backends.elasticsearch.current._FRESH", 0.0)
    store = stores.open(Dense(WordEmbeddings()))
    exchange(client, store.index, stores.name("new"))
    with pytest.raises(PartialWriteError, match="no field 'vector'"):
        store.upsert(STORY)
    with pytest.raises(IndexMismatchError, match="no field 'vector' of type dense_vector"):
        store.query("lamp")


def test_deleting_by_an_alias_takes_only_what_it_stands_for(stores: Stores, client: Elasticsearch) -> None:
    store = stores.open(BM25())
    store.upsert(STORY)
    index = f"{store.index}-000001"
    part, plain = stores.name("part"), stores.name("plain")
    client.indices.put_alias(index=index, name=part, filter={"term": {"vectorface.terms": "x"}})
    client.indices.create(index=plain, mappings={"properties": {"text": {"type": "text"}}})
    client.indices.put_alias(index=plain, name=stores.name("other"))
    for name, why in (
        (part, "shows a part"),
        (store.index, "has other aliases"),
        (stores.name("other"), "something else made"),
    ):
        with pytest.raises(ConfigurationError, match=f"was not deleted: .*{why}"):
            store.delete_index(name)
    assert store.count() == 3
    store.delete_index(index)


@pytest.mark.parametrize("name", ["test-*", "a,b", "_search", "-x", "<x-{now/d}>", "a b", "_all", "."])
def test_a_name_is_one_index(stores: Stores, name: str) -> None:
    store = stores.open(BM25())
    for call in (store.get_index, store.delete_index, lambda name: stores.open(BM25(), index=name)):
        with pytest.raises(InvalidIndexNameError):
            call(name)


# -- indexes -----------------------------------------------------------------------------------------------


def test_a_name_whose_older_index_stayed_behind_can_be_used_again(
    stores: Stores, client: Elasticsearch
) -> None:
    store = stores.open(BM25())
    store.upsert(STORY)
    client.indices.delete_alias(index=f"{store.index}-000001", name=store.index)
    again = stores.open(BM25())
    assert again.count() == 0
    assert client.count(index=f"{store.index}-000001")["count"] == 3
    assert client.indices.exists(index=f"{store.index}-000002")


def test_many_may_make_an_index_at_once(stores: Stores) -> None:
    errors: list[Exception] = []

    def connect() -> None:
        try:
            ElasticsearchDB(BM25()).connect(url=stores.url, index=stores.name(), replicas=0).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not to be there
            errors.append(error)

    threads = [threading.Thread(target=connect) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_connecting_again_goes_by_the_new_options(stores: Stores, client: Elasticsearch) -> None:
    store = stores.open(BM25())
    movies, new = stores.name("movies"), stores.name("new")
    client.indices.create(index=movies, mappings={"properties": {"plot": {"type": "text"}}})
    store.connect(url=stores.url, index=movies, text_field="plot")
    store.upsert(STORY)
    assert client.get(index=movies, id="1")["_source"]["plot"] == "lamp 1"
    store.connect(url=stores.url, index=new, shards=3, replicas=0, fields={"chapter": "integer"})
    [made] = client.indices.get(index=new).body.values()
    assert made["settings"]["index"]["number_of_shards"] == "3"
    assert "fields" in made["mappings"]["properties"]


def test_text_field_is_for_an_index_that_exists(stores: Stores) -> None:
    with pytest.raises(ConfigurationError, match="text_field= is for one that something else made"):
        stores.open(BM25(), text_field="plot")


def test_what_was_refused_decides_no_dimension(stores: Stores) -> None:
    store = stores.open(Dense(None))
    with pytest.raises(PartialWriteError):
        store.upsert(STORY[:1], vectors=[np.ones(5000)])
    assert store.upsert(STORY[:1], vectors=[np.ones(3)]).written == 1
