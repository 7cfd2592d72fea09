"""Trained models and their deployments, as the cluster tells of them.

The names are those of Elastic's API (``AssignmentStats`` in x-pack/plugin/core), in plain words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from vectorface.backends.elasticsearch.checks import check_count

W = TypeVar("W", bound=str)

Priority: TypeAlias = Literal["normal", "low"]
State: TypeAlias = Literal["starting", "started", "stopping", "failed"]
#: From nothing to everything, in this order.
AllocationState: TypeAlias = Literal["starting", "started", "fully_allocated"]
WaitFor: TypeAlias = AllocationState

_REACHED: Final[tuple[AllocationState, ...]] = get_args(AllocationState)
#: The words of Elasticsearch's planner for "nothing more fits" (``TrainedModelAssignmentRebalancer``).
_NO_ROOM: Final = ("insufficient", "no ml nodes", "not enough", "could not assign")
_WORKED: Final = "average_inference_time_ms_excluding_cache_hits"


@dataclass(frozen=True, slots=True)
class AdaptiveAllocations:
    """Allocations that follow the load.

    Attributes:
        minimum: Fewest allocations; with 0 the model goes to sleep when nobody uses it, and the first
            request after that waits for it.
        maximum: Most allocations; ``None`` for as many as there is room for.

    Raises:
        ConfigurationError: They are no whole numbers, or make no range.

    Example:
        >>> AdaptiveAllocations(1, 4)
        AdaptiveAllocations(minimum=1, maximum=4)
    """

    minimum: int = 1
    maximum: int | None = None

    def __post_init__(self) -> None:
        check_count("adaptive.minimum", self.minimum, least=0)
        if self.maximum is not None:
            check_count("adaptive.maximum", self.maximum, least=max(1, self.minimum))

    def body(self) -> dict[str, Any]:
        """Return it as the server reads it."""
        most = {} if self.maximum is None else {"max_number_of_allocations": self.maximum}
        return {"enabled": True, "min_number_of_allocations": self.minimum, **most}


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeDeployment:
    """A deployment on one node, and what it has done there since it was started.

    Attributes:
        id: The node's id.
        name: The node's name.
        state: ``starting``, ``started``, ``stopping``, ``stopped`` or ``failed``.
        reason: Why it is in that state, where the node says so.
        allocations: How many run there; ``None`` until it is started.
        threads: Threads of each.
        inferences: Texts that were expanded.
        average_ms: Milliseconds that a text took, without those found in the cache where that is told.
        pending: Texts that wait or are being expanded.
        errors: Texts that failed.
        rejected: Texts that found the queue full.
        timeouts: Texts that waited too long.
        cache_hits: Texts whose tokens were known from before.
        last_minute: Texts expanded during the last minute.
        peak: Most texts in a minute.
    """

    id: str
    name: str
    state: str
    reason: str | None = None
    allocations: int | None = None
    threads: int | None = None
    inferences: int = 0
    average_ms: float | None = None
    pending: int = 0
    errors: int = 0
    rejected: int = 0
    timeouts: int = 0
    cache_hits: int = 0
    last_minute: int = 0
    peak: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A deployment of a model, as it is now.

    Attributes:
        id: Its own id.
        model_id: The model it runs.
        state: ``starting``, ``started``, ``stopping`` or ``failed``.
        allocation_state: ``starting`` (no node has it), ``started`` (one has) or ``fully_allocated``.
        allocations: How many are wanted.
        allocated: How many there are.
        threads: Threads of each allocation.
        queue_capacity: Texts that may wait on a node.
        priority: ``normal`` or ``low``.
        cache_size: Memory for texts whose tokens are known, as in ``418mb``.
        reason: Why it is not (fully) allocated, in the server's words.
        adaptive: How allocations follow the load; ``None`` if they do not.
        nodes: Where it is.
    """

    id: str
    model_id: str
    state: State
    allocation_state: AllocationState
    allocations: int
    allocated: int
    threads: int = 1
    queue_capacity: int | None = None
    priority: Priority = "normal"
    cache_size: str | None = None
    reason: str | None = None
    adaptive: AdaptiveAllocations | None = None
    nodes: tuple[NodeDeployment, ...] = ()

    @property
    def is_started(self) -> bool:
        """Whether it can be used."""
        return self.has_reached("started")

    def has_reached(self, state: WaitFor) -> bool:
        """Tell whether it has come as far as that, or further."""
        return _REACHED.index(self.allocation_state) >= _REACHED.index(state)

    @property
    def done(self) -> float:
        """Share of the wanted allocations that there are, 0 to 1."""
        return min(1.0, self.allocated / self.allocations) if self.allocations else 1.0

    @property
    def pending(self) -> int:
        """Texts that wait or are being expanded."""
        return sum(node.pending for node in self.nodes)

    @property
    def inferences(self) -> int:
        """Texts that were expanded."""
        return sum(node.inferences for node in self.nodes)

    @property
    def rejected(self) -> int:
        """Texts that found the queue full."""
        return sum(node.rejected for node in self.nodes)

    @property
    def timeouts(self) -> int:
        """Texts that waited too long."""
        return sum(node.timeouts for node in self.nodes)

    @property
    def errors(self) -> int:
        """Texts that failed."""
        return sum(node.errors for node in self.nodes)

    @property
    def average_ms(self) -> float | None:
        """Milliseconds that a text takes, over all nodes; ``None`` before the first."""
        timed = [(node.average_ms, node.inferences) for node in self.nodes if node.average_ms is not None]
        count = sum(inferences for _, inferences in timed)
        return sum(average * inferences for average, inferences in timed) / count if count else None

    @property
    def why(self) -> str | None:
        """What the server says about what is missing: its own reason, and those of its nodes."""
        told = [self.reason, *(f"{node.name}: {node.reason}" for node in self.nodes if node.reason)]
        return "; ".join(reason for reason in told if reason) or None

    @property
    def lacks_room(self) -> bool:
        """Whether the server says that nodes have no room for what is missing."""
        return any(sign in (self.why or "").lower() for sign in _NO_ROOM)

    def __str__(self) -> str:
        reason = f" ({self.why})" if self.why else ""
        return (
            f"{self.id}: {self.allocation_state}, {self.allocated} of {self.allocations} allocations x "
            f"{self.threads} threads, queue {self.queue_capacity}, {self.pending} pending{reason}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """A model that the cluster has.

    Attributes:
        id: Its id.
        kind: ``pytorch``, ``tree_ensemble``, ``lang_ident`` …
        task: What it is for, as in ``text_expansion``.
        downloaded: Whether all of it is there; ``None`` in lists, where Elasticsearch does not tell.
        size: Bytes of its definition, where known.
        description: What its maker says.
        aliases: Other names for it.
        tags: Its tags.
    """

    id: str
    kind: str
    task: str | None
    downloaded: bool | None
    size: int | None
    description: str | None
    aliases: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelStatus:
    """A model and its deployments, as they are now.

    Attributes:
        model_id: The model.
        exists: Whether the cluster has it.
        downloaded: Whether all of it is there, so that it can be deployed.
        size: Bytes of its definition, where known.
        aliases: Other names for it.
        pipelines: How many ingest pipelines use it.
        deployments: What runs it.
    """

    model_id: str
    exists: bool
    downloaded: bool = False
    size: int | None = None
    aliases: tuple[str, ...] = ()
    pipelines: int = 0
    deployments: tuple[Deployment, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """What an ingest pipeline may call it: the model, its aliases and deployments."""
        return frozenset([self.model_id, *self.aliases, *(deployment.id for deployment in self.deployments)])

    @property
    def is_started(self) -> bool:
        """Whether any deployment can be used."""
        return any(deployment.is_started for deployment in self.deployments)

    def __str__(self) -> str:
        if not self.exists:
            return f"{self.model_id}: not in the cluster"
        state = "downloaded" if self.downloaded else "not (fully) downloaded"
        lines = [f"{self.model_id}: {state}, {len(self.deployments)} deployments"]
        return "\n  ".join([*lines, *map(str, self.deployments)])


# -- reading ----------------------------------------------------------------------------------------------


def model_of(config: Mapping[str, Any]) -> TrainedModel:
    """Return a model as ``GET _ml/trained_models`` describes it."""
    package = config.get("model_package") or {}
    return TrainedModel(
        id=config["model_id"],
        kind=config.get("model_type", "pytorch"),
        task=next(iter(config.get("inference_config") or {}), None),
        downloaded=config.get("fully_defined"),
        size=package.get("size") or config.get("model_size_bytes") or None,
        description=config.get("description"),
        aliases=tuple((config.get("metadata") or {}).get("model_aliases") or ()),
        tags=tuple(config.get("tags") or ()),
    )


def deployments_of(rows: Iterable[Mapping[str, Any]]) -> tuple[Deployment, ...]:
    """Return the deployments among the rows of ``GET _ml/trained_models/_stats``, each once."""
    found: dict[str, Deployment] = {}
    for row in rows:
        if stats := row.get("deployment_stats"):
            deployment = deployment_of(stats)
            found.setdefault(deployment.id, deployment)
    return tuple(found.values())


def deployment_of(stats: Mapping[str, Any]) -> Deployment:
    """Return a deployment as its statistics describe it."""
    status = stats.get("allocation_status") or {}
    wanted = stats.get("number_of_allocations", status.get("target_allocation_count", 1))
    return Deployment(
        id=stats.get("deployment_id", stats["model_id"]),
        model_id=stats["model_id"],
        state=_one_of(get_args(State), stats.get("state"), "starting"),
        allocation_state=_one_of(_REACHED, status.get("state"), "starting"),
        allocations=wanted,
        allocated=status.get("allocation_count", 0),
        threads=stats.get("threads_per_allocation", 1),
        queue_capacity=stats.get("queue_capacity"),
        priority=_one_of(get_args(Priority), stats.get("priority"), "normal"),
        cache_size=stats.get("cache_size"),
        reason=stats.get("reason"),
        adaptive=_adaptive_of(stats.get("adaptive_allocations")),
        nodes=tuple(_node_of(node) for node in stats.get("nodes", ())),
    )


def _one_of(known: Iterable[W], told: object, otherwise: W) -> W:
    """Return a word of the server's, if it is one of those that we know."""
    return next((word for word in known if word == told), otherwise)


def _adaptive_of(told: Mapping[str, Any] | None) -> AdaptiveAllocations | None:
    if not told or not told.get("enabled"):
        return None
    return AdaptiveAllocations(
        told.get("min_number_of_allocations") or 0, told.get("max_number_of_allocations")
    )


def _node_of(told: Mapping[str, Any]) -> NodeDeployment:
    nodes: Mapping[str, Any] = told.get("node") or {}
    node_id = next(iter(nodes), "")
    routing = told.get("routing_state") or {}
    return NodeDeployment(
        id=node_id,
        name=nodes.get(node_id, {}).get("name", node_id),
        state=routing.get("routing_state", "starting"),
        reason=routing.get("reason") or None,
        allocations=told.get("number_of_allocations"),
        threads=told.get("threads_per_allocation"),
        inferences=told.get("inference_count", 0),
        average_ms=told.get(_WORKED, told.get("average_inference_time_ms")),
        pending=told.get("number_of_pending_requests", 0),
        errors=told.get("error_count", 0),
        rejected=told.get("rejected_execution_count", 0),
        timeouts=told.get("timeout_count", 0),
        cache_hits=told.get("inference_cache_hit_count", 0),
        last_minute=told.get("throughput_last_minute", 0),
        peak=told.get("peak_throughput_per_minute", 0),
    )
