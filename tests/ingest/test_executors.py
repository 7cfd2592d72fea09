"""``executor=``: a caller's threads, other processes, and machines over Dask."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from tests.ingest.stand_ins import (
    QUICK,
    DiskWriter,
    FaultyDB,
    MemoryWriter,
    documents,
    ids_of,
    run,
)
from vectorface import WriteReport
from vectorface.documents import Prepared, prepare
from vectorface.errors import BackendError, ConfigurationError, PartialWriteError, SourceError, TransientError
from vectorface.ingest.worker import FreeControl, Job, process_elsewhere
from vectorface.ingest.writer import Mode


class AwkwardError(Exception):
    """As openai's: it cannot be unpickled, for want of its keyword argument."""

    def __init__(self, message: str, *, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


POISON: dict[str, Callable[[], Exception]] = {
    "d1": partial(BackendError, "no"),
    "d2": partial(TransientError, "busy", retry_after=0.01),
    "d3": partial(AwkwardError, "odd", status_code=400),
}


class Dying(DiskWriter):
    """A writer whose process is killed at ``d0``."""

    def write(self, batch: Sequence[Prepared], mode: Mode) -> Mapping[str, Exception]:
        if "d0" in {document.id for document in batch}:
            os._exit(1)
        return super().write(batch, mode)


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def dask() -> Iterator[Executor]:
    make: Any = Client  # it has no types
    free_port = "127.0.0.1:0"  # None would ask for 8787, which other tests or people may have taken
    with make(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=free_port) as client:
        yield client.get_executor()


def stored_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


# -- threads ----------------------------------------------------------------------------------------------


def test_a_callers_thread_pool_does_the_work_and_stays_open() -> None:
    store = FaultyDB()
    with ThreadPoolExecutor(3, thread_name_prefix="mine") as pool:
        names: set[str] = set()
        store.faults.before = lambda _: names.add(threading.current_thread().name[:4])
        assert store.upsert_parallel(documents(40), executor=pool).written == 40
        assert names == {"mine"}
        assert pool.submit(lambda: "open").result() == "open"


def test_what_cannot_take_tasks_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"has no submit\(\).*client\.get_executor\(\)"):
        FaultyDB().upsert_parallel(documents(1), executor="threads")  # type: ignore[arg-type]


def test_an_executor_that_takes_no_more_tasks_leaves_a_true_report() -> None:
    pool = ThreadPoolExecutor(2)
    store = FaultyDB()
    with pytest.raises(SourceError, match=r"^The executor raised RuntimeError\('cannot schedule") as caught:
        store.upsert_parallel(documents(40), executor=pool, callbacks=[lambda _: pool.shutdown()])
    report = caught.value.report
    assert (report.failed, report.written) == (0, store.count())
    assert report.total == report.written + report.not_reached


