"""Copying an index as a task on the server: watched, waited for, cancelled, found again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.elastic.gateway import Gateway
from tests.elasticsearch.conftest import Refusing, Requests
from tests.waiting import eventually
from vectorface.backends.elasticsearch import BM25, ElasticsearchDB
from vectorface.backends.elasticsearch.cluster.pipelines import Pipelines
from vectorface.backends.elasticsearch.copying.reindex import (
    ELSER_BATCH,
    ReindexProgress,
    ReindexTask,
    areindex,
    reindex,
)
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    IndexNotFoundError,
    PermissionDeniedError,
    TransientError,
)

TEXT = {"properties": {"text": {"type": "text"}, "number": {"type": "integer"}}}
TOKENS = {"properties": {**TEXT["properties"], "tokens": {"type": "sparse_vector"}}}


@pytest.fixture
def source(client: Elasticsearch, name: str) -> str:
    """An index of 120 documents."""
    client.indices.create(index=name, mappings=TEXT)
    operations: list[dict[str, Any]] = []
    for i in range(120):
        operations += [{"index": {"_id": str(i)}}, {"text": f"story number {i}", "number": i}]
    client.bulk(index=name, operations=operations, refresh=True)
    return name


@pytest.fixture
def dest(client: Elasticsearch, source: str) -> str:
    """An empty index for documents with tokens."""
    client.indices.create(index=f"{source}-copy", mappings=TOKENS)
    return f"{source}-copy"


@pytest.fixture
def pipeline(client: Elasticsearch, dest: str, deployed: ElserModel) -> Iterator[str]:
    assert deployed.status().is_started
    Pipelines(client).create(dest)
    yield dest
    client.ingest.delete_pipeline(id=dest)


def test_all_documents_are_copied(client: Elasticsearch, source: str, dest: str) -> None:
    told: list[tuple[str, float | None]] = []
    ended = reindex(client, source, dest).wait(timeout=30, progress=lambda *all_: told.append(all_))
    assert (ended.done, ended.total, ended.created, ended.processed) == (True, 120, 120, 120)
    assert (ended.fraction, ended.failures, ended.error, ended.cancelled) == (1.0, (), None, None)
    assert client.count(index=dest)["count"] == 120
    assert told[-1] == ("reindexing", 1.0)
    assert str(ended) == "ended: 120 of 120 documents (100%), 0 failed"


def test_documents_get_their_tokens_on_the_way(
    client: Elasticsearch, source: str, dest: str, pipeline: str, deployed: ElserModel
) -> None:
    ended = reindex(client, source, dest, pipeline=pipeline, size=ELSER_BATCH).wait(timeout=30)
    assert ended.batches == 3
    found = client.get(index=dest, id="7")["_source"]
    assert found["tokens"] == deployed.infer(["story number 7"])[0]


def test_a_query_chooses_what_is_copied(client: Elasticsearch, source: str, dest: str) -> None:
    assert reindex(client, source, dest, query={"range": {"number": {"lt": 10}}}).wait().created == 10


def test_an_empty_index_is_copied_at_once(client: Elasticsearch, source: str, dest: str) -> None:
    ended = reindex(client, dest, source).wait(timeout=30)
    assert (ended.total, ended.fraction) == (0, 1.0)


def test_progress_grows_while_the_task_runs(
    gateway: Gateway, client: Elasticsearch, source: str, dest: str, pipeline: str
) -> None:
    gateway.configure(service_seconds=0.01)
    task = reindex(client, source, dest, pipeline=pipeline, size=10)
    seen: list[ReindexProgress] = []

    def ended() -> bool:
        seen.append(task.progress())
        return seen[-1].done

    eventually(ended, within=60)
    fractions = [one.fraction for one in seen if one.fraction is not None]
    assert fractions == sorted(fractions)
    assert any(0 < fraction < 1 for fraction in fractions)
    assert seen[-1].seconds > 0.1


def test_a_task_is_found_again_by_its_id(client: Elasticsearch, source: str, dest: str) -> None:
    task = reindex(client, source, dest)
    again = ReindexTask.attach(client, task.id)
    assert again.wait(timeout=30).created == 120
    assert repr(again) == f"ReindexTask({task.id!r})"


def test_a_task_is_cancelled_and_keeps_what_it_copied(
    gateway: Gateway, client: Elasticsearch, source: str, dest: str, pipeline: str
) -> None:
    gateway.configure(service_seconds=0.02)
    task = reindex(client, source, dest, pipeline=pipeline, size=5)
    eventually(lambda: task.progress().created >= 10)
    ended = task.cancel()
    assert ended.done
    assert ended.cancelled
    assert 10 <= ended.created < 120
    client.indices.refresh(index=dest)
    assert client.count(index=dest)["count"] == ended.created
    assert task.cancel() == ended


def test_waiting_too_long_leaves_the_task_alone(
    gateway: Gateway, client: Elasticsearch, source: str, dest: str, pipeline: str
) -> None:
    gateway.configure(service_seconds=0.02)
    task = reindex(client, source, dest, pipeline=pipeline, size=10)
    with pytest.raises(TransientError, match=r"still running.*wait\(\) again"):
        task.wait(timeout=0.2)
    assert task.wait(timeout=60).created == 120


def test_a_slow_rate_is_kept(client: Elasticsearch, source: str, dest: str) -> None:
    began = time.monotonic()
    reindex(client, source, dest, size=60, requests_per_second=200).wait(timeout=30)
    assert time.monotonic() - began > 0.3


def test_a_full_queue_is_tried_again_by_the_server(
    gateway: Gateway, client: Elasticsearch, source: str, dest: str, model: ElserModel
) -> None:
    gateway.configure(service_seconds=0.002)
    model.ensure(queue_capacity=20)
    Pipelines(client).create(dest)
    ended = reindex(client, source, dest, pipeline=dest, size=40).wait(timeout=60)
    client.ingest.delete_pipeline(id=dest)
    assert ended.created == 120
    assert ended.retries > 0


def test_documents_that_are_refused_are_named(client: Elasticsearch, source: str, dest: str) -> None:
    client.index(
        index=source, id="bad", document={"text": "tokens of no use", "tokens": "none"}, refresh=True
    )
    task = reindex(client, source, dest)
    with pytest.raises(BackendError, match=r"1 documents were not copied \('bad'\)"):
        task.wait(timeout=30)
    [failure] = task.failures
    assert (failure.id, failure.index) == ("bad", dest)
    assert failure.reason
    assert isinstance(failure.error, BackendError)


def test_a_model_that_is_stopped_meanwhile_gives_an_error_of_its_kind(
    gateway: Gateway, source: str, pipeline: str, deployed: ElserModel
) -> None:
    gateway.configure(service_seconds=0.02)
    task = reindex(deployed.server, source, pipeline, pipeline=pipeline, size=10)
    eventually(lambda: task.progress().created)
    deployed.stop(force=True)
    with pytest.raises(BackendError, match="not copied"):
        task.wait(timeout=60)
    assert task.failures


def test_conflicts_end_the_task_or_are_counted(client: Elasticsearch, source: str, dest: str) -> None:
    client.index(index=dest, id="3", document={"text": "newer"}, refresh=True)
    with pytest.raises(BackendError, match="not copied"):
        reindex(client, source, dest, op_type="create").wait(timeout=30)
    ended = reindex(client, source, dest, op_type="create", conflicts="proceed").wait(timeout=30)
    assert ended.conflicts >= 1
    assert client.count(index=dest)["count"] == 120
    assert client.get(index=dest, id="3")["_source"] == {"text": "newer"}


def test_slices_are_taken(client: Elasticsearch, source: str, dest: str) -> None:
    assert reindex(client, source, dest, slices="auto").wait(timeout=30).created == 120
    assert reindex(client, source, dest, slices=2).wait(timeout=30).updated == 120


def test_a_wait_gets_over_a_server_that_cannot_answer_now(
    gateway: Gateway, client: Elasticsearch, source: str, dest: str
) -> None:
    task = reindex(client, source, dest, size=10)
    gateway.faults(paths="GET /_tasks", too_many=0.5, seed=1, limit=4)
    assert task.wait(timeout=30).created == 120


# -- refusals ---------------------------------------------------------------------------------------------


def test_a_destination_that_is_not_there_is_not_made_by_the_way(client: Elasticsearch, source: str) -> None:
    with pytest.raises(IndexNotFoundError, match="make it first"):
        reindex(client, source, f"{source}-typo")
    assert not client.indices.exists(index=f"{source}-typo")


def test_a_source_that_is_not_there_is_told_at_once(client: Elasticsearch, source: str, dest: str) -> None:
    for names in ("no-such-index", [source, "no-such-index"]):
        with pytest.raises(IndexNotFoundError, match="no index or alias 'no-such-index' to copy from"):
            reindex(client, names, dest)
    assert client.count(index=dest)["count"] == 0


def test_an_alias_is_a_source(client: Elasticsearch, source: str, dest: str) -> None:
    client.indices.put_alias(index=source, name=f"{source}-alias")
    assert reindex(client, [f"{source}-alias"], dest).wait(timeout=30).created == 120


def test_a_pattern_is_no_source(client: Elasticsearch, source: str, dest: str) -> None:
    with pytest.raises(ConfigurationError, match="commas or stars"):
        reindex(client, f"{source}*", dest)


def test_who_may_read_a_source_but_not_look_at_it_may_copy_it(
    source: str, dest: str, model: ElserModel
) -> None:
    refused = Refusing(model.server, {f"GET /{source}/_alias": PermissionDeniedError("no metadata")})
    assert reindex(refused, source, dest).wait(timeout=30).created == 120


def test_a_source_on_another_cluster_is_not_looked_for_here(client: Elasticsearch, dest: str) -> None:
    with pytest.raises(BackendError, match="no such remote cluster"):
        reindex(client, "elsewhere:stories", dest).wait(timeout=30)


def test_a_pipeline_that_is_not_there_is_told(client: Elasticsearch, source: str, dest: str) -> None:
    with pytest.raises(ConfigurationError, match="no ingest pipeline 'typo'"):
        reindex(client, source, dest, pipeline="typo")
    assert reindex(client, source, dest, pipeline="_none").wait(timeout=30).created == 120


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": []}, "names no index"),
        ({"source": ["a", ""]}, "source=''"),
        ({"dest": "a b"}, "dest="),
        ({"dest": "source"}, "copied into itself"),
        ({"pipeline": ""}, "pipeline="),
        ({"query": "text:lamp"}, "query="),
        ({"size": 0}, "size=0"),
        ({"size": 10_001}, "from 1 to 10,000"),
        ({"slices": 0}, "slices=0"),
        ({"slices": "all"}, "slices='all'"),
        ({"requests_per_second": 0}, "requests_per_second="),
        ({"conflicts": "ignore"}, "conflicts='ignore'"),
        ({"op_type": "update"}, "op_type='update'"),
        ({"refresh": "yes"}, "refresh="),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    client: Elasticsearch, requests: Requests, options: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"source": "source", "dest": "dest", **options}
    with pytest.raises(ConfigurationError, match=message):
        reindex(client, **arguments)
    assert requests.new == 0


@pytest.mark.parametrize("task_id", ["", "abc", "abc:", "a b:3", None, 3])
def test_what_is_no_task_id_is_refused(client: Elasticsearch, task_id: Any) -> None:
    with pytest.raises(ConfigurationError, match="NODE:NUMBER"):
        ReindexTask.attach(client, task_id)


def test_a_task_that_is_gone_says_what_to_do(client: Elasticsearch) -> None:
    node = next(iter(client.nodes.info()["nodes"]))
    with pytest.raises(BackendError, match="left the cluster"):
        ReindexTask.attach(client, f"{node}:999999999999").progress()


# -- what an answer says ----------------------------------------------------------------------------------


class Answering:
    """Stands for a server that gives prepared answers."""

    is_asynchronous = False

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def request(self, *_: Any, **__: Any) -> Any:
        return self._answers.pop(0)


def status(**counts: int) -> dict[str, Any]:
    return {"total": 0, "created": 0, "retries": {"bulk": 0, "search": 0}, **counts}


def test_slices_that_still_run_are_counted(client: Elasticsearch) -> None:
    task = ReindexTask(client, "n:1")
    children = {f"n:{i}": {"status": status(total=10, created=i)} for i in (2, 3)}
    task._server = Answering(  # type: ignore[assignment]
        {"completed": False, "task": {"status": {**status(total=5, created=5), "slices": [None, None, {}]}}},
        {"nodes": {"n": {"tasks": children}}},
    )
    found = task.progress()
    assert (found.total, found.created) == (25, 10)


def test_the_error_of_a_whole_task_is_raised(client: Elasticsearch) -> None:
    task = ReindexTask(client, "n:1")
    error = {"type": "index_not_found_exception", "reason": "no such index [stories]"}
    task._server = Answering(  # type: ignore[assignment]
        {"completed": True, "task": {"status": status()}, "error": error}
    )
    with pytest.raises(IndexNotFoundError, match="stories"):
        task.wait()


def test_progress_tells_the_error_of_a_whole_task(client: Elasticsearch) -> None:
    task = ReindexTask(client, "n:1")
    error = {"type": "index_closed_exception", "reason": "closed"}
    task._server = Answering(  # type: ignore[assignment]
        {"completed": True, "task": {"status": status()}, "error": error}
    )
    found = task.progress()
    assert isinstance(found.error, BackendError)
    assert (found.done, found.fraction) == (True, None)
    assert str(found).startswith("ended by an error: 0 of 0 documents, 0 failed. While reindexing")
    assert "closed" in str(found)


def test_progress_of_a_task_on_a_closed_index_is_no_success(
    client: Elasticsearch, source: str, dest: str
) -> None:
    client.indices.close(index=source)
    task = reindex(client, source, dest)
    eventually(lambda: task.progress().done)
    found = task.progress()
    assert found.error is not None
    assert "100%" not in str(found)
    assert "closed" in str(found)


def test_a_shard_that_cannot_be_read_is_a_failure_without_an_id(client: Elasticsearch) -> None:
    task = ReindexTask(client, "n:1")
    failure = {"index": "stories", "shard": 0, "node": "n", "reason": {"type": "x", "reason": "node left"}}
    task._server = Answering(  # type: ignore[assignment]
        {"completed": True, "task": {"status": status()}, "response": {**status(), "failures": [failure]}}
    )
    [found] = task.progress().failures
    assert (found.id, found.index, found.reason) == (None, "stories", "node left")


# -- async ------------------------------------------------------------------------------------------------


async def test_the_twins_work_on_the_loop_of_a_connected_store(
    gateway: Gateway, source: str, dest: str
) -> None:
    with ElasticsearchDB(BM25()).connect(url=gateway.url, index=f"{source}-store") as store:
        task = await areindex(store, source, dest)
        assert (await task.async_wait(timeout=30)).created == 120
        assert (await task.aprogress()).done
        assert (await task.acancel()).created == 120
