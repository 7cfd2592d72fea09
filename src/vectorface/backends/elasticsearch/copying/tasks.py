"""A task on the server that copies documents: watched, waited for, cancelled, found again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from vectorface.asynchronous import twin_of
from vectorface.backends.elasticsearch.checks import check_seconds
from vectorface.backends.elasticsearch.cluster.access import TIMEOUT, Client, Remote
from vectorface.backends.elasticsearch.cluster.waiting import ProgressCallback, tell, until
from vectorface.backends.elasticsearch.server import path_of
from vectorface.backends.elasticsearch.translation import answered, is_missing
from vectorface.errors import BackendError, ConfigurationError, TransientError, VectorfaceError

_TASK_ID: Final = re.compile(r"[^:\s/]+:\d+")
#: So many documents are named in a message.
_NAMED: Final = 5
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
        """Share of the documents that have been dealt with, 0 to 1; ``None`` where they were not counted."""
        if not self.total:
            return 1.0 if self.done and self.error is None and self.cancelled is None else None
        return min(1.0, self.processed / self.total)

    def __str__(self) -> str:
        state = "running" if not self.done else "ended" if self.error is None else "ended by an error"
        share = "" if self.fraction is None else f" ({self.fraction:.0%})"
        why = "" if self.error is None else f". {self.error}"
        counts = f"{self.processed:,} of {self.total:,} documents{share}, {len(self.failures)} failed"
        return f"{state}: {counts}{why}"


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
        """What was not written, as the last :meth:`progress` or :meth:`wait` found it.

        What ended the whole task is no failure of a document, but the ``error`` of :meth:`progress`.
        """
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


def _refused(ended: ReindexProgress) -> VectorfaceError:
    """Return the error for documents that were not written, of the kind of the first."""
    first, named = ended.failures[0].error, [repr(failure.id) for failure in ended.failures[:_NAMED]]
    more = ", …" if len(ended.failures) > _NAMED else ""
    message = (
        f"{len(ended.failures)} documents were not copied ({', '.join(named)}{more}), and the task ended "
        f"with {ended.processed:,} of {ended.total:,} done. The first: {first}"
    )
    error = first.with_message(message)
    error.__cause__ = first
    return error
