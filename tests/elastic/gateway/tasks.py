"""Long-running tasks of the gateway, beside the node's own.

Source: ``rest-api-spec/.../api/tasks.*.json``, ``server/.../tasks/TaskInfo.java``, ``TaskResult.java``,
``server/.../action/admin/cluster/node/tasks/get/TransportGetTaskAction.java`` (a task that is not found).
"""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.responses import Response

from tests.elastic.gateway.errors import ElasticError, request_timeout
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.values import flag, now_millis, seconds, time_text
from tests.elastic.gateway.wire import Call, Node, answer

#: Far from the numbers that the node gives its own tasks.
_FIRST: Final = 1_000_000_000


@dataclass
class Task:
    """A task: what it does, how far it is, how it ended."""

    node: str
    number: int
    action: str
    description: str
    status: Callable[[], dict[str, Any]]
    start: int = field(default_factory=now_millis)
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    cancelled: bool = False
    response: dict[str, Any] | None = None
    error: ElasticError | None = None
    work: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return f"{self.node}:{self.number}"

    @property
    def completed(self) -> bool:
        return self.ended is not None

    def info(self, *, detailed: bool = True) -> dict[str, Any]:
        told = {"status": self.status(), "description": self.description} if detailed else {}
        return {
            "node": self.node,
            "id": self.number,
            "type": "transport",
            "action": self.action,
            **told,
            "start_time_in_millis": self.start,
            "running_time_in_nanos": round(((self.ended or time.monotonic()) - self.began) * 1e9),
            "cancellable": True,
            "cancelled": self.cancelled,
            "headers": {},
        }

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = {"completed": self.completed, "task": self.info()}
        if self.error is not None:
            found["error"] = self.error.as_cause()
        elif self.response is not None:
            found["response"] = self.response
        return found

    async def wait(self) -> None:
        if self.work is not None:
            await asyncio.shield(self.work)


class Tasks:
    """The gateway's tasks and the APIs that show them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: dict[str, Task] = {}
        self._numbers = itertools.count(_FIRST)

    async def start(
        self,
        action: str,
        description: str,
        *,
        status: Callable[[], dict[str, Any]],
        work: Callable[[Task], Coroutine[Any, Any, dict[str, Any]]],
    ) -> Task:
        """Start a task in the background."""
        node = (await self._node.info())["id"]
        task = Task(node, next(self._numbers), action, description, status)
        self._tasks[task.id] = task
        task.work = asyncio.create_task(self._run(task, work))
        return task

    @staticmethod
    async def _run(task: Task, work: Callable[[Task], Coroutine[Any, Any, dict[str, Any]]]) -> None:
        try:
            task.response = await work(task)
        except ElasticError as error:
            task.error = error
        except Exception as problem:  # noqa: BLE001 - a task has nobody above it: its result tells what happened
            task.error = ElasticError(500, "exception", f"{type(problem).__name__}: {problem}")
        finally:
            task.ended = time.monotonic()

    async def reset(self) -> None:
        working = [task.work for task in self._tasks.values() if task.work is not None]
        for work in working:
            work.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        self._tasks.clear()

    def get(self, id: str) -> Task | None:
        return self._tasks.get(id)

    def routes(self) -> list[Route]:
        return [
            route("GET", "/_tasks", self._list),
            route("POST", "/_tasks/_cancel", self._cancel_all),
            route("GET", "/_tasks/{id}", self._get),
            route("POST", "/_tasks/{id}/_cancel", self._cancel),
        ]

    async def _get(self, call: Call) -> Response:
        task = self._tasks.get(call.caught["id"])
        if task is None:
            return (await self._node.send(call)).response()
        if flag(call.params, "wait_for_completion"):
            timeout = call.params.get("timeout", "30s")
            try:
                await asyncio.wait_for(task.wait(), seconds(timeout, "timeout"))
            except TimeoutError:
                told = time_text(seconds(timeout, "timeout"))
                raise request_timeout(
                    f"Timed out waiting for completion of [{task.id}] after [{told}]"
                ) from None
        return answer(task.result())

    def _running(self, call: Call) -> list[Task]:
        wanted = call.params.get("actions", "*").split(",")
        matching = (
            task
            for task in self._tasks.values()
            if any(fnmatch.fnmatchcase(task.action, pattern.strip()) for pattern in wanted)
        )
        return [task for task in matching if not task.completed]

    async def _list(self, call: Call) -> Response:
        found = await self._node.send(call)
        running = {task.id: task.info(detailed=flag(call.params, "detailed")) for task in self._running(call)}
        if not found.ok or not running:
            return found.response()
        body = found.json()
        match call.params.get("group_by", "nodes"):
            case "none":
                body["tasks"] = [*body.get("tasks", []), *running.values()]
            case "parents":
                body["tasks"] = {**body.get("tasks", {}), **running}
            case _:
                body["nodes"] = await self._by_node(body.get("nodes", {}), running)
        return found.response(orjson.dumps(body))

    async def _by_node(self, nodes: dict[str, Any], running: dict[str, Any]) -> dict[str, Any]:
        node = await self._node.info()
        names = ("name", "transport_address", "host", "ip", "roles", "attributes")
        mine = nodes.setdefault(node["id"], {name: node[name] for name in names})
        mine.setdefault("tasks", {}).update(running)
        return nodes

    async def _cancel(self, call: Call) -> Response:
        task = self._tasks.get(call.caught["id"])
        if task is None:
            return (await self._node.send(call)).response()
        if task.completed:
            raise ElasticError(404, "resource_not_found_exception", f"task [{task.id}] is not found")
        task.cancelled = True
        return answer({"nodes": await self._by_node({}, {task.id: task.info()})})

    async def _cancel_all(self, call: Call) -> Response:
        mine = self._running(call)
        if not mine:
            return (await self._node.send(call)).response()
        for task in mine:
            task.cancelled = True
        return answer({"nodes": await self._by_node({}, {task.id: task.info() for task in mine})})
