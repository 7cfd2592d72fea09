"""ELSER's life in the cluster: every step, and every way in which it goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.elastic.gateway import Gateway
from tests.elasticsearch.conftest import Refusing, Requests
from tests.waiting import eventually
from vectorface.backends.elasticsearch import ElasticsearchDB, Elser
from vectorface.backends.elasticsearch.cluster.access import server_behind
from vectorface.backends.elasticsearch.elser.deployments import AdaptiveAllocations, deployment_of
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.backends.elasticsearch.inference import weights_of
from vectorface.backends.elasticsearch.translation import answered
from vectorface.embeddings import TruncationWarning
from vectorface.errors import (
    ConfigurationError,
    DeploymentExistsError,
    DeploymentInUseError,
    InferenceQueueFullError,
    InferenceTimeoutError,
    InvalidInputError,
    ModelError,
    ModelNotFoundError,
    ModelNotReadyError,
    NoCapacityError,
    NotConnectedError,
    PermissionDeniedError,
    TransientError,
)

ELSER = ".elser_model_2"
OPTIMIZED = ".elser_model_2_linux-x86_64"


# -- what it takes ----------------------------------------------------------------------------------------


def test_a_client_a_connected_store_and_a_server_all_reach_the_cluster(gateway: Gateway, name: str) -> None:
    from vectorface.backends.elasticsearch import BM25  # noqa: PLC0415

    with Elasticsearch(gateway.url) as client:
        assert not ElserModel(client).status().exists
        with ElasticsearchDB(BM25()).connect(client=client, index=name) as store:
            assert not ElserModel(store).status().exists
            assert ElserModel(store.server).server is store.server


@pytest.mark.parametrize("client", [None, "http://localhost:9200", object()])
def test_something_that_reaches_no_cluster_is_refused(client: Any) -> None:
    with pytest.raises(ConfigurationError, match="reaches no cluster"):
        ElserModel(client)


def test_a_model_shows_its_id(model: ElserModel) -> None:
    assert repr(model) == f"ElserModel('{ELSER}')"


def test_a_store_that_is_not_connected_is_refused() -> None:
    with pytest.raises(NotConnectedError):
        ElserModel(ElasticsearchDB())


@pytest.mark.parametrize(
    "model_id", ["", "a b", "a/b", "a,b", "elser*", "_all", "ELSER", "..", "-elser", "x" * 65, None, 3]
)
def test_an_id_that_elasticsearch_would_refuse_is_refused(model_id: Any, client: Elasticsearch) -> None:
    with pytest.raises(ConfigurationError, match="model_id="):
        ElserModel(client, model_id)


@pytest.mark.parametrize("timeout", [0, -1, "30s", True, float("nan"), float("inf")])
def test_a_timeout_is_a_number_of_seconds(timeout: Any, client: Elasticsearch) -> None:
    with pytest.raises(ConfigurationError, match="timeout="):
        ElserModel(client, timeout=timeout)


BAD_STARTS: list[tuple[dict[str, Any], str]] = [
    ({"allocations": 0}, "allocations=0"),
    ({"allocations": 1.5}, "allocations=1.5"),
    ({"allocations": True}, "allocations=True"),
    ({"threads": 3}, "power of two"),
    ({"threads": 64}, "from 1 to 32"),
    ({"threads": 0}, "from 1 to 32"),
    ({"queue_capacity": 0}, "queue_capacity=0"),
    ({"queue_capacity": 1_000_001}, "from 1 to 1,000,000"),
    ({"priority": "high"}, "priority='high'"),
    ({"priority": "low", "allocations": 2}, "priority='low'"),
    ({"priority": "low", "threads": 2}, "priority='low'"),
    ({"priority": "low", "adaptive": AdaptiveAllocations(1, 2)}, "priority='low'"),
    ({"wait_for": "ready"}, "wait_for='ready'"),
    ({"adaptive": (1, 4)}, "AdaptiveAllocations"),
    ({"adaptive": AdaptiveAllocations(1, 4), "allocations": 2}, "not both"),
    ({"cache_size": "much"}, "cache_size="),
    ({"cache_size": 3}, "cache_size="),
    ({"timeout": 0}, "timeout=0"),
    ({"deployment_id": "Search"}, "deployment_id='Search'"),
    ({"deployment_id": ".search"}, "deployment_id='.search'"),
    ({"deployment_id": ""}, "deployment_id=''"),
    ({"deployment_id": "a,b"}, "must name one thing"),
]


@pytest.mark.parametrize(("options", "message"), BAD_STARTS)
@pytest.mark.parametrize("method", ["start", "ensure"])
def test_wrong_arguments_of_a_start_are_refused_before_anything_is_sent(
    method: str, options: dict[str, Any], message: str, model: ElserModel, requests: Requests
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        getattr(model, method)(**options)
    assert requests.new == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.update("x"), "one of them"),
        (lambda model: model.update("x", allocations=1, adaptive=AdaptiveAllocations()), "one of them"),
        (lambda model: model.update("x", allocations=0), "allocations=0"),
        (lambda model: model.update("x", adaptive=True), "AdaptiveAllocations"),
        (lambda model: model.stop("a b"), "deployment_id="),
        (lambda model: model.stats("*"), "deployment_id="),
        (lambda model: model.set_alias(ELSER), "model's own id"),
        (lambda model: model.set_alias("Elser"), "lower-case"),
        (lambda model: model.set_alias("elser2"), "end in digits"),
        (lambda model: model.delete_alias(""), "alias="),
        (lambda model: model.wait_until_started(wait_for="up"), "wait_for="),
        (lambda model: model.wait_until_started(timeout=0), "timeout="),
        (lambda model: model.wait_until_downloaded(timeout=-1), "timeout="),
        (lambda model: model.infer(["x"], timeout=0), "timeout="),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    call: Callable[[ElserModel], Any], message: str, model: ElserModel, requests: Requests
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        call(model)
    assert requests.new == 0


@pytest.mark.parametrize("bounds", [(-1, 2), (2, 1), (1, 0), (1.0, 2), ("1", 2)])
def test_adaptive_allocations_are_a_range(bounds: Any) -> None:
    with pytest.raises(ConfigurationError, match="adaptive"):
        AdaptiveAllocations(*bounds)


# -- the model --------------------------------------------------------------------------------------------


def test_a_model_that_is_not_there_has_a_status(model: ElserModel) -> None:
    status = model.status()
    assert (status.exists, status.downloaded, status.is_started, status.deployments) == (False,) * 3 + ((),)
    assert "not in the cluster" in str(status)


def test_put_adds_the_model_once(model: ElserModel) -> None:
    assert model.put() is True
    assert model.put() is False
    status = model.status()
    assert status.exists
    assert status.downloaded
    assert status.size is not None
    assert status.size > 100_000_000


def test_put_refuses_what_the_cluster_cannot_fetch(client: Elasticsearch) -> None:
    with pytest.raises(ConfigurationError, match="eland"):
        ElserModel(client, "my-splade").put()


def test_put_at_the_same_time_from_many_threads_adds_it_once(client: Elasticsearch) -> None:
    added: list[bool] = []
    threads = [threading.Thread(target=lambda: added.append(ElserModel(client).put())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(added) == [False] * 7 + [True]


def test_waiting_for_the_download_tells_what_happens(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=0.5)
    model.put()
    assert not model.status().downloaded
    told: list[tuple[str, float | None]] = []
    model.wait_until_downloaded(progress=lambda state, done: told.append((state, done)))
    assert model.status().downloaded
    assert told[0][0] == "downloading"
    assert told[-1] == ("downloaded", 1.0)


def test_the_share_of_a_download_is_that_of_its_task(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=0.3)
    model.put()
    status = {"total_parts": 200, "downloaded_parts": 50}
    tasks = {"n:1": {"description": f"model_id-{ELSER}", "status": status}}
    refusing = Refusing(model.server, {"GET /_tasks": {"nodes": {"n": {"tasks": tasks}}}})
    told: list[float | None] = []
    ElserModel(refusing).wait_until_downloaded(progress=lambda _, done: told.append(done))
    assert told[0] == 0.25


def test_a_download_whose_task_cannot_be_seen_is_waited_for_all_the_same(
    gateway: Gateway, model: ElserModel
) -> None:
    gateway.configure(download_seconds=0.3)
    model.put()
    refusing = Refusing(model.server, {"GET /_tasks": PermissionDeniedError("no")})
    told: list[float | None] = []
    ElserModel(refusing).wait_until_downloaded(progress=lambda _, done: told.append(done))
    assert told[0] is None
    assert told[-1] == 1.0


def test_put_refuses_an_id_that_is_a_deployments(deployed: ElserModel, client: Elasticsearch) -> None:
    taken = ".elser_model_1"
    client.ml.start_trained_model_deployment(model_id=deployed.model_id, deployment_id=taken)
    with pytest.raises(DeploymentExistsError, match="the same"):
        ElserModel(client, taken).put()


def test_a_download_that_takes_too_long_says_what_it_needs(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=60)
    model.put()
    with pytest.raises(ModelNotReadyError, match=r"ml-models\.elastic\.co.*wait_until_downloaded"):
        model.wait_until_downloaded(timeout=0.2)


def test_a_download_of_nothing_is_not_waited_for(model: ElserModel) -> None:
    with pytest.raises(ModelNotFoundError, match=ELSER):
        model.wait_until_downloaded(timeout=30)


@pytest.mark.parametrize("settings", [{"version": "8.11.4"}, {"download_task": False}])
def test_a_start_during_the_download_says_that_the_definition_is_not_there(
    gateway: Gateway, model: ElserModel, settings: dict[str, Any]
) -> None:
    gateway.configure(download_seconds=60, **settings)
    model.put()
    with pytest.raises(ModelNotReadyError, match="truncated"):
        model.start()


def test_a_start_that_waits_for_the_download_too_long_says_so(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=60)
    model.put()
    with pytest.raises(ModelNotReadyError, match="download"):
        model.start(timeout=0.2)


def test_all_models_are_listed(deployed: ElserModel, client: Elasticsearch) -> None:
    ElserModel(client, OPTIMIZED).put()
    deployed.set_alias("elser")
    models = {model.id: model for model in deployed.list_models()}
    assert {ELSER, OPTIMIZED, "lang_ident_model_1"} <= models.keys()
    assert models[ELSER].aliases == ("elser",)
    assert models[ELSER].task == "text_expansion"
    assert models["lang_ident_model_1"].kind == "lang_ident"


def test_delete_takes_the_model_away(model: ElserModel) -> None:
    model.put()
    model.delete()
    assert not model.status().exists
    with pytest.raises(ModelNotFoundError):
        model.delete()


def test_delete_of_what_is_deployed_needs_force(deployed: ElserModel) -> None:
    with pytest.raises(DeploymentInUseError, match="force=True"):
        deployed.delete()
    assert deployed.status().exists
    deployed.delete(force=True)
    assert not deployed.status().exists


# -- aliases ----------------------------------------------------------------------------------------------


def test_an_alias_is_another_name(deployed: ElserModel) -> None:
    deployed.set_alias("elser")
    assert deployed.status().aliases == ("elser",)
    assert deployed.infer(["a lamp"], deployment_id="elser") == deployed.infer(["a lamp"])
    deployed.delete_alias("elser")
    assert deployed.status().aliases == ()


def test_an_alias_of_another_model_needs_reassign(deployed: ElserModel, client: Elasticsearch) -> None:
    newer = ElserModel(client, OPTIMIZED)
    newer.ensure()
    deployed.set_alias("elser")
    with pytest.raises(DeploymentExistsError, match="reassign"):
        newer.set_alias("elser")
    newer.set_alias("elser", reassign=True)
    assert newer.status().aliases == ("elser",)
    assert deployed.status().aliases == ()


def test_an_alias_cannot_be_given_to_what_is_not_deployed(
    deployed: ElserModel, client: Elasticsearch
) -> None:
    newer = ElserModel(client, OPTIMIZED)
    newer.put()
    deployed.set_alias("elser")
    with pytest.raises(ModelNotReadyError, match="not yet deployed"):
        newer.set_alias("elser", reassign=True)


def test_an_alias_that_is_not_there_is_told(deployed: ElserModel) -> None:
    with pytest.raises(ModelNotFoundError, match="elser"):
        deployed.delete_alias("elser")


def test_an_alias_of_a_model_that_is_not_there_is_told(model: ElserModel) -> None:
    with pytest.raises(ModelNotFoundError, match=ELSER):
        model.set_alias("elser")


# -- start ------------------------------------------------------------------------------------------------


def test_a_deployment_is_what_was_asked_for(model: ElserModel) -> None:
    model.put()
    found = model.start("search", allocations=2, threads=2, queue_capacity=77, cache_size="100mb")
    assert (found.id, found.model_id, found.state) == ("search", ELSER, "started")
    assert (found.allocations, found.allocated, found.threads) == (2, 2, 2)
    assert (found.queue_capacity, found.priority, found.cache_size) == (77, "normal", "100mb")
    assert found.has_reached("fully_allocated")
    [node] = found.nodes
    assert (node.state, node.allocations) == ("started", 2)
    assert str(found).startswith("search: fully_allocated, 2 of 2 allocations x 2 threads")


def test_two_deployments_of_one_model_for_loading_and_for_searching(model: ElserModel) -> None:
    model.ensure("elser-ingest", allocations=4)
    model.ensure("elser-search", threads=4)
    assert [one.id for one in model.stats()] == ["elser-ingest", "elser-search"]
    assert model.status().is_started
    assert "elser-search" in str(model.status())


def test_adaptive_allocations_are_sent_and_read(model: ElserModel) -> None:
    model.put()
    found = model.start(adaptive=AdaptiveAllocations(2, 4))
    assert found.adaptive == AdaptiveAllocations(2, 4)
    assert found.allocations == 2


def test_a_low_priority_deployment_takes_no_processors(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(processors=1)
    model.ensure("search")
    assert model.ensure("spare", priority="low").is_started


def test_a_deployment_that_exists_is_told(deployed: ElserModel) -> None:
    with pytest.raises(DeploymentExistsError, match="another deployment_id"):
        deployed.start()


def test_a_deployment_cannot_have_another_models_id(client: Elasticsearch) -> None:
    other = ElserModel(client, OPTIMIZED)
    other.put()
    with pytest.raises(DeploymentExistsError):
        other.start("lang_ident_model_1")


def test_no_room_for_the_allocations_says_what_to_do(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(processors=4)
    model.put()
    with pytest.raises(NoCapacityError, match=r"plan\(\)"):
        model.start(allocations=8)
    assert model.stats() == ()


def test_no_room_for_the_memory_says_what_to_do(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(machine_memory=2 << 30, jvm_size=1 << 30)
    model.put()
    with pytest.raises(NoCapacityError, match=r"(?s)insufficient available memory.*plan\(\)"):
        model.start()


def test_a_start_of_a_model_that_is_not_there_says_which_there_are(model: ElserModel) -> None:
    with pytest.raises(ModelNotFoundError, match="There are the models 'lang_ident_model_1'"):
        model.start()


def test_a_start_that_takes_too_long_goes_on(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(start_seconds=0.6)
    model.put()
    with pytest.raises(ModelNotReadyError, match=r"goes on starting: wait_until_started\('search'\)"):
        model.start("search", timeout=0.1)
    told: list[tuple[str, float | None]] = []
    found = model.wait_until_started("search", progress=lambda *all_: told.append(all_))
    assert found.is_started
    assert told[0] == ("starting", 0.0)
    assert told[-1] == ("fully_allocated", 1.0)


def test_words_of_a_newer_server_are_read_as_not_started() -> None:
    status = {"state": "half_allocated", "allocation_count": 1, "target_allocation_count": 2}
    found = deployment_of({"model_id": ELSER, "state": "resting", "allocation_status": status})
    assert (found.state, found.allocation_state, found.priority) == ("starting", "starting", "normal")
    assert not found.is_started


def test_an_endless_start_carries_the_servers_reason(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(processors=2, lazy_nodes=1)
    model.put()
    model.start("search", allocations=1, threads=4)
    [found] = model.stats("search")
    assert not found.is_started
    with pytest.raises(NoCapacityError, match=r"insufficient allocated processors.*stop\('search'\)"):
        model.wait_until_started("search", timeout=0.2)


def test_a_start_returns_early_where_that_is_wanted(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(start_seconds=0.5)
    model.put()
    began = time.monotonic()
    found = model.start(wait_for="starting")
    assert time.monotonic() - began < 0.4
    assert not found.is_started
    assert found.has_reached("starting")


def test_waiting_for_a_deployment_that_nobody_started(deployed: ElserModel) -> None:
    with pytest.raises(ModelNotFoundError, match=f"deployments: '{ELSER}'"):
        deployed.wait_until_started("search", timeout=30)


def test_a_deployment_that_fails_ends_the_wait(deployed: ElserModel, monkeypatch: pytest.MonkeyPatch) -> None:
    [now] = deployed.stats()
    failed = replace(now, state="failed", reason="the process crashed")
    monkeypatch.setattr(deployed, "stats", lambda *_: (failed,))
    with pytest.raises(ModelNotReadyError, match="failed: the process crashed"):
        deployed.wait_until_started(timeout=30)


def test_a_deployment_that_vanishes_while_it_is_started_is_told(
    deployed: ElserModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployed, "_rows", list)
    with pytest.raises(ModelNotFoundError, match="is gone"):
        deployed.update(allocations=2)


def test_a_start_that_never_arrived_says_so(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=0)
    model.put()
    gateway.faults(paths="POST .*_start", reset_before=1.0)
    with pytest.raises(TransientError):
        model.ensure(timeout=5)
    assert model.stats() == ()


def test_a_start_whose_answer_was_lost_is_found(gateway: Gateway, model: ElserModel) -> None:
    model.put()
    gateway.faults(paths="POST .*_start", reset_after=1.0)
    assert model.ensure(timeout=10).is_started


# -- ensure -----------------------------------------------------------------------------------------------


def test_ensure_does_everything_from_nothing(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=0.3, start_seconds=0.3)
    states: list[str] = []
    found = model.ensure("ingest", allocations=2, timeout=30, progress=lambda state, _: states.append(state))
    assert found.is_started
    assert found.allocations == 2
    assert list(dict.fromkeys(states)) == ["downloading", "downloaded", "starting", "fully_allocated"]


def test_ensure_again_changes_nothing(deployed: ElserModel, requests: Requests) -> None:
    before = deployed.stats(), requests.changing()
    assert deployed.ensure().id == ELSER
    assert (deployed.stats(), requests.changing()) == before


def test_ensure_changes_the_number_of_allocations(deployed: ElserModel) -> None:
    assert deployed.ensure(allocations=3, wait_for="fully_allocated").allocated == 3
    assert deployed.ensure().allocations == 3
    assert deployed.ensure(allocations=1).allocations == 1


def test_ensure_switches_adaptive_allocations_on_and_off(deployed: ElserModel) -> None:
    assert deployed.ensure(adaptive=AdaptiveAllocations(1, 4)).adaptive == AdaptiveAllocations(1, 4)
    found = deployed.ensure(allocations=2)
    assert (found.adaptive, found.allocations) == (None, 2)


@pytest.mark.parametrize("option", [{"threads": 2}, {"queue_capacity": 5}, {"priority": "low"}])
def test_ensure_says_what_cannot_be_changed(deployed: ElserModel, option: dict[str, Any]) -> None:
    [name] = option
    with pytest.raises(DeploymentExistsError, match=f"{name}=.*cannot be changed while it runs"):
        deployed.ensure(**option)


def test_ensure_from_many_threads_starts_it_once(gateway: Gateway, client: Elasticsearch) -> None:
    gateway.configure(download_seconds=0.2, start_seconds=0.2)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(ElserModel(client).ensure("shared").state))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["started"] * 6


def test_ensure_gets_over_a_server_that_cannot_answer_now(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=0.3, start_seconds=0.3)
    model.put()
    gateway.faults(paths="GET .*(elser_model_2|_stats)", too_many=0.4, seed=3, limit=6)
    model.wait_until_downloaded(timeout=20)
    gateway.faults()
    model.start(wait_for="starting")
    gateway.faults(paths="GET .*_stats", reset_before=0.5, seed=3, limit=6)
    assert model.wait_until_started(timeout=20).is_started


def test_a_server_that_never_answers_ends_the_wait(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(download_seconds=60)
    model.put()
    gateway.faults(paths="GET .*elser_model_2", too_many=1.0)
    with pytest.raises(TransientError):
        model.wait_until_downloaded(timeout=1)


def test_ensure_says_when_its_id_is_another_models(deployed: ElserModel, client: Elasticsearch) -> None:
    deployed.ensure("search")
    with pytest.raises(DeploymentExistsError):
        ElserModel(client, OPTIMIZED).ensure("search", timeout=10)


@pytest.mark.parametrize("method", [ElserModel.ensure, ElserModel.put, ElserModel.plan])
def test_the_id_of_a_deployment_is_no_model(
    deployed: ElserModel, client: Elasticsearch, method: Callable[[ElserModel], object]
) -> None:
    deployed.ensure("search")
    with pytest.raises((ConfigurationError, ModelNotFoundError), match="'search' is a deployment"):
        method(ElserModel(client, "search"))


def test_ensure_with_no_room_says_so(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(processors=1)
    with pytest.raises(NoCapacityError):
        model.ensure(allocations=2)


# -- update and stop --------------------------------------------------------------------------------------


def test_update_changes_allocations(deployed: ElserModel) -> None:
    assert deployed.update(allocations=4).allocations == 4
    assert deployed.update(ELSER, allocations=1).allocations == 1


def test_update_switches_adaptive_allocations(deployed: ElserModel) -> None:
    assert deployed.update(adaptive=AdaptiveAllocations(1, 3)).adaptive == AdaptiveAllocations(1, 3)
    assert deployed.update(adaptive=False).adaptive is None
    assert deployed.update(adaptive=False, allocations=2).allocations == 2


def test_update_beyond_what_fits_says_so(gateway: Gateway, deployed: ElserModel) -> None:
    gateway.configure(processors=2)
    with pytest.raises(NoCapacityError, match=r"plan\(\)"):
        deployed.update(allocations=3)
    assert deployed.stats()[0].allocations == 1


def test_update_of_what_has_not_started_says_so(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(start_seconds=0.6)
    model.put()
    model.start(wait_for="starting")
    with pytest.raises(ModelNotReadyError):
        model.update(allocations=2)


@pytest.mark.parametrize("method", ["update", "stop"])
def test_a_models_id_for_a_deployments_is_explained(model: ElserModel, method: str) -> None:
    model.ensure("ingest")
    model.ensure("search")
    options = {"allocations": 2} if method == "update" else {}
    with pytest.raises(ModelNotFoundError, match="is a model; its deployments are 'ingest', 'search'"):
        getattr(model, method)(**options)


def test_an_alias_for_a_deployment_is_explained(deployed: ElserModel) -> None:
    deployed.set_alias("elser")
    with pytest.raises(ModelNotFoundError, match=f"an alias of the model '{ELSER}'"):
        deployed.stop("elser")


def test_a_deployment_of_another_model_is_explained(deployed: ElserModel, client: Elasticsearch) -> None:
    deployed.ensure("search")
    other = ElserModel(client, OPTIMIZED)
    other.put()
    with pytest.raises(ModelNotFoundError, match=f"'search' is a deployment of the model '{ELSER}'"):
        other.stats("search")


def test_a_wrong_deployment_id_says_which_there_are(deployed: ElserModel) -> None:
    with pytest.raises(ModelNotFoundError, match=rf"models '{ELSER}'.*deployments: '{ELSER}'"):
        deployed.stop("serach")


def test_stop_ends_a_deployment_and_leaves_the_model(deployed: ElserModel) -> None:
    deployed.stop()
    status = deployed.status()
    assert (status.exists, status.downloaded, status.deployments) == (True, True, ())


def test_stop_of_what_a_pipeline_uses_needs_force(
    deployed: ElserModel, client: Elasticsearch, name: str
) -> None:
    inference = {"inference": {"model_id": ELSER, "input_output": {"input_field": "a", "output_field": "b"}}}
    client.ingest.put_pipeline(id=name, processors=[inference])
    assert deployed.status().pipelines == 1
    with pytest.raises(DeploymentInUseError, match="force=True"):
        deployed.stop()
    deployed.stop(force=True)
    assert deployed.stats() == ()
    client.ingest.delete_pipeline(id=name)


def test_stop_can_finish_what_waits(gateway: Gateway, deployed: ElserModel) -> None:
    gateway.configure(service_seconds=0.05)
    done: list[Any] = []
    worker = threading.Thread(
        target=lambda: done.append(deployed.infer([f"text {i}" for i in range(10)], timeout=20))
    )
    worker.start()
    eventually(lambda: deployed.stats()[0].pending)
    deployed.stop(finish_pending=True)
    worker.join()
    assert len(done[0]) == 10


# -- inference --------------------------------------------------------------------------------------------


def test_texts_become_token_weights_in_their_order(deployed: ElserModel) -> None:
    found = deployed.infer(["the lamp was lit", "a ship at sea", ""])
    assert len(found) == 3
    assert "lamp" in found[0]
    assert "ship" in found[1]
    assert all(weight > 0 for weight in found[0].values())


def test_many_texts_go_in_several_requests(deployed: ElserModel, requests: Requests) -> None:
    texts = [f"text number {i}" for i in range(40)]
    found = deployed.infer(texts)
    assert requests.new == 3
    assert found == [deployed.infer([text])[0] for text in texts[:2]] + found[2:]


def test_no_texts_need_no_request(deployed: ElserModel, requests: Requests) -> None:
    assert deployed.infer([]) == []
    assert requests.new == 0


@pytest.mark.parametrize("texts", ["one text", ["a", 3], [None]])
def test_what_is_no_text_is_refused(deployed: ElserModel, requests: Requests, texts: Any) -> None:
    with pytest.raises(InvalidInputError):
        deployed.infer(texts)
    assert requests.new == 0


def test_texts_longer_than_elser_reads_are_told(deployed: ElserModel) -> None:
    with pytest.warns(TruncationWarning, match="1 of 2 texts are longer than the 512 tokens"):
        deployed.infer(["short", " ".join(f"word{i}" for i in range(600))])


def test_inference_counts_show_in_the_statistics(deployed: ElserModel) -> None:
    deployed.infer(["a", "b", "c"])
    [found] = deployed.stats()
    assert found.inferences == 3
    assert found.average_ms is not None
    assert found.nodes[0].last_minute == 3


def test_inference_by_what_is_not_deployed_says_so(model: ElserModel) -> None:
    model.put()
    with pytest.raises(ModelNotReadyError, match=r"ensure\(\)"):
        model.infer(["a lamp"])


def test_inference_by_what_is_not_there_says_what_is(deployed: ElserModel) -> None:
    with pytest.raises(ModelNotFoundError, match=f"deployments: '{ELSER}'"):
        deployed.infer(["a lamp"], deployment_id="elser-serach")


def test_inference_by_what_is_starting_says_so(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(start_seconds=2)
    model.put()
    model.start(wait_for="starting")
    with pytest.raises(ModelNotReadyError):
        model.infer(["a lamp"])


def test_a_full_queue_says_what_to_do(gateway: Gateway, model: ElserModel) -> None:
    gateway.configure(service_seconds=0.2)
    model.ensure(queue_capacity=2)
    with pytest.raises(InferenceQueueFullError, match="queue_capacity"):
        model.infer([f"text {i}" for i in range(12)], timeout=5)
    [found] = model.stats()
    assert found.rejected > 0


def test_an_answer_that_takes_too_long_says_so(gateway: Gateway, deployed: ElserModel) -> None:
    gateway.configure(service_seconds=0.5)
    with pytest.raises(InferenceTimeoutError):
        deployed.infer(["a lamp"], timeout=0.1)
    assert deployed.stats()[0].timeouts == 1


def test_the_weights_are_found_under_any_name_of_the_result() -> None:
    assert weights_of({"predicted_value": {"a": 1}}) == {"a": 1.0}
    assert weights_of({"is_truncated": True, "tokens": {"a": 1.5}}) == {"a": 1.5}
    with pytest.raises(ModelError, match="text_expansion"):
        weights_of({"predicted_value": [0.1, 0.2]})


def test_an_explanation_that_cannot_be_had_hides_nothing(deployed: ElserModel) -> None:
    refusing = Refusing(deployed.server, {"GET /_ml/trained_models/_stats": PermissionDeniedError("no")})
    with pytest.raises(ModelNotFoundError, match="serach"):
        ElserModel(refusing).stop("serach")


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Elser(), ELSER),
        (Elser(OPTIMIZED), ELSER),
        (Elser("elser-ingest"), None),
        (Elser(inference_id=".elser-2-elasticsearch"), None),
    ],
)
def test_without_a_privilege_an_id_tells_the_model_if_it_is_elsers(
    client: Elasticsearch, strategy: Elser, expected: str | None
) -> None:
    refused = PermissionDeniedError("no")
    strategy.opened(Refusing(server_behind(client), {"GET /_ml": refused, "GET /_inference": refused}))
    assert strategy.encoder.fingerprint("dot").embedding == expected


# -- async ------------------------------------------------------------------------------------------------


async def test_the_twins_work_on_the_loop_of_a_connected_store(gateway: Gateway, name: str) -> None:
    from vectorface.backends.elasticsearch import BM25  # noqa: PLC0415

    gateway.configure(download_seconds=0.2, start_seconds=0.2)
    with ElasticsearchDB(BM25()).connect(url=gateway.url, index=name) as store:
        model = ElserModel(store)
        threads = threading.active_count()
        assert (await model.aensure("search", timeout=30)).is_started
        assert threading.active_count() == threads
        [weights] = await model.ainfer(["the lamp"], deployment_id="search")
        assert "lamp" in weights
        await model.astop("search")
        assert not (await model.astatus()).is_started


async def test_the_twins_work_in_a_thread_with_a_plain_client(model: ElserModel) -> None:
    assert (await model.aensure()).is_started
    with pytest.raises(DeploymentExistsError):
        await model.astart()


# -- licences ---------------------------------------------------------------------------------------------


def test_a_licence_that_does_not_cover_models_is_named() -> None:
    reason = "current license is non-compliant for [ml]"
    found = answered(403, {"error": {"type": "security_exception", "reason": reason}}, "adding a model")
    assert isinstance(found, PermissionDeniedError)
    assert "start_trial" in str(found)
