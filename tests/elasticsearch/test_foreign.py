"""Indexes that something else made: langchain-elasticsearch, or plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from elasticsearch import Elasticsearch
from langchain_core.documents import Document
from langchain_elasticsearch import BM25Strategy, DenseVectorStrategy, ElasticsearchStore

from tests.elastic.encoders import WordWeights
from tests.elasticsearch.stores import Stores
from vectorface.backends.elasticsearch import BM25, Dense, Hybrid, SemanticText, SparseEncoder, Strategy
from vectorface.errors import ConfigurationError, IndexMismatchError, PartialWriteError
from vectorface.testing import WordEmbeddings

STORY = [
    Document(id="dusk", page_content="Nan lit the lamp at dusk.", metadata={"chapter": 1, "tags": ["fire"]}),
    Document(id="fog", page_content="Fog hid the lamp from the ferry.", metadata={"chapter": 2, "day": None}),
    Document(id="oil", page_content="The lamp drank oil all night.", metadata={"chapter": 3}),
]


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url) as client:
        yield client


@pytest.fixture
def theirs(stores: Stores, client: Elasticsearch) -> ElasticsearchStore:
    """A store of langchain-elasticsearch with the story."""
    store = ElasticsearchStore(
        stores.name(), embedding=WordEmbeddings(), client=client, strategy=DenseVectorStrategy()
    )
    store.add_documents(STORY, ids=[str(one.id) for one in STORY])
    return store


@pytest.mark.usefixtures("theirs")
def test_we_read_what_langchain_elasticsearch_wrote(stores: Stores) -> None:
    store = stores.open(Dense(WordEmbeddings()), create=False)
    assert (store.metric, store.dimension, store.count()) == ("cosine", 64, 3)
    assert {record.id: record.document for record in store.scan()} == {str(one.id): one for one in STORY}
    [best] = store.query("Nan lit the lamp at dusk.", k=1)
    assert best.id == "dusk"
    assert best.score == pytest.approx(1.0)


@pytest.mark.usefixtures("theirs")
def test_filters_mean_the_same_there(stores: Stores) -> None:
    store = stores.open(Dense(WordEmbeddings()))
    assert {hit.id for hit in store.query("lamp", filter={"chapter": {"$gte": 2}})} == {"fog", "oil"}
    assert store.count({"day": None}) == 1
    assert store.count({"tags": {"$exists": False}}) == 2
    assert [hit.id for hit in store.query("lamp", contains="Fog")] == ["fog"]


def test_langchain_elasticsearch_reads_what_we_write_there(
    theirs: ElasticsearchStore, stores: Stores
) -> None:
    store = stores.open(Dense(WordEmbeddings()))
    store.upsert([Document(id="new", page_content="A quill in June", metadata={"chapter": 9})])
    store.delete_by_filter({"chapter": 1})
    [found] = theirs.similarity_search("A quill in June", k=1)
    assert (found.page_content, found.metadata) == ("A quill in June", {"chapter": 9})
    assert store.count() == 3


def test_langchain_elasticsearch_reads_an_index_of_ours(stores: Stores, client: Elasticsearch) -> None:
    stores.open(Dense(WordEmbeddings())).add(STORY)
    theirs = ElasticsearchStore(
        stores.name(), embedding=WordEmbeddings(), client=client, strategy=DenseVectorStrategy()
    )
    [found] = theirs.similarity_search("Nan lit the lamp at dusk.", k=1)
    assert (found.page_content, found.metadata) == (STORY[0].page_content, STORY[0].metadata)


def test_an_index_of_words_opens_for_bm25(stores: Stores, client: Elasticsearch) -> None:
    theirs = ElasticsearchStore(stores.name(), client=client, strategy=BM25Strategy())
    theirs.add_documents(STORY, ids=[str(one.id) for one in STORY])
    store = stores.open(BM25())
    assert [hit.id for hit in store.query("ferry")] == ["fog"]
    assert store.get(["oil"])[0].document == STORY[2]


@pytest.mark.usefixtures("theirs")
def test_writing_to_a_foreign_index_that_is_gone_does_not_make_it(
    stores: Stores, client: Elasticsearch
) -> None:
    store = stores.open(Dense(WordEmbeddings()))
    client.indices.delete(index=stores.name())
    with pytest.raises(PartialWriteError, match=r"no such index|There is no index"):
        store.upsert(STORY)
    assert not client.indices.exists(index=stores.name())


def test_a_plain_index_opens_by_the_field_of_its_text(stores: Stores, client: Elasticsearch) -> None:
    name = stores.name()
    properties = {"plot": {"type": "text"}, "title": {"type": "keyword"}, "released": {"type": "integer"}}
    client.indices.create(index=name, mappings={"properties": properties})
    client.index(
        index=name, id="1", document={"plot": "A lamp", "title": "Dusk", "released": 1994}, refresh=True
    )
    store = stores.open(BM25(), text_field="plot")
    [hit] = store.query("lamp", filter={"released": {"$lt": 2000}})
    assert (hit.text, hit.metadata) == ("A lamp", {"title": "Dusk", "released": 1994})
    store.upsert([Document(id="2", page_content="A ferry", metadata={"title": "Fog", "released": 1995})])
    assert client.get(index=name, id="2")["_source"] == {"plot": "A ferry", "title": "Fog", "released": 1995}


def test_metadata_does_not_overwrite_the_text_of_a_plain_index(stores: Stores, client: Elasticsearch) -> None:
    client.indices.create(index=stores.name(), mappings={"properties": {"plot": {"type": "text"}}})
    store = stores.open(BM25(), text_field="plot")
    report = store.upsert_parallel(
        [
            Document(id="1", page_content="A lamp", metadata={"plot": "x"}),
            Document(id="2", page_content="Fog"),
        ],
        on_error="report",
    )
    assert [(failure.id, "rename the key" in str(failure.error)) for failure in report.failures] == [
        ("1", True)
    ]
    assert [record.id for record in store.scan()] == ["2"]


def test_an_index_without_the_text_field_is_refused(stores: Stores, client: Elasticsearch) -> None:
    client.indices.create(index=stores.name(), mappings={"properties": {"plot": {"type": "text"}}})
    with pytest.raises(ConfigurationError, match=r"no field 'text' \(it has plot\).*text_field="):
        stores.open(BM25())


def test_another_strategy_is_refused(stores: Stores) -> None:
    stores.open(BM25())
    with pytest.raises(IndexMismatchError, match="strategy: index 'bm25', here 'sparse'"):
        stores.open(SparseEncoder(WordWeights()))


# -- what does not fit ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "lack"),
    [
        (
            Dense(WordEmbeddings()),
            r"no field 'vector' of type dense_vector.*under another name \(embedding\)",
        ),
        (SparseEncoder(WordWeights()), "no field 'tokens' of type sparse_vector"),
        (BM25(), "its field 'plot' is of type keyword"),
        (Hybrid(BM25(), Dense(WordEmbeddings())), "no words to search by"),
        (SemanticText(), "no field 'semantic' of type semantic_text"),
    ],
    ids=["dense", "sparse", "bm25", "hybrid", "semantic"],
)
def test_an_index_that_lacks_what_a_strategy_searches_is_refused(
    stores: Stores, client: Elasticsearch, strategy: Strategy, lack: str
) -> None:
    properties = {"plot": {"type": "keyword"}, "embedding": {"type": "dense_vector", "dims": 64}}
    client.indices.create(index=stores.name(), mappings={"properties": properties})
    with pytest.raises(IndexMismatchError, match=lack):
        stores.open(strategy, text_field="plot")


def test_an_index_without_metadata_yet_is_langchains(stores: Stores, client: Elasticsearch) -> None:
    theirs = ElasticsearchStore(
        stores.name(), embedding=WordEmbeddings(), client=client, strategy=DenseVectorStrategy()
    )
    theirs.add_documents([Document(page_content="lamp")], ids=["1"])
    store = stores.open(Dense(WordEmbeddings()))
    assert store.get(["1"])[0].metadata == {}
    store.upsert([Document(id="2", page_content="fog", metadata={"source": "x"})])
    theirs.add_documents([Document(page_content="oil", metadata={"source": "y"})], ids=["3"])
    again = stores.open(Dense(WordEmbeddings()))
    assert [record.id for record in again.get(filter={"source": "x"})] == ["2"]
    assert theirs.similarity_search("fog", k=1)[0].metadata == {"source": "x"}


def test_texts_of_several_values_and_of_other_types_are_read(stores: Stores, client: Elasticsearch) -> None:
    client.indices.create(index=stores.name(), mappings={"properties": {"plot": {"type": "text"}}})
    for id_, plot in (("list", ["a lamp", "a ferry"]), ("number", 42), ("none", None)):
        client.index(index=stores.name(), id=id_, document={"plot": plot}, refresh=True)
    client.index(
        index=stores.name(), id="odd", document={"plot": "fog", "day": {"$date": "never"}}, refresh=True
    )
    store = stores.open(BM25(), text_field="plot")
    texts = {record.id: record.text for record in store.scan()}
    assert texts == {"list": "a lamp\na ferry", "number": "42", "none": "", "odd": "fog"}
    assert store.query("ferry")[0].id == "list"
    assert store.count(contains="ferry") == 1
    assert store.get(["odd"])[0].metadata == {"day": {"$date": "never"}}


def test_text_may_lie_in_an_object(stores: Stores, client: Elasticsearch) -> None:
    properties = {"content": {"properties": {"body": {"type": "text"}, "lang": {"type": "keyword"}}}}
    client.indices.create(index=stores.name(), mappings={"properties": properties})
    theirs = {"content": {"body": "A lamp", "lang": "en"}, "year": 1994}
    client.index(index=stores.name(), id="1", document=theirs, refresh=True)
    store = stores.open(BM25(), text_field="content.body")
    [hit] = store.query("lamp")
    assert (hit.text, hit.metadata) == ("A lamp", {"content": {"lang": "en"}, "year": 1994})
    store.upsert([Document(id="2", page_content="A ferry", metadata={"year": 1995})])
    assert client.get(index=stores.name(), id="2")["_source"] == {
        "content": {"body": "A ferry"},
        "year": 1995,
    }


def test_dates_are_written_as_others_write_them(stores: Stores, client: Elasticsearch) -> None:
    properties = {"plot": {"type": "text"}, "day": {"type": "date"}}
    client.indices.create(index=stores.name(), mappings={"properties": properties})
    store = stores.open(BM25(), text_field="plot")
    store.upsert([Document(id="1", page_content="A lamp", metadata={"day": date(2024, 1, 2)})])
    assert client.get(index=stores.name(), id="1")["_source"]["day"] == "2024-01-02"
    assert store.count({"day": "2024-01-02"}) == 1


def test_documents_with_a_routing_of_their_own_are_deleted(stores: Stores, client: Elasticsearch) -> None:
    settings = {"number_of_shards": 4, "number_of_replicas": 0}
    client.indices.create(
        index=stores.name(), settings=settings, mappings={"properties": {"plot": {"type": "text"}}}
    )
    for i in range(20):
        source = {"plot": f"Lamp {i}", "house": i % 2}
        client.index(index=stores.name(), id=str(i), document=source, routing=f"house-{i % 2}")
    client.indices.refresh(index=stores.name())
    store = stores.open(BM25(), text_field="plot")
    report = store.delete_by_filter({"house": 1})
    assert (report.matched, report.deleted, report.conflicts) == (10, 10, ())
    assert store.count() == 10


def test_an_index_whose_pages_are_small(stores: Stores, client: Elasticsearch) -> None:
    settings = {"max_result_window": 7, "number_of_replicas": 0}
    client.indices.create(
        index=stores.name(), settings=settings, mappings={"properties": {"plot": {"type": "text"}}}
    )
    store = stores.open(BM25(), text_field="plot")
    store.upsert(Document(id=str(i), page_content=f"Lamp {i}") for i in range(40))
    assert {record.id for record in store.scan()} == {str(i) for i in range(40)}
    assert len({hit.id for hit in store.query("lamp", k=30)}) == 30


# -- nothing of theirs is lost ------------------------------------------------------------------------------


@pytest.mark.usefixtures("theirs")
def test_a_strategy_that_makes_no_vectors_writes_to_no_index_that_has_some(
    stores: Stores, client: Elasticsearch
) -> None:
    changed = [Document(id="dusk", page_content="Nan lit no lamp.", metadata={"chapter": 1})]
    with pytest.raises(PartialWriteError, match=r"has vectors in 'vector'.*Hybrid"):
        stores.open(BM25()).upsert(changed)
    assert "vector" in client.get(index=stores.name(), id="dusk")["_source"]
    stores.open(Hybrid(Dense(WordEmbeddings()), BM25())).upsert(changed)
    found = client.get(index=stores.name(), id="dusk")["_source"]
    assert (found["text"], len(found["vector"])) == ("Nan lit no lamp.", 64)


@pytest.mark.usefixtures("theirs")
def test_fields_that_are_not_shown_stay(stores: Stores, client: Elasticsearch) -> None:
    client.update(
        index=stores.name(), id="dusk", doc={"url": "http://a", "seen": {"by": "kim"}}, refresh=True
    )
    store = stores.open(Dense(WordEmbeddings()))
    [record] = store.get(["dusk"])
    assert record.metadata == STORY[0].metadata
    store.upsert([Document(id="dusk", page_content="A lamp", metadata={"chapter": 2}), *STORY[1:]])
    found = client.get(index=stores.name(), id="dusk")["_source"]
    assert {name: found[name] for name in ("url", "seen", "text", "metadata")} == {
        "url": "http://a",
        "seen": {"by": "kim"},
        "text": "A lamp",
        "metadata": {"chapter": 2},
    }


def test_what_was_read_can_be_written_where_the_text_lies_in_an_object(
    stores: Stores, client: Elasticsearch
) -> None:
    body = {"properties": {"body": {"type": "text"}, "lang": {"type": "keyword"}}}
    client.indices.create(index=stores.name(), mappings={"properties": {"content": body}})
    source = {"content": {"body": "A lamp", "lang": "en"}, "year": 1994}
    client.index(index=stores.name(), id="1", document=source, refresh=True)
    store = stores.open(BM25(), text_field="content.body")
    store.upsert([store.get(["1"])[0].document])
    assert client.get(index=stores.name(), id="1")["_source"] == source
    for metadata in ({"content": "x"}, {"content": {"body": "x"}}, {"content.body": 1}):
        with pytest.raises(PartialWriteError, match="would overwrite"):
            store.upsert([Document(id="1", page_content="A ferry", metadata=metadata)])


def test_only_vectors_are_no_metadata(stores: Stores, client: Elasticsearch) -> None:
    fields = {"body": {"type": "text"}, "model_id": {"type": "keyword"}, "tokens": {"type": "integer"}}
    client.indices.create(index=stores.name(), mappings={"properties": fields})
    source = {"body": "A lamp", "model_id": "T-800", "tokens": 7}
    client.index(index=stores.name(), id="1", document=source, refresh=True)
    store = stores.open(BM25(), text_field="body")
    [record] = store.get(["1"], include_vectors=True)
    assert (record.metadata, record.vector) == ({"model_id": "T-800", "tokens": 7}, None)
    assert store.delete_by_filter({"model_id": {"$ne": "T-800"}}).matched == 0
    store.upsert([record.document])
    assert client.get(index=stores.name(), id="1")["_source"] == source


def test_a_filtered_alias_shows_its_part_by_id_too(stores: Stores, client: Elasticsearch) -> None:
    part = stores.name("part")
    client.indices.create(index=stores.name(), mappings={"properties": {"body": {"type": "text"}}})
    client.indices.put_alias(index=stores.name(), name=part, filter={"ids": {"values": ["1"]}})
    for i in range(3):
        client.index(index=stores.name(), id=str(i), document={"body": f"lamp {i}"}, refresh=True)
    store = stores.open(BM25(), "part", text_field="body")
    assert (
        [record.id for record in store.scan()]
        == [record.id for record in store.get(["0", "1", "2"])]
        == ["1"]
    )
    assert store.delete_by_filter(ids=["0", "2"]).matched == 0
    assert client.count(index=stores.name())["count"] == 3


def test_metadata_that_only_looks_encoded(stores: Stores, client: Elasticsearch) -> None:
    mappings = {"properties": {"text": {"type": "text"}, "metadata": {"type": "object", "enabled": False}}}
    client.indices.create(index=stores.name(), mappings=mappings)
    odd = {"$datetime": "2024-05-01"}
    client.index(index=stores.name(), id="1", document={"text": "A lamp", "metadata": odd}, refresh=True)
    assert [record.metadata for record in stores.open(BM25()).scan()] == [odd]


def test_indexes_without_this_text_are_described_all_the_same(stores: Stores, client: Elasticsearch) -> None:
    client.indices.create(index=stores.name("plain"), mappings={"properties": {"plot": {"type": "text"}}})
    store = stores.open(BM25())
    assert store.get_index(stores.name("plain")).count == 0
    with pytest.raises(ConfigurationError, match=r"no field 'text'.*text_field="):
        stores.open(BM25(), "plain")
    store.delete_index(stores.name("plain"))
