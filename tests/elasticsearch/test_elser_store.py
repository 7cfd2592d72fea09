"""The strategy Elser, and semantic_text, through a store: what the server expands, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from langchain_core.documents import Document

from tests.elastic.gateway import Gateway
from tests.elasticsearch.stores import Stores
from vectorface.backends.elasticsearch import (
    BM25,
    Dense,
    ElasticsearchDB,
    Elser,
    ElserModel,
    Hybrid,
    Pipelines,
    Pruning,
    SemanticText,
)
from vectorface.embeddings import TruncationWarning
from vectorface.errors import (
    ConfigurationError,
    InvalidDocumentError,
    InvalidQueryError,
    ModelNotFoundError,
    PartialWriteError,
    UnsupportedError,
)
from vectorface.testing import WordEmbeddings

STORY = [
    Document(id="dusk", page_content="Nan lit the lamp at dusk.", metadata={"chapter": 1}),
    Document(id="lamp", page_content="Nan lit the lamp at dusk again.", metadata={"chapter": 2}),
    Document(id="fog", page_content="Fog hid the ferry.", metadata={"chapter": 3}),
]


def elser(stores: Stores, *ids: str, **options: Any) -> Elser:
    return Elser(*ids, pipeline=stores.name(), **options)


@pytest.fixture
def store(elser_stores: Stores) -> ElasticsearchDB:
    store = elser_stores.open(elser(elser_stores))
    store.add(STORY)
    return store


def test_texts_are_expanded_by_the_server(store: ElasticsearchDB) -> None:
    [hit] = store.query("ferries", k=1)  # the plural is not in the text
    assert (hit.id, hit.score_kind, hit.tokens) == ("fog", "sparse", None)
    [record] = store.get(["fog"], include_vectors=True)
    assert isinstance(record.vector, dict)
    assert record.vector["ferry"] > 0
    assert record.metadata == {"chapter": 3}


def test_an_index_opens_through_any_deployment_of_its_model(
    store: ElasticsearchDB, elser_stores: Stores
) -> None:
    model = ElserModel(store.client)
    model.ensure("another-one")
    try:
        again = elser_stores.open(Elser("another-one", pipeline=elser_stores.name()), create=False)
        assert again.query("ferries", k=1)[0].id == "fog"
        info = store.get_index(store.index)
        assert (info.fingerprint or {})["embedding"] == ".elser_model_2"
    finally:
        model.stop("another-one", force=True)


def test_no_index_is_made_for_a_model_that_is_not_there(elser_stores: Stores) -> None:
    with pytest.raises(ModelNotFoundError, match=r"elser-ingset.*ensure\(\)"):
        elser_stores.open(Elser("elser-ingset"))
    with ElasticsearchDB(BM25()).connect(url=elser_stores.url, index="test-other", replicas=0) as other:
        assert elser_stores.name() not in other.list_indexes()
        assert Pipelines(other.client).get("vectorface-elser-elser-ingset") is None
        other.delete_index("test-other")


def test_without_a_pipeline_nothing_is_written(store: ElasticsearchDB, elser_stores: Stores) -> None:
    store.client.indices.put_settings(index=store.index, settings={"index.default_pipeline": None})
    again = elser_stores.open(elser(elser_stores))
    assert again.query("ferries", k=1)[0].id == "fog"
    with pytest.raises(PartialWriteError, match=r"no default pipeline.*set_default"):
        again.upsert(STORY)


@pytest.mark.parametrize(
    "extra",
    [{"on_failure": [{"set": {"field": "oops", "value": "x"}}]}, {"then": {"remove": {"field": "tokens"}}}],
    ids=["hides failures", "removes the tokens"],
)
def test_a_pipeline_that_loses_tokens_is_refused(
    store: ElasticsearchDB, elser_stores: Stores, extra: dict[str, Any]
) -> None:
    name = elser_stores.name()
    definition = store.client.ingest.get_pipeline(id=name).body[name]
    processors = [*definition["processors"], *([extra["then"]] if "then" in extra else [])]
    store.client.ingest.put_pipeline(id=name, processors=processors, on_failure=extra.get("on_failure"))
    with pytest.raises(ConfigurationError, match="another ingest pipeline"):
        elser_stores.open(elser(elser_stores), "second")


def test_hits_tell_which_tokens_matched(elser_stores: Stores) -> None:
    store = elser_stores.open(elser(elser_stores, tokens=True))
    store.add(STORY)
    [hit] = store.query("the ferry", k=1)
    assert set(hit.tokens or {}) >= {"the", "ferry"}
    assert sum((hit.tokens or {}).values()) == pytest.approx(hit.score, rel=5e-3)


def test_mmr_has_the_query_expanded_first(store: ElasticsearchDB) -> None:
    plain = [hit.id for hit in store.query("Nan lit the lamp, fog", k=2)]
    varied = [hit.id for hit in store.query("Nan lit the lamp, fog", k=2, search_type="mmr", lambda_mult=0.3)]
    assert set(plain) == {"dusk", "lamp"}
    assert "fog" in varied


def test_a_chain_has_its_retriever(store: ElasticsearchDB) -> None:
    filtered = store.as_retriever(k=2, search_kwargs={"filter": {"chapter": {"$gt": 1}}}, include_scores=True)
    found = filtered.invoke("who lit the lamp?")
    assert [document.id for document in found] == ["lamp", "fog"]
    assert found[0].metadata["score_kind"] == "sparse"
    bounded = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.5}
    )
    with pytest.raises(UnsupportedError, match="no scale from 0 to 1"):
        bounded.invoke("lamp")


def test_it_takes_no_vectors(store: ElasticsearchDB) -> None:
    with pytest.raises(InvalidDocumentError, match="searches by text"):
        store.upsert(STORY[:1], vectors=[[1.0]])
    with pytest.raises(InvalidQueryError, match="searches by text"):
        store.query(vector={"lamp": 1.0})


def test_a_long_text_is_stored_whole_and_warned_about(elser_stores: Stores) -> None:
    store = elser_stores.open(elser(elser_stores))
    text = "lamp " * 600 + "ferry"
    with pytest.warns(TruncationWarning, match=r"at least 601 tokens.*512.*preprocess\(\)"):
        store.upsert_parallel([Document(id="long", page_content=text)])
    assert store.get(["long"])[0].text == text
    assert store.query("lamp")[0].id == "long"
    assert store.query("ferry") == []


def test_metadata_alone_is_written_without_expanding_again(elser_stores: Stores) -> None:
    store = elser_stores.open(elser(elser_stores))
    store.add(STORY)
    before = sum(one.inferences for one in ElserModel(store).stats())
    changed = [one.model_copy(update={"metadata": {"chapter": 9}}) for one in STORY]
    assert store.upsert_parallel(changed, skip_unchanged=True).written == 3
    assert sum(one.inferences for one in ElserModel(store).stats()) == before
    assert store.query("ferry", filter={"chapter": 9})[0].id == "fog"


def test_pruning_reaches_the_server(elser_stores: Stores) -> None:
    pruning = Pruning(tokens_freq_ratio_threshold=1, tokens_weight_threshold=1.0)
    store = elser_stores.open(elser(elser_stores, pruning=pruning))
    store.add(STORY)
    assert store.query("ferry")[0].id == "fog"


def test_a_pipeline_that_does_something_else_is_refused(elser_stores: Stores) -> None:
    first = elser_stores.open(elser(elser_stores))
    ElserModel(first).ensure("another-one")
    with pytest.raises(ConfigurationError, match="another ingest pipeline"):
        elser_stores.open(elser(elser_stores, "another-one"), "b")
    ElserModel(first).stop("another-one")


def test_an_inference_endpoint_does_both(elser_stores: Stores, elser_gateway: Gateway) -> None:
    elser_gateway.request(
        "PUT",
        "/_inference/sparse_embedding/my-elser",
        {
            "service": "elasticsearch",
            "service_settings": {"model_id": ".elser_model_2", "num_allocations": 1, "num_threads": 1},
        },
    )
    strategy = Elser(inference_id="my-elser", pipeline=elser_stores.name(), tokens=True)
    store = elser_stores.open(strategy)
    store.add(STORY)
    [hit] = store.query("ferries", k=1)
    assert (hit.id, "ferry" in (hit.tokens or {})) == ("fog", True)
    store.delete_index(store.index)
    elser_gateway.request("DELETE", "/_inference/sparse_embedding/my-elser?force=true")


def test_hybrid_of_elser_and_others(elser_stores: Stores) -> None:
    parts = elser(elser_stores, tokens=True), Dense(WordEmbeddings(), index_type="flat"), BM25()
    store = elser_stores.open(Hybrid(*parts, weights=[2, 1, 1]))
    store.add(STORY)
    hits = store.query("who lit the ferries?", k=3)
    assert hits[0].score_kind == "rrf"
    assert sorted(hit.id for hit in hits) == ["dusk", "fog", "lamp"]
    assert any("ferry" in (hit.tokens or {}) for hit in hits)
    assert len(store.query("Nan", k=2, search_type="mmr")) == 2


def test_semantic_text_searches_all_of_a_long_text(elser_stores: Stores) -> None:
    store = elser_stores.open(SemanticText())
    text = "lamp " * 600 + "ferry"
    store.upsert_parallel([*STORY, Document(id="long", page_content=text, metadata={"chapter": 4})])
    assert store.query("ferry", filter={"chapter": 4})[0].id == "long"
    assert {record.id: record.document for record in store.scan()}["dusk"] == STORY[0]
    with pytest.raises(InvalidQueryError, match="use similarity"):
        store.query("lamp", search_type="mmr")


def test_no_index_is_made_for_an_endpoint_that_is_not_there(elser_stores: Stores) -> None:
    with pytest.raises(ModelNotFoundError, match="no inference endpoint 'nope'"):
        elser_stores.open(SemanticText("nope"))


def test_an_open_store_finds_the_model_that_came_later(elasticsearch_url: str) -> None:
    with Gateway(elasticsearch_url) as gateway, Elasticsearch(gateway.url) as client:
        stores = Stores(gateway.url)
        fields = {"tokens": {"type": "sparse_vector"}}
        client.indices.create(index=stores.name(), mappings={"properties": fields})
        store = stores.open(Elser(pipeline=stores.name()), create=False)
        with pytest.raises(ModelNotFoundError):
            store.create_index(stores.name("b"))
        gateway.deploy_elser()
        store.create_index(stores.name("b"))
        stores.close()


# -- an older server ---------------------------------------------------------------------------------------


@pytest.fixture
def older(elasticsearch_url: str) -> Iterator[Stores]:
    """A server of before ``sparse_vector`` queries."""
    with Gateway(elasticsearch_url, version="8.14.3") as gateway:
        gateway.deploy_elser()
        opener = Stores(gateway.url)
        yield opener
        opener.close()


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("pruning", [None, Pruning()])
@pytest.mark.filterwarnings("ignore:.*deprecated")  # the node behind is a newer one, and says so
def test_an_older_server_is_asked_in_its_own_words(
    older: Stores, pruning: Pruning | None, *, tokens: bool
) -> None:
    store = older.open(elser(older, pruning=pruning, tokens=tokens))
    store.add(STORY)
    [hit] = store.query("ferries", k=1)
    assert hit.id == "fog"
    assert (hit.tokens is not None) is tokens
