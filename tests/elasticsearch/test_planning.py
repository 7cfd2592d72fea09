"""What fits, said before anything is started, and what the cluster then does."""

from __future__ import annotations

from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.elastic.gateway import Gateway
from tests.elasticsearch.conftest import Requests
from vectorface.backends.elasticsearch.elser.deployments import Deployment, NodeDeployment
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.backends.elasticsearch.elser.nodes import ELSER_MEMORY, MlNode, memory_of, nodes_of
from vectorface.backends.elasticsearch.elser.planning import Wanted, fit, throughput_of
from vectorface.errors import ConfigurationError, NoCapacityError

ELSER = ".elser_model_2"
GB = 1 << 30


def node(name: str = "a", *, processors: int = 8, memory: int = 8 * GB, **more: Any) -> MlNode:
    return MlNode(id=name, name=name, processors=processors, memory=memory, total_memory=16 * GB, **more)


def wanted(**options: Any) -> Wanted:
    return Wanted(model_id=ELSER, **options)


# -- reckoning --------------------------------------------------------------------------------------------


def test_what_fits_is_placed() -> None:
    plan = fit(wanted(allocations=4, threads=2), [node()])
    assert plan.fits
    assert [(one.deployment, one.node, one.allocations) for one in plan.placements] == [(1, "a", 4)]
    assert (plan.max_allocations, plan.reasons) == (4, ())
    assert plan.memory == ELSER_MEMORY


def test_processors_are_taken_of_the_freest_node_first() -> None:
    plan = fit(wanted(allocations=10), [node("a", used_processors=4), node("b")])
    assert plan.fits
    assert [(one.node, one.allocations) for one in plan.placements] == [("b", 8), ("a", 2)]
    assert plan.memory == 2 * ELSER_MEMORY


def test_too_few_processors_are_told_node_by_node() -> None:
    plan = fit(wanted(allocations=6, threads=2), [node(used_processors=2)])
    assert not plan.fits
    assert plan.reasons[0] == "3 of 6 allocations find no place"
    assert plan.reasons[1] == "node a: 0 of 8 processors left, 2 needed for each further allocation"
    assert plan.max_allocations == 3
    assert plan.alternatives == {1: 6, 2: 3, 4: 1, 8: 0, 16: 0, 32: 0}


def test_an_allocation_does_not_span_nodes() -> None:
    plan = fit(wanted(threads=4), [node("a", processors=2), node("b", processors=2)])
    assert not plan.fits
    assert plan.alternatives[2] == 2


def test_too_little_memory_is_told_with_what_is_needed() -> None:
    small = MlNode(id="a", name="a", processors=8, memory=1 * GB, total_memory=2 * GB)
    plan = fit(wanted(), [small])
    assert not plan.fits
    assert "2.0 GB needed" in plan.reasons[1]
    assert "ELSER needs a node of 4.0 GB at least" in plan.reasons[1]
    assert plan.max_allocations == 0


def test_the_code_itself_takes_memory_once_a_node() -> None:
    just = ELSER_MEMORY + 30 * (1 << 20)
    assert fit(wanted(), [node(memory=just)]).fits
    assert not fit(wanted(), [node(memory=just - 1)]).fits
    assert fit(wanted(), [node(memory=just - 1, busy=True)]).fits


def test_several_deployments_each_take_their_memory() -> None:
    plan = fit(wanted(deployments=3), [node(memory=5 * GB)])
    assert not plan.fits
    assert plan.reasons[0].startswith("deployment 3: 1 of 1 allocations find no place")
    assert [one.deployment for one in plan.placements] == [1, 2]
    assert "3 deployments of 1 x 1 threads" in str(plan)


def test_low_priority_takes_no_processors() -> None:
    full = node(used_processors=8)
    assert fit(wanted(priority="low"), [full]).fits
    assert not fit(wanted(), [full]).fits


def test_a_cluster_without_such_nodes_is_told() -> None:
    plan = fit(wanted(), [])
    assert plan.reasons == ("The cluster has no machine-learning node (role ml).",)


def test_a_cluster_in_upgrade_mode_is_told() -> None:
    assert "upgrade mode" in fit(wanted(), [node()], upgrading=True).reasons[0]


def test_a_plan_reads_like_an_answer() -> None:
    assert str(fit(wanted(allocations=4, threads=4), [node(used_processors=2)])).splitlines() == [
        "4 x 4 threads of .elser_model_2: does not fit",
        "  deployment 1: 1 allocations on a",
        "  3 of 4 allocations find no place",
        "  node a: 2 of 8 processors left, 4 needed for each further allocation",
        "  node a: 6 of 8 processors free, 8.0 GB of 8.0 GB memory",
        "  would fit (allocations x threads): 6 x 1, 3 x 2, 1 x 4",
    ]


