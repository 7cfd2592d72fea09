"""Ctrl-C: it stops the run, never the truth of its account."""

from __future__ import annotations

import _thread
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import repeat, starmap
from operator import itemgetter, length_hint
from typing import TYPE_CHECKING, Any

import pytest

from tests.ingest.stand_ins import CountingEmbedding, Faults, FaultyDB, MemoryWriter, documents, ids_of, run
from vectorface.errors import SourceError, UpsertInterrupted
from vectorface.ingest.account import Progress
from vectorface.ingest.batches import SeenIds
from vectorface.ingest.interrupts import Interrupts
from vectorface.ingest.writer import Limits
from vectorface.records import WriteReport

if TYPE_CHECKING:
    from langchain_core.documents import Document


@pytest.fixture(autouse=True)
def _pythons_own_handler_is_in_place_and_stays_so() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores Ctrl-C
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def ctrl_c() -> None:
    """Send this process a SIGINT, from whichever thread."""
    os.kill(os.getpid(), signal.SIGINT)


def once(action: Callable[[], None]) -> Callable[[object], None]:
    """Return a function that does ``action`` at its first call only."""
    left = [action]

    def call(_: object) -> None:
        if left:
            left.pop()()

    return call


@contextmanager
def interrupted() -> Iterator[Callable[[], WriteReport]]:
    """Expect a Ctrl-C; yield a function that returns the report it left."""
    found: list[WriteReport] = []
    with pytest.raises(UpsertInterrupted) as caught:
        yield lambda: found[0]
    found.append(caught.value.report)
    assert caught.value.report.stopped == "interrupted"


def true_of(report: WriteReport, writer: MemoryWriter) -> bool:
    """Tell whether the report agrees with what is in the store, as far as it claims to know."""
    unknown = {failure.id for failure in report.failures if "not known" in str(failure.error)}
    known = ids_of(report.failures) - unknown
    stored = set(writer.stored)
    return not known & stored and report.written == len(stored - unknown)


# -- where it strikes -------------------------------------------------------------------------------------


def test_in_the_input_it_leaves_a_true_report() -> None:
    writer = MemoryWriter()

    def source() -> Iterator[Document]:
        for i, document in enumerate(documents(100)):
            if i == 50:
                ctrl_c()
                time.sleep(1)  # Ctrl-C ends this wait
            yield document

    with interrupted() as report:
        run(source(), writer)
    assert report().total == 50
    assert true_of(report(), writer)


@pytest.mark.parametrize("send", [ctrl_c, _thread.interrupt_main])
def test_while_batches_are_written_it_waits_for_them_and_books_them(send: Callable[[], None]) -> None:
    def interrupt_and_take_a_while(ids: Sequence[str]) -> None:
        interrupt_once(ids)
        time.sleep(0.1)

    interrupt_once = once(send)
    store = FaultyDB(faults=Faults(before=interrupt_and_take_a_while), limits=Limits(writers=2))
    with interrupted() as report:
        store.upsert_parallel(documents(4_000), batch_size=4)
    assert report().failures == ()
    assert report().written == store.count() > 0


def test_while_texts_are_embedded_those_are_never_reached() -> None:
    store = FaultyDB(CountingEmbedding(fault=once(ctrl_c), seconds=0.05), limits=Limits(writers=2))
    with interrupted() as report:
        store.upsert_parallel(documents(400), batch_size=4, max_workers=2)
    assert report().written == store.count()
    assert report().written + report().not_reached == report().total


def test_in_a_callback_it_leaves_a_true_report() -> None:
    store = FaultyDB()
    with interrupted() as report:
        store.upsert_parallel(documents(400), callbacks=[once(ctrl_c)])
    assert report().written == store.count() > 0


def test_a_callback_that_hangs_can_be_interrupted() -> None:
    def hang(progress: Progress) -> None:
        del progress
        ctrl_c()
        time.sleep(2)
        pytest.fail("held back")

    with interrupted() as report:
        FaultyDB().upsert_parallel(documents(400), callbacks=[hang])
    assert report().total > 0


def test_it_ends_the_wait_between_two_tries() -> None:
    def busy(ids: Sequence[str]) -> None:
        threading.Timer(0.05, ctrl_c).start()
        raise TimeoutError(ids)

    start = time.perf_counter()
    with interrupted() as report:
        FaultyDB(faults=Faults(before=busy)).upsert_parallel(documents(4))
    assert time.perf_counter() - start < 5
    assert report().failed + report().not_reached == 4


