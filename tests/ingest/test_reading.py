"""The input: any iterable, read once, in a bounded window."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any, cast

import psutil
import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from tests.ingest.stand_ins import CountingEmbedding, FaultyDB, MemoryWriter, NullWriter, documents, run
from vectorface.documents import Prepared
from vectorface.errors import DuplicateDocumentError, InvalidDocumentError
from vectorface.ingest.account import Progress
from vectorface.ingest.writer import Limits


class Loader(BaseLoader):
    def __init__(self, count: int) -> None:
        self.times_read = 0
        self._count = count

    def lazy_load(self) -> Iterator[Document]:
        self.times_read += 1
        yield from documents(self._count)


@pytest.mark.parametrize(
    "wrap", [list, tuple, iter, lambda docs: (doc for doc in docs), lambda docs: map(id_, docs)]
)
def test_any_iterable_is_written(wrap: Any) -> None:
    store = FaultyDB()
    report = store.upsert_parallel(wrap(documents(10)))
    assert (report.written, report.ok) == (10, True)
    assert store.count() == 10


def id_(document: Document) -> Document:
    return document


def test_a_loader_is_read_lazily_and_once() -> None:
    store, loader = FaultyDB(), Loader(10)
    assert store.upsert_parallel(cast("Any", loader)).written == 10
    assert loader.times_read == 1


@pytest.mark.parametrize("wrong", [5, None, "some text", Document(page_content="alone")])
def test_what_is_no_iterable_of_documents_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(InvalidDocumentError, match="iterable of Document objects or a loader"):
        FaultyDB().upsert_parallel(wrong)


def test_no_documents_make_an_empty_report() -> None:
    store, told = FaultyDB(), list[Progress]()
    report = store.upsert_parallel([], callbacks=[told.append])
    assert (report.total, report.ok, report.stopped, told) == (0, True, None, [])
    assert report.retry().total == 0


@pytest.mark.parametrize("workers", [1, 3])
def test_the_input_is_never_read_further_ahead_than_a_window(workers: int) -> None:
    size, furthest, read = 5, 0, 0
    writer = MemoryWriter()

    def source() -> Iterator[Document]:
        nonlocal read, furthest
        for document in documents(400):
            read += 1
            furthest = max(furthest, read - len(writer.stored))
            yield document

    run(source(), writer, batch_size=size, max_workers=workers)
    in_flight, window = (workers + 1) * size, workers * size
    assert len(writer.stored) == 400
    assert furthest <= in_flight + window


def test_a_huge_batch_size_does_not_widen_the_window_beyond_what_the_backend_takes() -> None:
    writer, furthest, read = MemoryWriter(limits=Limits(max_documents=5)), 0, 0

    def source() -> Iterator[Document]:
        nonlocal read, furthest
        for document in documents(200):
            read += 1
            furthest = max(furthest, read - len(writer.stored))
            yield document

    run(source(), writer, batch_size=1_000_000, max_workers=1)
    assert furthest <= 3 * 5


def test_writing_begins_before_reading_ends() -> None:
    writer = MemoryWriter()
    written_midway = []

    def source() -> Iterator[Document]:
        for i, document in enumerate(documents(200)):
            if i == 150:
                written_midway.append(len(writer.stored))
            yield document

    run(source(), writer)
    assert written_midway[0] > 0


def test_memory_does_not_grow_with_the_input() -> None:
    process = psutil.Process()
    samples: list[int] = []

    def source(count: int) -> Iterator[Prepared]:
        for i in range(count):
            if i % 10_000 == 0:
                samples.append(process.memory_info().rss)
            yield Prepared(
                id=f"{i:064}",
                text=f"text {i}",
                metadata={"i": i},
                vector=None,
                text_hash="t",
                metadata_hash="m",
            )

    run(source(10_000), NullWriter(), batch_size=128)  # so that caches and arenas have their size
    samples.clear()
    gc.collect()
    report = run(source(50_000), NullWriter(), batch_size=128)
    assert report.written == 50_000
    assert max(samples) - samples[0] < 10_000_000  # holding them all would take over 30 MB


def test_a_generator_is_read_to_its_end_and_closed() -> None:
    closed = []

    def source() -> Iterator[Document]:
        try:
            yield from documents(30)
        finally:
            closed.append(True)

    run(source(), MemoryWriter())
    assert closed == [True]


# -- batches ----------------------------------------------------------------------------------------------


def test_batches_hold_at_most_batch_size_documents() -> None:
    store = FaultyDB()
    store.upsert_parallel(documents(50), batch_size=7)
    assert max(map(len, store.batches)) == 7
    assert max(map(len, store.embedding.batches)) == 7


def test_a_batch_may_hold_a_single_document() -> None:
    store = FaultyDB()
    assert store.upsert_parallel(documents(5), batch_size=1).written == 5
    assert [len(batch) for batch in store.batches] == [1] * 5


def test_batches_hold_no_more_documents_than_the_backend_accepts() -> None:
    store = FaultyDB(limits=Limits(max_documents=6))
    assert store.upsert_parallel(documents(50), batch_size=1_000_000).written == 50
    assert max(map(len, store.batches)) == 6


def test_batches_hold_no_more_bytes_than_the_backend_accepts() -> None:
    store = FaultyDB(limits=Limits(max_bytes=1_000))
    texts = [Document(id=f"{i:02}", page_content="x" * 300) for i in range(20)]
    assert store.upsert_parallel(texts, batch_size=100).written == 20
    assert {len(batch) for batch in store.batches} <= {2, 3}


def test_vectors_count_towards_the_bytes_of_a_batch() -> None:
    writer = MemoryWriter(limits=Limits(max_bytes=1_000, bytes_per_number=4), dimension=100)
    sizes: list[int] = []
    writer.faults.before = lambda ids: sizes.append(len(ids))
    run(documents(20), writer, batch_size=100)
    assert set(sizes) == {2}


def test_a_document_larger_than_a_request_is_a_failure_and_the_others_are_written() -> None:
    store = FaultyDB(limits=Limits(max_bytes=1_000))
    report = store.upsert_parallel(
        [Document(id="huge", page_content="x" * 2_000), *documents(5)], on_error="report"
    )
    [failure] = report.failures
    assert (failure.id, failure.attempts, report.written) == ("huge", 0, 5)
    assert "preprocess()" in str(failure.error)


def test_documents_of_like_length_are_embedded_together() -> None:
    lengths = [1 + (i * 37) % 40 for i in range(40)]
    texts = [
        Document(id=str(i), page_content="x" * length) for i, length in enumerate([*range(1, 11), *lengths])
    ]
    store = FaultyDB(CountingEmbedding(seconds=0.1))
    store.upsert_parallel(texts, batch_size=10, max_workers=4)
    spreads = [max(map(len, batch)) - min(map(len, batch)) for batch in store.embedding.batches]
    assert len(spreads) == 5
    assert max(spreads) == 9


# -- what is wrong in the input ---------------------------------------------------------------------------


def test_invalid_documents_of_a_stream_become_failures_and_the_others_are_written() -> None:
    store = FaultyDB()
    bad: list[Any] = [
        Document(id="blank", page_content="  "),
        Document(id="nan", page_content="text", metadata={"x": float("nan")}),
        Document(id="x" * 513, page_content="text"),
        "no document",
        None,
        {"page_content": "no document either"},
    ]
    mixed = [item for pair in zip(documents(6), bad, strict=True) for item in pair]
    report = store.upsert_parallel(iter(mixed), on_error="report")
    assert (report.written, report.failed, report.total) == (6, 6, 12)
    assert {failure.attempts for failure in report.failures} == {0}
    assert [failure.document for failure in report.failures] == bad
    assert "document 1 " in str(report.failures[0].error)


def test_a_failure_has_the_id_of_its_document_only_if_that_is_a_valid_one() -> None:
    bad: list[Any] = [
        Document(id="blank", page_content=" "),
        Document(id="x" * 513, page_content="text"),
        Document(page_content=" "),
        7,
    ]
    report = FaultyDB().upsert_parallel(bad, on_error="report")
    assert [failure.id for failure in report.failures] == ["blank", None, None, None]


def test_a_document_that_cannot_even_be_looked_at_is_one_failure_like_any_other() -> None:
    class Hostile(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("not today")

    hostile = Document.model_construct(id="hostile", page_content="text", metadata=Hostile())
    report = FaultyDB().upsert_parallel([hostile, *documents(3)], on_error="report")
    assert (report.written, [failure.id for failure in report.failures]) == (3, ["hostile"])


def test_identical_repetitions_collapse_and_are_counted() -> None:
    store = FaultyDB()
    report = store.upsert_parallel([*documents(10), *documents(5), *documents(5)], batch_size=3)
    assert (report.written, report.collapsed, report.total, report.ok) == (10, 10, 20, True)


def test_documents_without_ids_collapse_when_content_and_metadata_are_equal() -> None:
    same = [Document(page_content="the lamp", metadata={"n": 1}) for _ in range(3)]
    other = Document(page_content="the lamp", metadata={"n": 2})
    report = FaultyDB().upsert_parallel([*same, other])
    assert (report.written, report.collapsed) == (2, 2)


def test_of_two_documents_with_one_id_the_first_is_written_and_the_second_is_a_failure() -> None:
    store = FaultyDB()
    first, second = (Document(id="a", page_content=text) for text in ("first", "second"))
    report = store.upsert_parallel([first, second, *documents(5)], on_error="report")
    [failure] = report.failures
    assert isinstance(failure.error, DuplicateDocumentError)
    assert (failure.id, failure.attempts, failure.document.page_content) == ("a", 0, "second")
    assert failure.error.ids == ("a",)
    assert [record.text for record in store.get(["a"])] == ["first"]


def test_repetitions_are_found_however_far_apart_they_are() -> None:
    writer = MemoryWriter()
    report = run([*documents(2_000), *documents(1)], writer, batch_size=16)
    assert (report.written, report.collapsed) == (2_000, 1)
    assert max(writer.writes.values()) == 1
