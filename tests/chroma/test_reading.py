"""What Chroma does with reads and deletes, and what a store makes of it."""

from __future__ import annotations

import time

import chromadb.errors
import pytest
from langchain_core.documents import Document

from tests.chroma.conftest import Place, raw_twin, raw_view
from tests.chroma.samples import bearing, bearings, numbered, put
from vectorface import ChromaDB
from vectorface.primitives import Query

MANY = [str(n) for n in range(34_000)]


def test_get_keeps_the_order_of_ids_where_chroma_gives_its_own(store: ChromaDB) -> None:
    put(store, {"a": {}, "b": {}, "c": {}})
    assert raw_view(store).get(ids=["c", "a", "b"])["ids"] == ["a", "b", "c"]

    assert [record.id for record in store.get(["c", "gone", "a", "b", "c"])] == ["c", "a", "b"]


def test_any_number_of_ids_can_be_read_where_sqlite_takes_32766(store: ChromaDB) -> None:
    with pytest.raises(chromadb.errors.InternalError, match="too many SQL variables"):
        raw_twin(store).get(ids=MANY)
    put(store, {"7": {}, "33000": {}})

    assert [record.id for record in store.get(MANY)] == ["7", "33000"]
    assert store.delete_by_filter(ids=MANY).deleted == 2


def test_any_number_of_hits_can_be_found_where_chroma_reads_them_in_one_statement(memory: Place) -> None:
    store = memory.connect()
    store.upsert(numbered(1_000), vectors=bearings(1_000))
    queries = [Query(vector=vector) for vector in bearings(33)]
    with pytest.raises(chromadb.errors.InternalError, match="too many SQL variables"):
        raw_view(store).query(query_embeddings=list(bearings(33)), n_results=1_000)

    found = store._search(queries, {}, 1_000, ("text", "metadata"))

    assert [len(hits) for hits in found] == [1_000] * 33
    assert [found[7]] == store._search([queries[7]], {}, 1_000, ("text", "metadata"))
    nearest = store.query(vector=bearing(180), k=50_000, filter={"number": {"$gte": 990}})
    assert [hit.id for hit in nearest] == [str(n) for n in range(999, 989, -1)]


def test_ids_beside_a_filter_do_not_meet_in_chroma_where_that_takes_for_ever(memory: Place) -> None:
    store = memory.connect()
    store.upsert(numbered(2_000), vectors=bearings(2_000))
    ids = [str(n) for n in range(2_000)]

    start = time.perf_counter()
    raw_view(store).get(ids=ids[:500], where={"number": {"$gte": 0}}, include=[])
    seconds_of_chroma_for_a_quarter = time.perf_counter() - start
    start = time.perf_counter()
    found = store.get(ids, filter={"number": {"$gte": 1_000}})
    seconds = time.perf_counter() - start

    assert [record.id for record in found] == ids[1_000:]
    assert seconds < seconds_of_chroma_for_a_quarter


def test_delete_counts_what_was_there_where_chroma_counts_what_was_asked_for(store: ChromaDB) -> None:
    raw = raw_twin(store)
    raw.upsert(ids=["a"], embeddings=[bearing(0)])
    assert raw.delete(ids=["a", "gone", "gone too"]) == {"deleted": 3}
    put(store, {"a": {}, "b": {}})

    report = store.delete_by_filter(ids=["a", "gone", "gone too"])

    assert (report.matched, report.deleted, report.conflicts) == (1, 1, ())
    assert store.count() == 1


def test_delete_names_what_another_client_deleted_first(store: ChromaDB) -> None:
    put(store, {"a": {}, "b": {}})
    targets = list(store.read_stored(["a", "b"], ()))
    raw_view(store).delete(ids=["a"])

    removal = store._remove(targets)

    assert (removal.deleted, removal.conflicts) == (1, ("a",))
    assert store._remove(targets).deleted == 0


def test_scan_streams_page_by_page(memory: Place) -> None:
    store = memory.connect()
    store.upsert(numbered(25), vectors=bearings(25))

    stream = store.scan(batch_size=10, include_vectors=True)

    first = next(stream)
    assert first.vector == pytest.approx(bearing(0))
    assert [record.id for record in stream] == [str(n) for n in range(1, 25)]
    assert len(list(store.scan(batch_size=5))) == 25


def test_a_query_of_an_empty_collection_finds_nothing(store: ChromaDB) -> None:
    assert store.query(vector=bearing(0)) == []
    assert store.query(vector=bearing(0), k=100_000) == []
    assert store.query_batch([]) == []


@pytest.mark.parametrize(
    ("metric", "scores"),
    [("cosine", [1.0, 0.0, -1.0]), ("l2", [1 / 2, 1 / 6, 1 / 10]), ("dot", [2.0, 0.0, -2.0])],
)
def test_scores_are_higher_for_nearer_where_chroma_gives_distances(
    place: Place, metric: str, scores: list[float]
) -> None:
    store = place.connect(metric=metric)
    documents = [Document(id=str(angle), page_content="boat") for angle in (0, 90, 180)]
    store.upsert(documents, vectors=[[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0]])

    hits = store.query(vector=[1.0, 0.0], k=3)

    assert [hit.id for hit in hits] == ["0", "90", "180"]
    assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-6)
    assert {hit.score_kind for hit in hits} == {metric}
    raw = raw_view(store).query(query_embeddings=[[1.0, 0.0]])["distances"] or []
    assert raw[0] == sorted(raw[0])


def test_mmr_takes_the_vectors_that_came_with_the_search(store: ChromaDB) -> None:
    documents = [Document(id=str(angle), page_content="boat") for angle in (0, 1, 60)]
    store.upsert(documents, vectors=[bearing(0), bearing(1), bearing(60)])

    hits = store.query(vector=bearing(0), k=2, search_type="mmr", lambda_mult=0.3)

    assert [hit.id for hit in hits] == ["0", "60"]
