"""What fits on the machine-learning node, and why nothing more does.

Source: ``x-pack/plugin/ml/.../inference/assignment/TrainedModelAssignmentRebalancer.java`` and
``TrainedModelAssignmentClusterService.java`` (the errors). Differs: Elasticsearch's planner may also take
allocations away from other deployments, down to one each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.elastic.gateway.deployments import NATIVE_OVERHEAD, Deployment, Parameters
from tests.elastic.gateway.errors import ElasticError, no_resources
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.values import size_text


@dataclass(frozen=True)
class Plan:
    """How many allocations of a deployment fit, and why no more do."""

    allocations: int
    reason: str | None


def plan(params: Parameters, others: Iterable[Deployment], settings: Settings, node_id: str) -> Plan:
    """Plan a deployment beside the others."""
    beside = [other for other in others if other.assigned]
    free_memory = settings.ml_memory - NATIVE_OVERHEAD - sum(other.params.memory for other in beside)
    free_processors = settings.processors - sum(
        other.assigned * other.params.threads_per_allocation
        for other in beside
        if other.params.priority != "low"
    )
    if params.memory > free_memory:
        return Plan(0, _explained(node_id, _memory_reason(params, settings, free_memory, alone=not beside)))
    if params.priority == "low":
        return Plan(1, None)
    fitting = min(params.number_of_allocations, free_processors // params.threads_per_allocation)
    if fitting >= params.number_of_allocations:
        return Plan(fitting, None)
    left = free_processors - fitting * params.threads_per_allocation
    return Plan(fitting, _explained(node_id, _processors_reason(params, settings, left)))


def _explained(node_id: str, reason: str) -> str:
    return f"Could not assign (more) allocations on node [{node_id}]. Reason: {reason}"


def _memory_reason(params: Parameters, settings: Settings, free: int, *, alone: bool) -> str:
    overhead = NATIVE_OVERHEAD if alone else 0
    sizes = (settings.ml_memory, max(0, free + overhead), params.memory + overhead)
    available, remaining, required = (f"[{size} ({size_text(size)})]" for size in sizes)
    return (
        f"This node has insufficient available memory. Available memory for ML {available}, free memory "
        f"{remaining}, estimated memory required for this model {required}."
    )


def _processors_reason(params: Parameters, settings: Settings, left: int) -> str:
    return (
        f"This node has insufficient allocated processors. Available processors [{settings.processors}], "
        f"free processors [{left}], processors required for each allocation of this model "
        f"[{params.threads_per_allocation}]"
    )


def no_capacity(found: Plan) -> ElasticError:
    """Return the error of a start that does not fit, where no further nodes can come."""
    if found.allocations:
        return no_resources(
            "Could not start deployment because there are not enough resources to provide all requested "
            "allocations"
        )
    detail = (
        "Could not start deployment because no suitable nodes were found, allocation explanation "
        f"[{found.reason}]"
    )
    return no_resources(
        "Could not start deployment because no ML nodes with sufficient capacity were found",
        cause=ElasticError(500, "illegal_state_exception", detail),
    )
