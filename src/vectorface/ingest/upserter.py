"""The threaded batch upserter: reads once, keeps a bounded window, overlaps embedding with writing.

The calling thread reads the input, cuts batches and keeps the account. Worker threads take a batch from
documents to an outcome (:func:`vectorface.ingest.worker.process`); while one of them writes, another
embeds. Nothing is shared between threads but the places in each stage and the order to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import uuid4

from vectorface.documents import Prepared, counted
from vectorface.errors import (
    BackendError,
    DuplicateDocumentError,
    InvalidInputError,
    PartialWriteError,
    SourceError,
    UpsertInterrupted,
    VectorfaceError,
)
from vectorface.ingest.account import Account, Item, Progress, Refused, prepared_or_refused, refused
from vectorface.ingest.batches import SeenIds, batches
from vectorface.ingest.interrupts import Interrupts
from vectorface.ingest.retrying import RetryPolicy
from vectorface.ingest.worker import Control, FreeControl, Job, Outcome, process, process_elsewhere
from vectorface.ingest.writer import Mode, Writer
from vectorface.records import Stop, WriteReport

if TYPE_CHECKING:
    from types import TracebackType

    from langchain_core.documents import Document

OnError: TypeAlias = Literal["raise", "report"]
Callback: TypeAlias = Callable[[Progress], None]
#: What may be read: a document, or one that was prepared before.
Input: TypeAlias = "Document | Item"

#: Seconds between looks at the order to cancel, which rings no bell.
_LOOK = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a run goes about its work; see ``VectorDBInterface.upsert_parallel`` for each.

    ``again`` says that the documents were sent before: one that is stored exactly so was written then.
    ``ids`` are those that the report is to list.
    """

    mode: Mode = "replace"
    batch_size: int
    encoders: int
    writers: int
    max_workers: int
    skip_unchanged: bool = False
    on_error: OnError = "raise"
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    callbacks: tuple[Callback, ...] = ()
    executor: Executor | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    max_failures: int = 1_000
    again: bool = False
    ids: tuple[str, ...] = ()


