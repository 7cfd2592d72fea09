"""One batch, from documents to an outcome: skip what is unchanged, embed, write, retry, bisect."""

from __future__ import annotations

import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from vectorface.bridge import on_loop, pause
from vectorface.documents import Prepared
from vectorface.errors import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    IndexMismatchError,
    IndexNotFoundError,
    NotConnectedError,
    PermissionDeniedError,
    TransientError,
    VectorfaceError,
)
from vectorface.ingest.retrying import RetryPolicy, attempts, is_transient, retry_after
from vectorface.ingest.writer import Mode, Stamp, Writer

#: Sends documents; returns the error of each one that was refused, by id.
Action: TypeAlias = Callable[[Sequence[Prepared]], Mapping[str, Exception]]


class Cancelled(VectorfaceError):  # noqa: N818 - a state, not a fault
    """The run was stopped before this document was sent."""


class Control:
    """What the threads of one run share: a place in each stage, and the order to stop."""

    def __init__(self, *, encoders: int, writers: int, cancel: threading.Event) -> None:
        self._encoding = threading.Semaphore(encoders)
        self._writing = threading.Semaphore(writers)
        self._cancel = cancel

    def encoding(self) -> AbstractContextManager[object]:
        """Hold a place in the embedding stage."""
        return self._encoding

    def writing(self) -> AbstractContextManager[object]:
        """Hold a place in the writing stage."""
        return self._writing

    def check(self) -> None:
        """Raise :class:`Cancelled` if the run was stopped."""
        if self._cancel.is_set():
            raise Cancelled("The run was stopped.")

    def sleep(self, seconds: float) -> None:
        """Wait, unless the run is stopped meanwhile."""
        if on_loop():
            pause(seconds)  # it is one task, which can be cancelled itself
        else:
            self._cancel.wait(min(seconds, threading.TIMEOUT_MAX))
        self.check()


class FreeControl(Control):
    """For workers in other processes: nothing is shared, so nothing is held."""

    def __init__(self) -> None:
        super().__init__(encoders=1, writers=1, cancel=threading.Event())

    def encoding(self) -> AbstractContextManager[object]:
        """Hold nothing."""
        return nullcontext()

    def writing(self) -> AbstractContextManager[object]:
        """Hold nothing."""
        return nullcontext()

    def __reduce__(self) -> tuple[type[FreeControl], tuple[()]]:
        return type(self), ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to do with each batch of a run.

    Attributes:
        writer: The store.
        mode: How to write.
        skip_unchanged: Whether to look first what is there already.
        retry: How often to try again.
        control: What the workers share.
        again: Whether the documents may have been written by an earlier run that got no answer.
        run: Differs from run to run: Dask does not repeat a task that looks like one it has done.
    """

    writer: Writer
    mode: Mode
    skip_unchanged: bool
    retry: RetryPolicy
    control: Control
    again: bool
    run: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A document that could not be written."""

    document: Prepared
    error: Exception
    attempts: int


@dataclass(slots=True)
class Outcome:
    """What became of each document of a batch."""

    written: int = 0
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)
    not_reached: list[Prepared] = field(default_factory=list)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Book what did not get through a stage."""
        for refusal in refusals:
            if isinstance(refusal.error, Cancelled):
                self.not_reached.append(refusal.document)
            else:
                self.refused.append(refusal)


def process(batch: Sequence[Prepared], job: Job) -> Outcome:
    """Bring one batch into the store and account for each of its documents."""
    outcome = Outcome()
    fresh, metadata_only = _split_unchanged(batch, job, outcome)
    with_vectors = [document for document in fresh if document.vector is not None]
    with_vectors += _embedded([document for document in fresh if document.vector is None], job, outcome)
    _write(with_vectors, job.mode, job, outcome)
    _write(metadata_only, "metadata", job, outcome)
    return outcome


def process_elsewhere(batch: Sequence[Prepared], job: Job) -> Outcome:
    """Do the same in another process: what comes back must survive the way."""
    try:
        outcome = process(batch, job)
    finally:
        job.writer.close()  # a copy came along with this batch, and connected for it
    outcome.refused = [replace(refusal, error=_portable(refusal.error)) for refusal in outcome.refused]
    return outcome


def _portable(error: Exception) -> Exception:
    """Return the error, or one that says the same if it cannot be unpickled (which would kill the pool)."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever an error's own constructor does when it is called wrongly
        kind = TransientError if is_transient(error) else BackendError
        return kind(f"{type(error).__name__}: {error}")
    return error


# -- the stages -------------------------------------------------------------------------------------------


def _split_unchanged(
    batch: Sequence[Prepared], job: Job, outcome: Outcome
) -> tuple[list[Prepared], list[Prepared]]:
    if not job.skip_unchanged:
        return list(batch), []
    known: dict[str, Stamp] = {}

    def look_up(documents: Sequence[Prepared]) -> Mapping[str, Exception]:
        known.update(job.writer.stored_stamps([document.id for document in documents]))
        return {}

    looked_up, refused = _Delivery(look_up, job).run(batch)
    outcome.refuse(refused)
    fresh, metadata_only = [], []
    for document in looked_up:
        stored, stamp = known.get(document.id), job.writer.stamp(document)
        if stored is None or stored.content != stamp.content:
            fresh.append(document)
        elif stored.metadata != stamp.metadata:
            metadata_only.append(document)
        else:
            outcome.unchanged += 1
    return fresh, metadata_only


