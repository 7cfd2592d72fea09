"""Deployments of trained models on one machine-learning node: real allocations, real queues, real capacity.

Source: ``x-pack/plugin/ml/.../inference/deployment/DeploymentManager.java`` and
``AbstractPyTorchAction.java`` (timeouts), ``.../process/PriorityProcessWorkerExecutorService.java`` (the
queue and its words), ``.../inference/assignment/TrainedModelAssignmentRebalancer.java`` (why nothing more
fits), ``.../assignment/TrainedModelAssignmentClusterService.java`` (the errors of start and update),
``x-pack/plugin/core/.../action/StartTrainedModelDeploymentAction.java`` (memory, limits, defaults),
``x-pack/plugin/core/.../inference/assignment/AssignmentStats.java`` (statistics).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from tests.elastic.gateway.encoder import Encoder, Expansion
from tests.elastic.gateway.errors import ElasticError, rejected, request_timeout
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.values import now_millis, time_text, timestamp

#: ``MachineLearning.NATIVE_EXECUTABLE_CODE_OVERHEAD``: once a node, when any native process runs.
NATIVE_OVERHEAD: Final = 30 << 20
#: ``StartTrainedModelDeploymentAction``: what ELSER 1 and 2 take, and what any other model takes beside its
#: size.
_ELSER_MEMORY: Final = 2004 << 20
_MODEL_OVERHEAD: Final = 240 << 20
_MINUTE: Final = 60.0
_CACHED_TEXTS: Final = 10_000


class Urgency(IntEnum):
    """``RequestPriority``: searches overtake writes in a deployment's queue."""

    SEARCH = 1
    WRITE = 2


@dataclass(kw_only=True)
class Parameters:
    """What a deployment was started with (``TaskParams``)."""

    model_id: str
    deployment_id: str
    model_bytes: int
    number_of_allocations: int
    threads_per_allocation: int
    queue_capacity: int
    cache_size: str
    priority: str
    adaptive: dict[str, Any] | None = None

    @property
    def memory(self) -> int:
        """Bytes of native memory it needs."""
        if self.model_id.startswith((".elser_model_1", ".elser_model_2")):
            return _ELSER_MEMORY
        return _MODEL_OVERHEAD + 2 * self.model_bytes

    def body(self) -> dict[str, Any]:
        return {
            "model_id": self.model_id,
            "deployment_id": self.deployment_id,
            "model_bytes": self.model_bytes,
            "threads_per_allocation": self.threads_per_allocation,
            "number_of_allocations": self.number_of_allocations,
            "queue_capacity": self.queue_capacity,
            "cache_size": self.cache_size,
            "priority": self.priority,
            "per_deployment_memory_bytes": 0,
            "per_allocation_memory_bytes": 0,
        }


@dataclass(order=True)
class _Job:
    urgency: int
    number: int
    text: str = field(compare=False)
    result: asyncio.Future[Expansion] = field(compare=False)


