"""How a deployment is to be started, checked as Elasticsearch checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from vectorface.backends.elasticsearch.checks import check_count, check_one_of, check_threads
from vectorface.backends.elasticsearch.elser.deployments import (
    AdaptiveAllocations,
    Deployment,
    Priority,
    WaitFor,
)
from vectorface.errors import ConfigurationError

#: Elastic's documented limit; some versions refuse more than 100,000 themselves.
_LARGEST_QUEUE: Final = 1_000_000
_SIZE: Final = re.compile(r"0|\d+(\.\d+)?(b|kb|mb|gb|tb)", re.IGNORECASE)
_SIZES: Final[Mapping[str, int]] = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a deployment is to be; see ``ElserModel.start`` for each.

    Raises:
        ConfigurationError: Elasticsearch would refuse it.
    """

    allocations: int = 1
    threads: int = 1
    #: Elasticsearch's former default; 10,000 of newer versions is an hour's work for one allocation.
    queue_capacity: int = 1024
    priority: Priority = "normal"
    adaptive: AdaptiveAllocations | None = None
    cache_size: str | None = None

    def __post_init__(self) -> None:
        check_count("allocations", self.allocations)
        check_threads(self.threads)
        check_count("queue_capacity", self.queue_capacity, most=_LARGEST_QUEUE)
        check_one_of("priority", self.priority, get_args(Priority))
        check_adaptive(self.adaptive)
        if self.adaptive is not None and self.allocations != 1:
            raise ConfigurationError("Pass allocations= or adaptive=, not both: adaptive ones vary.")
        alone = self.allocations == self.threads == 1 and self.adaptive is None
        if self.priority == "low" and not alone:
            raise ConfigurationError("priority='low' goes with one allocation of one thread, no adaptive=.")
        if self.cache_size is not None:
            check_size("cache_size", self.cache_size)

    def params(self) -> dict[str, Any]:
        """Return the query parameters of the request."""
        return {
            "threads_per_allocation": self.threads,
            "queue_capacity": self.queue_capacity,
            "priority": self.priority,
            **({} if self.adaptive else {"number_of_allocations": self.allocations}),
            **({} if self.cache_size is None else {"cache_size": self.cache_size}),
        }

    def body(self) -> dict[str, Any] | None:
        """Return the body of the request, if it needs one."""
        return {"adaptive_allocations": self.adaptive.body()} if self.adaptive else None


def differences(found: Deployment, given: Mapping[str, Any]) -> list[str]:
    """Say in what a deployment differs from what was asked for.

    Args:
        found: The deployment.
        given: Values asked for by attribute; ``None`` stands for any.
    """
    return [
        f"{option}={getattr(found, option)!r}, not {value!r}"
        for option, value in given.items()
        if value is not None and getattr(found, option) != value
    ]


def check_adaptive(adaptive: object) -> None:
    """Check how allocations are to follow the load.

    Raises:
        ConfigurationError: It is no ``AdaptiveAllocations``.
    """
    if adaptive is not None and not isinstance(adaptive, AdaptiveAllocations):
        raise ConfigurationError(f"adaptive={adaptive!r:.80} must be AdaptiveAllocations(minimum, maximum).")


def check_wait_for(wait_for: object) -> None:
    """Check how far a deployment is to come.

    Raises:
        ConfigurationError: It is none of Elasticsearch's words for it.
    """
    check_one_of("wait_for", wait_for, get_args(WaitFor))


def check_size(name: str, value: object) -> None:
    """Check a size in bytes as Elasticsearch writes it.

    Raises:
        ConfigurationError: It is no such text.
    """
    if not (isinstance(value, str) and _SIZE.fullmatch(value)):
        raise ConfigurationError(f"{name}={value!r:.40} must be a size such as '200mb', or '0' for none.")


def bytes_of(size: str) -> int:
    """Return the bytes of a size as Elasticsearch writes it.

    Example:
        >>> bytes_of("1.5kb"), bytes_of("0")
        (1536, 0)
    """
    number, unit = re.fullmatch(r"([\d.]+)([a-z]*)", size.lower()).groups()  # type: ignore[union-attr]
    return int(float(number) * _SIZES[unit or "b"])
