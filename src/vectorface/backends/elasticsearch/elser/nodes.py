"""Machine-learning nodes: their processors and memory, and what deployments take of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vectorface.backends.elasticsearch.elser.deployments import Deployment, deployments_of
from vectorface.backends.elasticsearch.elser.starting import bytes_of
from vectorface.backends.elasticsearch.released import is_elser
from vectorface.backends.elasticsearch.server import Server

_MB: Final = 1 << 20
#: What ELSER 1 and 2 take on each node (``StartTrainedModelDeploymentAction.ELSER_1_OR_2_MEMORY_USAGE``).
ELSER_MEMORY: Final = 2004 * _MB
#: What other models take beside twice their size (``MEMORY_OVERHEAD``, ibidem).
_MODEL_OVERHEAD: Final = 240 * _MB
#: Once a node, for the code itself (``MachineLearning.NATIVE_EXECUTABLE_CODE_OVERHEAD``).
_CODE_OVERHEAD: Final = 30 * _MB
#: Elastic's guide ("ELSER", requirements): the smallest machine-learning node for it.
SMALLEST_NODE: Final = 4096 * _MB
#: Models in one answer, of which Elasticsearch gives 100 if not told; few clusters have as many.
_MANY: Final = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class MlNode:
    """A node that can run models.

    Attributes:
        id: Its id.
        name: Its name.
        processors: Processors that it gives to machine learning.
        memory: Bytes that models and other jobs of machine learning can have there.
        total_memory: Bytes of the whole machine.
        used_processors: Processors that allocations have.
        used_memory: Bytes that are taken.
        busy: Whether anything of machine learning runs there.
    """

    id: str
    name: str
    processors: int
    memory: int
    total_memory: int = 0
    used_processors: int = 0
    used_memory: int = 0
    busy: bool = False

    @property
    def free_processors(self) -> int:
        """Processors that are left."""
        return max(0, self.processors - self.used_processors)

    @property
    def free_memory(self) -> int:
        """Bytes that are left for models."""
        return max(0, self.memory - self.used_memory - (0 if self.busy else _CODE_OVERHEAD))

    def with_deployment(self, allocations: int, threads: int, memory: int) -> MlNode:
        """Return the node with a deployment more on it."""
        overhead = 0 if self.busy else _CODE_OVERHEAD
        return replace(
            self,
            used_processors=self.used_processors + allocations * threads,
            used_memory=self.used_memory + overhead + memory,
            busy=True,
        )


def memory_of(model_id: str, size: int, cache_size: str | None = None) -> int:
    """Return the bytes that a deployment takes on each node.

    Args:
        model_id: The model.
        size: Bytes of its definition.
        cache_size: Memory for texts that come again, as in ``500mb``; the model's size if left out.
    """
    cache = max(0, bytes_of(cache_size) - size) if cache_size is not None else 0
    if is_elser(model_id):
        return ELSER_MEMORY + cache
    return _MODEL_OVERHEAD + 2 * size + cache


def ml_nodes(server: Server, *, without: str | None = None, freed: int = 0) -> tuple[MlNode, ...]:
    """Return the machine-learning nodes with what runs on them.

    Args:
        server: Where they are.
        without: A deployment that is to be thought away.
        freed: Bytes that it has on each of its nodes.
    """
    memory = server.request("GET", "/_ml/memory/_stats", doing="reading the memory of nodes")["nodes"]
    answer = server.request(
        "GET", "/_ml/trained_models/_stats", params={"size": _MANY}, doing="reading deployments"
    )
    return nodes_of(memory, deployments_of(answer["trained_model_stats"]), without=without, freed=freed)


def nodes_of(
    memory: Mapping[str, Any],
    deployments: Iterable[Deployment],
    *,
    without: str | None = None,
    freed: int = 0,
) -> tuple[MlNode, ...]:
    """Return the nodes that ``GET _ml/memory/_stats`` tells of, with what deployments take there.

    Args:
        memory: Its ``nodes``.
        deployments: All of the cluster.
        without: A deployment that is to be thought away.
        freed: Bytes that it has on each of its nodes.
    """
    found: list[MlNode] = []
    running = list(deployments)
    for node_id, about in memory.items():
        if "ml" not in about.get("roles", ["ml"]):
            continue
        told = about["mem"]["ml"]
        gone = freed if any(one.id == without and _is_on(one, node_id) for one in running) else 0
        used = sum(value for name, value in told.items() if name.endswith("_in_bytes")) - told["max_in_bytes"]
        found.append(
            MlNode(
                id=node_id,
                name=about.get("name", node_id),
                processors=_processors(about.get("attributes", {})),
                memory=told["max_in_bytes"],
                total_memory=about["mem"].get("adjusted_total_in_bytes", 0),
                used_processors=sum(_used(one, node_id) for one in running if one.id != without),
                used_memory=max(0, used - gone),
                busy=told.get("native_code_overhead_in_bytes", 0) > 0,
            )
        )
    return tuple(sorted(found, key=lambda node: node.name))


def _processors(attributes: Mapping[str, str]) -> int:
    """Return processors as ``MlProcessors`` reads them: parts of one count as one."""
    told = attributes.get("ml.allocated_processors_double", attributes.get("ml.allocated_processors", "0"))
    return math.ceil(float(told))


def _used(deployment: Deployment, node_id: str) -> int:
    """Return the processors that a deployment has on a node; one that starts does not say how many yet."""
    if deployment.priority == "low":
        return 0
    for node in deployment.nodes:
        if node.id == node_id:
            share = math.ceil(deployment.allocations / len(deployment.nodes))
            return (share if node.allocations is None else node.allocations) * deployment.threads
    return 0


def _is_on(deployment: Deployment, node_id: str) -> bool:
    return any(node.id == node_id for node in deployment.nodes)
