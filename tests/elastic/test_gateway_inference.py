"""Inference endpoints for ELSER.

Elastic tests these in Java (``InferenceCrudIT``, ``DefaultElserIT``), whose cases are here as far as they are
of ``sparse_embedding``: create, read, infer, refuse to delete what a pipeline uses (with dry_run and force),
the default endpoint that deploys its model at first use. Other tasks and services do not apply.
"""

from __future__ import annotations

from typing import Any

import pytest
from elasticsearch import (
    ApiError,
    BadRequestError,
    ConflictError,
    Elasticsearch,
    ElasticsearchWarning,
    NotFoundError,
)

from tests.elastic.gateway import Gateway

SETTINGS: dict[str, Any] = {"num_allocations": 1, "num_threads": 1, "model_id": ".elser_model_2"}


def put(client: Elasticsearch, name: str, service: str = "elasticsearch", **settings: Any) -> Any:
    config = {"service": service, "service_settings": settings}
    return client.inference.put(task_type="sparse_embedding", inference_id=name, inference_config=config)


def test_an_endpoint_downloads_and_deploys_its_model(client: Elasticsearch) -> None:
    made = put(client, "my-elser", **SETTINGS)
    assert (made["inference_id"], made["task_type"], made["service"]) == (
        "my-elser",
        "sparse_embedding",
        "elasticsearch",
    )
    assert made["service_settings"] == SETTINGS
    (row,) = client.ml.get_trained_models_stats(model_id=".elser_model_2")["trained_model_stats"]
    assert (row["deployment_stats"]["deployment_id"], row["deployment_stats"]["state"]) == (
        "my-elser",
        "started",
    )
    found = client.inference.inference(inference_id="my-elser", input=["a lamp", "word " * 600])[
        "sparse_embedding"
    ]
    assert [one["is_truncated"] for one in found] == [False, True]
    assert set(found[0]["embedding"]) == {"a", "lamp"}


def test_the_service_elser_is_deprecated(client: Elasticsearch) -> None:
    with pytest.warns(ElasticsearchWarning, match=r"The \[elser\] service is deprecated"):
        made = put(client, "old-elser", "elser", num_allocations=1, num_threads=1)
    assert made["service_settings"]["model_id"] == ".elser_model_2_linux-x86_64"


def test_an_endpoint_may_use_a_deployment_that_is_there(client: Elasticsearch, elser: str) -> None:
    made = put(client, "shared", deployment_id=elser)
    assert made["service_settings"]["num_allocations"] == 2
    assert client.inference.inference(inference_id="shared", input="a lamp")["sparse_embedding"]
    client.inference.delete(inference_id="shared")
    assert client.ml.infer_trained_model(model_id=elser, docs=[{"text_field": "a lamp"}])["inference_results"]


@pytest.mark.parametrize(
    ("service", "settings", "problem"),
    [
        ("elastik", SETTINGS, "Unknown service [elastik]"),
        ("elasticsearch", {}, "[service_settings] does not contain the required setting [num_threads]"),
        (
            "elasticsearch",
            {**SETTINGS, "num_threads": 0},
            "Invalid value [0]. [num_threads] must be a positive integer",
        ),
        ("elasticsearch", {**SETTINGS, "nmu_threads": 1}, "contains unknown settings"),
    ],
)
def test_bad_endpoints_are_refused(
    client: Elasticsearch, service: str, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        put(client, "bad", service, **settings)
    assert problem in refused.value.body["error"]["reason"]
    with pytest.raises(NotFoundError, match=r"Inference endpoint not found \[bad\]"):
        client.inference.get(inference_id="bad")


def test_ids_are_unique_among_endpoints_and_models(client: Elasticsearch, elser: str) -> None:
    put(client, "mine", **SETTINGS)
    with pytest.raises(BadRequestError, match=r"Inference endpoint \[mine\] already exists"):
        put(client, "mine", **SETTINGS)
    with pytest.raises(BadRequestError, match="matches existing trained model ID"):
        put(client, elser, **SETTINGS)


def test_an_endpoint_that_does_not_fit_is_not_made(client: Elasticsearch, gateway: Gateway) -> None:
    gateway.configure(processors=1)
    with pytest.raises(ApiError) as refused:
        put(client, "large", **{**SETTINGS, "num_allocations": 2})
    assert refused.value.meta.status == 429
    with pytest.raises(NotFoundError):
        client.inference.get(inference_id="large")


def test_the_default_endpoint_deploys_at_first_use(client: Elasticsearch, index: str) -> None:
    (default,) = client.inference.get()["endpoints"]
    assert default["inference_id"] == ".elser-2-elasticsearch"
    assert default["service_settings"]["adaptive_allocations"]["enabled"] is True
    client.indices.create(index=index, mappings={"properties": {"tokens": {"type": "sparse_vector"}}})
    client.index(index=index, document={"tokens": {"lamp": 1.0}}, refresh=True)
    query = {"field": "tokens", "inference_id": ".elser-2-elasticsearch", "query": "lamps"}
    assert client.search(index=index, query={"sparse_vector": query})["hits"]["total"]["value"] == 1
    with pytest.raises(BadRequestError, match="is a reserved inference endpoint"):
        client.inference.delete(inference_id=".elser-2-elasticsearch")


def test_bad_inputs_are_refused(client: Elasticsearch, elser: str) -> None:
    put(client, "mine", deployment_id=elser)
    for given, problem in (
        (None, "cannot be null"),
        ([], "cannot be an empty array"),
        ("", "cannot be an empty string"),
    ):
        with pytest.raises(BadRequestError, match=problem):
            client.perform_request(
                "POST",
                "/_inference/sparse_embedding/mine",
                body={"input": given},
                headers={"content-type": "application/json", "accept": "application/json"},
            )
    with pytest.raises(BadRequestError, match="Incompatible task_type"):
        client.inference.inference(task_type="text_embedding", inference_id="mine", input="x")


def test_what_a_pipeline_uses_is_deleted_by_force_alone(client: Elasticsearch, unique: str) -> None:
    put(client, "used", **SETTINGS)
    inputs = {"input_field": "text", "output_field": "tokens"}
    client.ingest.put_pipeline(
        id=unique, processors=[{"inference": {"model_id": "used", "input_output": inputs}}]
    )
    (row,) = client.ingest.simulate(id=unique, docs=[{"_source": {"text": "a lamp"}}])["docs"]
    assert row["doc"]["_source"]["model_id"] == "used"
    with pytest.raises(ConflictError) as refused:
        client.inference.delete(inference_id="used")
    told = refused.value.body["error"]["reason"]
    assert told.startswith(
        f"Inference endpoint used is referenced by pipelines: [{unique}]. Ensure that no pipelines"
    )
    dry = client.inference.delete(inference_id="used", dry_run=True)
    assert (dry["acknowledged"], dry["pipelines"]) == (False, [unique])
    assert client.inference.delete(inference_id="used", force=True)["acknowledged"]
    assert (
        "deployment_stats"
        not in client.ml.get_trained_models_stats(model_id=".elser_model_2")["trained_model_stats"][0]
    )
