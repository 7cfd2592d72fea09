"""What other programs and other threads do meanwhile: to documents, to aliases, to indexes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from langchain_core.documents import Document

from tests.elastic.encoders import WordWeights
from tests.elasticsearch.stores import Stores
from vectorface import InMemoryDB, VectorDBInterface
from vectorface.backends.elasticsearch import BM25, Dense, ElasticsearchDB, SparseEncoder
from vectorface.backends.elasticsearch.current import Current
from vectorface.backends.elasticsearch.layout import Layout
from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import (
    ConfigurationError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidIndexNameError,
    PartialWriteError,
    PermissionDeniedError,
)
from vectorface.ingest.writer import Limits
from vectorface.primitives import Removal, Stored
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


LATER = [Document(id=one.id, page_content="ferry", metadata={"chapter": 9}) for one in STORY]
MADE_ANEW = "made anew"


def reloaded(client: Elasticsearch, stores: Stores, how: str) -> None:
    """Have the store's name lead to another index of ours, with the same ids but later chapters."""
    name = stores.name()
    if how == MADE_ANEW:
        client.indices.delete(index=f"{name}-000001")
        stores.open(BM25()).upsert(LATER)
    else:
        stores.open(BM25(), "b").upsert(LATER)
        add = {"index": f"{stores.name('b')}-000001", "alias": name, "is_write_index": True}
        remove = {"index": f"{name}-000001", "alias": name}
        client.indices.update_aliases(actions=[{"remove": remove}, {"add": add}])


@pytest.mark.parametrize("how", [MADE_ANEW, "exchanged"])
def test_a_delete_spares_an_index_that_came_meanwhile(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    store = stores.open(BM25())
    store.upsert(STORY)
    remove = ElasticsearchDB._remove

    def late(self: ElasticsearchDB, targets: Sequence[Stored]) -> Removal:
        reloaded(client, stores, how)
        return remove(self, targets)

    monkeypatch.setattr(ElasticsearchDB, "_remove", late)
    report = store.delete_by_filter({"chapter": {"$lt": 5}})
    assert (report.matched, report.deleted, set(report.conflicts)) == (3, 0, {"0", "1", "2"})
    assert [record.text for record in store.get(["0", "1", "2"])] == ["ferry"] * 3


@pytest.mark.parametrize("how", [MADE_ANEW, "exchanged"])
def test_metadata_is_not_written_to_an_index_that_came_meanwhile(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    store = stores.open(BM25())
    store.upsert(STORY)
    look = Current.look
    exchanges = [how]

    def late(self: Current) -> Layout:
        if exchanges:
            reloaded(client, stores, exchanges.pop())
        return look(self)

    monkeypatch.setattr(Current, "look", late)
    changed = [Document(id=one.id, page_content=one.page_content, metadata={"chapter": 5}) for one in STORY]
    with pytest.raises(PartialWriteError, match="3 of 3"):
        store.upsert_parallel(changed, skip_unchanged=True, max_workers=1)
    assert {record.text for record in store.scan()} == {"ferry"}


def test_looking_at_the_index_does_not_end_the_checks(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectorface.backends.elasticsearch.current._FRESH", 0.0)
    store = stores.open(Dense(WordEmbeddings()))
    client.indices.delete(index=f"{store.index}-000001")
    with stores.open(Dense(WordEmbeddings("others"))) as other:
        other.upsert(STORY)
    store.get_index(store.index)
    with pytest.raises(IndexMismatchError):
        store.query("lamp")
    with pytest.raises(PartialWriteError, match="made differently"):
        store.upsert(STORY)


def test_vectors_that_are_not_in_the_source_are_not_lost(stores: Stores, client: Elasticsearch) -> None:
    store = stores.open(SparseEncoder(WordWeights()))
    made = client.indices.get(index=store.index)[f"{store.index}-000001"]
    mappings = {**made["mappings"], "_source": {"excludes": ["tokens"]}}
    client.indices.delete(index=f"{store.index}-000001")
    aliases = {store.index: {"is_write_index": True}}
    client.indices.create(index=f"{store.index}-000001", mappings=mappings, aliases=aliases)
    store.upsert(STORY)
    changed = [Document(id="1", page_content=STORY[1].page_content, metadata={"chapter": 5})]
    with pytest.raises(PartialWriteError, match="not in _source"):
        store.upsert_parallel(changed, skip_unchanged=True)
    assert len(store.query("lamp")) == 3


def test_a_store_goes_on_with_an_index_of_another_length(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectorface.backends.elasticsearch.current._FRESH", 0.0)
    store = stores.open(Dense(None))
    store.upsert(STORY[:1], vectors=[[1.0, 0.0]])
    client.indices.delete(index=f"{store.index}-000001")
    stores.open(Dense(None)).upsert(STORY[:1], vectors=[[1.0, 0.0, 0.0]])
    assert store.count() == 1
    assert store.upsert(STORY[1:2], vectors=[[0.0, 1.0, 0.0]]).written == 1


def test_what_a_broken_off_delete_did_is_told_and_shows(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores.open(BM25())
    store.upsert(Document(id=str(n), page_content="lamp", metadata={"n": 1}) for n in range(40))
    monkeypatch.setattr(ElasticsearchDB, "limits", Limits(max_documents=15))
    remove = ElasticsearchDB._remove
    batches: list[int] = []

    def blocked(self: ElasticsearchDB, targets: Sequence[Stored]) -> Removal:
        batches.append(len(targets))
        if len(batches) == 2:
            client.indices.put_settings(index=store.index, settings={"index.blocks.write": True})
        return remove(self, targets)

    monkeypatch.setattr(ElasticsearchDB, "_remove", blocked)
    with pytest.raises(PermissionDeniedError) as caught:
        store.delete_by_filter({"n": 1})
    assert caught.value.__notes__ == ["At least 15 of 40 documents had been deleted by then."]
    assert store.count() == 25


def test_a_delete_finds_what_no_write_has_shown(stores: Stores) -> None:
    store = stores.open(BM25(), refresh=False)
    store.upsert(STORY)
    assert store.delete_by_filter({"chapter": {"$gte": 1}}).deleted == 2


def test_an_index_that_is_gone_is_not_tried_document_by_document(
    stores: Stores, client: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores.open(BM25())
    client.indices.delete(index=f"{store.index}-000001")
    sent: list[str] = []
    request = Server.request

    def noted(self: Server, method: str, path: str, **options: Any) -> Any:
        sent.append(path)
        return request(self, method, path, **options)

    monkeypatch.setattr(Server, "request", noted)
    with pytest.raises(PartialWriteError) as caught:
        store.upsert(Document(id=str(n), page_content="lamp") for n in range(300))
    assert {type(failure.error) for failure in caught.value.report.failures} == {IndexNotFoundError}
    assert len(sent) < 6


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
