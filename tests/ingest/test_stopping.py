"""What stops a run early, and the account that it leaves."""

from __future__ import annotations

import inspect
import itertools
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

import pytest
from langchain_core.documents import Document

from tests.ingest.stand_ins import QUICK, Faults, FaultyDB, MemoryWriter, documents, ids_of, run
from vectorface import RetryPolicy
from vectorface.errors import BackendError, PartialWriteError, SourceError, TransientError
from vectorface.ingest.account import Progress
from vectorface.ingest.writer import Limits
from vectorface.langchain.writes import Identified
from vectorface.records import Vector


def refuse_everything(ids: Sequence[str]) -> dict[str, Exception]:
    return {id_: BackendError("no") for id_ in ids}


# -- failures ---------------------------------------------------------------------------------------------


def test_everything_else_is_written_before_the_error_is_raised() -> None:
    store = FaultyDB(faults=Faults(refuse=lambda ids: {"d0": BackendError("no")} if "d0" in ids else {}))
    with pytest.raises(PartialWriteError) as caught:
        store.upsert_parallel(documents(50))
    assert (caught.value.report.written, store.count()) == (49, 49)
    assert caught.value.__cause__ is caught.value.report.failures[0].error


def test_the_error_says_how_many_failed_which_was_first_why_and_what_to_do() -> None:
    store = FaultyDB(
        faults=Faults(refuse=lambda ids: {"d0": BackendError("no space")} if "d0" in ids else {})
    )
    with pytest.raises(
        PartialWriteError, match=r"^1 of 5 documents was not .*first: id 'd0': no space.*report\.retry\(\)"
    ):
        store.upsert_parallel(documents(5))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("model exploded"), r"\(first: id 'd0': RuntimeError: model exploded\)"),
        (NotImplementedError(), r"\(first: id 'd0': NotImplementedError\)"),
        (BackendError("no space"), r"\(first: id 'd0': no space\)"),
    ],
    ids=repr,
)
def test_the_type_of_an_error_that_is_not_ours_is_told(error: Exception, told: str) -> None:
    store = FaultyDB(faults=Faults(refuse=lambda ids: dict.fromkeys(ids, error)))
    with pytest.raises(PartialWriteError, match=f"^1 of 1 document was not written {told}.*sends it again"):
        store.upsert_parallel(documents(1))
    with pytest.raises(PartialWriteError, match=f"^2 of 2 documents were not written {told}.*sends them"):
        store.upsert_parallel(documents(2))


def test_a_document_without_a_usable_id_is_not_called_none() -> None:
    with pytest.raises(PartialWriteError, match=r"\(first: document 0 has no text"):
        FaultyDB().upsert_parallel([Document(page_content=" ")])


def test_on_error_report_returns_the_report_instead() -> None:
    report = FaultyDB(faults=Faults(refuse=refuse_everything)).upsert_parallel(
        documents(5), on_error="report"
    )
    assert (report.failed, report.ok) == (5, False)


def test_the_run_stops_at_max_failures() -> None:
    read = []

    def source() -> Iterator[Document]:
        for document in documents(10_000):
            read.append(document)
            yield document

    store = FaultyDB(faults=Faults(refuse=refuse_everything), limits=Limits(batch_documents=5))
    with pytest.raises(PartialWriteError, match="stopped: max_failures") as caught:
        store.upsert_parallel(source(), max_failures=20)
    report = caught.value.report
    assert report.stopped == "max_failures"
    assert 20 <= report.failed < 100
    assert report.total == len(read) < 500


def test_failures_that_reach_the_limit_at_the_very_end_stop_nothing() -> None:
    store = FaultyDB(faults=Faults(refuse=refuse_everything))
    report = store.upsert_parallel(documents(4), batch_size=4, max_failures=4, on_error="report")
    assert (report.failed, report.stopped) == (4, None)


# -- cancel -----------------------------------------------------------------------------------------------


def test_another_thread_can_cancel() -> None:
    cancel = threading.Event()
    store = FaultyDB(seconds=0.01)
    endless = (Document(page_content=f"text {i}") for i in itertools.count())
    threading.Timer(0.2, cancel.set).start()
    report = store.upsert_parallel(endless, batch_size=1, cancel=cancel)
    assert report.stopped == "cancelled"
    assert report.written == store.count() > 0
    assert report.total == report.written + report.not_reached


def test_a_run_that_was_cancelled_before_it_began_reads_nothing() -> None:
    cancel, source = threading.Event(), iter(documents(5))
    cancel.set()
    report = FaultyDB().upsert_parallel(source, cancel=cancel)
    assert (report.total, report.stopped, len(list(source))) == (0, "cancelled", 5)


