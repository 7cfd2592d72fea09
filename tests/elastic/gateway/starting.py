"""The checks of a deployment's start.

Source: ``x-pack/plugin/core/.../ml/action/StartTrainedModelDeploymentAction.java`` (Request.validate),
``AdaptiveAllocationsSettings.java``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.elastic.gateway.errors import illegal_argument, validation
from tests.elastic.gateway.models import Model
from tests.elastic.gateway.values import integer, size, size_text

_MAX_THREADS: Final = 32
_MAX_QUEUE: Final = 1_000_000


def allocations(given: Mapping[str, Any]) -> int:
    """``StartTrainedModelDeploymentAction.Request.computeNumberOfAllocations``."""
    if given.get("number_of_allocations") is not None:
        return int(given["number_of_allocations"])
    adaptive = given.get("adaptive_allocations") or {}
    return max(1, int(adaptive.get("min_number_of_allocations") or 1)) if adaptive.get("enabled") else 1


def cache_size(given: Mapping[str, Any], model: Model) -> str:
    if "cache_size" not in given:
        return size_text(model.size or 0)
    return size_text(size(str(given["cache_size"]), "cache_size"))


def check_start(given: Mapping[str, Any], timeout: float) -> None:
    """``StartTrainedModelDeploymentAction.Request.validate``."""
    problems = []
    numbers = {
        name: integer(given.get(name, 1), name)
        for name in ("number_of_allocations", "threads_per_allocation", "queue_capacity")
    }
    problems += [f"[{name}] must be a positive integer" for name, number in numbers.items() if number < 1]
    threads = numbers["threads_per_allocation"]
    if threads > _MAX_THREADS or threads.bit_count() != 1:
        problems.append(f"[threads_per_allocation] must be a power of 2 less than or equal to {_MAX_THREADS}")
    if numbers["queue_capacity"] > _MAX_QUEUE:
        problems.append(f"[queue_capacity] must be less than {_MAX_QUEUE}")
    if timeout <= 0:
        problems.append("[timeout] must be positive")
    problems += _priority_problems(given, numbers)
    problems += _adaptive_problems(given)
    if problems:
        raise validation(*problems)


def _priority_problems(given: Mapping[str, Any], numbers: Mapping[str, int]) -> list[str]:
    priority = str(given.get("priority", "normal")).lower()
    if priority not in {"normal", "low"}:
        raise illegal_argument(
            "No enum constant "
            f"org.elasticsearch.xpack.core.ml.inference.assignment.Priority.{priority.upper()}"
        )
    names = ("number_of_allocations", "threads_per_allocation")
    return [
        f"[{name}] must be 1 when [priority] is low"
        for name in names
        if priority == "low" and numbers[name] > 1
    ]


def _adaptive_problems(given: Mapping[str, Any]) -> list[str]:
    adaptive = given.get("adaptive_allocations") or {}
    least, most = adaptive.get("min_number_of_allocations"), adaptive.get("max_number_of_allocations")
    problems = []
    if adaptive.get("enabled") and given.get("number_of_allocations") is not None:
        problems.append("[number_of_allocations] cannot be set if adaptive allocations is enabled")
    if least is not None and least < 0:
        problems.append("[min_number_of_allocations] must be a non-negative integer or null")
    if most is not None and most < 1:
        problems.append("[max_number_of_allocations] must be a positive integer or null")
    if least is not None and most is not None and least > most:
        problems.append("[min_number_of_allocations] must not be larger than [max_number_of_allocations]")
    return problems