@pytest.mark.parametrize(
    ("model_id", "allocations", "threads", "expected"),
    [
        (ELSER, 8, 1, 14.0),
        (ELSER, 16, 1, 16.0),
        (ELSER, 12, 1, 15.0),
        (f"{ELSER}_linux-x86_64", 8, 1, 22.0),
        (f"{ELSER}_linux-x86_64", 4, 1, 11.0),
        (ELSER, 17, 1, None),
        (ELSER, 8, 2, None),
        ("my-splade", 8, 1, None),
    ],
)
def test_only_measured_throughputs_are_told(
    model_id: str, allocations: int, threads: int, expected: float | None
) -> None:
    assert throughput_of(model_id, allocations, threads) == expected


def test_memory_is_that_of_elastics_own_sum() -> None:
    assert memory_of(ELSER, 400 << 20) == 2004 << 20
    assert memory_of(ELSER, 400 << 20, "1400mb") == (2004 + 1000) << 20
    assert memory_of(ELSER, 400 << 20, "0") == 2004 << 20
    assert memory_of("my-splade", 100 << 20) == (240 + 200) << 20


def told(**more: int) -> dict[str, Any]:
    ml = {"max_in_bytes": 8 * GB, "native_inference_in_bytes": 0, "native_code_overhead_in_bytes": 0, **more}
    return {
        "name": "es-1",
        "roles": ["ml"],
        "attributes": {"ml.allocated_processors": "4", "ml.allocated_processors_double": "3.5"},
        "mem": {"adjusted_total_in_bytes": 16 * GB, "ml": ml},
    }


def running(**more: Any) -> Deployment:
    on = NodeDeployment(id="n", name="es-1", state="started", allocations=more.pop("there", 2), threads=2)
    counts = {"allocations": 2, "allocated": 2, "threads": 2}
    state = {"state": "started", "allocation_state": "started"}
    return Deployment(id="search", model_id=ELSER, nodes=(on,), **{**state, **counts, **more})


def test_nodes_are_read_with_what_runs_on_them() -> None:
    used = {"native_inference_in_bytes": ELSER_MEMORY, "native_code_overhead_in_bytes": 30 << 20}
    [found] = nodes_of({"n": told(**used)}, [running()])
    assert (found.name, found.processors, found.used_processors) == ("es-1", 4, 4)
    assert found.free_memory == 8 * GB - ELSER_MEMORY - (30 << 20)


def test_a_deployment_that_is_to_change_does_not_stand_in_its_own_way() -> None:
    used = {"native_inference_in_bytes": ELSER_MEMORY, "native_code_overhead_in_bytes": 30 << 20}
    [found] = nodes_of({"n": told(**used)}, [running()], without="search", freed=ELSER_MEMORY)
    assert found.used_processors == 0
    assert found.free_memory == 8 * GB - (30 << 20)


def test_a_deployment_that_starts_has_its_processors_already() -> None:
    [found] = nodes_of({"n": told()}, [running(there=None)])
    assert found.used_processors == 4


def test_low_priority_deployments_have_none() -> None:
    [found] = nodes_of({"n": told()}, [running(priority="low")])
    assert found.used_processors == 0


def test_nodes_without_machine_learning_are_left_out() -> None:
    assert nodes_of({"n": {**told(), "roles": ["data"]}}, []) == ()


# -- the cluster ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"processors": 4}, {"allocations": 4}),
        ({"processors": 4}, {"allocations": 5}),
        ({"processors": 4}, {"allocations": 2, "threads": 2}),
        ({"processors": 4}, {"threads": 8}),
        ({"processors": 2}, {"priority": "low"}),
        ({"machine_memory": 4 * GB, "jvm_size": 1 * GB}, {}),
        ({"machine_memory": 3 * GB, "jvm_size": 1 * GB}, {}),
    ],
)
def test_what_is_planned_is_what_happens(
    gateway: Gateway, model: ElserModel, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    gateway.configure(**settings)
    model.put()
    plan = model.plan(**options)
    try:
        model.start(**options)
    except NoCapacityError:
        assert not plan.fits, plan
    else:
        assert plan.fits, plan


def test_what_runs_already_is_reckoned_with(gateway: Gateway, deployed: ElserModel) -> None:
    gateway.configure(processors=4)
    plan = deployed.plan(allocations=4)
    assert (plan.fits, plan.max_allocations) == (False, 3)
    assert deployed.plan(allocations=4, deployment_id=ELSER).fits
    assert deployed.update(allocations=4).allocations == 4


def test_a_plan_needs_no_model(model: ElserModel) -> None:
    assert model.plan(allocations=2).fits
    assert not model.status().exists


def test_a_plan_changes_nothing(deployed: ElserModel, requests: Requests) -> None:
    before = requests.changing()
    deployed.plan(allocations=100)
    assert requests.changing() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allocations": 0}, "allocations=0"),
        ({"threads": 3}, "power of two"),
        ({"deployments": 0}, "deployments=0"),
        ({"priority": "high"}, "priority='high'"),
        ({"priority": "low", "threads": 2}, "priority='low'"),
        ({"cache_size": 5}, "cache_size="),
        ({"deployment_id": "a b"}, "deployment_id="),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    model: ElserModel, requests: Requests, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        model.plan(**options)
    assert requests.new == 0


async def test_the_twin_works(client: Elasticsearch) -> None:
    assert (await ElserModel(client).aplan()).fits
