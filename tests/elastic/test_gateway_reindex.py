"""Reindex, update and delete by query, and their tasks.

Elastic's YAML tests for these (``modules/reindex/src/yamlRestTest``) are of the reindex module; of their
cases here are: response and status fields, version conflicts that abort or proceed, max_docs, op_type create,
a missing source, an index into itself, wait_for_completion=false with a task, throttling, cancelling. Not
there: scripts, remote sources.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError

from tests.elastic.gateway import Gateway
from tests.waiting import eventually


@pytest.fixture
def filled(client: Elasticsearch, index: str) -> str:
    """An index with 30 documents."""
    operations: list[dict[str, Any]] = []
    for number in range(30):
        operations += [{"index": {"_id": str(number)}}, {"text": f"lamp {number}", "number": number}]
    client.bulk(index=index, operations=operations, refresh=True)
    return index


def task(client: Elasticsearch, id: str, **options: Any) -> dict[str, Any]:
    """Get a task; the client's own method warns that the API is a preview."""
    query = "&".join(f"{key}={value}" for key, value in options.items())
    headers = {"accept": "application/json"}
    found: dict[str, Any] = client.perform_request("GET", f"/_tasks/{id}?{query}", headers=headers).body
    return found


def status_when(client: Elasticsearch, id: str, field: str, least: int) -> dict[str, Any]:
    """Wait until a task's count has come so far, and return its status."""

    def status() -> dict[str, Any] | None:
        found: dict[str, Any] = task(client, id)["task"]["status"]
        return found if found[field] >= least else None

    return eventually(status)


def test_documents_pass_through_the_destinations_pipeline(
    client: Elasticsearch, elser: str, filled: str
) -> None:
    processor = {
        "inference": {"model_id": elser, "input_output": {"input_field": "text", "output_field": "tokens"}}
    }
    client.ingest.put_pipeline(id=filled, processors=[processor])
    answer = client.reindex(
        source={"index": filled, "query": {"range": {"number": {"lt": 25}}}, "size": 10},
        dest={"index": f"{filled}-b", "pipeline": filled},
        refresh=True,
    )
    expected = {
        "total": 25,
        "created": 25,
        "updated": 0,
        "deleted": 0,
        "batches": 3,
        "noops": 0,
        "failures": [],
    }
    assert {key: answer[key] for key in expected} == expected
    assert answer["retries"] == {"bulk": 0, "search": 0}
    found = client.get(index=f"{filled}-b", id="7")["_source"]
    assert set(found["tokens"]) == {"lamp", "7"}


def test_max_docs_ends_it_early(client: Elasticsearch, filled: str) -> None:
    answer = client.reindex(source={"index": filled, "size": 10}, dest={"index": f"{filled}-b"}, max_docs=15)
    assert (answer["total"], answer["created"]) == (15, 15)


def test_existing_documents_are_updated_or_conflicts(client: Elasticsearch, filled: str) -> None:
    source, dest = {"index": filled}, {"index": f"{filled}-b"}
    client.reindex(source=source, dest=dest, max_docs=10)
    assert client.reindex(source=source, dest=dest)["updated"] == 10
    client.delete(index=dest["index"], id="3")
    again = client.reindex(source=source, dest={**dest, "op_type": "create"}, conflicts="proceed")
    assert (again["created"], again["version_conflicts"], again["failures"]) == (1, 29, [])
    with pytest.raises(ConflictError) as refused:
        client.reindex(source=source, dest={**dest, "op_type": "create"})
    first = refused.value.body["failures"][0]
    assert (first["index"], first["status"]) == (dest["index"], 409)
    assert first["cause"]["type"] == "version_conflict_engine_exception"


def test_a_failing_pipeline_ends_it_with_failures(client: Elasticsearch, filled: str) -> None:
    client.ingest.put_pipeline(id=filled, processors=[{"lowercase": {"field": "title"}}])
    with pytest.raises(BadRequestError) as refused:
        client.reindex(
            source={"index": filled, "size": 10}, dest={"index": f"{filled}-b", "pipeline": filled}
        )
    failures = refused.value.body["failures"]
    assert (len(failures), failures[0]["cause"]["reason"]) == (
        10,
        "field [title] not present as part of path [title]",
    )


def test_a_missing_source_and_an_index_into_itself_are_refused(client: Elasticsearch, filled: str) -> None:
    with pytest.raises(NotFoundError, match="no such index"):
        client.reindex(source={"index": f"{filled}-missing"}, dest={"index": f"{filled}-b"})
    with pytest.raises(BadRequestError, match="reindex cannot write into an index its reading from"):
        client.reindex(source={"index": filled}, dest={"index": filled})