def test_what_is_in_flight_when_a_run_is_cancelled_is_finished_and_booked() -> None:
    cancel = threading.Event()

    def cancel_midway(ids: Sequence[str]) -> None:
        del ids
        time.sleep(0.2)  # so that more are read meanwhile
        cancel.set()
        time.sleep(0.1)

    store = FaultyDB(faults=Faults(before=cancel_midway), limits=Limits(writers=1))
    report = store.upsert_parallel(documents(40), batch_size=4, cancel=cancel)
    assert (report.written, report.failed, store.count()) == (4, 0, 4)
    assert report.not_reached == report.total - 4 > 0


def test_a_cancel_ends_the_wait_between_two_tries() -> None:
    cancel = threading.Event()

    def busy(ids: Sequence[str]) -> None:
        del ids
        threading.Timer(0.05, cancel.set).start()
        raise TransientError("busy", retry_after=60)

    store = FaultyDB(faults=Faults(before=busy))
    start = time.perf_counter()
    report = store.upsert_parallel(documents(400), batch_size=4, cancel=cancel, on_error="report")
    assert time.perf_counter() - start < 5
    assert report.stopped == "cancelled"


def test_documents_that_were_tried_before_the_cancel_are_failures_and_the_others_never_reached() -> None:
    cancel = threading.Event()

    def busy(ids: Sequence[str]) -> None:
        del ids
        cancel.set()
        raise TransientError("busy", retry_after=60)

    writer = MemoryWriter(faults=Faults(before=busy))
    report = run(
        documents(40), writer, batch_size=4, writers=1, max_workers=2, cancel=cancel, on_error="report"
    )
    tried = [failure for failure in report.failures if isinstance(failure.error, TransientError)]
    assert len(tried) == report.failed >= 4
    assert {failure.attempts for failure in tried} == {1}
    assert report.failed + report.not_reached == report.total


def test_a_batch_that_was_about_to_be_halved_when_the_cancel_came_keeps_its_error() -> None:
    cancel = threading.Event()

    def refuse_after_the_cancel(ids: Sequence[str]) -> None:
        cancel.set()
        time.sleep(0.5)
        raise BackendError(ids)

    writer = MemoryWriter(faults=Faults(before=refuse_after_the_cancel))
    report = run(documents(4), writer, batch_size=4, cancel=cancel, on_error="report")
    assert [type(failure.error) for failure in report.failures] == [BackendError] * 4
    assert {failure.attempts for failure in report.failures} == {1}
    assert report.not_reached == 0


def test_what_waits_for_its_turn_when_a_cancel_comes_is_neither_embedded_nor_written() -> None:
    cancel = threading.Event()

    class Slow(MemoryWriter):
        embedded = 0

        def encode(self, texts: Sequence[str]) -> Sequence[Vector]:
            self.embedded += 1
            time.sleep(0.05)  # until three others wait
            cancel.set()
            time.sleep(0.5)
            return super().encode(texts)

    writer = Slow()
    report = run(documents(40), writer, encoders=1, max_workers=4, cancel=cancel)
    assert (writer.embedded, report.written, writer.stored) == (1, 0, {})
    assert report.not_reached == report.total > 0


def test_a_cancel_is_not_taken_for_a_failure() -> None:
    cancel = threading.Event()
    cancel_on_the_first = Faults(before=lambda _: cancel.set())
    report = FaultyDB(faults=cancel_on_the_first).upsert_parallel(documents(40), batch_size=1, cancel=cancel)
    assert (report.failed, report.stopped, report.ok) == (0, "cancelled", False)


def test_what_a_cancel_left_is_sent_by_retry() -> None:
    cancel = threading.Event()
    store = FaultyDB(faults=Faults(before=lambda _: cancel.set()), seconds=0.1)
    report = store.upsert_parallel(documents(12), batch_size=1, max_workers=2, cancel=cancel)
    assert report.not_reached > 0
    store.faults.before = None
    cancel.clear()
    assert report.retry().written == report.not_reached
    assert store.count() == report.total


# -- the source -------------------------------------------------------------------------------------------


def test_an_input_that_raises_leaves_a_true_report_and_its_error_as_the_cause() -> None:
    def source() -> Iterator[Document]:
        yield from documents(50)
        raise OSError("disk error")

    store = FaultyDB()
    with pytest.raises(SourceError, match=r"^The input raised OSError\('disk error'\)") as caught:
        store.upsert_parallel(source(), batch_size=3, max_workers=2)
    report = caught.value.report
    assert isinstance(caught.value.__cause__, OSError)
    assert (report.total, report.stopped, report.written) == (50, "source_error", store.count())
    assert report.retry().written == report.not_reached
    assert store.count() == 50


