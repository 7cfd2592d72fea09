"""``semantic_text``, as far as the gateway can show it.

Of Elastic's ``inference/10_semantic_text_field_mapping.yml``: an index and a further mapping with the type,
shown as it was asked for. Of ``30_semantic_text_inference.yml``: inference on write and by bulk, lists of
texts, long texts in chunks, missing and null values, a failing inference, a value that is no text. Of
``40_semantic_text_query.yml``, ``45_semantic_text_match.yml`` and ``46_semantic_text_sparse_vector.yml``:
``semantic``, ``match`` and ``sparse_vector`` queries, boost and name, a field of another type. Not there:
dense endpoints, ``_inference_fields``, updates, multi-fields, copy_to, highlighting, chunking settings.
"""

from __future__ import annotations

from typing import Any

import pytest
from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch


def endpoint_of(index: str) -> str:
    return f"{index}-elser"


@pytest.fixture
def semantic(client: Elasticsearch, elser: str, index: str) -> str:
    """An index whose field ``body`` is ``semantic_text``."""
    config = {"service": "elasticsearch", "service_settings": {"deployment_id": elser}}
    endpoint = endpoint_of(index)
    client.inference.put(task_type="sparse_embedding", inference_id=endpoint, inference_config=config)
    body = {"type": "semantic_text", "inference_id": endpoint}
    client.indices.create(index=index, mappings={"properties": {"body": body, "title": {"type": "keyword"}}})
    return index


def ids(client: Elasticsearch, index: str, query: dict[str, Any]) -> list[str]:
    return [hit["_id"] for hit in client.search(index=index, query=query)["hits"]["hits"]]


def test_the_mapping_is_shown_as_it_was_asked_for(client: Elasticsearch, semantic: str) -> None:
    asked = {
        "body": {"type": "semantic_text", "inference_id": endpoint_of(semantic)},
        "title": {"type": "keyword"},
    }
    assert client.indices.get_mapping(index=semantic)[semantic]["mappings"] == {"properties": asked}
    assert client.indices.get(index=semantic)[semantic]["mappings"] == {"properties": asked}
    client.indices.put_mapping(
        index=semantic, properties={"more": {"properties": {"text": {"type": "semantic_text"}}}}
    )
    mappings = client.indices.get_mapping(index=semantic)[semantic]["mappings"]["properties"]
    assert mappings["more"]["properties"]["text"]["inference_id"] == ".elser-2-elasticsearch"
    assert mappings["body"] == asked["body"]


def test_texts_are_found_by_meaning_and_stay_as_they_were(client: Elasticsearch, semantic: str) -> None:
    sources: dict[str, Any] = {
        "lamps": {"body": "who lit the lamps"},
        "list": {"body": ["a machine", "an octopus"]},
        "long": {"body": "word " * 400 + "octopus"},
        "none": {"body": None},
        "missing": {"title": "octopus"},
    }
    operations = [line for name, source in sources.items() for line in ({"index": {"_id": name}}, source)]
    assert not client.bulk(index=semantic, operations=operations, refresh=True)["errors"]
    for name, source in sources.items():
        assert client.get(index=semantic, id=name)["_source"] == source
    for query in (
        {"semantic": {"field": "body", "query": "lamp"}},
        {"match": {"body": "lamp"}},
        {"match": {"body": {"query": "lamp"}}},
        {"sparse_vector": {"field": "body", "query": "lamp"}},
        {"bool": {"must": [{"semantic": {"field": "body", "query": "lamp"}}]}},
    ):
        assert ids(client, semantic, query) == ["lamps"]
    assert set(ids(client, semantic, {"semantic": {"field": "body", "query": "octopus"}})) == {"list", "long"}


def test_name_and_boost_stay(client: Elasticsearch, semantic: str) -> None:
    client.index(index=semantic, id="1", document={"body": "a lamp"}, refresh=True)
    scores = []
    for boost in (1.0, 10.0):
        query = {"semantic": {"field": "body", "query": "lamp", "boost": boost, "_name": "named"}}
        (hit,) = client.search(index=semantic, query=query)["hits"]["hits"]
        assert hit["matched_queries"] == ["named"]
        scores.append(hit["_score"])
    assert scores[1] == pytest.approx(10 * scores[0])


def test_other_fields_have_no_meaning(client: Elasticsearch, semantic: str) -> None:
    client.index(index=semantic, id="1", document={"title": "lamp"}, refresh=True)
    with pytest.raises(BadRequestError, match="does not support semantic queries"):
        ids(client, semantic, {"semantic": {"field": "title", "query": "lamp"}})
    assert ids(client, semantic, {"match": {"title": "lamp"}}) == ["1"]


def test_inference_that_fails_is_the_items_error(client: Elasticsearch, elser: str, semantic: str) -> None:
    client.ml.stop_trained_model_deployment(model_id=elser, force=True)
    (item,) = client.bulk(index=semantic, operations=[{"index": {"_id": "1"}}, {"body": "a lamp"}])["items"]
    error = item["index"]["error"]
    assert (error["type"], error["reason"]) == (
        "inference_exception",
        f"Exception when running inference id [{endpoint_of(semantic)}] on field [body]",
    )
    assert error["caused_by"]["reason"].startswith("Model [.elser_model_2] must be deployed to use")


def test_values_must_be_texts(client: Elasticsearch, semantic: str) -> None:
    with pytest.raises(
        BadRequestError, match=r"Invalid format for field \[body\], expected \[String\] got \[Integer\]"
    ):
        client.index(index=semantic, document={"body": 5})


def test_reindex_infers_anew_and_updates_are_refused(client: Elasticsearch, semantic: str) -> None:
    client.index(index=semantic, id="1", document={"body": "a lamp"}, refresh=True)
    body = {"type": "semantic_text", "inference_id": endpoint_of(semantic)}
    client.indices.create(index=f"{semantic}-b", mappings={"properties": {"body": body}})
    client.reindex(source={"index": semantic}, dest={"index": f"{semantic}-b"}, refresh=True)
    assert ids(client, f"{semantic}-b", {"semantic": {"field": "body", "query": "lamp"}}) == ["1"]
    with pytest.raises(ApiError, match="gateway does not implement updates"):
        client.update(index=semantic, id="1", doc={"title": "x"})


def test_an_endpoint_that_a_mapping_uses_is_deleted_by_force_alone(
    client: Elasticsearch, semantic: str
) -> None:
    with pytest.raises(ConflictError, match=rf"is being used in the mapping for indexes: \[{semantic}\]"):
        client.inference.delete(inference_id=endpoint_of(semantic))
    assert client.inference.delete(inference_id=endpoint_of(semantic), force=True)["indexes"] == [semantic]
