"""What fits on the machine-learning nodes, said before anything is started.

Elasticsearch places deployments by processors and memory: each allocation takes as many processors of a node
as it has threads, and each deployment its memory on every node that has an allocation of it
(``TrainedModelAssignmentRebalancer``, ``AssignmentPlanner`` in x-pack/plugin/ml). :func:`fit` does the same
sum, one deployment after the other; Elasticsearch itself may also move allocations that run already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, get_args

from vectorface.backends.elasticsearch.checks import check_count, check_one_of, check_threads
from vectorface.backends.elasticsearch.elser.deployments import Priority
from vectorface.backends.elasticsearch.elser.nodes import (
    ELSER_MEMORY,
    SMALLEST_NODE,
    MlNode,
    memory_of,
    ml_nodes,
)
from vectorface.backends.elasticsearch.elser.starting import check_size
from vectorface.backends.elasticsearch.released import ELSER_2, optimized, platform_free
from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import ConfigurationError

#: ``MachineLearning.MAX_LOW_PRIORITY_MODELS_PER_NODE``: low priority takes memory alone.
_LOW_PRIORITY: Final = 100
#: Documents of 256 tokens a second by allocations of one thread, on a machine of 16 processors (Elastic's
#: guide, "ELSER", benchmark information, version 2). Growth is nearly linear up to 8.
_MEASURED: Final[Mapping[bool, Sequence[tuple[int, float]]]] = {
    True: ((0, 0.0), (8, 22.0), (16, 26.0)),
    False: ((0, 0.0), (8, 14.0), (16, 16.0)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to be started.

    Attributes:
        model_id: The model.
        allocations: Copies of it in each deployment.
        threads: Threads of each copy.
        deployments: How many such deployments.
        priority: ``normal`` or ``low``.
        memory: Bytes that a deployment takes on each node it is on.

    Raises:
        ConfigurationError: Elasticsearch would refuse it.
    """

    model_id: str
    allocations: int = 1
    threads: int = 1
    deployments: int = 1
    priority: Priority = "normal"
    memory: int = ELSER_MEMORY

    def __post_init__(self) -> None:
        check_count("allocations", self.allocations)
        check_threads(self.threads)
        check_count("deployments", self.deployments)
        check_one_of("priority", self.priority, get_args(Priority))
        if self.priority == "low" and self.allocations * self.threads > 1:
            raise ConfigurationError("priority='low' goes with one allocation of one thread.")

    @property
    def processors(self) -> int:
        """Processors for all of it."""
        return 0 if self.priority == "low" else self.allocations * self.threads * self.deployments


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Allocations of one deployment on one node.

    Attributes:
        deployment: Which of the wanted ones, from 1.
        node: The node's name.
        allocations: How many.
    """

    deployment: int
    node: str
    allocations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Whether deployments fit, where, and what would fit otherwise; ``print`` it.

    Attributes:
        wanted: What was asked about.
        fits: Whether all of it fits, beside what runs.
        placements: Where it would go, as far as it fits.
        nodes: The nodes as they are now.
        reasons: Why not (all of it) fits: node by node.
        max_allocations: The most allocations of so many threads that one deployment can have now.
        alternatives: The most allocations of one deployment by number of threads.
        memory: Bytes that all placements need.
        throughput: Texts a second that Elastic measured for as many allocations of one thread; ``None``
            where it published nothing.
    """

    wanted: Wanted
    fits: bool
    placements: tuple[Placement, ...]
    nodes: tuple[MlNode, ...]
    reasons: tuple[str, ...]
    max_allocations: int
    alternatives: Mapping[int, int]
    memory: int
    throughput: float | None = None

    def __str__(self) -> str:
        wanted = self.wanted
        asked = f"{wanted.allocations} x {wanted.threads} threads of {wanted.model_id}"
        if wanted.deployments > 1:
            asked = f"{wanted.deployments} deployments of {asked}"
        lines = [f"{asked}: {'fits' if self.fits else 'does not fit'}"]
        lines += [
            f"  deployment {one.deployment}: {one.allocations} allocations on {one.node}"
            for one in self.placements
        ]
        lines += [f"  {reason}" for reason in self.reasons]
        lines += [
            f"  node {node.name}: {node.free_processors} of {node.processors} processors free, "
            f"{_size(node.free_memory)} of {_size(node.memory)} memory"
            for node in self.nodes
        ]
        if not self.fits:
            best = [f"{most} x {threads}" for threads, most in self.alternatives.items() if most]
            lines.append(f"  would fit (allocations x threads): {', '.join(best) or 'nothing'}")
        if self.fits and self.throughput is not None:
            lines.append(
                f"  Elastic measured {self.throughput:.0f} texts of 256 tokens a second with so many "
                "allocations, on 16 processors"
            )
        return "\n".join(lines)


# -- reckoning --------------------------------------------------------------------------------------------