def test_what_it_left_is_sent_by_retry() -> None:
    store = FaultyDB(seconds=0.01)
    everything = documents(400)
    rest = iter(everything)
    with interrupted() as report:
        store.upsert_parallel(rest, callbacks=[once(ctrl_c)])
    assert report().retry().written == report().not_reached
    store.upsert_parallel(rest)
    assert store.ids == ids_of(everything)


def test_it_is_no_error_that_except_exception_swallows() -> None:
    with pytest.raises(KeyboardInterrupt), suppress(Exception):
        FaultyDB().upsert_parallel(documents(40), callbacks=[once(ctrl_c)])


def test_one_that_a_worker_raises_counts_like_one_from_the_keyboard() -> None:
    def give_up(texts: Sequence[str]) -> None:
        if "text d8" in texts:
            raise KeyboardInterrupt

    store = FaultyDB(CountingEmbedding(fault=give_up))
    with interrupted() as report:
        store.upsert_parallel(documents(16), batch_size=4, max_workers=2)
    assert "d8" in ids_of(report().failures)
    assert report().written == store.count()


# -- a second one -----------------------------------------------------------------------------------------


def test_a_second_one_does_not_wait_for_what_hangs_and_says_that_its_fate_is_not_known() -> None:
    released = threading.Event()

    def hang(ids: Sequence[str]) -> None:
        if "d0" in ids:
            threading.Timer(0.05, ctrl_c).start()
            threading.Timer(0.15, ctrl_c).start()
            released.wait(20)

    store = FaultyDB(faults=Faults(before=hang), limits=Limits(writers=2))
    start = time.perf_counter()
    with interrupted() as report:
        store.upsert_parallel(documents(8), batch_size=4)
    assert time.perf_counter() - start < 8
    released.set()
    assert {f"d{i}" for i in range(4)} <= ids_of(report().failures)
    assert all("not known" in str(failure.error) for failure in report().failures)
    assert report().total == 8


def test_while_the_run_settles_after_an_error_it_is_still_an_interrupt() -> None:
    raised, released = threading.Event(), threading.Event()

    def hang(ids: Sequence[str]) -> None:
        del ids
        raised.wait(10)
        time.sleep(0.1)
        ctrl_c()
        released.wait(10)

    def source() -> Iterator[Document]:
        yield from documents(16)
        raised.set()
        raise OSError("disk error")

    with pytest.raises(UpsertInterrupted) as caught:
        run(source(), MemoryWriter(faults=Faults(before=hang)), batch_size=4, writers=1)
    released.set()
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.report.total == 16


# -- small writes run in the calling thread ---------------------------------------------------------------


@pytest.mark.parametrize("method", ["add", "upsert"])
@pytest.mark.parametrize("where", ["embedding", "before", "after"])
def test_a_write_in_the_calling_thread_can_be_interrupted_and_completed(method: str, where: str) -> None:
    store = FaultyDB()
    if where == "embedding":
        store.embedding.fault = once(ctrl_c)
    else:
        setattr(store.faults, where, once(ctrl_c))
    with interrupted() as report:
        getattr(store, method)(documents(6))
    assert (report().total, report().failed) == (6, 6)
    again = report().retry()
    assert (again.written, again.ok) == (6, True)
    assert store.ids == ids_of(documents(6))


# -- never between doing a thing and booking it -----------------------------------------------------------


def report_after_ctrl_c(
    inputs: Iterator[Document], writer: MemoryWriter, seconds: float
) -> WriteReport | None:
    """Upsert with a Ctrl-C after so many seconds; return ``None`` if that misses the run."""
    timer = threading.Timer(seconds, ctrl_c)
    try:
        timer.start()
        run(inputs, writer, batch_size=7, max_workers=3)
        time.sleep(2)
    except UpsertInterrupted as interrupt:
        return interrupt.report
    except KeyboardInterrupt:
        return None
    pytest.fail("Ctrl-C had no effect")


def test_it_loses_no_document_at_whatever_moment_it_comes() -> None:
    moments = random.Random(7)  # noqa: S311 - not for secrets
    for _ in range(25):
        writer, everything = MemoryWriter(), documents(300)
        rest = iter(everything)
        report = report_after_ctrl_c(rest, writer, moments.uniform(0.002, 0.02))
        if report is not None:
            assert report.total == len(everything) - length_hint(rest)
            assert true_of(report, writer)
            report.retry()
            run(rest, writer)
            assert set(writer.stored) == ids_of(everything)


