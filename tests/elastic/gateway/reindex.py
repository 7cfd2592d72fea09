"""``_reindex``, ``_update_by_query`` and ``_delete_by_query``: reading by scroll, writing by the gateway's
own bulk.

So pipelines run on what is written, and a slow pipeline makes a slow reindex.

Source: ``modules/reindex/.../AbstractAsyncBulkByScrollAction.java``,
``server/.../index/reindex/BulkByScrollTask.java`` (status), ``BulkByScrollResponse.java``,
``modules/reindex/.../ReindexValidator.java``, ``rest-api-spec/.../api/reindex.json`` and its siblings.
Differs: slices are accepted and worked off one after the other in one task; scripts and remote sources are
not there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson
from starlette.responses import Response

from tests.elastic.gateway.errors import illegal_argument, not_found, unsupported, validation
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.search import Search
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.tasks import Task, Tasks
from tests.elastic.gateway.values import flag, integer
from tests.elastic.gateway.wire import Call, Headers, Node, answer, checked, segment
from tests.elastic.gateway.writing import Writing

_BATCH: Final = 1000
_RETRIES: Final = 11
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_SCROLL: Final = "5m"

#: Returns the lines of a bulk that write what is to become of a hit.
Lines: TypeAlias = Callable[[Mapping[str, Any]], list[bytes]]


@dataclass
class Status:
    """How far a task is (``BulkByScrollTask.Status``)."""

    total: int = 0
    updated: int = 0
    created: int = 0
    deleted: int = 0
    batches: int = 0
    version_conflicts: int = 0
    noops: int = 0
    bulk_retries: int = 0
    throttled: float = 0.0
    requests_per_second: float = -1.0
    throttled_until: float = 0.0

    @property
    def processed(self) -> int:
        return self.updated + self.created + self.deleted + self.version_conflicts + self.noops

    def body(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "updated": self.updated,
            "created": self.created,
            "deleted": self.deleted,
            "batches": self.batches,
            "version_conflicts": self.version_conflicts,
            "noops": self.noops,
            "retries": {"bulk": self.bulk_retries, "search": 0},
            "throttled_millis": round(self.throttled * 1000),
            "requests_per_second": self.requests_per_second,
            "throttled_until_millis": max(0, round((self.throttled_until - time.monotonic()) * 1000)),
        }


@dataclass(kw_only=True)
class Work:
    """What a task reads and writes."""

    action: str
    description: str
    source: str
    search: dict[str, Any]
    lines: Lines
    headers: Headers
    pipeline: str | None = None
    batch: int = _BATCH
    max_docs: int | None = None
    abort_on_conflict: bool = True
    refresh: str | None = None
    status: Status = field(default_factory=Status)


class Reindex:
    """The three APIs."""

    def __init__(
        self, node: Node, settings: Callable[[], Settings], tasks: Tasks, writing: Writing, search: Search
    ) -> None:
        self._node = node
        self._settings = settings
        self._tasks = tasks
        self._writing = writing
        self._search = search
        self._statuses: dict[str, Status] = {}

    def routes(self) -> list[Route]:
        common = "wait_for_completion refresh requests_per_second slices scroll max_docs"
        indices = "wait_for_active_shards allow_no_indices ignore_unavailable expand_wildcards"
        query = f"{common} conflicts scroll_size pipeline routing {indices}"
        return [
            route("POST", "/_reindex", self._reindex, f"{common} wait_for_active_shards require_alias"),
            route("POST", "/{index}/_delete_by_query", self._delete, query),
            route("POST", "/{index}/_update_by_query", self._update, query),
            *(
                route("POST", f"/_{name}/{{id}}/_rethrottle", self._rethrottle, "requests_per_second")
                for name in ("reindex", "delete_by_query", "update_by_query")
            ),
        ]

    # -- requests ------------------------------------------------------------------------------------------

    async def _reindex(self, call: Call) -> Response:
        body = call.object()
        source, dest = body.get("source") or {}, body.get("dest") or {}
        _check_reindex(body, source, dest)
        indices = source["index"] if isinstance(source["index"], list) else source["index"].split(",")
        search = {key: source[key] for key in ("query", "_source") if key in source}
        work = Work(
            action="indices:data/write/reindex",
            description=f"reindex from [{','.join(indices)}] to [{dest['index']}]",
            source=",".join(indices),
            search=search,
            lines=lambda hit: _reindexed(hit, dest),
            headers=call.headers,
            pipeline=dest.get("pipeline"),
            batch=integer(source.get("size", _BATCH), "size"),
            max_docs=_max_docs(call, body),
            abort_on_conflict=_aborts(body.get("conflicts")),
            refresh=dest["index"] if flag(call.params, "refresh") else None,
        )
        return await self._started(call, work)

    async def _delete(self, call: Call) -> Response:
        body = call.object()
        if "query" not in body:
            raise validation("query is missing")
        return await self._by_query(call, body, "delete", _deleted)

    async def _update(self, call: Call) -> Response:
        body = call.object()
        if "script" in body:
            raise unsupported("scripts")
        return await self._by_query(call, body, "update", _rewritten)

    async def _by_query(self, call: Call, body: Mapping[str, Any], name: str, lines: Lines) -> Response:
        index = call.caught["index"]
        work = Work(
            action=f"indices:data/write/{name}/byquery",
            description=f"{name}-by-query [{index}]",
            source=index,
            search={"query": body.get("query", {"match_all": {}}), "seq_no_primary_term": True},
            lines=lines,
            headers=call.headers,
            pipeline=call.params.get("pipeline"),
            batch=integer(call.params.get("scroll_size", _BATCH), "scroll_size"),
            max_docs=_max_docs(call, body),
            abort_on_conflict=_aborts(call.params.get("conflicts") or body.get("conflicts")),
            refresh=index if flag(call.params, "refresh") else None,
        )
        return await self._started(call, work)

    async def _started(self, call: Call, work: Work) -> Response:
        work.status.requests_per_second = _rate(call.params.get("requests_per_second", "-1"))
        work.search = await self._search.rewritten(work.source, work.search, call.headers)
        task = await self._tasks.start(
            work.action,
            work.description,
            status=work.status.body,
            work=lambda task: self._run(work, task),
        )
        self._statuses[task.id] = work.status
        if not flag(call.params, "wait_for_completion", default=True):
            return answer({"task": task.id})
        await task.wait()
        if task.error is not None:
            raise task.error
        assert task.response is not None
        return answer(task.response, _http_status(task.response))

    async def _rethrottle(self, call: Call) -> Response:
        status, task = self._statuses.get(call.caught["id"]), self._tasks.get(call.caught["id"])
        if status is None or task is None or task.completed:
            raise not_found(f"task [{call.caught['id']}] is not found")
        status.requests_per_second = _rate(call.params.get("requests_per_second", ""))
        status.throttled_until = 0.0
        return answer({"nodes": {task.node: {"tasks": {task.id: task.info()}}}})

    # -- working -------------------------------------------------------------------------------------------

    async def _run(self, work: Work, task: Task) -> dict[str, Any]:
        failures: list[dict[str, Any]] = []
        began = time.monotonic()
        page = await self._first_page(work)
        scroll = page["_scroll_id"]
        try:
            while (hits := self._wanted(work, page)) and not failures and not task.cancelled:
                failures = await self._written(work, hits)
                if self._done(work):
                    break
                await self._throttle(work.status, len(hits), task)
                page = await self._next_page(work, scroll)
        finally:
            await self._node.ask("DELETE", "/_search/scroll", {"scroll_id": scroll}, headers=work.headers)
        if work.refresh:
            await self._node.ask("POST", f"/{segment(work.refresh)}/_refresh", headers=work.headers)
        ended = {"canceled": "by user request"} if task.cancelled else {}
        took = round((time.monotonic() - began) * 1000)
        return {"took": took, "timed_out": False, **work.status.body(), **ended, "failures": failures}

    async def _first_page(self, work: Work) -> dict[str, Any]:
        body = {
            "sort": ["_doc"],
            **work.search,
            "size": work.batch,
            "version": True,
            "track_total_hits": True,
        }
        path = f"/{segment(work.source)}/_search"
        found = await self._node.ask("POST", path, body, query=f"scroll={_SCROLL}", headers=work.headers)
        page: dict[str, Any] = checked(found).json()
        total = page["hits"]["total"]["value"]
        work.status.total = total if work.max_docs is None else min(total, work.max_docs)
        return page

    async def _next_page(self, work: Work, scroll: str) -> dict[str, Any]:
        body = {"scroll": _SCROLL, "scroll_id": scroll}
        page: dict[str, Any] = checked(
            await self._node.ask("POST", "/_search/scroll", body, headers=work.headers)
        ).json()
        return page

    @staticmethod
    def _wanted(work: Work, page: Mapping[str, Any]) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = page["hits"]["hits"]
        return hits[: max(0, work.status.total - work.status.processed)]

    @staticmethod
    def _done(work: Work) -> bool:
        return work.status.processed >= work.status.total

    async def _written(self, work: Work, hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write one batch; what is refused for lack of room is tried again, more and more slowly."""
        work.status.batches += 1
        pause = self._settings().retry_seconds
        failures: list[dict[str, Any]] = []
        for attempt in range(_RETRIES + 1):
            results = await self._bulk(work, hits)
            again = []
            for hit, result in zip(hits, results, strict=True):
                if result["status"] == _TOO_MANY and attempt < _RETRIES:
                    again.append(hit)
                else:
                    failures += self._accounted(work, result)
            if not again:
                break
            hits = again
            work.status.bulk_retries += 1
            await asyncio.sleep(pause)
            pause *= 2
        return failures

    async def _bulk(self, work: Work, hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        body = b"\n".join([*(line for hit in hits for line in work.lines(hit)), b""])
        kept = tuple((key, value) for key, value in work.headers if key == b"authorization")
        headers = (*kept, (b"content-type", b"application/x-ndjson"))
        query = f"pipeline={segment(work.pipeline)}" if work.pipeline else ""
        found = checked(await self._writing.bulk(Call("POST", "/_bulk", query, headers, body))).json()
        return [next(iter(item.values())) for item in found["items"]]

    @staticmethod
    def _accounted(work: Work, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Count one item; return it if it is a failure."""
        status = work.status
        if "error" not in result:
            name = {"noop": "noops", "not_found": "noops"}.get(result["result"], result["result"])
            setattr(status, name, getattr(status, name) + 1)
            return []
        if result["status"] == _CONFLICT and result["error"]["type"] == "version_conflict_engine_exception":
            status.version_conflicts += 1
            if not work.abort_on_conflict:
                return []
        told = {"index": result["_index"], "id": result["_id"], "cause": result["error"]}
        return [{**told, "status": result["status"]}]

    @staticmethod
    async def _throttle(status: Status, count: int, task: Task) -> None:
        if status.requests_per_second <= 0:
            return
        began = time.monotonic()
        status.throttled_until = began + count / status.requests_per_second
        while time.monotonic() < status.throttled_until and not task.cancelled:  # noqa: ASYNC110 - may be changed
            await asyncio.sleep(0.01)
        status.throttled += time.monotonic() - began


# -- what is asked for -------------------------------------------------------------------------------------


def _check_reindex(body: Mapping[str, Any], source: Mapping[str, Any], dest: Mapping[str, Any]) -> None:
    if "script" in body or "remote" in source:
        raise unsupported("scripts and remote sources of a reindex")
    problems = []
    if not source.get("index"):
        problems.append("use _all if you really want to copy from all existing indexes")
    if not dest.get("index"):
        problems.append("index is missing")
    if problems:
        raise validation(*problems)
    if dest["index"] in source["index"]:
        raise validation(f"reindex cannot write into an index its reading from [{dest['index']}]")


def _max_docs(call: Call, body: Mapping[str, Any]) -> int | None:
    value = call.params.get("max_docs", body.get("max_docs", body.get("size")))
    if value is None:
        return None
    count = integer(value, "max_docs")
    if count <= 0:
        raise illegal_argument(f"[max_docs] parameter cannot be negative, found [{count}]")
    return count


def _aborts(conflicts: object) -> bool:
    if conflicts not in {None, "abort", "proceed"}:
        raise illegal_argument(f'conflicts may only be "proceed" or "abort" but was [{conflicts}]')
    return conflicts != "proceed"


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if rate == 0 or (rate < 0 and rate != -1):
        raise illegal_argument(
            "[requests_per_second] must be a float greater than 0. Use -1 to disable throttling."
        )
    return rate


def _http_status(response: Mapping[str, Any]) -> int:
    return max([200, *(int(failure["status"]) for failure in response["failures"])])


# -- what is written ---------------------------------------------------------------------------------------


def _reindexed(hit: Mapping[str, Any], dest: Mapping[str, Any]) -> list[bytes]:
    action: dict[str, Any] = {"_index": dest["index"], "_id": hit["_id"]}
    routing = dest.get("routing", "keep")
    if routing.startswith("="):
        action["routing"] = routing[1:]
    elif routing == "keep" and "_routing" in hit:
        action["routing"] = hit["_routing"]
    if dest.get("version_type") in {"external", "external_gt", "external_gte"}:
        action |= {"version": hit["_version"], "version_type": dest["version_type"]}
    operation = "create" if dest.get("op_type") == "create" else "index"
    return [orjson.dumps({operation: action}), orjson.dumps(hit["_source"])]


def _guarded(hit: Mapping[str, Any]) -> dict[str, Any]:
    action = {"_index": hit["_index"], "_id": hit["_id"], "if_seq_no": hit["_seq_no"]}
    routing = {"routing": hit["_routing"]} if "_routing" in hit else {}
    return {**action, "if_primary_term": hit["_primary_term"], **routing}


def _deleted(hit: Mapping[str, Any]) -> list[bytes]:
    return [orjson.dumps({"delete": _guarded(hit)})]


def _rewritten(hit: Mapping[str, Any]) -> list[bytes]:
    return [orjson.dumps({"index": _guarded(hit)}), orjson.dumps(hit["_source"])]