def _embedded(documents: Sequence[Prepared], job: Job, outcome: Outcome) -> list[Prepared]:
    ready: dict[str, Prepared] = {}

    def encode(part: Sequence[Prepared]) -> Mapping[str, Exception]:
        with job.control.encoding():
            job.control.check()
            vectors = job.writer.encode([document.text for document in part])
        for document, vector in zip(part, vectors, strict=True):
            ready[document.id] = replace(document, vector=vector)
        return {}

    embedded, refused = _Delivery(encode, job).run(documents)
    outcome.refuse(refused)
    return [ready[document.id] for document in embedded]


def _write(documents: Sequence[Prepared], mode: Mode, job: Job, outcome: Outcome) -> None:
    unheard = {document.id for document in documents} if job.again and mode == "create" else set()

    def write(part: Sequence[Prepared]) -> Mapping[str, Exception]:
        with job.control.writing():
            job.control.check()
            try:
                refused = job.writer.write(part, mode)
            except Exception as error:
                if _leaves_open(error):
                    unheard.update(document.id for document in part)
                raise
        unheard.update(id_ for id_, error in refused.items() if _leaves_open(error))
        return refused

    written, refused = _Delivery(write, job).run(documents)
    there = _found([refusal.document for refusal in refused if refusal.document.id in unheard], job)
    outcome.written += len(written) + len(there)
    outcome.refuse(refusal for refusal in refused if refusal.document.id not in there)


def _leaves_open(error: Exception) -> bool:
    """Tell whether the write may have been done all the same: there was no answer, or none we know.

    What a backend raises as a ``VectorfaceError`` that will not pass is the store's own "no".
    """
    return is_transient(error) or not isinstance(error, VectorfaceError)


def _found(documents: Sequence[Prepared], job: Job) -> set[str]:
    """Return the ids of those documents that are in the store exactly so: they were written unheard."""
    if not documents:
        return set()
    try:
        with job.control.writing():
            stored = job.writer.stored_stamps([document.id for document in documents])
    except Exception:  # noqa: BLE001 - then nobody knows, and the failure they have already stands
        return set()
    return {document.id for document in documents if stored.get(document.id) == job.writer.stamp(document)}


# -- retry, then bisect -----------------------------------------------------------------------------------


#: Errors that one document of a request would get alone, too.
_NOT_ABOUT_DOCUMENTS: Final = (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    IndexMismatchError,
    IndexNotFoundError,
    NotConnectedError,
    PermissionDeniedError,
)


class _SomeRefusedError(TransientError):
    """Some documents of a request got an answer that may pass."""


class _Delivery:
    """Brings documents through one stage: tries again, and halves what keeps failing down to the cause."""

    def __init__(self, action: Action, job: Job) -> None:
        self._action = action
        self._job = job
        self._tries: Counter[str] = Counter()
        self._through: set[str] = set()
        self._errors: dict[str, Exception] = {}  # the last one of each document

    def run(self, documents: Sequence[Prepared]) -> tuple[list[Prepared], list[Refusal]]:
        """Return the documents that got through, and the others."""
        self._deliver(documents)
        through = [document for document in documents if document.id in self._through]
        refused = [self._refusal(document) for document in documents if document.id not in self._through]
        return through, refused

    def _refusal(self, document: Prepared) -> Refusal:
        return Refusal(document=document, error=self._errors[document.id], attempts=self._tries[document.id])

    def _deliver(self, documents: Sequence[Prepared]) -> None:
        suspects = self._retried(documents) if documents else []
        if len(suspects) > 1:
            middle = len(suspects) // 2
            self._deliver(suspects[:middle])
            self._deliver(suspects[middle:])

    def _retried(self, documents: Sequence[Prepared]) -> Sequence[Prepared]:
        """Try until no error is left that may pass; return those one of which may have failed the others."""
        left = documents
        try:
            for attempt in attempts(self._job.retry, sleep=self._job.control.sleep):
                with attempt:
                    left = self._tried(left)
                    self._raise_if_refused(left)
        except (_SomeRefusedError, *_NOT_ABOUT_DOCUMENTS):
            pass  # each has an error of its own; or all have the same
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the report, document by document
            for document in left:  # one that failed before it was cancelled keeps that error
                self._errors.setdefault(document.id, error)
            return [] if isinstance(error, Cancelled) else left
        return []

    def _tried(self, documents: Sequence[Prepared]) -> list[Prepared]:
        """Try once; return the documents that were refused for now."""
        ids = [document.id for document in documents]
        try:
            refused = self._action(documents)
        except Cancelled:
            raise
        except Exception as error:
            self._tries.update(ids)
            self._errors.update(dict.fromkeys(ids, error))
            raise
        self._tries.update(ids)
        self._errors.update(refused)
        self._through.update(id_ for id_ in ids if id_ not in refused)
        return [one for one in documents if one.id in refused and is_transient(refused[one.id])]

    def _raise_if_refused(self, documents: Sequence[Prepared]) -> None:
        if documents:
            wait = max(retry_after(self._errors[document.id]) for document in documents)
            raise _SomeRefusedError(f"{len(documents)} documents were refused for now.", retry_after=wait)
