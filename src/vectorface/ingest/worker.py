"""One batch, from documents to an outcome: skip what is unchanged, embed, write, retry, bisect."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from vectorface.documents import Prepared
from vectorface.errors import ConnectionFailedError, TransientError, VectorfaceError
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
        if self._cancel.wait(seconds):
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
    """What to do with each batch of a run."""

    writer: Writer
    mode: Mode
    skip_unchanged: bool
    retry: RetryPolicy
    control: Control


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A document that could not be written."""

    document: Prepared
    error: Exception
    attempts: int


@dataclass(slots=True)
class Outcome:
    """What became of each document of a batch."""

    written: list[Prepared] = field(default_factory=list)
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)
    not_reached: list[Prepared] = field(default_factory=list)


def process(batch: Sequence[Prepared], job: Job) -> Outcome:
    """Bring one batch into the store and account for each of its documents."""
    outcome = Outcome()
    fresh, metadata_only = _split_unchanged(batch, job, outcome)
    vectors: dict[str, Prepared] = {}

    def encode(documents: Sequence[Prepared]) -> Mapping[str, Exception]:
        with job.control.encoding():
            job.control.check()
            found = job.writer.encode([document.text for document in documents])
        for document, vector in zip(documents, found, strict=True):
            vectors[document.id] = replace(document, vector=vector)
        return {}

    embedded = [document for document in fresh if document.vector is not None]
    embedded += [
        vectors[document.id]
        for document in _deliver([d for d in fresh if d.vector is None], encode, job, outcome)
    ]
    outcome.written += _deliver(embedded, _write_action(job, job.mode), job, outcome)
    outcome.written += _deliver(metadata_only, _write_action(job, "metadata"), job, outcome)
    return outcome


def _split_unchanged(
    batch: Sequence[Prepared], job: Job, outcome: Outcome
) -> tuple[list[Prepared], list[Prepared]]:
    if not job.skip_unchanged:
        return list(batch), []
    known: dict[str, Stamp] = {}

    def look_up(documents: Sequence[Prepared]) -> Mapping[str, Exception]:
        known.update(job.writer.stored_stamps([document.id for document in documents]))
        return {}

    fresh, metadata_only = [], []
    for document in _deliver(batch, look_up, job, outcome):
        stored, stamp = known.get(document.id), job.writer.stamp(document)
        if stored is None or stored.content != stamp.content:
            fresh.append(document)
        elif stored.metadata != stamp.metadata:
            metadata_only.append(document)
        else:
            outcome.unchanged += 1
    return fresh, metadata_only


def _write_action(job: Job, mode: Mode) -> Action:
    """Return the action that writes; it knows what an earlier try may have written unheard."""
    uncertain: set[str] = set()

    def write(documents: Sequence[Prepared]) -> Mapping[str, Exception]:
        with job.control.writing():
            job.control.check()
            try:
                refused = job.writer.write(_still_missing(documents, uncertain, job, mode), mode)
            except Exception:
                uncertain.update(document.id for document in documents)
                raise
        return refused

    return write


def _still_missing(
    documents: Sequence[Prepared], uncertain: set[str], job: Job, mode: Mode
) -> Sequence[Prepared]:
    """Leave out what a failed ``create`` did write: the id is there, with this very document."""
    doubtful = [document.id for document in documents if document.id in uncertain]
    if mode != "create" or not doubtful:
        return documents
    stored = job.writer.stored_stamps(doubtful)
    return [document for document in documents if stored.get(document.id) != job.writer.stamp(document)]


# -- retry, then bisect -----------------------------------------------------------------------------------


def _deliver(documents: Sequence[Prepared], action: Action, job: Job, outcome: Outcome) -> list[Prepared]:
    """Apply ``action``; return the documents it took, and put the others into ``outcome``."""
    tries: Counter[str] = Counter()
    taken: list[Prepared] = []
    for part, error in _bisected(list(documents), action, job, tries):
        if error is None:
            taken.append(part)
        elif isinstance(error, Cancelled):
            outcome.not_reached.append(part)
        else:
            outcome.refused.append(Refusal(document=part, error=error, attempts=tries[part.id]))
    return taken


def _bisected(
    documents: Sequence[Prepared], action: Action, job: Job, tries: Counter[str]
) -> Iterator[tuple[Prepared, Exception | None]]:
    """Yield each document with its error; a batch that keeps failing is halved down to the cause."""
    answer = _retried(documents, action, job, tries)
    open_ids = {document.id for document in answer.open}
    yield from ((d, answer.refused.get(d.id)) for d in documents if d.id not in open_ids)
    if len(answer.open) == 1 or isinstance(answer.error, ConnectionFailedError | Cancelled):
        yield from ((document, answer.error) for document in answer.open)
    elif answer.open:
        middle = len(answer.open) // 2
        yield from _bisected(answer.open[:middle], action, job, tries)
        yield from _bisected(answer.open[middle:], action, job, tries)


@dataclass(slots=True)
class _Answer:
    """What became of a request: who was refused for good, and who is still open because of ``error``."""

    refused: dict[str, Exception] = field(default_factory=dict)
    open: list[Prepared] = field(default_factory=list)
    error: Exception | None = None


class _SomeRefusedError(TransientError):
    """Some documents of a request got an answer that may pass."""


def _retried(documents: Sequence[Prepared], action: Action, job: Job, tries: Counter[str]) -> _Answer:
    """Call ``action`` until no document is left whose error may pass, or the attempts are used up."""
    answer = _Answer(open=list(documents))
    if not documents:
        return answer
    try:
        for attempt in attempts(job.retry, sleep=job.control.sleep):
            with attempt:
                _try_once(answer, action, tries)
    except _SomeRefusedError:
        answer.open = []  # each of them has an error of its own
    except Cancelled as stop:
        answer.error = answer.error or stop  # after a failed try the honest answer is that failure
    except Exception as error:  # noqa: BLE001 - whatever it is, it goes into the report, document by document
        answer.error = error
    return answer


def _try_once(answer: _Answer, action: Action, tries: Counter[str]) -> None:
    tries.update(document.id for document in answer.open)
    try:
        refused = action(answer.open)
    except Cancelled:
        tries.subtract(document.id for document in answer.open)
        raise
    except Exception as error:
        answer.error = error
        raise
    for document in answer.open:
        answer.refused.pop(document.id, None)
    answer.refused.update(refused)
    answer.open = [document for document in answer.open if _may_pass(refused.get(document.id))]
    answer.error = None
    if answer.open:
        wait = max(retry_after(refused[document.id]) for document in answer.open)
        raise _SomeRefusedError(f"{len(answer.open)} documents were refused for now.", retry_after=wait)


def _may_pass(error: Exception | None) -> bool:
    return error is not None and is_transient(error)
