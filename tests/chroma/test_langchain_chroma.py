"""langchain_chroma.Chroma and a store on one collection: each reads what the other wrote."""

from __future__ import annotations

import sys
from datetime import date
from typing import Any

import pytest
from langchain_chroma import Chroma
from langchain_core.documents import Document

from tests.chroma.conftest import Place, raw_view
from tests.chroma.samples import contents
from tests.langchain.compass import Compass, towards
from vectorface import ChromaDB
from vectorface.errors import MissingExtraError, NotConnectedError


@pytest.fixture
def store(place: Place) -> ChromaDB:
    return place.connect(Compass())


@pytest.fixture
def theirs(store: ChromaDB) -> Chroma:
    return store.as_langchain_chroma()


def reserved_left_out(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if not key.startswith("_vectorface")}


def ids(store: ChromaDB, **options: Any) -> set[str]:
    return {hit.id for hit in store.query("course 0", k=99, **options)}


# -- it opens what we wrote -------------------------------------------------------------------------------


def test_it_searches_what_a_store_wrote(store: ChromaDB, theirs: Chroma) -> None:
    store.upsert([towards(n, chapter=n // 30, tags=["sea"]) for n in range(0, 180, 10)])

    only: Any = {"chapter": 1}
    found = theirs.similarity_search("course 42", k=2, filter=only)

    assert [document.id for document in found] == ["d40", "d50"]
    assert found[0].page_content == "a boat on course 40"
    assert reserved_left_out(found[0].metadata) == {"chapter": 1, "tags": ["sea"]}
    assert theirs.get(ids=["d10"])["documents"] == ["a boat on course 10"]
    assert len(theirs.max_marginal_relevance_search("course 90", k=3)) == 3
    assert [document.id for document in theirs.get_by_ids(["d170"])] == ["d170"]


@pytest.mark.filterwarnings(
    "ignore:legacy embedding function config:DeprecationWarning"
)  # langchain-chroma's
def test_it_returns_a_distance_where_a_store_returns_a_score(store: ChromaDB, theirs: Chroma) -> None:
    store.upsert([towards(60), towards(0)])

    [hit, _] = store.query("course 60", k=2)
    [(document, distance), _] = theirs.similarity_search_with_score("course 60", k=2)

    assert document.id == hit.id == "d60"
    assert hit.score == pytest.approx(1)
    assert distance == pytest.approx(0, abs=1e-6)
    [_, (_, relevance)] = theirs.similarity_search_with_relevance_scores("course 60", k=2)
    assert relevance == pytest.approx(store.query("course 60", k=2)[1].score)


def test_it_finds_the_collection_by_its_name_alone(store: ChromaDB) -> None:
    store.upsert([towards(10, chapter=1)])

    theirs = Chroma(client=store.client, collection_name=store.index, embedding_function=Compass())

    assert [document.id for document in theirs.similarity_search("course 0")] == ["d10"]
    assert store.get_index(store.index).fingerprint is not None


def test_it_opens_the_directory_of_a_closed_store(directory: Place) -> None:
    with directory.connect(Compass(), collection="stories") as store:
        store.upsert([towards(10, chapter=1)])

    path = str(directory.address["path"])
    theirs = Chroma("stories", Compass(), persist_directory=path)
    theirs.add_documents([towards(20, chapter=2)], ids=["theirs"])
    theirs._client.close()

    with directory.connect(Compass(), collection="stories") as store:
        assert ids(store) == {"d10", "theirs"}
        assert ids(store, filter={"chapter": 2}) == {"theirs"}


# -- we open what it wrote --------------------------------------------------------------------------------


def test_a_store_opens_what_it_wrote(store: ChromaDB) -> None:
    theirs = Chroma(f"{store.index}-theirs", Compass(), client=store.client)
    theirs.add_texts(
        ["course 10", "course 20", "course 30"],
        metadatas=[{"chapter": 1, "tags": ["sea", "fog"]}, {"chapter": 2.5}, {}],
        ids=["a", "b", "c"],
    )

    with ChromaDB(Compass()).connect(client=store.client, collection=f"{store.index}-theirs") as ours:
        assert (ours.metric, ours.dimension, ours.count()) == ("l2", 2, 3)
        assert contents(ours) == {
            "a": ("course 10", {"chapter": 1, "tags": ["sea", "fog"]}),
            "b": ("course 20", {"chapter": 2.5}),
            "c": ("course 30", {}),
        }
        assert [hit.id for hit in ours.query("course 21", k=2)] == ["b", "c"]
        assert ids(ours, filter={"chapter": {"$gt": 1}}) == {"b"}
        assert ids(ours, filter={"tags": "fog"}) == {"a"}
        assert ids(ours, filter={"chapter": {"$exists": False}}) == {"c"}
        assert ids(ours, filter={"tags": {"$ne": "fog"}}) == {"b", "c"}


def test_a_store_replaces_what_it_wrote_as_a_whole(store: ChromaDB, theirs: Chroma) -> None:
    theirs.add_texts(["course 10"], metadatas=[{"chapter": 1, "draft": True}], ids=["a"])

    store.upsert([Document(id="a", page_content="course 20", metadata={"chapter": 2})])

    assert contents(store) == {"a": ("course 20", {"chapter": 2})}
    [metadata] = theirs.get(ids=["a"])["metadatas"]
    assert reserved_left_out(metadata) == {"chapter": 2}


def test_a_range_does_not_see_the_lists_it_wrote_but_equality_does(store: ChromaDB, theirs: Chroma) -> None:
    """The known limit: only what a store writes is marked as a list, and Chroma's ranges pass over lists."""
    theirs.add_texts(["course 10"], metadatas=[{"pages": [3, 7]}], ids=["theirs"])
    store.upsert([Document(id="ours", page_content="course 10", metadata={"pages": [3, 7]})])

    assert ids(store, filter={"pages": {"$gt": 5}}) == {"ours"}
    assert ids(store, filter={"pages": 7}) == {"ours", "theirs"}
    assert ids(store, filter={"pages": {"$in": [6, 7]}}) == {"ours", "theirs"}
    assert ids(store, filter={"pages": {"$ne": 7}}) == set()


# -- it changed what we wrote -----------------------------------------------------------------------------

ORIGINAL = Document(
    id="a",
    page_content="course 10",
    metadata={"chapter": 1, "when": date(2024, 5, 1), "ship": {"name": "Nan", "crew": None}, "tags": ["sea"]},
)


@pytest.fixture
def written(store: ChromaDB) -> ChromaDB:
    store.upsert([ORIGINAL])
    return store


def unchanged(store: ChromaDB, document: Document) -> int:
    return store.upsert_parallel([document], skip_unchanged=True).unchanged


def test_an_update_of_its_own_is_read_and_filtered_as_it_stands(written: ChromaDB, theirs: Chroma) -> None:
    theirs.update_document(
        "a", Document(page_content="course 170", metadata={"chapter": 2, "ship.name": "Olga", "new": True})
    )

    assert contents(written) == {
        "a": (
            "course 170",
            {"chapter": 2, "when": date(2024, 5, 1), "ship.name": "Olga", "tags": ["sea"], "new": True},
        )
    }
    assert written.query("course 170", k=1)[0].score == pytest.approx(1)
    holds: list[dict[str, Any]] = [
        {"chapter": 2},
        {"ship.name": "Olga"},
        {"new": True},
        {"when": date(2024, 5, 1)},
    ]
    fails: list[dict[str, Any]] = [{"chapter": 1}, {"ship.name": "Nan"}, {"ship.crew": {"$exists": True}}]
    for condition in holds:
        assert ids(written, filter=condition) == {"a"}
    for condition in fails:
        assert ids(written, filter=condition) == set()
        assert ids(written, filter={"$not": condition}) == {"a"}


@pytest.mark.parametrize(
    "change",
    [
        lambda theirs: theirs.update_document(
            "a", Document(page_content="course 20", metadata={"chapter": 1})
        ),
        lambda theirs: theirs.update_document(
            "a", Document(page_content="course 10", metadata={"chapter": 9})
        ),
        lambda theirs: theirs.add_texts(["course 20"], ids=["a"]),
        lambda theirs: theirs.add_texts(["course 10"], metadatas=[{"new": 1}], ids=["a"]),
        lambda theirs: theirs.delete(["a"]),
    ],
    ids=["update text", "update metadata", "replace text", "add metadata", "delete"],
)
def test_a_document_it_changed_is_written_again_by_skip_unchanged(
    written: ChromaDB, theirs: Chroma, change: Any
) -> None:
    assert unchanged(written, ORIGINAL) == 1
    change(theirs)

    assert unchanged(written, ORIGINAL) == 0

    assert contents(written) == {"a": (ORIGINAL.page_content, ORIGINAL.metadata)}
    assert written.query("course 10", k=1)[0].score == pytest.approx(1)
    assert unchanged(written, ORIGINAL) == 1


def test_what_it_deleted_is_gone(written: ChromaDB, theirs: Chroma) -> None:
    theirs.delete(["a"])

    assert written.count() == 0
    assert written.delete_by_filter(ids=["a"]).deleted == 0


# -- handing one out --------------------------------------------------------------------------------------


def test_it_is_on_the_same_client_and_collection(store: ChromaDB, theirs: Chroma) -> None:
    assert theirs._client is store.client
    assert theirs._collection.name == store.index
    assert isinstance(theirs.embeddings, Compass)


def test_it_is_not_handed_out_by_a_store_that_is_closed_or_lacks_the_package(
    memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory.connect(Compass())
    monkeypatch.setitem(sys.modules, "langchain_chroma", None)
    with pytest.raises(MissingExtraError, match="pip install langchain-chroma"):
        store.as_langchain_chroma()
    monkeypatch.undo()
    store.close()
    with pytest.raises(NotConnectedError):
        store.as_langchain_chroma()


@pytest.mark.parametrize(
    ("values", "filter"),
    [
        (["x1", "y"], {"$in": [f"x{n}" for n in range(12)]}),
        ([3, 4], {"$in": [float(n) for n in range(2, 30)]}),
        ([2**60], 2**60),
        ([1e300], 1e300),
        ([2.5], {"$in": [n + 0.5 for n in range(20)]}),
        ([True], {"$in": [True, "x", 7]}),
    ],
    ids=str,
)
def test_equality_sees_lists_that_another_library_wrote(store: ChromaDB, values: Any, filter: Any) -> None:
    raw_view(store).add(ids=["a"], embeddings=[[1.0, 2.0]], documents=["a"], metadatas=[{"list": values}])
    assert [record.id for record in store.get(filter={"list": filter})] == ["a"]
