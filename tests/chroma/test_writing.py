"""What Chroma does with writes, and what a store makes of it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import chromadb.errors
import numpy as np
import pytest
from langchain_core.documents import Document

from tests.chroma.conftest import Place, raw_twin, raw_view
from tests.chroma.samples import bearing, bearings, contents, numbered, put
from vectorface import ChromaDB
from vectorface.documents import prepare
from vectorface.errors import (
    BackendError,
    DuplicateDocumentError,
    InvalidDocumentError,
    PartialWriteError,
)
from vectorface.ingest.batches import batches
from vectorface.primitives import Entry

NORTH, EAST = bearing(0), bearing(90)


# -- metadata ---------------------------------------------------------------------------------------------


def test_upsert_drops_metadata_keys_that_chroma_would_keep(store: ChromaDB) -> None:
    raw = raw_twin(store)
    for metadata in ({"chapter": 1, "draft": True}, {"chapter": 2}):
        raw.upsert(ids=["a"], documents=["a"], embeddings=[NORTH], metadatas=[metadata])
        store.upsert([Document(id="a", page_content="a", metadata=metadata)], vectors=[NORTH])

    assert raw.get()["metadatas"] == [{"chapter": 2, "draft": True}]
    assert contents(store) == {"a": ("a", {"chapter": 2})}
    assert store.count({"draft": {"$exists": True}}) == 0


def test_upsert_can_leave_a_document_without_metadata(store: ChromaDB) -> None:
    put(store, {"a": {"chapter": 1, "tags": ["sea"], "ship": {"name": "Nan"}, "lost": None}})
    put(store, {"a": {}})

    assert contents(store) == {"a": ("a", {})}
    [metadata] = raw_view(store).get()["metadatas"] or []
    assert set(metadata) == {"_vectorface"}


def test_writing_metadata_alone_drops_keys_that_are_gone(store: ChromaDB) -> None:
    put(store, {"a": {"chapter": 1, "tags": ["sea"], "lost": None}})
    entry = Entry(id="a", text="", metadata={"chapter": 2}, vector=None, stamp="s")

    assert store.write_entries([entry], "metadata") == {}

    [record] = store.get(include_vectors=True)
    assert (record.text, record.metadata) == ("a", {"chapter": 2})
    assert record.vector == pytest.approx(NORTH)


def test_metadata_for_a_document_that_is_gone_is_a_failure_where_chroma_says_nothing(store: ChromaDB) -> None:
    raw_view(store).update(ids=["gone"], metadatas=[{"chapter": 1}])

    entry = Entry(id="gone", text="", metadata={"chapter": 1}, vector=None, stamp="s")
    refused = store.write_entries([entry], "metadata")

    assert isinstance(refused["gone"], BackendError)
    assert "'gone' was deleted" in str(refused["gone"])
    assert store.count() == 0


# -- ids --------------------------------------------------------------------------------------------------


def test_add_refuses_the_ids_that_chroma_passes_over_in_silence(store: ChromaDB) -> None:
    raw = raw_twin(store)
    for text in ("old", "new"):
        raw.add(ids=["a"], documents=[text], embeddings=[NORTH])
    assert raw.get()["documents"] == ["old"]

    store.add([Document(id="a", page_content="old")], vectors=[NORTH])
    with pytest.raises(DuplicateDocumentError, match=r"1 of 2 ids exists already .*'a'.*nothing was written"):
        store.add([Document(id=id_, page_content="new") for id_ in "ab"], vectors=[NORTH, EAST])
    assert contents(store) == {"a": ("old", {})}


def test_an_id_that_is_taken_when_its_batch_is_written_fails_alone(store: ChromaDB) -> None:
    put(store, {"a": {}})
    entries = [Entry(id=id_, text="new", metadata={}, vector=np.array(NORTH), stamp="s") for id_ in "ab"]

    refused = store.write_entries(entries, "create")

    assert list(refused) == ["a"]
    assert isinstance(refused["a"], DuplicateDocumentError)
    assert {id_: text for id_, (text, _) in contents(store).items()} == {"a": "a", "b": "new"}


@pytest.mark.parametrize("round_", range(3))
def test_when_several_add_one_id_at_once_one_wins_and_the_others_are_told(place: Place, round_: int) -> None:
    stores = [place.connect()] * 4 if place.mode == "memory" else [place.connect() for _ in range(4)]
    start = threading.Barrier(len(stores))

    def add(who: int) -> set[str]:
        documents = [Document(id=f"{round_}-{i}", page_content=f"by {who}") for i in range(30)]
        start.wait()
        try:
            stores[who].add(documents, vectors=bearings(30))
        except DuplicateDocumentError:
            return set()
        except PartialWriteError as error:
            failed = {failure.id for failure in error.report.failures}
            return {document.id or "" for document in documents} - failed
        return {document.id or "" for document in documents}

    with ThreadPoolExecutor(len(stores)) as pool:
        wins = list(pool.map(add, range(len(stores))))

    claimed = [(id_, f"by {who}") for who, ids in enumerate(wins) for id_ in ids]
    assert sorted(claimed) == sorted((id_, text) for id_, (text, _) in contents(stores[0]).items())
    assert len(claimed) == 30


def test_repeated_documents_of_a_call_collapse_where_chroma_raises(store: ChromaDB) -> None:
    with pytest.raises(chromadb.errors.DuplicateIDError):
        raw_twin(store).upsert(ids=["a", "a"], documents=["x", "x"], embeddings=[NORTH, NORTH])

    report = store.upsert([Document(id="a", page_content="x")] * 3, vectors=[NORTH] * 3)

    assert (report.written, report.collapsed) == (1, 2)
    with pytest.raises(DuplicateDocumentError, match="more than one document"):
        store.upsert([Document(id="a", page_content=text) for text in "xy"], vectors=[NORTH, EAST])


# -- size -------------------------------------------------------------------------------------------------


def test_a_call_may_hold_more_documents_than_a_batch_of_chroma(memory: Place) -> None:
    store = memory.connect()
    most = store.client.get_max_batch_size()
    too_many = bearings(most + 1)
    with pytest.raises(chromadb.errors.InternalError, match=r"(?i)batch size"):
        raw_twin(store).upsert(ids=[str(i) for i in range(len(too_many))], embeddings=too_many)

    report = store.upsert(numbered(6_000), vectors=bearings(6_000))

    assert (most, report.written, store.count()) == (5_461, 6_000, 6_000)
    assert store.query(vector=bearing(180), k=1)[0].id == "5999"


def test_a_server_gets_so_many_at_once_as_it_can_replace_in_time(server: Place, memory: Place) -> None:
    assert server.connect().limits.max_documents < memory.connect().limits.max_documents

    store = server.connect()
    assert store.upsert(numbered(2_100), vectors=bearings(2_100)).written == store.count() == 2_100


def test_a_document_above_the_servers_limit_is_refused_before_it_is_sent(server: Place) -> None:
    store = server.connect()
    with pytest.raises(Exception, match="Payload too large"):
        raw_twin(store).upsert(ids=["a"], documents=["x" * 45_000_000], embeddings=[NORTH])

    start = time.perf_counter()
    with pytest.raises(InvalidDocumentError, match=r"takes about 70 MB; this store takes at most 40 MB"):
        store.upsert([Document(id="a", page_content="x" * 70_000_000)], vectors=[NORTH])

    assert time.perf_counter() - start < 5
    assert store.count() == 0


def test_batches_are_cut_by_bytes_too(server: Place) -> None:
    limits = server.connect().limits
    wide = [prepare(document, where="here") for document in numbered(700)]

    cut = [len(batch) for batch in batches(wide, size=700, limits=limits, dimension=12_000)]

    as_json = 12_000 * len("-0.0123456789012345678")
    assert sum(cut) == 700
    assert max(cut) * as_json < 40 << 20 < 700 * as_json


def test_a_batch_that_the_server_finds_too_large_all_the_same_is_halved(server: Place) -> None:
    store = server.connect()
    novel = "Nan lit the lamp. " * 60_000
    documents = [Document(id=str(i), page_content="a novel", metadata={"text": novel}) for i in range(45)]

    report = store.upsert(documents, vectors=bearings(len(documents)))

    assert report.written == len(documents)
    assert store.count({"text": novel}) == len(documents)