def fit(wanted: Wanted, nodes: Iterable[MlNode], *, upgrading: bool = False) -> Plan:
    """Say whether deployments fit, and where.

    Args:
        wanted: What is to be started.
        nodes: The machine-learning nodes, with what runs on them.
        upgrading: Whether the cluster is in upgrade mode, in which nothing of machine learning is started.
    """
    found = tuple(nodes)
    rooms = {node.id: node for node in found}
    placements: list[Placement] = []
    reasons: list[str] = []
    for number in range(1, wanted.deployments + 1):
        missing = _place(wanted, number, rooms, placements)
        if missing:
            which = f"deployment {number}: " if wanted.deployments > 1 else ""
            reasons.append(f"{which}{missing} of {wanted.allocations} allocations find no place")
            reasons += [_why_not(wanted, node) for node in rooms.values()]
            break
    if not found:
        reasons = ["The cluster has no machine-learning node (role ml)."]
    if upgrading:
        reasons.insert(0, "The cluster is in upgrade mode: nothing of machine learning is started.")
    threads = [2**power for power in range(6)]
    return Plan(
        wanted=wanted,
        fits=not reasons,
        placements=tuple(placements),
        nodes=found,
        reasons=tuple(reasons),
        max_allocations=_most(wanted, wanted.threads, found),
        alternatives={count: _most(wanted, count, found) for count in threads},
        memory=wanted.memory * len(placements),
        throughput=throughput_of(wanted.model_id, wanted.allocations * wanted.deployments, wanted.threads),
    )


def _place(wanted: Wanted, number: int, rooms: dict[str, MlNode], placements: list[Placement]) -> int:
    """Put one deployment on the nodes with most room; return how many allocations find no place."""
    left = wanted.allocations
    for node in sorted(rooms.values(), key=lambda node: -node.free_processors):
        count = min(left, _room(wanted, wanted.threads, node))
        if count:
            processors = 0 if wanted.priority == "low" else wanted.threads
            rooms[node.id] = node.with_deployment(count, processors, wanted.memory)
            placements.append(Placement(deployment=number, node=node.name, allocations=count))
            left -= count
    return left


def _room(wanted: Wanted, threads: int, node: MlNode) -> int:
    if node.free_memory < wanted.memory:
        return 0
    return _LOW_PRIORITY if wanted.priority == "low" else node.free_processors // threads


def _most(wanted: Wanted, threads: int, nodes: Iterable[MlNode]) -> int:
    most = sum(_room(wanted, threads, node) for node in nodes)
    return min(1, most) if wanted.priority == "low" else most


def _why_not(wanted: Wanted, node: MlNode) -> str:
    if node.free_memory < wanted.memory:
        small = 0 < node.total_memory < SMALLEST_NODE
        advice = f"; ELSER needs a node of {_size(SMALLEST_NODE)} at least" if small else ""
        return (
            f"node {node.name}: {_size(node.free_memory)} of memory left, {_size(wanted.memory)} needed "
            f"(of {_size(node.memory)} for machine learning){advice}"
        )
    return (
        f"node {node.name}: {node.free_processors} of {node.processors} processors left, {wanted.threads} "
        "needed for each further allocation"
    )


def throughput_of(model_id: str, allocations: int, threads: int) -> float | None:
    """Return the texts a second that Elastic measured, between its figures on a straight line.

    Args:
        model_id: ELSER 2, optimized or not.
        allocations: Up to 16.
        threads: One, with which it was measured.

    Example:
        >>> throughput_of(".elser_model_2", 4, 1), throughput_of(".elser_model_2_linux-x86_64", 16, 1)
        (7.0, 26.0)
    """
    measured = _MEASURED[model_id == optimized(ELSER_2)]
    if threads != 1 or platform_free(model_id) != ELSER_2 or allocations > measured[-1][0]:
        return None
    for (few, slow), (many, quick) in pairwise(measured):
        if allocations <= many:
            return slow + (quick - slow) * (allocations - few) / (many - few)
    return None


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB"


# -- reading ----------------------------------------------------------------------------------------------


def planned(
    server: Server,
    wanted: Wanted,
    *,
    size: int = 0,
    cache_size: str | None = None,
    without: str | None = None,
) -> Plan:
    """Ask the cluster what runs, and say what fits beside it.

    Args:
        server: Where the cluster is.
        wanted: What is to be started.
        size: Bytes of the model's definition.
        cache_size: Memory for texts that come again.
        without: A deployment that is to be changed, and that so does not stand in its own way.
    """
    if cache_size is not None:
        check_size("cache_size", cache_size)
    info = server.request("GET", "/_ml/info", doing="asking about machine learning")
    wanted = replace(wanted, memory=memory_of(wanted.model_id, size, cache_size))
    return fit(
        wanted,
        ml_nodes(server, without=without, freed=wanted.memory),
        upgrading=bool(info.get("upgrade_mode")),
    )
