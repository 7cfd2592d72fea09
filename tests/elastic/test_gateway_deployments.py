"""Deployments: starting, capacity, queues, statistics, stopping.

Translated from Elastic's ``ml/3rd_party_deployment.yml``: start with a missing definition, while a download
runs, with and without a cache, with low priority (also with several allocations or threads), update, clear
the cache, aliases on PyTorch models (also to an undeployed one), definition status (in
``test_gateway_models``), stop with allow_no_match, several deployments of one model, the same id twice, an id
of another model, the default id, a model with the id of a deployment, prefix strings. Not there: mask tokens
of ``fill_mask`` and the Japanese tokenizer, because the gateway has no tokenizers to configure. From
``ml/update_trained_model_deployment.yml``: its one case.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch, NotFoundError

from tests.elastic.gateway import Gateway
from tests.elastic.samples import put_pytorch
from tests.waiting import eventually

GB = 1 << 30


@pytest.fixture
def model(client: Elasticsearch) -> str:
    put_pytorch(client, "test_model", words=["these", "are", "my", "words"])
    return "test_model"


def start(client: Elasticsearch, model: str, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.ml.start_trained_model_deployment(model_id=model, **options)["assignment"]
    return found


def infer(client: Elasticsearch, name: str, *texts: str, **options: Any) -> list[dict[str, Any]]:
    field = "text_field" if name.startswith(".elser") or "elser" in name else "input"
    docs = [{field: text} for text in texts]
    found: list[dict[str, Any]] = client.ml.infer_trained_model(model_id=name, docs=docs, **options)[
        "inference_results"
    ]
    return found


def stats(client: Elasticsearch, name: str) -> dict[str, Any]:
    rows = client.ml.get_trained_models_stats(model_id=name)["trained_model_stats"]
    found: dict[str, Any] = rows[0]["deployment_stats"]
    return found


def node_stats(client: Elasticsearch, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stats(client, name)["nodes"][0]
    return found


# -- starting ----------------------------------------------------------------------------------------------


def test_a_missing_definition_is_not_started(client: Elasticsearch) -> None:
    client.ml.put_trained_model(model_id="bare", model_type="pytorch", inference_config={"ner": {}})
    with pytest.raises(NotFoundError, match=r"Could not find trained model definition \[bare\]"):
        start(client, "bare")


def test_a_start_waits_for_the_download_as_long_as_it_may(client: Elasticsearch, gateway: Gateway) -> None:
    gateway.configure(download_seconds=0.6)
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    with pytest.raises(ApiError) as refused:
        start(client, ".elser_model_2", timeout="100ms")
    assert refused.value.meta.status == 408
    assert refused.value.body["error"]["reason"] == (
        "Model download task is currently running. Wait for trained model [.elser_model_2] download task to "
        "complete then try again"
    )
    assert start(client, ".elser_model_2")["assignment_state"] == "started"


@pytest.mark.parametrize("settings", [{"version": "8.11.4"}, {"download_task": False}])
def test_without_a_visible_download_the_definition_is_truncated(
    client: Elasticsearch, gateway: Gateway, settings: dict[str, Any]
) -> None:
    gateway.configure(download_seconds=60, **settings)
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    (config,) = client.ml.get_trained_models(model_id=".elser_model_2", include="definition_status")[
        "trained_model_configs"
    ]
    assert config["fully_defined"] is False
    with pytest.raises(BadRequestError, match=r"Model definition truncated.* definition \[.elser_model_2\]"):
        start(client, ".elser_model_2")


@pytest.mark.parametrize(("given", "shown"), [("0", "0"), ("10kb", "10kb")])
def test_the_cache_has_the_size_that_is_asked_for(
    client: Elasticsearch, model: str, given: str, shown: str
) -> None:
    assignment = start(client, model, cache_size=given)
    assert assignment["assignment_state"] == "started"
    assert assignment["task_parameters"]["cache_size"] == shown
    for text in ("words", "are", "words"):
        infer(client, model, text)
    counts = node_stats(client, model)
    assert counts["inference_count"] == 3
    assert counts["inference_cache_hit_count"] == (0 if given == "0" else 1)
    assert client.ml.stop_trained_model_deployment(model_id=model)["stopped"]


def test_the_cache_can_be_cleared(client: Elasticsearch, model: str) -> None:
    start(client, model, deployment_id="cached", cache_size="10kb")
    for text in ("words", "are", "words"):
        infer(client, model, text)
    assert client.ml.clear_trained_model_deployment_cache(model_id="cached")["cleared"]
    infer(client, model, "words")
    counts = node_stats(client, model)
    assert (counts["inference_count"], counts["inference_cache_hit_count"]) == (4, 1)


def test_low_priority_takes_one_allocation_of_one_thread(client: Elasticsearch, model: str) -> None:
    parameters = start(client, model, priority="low")["task_parameters"]
    kept = {
        name: parameters[name] for name in ("priority", "number_of_allocations", "threads_per_allocation")
    }
    assert kept == {"priority": "low", "number_of_allocations": 1, "threads_per_allocation": 1}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"priority": "low", "number_of_allocations": 3},
            "[number_of_allocations] must be 1 when [priority] is low",
        ),
        (
            {"priority": "low", "threads_per_allocation": 4},
            "[threads_per_allocation] must be 1 when [priority] is low",
        ),
        ({"number_of_allocations": 0}, "[number_of_allocations] must be a positive integer"),
        (
            {"threads_per_allocation": 3},
            "[threads_per_allocation] must be a power of 2 less than or equal to 32",
        ),
        (
            {"threads_per_allocation": 64},
            "[threads_per_allocation] must be a power of 2 less than or equal to 32",
        ),
        ({"queue_capacity": 0}, "[queue_capacity] must be a positive integer"),
        ({"queue_capacity": 1_000_001}, "[queue_capacity] must be less than 1000000"),
        ({"timeout": "0s"}, "[timeout] must be positive"),
        ({"wait_for": "soon"}, "No enum constant"),
        (
            {"number_of_allocations": 2, "adaptive_allocations": {"enabled": True}},
            "[number_of_allocations] cannot be set if adaptive allocations is enabled",
        ),
    ],
)
def test_bad_arguments_are_refused_in_elastics_words(
    client: Elasticsearch, model: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        start(client, model, **options)
    assert problem in refused.value.body["error"]["reason"]


def test_defaults_are_the_versions(client: Elasticsearch, gateway: Gateway, model: str) -> None:
    parameters = start(client, model)["task_parameters"]
    assert (parameters["deployment_id"], parameters["queue_capacity"]) == (model, 10_000)
    gateway.configure(version="8.11.4")
    assert start(client, model, deployment_id="older")["task_parameters"]["queue_capacity"] == 1024


def test_starting_takes_time_and_goes_on_after_a_timeout(
    client: Elasticsearch, gateway: Gateway, model: str
) -> None:
    gateway.configure(start_seconds=0.8)
    with pytest.raises(ApiError) as late:
        start(client, model, timeout="100ms")
    assert late.value.meta.status == 408
    assert late.value.body["error"]["type"] == "model_deployment_timeout_exception"
    assert stats(client, model)["state"] == "starting"
    with pytest.raises(ConflictError, match="is not allocated to any nodes"):
        infer(client, model, "words")
    eventually(lambda: stats(client, model)["state"] == "started")
    assert stats(client, model)["allocation_status"]["state"] == "fully_allocated"


def test_a_deployments_id_is_its_own(client: Elasticsearch, model: str) -> None:
    put_pytorch(client, "another_test_model")
    start(client, model, deployment_id="mine")
    with pytest.raises(ConflictError, match=r"existing deployment with the same id \[mine\] exist"):
        start(client, model, deployment_id="mine")
    with pytest.raises(
        BadRequestError, match=r"Deployment id \[another_test_model\] is the same as an another model"
    ):
        start(client, model, deployment_id="another_test_model")
    with pytest.raises(
        BadRequestError, match=r"Cannot create model \[mine\] the id is the same as an current model"
    ):
        put_pytorch(client, "mine")
    with pytest.raises(NotFoundError, match="No known trained model with model_id"):
        start(client, "missing")


def test_prefix_strings_are_kept(client: Elasticsearch) -> None:
    prefixes = {"search": "this is a query", "ingest": "this is a passage"}
    client.ml.put_trained_model(
        model_id="prefixed",
        model_type="pytorch",
        inference_config={"text_embedding": {}},
        prefix_strings=prefixes,
    )
    (config,) = client.ml.get_trained_models(model_id="prefixed")["trained_model_configs"]
    assert config["prefix_strings"] == prefixes


# -- several, updates, stops -------------------------------------------------------------------------------


def test_deployments_of_one_model_work_side_by_side(client: Elasticsearch, model: str) -> None:
    for purpose in ("search", "ingest"):
        start(client, model, deployment_id=f"for_{purpose}", priority="low")
        infer(client, f"for_{purpose}", "words")
    answer = client.ml.get_trained_models_stats(model_id=model)
    assert answer["count"] == 1
    rows = [row["deployment_stats"]["deployment_id"] for row in answer["trained_model_stats"]]
    assert rows == ["for_ingest", "for_search"]
    assert (
        client.ml.get_trained_models_stats(model_id="for_search")["trained_model_stats"][0]["model_id"]
        == model
    )


def test_allocations_are_updated(client: Elasticsearch, gateway: Gateway, model: str) -> None:
    gateway.configure(processors=4)
    start(client, model, deployment_id="mine")
    update = client.ml.update_trained_model_deployment
    assert (
        update(model_id="mine", number_of_allocations=4)["assignment"]["task_parameters"]["model_id"] == model
    )
    assert stats(client, model)["number_of_allocations"] == 4
    with pytest.raises(ApiError, match="Could not update deployment because there are not enough resources"):
        update(model_id="mine", number_of_allocations=5)
    assert stats(client, model)["number_of_allocations"] == 4
    with pytest.raises(NotFoundError, match=r"No known model deployment with id \[missing\]"):
        update(model_id="missing", number_of_allocations=4)


def test_stopping_what_is_not_there_is_a_matter_of_allow_no_match(client: Elasticsearch, model: str) -> None:
    stop = client.ml.stop_trained_model_deployment
    start(client, model, deployment_id="for_search")
    assert stop(model_id="for_search")["stopped"]
    with pytest.raises(NotFoundError, match=r"No known model deployment with id \[for_search\]"):
        stop(model_id="for_search", allow_no_match=False)
    assert stop(model_id="for_search", allow_no_match=True)["stopped"]


def test_what_a_pipeline_uses_is_stopped_by_force_alone(
    client: Elasticsearch, model: str, unique: str
) -> None:
    start(client, model)
    client.ml.put_trained_model_alias(model_id=model, model_alias="pytorch")
    for named, why in (
        ("pytorch", "it has a model_alias [pytorch] that is still referenced"),
        (model, "it is referenced"),
    ):
        client.ingest.put_pipeline(id=unique, processors=[{"inference": {"model_id": named}}])
        with pytest.raises(ConflictError) as refused:
            client.ml.stop_trained_model_deployment(model_id=model)
        assert refused.value.body["error"]["reason"] == (
            f"Cannot stop deployment [{model}] as {why} by ingest processors; use force to stop the "
            "deployment"
        )
    with pytest.raises(ConflictError):
        client.ml.delete_trained_model(model_id=model)
    assert client.ml.stop_trained_model_deployment(model_id=model, force=True)["stopped"]


def test_a_deployed_model_is_deleted_by_force_alone(client: Elasticsearch, model: str) -> None:
    start(client, model)
    with pytest.raises(ConflictError, match="as it is currently deployed; use force to delete the model"):
        client.ml.delete_trained_model(model_id=model)
    assert client.ml.delete_trained_model(model_id=model, force=True)["acknowledged"]
    assert client.ml.get_trained_models_stats(model_id="*")["count"] == 1


def test_an_alias_moves_between_deployed_models_alone(client: Elasticsearch, model: str) -> None:
    put_pytorch(client, "another_test_model")
    client.ml.put_trained_model_alias(model_id=model, model_alias="pytorch")
    client.ml.put_trained_model_alias(model_id="another_test_model", model_alias="pytorch", reassign=True)
    client.ml.put_trained_model_alias(model_id=model, model_alias="pytorch", reassign=True)
    start(client, model)
    infer(client, "pytorch", "words")
    assert node_stats(client, model)["inference_count"] == 1
    with pytest.raises(BadRequestError, match=r"from model \[test_model\] as it is not yet deployed"):
        client.ml.put_trained_model_alias(model_id="another_test_model", model_alias="pytorch", reassign=True)


# -- inference ---------------------------------------------------------------------------------------------


def test_elser_answers_with_weighted_tokens(client: Elasticsearch, elser: str) -> None:
    short, long = infer(client, elser, "who lit the lamps?", "word " * 600)
    assert set(short["predicted_value"]) == {"who", "lit", "the", "lamps", "lamp"}
    assert "is_truncated" not in short
    assert long["is_truncated"] is True
    config = {"text_expansion": {"results_field": "tokens"}}
    assert set(infer(client, elser, "lamp", inference_config=config)[0]) == {"tokens"}


def test_what_is_not_deployed_does_not_infer(client: Elasticsearch, model: str) -> None:
    with pytest.raises(ConflictError, match=r"Model \[test_model\] must be deployed to use\. Please deploy"):
        infer(client, model, "words")
    with pytest.raises(NotFoundError, match=r"Could not find trained model \[missing\]"):
        infer(client, "missing", "words")


def test_documents_must_have_the_models_field(client: Elasticsearch, elser: str) -> None:
    for doc, problem in (
        ({"text": "x"}, "Input field [text_field] does not exist in the source document"),
        ({"text_field": 5}, "Input value [5] for field [text_field] must be a string"),
    ):
        with pytest.raises(BadRequestError) as refused:
            client.ml.infer_trained_model(model_id=elser, docs=[doc])
        assert refused.value.body["error"]["reason"] == problem


def test_a_full_queue_rejects(client: Elasticsearch, gateway: Gateway) -> None:
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    start(client, ".elser_model_2", queue_capacity=2)
    gateway.configure(service_seconds=0.2)
    with pytest.raises(ApiError) as full:
        infer(client, ".elser_model_2", *(f"text {number}" for number in range(4)))
    assert full.value.meta.status == 429
    assert full.value.body["error"] == {
        "root_cause": [
            {
                "type": "es_rejected_execution_exception",
                "reason": "inference process queue is full. Unable to execute command",
            }
        ],
        "type": "es_rejected_execution_exception",
        "reason": "inference process queue is full. Unable to execute command",
    }
    counts = node_stats(client, ".elser_model_2")
    assert (counts["inference_count"], counts["rejected_execution_count"]) == (3, 1)


def test_a_request_that_waits_too_long_times_out(client: Elasticsearch, gateway: Gateway, elser: str) -> None:
    gateway.configure(service_seconds=0.3)
    with pytest.raises(ApiError, match=r"timeout \[100ms\] waiting for inference result") as late:
        infer(client, elser, "a lamp", timeout="100ms")
    assert late.value.meta.status == 408
    assert stats(client, elser)["timeout_count"] == 1


def test_allocations_work_at_the_same_time_and_threads_make_one_faster(
    client: Elasticsearch, gateway: Gateway
) -> None:
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    gateway.configure(service_seconds=0.2)
    shapes = {"elser_one": (1, 1), "elser_four": (4, 1), "elser_threads": (1, 2)}
    lasted = {}
    for name, (allocations, threads) in shapes.items():
        start(
            client,
            ".elser_model_2",
            deployment_id=name,
            number_of_allocations=allocations,
            threads_per_allocation=threads,
        )
        began = time.monotonic()
        infer(client, name, *(f"{name} {number}" for number in range(4)))
        lasted[name] = time.monotonic() - began
    assert lasted["elser_one"] >= 0.8
    assert 0.2 <= lasted["elser_four"] < 0.5 * lasted["elser_one"]
    assert 0.4 <= lasted["elser_threads"] < 0.9 * lasted["elser_one"]


def test_searches_overtake_writes_in_the_queue(client: Elasticsearch, gateway: Gateway, index: str) -> None:
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    start(client, ".elser_model_2")
    client.indices.create(index=index, mappings={"properties": {"tokens": {"type": "sparse_vector"}}})
    gateway.configure(service_seconds=0.1)
    query = {"sparse_vector": {"field": "tokens", "inference_id": ".elser_model_2", "query": "lamp"}}
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(infer, client, ".elser_model_2", *(f"text {number}" for number in range(10)))
        time.sleep(0.15)
        client.search(index=index, query=query)
        assert not writing.done()
        assert len(writing.result()) == 10


def test_the_old_path_is_deprecated(client: Elasticsearch, elser: str) -> None:
    answer = client.transport.perform_request(
        "POST",
        f"/_ml/trained_models/{elser}/deployment/_infer",
        body={"docs": [{"text_field": "lamp"}]},
        headers={"content-type": "application/json", "accept": "application/json"},
    )
    assert (
        "is deprecated! Use [POST /_ml/trained_models/{model_id}/_infer] instead."
        in answer.meta.headers["warning"]
    )


# -- capacity ----------------------------------------------------------------------------------------------


def test_a_deployment_needs_processors(client: Elasticsearch, gateway: Gateway, model: str) -> None:
    gateway.configure(processors=4)
    start(client, model, deployment_id="two", number_of_allocations=2)
    with pytest.raises(ApiError, match="not enough resources to provide all requested allocations") as partly:
        start(client, model, deployment_id="three", number_of_allocations=3)
    with pytest.raises(ApiError, match="no ML nodes with sufficient capacity were found") as none:
        start(client, model, deployment_id="wide", threads_per_allocation=4)
    assert partly.value.meta.status == none.value.meta.status == 429
    cause = none.value.body["error"]["caused_by"]
    assert cause["type"] == "illegal_state_exception"
    assert re.search(
        r"allocation explanation \[Could not assign \(more\) allocations on node \[.+\]\. Reason: This node "
        r"has insufficient allocated processors\. Available processors \[4\], free processors \[2\], "
        r"processors required for each allocation of this model \[4\]\]",
        cause["reason"],
    )
    start(client, model, deployment_id="low", priority="low")


def test_elser_needs_a_node_of_four_gigabytes(client: Elasticsearch, gateway: Gateway) -> None:
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    gateway.configure(machine_memory=2 * GB, jvm_size=int(0.8 * GB))
    with pytest.raises(ApiError) as refused:
        start(client, ".elser_model_2")
    assert "This node has insufficient available memory" in refused.value.body["error"]["caused_by"]["reason"]
    assert "estimated memory required for this model [2132803584 (1.9gb)]" in str(refused.value.body)
    gateway.configure(machine_memory=4 * GB, jvm_size=int(1.6 * GB))
    start(client, ".elser_model_2")
    with pytest.raises(ApiError):
        start(client, ".elser_model_2", deployment_id="second")


def test_with_lazy_nodes_a_deployment_waits_for_room(
    client: Elasticsearch, gateway: Gateway, model: str
) -> None:
    gateway.configure(processors=2, lazy_nodes=1)
    start(client, model, deployment_id="first", number_of_allocations=2)
    waiting = start(client, model, deployment_id="second")
    assert (waiting["assignment_state"], waiting["routing_table"]) == ("starting", {})
    assert "insufficient allocated processors" in waiting["reason"]
    second = stats(client, "second")
    assert (second["allocation_status"]["state"], second["nodes"]) == ("starting", [])
    client.ml.stop_trained_model_deployment(model_id="first")
    eventually(lambda: stats(client, "second")["state"] == "started")
    assert stats(client, "second")["allocation_status"]["allocation_count"] == 1