def test_tasks_that_somebody_else_cancels_are_failures_whose_fate_is_not_known() -> None:
    class Fickle(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            return future

    with pytest.raises(PartialWriteError, match="not known") as caught:
        FaultyDB().upsert_parallel(documents(4), executor=Fickle())
    assert (caught.value.report.failed, caught.value.report.not_reached) == (4, 0)


def test_a_foreign_executor_is_not_asked_to_cancel_since_it_may_say_so_and_go_on() -> None:
    class Untrue(Executor):
        """Like Dask's: its futures are never "running", so that they can always be cancelled."""

        def __init__(self) -> None:
            self.threads: list[threading.Thread] = []

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.threads.append(threading.Thread(target=lambda: future.set_result(fn(*args, **kwargs))))
            self.threads[-1].start()
            return future

    cancel, store = threading.Event(), FaultyDB()

    def cancel_and_take_a_while(ids: Sequence[str]) -> None:
        del ids
        cancel.set()
        time.sleep(0.1)

    store.faults.before = cancel_and_take_a_while
    report = store.upsert_parallel(documents(40), batch_size=4, executor=Untrue(), cancel=cancel)
    assert (report.stopped, report.written) == ("cancelled", store.count())
    assert report.written > 0


def test_a_worker_that_dies_leaves_failures_and_the_others_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die_on_d5(self: MemoryWriter, document: Prepared) -> Any:
        if document.id == "d5":
            raise RuntimeError("a bug in the writer")
        return real(self, document)

    real = MemoryWriter.stamp
    monkeypatch.setattr(MemoryWriter, "stamp", die_on_d5)
    report = run(documents(16), MemoryWriter(), skip_unchanged=True, on_error="report")
    assert (report.failed, report.written) == (4, 12)
    assert "d5" in ids_of(report.failures)
    assert isinstance(report.failures[0].error.__cause__, RuntimeError)


def test_the_same_in_the_calling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FaultyDB()
    monkeypatch.setattr("vectorface.ingest.upserter.process", lambda *_: 1 / 0)
    with pytest.raises(PartialWriteError, match=r"not known.*ZeroDivisionError"):
        store.upsert(documents(3))


# -- processes --------------------------------------------------------------------------------------------


def test_batches_can_be_written_by_other_processes(processes: ProcessPoolExecutor, tmp_path: Path) -> None:
    report = run(documents(40), DiskWriter(tmp_path), executor=processes)
    assert (report.written, report.ok) == (40, True)
    assert stored_in(tmp_path) == ids_of(documents(40))


def test_errors_come_back_from_other_processes(processes: ProcessPoolExecutor, tmp_path: Path) -> None:
    report = run(documents(8), DiskWriter(tmp_path, poison=POISON), executor=processes, on_error="report")
    check_errors(report)
    assert {failure.id: failure.attempts for failure in report.failures} == {"d1": 1, "d2": 3, "d3": 1}
    assert stored_in(tmp_path) == ids_of(documents(8)) - set(POISON)


def check_errors(report: WriteReport) -> None:
    assert {failure.id: repr(failure.error) for failure in report.failures} == {
        "d1": "BackendError('no')",
        "d2": "TransientError('busy')",
        "d3": "BackendError('AwkwardError: odd')",
    }
    [busy] = [failure.error for failure in report.failures if isinstance(failure.error, TransientError)]
    assert busy.retry_after == 0.01


@pytest.mark.parametrize(("status", "kind"), [(400, BackendError), (429, TransientError)])
def test_an_error_that_cannot_be_unpickled_comes_back_as_one_that_says_the_same(
    status: int, kind: type[Exception], tmp_path: Path
) -> None:
    error = partial(AwkwardError, "no luck", status_code=status)
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(error()))  # noqa: S301 - our own bytes
    job = Job(
        writer=DiskWriter(tmp_path, poison={"d1": error}),
        mode="replace",
        skip_unchanged=False,
        retry=QUICK,
        control=FreeControl(),
        again=False,
        run="",
    )
    [refusal] = process_elsewhere(prepared(2), job).refused
    assert type(refusal.error) is kind
    assert str(refusal.error) == "AwkwardError: no luck"
    assert repr(pickle.loads(pickle.dumps(refusal)).error) == repr(refusal.error)  # noqa: S301 - our own bytes


def prepared(count: int) -> list[Prepared]:
    return [prepare(document, where="it") for document in documents(count)]


def test_a_process_that_is_killed_leaves_a_true_report(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.raises((SourceError, PartialWriteError)) as caught:
            run(documents(40), Dying(tmp_path), executor=pool)
        report = caught.value.report
    assert report.total == report.written + report.failed + report.not_reached
    known = ids_of(failure for failure in report.failures if "not known" not in str(failure.error))
    assert not known & stored_in(tmp_path)


def test_a_store_that_lives_in_one_process_says_so(processes: ProcessPoolExecutor) -> None:
    with pytest.raises(PartialWriteError, match="lives in one process"):
        FaultyDB().upsert_parallel(documents(4), executor=processes)


# -- Dask -------------------------------------------------------------------------------------------------


def test_batches_can_be_written_over_dask(dask: Executor, tmp_path: Path) -> None:
    report = run(documents(40), DiskWriter(tmp_path), executor=dask)
    assert (report.written, report.ok) == (40, True)
    assert stored_in(tmp_path) == ids_of(documents(40))


def test_a_run_over_dask_is_not_answered_from_the_memory_of_an_earlier_one(
    dask: Executor, tmp_path: Path
) -> None:
    held = []  # the results of the first run, which Dask keeps as long as somebody holds them

    class Holding(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = dask.submit(fn, *args, **kwargs)
            held.append(future)
            return future

    for _ in range(2):
        run(documents(8), DiskWriter(tmp_path), executor=Holding())
        assert stored_in(tmp_path) == ids_of(documents(8))
        for file in tmp_path.iterdir():
            file.unlink()


def test_errors_come_back_over_dask(dask: Executor, tmp_path: Path) -> None:
    writer = DiskWriter(tmp_path, poison=POISON)
    report = run(documents(8), writer, executor=dask, on_error="report")
    check_errors(report)
    assert stored_in(tmp_path) == ids_of(documents(8)) - set(POISON)


def test_a_cancel_over_dask_waits_for_what_runs_and_books_it(dask: Executor, tmp_path: Path) -> None:
    cancel = threading.Event()
    report = run(
        documents(400),
        DiskWriter(tmp_path),
        executor=dask,
        cancel=cancel,
        callbacks=(lambda _: cancel.set(),),
    )
    assert (report.stopped, report.failed) == ("cancelled", 0)
    assert report.written == len(stored_in(tmp_path)) < 400
