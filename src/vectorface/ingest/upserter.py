"""The threaded batch upserter: reads once, keeps a bounded window, overlaps embedding with writing.

The calling thread reads the input, cuts batches and keeps the account. Worker threads take a batch from
documents to an outcome (:func:`vectorface.ingest.worker.process`); while one of them writes, another
embeds. Nothing is shared between threads but the places in each stage and the order to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vectorface.documents import Prepared
from vectorface.errors import (
    DuplicateDocumentError,
    InvalidInputError,
    PartialWriteError,
    SourceError,
    UpsertInterrupted,
    WriteError,
)
from vectorface.ingest.account import Account, Item, Progress, Refused, prepared_again
from vectorface.ingest.batches import SeenIds, batches
from vectorface.ingest.interrupts import Interrupts
from vectorface.ingest.retrying import RetryPolicy
from vectorface.ingest.worker import Control, FreeControl, Job, Outcome, Refusal, process
from vectorface.ingest.writer import Mode, Writer
from vectorface.records import Stop, WriteReport

OnError: TypeAlias = Literal["raise", "report"]
Callback: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a run goes about its work; see ``VectorDBInterface.upsert_parallel`` for each."""

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


class InlineExecutor(Executor):
    """Runs each task at once in the calling thread: for calls too small to deserve threads."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` and return its result as a finished future."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def upsert(items: Iterable[Item], writer: Writer, settings: Settings, *, total: int | None) -> WriteReport:
    """Write every document of ``items`` and account for each.

    Args:
        items: The prepared documents, in any number; consumed once.
        writer: The store.
        settings: How to go about it.
        total: How many items there are, where known.

    Raises:
        PartialWriteError: Some documents failed and ``settings.on_error`` is ``"raise"``.
        SourceError: ``items`` or a callback raised.
        UpsertInterrupted: Ctrl-C.
    """
    return _Run(writer, settings, total).finish(items)


class _Run:
    def __init__(self, writer: Writer, settings: Settings, total: int | None) -> None:
        self._writer = writer
        self._settings = settings
        self._account = Account(total=total)
        self._stop: Stop | None = None
        self._window: list[Prepared] = []
        self._in_flight: dict[Future[Outcome], list[Prepared]] = {}
        self._sending: list[Prepared] = []
        self._seen = SeenIds()
        self._halt = threading.Event()
        self._interrupts = Interrupts()

    # -- the story ----------------------------------------------------------------------------------------

    def finish(self, items: Iterable[Item]) -> WriteReport:
        """Run to the end, or to what stops it, and report."""
        cause: BaseException | None = None
        with ExitStack() as stack:
            stack.callback(self._seen.close)
            submit = self._open_executor(stack)
            stack.enter_context(self._interrupts)
            try:
                self._send_all(items, submit)
            except KeyboardInterrupt as interrupt:
                self._stop, cause = "interrupted", interrupt
            except Exception as error:  # noqa: BLE001 - the caller's own code raised: reported below, with it as cause
                self._stop, cause = "source_error", error
            self._settle()
        return self._conclude(cause)

    def _send_all(self, items: Iterable[Item], submit: Callable[[list[Prepared]], Future[Outcome]]) -> None:
        source = iter(items)
        while self._fill_window(source):
            parts = batches(
                self._window,
                size=self._settings.batch_size,
                limits=self._writer.limits,
                dimension=self._writer.dimension,
            )
            for batch in list(parts):
                while len(self._in_flight) >= self._most_in_flight:
                    self._collect()
                if self._stopped():
                    return
                self._send(batch, submit)
        while self._in_flight and not self._stopped():
            self._collect()

    def _send(self, batch: list[Prepared], submit: Callable[[list[Prepared]], Future[Outcome]]) -> None:
        sent = {document.id for document in batch}
        self._window = [document for document in self._window if document.id not in sent]
        self._sending = batch
        self._in_flight[submit(batch)] = batch
        self._sending = []

    # -- reading ------------------------------------------------------------------------------------------

    def _fill_window(self, source: Iterator[Item]) -> bool:
        """Read the next window; tell whether there is anything to send."""
        wanted = self._settings.batch_size * self._settings.max_workers
        while len(self._window) < wanted and not self._stopped():
            with self._interrupts.allowed():
                item = next(source, None)
            if item is None:
                break
            self._admit(item)
        return bool(self._window) and not self._stopped()

    def _admit(self, item: Item) -> None:
        if isinstance(item, Prepared):
            item = self._checked(item)
        if not isinstance(item, Prepared):
            self._account.refuse(item)
            return
        verdict = self._seen.check(item)
        if verdict == "new":
            self._window.append(item)
        elif verdict == "same":
            self._account.collapse()
        else:
            self._account.fail(Refusal(document=item, error=_two_contents(item.id), attempts=0))

    def _checked(self, item: Prepared) -> Item:
        try:
            return self._writer.check(item)
        except InvalidInputError as error:
            return Refused(document=item.document, where=f"id {item.id!r}", error=error)

    # -- running ------------------------------------------------------------------------------------------

    @property
    def _most_in_flight(self) -> int:
        return self._settings.max_workers + 1

    def _open_executor(self, stack: ExitStack) -> Callable[[list[Prepared]], Future[Outcome]]:
        executor = self._settings.executor
        if executor is None:
            executor = stack.enter_context(
                ThreadPoolExecutor(self._settings.max_workers, "vectorface-upsert")
            )
        job = Job(
            writer=self._writer,
            mode=self._settings.mode,
            skip_unchanged=self._settings.skip_unchanged,
            retry=self._settings.retry,
            control=self._control(executor),
        )
        return lambda batch: executor.submit(process, batch, job)

    def _control(self, executor: Executor) -> Control:
        if not isinstance(executor, ThreadPoolExecutor | InlineExecutor):
            return FreeControl()  # its workers may live in other processes
        return Control(encoders=self._settings.encoders, writers=self._settings.writers, cancel=self._halt)

    def _collect(self) -> None:
        """Wait for a batch to finish, and book it."""
        with self._interrupts.allowed():
            done, _ = wait(self._in_flight, timeout=0.1, return_when=FIRST_COMPLETED)
        errors = [self._book(future) for future in done]
        if any(isinstance(error, KeyboardInterrupt) for error in errors):
            raise KeyboardInterrupt
        if done:
            progress = self._account.progress()
            for callback in self._settings.callbacks:
                callback(progress)

    def _book(self, future: Future[Outcome]) -> BaseException | None:
        """Book a finished batch; return what its worker died of, if it did."""
        batch = self._in_flight.pop(future)
        if future.cancelled():
            self._account.never_reached(batch)
            return None
        error = future.exception()
        if error is None:
            self._account.add(future.result())
        else:
            self._fail_batch(batch, error)
        return error

    def _fail_batch(self, batch: Sequence[Prepared], error: BaseException) -> None:
        """Book a batch whose worker died: nobody knows whether it was written."""
        unknown = WriteError(f"The worker ended before it could answer: {error!r}", WriteReport())
        unknown.__cause__ = error
        for document in batch:
            self._account.fail(Refusal(document=document, error=unknown, attempts=1))

    def _stopped(self) -> bool:
        if self._settings.cancel.is_set():
            self._stop = self._stop or "cancelled"
        elif self._account.failed >= self._settings.max_failures:
            self._stop = self._stop or "max_failures"
        return self._stop is not None

    # -- ending -------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Bring the account to rest: nothing in flight, nothing unaccounted for."""
        if self._stop is not None:
            self._halt.set()
            for future in self._in_flight:
                future.cancel()
        self._fail_batch(self._sending, KeyboardInterrupt())
        try:
            with self._interrupts.allowed():
                wait(self._in_flight)
        except KeyboardInterrupt as second:  # a second Ctrl-C: do not wait for what is in flight
            for future, batch in list(self._in_flight.items()):
                if not future.done():
                    self._fail_batch(self._in_flight.pop(future, batch), second)
        for future in list(self._in_flight):
            self._book(future)
        self._account.never_reached(self._window)

    def _conclude(self, cause: BaseException | None) -> WriteReport:
        report = self._account.report(stopped=self._stop, again=self._again)
        if isinstance(cause, KeyboardInterrupt):
            raise UpsertInterrupted(f"Interrupted: {report}.", report) from None
        if cause is not None:
            raise SourceError(
                f"The input or a callback raised {cause!r}; before that: {report}.", report
            ) from cause
        if report.failures and self._settings.on_error == "raise":
            raise PartialWriteError(_told(report), report) from report.failures[0].error
        return report

    def _again(self, items: Sequence[Item]) -> WriteReport:
        return upsert(map(prepared_again, items), self._writer, self._settings, total=len(items))


def _two_contents(id_: str) -> DuplicateDocumentError:
    return DuplicateDocumentError(
        f"The id {id_!r} stands for two different documents in this call; the first one was taken. "
        "Give different documents different ids, or leave the ids out.",
        ids=(id_,),
    )


def _told(report: WriteReport) -> str:
    first = report.failures[0]
    more = f"; stopped: {report.stopped}" if report.stopped else ""
    return (
        f"{report.failed} of {report.total} documents were not written (first: id {first.id!r}: "
        f"{first.error}){more}. error.report names each; error.report.retry() sends them again."
    )