class InlineExecutor(Executor):
    """Runs each task at once in the calling thread: for calls too small to deserve threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` and return a finished future; a Ctrl-C passes through."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asks the future
            future.set_exception(error)
        return future


def upsert(
    documents: Iterable[Input], writer: Writer, settings: Settings, *, total: int | None
) -> WriteReport:
    """Write every one of ``documents`` and account for each.

    Args:
        documents: Any number of them; consumed once. A generator is closed at the end.
        writer: The store.
        settings: How to go about it.
        total: How many there are, where known.

    Raises:
        PartialWriteError: Some documents failed and ``settings.on_error`` is ``"raise"``.
        SourceError: ``documents``, a callback or the executor raised.
        UpsertInterrupted: Ctrl-C.
    """
    return _Run(writer, settings, total).finish(documents)


class _Run:
    def __init__(self, writer: Writer, settings: Settings, total: int | None) -> None:
        self._writer = writer
        self._settings = settings
        self._account = Account(total=total)
        self._told = 0
        self._stop: Stop | None = None
        self._culprit = "The input, a callback or the executor"
        self._read: list[tuple[int, Input]] = []
        self._window: list[Prepared] = []
        self._in_flight: dict[Future[Outcome], list[Prepared]] = {}
        # Futures ring it when they are done. A SimpleQueue, because it is safe against a signal anywhere:
        # an interrupted concurrent.futures.wait() may keep the locks that a worker needs to answer.
        self._bell: SimpleQueue[Future[Outcome]] = SimpleQueue()
        self._abandoned = False
        self._seen = SeenIds()
        self._halt = threading.Event()
        self._interrupts = Interrupts()
        self._executor = _own_threads(settings) if settings.executor is None else settings.executor
        self._local = isinstance(self._executor, ThreadPoolExecutor | InlineExecutor)
        self._job = Job(
            writer=writer,
            mode=settings.mode,
            skip_unchanged=settings.skip_unchanged,
            retry=settings.retry,
            control=self._control(),
            again=settings.again,
            run=uuid4().hex,
        )

    def _control(self) -> Control:
        if not self._local:
            return FreeControl()  # the workers may live in other processes
        settings = self._settings
        return Control(encoders=settings.encoders, writers=settings.writers, cancel=self._halt)

    # -- the story ----------------------------------------------------------------------------------------

    def finish(self, documents: Iterable[Input]) -> WriteReport:
        """Run to the end, or to what stops it, and report."""
        cause: Exception | None = None
        with ExitStack() as stack:
            stack.enter_context(self._interrupts)
            stack.callback(self._close)
            try:
                self._send_all(documents)
                self._drain()
                self._tell()
            except KeyboardInterrupt:
                self._stop = "interrupted"
            except Exception as error:  # noqa: BLE001 - the caller's own code raised: reported below, with it as cause
                self._stop, cause = "source_error", error
            self._settle()
        if self._account.progress().written:
            self._writer.show()
        return self._conclude(cause)

    def _close(self) -> None:
        self._halt.set()
        if self._settings.executor is None:
            self._executor.shutdown(wait=not self._abandoned, cancel_futures=True)
        self._seen.close()

    def _send_all(self, documents: Iterable[Input]) -> None:
        with self._blaming("The input"):
            stream = iter(documents)
        with self._closing(stream):
            source = enumerate(stream)
            while self._fill_window(source):
                self._send_window()

    @contextmanager
    def _closing(self, stream: Iterator[Input]) -> Iterator[None]:
        try:
            yield
        finally:
            if isinstance(stream, Generator):
                with self._blaming("The input"):
                    stream.close()

    def _blaming(self, culprit: str) -> _Blaming:
        return _Blaming(self, culprit)

    def blame(self, culprit: str) -> None:
        """Note whose code it was that raised, for the message."""
        self._culprit = culprit

    def _send_window(self) -> None:
        parts = batches(
            self._window,
            size=self._settings.batch_size,
            limits=self._writer.limits,
            dimension=self._writer.dimension,
        )
        for batch in list(parts):
            while len(self._in_flight) > self._settings.max_workers and not self._stopped():
                self._collect()
            if self._stopped():
                return
            self._send(batch)

    def _send(self, batch: list[Prepared]) -> None:
        sent = {document.id for document in batch}
        self._window = [document for document in self._window if document.id not in sent]
        try:
            future = self._submit(batch)
        except Exception:
            self._account.never_reached(batch)
            raise
        except BaseException as interrupt:
            self._fail_batch(batch, interrupt)
            raise
        self._in_flight[future] = batch
        future.add_done_callback(self._bell.put)

    def _submit(self, batch: list[Prepared]) -> Future[Outcome]:
        task = process if self._local else process_elsewhere
        inline = isinstance(self._executor, InlineExecutor)
        with self._blaming("The executor"), self._interrupts.allowed() if inline else nullcontext():
            return self._executor.submit(task, batch, self._job)

    # -- reading ------------------------------------------------------------------------------------------

    def _fill_window(self, source: Iterator[tuple[int, Input]]) -> bool:
        """Read the next window; tell whether there is anything to send.

        It is one batch while nothing is in flight, so that the workers need not wait for all that is read.
        """
        size = min(self._settings.batch_size, self._writer.limits.max_documents)
        wanted = size * (self._settings.max_workers if self._in_flight else 1)
        while len(self._window) < wanted and not self._stopped() and self._take(source):
            if not self._bell.empty():
                self._collect()
        return bool(self._window) and not self._stopped()

    def _take(self, source: Iterator[tuple[int, Input]]) -> bool:
        """Read one document, if there is one."""
        with self._blaming("The input"), self._interrupts.allowed():
            self._read.extend(islice(source, 1))  # fetched and put down in one step: no Ctrl-C can lose it
        if not self._read:
            return False
        [(position, value)] = self._read
        self._admit(_item(position, value))
        self._read.clear()
        return True

    def _admit(self, item: Item) -> None:
        if isinstance(item, Prepared):
            item = self._checked(item)
        if isinstance(item, Refused):
            self._account.fail(item, item.error)
            return
        verdict = self._seen.check(item)
        if verdict == "new":
            self._window.append(item)
        elif verdict == "same":
            self._account.collapse()
        else:
            conflict = _two_contents(item.id)
            self._account.fail(refused(item, conflict), conflict)

    def _checked(self, item: Prepared) -> Item:
        try:
            return self._writer.check(item)
        except InvalidInputError as error:
            return refused(item, error)

    # -- collecting ---------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait a little for a batch to finish, and book what has finished."""
        self._await_bell()
        if any(isinstance(error, KeyboardInterrupt) for error in self._book_finished()):
            raise KeyboardInterrupt
        self._tell()

    def _await_bell(self) -> None:
        with self._interrupts.allowed(), suppress(Empty):
            self._bell.get(timeout=_LOOK)

    def _book_finished(self) -> list[BaseException | None]:
        return [self._book(future) for future in list(self._in_flight) if future.done()]

    def _book(self, future: Future[Outcome]) -> BaseException | None:
        """Book a finished batch; return what its worker died of, if it did."""
        batch = self._in_flight.pop(future)
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self._account.add(future.result())
        else:
            self._fail_batch(batch, error)
        return error

    def _fail_batch(self, batch: Sequence[Prepared], error: BaseException) -> None:
        """Book a batch that no worker answered for."""
        unknown = BackendError(f"It is not known whether this was written: its worker ended with {error!r}.")
        unknown.__cause__ = error
        for document in batch:
            self._account.fail(document, unknown, attempts=1)

    def _tell(self) -> None:
        """Show the account to the callbacks, if it has moved."""
        progress = self._account.progress()
        if progress.done > self._told:
            self._told = progress.done
            with self._blaming("A callback"), self._interrupts.allowed():
                for callback in self._settings.callbacks:
                    callback(progress)

    # -- ending -------------------------------------------------------------------------------------------

    def _stopped(self) -> bool:
        if self._settings.cancel.is_set():
            self._stop = self._stop or "cancelled"
        elif self._account.failed >= self._settings.max_failures:
            self._stop = self._stop or "max_failures"
        return self._stop is not None

    def _drain(self) -> None:
        while self._in_flight:
            if self._stopped():
                self._recall()
            self._collect()

    def _settle(self) -> None:
        """Bring the account to rest: nothing in flight, nothing unaccounted for."""
        if self._stop is not None:
            self._recall()
        try:
            while self._in_flight:
                self._await_bell()
                self._book_finished()
        except KeyboardInterrupt as second:
            self._stop = "interrupted"
            self._abandon(second)
        self._account.never_reached([_item(position, value) for position, value in self._read])
        self._account.never_reached(self._window)

    def _recall(self) -> None:
        """Tell the workers to stop, and take back what none of them has begun.

        Only our kind of executor can be asked: Dask's says "cancelled" of a task that goes on running.
        """
        self._halt.set()
        for future in list(self._in_flight) if self._local else ():
            if future.cancel():
                self._account.never_reached(self._in_flight.pop(future))

    def _abandon(self, interrupt: KeyboardInterrupt) -> None:
        """Do not wait for what is in flight: a second Ctrl-C means now."""
        self._abandoned = True
        self._book_finished()
        for batch in self._in_flight.values():
            self._fail_batch(batch, interrupt)
        self._in_flight.clear()

    def _conclude(self, cause: Exception | None) -> WriteReport:
        report = self._account.report(stopped=self._stop, ids=self._settings.ids, again=self._again)
        if self._stop == "interrupted" or self._interrupts.held:  # held: when all was done, but it was meant
            raise UpsertInterrupted(f"Interrupted: {report}.", report) from cause
        if cause is not None:
            raise SourceError(f"{self._culprit} raised {cause!r}; before that: {report}.", report) from cause
        if report.failures and self._settings.on_error == "raise":
            raise PartialWriteError(_summary(report), report) from report.failures[0].error
        return report

    def _again(self, items: Sequence[Item]) -> WriteReport:
        settings = replace(self._settings, again=True, ids=())
        return upsert(items, self._writer, settings, total=len(items))


