"""Progress: snapshots for callbacks, and the bar."""

from __future__ import annotations

import re
import sys
import threading
import time

import pytest
from langchain_core.documents import Document

from tests.ingest.stand_ins import QUICK, Faults, FaultyDB, documents
from vectorface.errors import BackendError, MissingExtraError
from vectorface.ingest.account import Progress
from vectorface.ingest.progress import ProgressBar


def mixed() -> list[Document]:
    """Return twelve documents of every fate, in a store that has ``d0`` to ``d2``."""
    return [*documents(9), *documents(2), Document(id="blank", page_content=" ")]


def store_with_three() -> FaultyDB:
    store = FaultyDB()
    store.upsert_parallel(documents(3))
    store.faults = Faults(refuse=lambda ids: {"d5": BackendError("no")} if "d5" in ids else {})
    return store


def test_the_last_snapshot_agrees_with_the_report() -> None:
    told: list[Progress] = []
    report = store_with_three().upsert_parallel(
        mixed(), batch_size=2, skip_unchanged=True, on_error="report", callbacks=[told.append]
    )
    last = told[-1]
    assert (last.done, last.total) == (report.total, 12)
    assert (last.written, last.unchanged, last.collapsed, last.failed) == (5, 3, 2, 2)
    assert (report.written, report.unchanged, report.collapsed, report.failed) == (5, 3, 2, 2)


def test_snapshots_only_ever_grow() -> None:
    told: list[Progress] = []
    FaultyDB(faults=Faults(refuse=lambda ids: {ids[0]: BackendError("no")})).upsert_parallel(
        [*documents(200), *documents(50)],
        batch_size=3,
        retry=QUICK,
        on_error="report",
        callbacks=[told.append],
    )
    for name in ("done", "written", "unchanged", "collapsed", "failed", "seconds"):
        values = [getattr(progress, name) for progress in told]
        assert values == sorted(values), name
    assert len({progress.done for progress in told}) == len(told)


def test_documents_that_end_without_a_batch_are_told_too() -> None:
    told: list[Progress] = []
    FaultyDB().upsert_parallel([Document(page_content=" ")], on_error="report", callbacks=[told.append])
    assert [(progress.done, progress.failed) for progress in told] == [(1, 1)]


def test_every_callback_is_called_in_the_calling_thread() -> None:
    threads: list[threading.Thread] = []
    FaultyDB().upsert_parallel(
        documents(40), callbacks=[lambda _: threads.append(threading.current_thread())] * 2
    )
    assert set(threads) == {threading.current_thread()}
    assert len(threads) % 2 == 0


def test_the_total_is_known_for_lists_and_unknown_for_streams() -> None:
    told: list[Progress] = []
    FaultyDB().upsert_parallel(documents(4), callbacks=[told.append])
    FaultyDB().upsert_parallel(iter(documents(4)), callbacks=[told.append])
    assert [progress.total for progress in told] == [4, None]


def test_finished_batches_are_told_while_the_input_keeps_one_waiting() -> None:
    told: list[Progress] = []
    seen_midway = []

    def source() -> object:
        for i, document in enumerate(documents(28)):
            if i == 24:  # the second window is being read, the first was sent long ago
                time.sleep(0.1)
            if i == 26:
                seen_midway.append(len(told))
            yield document

    FaultyDB().upsert_parallel(source(), batch_size=4, max_workers=4, callbacks=[told.append])  # type: ignore[arg-type]
    assert seen_midway[0] > 0


# -- the bar ----------------------------------------------------------------------------------------------


def test_the_bar_counts_to_the_end_and_is_closed(capsys: pytest.CaptureFixture[str]) -> None:
    FaultyDB().upsert_parallel(documents(40), progress=True)
    shown = capsys.readouterr().err
    assert re.search(r"upsert: 100%.* 40/40 .*doc/s", shown)
    assert shown.endswith("\n")  # what a bar prints when it is closed


def test_the_bar_names_what_failed_and_what_was_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    store_with_three().upsert_parallel(mixed(), skip_unchanged=True, on_error="report", progress=True)
    assert "unchanged=3, failed=2" in capsys.readouterr().err


def test_the_bar_of_a_stream_counts_without_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    FaultyDB().upsert_parallel(iter(documents(40)), progress=True)
    assert re.search(r"upsert: 40doc ", capsys.readouterr().err)


def test_the_bar_is_closed_when_the_run_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def callback(progress: Progress) -> None:
        raise LookupError(progress)

    with pytest.raises(Exception, match="LookupError"):
        FaultyDB().upsert_parallel(documents(40), progress=True, callbacks=[callback])
    assert "%" not in capsys.readouterr().err  # the callback came before the first drawing


def test_no_bar_is_shown_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    FaultyDB().upsert_parallel(documents(40))
    FaultyDB().upsert_parallel([], progress=True)
    assert capsys.readouterr().err == ""


def test_a_bar_can_be_a_callback_with_a_description_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(description="chapters") as bar:
        FaultyDB().upsert_parallel(documents(4), callbacks=[bar])
    assert "chapters: 100%" in capsys.readouterr().err


def test_without_tqdm_the_error_names_the_extra_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    store = FaultyDB()
    with pytest.raises(MissingExtraError, match=r"pip install 'vectorface\[progress\]'"):
        store.upsert_parallel(documents(4), progress=True)
    assert store.count() == 0