class Deployment:
    """One deployment: allocations work at the same time, what they cannot take at once waits in a bounded
    queue.
    """

    def __init__(
        self, params: Parameters, *, settings: Callable[[], Settings], encoder: Encoder, pool: Executor
    ) -> None:
        self.params = params
        self.state = "starting"
        self.reason: str | None = None
        self.assigned = 0
        self.start_time = now_millis()
        self.max_assigned = 0
        self._settings = settings
        self._encoder = encoder
        self._pool = pool
        self._waiting: list[_Job] = []
        self._numbers = itertools.count()
        self._running: set[asyncio.Task[None]] = set()
        self._cache: OrderedDict[str, Expansion] = OrderedDict()
        self.counts = Counts()
        #: Set at every change of state; starts wait for it.
        self.changed = asyncio.Condition()

    # -- its state -----------------------------------------------------------------------------------------

    @property
    def current(self) -> int:
        """Allocations that work now."""
        return self.assigned if self.state == "started" else 0

    @property
    def allocation_state(self) -> str:
        """``AllocationStatus.calculateState``."""
        if self.current >= self.params.number_of_allocations:
            return "fully_allocated"
        return "started" if self.current else "starting"

    async def load(self) -> None:
        """Pass from starting to started."""
        await asyncio.sleep(self._settings().start_seconds)
        if self.state == "starting" and self.assigned:
            await self.become("started")
            self._dispatch()

    async def become(self, state: str) -> None:
        self.state = state
        async with self.changed:
            self.changed.notify_all()

    def assign(self, count: int, reason: str | None) -> None:
        """Take allocations, or give some back; work that runs is finished."""
        self.assigned = count
        self.max_assigned = max(self.max_assigned, count)
        self.reason = reason
        self._dispatch()

    async def stop(self, *, finish: bool) -> None:
        """End it, when the pending work is done or at once."""
        await self.become("stopping")
        if finish:
            while self._waiting:
                self._dispatch()
                await asyncio.sleep(0.005)
        error = rejected("unable to process as inference process worker service has shutdown")
        for job in self._waiting:
            if not job.result.done():
                job.result.set_exception(error)
        self._waiting.clear()

    # -- inference -----------------------------------------------------------------------------------------

    async def infer(self, text: str, *, within: float | None, urgency: Urgency) -> Expansion:
        """Return the expansion of a text, after its turn in the queue.

        Raises:
            ElasticError: The queue is full, or the time is up; a job that timed out keeps its place in the
            queue.
        """
        if len(self._waiting) >= self.params.queue_capacity:
            self.counts.rejected += 1
            raise rejected("inference process queue is full. Unable to execute command")
        result: asyncio.Future[Expansion] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Job(urgency, next(self._numbers), text, result))
        self._dispatch()
        try:
            async with asyncio.timeout(within):
                return await result
        except TimeoutError:
            self.counts.timeouts += 1
            raise request_timeout(
                f"timeout [{time_text(within or 0)}] waiting for inference result"
            ) from None

    def _dispatch(self) -> None:
        while self._waiting and self.state != "starting" and len(self._running) < self.assigned:
            job = heapq.heappop(self._waiting)
            if not job.result.done():
                task = asyncio.create_task(self._work(job))
                self._running.add(task)
                task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._dispatch()

    async def _work(self, job: _Job) -> None:
        began = time.monotonic()
        found = self._cache.get(job.text)
        hit = found is not None
        try:
            if found is None:
                found = await self._expanded(job.text)
        except Exception as problem:  # noqa: BLE001 - whatever the encoder raised is the answer to this job
            self.counts.errors += 1
            if not job.result.done():
                job.result.set_exception(ElasticError(500, "status_exception", str(problem)))
            return
        self.counts.served(time.monotonic() - began, hit=hit)
        if not job.result.done():
            job.result.set_result(found)

    async def _expanded(self, text: str) -> Expansion:
        began = time.monotonic()
        if self._encoder.light:
            found = self._encoder.encode(text)
        else:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, self._encoder.encode, text)
        spent = time.monotonic() - began
        await asyncio.sleep(self._settings().service_seconds / self.params.threads_per_allocation - spent)
        if self.params.cache_size != "0":
            self._cache[text] = found
            if len(self._cache) > _CACHED_TEXTS:
                self._cache.popitem(last=False)
        return found

    def clear_cache(self) -> None:
        self._cache.clear()

    # -- what is told of it --------------------------------------------------------------------------------

    def assignment(self, node_id: str) -> dict[str, Any]:
        """Return it as the answers of start and update show it (``TrainedModelAssignment``)."""
        routing = {
            "current_allocations": self.assigned,
            "target_allocations": self.assigned,
            "routing_state": self.state,
            "reason": "",
        }
        found: dict[str, Any] = {
            "task_parameters": self.params.body(),
            "routing_table": {node_id: routing} if self.assigned else {},
            "assignment_state": self.state,
            "start_time": timestamp(self.start_time),
            "max_assigned_allocations": self.max_assigned,
        }
        if self.reason:
            found["reason"] = self.reason
        if self.params.adaptive is not None:
            found["adaptive_allocations"] = self.params.adaptive
        return {"assignment": found}

    def stats(self, node: dict[str, Any]) -> dict[str, Any]:
        """Return its statistics (``AssignmentStats``)."""
        params = self.params
        counts = self.counts.body()
        found: dict[str, Any] = {
            "deployment_id": params.deployment_id,
            "model_id": params.model_id,
            "threads_per_allocation": params.threads_per_allocation,
            "number_of_allocations": params.number_of_allocations,
            "queue_capacity": params.queue_capacity,
            "state": self.state,
            "allocation_status": {
                "allocation_count": self.current,
                "target_allocation_count": params.number_of_allocations,
                "state": self.allocation_state,
            },
            "cache_size": params.cache_size,
            "priority": params.priority,
            "start_time": self.start_time,
            "peak_throughput_per_minute": counts["peak_throughput_per_minute"],
            "nodes": [self._node_stats(node, counts)] if self.assigned else [],
        }
        if self.reason:
            found["reason"] = self.reason
        if params.adaptive is not None:
            found["adaptive_allocations"] = params.adaptive
        if self.assigned:
            names = ("inference_count", "error_count", "rejected_execution_count", "timeout_count")
            found |= {name: counts[name] for name in names if name in counts}
        return found

    def _node_stats(self, node: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
        about = {
            key: node[key] for key in ("name", "ephemeral_id", "transport_address", "roles") if key in node
        }
        return {
            "node": {node["id"]: about},
            "routing_state": {"routing_state": self.state},
            **counts,
            "number_of_pending_requests": len(self._waiting) + len(self._running),
            "start_time": self.start_time,
            "threads_per_allocation": self.params.threads_per_allocation,
            "number_of_allocations": self.assigned,
        }


class Counts:
    """What a deployment has done."""

    def __init__(self) -> None:
        self.inferences = self.hits = self.errors = self.rejected = self.timeouts = 0
        self._seconds = self._seconds_without_hits = 0.0
        self._last_access: int | None = None
        self._recent: deque[tuple[float, float, bool]] = deque()
        self._peak = 0

    def served(self, duration: float, *, hit: bool) -> None:
        self.inferences += 1
        self.hits += hit
        self._seconds += duration
        self._seconds_without_hits += 0 if hit else duration
        self._last_access = now_millis()
        self._recent.append((time.monotonic(), duration, hit))
        self._forget()
        self._peak = max(self._peak, len(self._recent))

    def _forget(self) -> None:
        while self._recent and self._recent[0][0] < time.monotonic() - _MINUTE:
            self._recent.popleft()

    def body(self) -> dict[str, Any]:
        """Return the counts; as in Elasticsearch, averages only of something and errors only if there are
        any.
        """
        self._forget()
        found: dict[str, Any] = {"inference_count": self.inferences}
        if self.inferences:
            found["average_inference_time_ms"] = 1000 * self._seconds / self.inferences
            worked = max(1, self.inferences - self.hits)
            found["average_inference_time_ms_excluding_cache_hits"] = (
                1000 * self._seconds_without_hits / worked
            )
        found["inference_cache_hit_count"] = self.hits
        if self._last_access is not None:
            found["last_access"] = self._last_access
        told = {
            "error_count": self.errors,
            "rejected_execution_count": self.rejected,
            "timeout_count": self.timeouts,
        }
        found |= {name: count for name, count in told.items() if count}
        found["peak_throughput_per_minute"] = self._peak
        found["throughput_last_minute"] = len(self._recent)
        if self._recent:
            lasted = sum(duration for _, duration, _ in self._recent)
            found["average_inference_time_ms_last_minute"] = 1000 * lasted / len(self._recent)
        found["inference_cache_hit_count_last_minute"] = sum(hit for _, _, hit in self._recent)
        return found
