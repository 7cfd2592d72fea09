"""What the doctor finds: each rule by itself on facts, and the whole on a cluster in trouble."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import ROOT
from tests.elastic.gateway import Gateway
from tests.elasticsearch.conftest import Refusing, Requests
from tests.waiting import eventually
from vectorface.backends.elasticsearch.cluster.pipelines import Pipeline, Pipelines
from vectorface.backends.elasticsearch.elser.deployments import (
    AdaptiveAllocations,
    Deployment,
    ModelStatus,
    NodeDeployment,
)
from vectorface.backends.elasticsearch.elser.doctor import Code, Finding, diagnose
from vectorface.backends.elasticsearch.elser.facts import (
    Facts,
    NodeLoad,
    PipelineStats,
    hot_threads,
    pipeline_stats,
)
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.backends.elasticsearch.elser.nodes import MlNode
from vectorface.errors import (
    DeploymentInUseError,
    InferenceQueueFullError,
    InferenceTimeoutError,
    PermissionDeniedError,
)

ELSER = ".elser_model_2"
GB = 1 << 30
NODE = MlNode(
    id="n", name="es-1", processors=8, memory=8 * GB, total_memory=16 * GB, used_processors=2, busy=True
)

FULL = replace(NODE, used_processors=8)

STARTING: dict[str, Any] = {"state": "starting", "allocation_state": "starting", "allocated": 0}
NO_ROOM = "Could not assign (more) allocations on node [n]"
COUNTS = "inferences average_ms pending errors rejected timeouts".split()


def deployment(**more: Any) -> Deployment:
    counts = {key: more.pop(key) for key in COUNTS if key in more}
    on = NodeDeployment(id="n", name="es-1", state="started", **counts)
    usual = {"state": "started", "allocation_state": "fully_allocated", "allocations": 2, "allocated": 2}
    given = {"id": "search", "model_id": ELSER, "queue_capacity": 1024, "nodes": (on,), **usual}
    return Deployment(**{**given, **more})


def bulk_of(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for document in documents:
        lines += [{"index": {}}, document]
    return lines


def facts(*deployments: Deployment, **more: Any) -> Facts:
    status = ModelStatus(
        model_id=ELSER, exists=True, downloaded=True, deployments=deployments or (deployment(),)
    )
    return Facts(**{"status": status, "nodes": (NODE,), **more})


def only(found: Facts) -> Finding:
    [finding] = diagnose(found).findings
    return finding


# -- the model --------------------------------------------------------------------------------------------


def test_nothing_to_find_is_healthy() -> None:
    found = diagnose(facts(deployment(inferences=1000, average_ms=50.0, pending=2)))
    assert found.is_healthy
    assert found.bottleneck is None
    assert str(found) == "Nothing holds it up."


def test_a_model_that_is_not_there() -> None:
    finding = only(Facts(status=ModelStatus(model_id=ELSER, exists=False)))
    assert (finding.severity, finding.code) == ("error", "model_missing")
    assert finding.call == "model.ensure()"


def test_a_model_that_is_being_downloaded() -> None:
    finding = only(Facts(status=ModelStatus(model_id=ELSER, exists=True)))
    assert finding.code == "model_incomplete"
    assert finding.call == "model.wait_until_downloaded()"


def test_a_model_that_nothing_runs() -> None:
    finding = only(Facts(status=ModelStatus(model_id=ELSER, exists=True, downloaded=True)))
    assert finding.code == "not_deployed"


# -- deployments ------------------------------------------------------------------------------------------


def test_a_deployment_without_room_is_told_what_fits() -> None:
    finding = only(facts(deployment(**STARTING, allocations=8, reason=NO_ROOM, nodes=())))
    assert (finding.severity, finding.code) == ("error", "no_room")
    assert NO_ROOM in finding.cause
    assert finding.call == "model.stop('search'); model.ensure('search', allocations=6)"


def test_a_deployment_that_can_never_fit_needs_a_node() -> None:
    finding = only(facts(deployment(**STARTING, threads=16, reason=NO_ROOM, nodes=())))
    assert "add a node" in finding.advice
    assert finding.call == "print(model.plan())"


def test_a_deployment_that_is_partly_there() -> None:
    finding = only(facts(deployment(allocation_state="started", allocations=16, reason=NO_ROOM)))
    assert (finding.severity, finding.code) == ("warning", "no_room")
    assert finding.call == "model.update('search', allocations=8)"


def test_adaptive_allocations_that_are_partly_there() -> None:
    partly = {"allocation_state": "started", "allocations": 16, "reason": NO_ROOM}
    finding = only(facts(deployment(**partly, adaptive=AdaptiveAllocations(16, None))))
    assert finding.call == "model.update('search', adaptive=AdaptiveAllocations(minimum=8, maximum=8))"


def test_a_deployment_that_is_starting() -> None:
    finding = only(facts(deployment(**STARTING)))
    assert finding.code == "still_starting"
    assert finding.call == "model.wait_until_started('search', wait_for='fully_allocated')"


def test_another_reason_is_not_called_a_want_of_room() -> None:
    finding = only(facts(deployment(allocation_state="started", allocated=1, reason="the process crashed")))
    assert finding.code == "still_starting"
    assert finding.cause == "1 of them are not there yet: the process crashed."


def test_a_deployment_that_is_being_stopped_is_no_finding() -> None:
    assert not diagnose(facts(deployment(**{**STARTING, "state": "stopping"}))).findings


def test_a_deployment_that_failed() -> None:
    finding = only(facts(deployment(**{**STARTING, "state": "failed"}, reason="oops")))
    assert (finding.code, finding.cause) == ("deployment_failed", "oops")
    assert finding.call == "model.stop('search', force=True); model.ensure('search', allocations=2)"


def test_a_full_queue_where_processors_are_free() -> None:
    finding = only(facts(deployment(rejected=40, inferences=900)))
    assert finding.code == "queue_full"
    assert finding.call == "model.update('search', allocations=8)"


def test_a_full_queue_where_adaptive_allocations_have_reached_their_end() -> None:
    finding = only(facts(deployment(rejected=40, adaptive=AdaptiveAllocations(1, 2))))
    assert finding.call == "model.update('search', adaptive=AdaptiveAllocations(minimum=1, maximum=8))"


def test_a_full_queue_where_adaptive_allocations_still_grow() -> None:
    finding = only(facts(deployment(rejected=40, adaptive=AdaptiveAllocations(1, None))))
    assert "by itself while texts wait" in finding.advice
    assert finding.call == "model.update('search', adaptive=AdaptiveAllocations(minimum=3, maximum=None))"
    finding = only(facts(deployment(rejected=40, adaptive=AdaptiveAllocations(1, 20))))
    assert finding.call == "model.update('search', adaptive=AdaptiveAllocations(minimum=3, maximum=20))"


def test_a_full_queue_where_all_processors_are_taken() -> None:
    finding = only(facts(deployment(rejected=40), nodes=(FULL,)))
    assert "add machine-learning nodes" in finding.advice
    assert "0 of 8 processors left" in finding.advice
    finding = only(facts(deployment(rejected=40, threads=4), nodes=(FULL,)))
    assert finding.call == "model.stop('search'); model.ensure('search', allocations=8, threads=1)"


@pytest.mark.parametrize(("most", "then"), [(None, None), (2, 8)])
def test_a_full_queue_where_adaptive_allocations_find_no_room(most: int | None, then: int | None) -> None:
    adaptive = AdaptiveAllocations(1, most)
    finding = only(facts(deployment(rejected=40, adaptive=adaptive), nodes=(FULL,)))
    assert "add machine-learning nodes" in finding.advice
    finding = only(facts(deployment(rejected=40, adaptive=adaptive, threads=4), nodes=(FULL,)))
    assert finding.call == (
        "model.stop('search'); model.ensure('search', "
        f"adaptive=AdaptiveAllocations(minimum=4, maximum={then}), threads=1)"
    )


def test_memory_that_is_missing_is_not_called_processors() -> None:
    small = MlNode(id="m", name="es-2", processors=8, memory=1 * GB, busy=True)
    advice = only(facts(deployment(rejected=40), nodes=(FULL, small))).advice
    assert "node es-2: 1.0 GB of memory left, 2.0 GB needed" in advice
    assert "processors for" not in advice


def test_a_full_queue_of_low_priority_where_processors_are_free() -> None:
    finding = only(facts(deployment(rejected=40, allocations=1, allocated=1, priority="low")))
    assert "priority" in finding.advice
    assert finding.call == "model.stop('search'); model.ensure('search', allocations=6, priority='normal')"


def test_low_priority_is_not_judged_by_processors() -> None:
    waiting = deployment(**STARTING, allocations=1, reason=NO_ROOM, priority="low")
    finding = only(facts(waiting, nodes=(FULL,)))
    assert "processors" not in finding.advice
    assert finding.call == "model.stop('search'); model.ensure('search', allocations=1, priority='low')"


def test_nodes_that_could_not_be_read_are_not_called_full() -> None:
    unread = {"nodes": (), "unread": ("machine-learning nodes",)}
    assert "could not be read" in only(facts(deployment(rejected=40), **unread)).advice
    waiting = deployment(**STARTING, reason=NO_ROOM)
    assert "no machine-learning node" not in only(facts(waiting, **unread)).advice


def test_a_deployment_that_is_started_anew_keeps_what_it_has() -> None:
    waiting = deployment(**STARTING, reason=NO_ROOM, allocations=8, threads=2, queue_capacity=50)
    finding = only(facts(waiting))
    assert finding.call == (
        "model.stop('search'); model.ensure('search', allocations=3, threads=2, queue_capacity=50)"
    )


def test_texts_that_wait_longer_than_searches_do() -> None:
    finding = only(facts(deployment(pending=500, inferences=10, average_ms=100.0)))
    assert finding.code == "texts_waiting"
    assert "25 seconds of work" in finding.symptom


BY_MODEL = PipelineStats(name="p", model_ids=(ELSER,))
BY_INGEST = PipelineStats(name="p", model_ids=("ingest",))


def test_time_outs_of_a_deployment_that_does_both() -> None:
    finding = only(facts(deployment(timeouts=3), pipelines=(BY_MODEL,)))
    assert finding.code == "searches_behind_loads"
    assert "model.ensure('elser-search', threads=2)" in finding.call


def test_time_outs_where_each_deployment_does_both() -> None:
    both = deployment(id="ingest", timeouts=3), deployment()
    loads = PipelineStats(name="p", model_ids=("ingest", "search"))
    assert only(facts(*both, pipelines=(loads,))).code == "searches_behind_loads"


def test_time_outs_where_another_deployment_is_for_searches() -> None:
    both = deployment(id="ingest", timeouts=3), deployment()
    assert only(facts(*both, pipelines=(BY_INGEST,))).code == "timeouts"


def test_time_outs_of_a_deployment_for_searches() -> None:
    assert only(facts(deployment(timeouts=3))).code == "timeouts"
    both = deployment(id="ingest"), deployment(timeouts=3)
    assert only(facts(*both, pipelines=(BY_INGEST,))).code == "timeouts"


def test_a_deployment_that_is_advised_has_an_id_that_is_free() -> None:
    finding = only(facts(deployment(id="elser-search", timeouts=3), pipelines=(BY_MODEL,)))
    assert "model.ensure('elser-search-2', threads=2)" in finding.call
    finding = only(facts(deployment(id="elser-ingest", threads=4), pipelines=(BY_MODEL,)))
    assert finding.call == "model.ensure('elser-ingest-2', allocations=8, threads=1)"


def test_errors_of_the_model() -> None:
    assert only(facts(deployment(errors=2))).code == "inference_errors"


def test_threads_for_loading_are_an_advice() -> None:
    found = diagnose(facts(deployment(threads=4), pipelines=(BY_MODEL,)))
    assert found.is_healthy
    assert found.findings[0].code == "threads_for_loads"
    assert found.findings[0].call == "model.ensure('elser-ingest', allocations=8, threads=1)"


# -- pipelines and nodes ----------------------------------------------------------------------------------


def test_failures_of_a_pipeline() -> None:
    finding = only(facts(pipelines=(PipelineStats(name="p", count=100, failed=7),)))
    assert finding.code == "pipeline_failures"
    assert finding.symptom == "7 of 100 documents failed in the pipeline 'p'."


def test_a_pipeline_that_hides_failures_is_the_worst() -> None:
    hiding = PipelineStats(name="p", failed=1, hides=("its inference processor has ignore_failure",))
    found = diagnose(facts(pipelines=(hiding,)))
    assert [finding.code for finding in found.findings] == ["hidden_failures", "pipeline_failures"]
    assert found.bottleneck == found.findings[0]


def test_a_pipeline_whose_time_is_not_the_models() -> None:
    slow = PipelineStats(name="p", count=10, millis=1000, inference_millis=100, slowest="grok")
    finding = only(facts(pipelines=(slow,)))
    assert finding.code == "slow_processor"
    assert "grok" in finding.cause


def test_a_node_that_is_too_small() -> None:
    small = MlNode(id="n", name="es-1", processors=2, memory=1 * GB, total_memory=2 * GB)
    finding = only(facts(nodes=(small,)))
    assert finding.code == "small_node"
    assert "2.0 GB" in finding.symptom


def test_processors_that_the_model_takes() -> None:
    finding = only(facts(deployment(pending=1), loads=(NodeLoad(name="es-1", cpu=97),)))
    assert finding.code == "node_full"


def test_processors_that_other_work_takes() -> None:
    load = NodeLoad(name="es-1", cpu=97, threads={"write": 80.0, "search": 20.0})
    finding = only(facts(deployment(pending=1), loads=(load,)))
    assert finding.code == "node_busy"
    assert "'write' threads take 80%" in finding.cause


def test_busy_processors_are_no_matter_while_nothing_waits() -> None:
    assert not diagnose(facts(loads=(NodeLoad(name="es-1", cpu=97),))).findings


def test_the_optimized_model_is_an_advice_where_it_runs() -> None:
    found = diagnose(facts(loads=(NodeLoad(name="es-1", cpu=5, system="Linux amd64"),)))
    assert found.findings[0].code == "platform_free_model"
    assert "_linux-x86_64" in found.findings[0].call
    assert found.is_healthy
    assert not diagnose(facts(loads=(NodeLoad(name="es-1", cpu=5, system="Linux aarch64"),))).findings


def test_what_could_not_be_read_is_named() -> None:
    assert "Not looked at" in str(diagnose(facts(unread=("load of nodes",))))


@pytest.mark.parametrize("code", get_args(Code))
def test_every_code_is_explained(code: str) -> None:
    assert f"``{code}``" in (Finding.__doc__ or "")
    assert f"`{code}`" in (ROOT / "docs" / "elser.md").read_text()


def test_a_finding_reads_like_an_answer() -> None:
    text = str(diagnose(facts(deployment(rejected=40))))
    assert text.startswith("warning: Deployment 'search' refused 40 texts")
    assert "because more came" in text
    assert text.endswith("model.update('search', allocations=8)")


# -- reading ----------------------------------------------------------------------------------------------

THREADS = """::: {es-1}{7bg3AJzhT_6oMs}{eph}{es-1}{127.0.0.1}{127.0.0.1:9300}{ml}{8.19.3}
   Hot threads at 2026-11-22T13:00:00Z, interval=500ms, busiestThreads=3, ignoreIdleThreads=true:

   60.0% [cpu=59.0%, other=1.0%] (300ms out of 500ms) cpu usage by thread 'elasticsearch[es-1][write][T#1]'
     10/10 snapshots sharing following 5 elements
   30.5% [cpu=30.5%, other=0.0%] (152ms out of 500ms) cpu usage by thread 'elasticsearch[es-1][write][T#2]'

