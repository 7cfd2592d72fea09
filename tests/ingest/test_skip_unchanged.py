"""``skip_unchanged``: what is stored exactly so is neither embedded nor written."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from tests.ingest.stand_ins import QUICK, CountingEmbedding, Faults, FaultyDB, documents, ids_of
from vectorface.encoding import DenseEncoder
from vectorface.errors import PartialWriteError, SourceError, TransientError
from vectorface.primitives import Entry


def filled(count: int = 20) -> FaultyDB:
    """Return a store with documents, whose counters stand at zero."""
    store = FaultyDB()
    store.upsert_parallel(documents(count))
    store.embedding.batches.clear()
    store.batches.clear()
    return store


def test_unchanged_documents_are_neither_embedded_nor_written() -> None:
    store = filled()
    report = store.upsert_parallel(documents(20), skip_unchanged=True)
    assert (report.unchanged, report.written, report.total, report.ok) == (20, 0, 20, True)
    assert (store.embedding.texts, store.batches) == ([], [])


def test_without_it_everything_is_written_again() -> None:
    store = filled()
    assert store.upsert_parallel(documents(20)).written == 20
    assert len(store.embedding.texts) == 20


def test_new_documents_are_embedded_and_written() -> None:
    store = filled(10)
    report = store.upsert_parallel(documents(15), skip_unchanged=True)
    assert (report.unchanged, report.written) == (10, 5)
    assert sorted(store.embedding.texts) == sorted(f"text d{i}" for i in range(10, 15))


def test_changed_text_is_embedded_and_written() -> None:
    store = filled()
    changed = Document(id="d3", page_content="new text")
    report = store.upsert_parallel([changed, *documents(20)[4:]], skip_unchanged=True)
    assert (report.unchanged, report.written) == (16, 1)
    assert store.embedding.texts == ["new text"]
    assert store.get(["d3"])[0].text == "new text"


def test_changed_metadata_is_written_without_embedding_and_the_vector_stays() -> None:
    store = filled()
    [before] = store.get(["d3"], include_vectors=True)
    changed = Document(id="d3", page_content="text d3", metadata={"chapter": 1})
    report = store.upsert_parallel([changed], skip_unchanged=True)
    [after] = store.get(["d3"], include_vectors=True)
    assert (report.written, report.unchanged, store.embedding.texts) == (1, 0, [])
    assert after.metadata == {"chapter": 1}
    assert np.array_equal(np.asarray(after.vector), np.asarray(before.vector))
    assert store.upsert_parallel([changed], skip_unchanged=True).unchanged == 1


def test_a_changed_embedding_makes_every_document_a_changed_one() -> None:
    store = filled(5)
    other = CountingEmbedding()
    other.model = "another model"
    store.encoder = DenseEncoder(other)
    assert store.upsert_parallel(documents(5), skip_unchanged=True).written == 5
    assert len(other.texts) == 5


def test_a_document_that_something_else_changed_under_our_stamp_is_written_again() -> None:
    store = filled(5)
    ours: dict[str, Entry] = store._entries
    old = ours["d2"]
    ours["d2"] = Entry(id="d2", text="edited", metadata={}, vector=old.vector, stamp=old.stamp)
    report = store.upsert_parallel(documents(5), skip_unchanged=True)
    assert (report.unchanged, report.written) == (4, 1)
    assert store.get(["d2"])[0].text == "text d2"


@pytest.mark.parametrize("stamp", [None, "", "not a stamp of ours"])
def test_a_document_without_our_stamp_is_written_again(stamp: Any) -> None:
    store = filled(2)
    old = store._entries["d1"]
    store._entries["d1"] = Entry(id="d1", text=old.text, metadata={}, vector=old.vector, stamp=stamp)
    assert store.upsert_parallel(documents(2), skip_unchanged=True).written == 1


def test_a_vector_given_by_the_caller_makes_another_document_than_an_embedded_one() -> None:
    store = filled(2)
    store.upsert(documents(1), vectors=[[5.0, 5.0]])
    report = store.upsert_parallel(documents(2), skip_unchanged=True)
    assert (report.written, report.unchanged) == (1, 1)


def test_running_again_after_a_crash_is_the_resume() -> None:
    crashed = threading.Event()

    def stream() -> Any:
        yield from documents(300)
        crashed.set()
        raise OSError("power cut")

    store = FaultyDB()
    with pytest.raises(SourceError) as caught:
        store.upsert_parallel(stream())
    before = store.ids
    assert crashed.is_set()
    assert len(before) == caught.value.report.written < 300
    store.embedding.batches.clear()

    report = store.upsert_parallel(documents(300), skip_unchanged=True)
    assert (report.unchanged, report.written) == (len(before), 300 - len(before))
    assert len(store.embedding.texts) == 300 - len(before)
    assert store.ids == ids_of(documents(300))


def test_looking_up_is_retried_like_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    store, calls = filled(4), []

    def busy_once(ids: Sequence[str], fields: Any) -> Any:
        calls.append(ids)
        if len(calls) == 1:
            raise TransientError("busy")
        return real(ids, fields)

    real = store._read
    monkeypatch.setattr(store, "_read", busy_once)
    assert store.upsert_parallel(documents(4), skip_unchanged=True, retry=QUICK).unchanged == 4


def test_documents_that_cannot_be_looked_up_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(ids: Sequence[str], fields: Any) -> Any:
        raise ValueError(ids, fields)

    store = filled(4)
    monkeypatch.setattr(store, "_read", broken)
    with pytest.raises(PartialWriteError) as caught:
        store.upsert_parallel(documents(4), skip_unchanged=True)
    assert (caught.value.report.failed, store.batches) == (4, [])


def test_a_refused_change_of_metadata_is_a_failure_that_retry_completes() -> None:
    store = filled(4)
    store.faults = Faults(refuse=lambda ids: dict.fromkeys(ids, ValueError("no")))
    changed = [Document(id=f"d{i}", page_content=f"text d{i}", metadata={"n": i}) for i in range(4)]
    report = store.upsert_parallel(changed, skip_unchanged=True, on_error="report")
    assert (report.failed, report.written) == (4, 0)
    store.faults = Faults()
    assert report.retry().written == 4
    assert store.embedding.texts == []
