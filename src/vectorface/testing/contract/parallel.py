"""Writing many documents, and the account of each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from vectorface.errors import DuplicateDocumentError, InvalidDocumentError, PartialWriteError, SourceError
from vectorface.testing.contract.base import Contract, contents, contents_of, document, story

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from vectorface.ingest.account import Progress
    from vectorface.interface import VectorDBInterface


def many(count: int = 60, **metadata: Any) -> list[Document]:
    """Return documents of different lengths."""
    return [document(f"d{i}", f"lamp {'word ' * (i % 7)}{i}", n=i, **metadata) for i in range(count)]


class _Loader:
    def lazy_load(self) -> Iterator[Document]:
        return iter(many())


class ParallelContract(Contract):
    """``upsert_parallel`` writes what it can, and each document stands in one count of its report."""

    def test_it_writes_a_stream(self, store: VectorDBInterface) -> None:
        """A generator is read once; small batches and several threads make no difference."""
        report = store.upsert_parallel((one for one in many()), batch_size=7, max_workers=3)
        assert (report.written, report.total, report.ok) == (60, 60, True)
        assert contents(store) == contents_of(many())

    def test_it_reads_a_loader(self, store: VectorDBInterface) -> None:
        """Whatever has ``lazy_load`` is a source."""
        loader: Any = _Loader()
        assert store.upsert_parallel(loader, batch_size=16).written == 60
        assert store.count() == 60

    def test_it_writes_nothing_of_nothing(self, store: VectorDBInterface) -> None:
        """An empty input is no error."""
        report = store.upsert_parallel([])
        assert (report.total, report.ok) == (0, True)

    def test_it_replaces_whole_documents(self, store: VectorDBInterface) -> None:
        """As ``upsert`` does: metadata keys that are gone are gone."""
        store.add(many(gone=True))
        store.upsert_parallel(many(new=True), batch_size=16)
        assert contents(store) == contents_of(many(new=True))
        assert store.count({"gone": {"$exists": True}}) == 0

    def test_it_runs_on_an_executor_of_the_caller(self, store: VectorDBInterface) -> None:
        """Any ``concurrent.futures.Executor`` will do, and stays open."""
        with ThreadPoolExecutor(2) as executor:
            report = store.upsert_parallel(many(), batch_size=10, executor=executor)
            assert executor.submit(lambda: 1).result() == 1
        assert report.written == store.count() == 60

    def test_identical_documents_collapse(self, store: VectorDBInterface) -> None:
        """Repetitions are counted, also in another batch."""
        report = store.upsert_parallel([*many(), *many()], batch_size=7)
        assert (report.written, report.collapsed, report.total) == (60, 60, 120)
        assert store.count() == 60

    def test_different_documents_under_one_id_are_a_failure(self, store: VectorDBInterface) -> None:
        """The first is written, and so are all the others."""
        twin = document("d3", "lamp twin")
        with pytest.raises(PartialWriteError, match=r"1 of 61.*'d3'") as caught:
            store.upsert_parallel([*many(), twin], batch_size=7)
        [failure] = caught.value.report.failures
        assert isinstance(failure.error, DuplicateDocumentError)
        assert (failure.id, failure.document) == ("d3", twin)
        assert contents(store) == contents_of(many())

    def test_bad_documents_do_not_stop_the_others(self, store: VectorDBInterface) -> None:
        """They are in the report with their errors; everything else is written."""
        no_document: Any = "text"
        bad = [document("blank", " "), document("nan", n=float("nan")), no_document]
        report = store.upsert_parallel([*many(30), *bad, document("last")], batch_size=7, on_error="report")
        assert (report.written, report.failed, report.total, report.ok) == (31, 3, 34, False)
        assert all(isinstance(failure.error, InvalidDocumentError) for failure in report.failures)
        assert [failure.document for failure in report.failures] == bad
        assert store.count() == 31

    def test_what_failed_can_be_mended_and_sent_again(self, store: VectorDBInterface) -> None:
        """``report.retry()`` sends the failed documents, as they are now."""
        report = store.upsert_parallel([*many(), document("blank", " ")], on_error="report")
        report.failures[0].document.page_content = "lamp, mended"
        assert report.retry().written == 1
        assert store.get(["blank"])[0].text == "lamp, mended"

    def test_skip_unchanged_writes_only_what_changed(self, store: VectorDBInterface) -> None:
        """A second run finds all as it is; a third one writes the one text that is new."""
        store.upsert_parallel(many(), skip_unchanged=True)
        again = store.upsert_parallel(many(), skip_unchanged=True)
        assert (again.written, again.unchanged, again.ok) == (0, 60, True)
        changed = [*many()[:-1], document("d59", "lamp changed", n=59)]
        third = store.upsert_parallel(changed, skip_unchanged=True)
        assert (third.written, third.unchanged) == (1, 59)
        assert contents(store) == contents_of(changed)

    def test_skip_unchanged_sees_changed_metadata(self, store: VectorDBInterface) -> None:
        """New metadata replaces the old one as a whole, also where only it is written."""
        store.upsert_parallel([*many(9, gone=[1, "x", {"y": None}]), document("same")])
        report = store.upsert_parallel(
            [*many(9, deep={"new": [None]}), document("same")], skip_unchanged=True
        )
        assert (report.written, report.unchanged) == (9, 1)
        assert contents(store) == contents_of([*many(9, deep={"new": [None]}), document("same")])
        assert store.count({"gone": {"$exists": True}}) == 0
        assert store.query("lamp word 3", k=1, filter={"deep": {"$exists": True}})

    def test_skip_unchanged_tells_types_apart(self, store: VectorDBInterface) -> None:
        """1, 1.0, True and "1" are four different values."""
        values: list[Any] = [1, 1.0, True, "1", [1]]
        for value in values:
            assert store.upsert_parallel([document("a", n=value)], skip_unchanged=True).written == 1
            assert store.upsert_parallel([document("a", n=value)], skip_unchanged=True).unchanged == 1

    def test_callbacks_see_the_progress(self, store: VectorDBInterface) -> None:
        """They are called in the calling thread, and the last time with the whole."""
        seen: list[tuple[Progress, threading.Thread]] = []
        store.upsert_parallel(
            many(), batch_size=7, callbacks=[lambda now: seen.append((now, threading.current_thread()))]
        )
        done = [progress.done for progress, _ in seen]
        assert done == sorted(done)
        assert (done[-1], seen[-1][0].total) == (60, 60)
        assert {thread for _, thread in seen} == {threading.current_thread()}

    def test_cancel_stops_with_a_true_report(self, store: VectorDBInterface) -> None:
        """What was not written was not reached, and can be sent by ``retry()``."""
        cancel = threading.Event()
        report = store.upsert_parallel(
            many(), batch_size=5, max_workers=1, cancel=cancel, callbacks=[lambda _: cancel.set()]
        )
        assert report.stopped == "cancelled"
        assert 5 <= report.written == store.count() < 60
        assert report.total == report.written + report.not_reached

    def test_a_source_that_raises_leaves_a_true_report(self, store: VectorDBInterface) -> None:
        """What had been read by then is accounted for."""

        def broken() -> Iterator[Document]:
            yield from many(40)
            raise OSError("the disk is gone")

        with pytest.raises(SourceError, match="the disk is gone") as caught:
            store.upsert_parallel(broken(), batch_size=5, max_workers=1)
        report = caught.value.report
        assert report.stopped == "source_error"
        assert report.written == store.count()
        assert report.total == 40

    def test_the_story_survives_a_second_writer(self, library: VectorDBInterface) -> None:
        """Documents that the call does not name stay as they are."""
        library.upsert_parallel(many())
        assert contents(library) == contents_of([*story(), *many()])
