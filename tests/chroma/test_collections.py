"""Collections: how they are made, what they remember, and whose they are."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
from chromadb.api.types import Documents, EmbeddingFunction, Embeddings
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.embeddings import Embeddings as LangChainEmbeddings

from tests.chroma.conftest import Place, raw_twin, raw_view
from tests.chroma.samples import bearing, contents, put
from vectorface import ChromaDB
from vectorface.embeddings.identity import EmbeddingIdentity
from vectorface.errors import IndexMismatchError, IndexNotFoundError, InvalidDocumentError


class Model(LangChainEmbeddings):
    """An embedding of a given identity."""

    def __init__(self, name: str = "compass", weights: str = "0" * 64, dimension: int = 2) -> None:
        self.identity = EmbeddingIdentity(name=name, weights=weights, dimension=dimension)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(len(text)), *([1.0] * ((self.identity.dimension or 2) - 1))]


class Nameless(EmbeddingFunction[Documents]):
    """An embedding function of the older kind, which cannot be built from a configuration."""

    def __call__(self, input: Documents) -> Embeddings:
        return [np.ones(2, dtype=np.float32) for _ in input]


def test_a_new_collection_compares_by_cosine_where_chroma_takes_l2(store: ChromaDB) -> None:
    assert raw_twin(store).configuration_json["hnsw"]["space"] == "l2"

    assert store.metric == "cosine"
    assert raw_view(store).configuration_json["hnsw"]["space"] == "cosine"


@pytest.mark.parametrize(("metric", "space"), [("cosine", "cosine"), ("l2", "l2"), ("dot", "ip")])
def test_each_metric_has_its_space_in_chroma(place: Place, metric: Any, space: str) -> None:
    store = place.connect(metric=metric)

    assert raw_view(store).configuration_json["hnsw"]["space"] == space
    assert store.create_index(f"{place.collection}-2", metric=metric).metric == metric


def test_another_metric_is_refused_where_chroma_hands_out_what_is_there(place: Place) -> None:
    store = place.connect(metric="l2")
    taken = store.client.get_or_create_collection(
        store.index, configuration={"hnsw": {"space": "cosine"}}, metadata={"new": 1}, embedding_function=None
    )
    assert taken.configuration_json["hnsw"]["space"] == "l2"
    assert "new" not in (taken.metadata or {})

    if place.mode == "memory":
        place.address["client"] = store.client
    with pytest.raises(IndexMismatchError, match=r"metric: index 'l2', here 'cosine'"):
        place.connect(metric="cosine")
    assert place.connect().metric == "l2"


@pytest.mark.parametrize("place", ["directory", "server"], indirect=True)
@pytest.mark.parametrize(
    ("other", "sides"),
    [
        (Model(name="other"), "embedding: index 'compass', here 'other'"),
        (Model(weights="1" * 64), f"weights: index '{'0' * 64}', here '{'1' * 64}'"),
        (Model(dimension=3), "dimension: index 2, here 3"),
        (DeterministicFakeEmbedding(size=2), "embedding: index 'compass', here 'DeterministicFakeEmbedding'"),
    ],
    ids=["name", "weights", "dimension", "class"],
)
def test_another_embedding_is_refused_with_both_sides_named(
    place: Place, other: LangChainEmbeddings, sides: str
) -> None:
    with place.connect(Model()) as store:
        put(store, {"a": {}})

    with pytest.raises(IndexMismatchError) as refusal:
        place.connect(other)

    assert sides in str(refusal.value)
    assert place.connect(Model()).count() == 1
    assert place.connect(None).query(vector=bearing(0), k=1)[0].id == "a"


def test_vectors_of_another_length_are_refused_before_they_are_written(place: Place) -> None:
    store = place.connect()
    before = store.dimension
    put(store, {"a": {}})

    assert (before, store.dimension) == (None, 2)
    with pytest.raises(InvalidDocumentError, match="3 numbers, the index holds vectors of 2"):
        store.upsert([store.get()[0].document], vectors=[[1.0, 0.0, 0.0]])


# -- collections of other programs ------------------------------------------------------------------------


def test_a_foreign_collection_is_taken_as_it_is(store: ChromaDB) -> None:
    raw: Any = store.client.create_collection(
        f"{store.index}-foreign", metadata={"hnsw:space": "ip", "owner": "Nan"}, embedding_function=None
    )
    raw.add(ids=["a"], documents=["a boat"], embeddings=[[3.0, 4.0]], metadatas=[{"chapter": 1}])

    with ChromaDB(embeddings=None).connect(client=store.client, collection=raw.name) as adopted:
        assert (adopted.metric, adopted.dimension) == ("dot", 2)
        assert adopted.get_index(raw.name).fingerprint is None
        assert contents(adopted) == {"a": ("a boat", {"chapter": 1})}
        assert adopted.query(vector=[1.0, 0.0])[0].score == pytest.approx(3.0)
        assert adopted.count({"chapter": {"$lte": 1}}) == 1

    after = store.client.get_collection(raw.name, embedding_function=None)
    assert after.metadata == {"hnsw:space": "ip", "owner": "Nan"}
    assert after.get()["metadatas"] == [{"chapter": 1}]


def test_a_foreign_collection_of_another_metric_or_dimension_is_refused(store: ChromaDB) -> None:
    raw = raw_twin(store)
    raw.add(ids=["a"], embeddings=[[1.0, 2.0, 3.0]])

    with pytest.raises(IndexMismatchError, match="metric: index 'l2', here 'cosine'"):
        ChromaDB(embeddings=None).connect(client=store.client, collection=raw.name, metric="cosine")
    with pytest.raises(IndexMismatchError, match="dimension: index 3, here 2"):
        ChromaDB(Model()).connect(client=store.client, collection=raw.name)


def test_documents_without_text_or_metadata_can_be_read(store: ChromaDB) -> None:
    raw = raw_twin(store)
    raw.add(ids=["bare"], embeddings=[bearing(0)])

    with ChromaDB(embeddings=None).connect(client=store.client, collection=raw.name) as adopted:
        assert contents(adopted) == {"bare": ("", {})}
        assert adopted.count({"chapter": {"$ne": 1}}) == 1


def test_the_embedding_function_that_chroma_remembers_does_not_matter(store: ChromaDB) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        store.client.create_collection(f"{store.index}-nameless", embedding_function=Nameless())  # type: ignore[arg-type]
    store.client.create_collection(f"{store.index}-default")

    for suffix in ("nameless", "default"):
        collection = f"{store.index}-{suffix}"
        with ChromaDB(embeddings=None).connect(client=store.client, collection=collection) as adopted:
            put(adopted, {"a": {}})
            assert adopted.query(vector=bearing(0))[0].id == "a"


def test_a_name_that_not_every_backend_takes_can_be_opened_if_it_is_there(store: ChromaDB) -> None:
    name = f"{store.index}_The.Lamp"
    store.client.create_collection(name, embedding_function=None)

    with ChromaDB(embeddings=None).connect(client=store.client, collection=name) as adopted:
        put(adopted, {"a": {}})
        assert adopted.count() == 1
        assert name in adopted.list_indexes()


# -- what happens to a collection under way ---------------------------------------------------------------


def test_a_collection_whose_metadata_was_replaced_is_a_foreign_one(place: Place) -> None:
    store = place.connect(Model(), metric="l2")
    assert json.loads(str((raw_view(store).metadata or {})["_vectorface"]))["embedding"] == "compass"

    raw_view(store).modify(metadata={"owner": "Nan"})

    assert store.get_index(store.index).fingerprint is None
    with ChromaDB(embeddings=None).connect(client=store.client, collection=store.index) as adopted:
        assert adopted.metric == "l2"


def test_a_collection_that_another_client_deleted_is_reported_missing(store: ChromaDB) -> None:
    put(store, {"a": {}})
    store.client.delete_collection(store.index)

    for use in (
        store.count,
        store.get,
        lambda: store.query(vector=bearing(0)),
        lambda: put(store, {"b": {}}),
    ):
        with pytest.raises(Exception, match="create_index\\(\\) makes it anew") as error:
            use()
        assert isinstance(getattr(error.value, "__cause__", None), IndexNotFoundError) or isinstance(
            error.value, IndexNotFoundError
        )


def test_a_collection_that_was_made_anew_is_found_again(store: ChromaDB) -> None:
    put(store, {"a": {}})
    store.delete_index(store.index)
    store.create_index(store.index)

    put(store, {"b": {}})

    assert [record.id for record in store.get()] == ["b"]


def test_a_collection_that_another_client_made_anew_is_found_at_the_second_try(store: ChromaDB) -> None:
    put(store, {"a": {}})
    store.client.delete_collection(store.index)
    store.client.create_collection(
        store.index, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
    )

    with pytest.raises(IndexNotFoundError):
        store.count()
    assert store.count() == 0


def test_a_collection_that_was_made_anew_for_something_else_is_refused(store: ChromaDB) -> None:
    put(store, {"a": {}})
    store.client.delete_collection(store.index)
    store.client.create_collection(store.index, embedding_function=None)

    with pytest.raises(IndexNotFoundError):
        store.count()
    with pytest.raises(IndexMismatchError, match="metric: index 'l2', here 'cosine'"):
        store.count()


def test_there_may_be_more_collections_than_a_page_of_them(
    memory: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectorface.backends.chroma.store._PAGE", 2)
    store = memory.connect(collection="stories")
    for number in range(4):
        store.create_index(f"stories-{number}")

    assert store.list_indexes() == ["stories", *(f"stories-{number}" for number in range(4))]
