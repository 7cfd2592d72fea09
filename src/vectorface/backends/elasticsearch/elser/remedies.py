"""What to change about a deployment that has too little, in words and as a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from vectorface.backends.elasticsearch.elser.deployments import AdaptiveAllocations, Deployment
from vectorface.backends.elasticsearch.elser.facts import Facts
from vectorface.backends.elasticsearch.elser.nodes import memory_of
from vectorface.backends.elasticsearch.elser.planning import Plan, Wanted, fit
from vectorface.backends.elasticsearch.elser.starting import Start

#: What a deployment is started with, as far as its statistics tell of it in the same words.
_OPTIONS: Final = ("allocations", "adaptive", "threads", "queue_capacity", "priority")


class Remedy(NamedTuple):
    """What to do.

    Attributes:
        advice: In words.
        call: As a call; ``model`` is the ``ElserModel``.
    """

    advice: str
    call: str


# -- more, and fewer --------------------------------------------------------------------------------------


def more(deployment: Deployment, facts: Facts) -> Remedy:
    """Return what lets a deployment expand more texts a second.

    Args:
        deployment: One that works, and cannot take all that comes.
        facts: What else runs, and where.
    """
    normal = replace(deployment, priority="normal")  # low priority goes with one allocation
    plan = _one_more(normal, facts)
    if not plan.nodes:
        return Remedy(
            "More allocations help where there is room, more nodes where there is none; what nodes have "
            "left could not be read.",
            "print(model.plan())",
        )
    if not plan.max_allocations:
        return _without_room(deployment, plan)
    if deployment.priority == "low":
        return Remedy(
            "Low priority goes with one allocation: start it anew with normal priority.",
            anew(deployment, allocations=plan.max_allocations, priority="normal"),
        )
    return _with_room(deployment, plan.max_allocations)


def _with_room(deployment: Deployment, free: int) -> Remedy:
    there = f"There are processors for {free} allocations more"
    adaptive, now = deployment.adaptive, deployment.allocations
    if adaptive is None:
        return Remedy(f"{there}: let it have them.", _update(deployment, allocations=now + free))
    if adaptive.maximum is None or adaptive.maximum > now:
        return Remedy(
            f"{there}, and it takes more by itself while texts wait. Wait for that, or raise its minimum.",
            _update(deployment, adaptive=replace(adaptive, minimum=now + 1)),
        )
    return Remedy(
        f"{there}: let it have them.", _update(deployment, adaptive=replace(adaptive, maximum=now + free))
    )


def _without_room(deployment: Deployment, plan: Plan) -> Remedy:
    no_room = f"No node has room for an allocation more ({'; '.join(plan.reasons[1:])})"
    if deployment.threads == 1:
        return Remedy(f"{no_room}: add machine-learning nodes, or larger ones.", "print(model.plan())")
    return Remedy(
        f"{no_room}. One thread an allocation, and {deployment.threads} times as many allocations, expand "
        "more texts a second; or add machine-learning nodes.",
        anew(deployment, **_times(deployment, deployment.threads), threads=1),
    )


def fewer(deployment: Deployment, facts: Facts) -> Remedy:
    """Return what makes a deployment fit that has not found all the room it asks for.

    Args:
        deployment: One that waits for room.
        facts: What else runs, and where.
    """
    plan = _one_more(deployment, facts)
    reasons = "; ".join(plan.reasons[1:]) if plan.nodes else ""
    told = f" ({reasons})" if reasons else ""
    return Remedy(
        f"Ask for fewer allocations or threads, stop another deployment, or add a node{told}.",
        _fitting(deployment, deployment.allocated + plan.max_allocations),
    )


def wait_for(deployment: Deployment) -> Remedy:
    """Return how to wait for a deployment that is starting."""
    return Remedy(
        "Wait for them.", _call("wait_until_started", deployment.id, {"wait_for": "fully_allocated"})
    )


def _fitting(deployment: Deployment, count: int) -> str:
    if not count:
        return "print(model.plan())"
    adaptive = deployment.adaptive
    size: dict[str, Any] = {"allocations": count}
    if adaptive is not None:
        size = {"adaptive": AdaptiveAllocations(min(adaptive.minimum, count), count)}
    return _update(deployment, **size) if deployment.is_started else anew(deployment, **size)


def _one_more(deployment: Deployment, facts: Facts) -> Plan:
    """Plan one allocation more than a deployment has, beside all that runs."""
    memory = memory_of(deployment.model_id, facts.status.size or 0)
    here = {node.id for node in deployment.nodes}
    nodes = [
        replace(node, used_memory=node.used_memory - memory) if node.id in here else node
        for node in facts.nodes  # where it is already, it has its memory
    ]
    wanted = Wanted(
        model_id=deployment.model_id,
        threads=deployment.threads,
        priority=deployment.priority,
        memory=memory,
    )
    return fit(wanted, nodes)


def _times(deployment: Deployment, factor: int) -> dict[str, Any]:
    """Return so many times the allocations, as the options of a start."""
    adaptive = deployment.adaptive
    if adaptive is None:
        return {"allocations": deployment.allocations * factor}
    most = None if adaptive.maximum is None else adaptive.maximum * factor
    return {"adaptive": AdaptiveAllocations(adaptive.minimum * factor, most)}


# -- calls ------------------------------------------------------------------------------------------------


def ensure(deployment_id: str, **options: object) -> str:
    """Write the call that has a deployment.

    Example:
        >>> ensure("search", threads=2)
        "model.ensure('search', threads=2)"
    """
    return _call("ensure", deployment_id, options)


def anew(deployment: Deployment, *, force: bool = False, **changes: object) -> str:
    """Write the calls that start a deployment anew: with changes, else as it is.

    Args:
        deployment: The deployment.
        force: Stop it even if a pipeline uses it.
        changes: Options of ``ElserModel.start``.

    Example:
        >>> search = Deployment(
        ...     id="search",
        ...     model_id=".elser_model_2",
        ...     state="started",
        ...     allocation_state="started",
        ...     allocations=4,
        ...     allocated=3,
        ...     threads=2,
        ... )
        >>> anew(search, allocations=3)
        "model.stop('search'); model.ensure('search', allocations=3, threads=2)"
    """
    usual = Start()
    now = {name: getattr(deployment, name) for name in _OPTIONS}
    if deployment.adaptive is not None:
        now["allocations"] = usual.allocations  # they vary
    differing = {name for name, value in now.items() if value not in (None, getattr(usual, name))}
    options = {name: changes.get(name, now[name]) for name in _OPTIONS if name in differing | changes.keys()}
    stop = _call("stop", deployment.id, {"force": True} if force else {})
    return f"{stop}; {ensure(deployment.id, **options)}"


def _update(deployment: Deployment, **options: object) -> str:
    return _call("update", deployment.id, options)


def _call(method: str, deployment_id: str, options: Mapping[str, object]) -> str:
    arguments = [repr(deployment_id), *(f"{name}={value!r}" for name, value in options.items())]
    return f"model.{method}({', '.join(arguments)})"
