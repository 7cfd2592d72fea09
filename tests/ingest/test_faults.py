"""Poison, refusals and lost answers: each document is reported once, and truly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pytest
from langchain_core.documents import Document

from tests.ingest.stand_ins import (
    ONCE,
    QUICK,
    CountingEmbedding,
    Faults,
    FaultyDB,
    MemoryWriter,
    documents,
    ids_of,
    run,
)
from vectorface.errors import (
    BackendError,
    DuplicateDocumentError,
    EmbeddingError,
    PartialWriteError,
    TransientError,
)
from vectorface.ingest.writer import Stamp
from vectorface.primitives import Entry


def raising_for(poison: set[str], error: Exception) -> Callable[[Sequence[str]], None]:
    """Return a fault that fails every batch with one of ``poison`` in it."""

    def fault(ids: Sequence[str]) -> None:
        if poison & set(ids):
            raise error

    return fault


def refusing(refusals: Mapping[str, Exception]) -> Callable[[Sequence[str]], Mapping[str, Exception]]:
    """Return a fault that refuses single documents."""
    return lambda ids: {id_: refusals[id_] for id_ in ids if id_ in refusals}


def raising_times(times: int, error: Exception) -> Callable[[Sequence[str]], None]:
    """Return a fault that fails so many calls."""
    calls = Counter[str]()

    def fault(_: Sequence[str]) -> None:
        calls["all"] += 1
        if calls["all"] <= times:
            raise error

    return fault


# -- poison -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [BackendError("mapping"), TransientError("forever"), ValueError("bug")], ids=repr
)
@pytest.mark.parametrize(
    "poison",
    [{"d0"}, {"d31"}, {"d7", "d8"}, {"d0", "d13", "d14", "d30"}],
    ids=lambda poison: "+".join(sorted(poison)),
)
def test_poison_is_isolated_and_everything_else_is_written(poison: set[str], error: Exception) -> None:
    store = FaultyDB(faults=Faults(before=raising_for(poison, error)))
    report = store.upsert_parallel(documents(32), batch_size=32, retry=QUICK, on_error="report")
    assert ids_of(report.failures) == poison
    assert store.ids == ids_of(documents(32)) - poison
    assert (report.written, report.total) == (32 - len(poison), 32)
    assert {id(failure.error) for failure in report.failures} == {id(error)}


def test_a_batch_of_nothing_but_poison_fails_document_by_document() -> None:
    store = FaultyDB(faults=Faults(before=raising_for(ids_of(documents(8)), BackendError("no"))))
    report = store.upsert_parallel(documents(8), batch_size=8, on_error="report")
    assert (report.failed, report.written) == (8, 0)
    assert {failure.attempts for failure in report.failures} == {4}  # in batches of 8, 4, 2 and 1


def test_text_that_the_embedding_chokes_on_is_isolated() -> None:
    def choke(texts: Sequence[str]) -> None:
        if "text d5" in texts:
            raise ValueError("too odd")

    store = FaultyDB(CountingEmbedding(fault=choke))
    report = store.upsert_parallel(documents(16), batch_size=16, on_error="report")
    assert ids_of(report.failures) == {"d5"}
    assert store.ids == ids_of(documents(16)) - {"d5"}


def test_a_vector_that_cannot_be_stored_fails_its_own_document_only() -> None:
    class Nan(CountingEmbedding):
        def embed_query(self, text: str) -> list[float]:
            return [float("nan"), 1.0] if text == "text d5" else super().embed_query(text)

    report = FaultyDB(Nan()).upsert_parallel(documents(16), batch_size=16, on_error="report")
    [failure] = report.failures
    assert failure.id == "d5"
    assert isinstance(failure.error, EmbeddingError)


def test_a_writer_that_gives_too_few_vectors_writes_none_of_them() -> None:
    class Short(MemoryWriter):
        def encode(self, texts: Sequence[str]) -> Sequence[Mapping[str, float]]:
            return [{"t": 1.0}] * (len(texts) - 1)

    writer = Short()
    report = run(documents(4), writer, on_error="report")
    assert (report.failed, writer.stored) == (4, {})
    assert {type(failure.error) for failure in report.failures} == {ValueError}


# -- refusals of single documents -------------------------------------------------------------------------


def test_a_refused_document_fails_alone_and_is_not_tried_again() -> None:
    error = BackendError("no such field")
    store = FaultyDB(faults=Faults(refuse=refusing({"d2": error})))
    report = store.upsert_parallel(documents(4), batch_size=4, retry=QUICK, on_error="report")
    [failure] = report.failures
    assert (failure.id, failure.error, failure.attempts) == ("d2", error, 1)
    assert (report.written, store.meter.calls) == (3, 1)


def test_only_the_documents_that_were_refused_for_now_are_sent_again() -> None:
    rounds = iter(
        [{"d1": TransientError("busy"), "d3": TransientError("busy")}, {"d3": TransientError("busy")}, {}]
    )
    store = FaultyDB(faults=Faults(refuse=lambda _: next(rounds)))
    report = store.upsert_parallel(documents(4), batch_size=4, retry=QUICK)
    assert report.written == 4
    assert store.batches == [["d0", "d1", "d2", "d3"], ["d1", "d3"], ["d3"]]


def test_a_document_that_is_refused_for_ever_keeps_its_last_error() -> None:
    errors = [TransientError(f"busy {i}") for i in range(3)]
    rounds = iter(errors)
    store = FaultyDB(faults=Faults(refuse=lambda ids: {"d1": next(rounds)} if "d1" in ids else {}))
    report = store.upsert_parallel(documents(4), batch_size=4, retry=QUICK, on_error="report")
    [failure] = report.failures
    assert (failure.id, failure.error, failure.attempts) == ("d1", errors[-1], 3)
    assert report.written == 3


def test_a_document_may_be_refused_for_now_and_then_for_good() -> None:
    rounds = iter([TransientError("busy"), BackendError("no")])
    store = FaultyDB(faults=Faults(refuse=lambda _: {"d1": next(rounds)}))
    [failure] = store.upsert_parallel(documents(4), batch_size=4, retry=QUICK, on_error="report").failures
    assert (repr(failure.error), failure.attempts) == ("BackendError('no')", 2)


def test_a_request_may_fail_after_some_documents_of_it_were_refused_for_now() -> None:
    calls = Counter[str]()

    def refuse(_: Sequence[str]) -> Mapping[str, Exception]:
        calls["refuse"] += 1
        return {"d1": TransientError("busy"), "d2": TransientError("busy")} if calls["refuse"] == 1 else {}

    def fail_from_the_second_call(ids: Sequence[str]) -> None:
        if calls["refuse"] >= 1 and "d1" in ids:
            raise BackendError("no")

    store = FaultyDB(faults=Faults(before=fail_from_the_second_call, refuse=refuse))
    report = store.upsert_parallel(documents(4), batch_size=4, retry=QUICK, on_error="report")
    assert (ids_of(report.failures), report.written) == ({"d1"}, 3)


# -- answers that get lost --------------------------------------------------------------------------------


def test_a_write_whose_answer_is_lost_is_not_doubled_nor_called_a_failure() -> None:
    store = FaultyDB(faults=Faults(after=raising_times(1, TimeoutError())))
    report = store.upsert_parallel(documents(8), retry=QUICK)
    assert (report.written, report.ok, store.count()) == (8, True, 8)


@pytest.mark.parametrize("error", [TimeoutError(), KeyError("took")], ids=repr)
def test_documents_whose_answers_are_always_lost_are_looked_up_and_reported_as_written(
    error: Exception,
) -> None:
    store = FaultyDB(faults=Faults(after=raising_for({"d3"}, error)))
    report = store.upsert_parallel(documents(8), batch_size=8, retry=QUICK)
    assert (report.written, report.failed, store.count()) == (8, 0, 8)


def test_a_refusal_by_the_store_is_believed_even_if_the_document_is_there_from_before() -> None:
    store = FaultyDB()
    store.upsert_parallel(documents(4))
    store.faults.before = raising_for({"d1"}, BackendError("read-only"))
    report = store.upsert_parallel(documents(4), on_error="report")
    assert ids_of(report.failures) == {"d1"}
    assert ids_of(report.retry().failures) == {"d1"}


def test_where_the_look_up_fails_too_the_failure_stands() -> None:
    class Blind(MemoryWriter):
        def stored_stamps(self, ids: Sequence[str]) -> Mapping[str, Stamp]:
            raise TimeoutError(ids)

    writer = Blind(faults=Faults(after=raising_for({"d1"}, TimeoutError())))
    report = run(documents(4), writer, on_error="report")
    assert ids_of(report.failures) == {"d1"}


def test_an_older_version_of_the_document_is_not_taken_for_the_lost_write() -> None:
    store = FaultyDB()
    store.upsert_parallel(documents(4))
    store.faults.before = raising_for({"d1"}, TimeoutError())
    changed = [Document(id=f"d{i}", page_content=f"new text {i}") for i in range(4)]
    report = store.upsert_parallel(changed, retry=QUICK, on_error="report")
    assert ids_of(report.failures) == {"d1"}


def test_add_recognises_what_its_first_try_wrote() -> None:
    store = FaultyDB(faults=Faults(after=raising_times(1, TransientError("no answer"))))
    report = store.add(documents(5))
    assert (report.written, report.failed, store.count()) == (5, 0, 5)
    assert report.ids == ("d0", "d1", "d2", "d3", "d4")


def test_add_recognises_a_document_that_was_written_and_yet_refused_for_now() -> None:
    def lie_once(ids: Sequence[str]) -> Mapping[str, Exception]:
        del ids
        writer.faults.refuse = None
        writer.stored["d1"] = stamps["d1"]
        return {"d1": TransientError("the replica was late")}

    reference = MemoryWriter()
    run(documents(4), reference)
    stamps = reference.stored
    writer = MemoryWriter(faults=Faults(refuse=lie_once))
    report = run(documents(4), writer, mode="create")
    assert (report.written, report.failed) == (4, 0)


def test_add_does_not_take_another_writers_document_for_its_own() -> None:
    def meanwhile(ids: Sequence[str]) -> None:
        del ids
        store.faults.before = None
        FaultyDB._write(store, _entry_of("d2", "another text"), "replace")
        raise TransientError("busy")

    store = FaultyDB(faults=Faults(before=meanwhile))
    with pytest.raises(PartialWriteError) as caught:
        store.add(documents(5))
    [failure] = caught.value.report.failures
    assert failure.id == "d2"
    assert isinstance(failure.error, DuplicateDocumentError)
    assert [record.text for record in store.get(["d2"])] == ["another text"]


def _entry_of(id_: str, text: str) -> list[Entry]:
    other = FaultyDB()
    other.upsert([Document(id=id_, page_content=text)])
    return [other._entries[id_]]


def test_an_id_that_another_writer_adds_meanwhile_is_a_failure_of_its_own_even_with_the_same_document() -> (
    None
):
    def meanwhile(ids: Sequence[str]) -> None:
        del ids
        store.faults.before = None
        store.upsert(documents(1))

    store = FaultyDB(faults=Faults(before=meanwhile))
    with pytest.raises(PartialWriteError) as caught:
        store.add(documents(3))
    assert ids_of(caught.value.report.failures) == {"d0"}


def test_retrying_an_add_whose_every_answer_was_lost_completes_it() -> None:
    class Late(MemoryWriter):
        late = True  # nothing is to be seen yet of what was written

        def stored_stamps(self, ids: Sequence[str]) -> Mapping[str, Stamp]:
            return {} if self.late else super().stored_stamps(ids)

    writer = Late(faults=Faults(after=raising_for(ids_of(documents(4)), TransientError("no answer"))))
    report = run(documents(4), writer, mode="create", on_error="report")
    assert report.failed == 4
    writer.late, writer.faults = False, Faults()
    again = report.retry()
    assert (again.written, again.failed, again.ok) == (4, 0, True)
    assert set(writer.writes.values()) == {1}


# -- all of it --------------------------------------------------------------------------------------------


def test_1300_chunks_with_every_kind_of_fault_are_accounted_for_truly_and_retry_completes_them() -> None:
    batch_calls, refusals = Counter[str](), Counter[str]()
    doomed, refused = {"d77", "d640", "d641"}, {"d100", "d1299"}

    def before(ids: Sequence[str]) -> None:
        batch_calls["before"] += 1
        if doomed & set(ids):
            raise BackendError("doomed")
        if batch_calls["before"] % 7 == 0:
            raise TransientError("503")

    def refuse(ids: Sequence[str]) -> Mapping[str, Exception]:
        answer: dict[str, Exception] = {id_: BackendError("refused") for id_ in ids if id_ in refused}
        for id_ in ids:
            refusals[id_] += 1
            if id_.endswith("5") and refusals[id_] == 1:
                answer[id_] = TransientError("429")
        return answer

    def after(ids: Sequence[str]) -> None:
        del ids
        batch_calls["after"] += 1
        if batch_calls["after"] % 5 == 0:
            raise TimeoutError("no answer")

    store = FaultyDB(faults=Faults(before=before, refuse=refuse, after=after))
    with pytest.raises(PartialWriteError) as caught:
        store.upsert_parallel(documents(1_300), batch_size=50, retry=QUICK)
    report = caught.value.report
    assert report.total == 1_300
    assert ids_of(report.failures) >= doomed | refused
    assert store.ids == ids_of(documents(1_300)) - ids_of(report.failures)
    assert report.written == store.count()

    store.faults = Faults()
    again = report.retry()
    assert (again.written, again.ok) == (report.failed, True)
    assert store.ids == ids_of(documents(1_300))


def test_with_a_single_attempt_nothing_is_tried_again_but_poison_is_still_isolated() -> None:
    store = FaultyDB(faults=Faults(before=raising_for({"d1"}, TransientError("busy"))))
    report = store.upsert_parallel(documents(4), batch_size=4, retry=ONCE, on_error="report")
    assert (ids_of(report.failures), report.written) == ({"d1"}, 3)
    [failure] = report.failures
    assert failure.attempts == 3  # in batches of 4, 2 and 1


def test_an_error_inside_the_machinery_never_counts_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("no attempts today")

    monkeypatch.setattr("vectorface.ingest.worker.attempts", broken)
    writer = MemoryWriter()
    report = run(documents(4), writer, on_error="report")
    assert (report.written, report.failed, writer.stored) == (0, 4, {})