def test_a_task_tells_how_far_it_is(client: Elasticsearch, gateway: Gateway, elser: str, filled: str) -> None:
    processor = {
        "inference": {"model_id": elser, "input_output": {"input_field": "text", "output_field": "tokens"}}
    }
    client.ingest.put_pipeline(id=filled, processors=[processor])
    gateway.configure(service_seconds=0.05)
    source, dest = {"index": filled, "size": 5}, {"index": f"{filled}-b", "pipeline": filled}
    job = client.reindex(source=source, dest=dest, wait_for_completion=False)["task"]
    assert status_when(client, job, "total", 30)["total"] == 30
    running = task(client, job)
    assert running["completed"] is False
    assert running["task"]["action"] == "indices:data/write/reindex"
    assert running["task"]["description"] == f"reindex from [{filled}] to [{filled}-b]"
    listed = client.perform_request(
        "GET", "/_tasks?actions=*reindex&detailed=true", headers={"accept": "application/json"}
    ).body
    (node,) = listed["nodes"].values()
    assert node["tasks"][job]["status"]["total"] == 30
    done = task(client, job, wait_for_completion="true", timeout="20s")
    assert (done["completed"], done["response"]["created"]) == (True, 30)
    assert done["task"]["status"]["batches"] == 6


def test_what_the_queue_refuses_is_sent_again(client: Elasticsearch, gateway: Gateway, filled: str) -> None:
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    client.ml.start_trained_model_deployment(model_id=".elser_model_2", queue_capacity=10)
    gateway.configure(service_seconds=0.001)
    inputs = {"input_field": "text", "output_field": "tokens"}
    client.ingest.put_pipeline(
        id=filled, processors=[{"inference": {"model_id": ".elser_model_2", "input_output": inputs}}]
    )
    answer = client.reindex(source={"index": filled}, dest={"index": f"{filled}-b", "pipeline": filled})
    assert answer["created"] == 30
    assert answer["retries"]["bulk"] >= 2


def test_a_task_is_throttled_rethrottled_and_cancelled(client: Elasticsearch, filled: str) -> None:
    job = client.reindex(
        source={"index": filled, "size": 5},
        dest={"index": f"{filled}-b"},
        requests_per_second=5,
        wait_for_completion=False,
    )["task"]
    status = status_when(client, job, "created", 5)
    assert (status["created"], status["requests_per_second"]) == (5, 5.0)
    headers = {"accept": "application/json"}
    client.perform_request("POST", f"/_reindex/{job}/_rethrottle?requests_per_second=10", headers=headers)
    cancelled = client.perform_request("POST", f"/_tasks/{job}/_cancel", headers=headers).body
    (node,) = cancelled["nodes"].values()
    assert node["tasks"][job]["cancelled"] is True
    response = task(client, job, wait_for_completion="true")["response"]
    assert response["canceled"] == "by user request"
    assert response["created"] < 30


def test_a_reset_ends_what_still_works(
    client: Elasticsearch, gateway: Gateway, elser: str, filled: str
) -> None:
    inputs = {"input_field": "text", "output_field": "tokens"}
    client.ingest.put_pipeline(
        id=filled, processors=[{"inference": {"model_id": elser, "input_output": inputs}}]
    )
    gateway.configure(service_seconds=60)
    dest = {"index": f"{filled}-b", "pipeline": filled}
    job = client.reindex(source={"index": filled}, dest=dest, wait_for_completion=False)["task"]
    status_when(client, job, "batches", 1)
    began = time.monotonic()
    gateway.reset()
    assert time.monotonic() - began < 5


def test_the_nodes_own_tasks_are_still_there(client: Elasticsearch) -> None:
    listed = client.perform_request("GET", "/_tasks", headers={"accept": "application/json"}).body
    (node,) = listed["nodes"].values()
    assert any(found["action"] == "cluster:monitor/tasks/lists" for found in node["tasks"].values())
    with pytest.raises(NotFoundError, match="isn't running and hasn't stored its results"):
        task(client, "unknown:1")


def test_delete_by_query(client: Elasticsearch, filled: str) -> None:
    answer = client.delete_by_query(index=filled, query={"range": {"number": {"lt": 12}}}, refresh=True)
    assert (answer["total"], answer["deleted"], answer["failures"]) == (12, 12, [])
    assert client.count(index=filled)["count"] == 18
    with pytest.raises(BadRequestError, match="query is missing"):
        client.delete_by_query(index=filled, body={})
    client.index(index=filled, id="20", document={"number": 20})
    conflicting = client.delete_by_query(index=filled, query={"match_all": {}}, conflicts="proceed")
    assert (conflicting["deleted"], conflicting["version_conflicts"]) == (17, 1)


def test_update_by_query_passes_through_a_pipeline(client: Elasticsearch, filled: str) -> None:
    client.ingest.put_pipeline(id=filled, processors=[{"set": {"field": "seen", "value": True}}])
    answer = client.update_by_query(
        index=filled, query={"range": {"number": {"lt": 4}}}, pipeline=filled, refresh=True
    )
    assert (answer["total"], answer["updated"]) == (4, 4)
    assert client.count(index=filled, query={"term": {"seen": True}})["count"] == 4
