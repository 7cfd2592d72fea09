"""Search-time inference: ``sparse_vector`` and ``text_expansion``.

Translated from Elastic's ``ml/sparse_vector_search.yml``, all cases (on the published vectors and the tiny
model's vocabulary; what the node of 8.19.16 refuses it refuses in its own words, which differ in two cases),
``ml/text_expansion_search.yml`` and ``ml/text_expansion_search_sparse_vector.yml``: search, pruning (also by
default, named and boosted, only pruned tokens), ``weighted_tokens`` and the error of a field of another type.
Not there: the same on ``rank_features`` (``ml/text_expansion_search_rank_features.yml``), which the stripped
node lacks.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch, ElasticsearchWarning, NotFoundError

from tests.elastic.gateway import Gateway
from tests.elastic.samples import (
    PUBLISHED,
    PUBLISHED_CASES,
    PUBLISHED_QUERY,
    VOCABULARY,
    put_pytorch,
)

MODEL = "text_expansion_model"
TEXT = "octopus comforter smells"
BEST = "the octopus comforter smells"

Hits = tuple[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def indices(gateway_process: Gateway) -> Iterator[dict[str, str]]:
    """Two indices with the published documents: with their weights, and with the weight 1."""
    names = {kind: f"gw-{kind}-{uuid.uuid4().hex[:12]}" for kind in ("weighted", "flat")}
    with Elasticsearch(gateway_process.url) as client:
        for kind, name in names.items():
            properties = {
                "source_text": {"type": "keyword"},
                "ml": {"properties": {"tokens": {"type": "sparse_vector"}}},
            }
            client.indices.create(
                index=name, mappings={"properties": properties}, settings={"number_of_shards": 1}
            )
            operations: list[dict[str, Any]] = []
            for text, weights in PUBLISHED.items():
                tokens = weights if kind == "weighted" else dict.fromkeys(weights, 1.0)
                operations += [{"index": {}}, {"source_text": text, "ml": {"tokens": tokens}}]
            client.bulk(index=name, operations=operations, refresh=True)
        yield names
        for name in names.values():
            client.indices.delete(index=name)


@pytest.fixture
def model(client: Elasticsearch) -> str:
    put_pytorch(client, MODEL, "text_expansion", VOCABULARY)
    client.ml.start_trained_model_deployment(model_id=MODEL)
    return MODEL


def search(client: Elasticsearch, index: str, query: dict[str, Any]) -> Hits:
    hits = client.search(index=index, query=query)["hits"]
    return hits["total"]["value"], hits["hits"]


def sparse(**options: Any) -> dict[str, Any]:
    return {"sparse_vector": {"field": "ml.tokens", **options}}


def expansion(**options: Any) -> dict[str, Any]:
    return {"text_expansion": {"ml.tokens": {"model_id": MODEL, "model_text": TEXT, **options}}}


# -- sparse_vector -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prune": True},
        {"prune": True, "pruning_config": {}},
        {
            "prune": True,
            "pruning_config": {
                "tokens_freq_ratio_threshold": 5,
                "tokens_weight_threshold": 0.4,
                "only_score_pruned_tokens": False,
            },
        },
    ],
)
def test_a_text_finds_what_its_tokens_match(
    client: Elasticsearch, indices: dict[str, str], model: str, options: dict[str, Any]
) -> None:
    total, hits = search(client, indices["weighted"], sparse(inference_id=model, query=TEXT, **options))
    assert (total, hits[0]["_source"]["source_text"], hits[0]["_score"]) == (4, BEST, 5.0)


def test_name_and_boost_stay(client: Elasticsearch, indices: dict[str, str], model: str) -> None:
    query = sparse(inference_id=model, query=TEXT, prune=True, _name="i-like-naming-my-queries", boost=100.0)
    _, hits = search(client, indices["weighted"], query)
    assert (hits[0]["_score"], hits[0]["matched_queries"]) == (500.0, ["i-like-naming-my-queries"])


def test_only_pruned_tokens_may_be_scored(client: Elasticsearch, indices: dict[str, str], model: str) -> None:
    pruning = {
        "tokens_freq_ratio_threshold": 4,
        "tokens_weight_threshold": 0.4,
        "only_score_pruned_tokens": True,
    }
    total, _ = search(
        client,
        indices["weighted"],
        sparse(inference_id=model, query=TEXT, prune=True, pruning_config=pruning),
    )
    assert total == 0


@pytest.mark.parametrize(("pruning", "total", "score"), PUBLISHED_CASES)
def test_a_query_vector_is_the_nodes_own_affair(
    client: Elasticsearch, indices: dict[str, str], pruning: dict[str, Any] | None, total: int, score: float
) -> None:
    options = {} if pruning is None else {"prune": True, "pruning_config": pruning}
    found, hits = search(client, indices["weighted"], sparse(query_vector=PUBLISHED_QUERY, **options))
    assert (found, hits[0]["_score"]) == (total, score)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "[sparse_vector] requires one of [query_vector] or [inference_id]"),
        ({"query": TEXT}, "inference_id required to perform vector search on query string"),
        ({"query": TEXT, "query_vector": {"the": 1.0}}, "requires one of [query_vector] or [inference_id]"),
        (
            {"field": "source_text", "inference_id": MODEL, "query": TEXT},
            "[source_text] must be type [sparse_vector] but is type [keyword]",
        ),
    ],
)
def test_bad_queries_are_refused(
    client: Elasticsearch, indices: dict[str, str], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        search(client, indices["weighted"], sparse(**options))
    assert problem in str(refused.value.body)


def test_tokens_may_have_dots(client: Elasticsearch, index: str) -> None:
    properties = {
        "parent": {
            "type": "object",
            "subobjects": False,
            "properties": {"foo": {"type": "sparse_vector"}, "foo.bar": {"type": "sparse_vector"}},
        }
    }
    client.indices.create(
        index=index, mappings={"properties": {"tokens": {"type": "sparse_vector"}, **properties}}
    )
    documents = {
        "has-dots": {"tokens": {"running": 2.4, "5.0k": 2.489943}},
        "parent-foo": {"parent.foo": {"bar.baz": 1.0}},
        "parent-foo-bar": {"parent.foo.bar": {"baz": 2.0}},
        "both-docs": {"parent.foo": {"bar.baz": 3.0}, "parent.foo.bar": {"baz": 4.0}},
    }
    for name, document in documents.items():
        client.index(index=index, id=name, document=document, refresh=True)
    for field, vector, expected in (
        ("tokens", {"5.0k": 2.489943}, ["has-dots"]),
        ("parent.foo", {"bar.baz": 1.0}, ["both-docs", "parent-foo"]),
        ("parent.foo.bar", {"baz": 1.0}, ["both-docs", "parent-foo-bar"]),
    ):
        _, hits = search(client, index, sparse(field=field, query_vector=vector))
        assert [hit["_id"] for hit in hits] == expected


# -- text_expansion ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("model")
@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
@pytest.mark.parametrize(
    ("options", "total", "score"),
    [
        ({}, 4, 3.0),
        ({"pruning_config": {"tokens_freq_ratio_threshold": 4, "tokens_weight_threshold": 0.4}}, 4, 3.0),
        ({"pruning_config": {}, "boost": 100.0, "_name": "named"}, 4, 300.0),
        (
            {
                "pruning_config": {
                    "tokens_freq_ratio_threshold": 4,
                    "tokens_weight_threshold": 0.4,
                    "only_score_pruned_tokens": True,
                }
            },
            0,
            None,
        ),
    ],
)
def test_text_expansion(
    client: Elasticsearch, indices: dict[str, str], options: dict[str, Any], total: int, score: float | None
) -> None:
    found, hits = search(client, indices["flat"], expansion(**options))
    assert found == total
    if score is not None:
        assert (hits[0]["_source"]["source_text"], hits[0]["_score"]) == (BEST, score)
        assert hits[0].get("matched_queries", ["named"]) == ["named"]


@pytest.mark.usefixtures("model")
def test_text_expansion_is_deprecated_since_8_15(
    client: Elasticsearch, gateway: Gateway, indices: dict[str, str]
) -> None:
    with pytest.warns(
        ElasticsearchWarning, match=r"text_expansion is deprecated\. Use sparse_vector instead\."
    ):
        search(client, indices["flat"], expansion())
    gateway.configure(version="8.14.3")
    assert search(client, indices["flat"], expansion())[0] == 4


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
@pytest.mark.parametrize(
    ("tokens", "pruning", "total"),
    [
        (
            ["the", "comforter", "smells", "bad"],
            {"tokens_freq_ratio_threshold": 1, "only_score_pruned_tokens": False},
            5,
        ),
        (["the", "comforter", "smells", "bad"], {}, 5),
        (
            ["the", "comforter", "smells", "bad"],
            {"tokens_freq_ratio_threshold": 4, "only_score_pruned_tokens": True},
            0,
        ),
        (
            ["the", "octopus", "comforter", "is", "the", "best", "of", "the", "bunch"],
            {"tokens_freq_ratio_threshold": 3, "only_score_pruned_tokens": True},
            0,
        ),
    ],
)
def test_weighted_tokens_are_the_nodes_own_affair(
    client: Elasticsearch, indices: dict[str, str], tokens: list[str], pruning: dict[str, Any], total: int
) -> None:
    weighted = {"tokens": [{token: 1.0} for token in tokens], "pruning_config": pruning}
    assert search(client, indices["flat"], {"weighted_tokens": {"ml.tokens": weighted}})[0] == total


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
def test_text_expansion_needs_an_appropriate_field(
    client: Elasticsearch, indices: dict[str, str], model: str
) -> None:
    with pytest.raises(BadRequestError, match=r"\[keyword\] is not an appropriate field type for this query"):
        search(
            client,
            indices["flat"],
            {"text_expansion": {"source_text": {"model_id": model, "model_text": TEXT}}},
        )


# -- where queries stand -----------------------------------------------------------------------------------


def test_queries_are_found_anywhere_in_a_search(
    client: Elasticsearch, indices: dict[str, str], model: str
) -> None:
    query = sparse(inference_id=model, query=TEXT)
    index = indices["weighted"]
    nested = {"bool": {"must": [{"constant_score": {"filter": query, "boost": 2.0}}], "filter": [query]}}
    assert search(client, index, nested)[1][0]["_score"] == 2.0
    assert client.count(index=index, query=query)["count"] == 4
    aggregation = client.search(index=index, size=0, aggs={"found": {"filter": query}})
    assert aggregation["aggregations"]["found"]["doc_count"] == 4
    retriever = client.search(index=index, retriever={"standard": {"query": query}})
    assert retriever["hits"]["total"]["value"] == 4
    assert search(client, index, {"function_score": {"query": query, "weight": 3}})[1][0]["_score"] == 15.0


def test_words_that_the_model_does_not_know_find_nothing(
    client: Elasticsearch, indices: dict[str, str], model: str
) -> None:
    assert search(client, indices["weighted"], sparse(inference_id=model, query="tractor"))[0] == 0


def test_an_unknown_model_is_404(client: Elasticsearch, indices: dict[str, str]) -> None:
    with pytest.raises(
        NotFoundError, match=r"\[nobody\] is not an inference service model or a deployed ml model"
    ):
        search(client, indices["weighted"], sparse(inference_id="nobody", query=TEXT))


def test_msearch_keeps_errors_apart(client: Elasticsearch, indices: dict[str, str], model: str) -> None:
    good, bad = sparse(inference_id=model, query=TEXT), sparse(inference_id="nobody", query=TEXT)
    searches: list[dict[str, Any]] = []
    everything: dict[str, Any] = {"match_all": {}}
    for query in (bad, good, everything):
        searches += [{}, {"query": query}]
    first, second, third = client.msearch(index=indices["weighted"], searches=searches)["responses"]
    assert (first["status"], first["error"]["type"]) == (404, "status_exception")
    assert second["hits"]["total"]["value"] == 4
    assert third["hits"]["total"]["value"] == 6


def test_msearch_headers_may_be_empty_lines(
    client: Elasticsearch, indices: dict[str, str], model: str
) -> None:
    query = b'{"query":{"sparse_vector":{"field":"ml.tokens","inference_id":"%s","query":"%s"}}}'
    body = b"\n" + query % (model.encode(), TEXT.encode()) + b"\n"
    headers = {"content-type": "application/x-ndjson", "accept": "application/json"}
    path = f"/{indices['weighted']}/_msearch"
    answer = client.transport.perform_request("POST", path, body=body, headers=headers)
    assert answer.body["responses"][0]["hits"]["total"]["value"] == 4


def test_older_servers_do_not_know_sparse_vector(
    client: Elasticsearch, gateway: Gateway, indices: dict[str, str], model: str
) -> None:
    gateway.configure(version="8.11.4")
    with pytest.raises(BadRequestError, match=r"unknown query \[sparse_vector\]"):
        search(client, indices["weighted"], sparse(inference_id=model, query=TEXT))


def test_searches_without_inference_are_forwarded_as_they_came(
    client: Elasticsearch, indices: dict[str, str]
) -> None:
    body = b'{"query" :{"match_all":{}},  "size":0}'
    headers = {"content-type": "application/json", "accept": "application/json"}
    answer = client.transport.perform_request(
        "POST", f"/{indices['flat']}/_search", body=body, headers=headers
    )
    assert answer.body["hits"]["total"]["value"] == 6
