"""A store as the upserter sees it: checks, stamps and what it writes."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document

from tests.ingest.stand_ins import CountingEmbedding, FaultyDB, documents
from vectorface.documents import Prepared, prepare
from vectorface.errors import EmbeddingError, InvalidDocumentError, PartialWriteError
from vectorface.ingest.writer import Limits, Stamp
from vectorface.writing import StoreWriter, stream_of


def one(text: str = "the lamp", vector: Any = None, **metadata: Any) -> Prepared:
    return prepare(Document(id="a", page_content=text, metadata=metadata), where="it", vector=vector)


@pytest.mark.parametrize(
    ("vector", "fault"),
    [
        ([1.0, 2.0, 3.0], "3 numbers, the index holds vectors of 2"),
        ([0.0, 0.0], "all zeros"),
        ([float("nan"), 1.0], "NaN"),
        ("text", "not a vector"),
    ],
)
def test_a_given_vector_that_does_not_fit_the_index_is_refused(vector: Any, fault: str) -> None:
    store = FaultyDB()
    store.upsert(documents(1))
    with pytest.raises(InvalidDocumentError, match=fault):
        StoreWriter(store).check(one(vector=vector))


def test_a_vector_of_the_embedding_that_does_not_fit_the_index_is_an_embedding_error() -> None:
    class Growing(CountingEmbedding):
        def embed_query(self, text: str) -> list[float]:
            return [1.0] * len(text)

    store = FaultyDB(Growing())
    store.upsert([Document(page_content="abc")])
    with pytest.raises(PartialWriteError) as caught:
        store.upsert_parallel([Document(page_content="abcd")])
    [failure] = caught.value.report.failures
    assert isinstance(failure.error, EmbeddingError)
    assert "4 numbers, the index holds vectors of 3" in str(failure.error)


def test_a_documents_size_counts_the_bytes_of_text_metadata_and_vector() -> None:
    limits = Limits(bytes_per_number=22)
    bare = limits.size(one("é"), None)
    assert limits.size(one("é" * 11), None) == bare + 20
    assert limits.size(one("é"), 100) == bare + 2_200
    assert limits.size(one("é", chapter="x" * 10), None) > bare


def test_a_stamp_tells_text_metadata_and_the_origin_of_the_vector_apart() -> None:
    writer = StoreWriter(FaultyDB())
    stamps = {
        str(writer.stamp(document))
        for document in (
            one(),
            one("another lamp"),
            one(chapter=1),
            one(vector=[1.0, 2.0]),
            one(vector=[2.0, 1.0]),
            one(vector={"lamp": 1.0}),
        )
    }
    assert len(stamps) == 6


def test_the_stamp_of_token_weights_does_not_depend_on_their_order() -> None:
    writer = StoreWriter(FaultyDB())
    one_way, other_way = one(vector={"a": 1.0, "b": 2.0}), one(vector={"b": 2.0, "a": 1.0})
    assert writer.stamp(one_way) == writer.stamp(other_way)


def test_a_stamp_is_read_as_it_was_written() -> None:
    assert Stamp.parse(str(Stamp("content", "metadata"))) == Stamp("content", "metadata")


def test_the_length_of_an_input_is_known_where_it_can_be() -> None:
    assert stream_of(documents(3))[1] == 3
    assert stream_of(iter(documents(3)))[1] is None
