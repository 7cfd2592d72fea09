"""Faults on purpose, and the gateway's own switches."""

from __future__ import annotations

import time
from typing import Any

import pytest
from elastic_transport import ConnectionError as BrokenError
from elastic_transport import SerializationError
from elasticsearch import ApiError, Elasticsearch, NotFoundError

from tests.elastic.gateway import Gateway


def write(client: Elasticsearch, index: str, count: int) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = []
    for number in range(count):
        operations += [{"index": {"_id": str(number)}}, {"number": number}]
    return [item["index"] for item in client.bulk(index=index, operations=operations, refresh=True)["items"]]


def test_requests_are_refused(client: Elasticsearch, gateway: Gateway, index: str) -> None:
    gateway.faults(paths="_bulk$", too_many=1.0, retry_after=2)
    with pytest.raises(ApiError) as refused:
        write(client, index, 1)
    assert refused.value.meta.status == 429
    assert refused.value.meta.headers["retry-after"] == "2"
    assert client.cluster.health()["status"]
    gateway.faults()
    assert write(client, index, 1)[0]["status"] == 201


def test_a_share_is_refused_and_the_same_seed_refuses_the_same(
    client: Elasticsearch, gateway: Gateway
) -> None:
    def pattern() -> list[bool]:
        gateway.faults(too_many=0.5, seed=7)
        answers = []
        for _ in range(20):
            try:
                answers.append(bool(client.cluster.health()))
            except ApiError:
                answers.append(False)
        return answers

    first = pattern()
    assert 4 <= sum(first) <= 16
    assert pattern() == first
    assert gateway.counters()["faults"] == {"too_many": 20 - sum(first)}


def test_items_are_refused_and_not_written(client: Elasticsearch, gateway: Gateway, index: str) -> None:
    gateway.faults(items=0.3, seed=1)
    items = write(client, index, 100)
    assert [item["_id"] for item in items] == [str(number) for number in range(100)]
    refused = [item for item in items if item["status"] == 429]
    assert 15 <= len(refused) <= 45
    assert refused[0]["error"]["type"] == "es_rejected_execution_exception"
    assert client.count(index=index)["count"] == 100 - len(refused)
    gateway.faults(items=1.0)
    assert all(item["status"] == 429 for item in write(client, index, 3))


def test_connections_break_before_or_after_the_work(
    client: Elasticsearch, gateway: Gateway, index: str
) -> None:
    client.indices.create(index=index)
    gateway.faults(paths="_doc", reset_before=1.0)
    with pytest.raises(BrokenError):
        client.index(index=index, id="before", document={})
    gateway.faults(paths="_doc", reset_after=1.0)
    with pytest.raises(BrokenError):
        client.index(index=index, id="after", document={})
    gateway.faults()
    assert not client.exists(index=index, id="before")
    assert client.exists(index=index, id="after")


def test_answers_end_in_the_middle(client: Elasticsearch, gateway: Gateway) -> None:
    gateway.faults(truncated=1.0, limit=1)
    with pytest.raises((BrokenError, SerializationError)):
        client.cluster.health()
    assert client.cluster.health()["status"]


def test_stalls_and_latency_take_time(client: Elasticsearch, gateway: Gateway) -> None:
    for faults in ({"stalls": 1.0, "stall_seconds": 0.2}, {"latency": 0.2}):
        gateway.faults(**faults)
        began = time.monotonic()
        client.cluster.health()
        assert time.monotonic() - began >= 0.2


def test_unknown_switches_are_refused(gateway: Gateway) -> None:
    with pytest.raises(RuntimeError, match="has no faults"):
        gateway.faults(to_many=1)
    with pytest.raises(RuntimeError, match="has no settings"):
        gateway.configure(procesors=1)


@pytest.mark.usefixtures("elser")
def test_reset_forgets_everything(client: Elasticsearch, gateway: Gateway, unique: str) -> None:
    client.ingest.put_pipeline(id=unique, processors=[])
    gateway.configure(version="8.11.4")
    gateway.faults(too_many=1.0)
    gateway.reset()
    assert client.info()["version"]["number"] == "8.19.16"
    assert client.ml.get_trained_models(model_id="*")["count"] == 1
    with pytest.raises(NotFoundError):
        client.ingest.get_pipeline(id=unique)
    assert gateway.counters()["faults"] == {}
