"""Copying an index into another on the server, as a task that can be watched, waited for and cancelled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeAlias, get_args

from vectorface.asynchronous import twin_of
from vectorface.backends.elasticsearch.access import (
    TIMEOUT,
    Client,
    Remote,
    function_twin_of,
    is_missing,
    same_kind,
    server_behind,
)
from vectorface.backends.elasticsearch.checks import check_count, check_name, check_one_of, check_seconds
from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.backends.elasticsearch.translation import answered
from vectorface.backends.elasticsearch.waiting import ProgressCallback, tell, until
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    IndexNotFoundError,
    TransientError,
    VectorfaceError,
)

Conflicts: TypeAlias = Literal["abort", "proceed"]
OpType: TypeAlias = Literal["index", "create"]

#: What Elastic's guide ("Tutorial: semantic search with ELSER") advises where a pipeline runs a model: small
#: batches show progress and errors early. Elasticsearch's own default is 1,000.
ELSER_BATCH: Final = 50
#: ``index.max_result_window``, beyond which no page of a scroll goes.
_LARGEST_BATCH: Final = 10_000
_TASK_ID: Final = re.compile(r"[^:\s/]+:\d+")
_COUNTED: Final = ("total", "created", "updated", "deleted", "noops", "version_conflicts", "batches")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReindexFailure:
    """A document that was not written, or a shard that could not be read.

    Attributes:
        id: The document's id; ``None`` where a shard could not be read.
        index: The index concerned.
        reason: Why, in the server's words.
        error: The same as an error of the library, whose kind says what to do.
    """

    id: str | None
    index: str
    reason: str
    error: VectorfaceError


@dataclass(frozen=True, kw_only=True, slots=True)
class ReindexProgress:
    """How far a task is.

    Attributes:
        done: Whether it has ended, one way or another.
        total: Documents to be copied; 0 until the server has counted them.
        created: Documents that are new.
        updated: Documents that replaced others.
        deleted: Documents that were deleted (by a script).
        noops: Documents that were left out (by a script).
        conflicts: Documents that were there already, with ``op_type="create"``, or changed meanwhile.
        batches: Batches that were read.
        retries: Batches that were sent again because the queue was full, or a shard not there.
        seconds: For how long it runs, or ran.
        cancelled: Why it was cancelled; ``None`` if it was not.
        failures: What was not written; known at the end.
        error: What ended the whole task; ``None`` if nothing did.
    """

    done: bool
    total: int
    created: int
    updated: int
    deleted: int
    noops: int
    conflicts: int
    batches: int
    retries: int
    seconds: float
    cancelled: str | None = None
    failures: tuple[ReindexFailure, ...] = ()
    error: VectorfaceError | None = None

    @property
    def processed(self) -> int:
        """Documents that have been dealt with."""
        return self.created + self.updated + self.deleted + self.noops + self.conflicts

    @property
    def fraction(self) -> float | None:
        """Share of the documents that have been dealt with, 0 to 1; ``None`` before they are counted."""
        if not self.total:
            return 1.0 if self.done else None
        return min(1.0, self.processed / self.total)

    def __str__(self) -> str:
        state = "ended" if self.done else "running"
        share = "" if self.fraction is None else f" ({self.fraction:.0%})"
        return f"{state}: {self.processed:,} of {self.total:,} documents{share}, {len(self.failures)} failed"


class ReindexTask(Remote):
    """A task on the server that copies documents; it goes on if this process ends.

    Every method has an async twin: ``aprogress``, ``acancel``, and ``async_wait`` for :meth:`wait`.

    Args:
        client: What reaches the cluster.
        task_id: The task's id, ``NODE:NUMBER``.
        timeout: Seconds to wait for an answer, where ``client`` is Elasticsearch's own.

    Raises:
        ConfigurationError: The id is not one.
    """

    def __init__(self, client: Client, task_id: str, *, timeout: float = TIMEOUT) -> None:
        if not _TASK_ID.fullmatch(str(task_id)):
            raise ConfigurationError(f"task_id={task_id!r:.80} is not one; it reads 'NODE:NUMBER'.")
        super().__init__(client, timeout=timeout)
        self.id = task_id
        self._failures: tuple[ReindexFailure, ...] = ()

    def __repr__(self) -> str:
        return f"ReindexTask({self.id!r})"

    @classmethod
    def attach(cls, client: Client, task_id: str) -> Self:
        """Return a task that was started elsewhere, by its id.

        Args:
            client: An ``elasticsearch.Elasticsearch``, or a connected ``ElasticsearchDB``.
            task_id: What :attr:`id` was there.

        Raises:
            ConfigurationError: The id is not one.
        """
        return cls(client, task_id)

    @property
    def failures(self) -> tuple[ReindexFailure, ...]:
        """What was not written, as the last :meth:`progress` or :meth:`wait` found it."""
        return self._failures

    def progress(self) -> ReindexProgress:
        """Return how far it is.

        Raises:
            BackendError: The server knows no such task: its node left the cluster, or the record of it was
                deleted.
        """
        try:
            answer = self._server.request(
                "GET", path_of("_tasks", self.id), doing=f"looking at task {self.id!r}"
            )
        except VectorfaceError as error:  # an index, too, if nothing was ever recorded
            if not is_missing(error):
                raise
            raise BackendError(
                f"There is no task {self.id!r}. Perhaps its node has left the cluster, and the task with it: "
                "compare the counts of both indexes, and reindex() what is missing with op_type='create', "
                "conflicts='proceed'."
            ) from error
        found = self._read(answer)
        self._failures = found.failures
        return found

    def _read(self, answer: Mapping[str, Any]) -> ReindexProgress:
        task = answer["task"]
        response = answer.get("response") or {}
        status = response or task.get("status") or {}
        statuses = [status]
        if not answer["completed"] and "slices" in status:
            statuses += self._slices()
        counts = {name: sum(one.get(name) or 0 for one in statuses) for name in _COUNTED}
        conflicts = counts.pop("version_conflicts")
        return ReindexProgress(
            **counts,
            conflicts=conflicts,
            done=answer["completed"],
            retries=sum(sum((one.get("retries") or {}).values()) for one in statuses),
            seconds=task.get("running_time_in_nanos", 0) / 1e9,
            cancelled=status.get("canceled"),
            failures=tuple(self._failure(one) for one in response.get("failures", ())),
            error=self._error(answer.get("error")),
        )

    def _error(self, told: Mapping[str, Any] | None) -> VectorfaceError | None:
        return None if told is None else answered(500, told, f"reindexing (task {self.id!r})")

    def _slices(self) -> list[Mapping[str, Any]]:
        """Return how far the running slices are: until they end, the task itself does not count them."""
        answer = self._server.request(
            "GET",
            "/_tasks",
            params={"parent_task_id": self.id, "detailed": True},
            doing=f"looking at the slices of task {self.id!r}",
        )
        tasks = (task for node in answer.get("nodes", {}).values() for task in node["tasks"].values())
        return [task["status"] for task in tasks if "status" in task]

    def _failure(self, told: Mapping[str, Any]) -> ReindexFailure:
        cause = told.get("cause") or told.get("reason") or {}
        index, id_ = told.get("index", "?"), told.get("id")
        doing = f"copying {f'document {id_!r}' if id_ is not None else 'documents'} into index {index!r}"
        reason = cause.get("reason") or cause.get("type") or "unknown"
        return ReindexFailure(
            id=id_, index=index, reason=reason, error=answered(told.get("status", 500), cause, doing)
        )

    def wait(
        self, *, timeout: float | None = None, progress: ProgressCallback | None = None
    ) -> ReindexProgress:
        """Wait until it has ended.

        Args:
            timeout: Seconds; without end if left out. The task itself goes on after that.
            progress: Called with ``"reindexing"`` and the share that is done, 0 to 1.

        Returns:
            How it ended: every document was copied, or it was cancelled.

        Raises:
            TransientError: It has not ended in time; it goes on.
            BackendError: Documents were refused, which :attr:`failures` names, or the task failed; its kind
                is that of the (first) cause.
        """
        check_seconds("timeout", timeout, optional=True)
        last: list[ReindexProgress] = []

        def look() -> ReindexProgress | None:
            last[:] = [self.progress()]
            tell(progress, "reindexing", last[0].fraction)
            return last[0] if last[0].done else None

        def late() -> TransientError:
            return TransientError(
                f"Task {self.id!r} is still running after {timeout:g} seconds ({last[0]}); wait() again, or "
                "cancel() it."
            )

        ended = until(look, timeout=timeout, late=late)
        if ended.error is not None:
            raise ended.error
        if ended.failures:
            raise _refused(ended)
        return ended

    def cancel(self, *, timeout: float = 60.0) -> ReindexProgress:
        """Stop it when the batch at hand is written; what was copied stays.

        Args:
            timeout: Seconds to wait for that.

        Returns:
            How far it came.

        Raises:
            TransientError: It has not stopped in time.
        """
        check_seconds("timeout", timeout)
        try:
            self._server.request(
                "POST", path_of("_tasks", self.id, "_cancel"), doing=f"cancelling task {self.id!r}"
            )
        except BackendError as error:
            if not is_missing(error):
                raise  # one that has ended is not found among those that could be cancelled

        def look() -> ReindexProgress | None:
            found = self.progress()
            return found if found.done else None

        def late() -> TransientError:
            return TransientError(
                f"Task {self.id!r} was told to stop {timeout:g} seconds ago and still runs."
            )

        return until(look, timeout=timeout, late=late)

    # -- async twins --------------------------------------------------------------------------------------

    aprogress = twin_of(progress)
    acancel = twin_of(cancel)
    async_wait = twin_of(wait)


def reindex(
    client: Client,
    source: str | Sequence[str],
    dest: str,
    *,
    pipeline: str | None = None,
    query: Mapping[str, Any] | None = None,
    size: int | None = None,
    slices: int | Literal["auto"] | None = None,
    requests_per_second: float | None = None,
    conflicts: Conflicts = "abort",
    op_type: OpType = "index",
    refresh: bool = True,
) -> ReindexTask:
    """Start to copy the documents of an index into another, on the server.

    Args:
        client: An ``elasticsearch.Elasticsearch``, or a connected ``ElasticsearchDB``.
        source: The index, or several, or aliases of them.
        dest: The index to write to, which must exist: Elasticsearch would make one with a guessed mapping.
        pipeline: Ingest pipeline for each document, instead of the default one of ``dest``; ``"_none"`` for
            none. With ELSER it is what takes the time: pass a small ``size``, Elastic advises 50
            (:data:`ELSER_BATCH`).
        query: Elasticsearch's query for which documents; all if left out.
        size: Documents in a batch, up to 10,000; Elasticsearch's default is 1,000.
        slices: How many parts work at the same time, or ``"auto"`` for one a shard. Where a model is the
            bottleneck, more parts only fill its queue.
        requests_per_second: At most so many documents a second, on average.
        conflicts: ``"proceed"`` to go on where a document is there already; otherwise that ends the task.
        op_type: ``"create"`` to leave documents alone that are there already.
        refresh: Whether the copies show in searches at the end.

    Returns:
        The task, which runs on the server: ``.progress()``, ``.wait()``, ``.cancel()``.

    Raises:
        ConfigurationError: An argument is wrong, or there is no such pipeline; nothing was copied.
        IndexNotFoundError: There is no such index.

    Example:
        ::

            task = reindex(client, "stories", "stories-elser", pipeline="elser", size=ELSER_BATCH)
            task.wait(progress=lambda state, done: print(state, done))
    """
    names = [source] if isinstance(source, str) else source
    _check(names, dest, pipeline=pipeline, query=query, size=size, slices=slices, refresh=refresh)
    if requests_per_second is not None:
        check_seconds("requests_per_second", requests_per_second)
    check_one_of("conflicts", conflicts, get_args(Conflicts))
    check_one_of("op_type", op_type, get_args(OpType))
    server = server_behind(client)
    _check_there(server, dest, pipeline)
    body = {
        "conflicts": conflicts,
        "source": {
            "index": list(names),
            **({} if query is None else {"query": dict(query)}),
            **({} if size is None else {"size": size}),
        },
        "dest": {"index": dest, "op_type": op_type, **({} if pipeline is None else {"pipeline": pipeline})},
    }
    params: dict[str, Any] = {"wait_for_completion": False, "refresh": refresh}
    params |= {} if slices is None else {"slices": slices}
    params |= {} if requests_per_second is None else {"requests_per_second": requests_per_second}
    doing = f"starting to copy {', '.join(map(repr, names))} into {dest!r}"
    answer = server.request("POST", "/_reindex", params=params, body=body, doing=doing)
    return ReindexTask(server, answer["task"])


areindex = function_twin_of(reindex)


def _check(
    names: Iterable[object],
    dest: object,
    *,
    pipeline: object,
    query: object,
    size: object,
    slices: object,
    refresh: object,
) -> None:
    names = list(names)
    if not names:
        raise ConfigurationError("source= names no index.")
    for name in names:
        check_name("source", name)
    check_name("dest", dest)
    if dest in names:
        raise ConfigurationError(f"source and dest are both {dest!r}: an index cannot be copied into itself.")
    if pipeline is not None:
        check_name("pipeline", pipeline)
    if query is not None and not isinstance(query, Mapping):
        raise ConfigurationError(f"query={query!r:.80} must be a query of Elasticsearch's, a dict.")
    if size is not None:
        check_count("size", size, most=_LARGEST_BATCH)
    if slices is not None and slices != "auto":
        check_count("slices", slices)
    if not isinstance(refresh, bool):
        raise ConfigurationError(f"refresh={refresh!r:.40} must be True or False.")


def _check_there(server: Server, dest: str, pipeline: str | None) -> None:
    try:
        server.request("GET", path_of(dest, "_alias"), doing=f"looking up index {dest!r}")
    except (IndexNotFoundError, BackendError) as error:
        if not is_missing(error):
            raise
        raise IndexNotFoundError(
            f"There is no index {dest!r} to copy into; make it first, with the mapping that it is to have: "
            "Elasticsearch would guess one."
        ) from error
    if pipeline in {None, "_none"}:
        return
    try:
        server.request(
            "GET", path_of("_ingest", "pipeline", str(pipeline)), doing=f"looking up pipeline {pipeline!r}"
        )
    except BackendError as error:
        if not is_missing(error):
            raise
        raise ConfigurationError(
            f"There is no ingest pipeline {pipeline!r}; Pipelines.create() makes it."
        ) from error


def _refused(ended: ReindexProgress) -> VectorfaceError:
    """Return the error for documents that were not written, of the kind of the first."""
    first = ended.failures[0].error
    message = (
        f"{len(ended.failures)} documents were not copied, and the task ended with {ended.processed:,} of "
        f"{ended.total:,} done; task.failures names them. The first: {first}"
    )
    error = same_kind(first, message)
    error.__cause__ = first
    return error