def test_an_exit_from_within_the_input_passes_through_and_waits_for_no_retries() -> None:
    def busy(ids: Sequence[str]) -> None:
        begun.set()
        raise TransientError(f"{len(ids)} are too many", retry_after=60)

    def source() -> Iterator[Document]:
        yield from documents(20)
        begun.wait(5)
        sys.exit(3)

    begun = threading.Event()
    start = time.perf_counter()
    with pytest.raises(SystemExit):
        run(source(), MemoryWriter(faults=Faults(before=busy)))
    assert time.perf_counter() - start < 10


def test_an_input_that_cannot_even_be_begun_is_reported_like_one_that_raises() -> None:
    class Unopened:
        def __iter__(self) -> Iterator[Document]:
            raise OSError("no such file")

    with pytest.raises(SourceError, match=r"^The input raised .*no such file"):
        run(Unopened(), MemoryWriter())


@pytest.mark.parametrize("how", ["cancel", "max_failures", "callback"])
def test_a_generator_is_closed_when_the_run_stops_early(how: str) -> None:
    closed, cancel = [], threading.Event()

    def source() -> Iterator[Document]:
        try:
            yield from documents(10_000)
        finally:
            closed.append(True)

    def callback(progress: Progress) -> None:
        del progress
        if how == "callback":
            raise LookupError("no such widget")
        if how == "cancel":
            cancel.set()

    stream = source()
    faults = Faults(refuse=refuse_everything if how == "max_failures" else None)
    with suppress(SourceError, PartialWriteError):
        run(stream, MemoryWriter(faults=faults), cancel=cancel, callbacks=(callback,), max_failures=3)
    assert closed == [True]


def test_a_generator_is_closed_below_all_that_is_put_around_it() -> None:
    def source() -> Generator[Document]:
        for one in documents(10_000):
            cancel.set()
            yield one

    for wrapped in (lambda stream: stream, lambda stream: Identified(stream, None)):
        stream, cancel = source(), threading.Event()
        FaultyDB().upsert_parallel(wrapped(stream), cancel=cancel)
        assert inspect.getgeneratorstate(stream) == inspect.GEN_CLOSED


def test_a_generator_that_fails_while_it_is_closed_does_not_take_the_report_with_it() -> None:
    cancel = threading.Event()

    def source() -> Iterator[Document]:
        try:
            yield from documents(10_000)
        finally:
            raise OSError("cannot close")

    writer = MemoryWriter(faults=Faults(before=lambda _: cancel.set()))
    with pytest.raises(SourceError, match=r"^The input raised .*cannot close") as caught:
        run(source(), writer, cancel=cancel)
    assert caught.value.report.written == len(writer.stored)


def test_an_iterator_that_is_no_generator_can_be_gone_on_with() -> None:
    cancel, rest = threading.Event(), iter(documents(100))
    writer = MemoryWriter(faults=Faults(before=lambda _: cancel.set()))
    report = run(rest, writer, cancel=cancel)
    cancel.clear()
    writer.faults.before = None
    report.retry()
    run(rest, writer)
    assert writer.stored.keys() == ids_of(documents(100))


# -- callbacks --------------------------------------------------------------------------------------------


def test_a_callback_that_raises_stops_the_run_with_a_true_report() -> None:
    def callback(progress: Progress) -> None:
        if progress.done >= 8:
            raise LookupError("no such widget")

    store = FaultyDB(seconds=0.005)
    with pytest.raises(SourceError, match=r"^A callback raised .*no such widget") as caught:
        store.upsert_parallel(documents(400), callbacks=[callback])
    report = caught.value.report
    assert isinstance(caught.value.__cause__, LookupError)
    assert report.written == store.count()
    assert report.total == report.written + report.not_reached


def test_a_callback_may_cancel() -> None:
    cancel = threading.Event()
    store = FaultyDB()
    report = store.upsert_parallel(documents(400), callbacks=[lambda _: cancel.set()], cancel=cancel)
    assert (report.stopped, report.written) == ("cancelled", store.count())


def test_a_callback_may_use_the_store() -> None:
    store, counts = FaultyDB(), []
    store.upsert_parallel(documents(40), callbacks=[lambda _: counts.append(store.count())])
    assert counts[-1] == 40


def test_waiting_for_a_place_does_not_outlast_a_cancel() -> None:
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()

    def busy(ids: Sequence[str]) -> None:
        raise TransientError(f"{len(ids)} are too many", retry_after=60)

    start = time.perf_counter()
    run(
        documents(400),
        MemoryWriter(faults=Faults(before=busy)),
        cancel=cancel,
        on_error="report",
        retry=RetryPolicy(attempts=2),
    )
    assert time.perf_counter() - start < 5


def test_the_threads_of_a_run_are_gone_when_it_ends() -> None:
    before = threading.active_count()
    FaultyDB().upsert_parallel(documents(40), retry=QUICK)
    assert threading.active_count() == before
