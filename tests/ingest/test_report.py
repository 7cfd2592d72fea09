"""The report: what it says, and what it can send again."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from langchain_core.documents import Document

from tests.ingest.stand_ins import QUICK, CountingEmbedding, Faults, FaultyDB, documents, ids_of, run
from tests.ingest.stand_ins import MemoryWriter as Writer
from vectorface import Failure, WriteReport
from vectorface.documents import Prepared, document_id, prepare
from vectorface.errors import (
    BackendError,
    DuplicateDocumentError,
    InvalidDocumentError,
    PartialWriteError,
    TransientError,
)
from vectorface.ingest.writer import Limits


def refusing(*ids: str) -> Faults:
    """Return faults that refuse these documents."""

    def refuse(batch: Sequence[str]) -> Mapping[str, Exception]:
        return {id_: BackendError("no") for id_ in batch if id_ in ids}

    return Faults(refuse=refuse)


# -- what it says -----------------------------------------------------------------------------------------


def test_it_reads_like_a_sentence() -> None:
    failure = Failure(id="d1", error=BackendError("no"), attempts=2, document=documents(2)[1])
    report = WriteReport(
        written=7,
        unchanged=3,
        collapsed=1,
        failures=(failure,),
        not_reached=4,
        seconds=1.5,
        stopped="cancelled",
    )
    assert str(report) == (
        "7 written, 3 unchanged, 1 collapsed, 1 failed, 4 not reached of 16 in 1.50 s; stopped: cancelled"
    )
    assert str(WriteReport(written=7, seconds=0.25)) == "7 written of 7 in 0.25 s"


def test_its_repr_shows_each_count_and_failure_without_the_documents() -> None:
    [failure] = FaultyDB(faults=refusing("d1")).upsert_parallel(documents(3), on_error="report").failures
    assert repr(failure) == "Failure(id='d1', attempts=1, error=BackendError('no'))"
    assert "written=2" in repr(WriteReport(written=2))
    assert "_again" not in repr(WriteReport(written=2))


def test_a_failure_holds_the_document_with_its_id_and_metadata() -> None:
    document = Document(page_content="the lamp", metadata={"chapter": 1})
    report = FaultyDB(
        faults=Faults(refuse=lambda ids: dict.fromkeys(ids, BackendError("no")))
    ).upsert_parallel([document], on_error="report")
    [failure] = report.failures
    assert failure.document.id == failure.id
    assert (failure.document.page_content, failure.document.metadata) == ("the lamp", {"chapter": 1})
    assert document.id is None  # the caller's object is left as it is


def test_seconds_are_the_time_the_run_took() -> None:
    report = FaultyDB(seconds=0.1).upsert_parallel(documents(1))
    assert 0.1 <= report.seconds < 5


# -- retry ------------------------------------------------------------------------------------------------


def test_retry_sends_what_failed_and_nothing_else() -> None:
    store = FaultyDB(faults=refusing("d1", "d4"))
    report = store.upsert_parallel(documents(8), on_error="report")
    store.faults = Faults()
    store.batches.clear()
    again = report.retry()
    assert (again.written, again.total, again.ok) == (2, 2, True)
    assert {id_ for batch in store.batches for id_ in batch} == {"d1", "d4"}


def test_retry_does_not_embed_again_what_was_embedded() -> None:
    store = FaultyDB(faults=refusing("d1"))
    report = store.upsert_parallel(documents(8), on_error="report")
    store.faults = Faults()
    store.embedding.batches.clear()
    report.retry()
    assert store.embedding.texts == []


def test_retry_raises_like_the_first_run_and_its_report_can_be_retried() -> None:
    store = FaultyDB(faults=refusing("d1", "d2"))
    with pytest.raises(PartialWriteError) as first:
        store.upsert_parallel(documents(4))
    store.faults = refusing("d2")
    with pytest.raises(PartialWriteError) as second:
        first.value.report.retry()
    assert ids_of(second.value.report.failures) == {"d2"}
    store.faults = Faults()
    assert second.value.report.retry().ok
    assert store.ids == ids_of(documents(4))


def test_retry_can_be_called_twice_on_one_report() -> None:
    store = FaultyDB(faults=refusing("d1"))
    report = store.upsert_parallel(documents(4), on_error="report")
    store.faults = Faults()
    assert [report.retry().written, report.retry().written] == [1, 1]
    assert store.count() == 4


def test_retry_of_an_add_can_be_called_twice_on_one_report() -> None:
    writer = Writer(faults=refusing("d1"))
    report = run(documents(4), writer, mode="create", on_error="report")
    writer.faults = Faults()
    assert [report.retry().written, report.retry().written] == [1, 1]
    assert set(writer.writes.values()) == {1}


def test_retry_when_nothing_is_left_reports_zeros() -> None:
    again = FaultyDB().upsert_parallel(documents(4)).retry()
    assert (again.total, again.ok, again.failures) == (0, True, ())


def test_retry_sends_an_invalid_document_that_its_owner_mended() -> None:
    store, broken = FaultyDB(), Document(id="a", page_content=" ")
    report = store.upsert_parallel([broken], on_error="report")
    assert report.retry().failed == 1
    broken.page_content = "the lamp"
    assert report.retry().written == 1
    assert store.get(["a"])[0].text == "the lamp"


def test_retry_sends_a_document_as_it_was_mended_in_the_report() -> None:
    store = FaultyDB(faults=refusing("d1"))
    report = store.upsert_parallel(documents(2), on_error="report")
    report.failures[0].document.page_content = "a better text"
    report.failures[0].document.metadata["checked"] = True
    store.faults = Faults()
    assert report.retry().written == 1
    [record] = store.get(["d1"])
    assert (record.text, record.metadata) == ("a better text", {"checked": True})
    assert store.upsert_parallel([record.document], skip_unchanged=True).unchanged == 1


def test_a_mended_document_that_had_no_id_of_its_own_gets_the_one_of_its_new_content() -> None:
    broken = Document(page_content="broken")
    store = FaultyDB(faults=refusing(document_id(broken)))
    report = store.upsert_parallel([broken], on_error="report")
    report.failures[0].document.page_content = "mended"
    assert report.retry().written == 1
    again = store.upsert_parallel([Document(page_content="mended")], skip_unchanged=True)
    assert (again.unchanged, store.count()) == (1, 1)


def test_retry_reports_a_document_that_was_mended_for_the_worse() -> None:
    store = FaultyDB(faults=refusing("d1"))
    report = store.upsert_parallel(documents(2), on_error="report")
    report.failures[0].document.page_content = ""
    [failure] = report.retry().failures
    assert isinstance(failure.error, InvalidDocumentError)


def test_retry_never_lets_the_second_of_two_contents_replace_the_first() -> None:
    store = FaultyDB()
    first, second = (Document(id="a", page_content=text) for text in ("first", "second"))
    report = store.upsert_parallel([first, second], on_error="report")
    again = report.retry()
    assert isinstance(again.failures[0].error, DuplicateDocumentError)
    assert store.get(["a"])[0].text == "first"

    again.failures[0].document.id = "b"
    assert again.retry().written == 1
    assert {record.id: record.text for record in store.get()} == {"a": "first", "b": "second"}


def test_retry_sends_a_document_that_was_too_large_once_it_is_cut() -> None:
    store = FaultyDB(limits=Limits(max_bytes=1_000))
    report = store.upsert_parallel([Document(id="a", page_content="x" * 2_000)], on_error="report")
    report.failures[0].document.page_content = "x" * 100
    assert report.retry().written == 1


def test_retry_keeps_the_vectors_that_the_caller_gave() -> None:
    store = FaultyDB(faults=Faults(before=lambda _: _raise(BackendError("no"))))
    with pytest.raises(PartialWriteError) as caught:
        store.upsert(documents(1), vectors=[[7.0, 7.0]])
    caught.value.report.failures[0].document.metadata["mended"] = True
    store.faults = Faults()
    assert caught.value.report.retry().written == 1
    [record] = store.get(["d0"], include_vectors=True)
    assert np.asarray(record.vector).tolist() == [7.0, 7.0]
    assert store.embedding.texts == []


def _raise(error: Exception) -> None:
    raise error


def test_retry_keeps_the_given_vector_of_a_document_that_was_refused_before_it_was_sent() -> None:
    vectors = []

    class Strict(Writer):
        strict = True

        def check(self, document: Prepared) -> Prepared:
            if self.strict:
                raise InvalidDocumentError("not now")
            vectors.append(document.vector)
            return document

    writer = Strict()
    given = prepare(documents(1)[0], where="it", vector={"lamp": 2.0})
    report = run([given], writer, on_error="report")
    assert (report.failed, report.failures[0].attempts) == (1, 0)
    writer.strict = False
    assert report.retry().written == 1
    assert vectors == [{"lamp": 2.0}]


# -- add and upsert ---------------------------------------------------------------------------------------


def test_add_and_upsert_report_like_upsert_parallel() -> None:
    store = FaultyDB()
    report = store.add([*documents(3), *documents(1)])
    assert (report.written, report.collapsed, report.ids) == (3, 1, ("d0", "d1", "d2", "d0"))
    assert store.upsert(documents(4)).written == 4


def test_they_run_in_the_calling_thread() -> None:
    seen = []
    store = FaultyDB(CountingEmbedding(fault=lambda _: seen.append(threading.current_thread())))
    store.upsert(documents(3))
    assert seen == [threading.current_thread()]


def test_an_error_of_theirs_carries_the_report() -> None:
    store = FaultyDB(faults=refusing("d1"))
    with pytest.raises(PartialWriteError) as caught:
        store.upsert(documents(3))
    assert (caught.value.report.written, caught.value.report.failed) == (2, 1)
    store.faults = Faults()
    assert caught.value.report.retry().written == 1


# -- across processes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        TransientError("busy", retry_after=3.0),
        DuplicateDocumentError("taken", ids=("a", "b")),
        PartialWriteError("some", WriteReport(written=3)),
        BackendError("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_being_sent_to_another_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_a_refused_lookup_of_identical_documents_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Writer, "stored_stamps", lambda *_: pytest.fail("nothing was in doubt"))
    assert run(documents(4), Writer(faults=refusing("d1")), on_error="report", retry=QUICK).failed == 1