def test_it_does_not_lose_the_document_that_is_just_being_fetched() -> None:
    rest = iter(documents(10))
    ctrl_c_at_each = starmap(_thread.interrupt_main, repeat(()))  # no Python code in which it could break out
    with interrupted() as report:
        run(map(itemgetter(0), zip(rest, ctrl_c_at_each, strict=False)), MemoryWriter())
    assert report().total == 10 - length_hint(rest) == 1


def test_one_that_comes_while_a_document_is_booked_is_held_until_that_is_done() -> None:
    class Pressing(MemoryWriter):
        def check(self, document: Any) -> Any:
            if document.id == "d5":
                ctrl_c()
            return document

    rest = iter(documents(50))
    with interrupted() as report:
        run(rest, Pressing())
    assert report().total == 6
    assert next(rest).id == "d6"


def test_one_that_comes_when_all_is_done_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SeenIds, "close", once(ctrl_c))
    writer = MemoryWriter()
    with pytest.raises(UpsertInterrupted) as caught:
        run(documents(5), writer)
    assert (caught.value.report.written, caught.value.report.ok) == (5, True)


def test_what_was_read_is_kept_when_remembering_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SeenIds.check

    def full(self: SeenIds, document: Any) -> Any:
        if document.id == "d5":
            raise OSError("no space left")
        return real(self, document)

    monkeypatch.setattr(SeenIds, "check", full)
    with pytest.raises(SourceError, match="no space left") as caught:
        run(documents(50), MemoryWriter())
    assert caught.value.report.total == 6


# -- whose handler it is ----------------------------------------------------------------------------------


def test_a_callers_own_handler_is_left_alone() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        report = FaultyDB().upsert_parallel(documents(40), callbacks=[once(ctrl_c)])
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert (report.written, seen) == (40, [signal.SIGINT])


def wait_for_ctrl_c() -> None:
    threading.Timer(0.05, ctrl_c).start()
    time.sleep(2)


def test_outside_the_main_thread_a_run_works_and_leaves_ctrl_c_to_the_main_thread() -> None:
    store, reports = FaultyDB(seconds=0.01), []
    thread = threading.Thread(target=lambda: reports.append(store.upsert_parallel(documents(80))))
    thread.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        wait_for_ctrl_c()
    assert not isinstance(caught.value, UpsertInterrupted)
    thread.join()
    assert reports[0].written == 80


def test_an_upsert_inside_a_callback_leaves_ctrl_c_to_the_outer_one() -> None:
    outer, inner = FaultyDB(), FaultyDB()

    def upsert_too(progress: Progress) -> None:
        del progress
        inner.upsert_parallel(documents(4), callbacks=[once(ctrl_c)])

    with interrupted() as report:
        outer.upsert_parallel(documents(400), callbacks=[upsert_too])
    assert report().written == outer.count()


def test_it_is_let_through_only_once_for_each_allowed_stretch() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interrupts.held
        with pytest.raises(KeyboardInterrupt), interrupts.allowed():
            pytest.fail("should not be entered")
        assert not interrupts.held


def test_one_that_breaks_a_stretch_closes_it_at_once() -> None:
    with Interrupts() as interrupts, interrupts.allowed(), suppress(KeyboardInterrupt):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)  # while the first one is still on its way up
            held = interrupts.held
            raise
    assert held


# -- for real ---------------------------------------------------------------------------------------------

PROGRAM = """
    import time
    from langchain_core.documents import Document
    from vectorface import InMemoryDB
    from vectorface.errors import UpsertInterrupted

    class Slow:
        def embed_documents(self, texts):
            time.sleep(0.05)
            return [[1.0, float(len(text))] for text in texts]
        embed_query = None

    def source():
        for i in range(1_000_000):
            yield Document(page_content=f"text {i}")

    def say_once(progress, said=[]):
        if not said:
            said.append(print("ready", flush=True))

    with InMemoryDB(Slow()).connect(index="stories") as store:
        try:
            store.upsert_parallel(source(), batch_size=10, callbacks=[say_once])
        except UpsertInterrupted as interrupt:
            report = interrupt.report
            print(report.stopped, report.written == store.count() > 0, report.failed)
"""


def test_ctrl_c_in_a_program_of_its_own() -> None:
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == ("interrupted True 0\n", "", 0)
