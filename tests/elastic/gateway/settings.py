"""What the gateway plays: which version, how large a machine-learning node, how slow a model.

Source of the figures: ``x-pack/plugin/ml/.../utils/NativeMemoryCalculator.java`` (memory for native code is
the machine's less the JVM's heap less 200 MB), ``docs/reference/ml/.../elser`` (an ML node for ELSER has 4
GB).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

from tests.elastic.gateway.errors import illegal_argument

_OS_OVERHEAD: Final = 200 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The gateway's switches; all can be changed while it runs."""

    #: The version of Elasticsearch it says it is.
    version: str = "8.19.16"
    #: ``hash`` (light, deterministic) or ``splade`` (a real model).
    encoder: str = "hash"
    #: Of the machine-learning node; allocations times threads of all deployments cannot be more.
    processors: int = 8
    #: Bytes of the machine-learning node, and of its JVM's heap, which native code cannot have.
    machine_memory: int = 16 << 30
    jvm_size: int = 4 << 30
    #: ``xpack.ml.max_lazy_ml_nodes``: above 0, what does not fit waits for nodes instead of failing.
    lazy_nodes: int = 0
    #: How long a model's definition takes to arrive, and whether a start sees the task that fetches it.
    #: Without the task (or on an old server) a start meets a truncated definition instead of waiting.
    download_seconds: float = 0.0
    download_task: bool | None = None
    #: How long a deployment takes from ``starting`` to ``started``.
    start_seconds: float = 0.0
    #: How long one thread needs for one text, beside what the encoder itself takes.
    service_seconds: float = 0.0
    #: The first pause before a task sends rejected items again.
    retry_seconds: float = 0.5
    #: Whether a request without credentials is refused, on a node that has no security of its own.
    security: bool = False
    #: ``user:password`` of the node for API keys; by default a key has the credentials of who made it.
    node_user: str = ""
    #: File with the authority to trust, for a node with HTTPS.
    node_ca: str = ""

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return the settings with some replaced."""
        if unknown := changes.keys() - {field.name for field in fields(self)}:
            raise illegal_argument(f"the gateway has no settings {sorted(unknown)}")
        return replace(self, **changes)

    @property
    def ml_memory(self) -> int:
        """Bytes that deployments can have."""
        return max(0, self.machine_memory - self.jvm_size - _OS_OVERHEAD)

    def at_least(self, *version: int) -> bool:
        """Return whether the version played is that one or a later."""
        return tuple(int(part) for part in self.version.split(".")[: len(version)]) >= version

    @property
    def sees_downloads(self) -> bool:
        """Whether a start waits for the model's download; older servers did not look for it."""
        return self.at_least(8, 13) if self.download_task is None else self.download_task