::: {es-2}{abc}{eph}{ml}
   100.0% [cpu=100%, other=0.0%] (500ms out of 500ms) cpu usage by thread 'GC thread'
"""


def test_hot_threads_are_read_by_node_and_pool() -> None:
    assert hot_threads(THREADS) == {"es-1": {"write": 90.5}, "es-2": {"GC thread": 100.0}}
    assert hot_threads("") == {}


def test_statistics_of_a_pipeline_are_summed_over_nodes() -> None:
    processors = [
        {"remove": {"type": "remove", "stats": {"time_in_millis": 1}}},
        {"inference:tagged": {"type": "inference", "stats": {"time_in_millis": 80}}},
        {"grok": {"type": "grok", "stats": {"time_in_millis": 10}}},
    ]
    row = {"count": 5, "failed": 1, "time_in_millis": 100, "processors": processors}
    found = pipeline_stats(Pipeline(name="p", definition={"processors": []}), [row, row, {}])
    assert (found.count, found.failed, found.millis) == (10, 2, 200)
    assert (found.inference_millis, found.slowest) == (160, "grok")


# -- a cluster in trouble ---------------------------------------------------------------------------------


@pytest.fixture
def loaded(client: Elasticsearch, name: str) -> Iterator[str]:
    """An index whose documents pass a pipeline of this name."""
    properties = {"text": {"type": "text"}, "tokens": {"type": "sparse_vector"}}
    client.indices.create(index=name, mappings={"properties": properties})
    Pipelines(client).create(name)
    Pipelines(client).set_default(name, name)
    yield name
    Pipelines(client).set_default(name, None)
    Pipelines(client).delete(name)


def test_each_step_of_a_models_life_has_its_finding(gateway: Gateway, model: ElserModel) -> None:
    assert model.doctor().findings[0].code == "model_missing"
    gateway.configure(download_seconds=0.3)
    model.put()
    assert model.doctor().findings[0].code == "model_incomplete"
    model.wait_until_downloaded()
    assert model.doctor().findings[0].code == "not_deployed"
    gateway.configure(processors=2, lazy_nodes=1)
    model.start("big", threads=4)
    found = model.doctor()
    assert found.bottleneck is not None
    assert found.bottleneck.code == "no_room"
    assert "insufficient allocated processors" in found.bottleneck.cause
    model.stop("big")
    model.ensure()
    assert model.doctor().is_healthy


def test_a_full_queue_is_found_and_its_remedy_works(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(service_seconds=0.05)
    model.ensure("search", queue_capacity=2)
    with pytest.raises(InferenceQueueFullError):
        model.infer([f"text {i}" for i in range(12)], deployment_id="search")
    bottleneck = model.doctor().bottleneck
    assert bottleneck is not None
    assert bottleneck.code == "queue_full"
    assert "its queue of 2 was full" in bottleneck.cause
    assert bottleneck.call == "model.update('search', allocations=8)"
    assert model.update("search", allocations=8).allocations == 8


def test_time_outs_are_found(gateway: Gateway, deployed: ElserModel) -> None:
    gateway.configure(service_seconds=0.5)
    with pytest.raises(InferenceTimeoutError):
        deployed.infer(["a lamp"], timeout=0.1)
    bottleneck = deployed.doctor().bottleneck
    assert bottleneck is not None
    assert bottleneck.code == "timeouts"


def test_failures_of_a_pipeline_are_found(client: Elasticsearch, loaded: str, deployed: ElserModel) -> None:
    documents: list[dict[str, Any]] = [{"x": 1}, *({"text": f"a lamp {i}"} for i in range(3))]
    assert client.bulk(index=loaded, operations=bulk_of(documents))["errors"]
    found = deployed.doctor()
    assert [one.symptom for one in found.findings if one.code == "pipeline_failures"] == [
        f"1 of 4 documents failed in the pipeline '{loaded}'."
    ]
    [stats] = found.facts.pipelines
    assert (stats.count, stats.failed) == (4, 1)


def test_the_doctor_looks_while_the_model_works(
    gateway: Gateway, loaded: str, deployed: ElserModel, client: Elasticsearch
) -> None:
    gateway.configure(service_seconds=0.3)
    documents = [{"text": f"text {i}"} for i in range(40)]
    patient = client.options(request_timeout=60)
    worker = threading.Thread(target=lambda: patient.bulk(index=loaded, operations=bulk_of(documents)))
    worker.start()
    eventually(lambda: deployed.stats()[0].pending and deployed.stats()[0].inferences)
    found = deployed.doctor()
    gateway.configure(service_seconds=0)
    worker.join()
    assert "texts_waiting" in {one.code for one in found.findings}


def test_what_a_privilege_is_missing_for_is_left_out_and_named(deployed: ElserModel) -> None:
    refusing = Refusing(deployed.server, {"GET /_nodes": PermissionDeniedError("no")})
    found = ElserModel(refusing).doctor()
    assert found.facts.unread == ("load of nodes",)
    assert found.facts.nodes


def test_the_doctor_changes_nothing(deployed: ElserModel, requests: Requests) -> None:
    before = requests.changing()
    deployed.doctor()
    assert requests.changing() == before


def test_a_pipeline_whose_deployment_is_gone_is_named(deployed: ElserModel, client: Elasticsearch) -> None:
    deployed.ensure("elser-ingest")
    Pipelines(client).create("books", model_id="elser-ingest")
    with pytest.raises(DeploymentInUseError, match="use it: books"):
        deployed.stop("elser-ingest")
    deployed.stop("elser-ingest", force=True)
    try:
        found = deployed.doctor()
        assert found.bottleneck is not None
        assert found.bottleneck.code == "pipeline_without_model"
        assert "'books' uses 'elser-ingest', which nothing runs" in str(found.bottleneck)
        assert found.bottleneck.call == "model.ensure('elser-ingest')"
    finally:
        Pipelines(client).delete("books")


async def test_the_twin_works(model: ElserModel) -> None:
    assert not (await model.adoctor()).is_healthy