class _Blaming(AbstractContextManager[None]):
    """Notes whose code raised; a class, because one is entered for each document that is read."""

    def __init__(self, run: _Run, culprit: str) -> None:
        self._run = run
        self._culprit = culprit

    def __enter__(self) -> None:
        """Nobody is to blame yet."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._run.blame(self._culprit)


def _own_threads(settings: Settings) -> Executor:
    return ThreadPoolExecutor(settings.max_workers, thread_name_prefix="vectorface-upsert")


def _item(position: int, value: Input) -> Item:
    if isinstance(value, Prepared | Refused):
        return value
    return prepared_or_refused(value, where=f"document {position}")


def _two_contents(id_: str) -> DuplicateDocumentError:
    return DuplicateDocumentError(
        f"The id {id_!r} stands for two different documents in this call; the first one was taken. "
        "Give different documents different ids, or leave the ids out.",
        ids=(id_,),
    )


def _summary(report: WriteReport) -> str:
    first = report.failures[0]
    more = f"; stopped: {report.stopped}" if report.stopped else ""
    were = "was" if report.failed == 1 else "were"
    them = "it" if report.failed + report.not_reached == 1 else "them"
    name = "" if first.id is None else f"id {first.id!r}: "
    return (
        f"{report.failed} of {counted(report.total, 'document')} {were} not written (first: {name}"
        f"{_told(first.error)}){more}. error.report names each; error.report.retry() sends {them} again."
    )


def _told(error: Exception) -> str:
    """Return what an error says, with its type where the text alone may not tell what it is."""
    if isinstance(error, VectorfaceError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
