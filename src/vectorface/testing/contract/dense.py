"""Vectors, metrics, scores, mmr, and what embeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
from langchain_core.documents import Document

from vectorface.errors import (
    ConfigurationError,
    DuplicateDocumentError,
    EmbeddingError,
    InvalidDocumentError,
    InvalidQueryError,
    PartialWriteError,
)
from vectorface.ingest.retrying import RetryPolicy
from vectorface.records import Metric
from vectorface.testing.contract.base import (
    WORDS,
    Contract,
    assert_refused,
    contents,
    contents_of,
    document,
    ids_of,
    story,
)
from vectorface.testing.embeddings import DIMENSION, WordEmbeddings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vectorface.interface import VectorDBInterface

METRICS: tuple[Metric, ...] = get_args(Metric)

#: Vectors of very different lengths, so that no two metrics rank them alike.
VECTORS: Mapping[str, Sequence[float]] = {
    "x": [1.0, 0.0, 0.0],
    "long x": [40.0, 0.0, 0.0],
    "y": [0.0, 1.0, 0.0],
    "-x": [-1.0, 0.0, 0.0],
    "xy": [0.5, 0.5, 0.0],
    "near x": [1.0, 0.001, 0.0],
    "z": [0.0, 0.0, 0.01],
    "all": [0.3, -0.2, 0.1],
}

#: What a score is: from query and vector, in 64 bits.
FORMULAS: Mapping[Metric, Callable[[NDArray[np.float64], NDArray[np.float64]], float]] = {
    "cosine": lambda q, v: float(q @ v / (np.linalg.norm(q) * np.linalg.norm(v))),
    "l2": lambda q, v: float(1 / (1 + ((q - v) ** 2).sum())),
    "dot": lambda q, v: float(q @ v),
}

BAD_VECTORS: Mapping[str, tuple[Any, str]] = {
    "NaN": ([1.0, float("nan"), 0.0], "NaN or infinity"),
    "infinity": ([1.0, float("inf"), 0.0], "NaN or infinity"),
    "too large for 32 bits": ([1.0, 1e39, 0.0], "NaN or infinity"),
    "too short": ([1.0, 0.0], "has 2 numbers.* 3"),
    "too long": ([1.0] * 4, "has 4 numbers.* 3"),
    "empty": ([], "one list of numbers"),
    "zero": ([0.0, 0.0, 0.0], "all zeros"),
    "two rows": ([[1.0, 0.0, 0.0]] * 2, "one list of numbers"),
    "texts": (["a", "b", "c"], "not a vector of numbers"),
    "a number": (1.0, "one list of numbers"),
    "a dict": ({"a": 1.0}, "not a vector of numbers"),
}


class _Recording(WordEmbeddings):
    """Remembers what it embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def embed_array(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return super().embed_array(texts)


class _Poisoned(WordEmbeddings):
    """Cannot embed texts that hold ``poison``; fails now and then besides."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def embed_array(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls += 1
        if self.calls % 3 == 1:
            raise TimeoutError("try again")
        if any("poison" in text for text in texts):
            raise ValueError("poison")
        return super().embed_array(texts)


class _Wrong(WordEmbeddings):
    """Gives zeros for one text."""

    def embed_array(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().embed_array(texts) * np.array([["zero" not in text] for text in texts], np.float32)


class DenseContract(Contract):
    """For stores that search by dense vectors."""

    def shelf(self, metric: Metric = "cosine") -> VectorDBInterface:
        """Return a store without embedding function that holds :data:`VECTORS`."""
        store = self.open(embeddings=None, metric=metric)
        store.add([document(name) for name in VECTORS], vectors=list(VECTORS.values()))
        return store

    # -- vectors ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("metric", METRICS)
    def test_vectors_come_back_as_they_were_given(self, metric: Metric) -> None:
        """As float32 of shape (d,), from ``get`` and ``scan``, and only where asked for."""
        store = self.shelf(metric)
        for records in (store.get(list(VECTORS), include_vectors=True), store.scan(include_vectors=True)):
            for record in records:
                assert isinstance(record.vector, np.ndarray)
                assert record.vector.dtype == np.float32
                assert record.vector.tolist() == [self.near(number) for number in VECTORS[record.id]]
        assert {record.vector for record in store.scan()} == {None}

    def test_texts_are_embedded_unless_vectors_are_given(self) -> None:
        """With an embedding function, given vectors still come first."""
        recording = _Recording()
        store = self.open(embeddings=recording)
        store.add([document("embedded")])
        store.add([document("given")], vectors=[np.full(DIMENSION, 0.5)])
        assert recording.texts == ["lamp embedded"]
        embedded, given = store.get(["embedded", "given"], include_vectors=True)
        assert embedded.vector == self.near_all(WORDS.embed_query("lamp embedded"))
        assert given.vector == self.near_all([0.5] * DIMENSION)

    def test_the_store_keeps_its_own_copy_of_a_vector(self) -> None:
        """Changing the array later, or one that was read, changes nothing."""
        store = self.open(embeddings=None)
        array = np.array([1.0, 0.0, 0.0], np.float32)
        store.add([document("a")], vectors=[array])
        array[:] = 9
        [record] = store.get(["a"], include_vectors=True)
        assert record.vector == self.near_all([1.0, 0.0, 0.0])
        if isinstance(record.vector, np.ndarray) and record.vector.flags.writeable:
            record.vector[:] = 9
        assert store.get(["a"], include_vectors=True)[0].vector == self.near_all([1.0, 0.0, 0.0])

    def test_an_array_of_vectors_will_do(self) -> None:
        """Shape (n, d), any kind of numbers."""
        store = self.open(embeddings=None)
        store.add([document("a"), document("b")], vectors=np.array([[1, 0, 0], [0, 2, 0]]))
        assert store.query(vector=(0, 1, 0), k=1)[0].id == "b"

    def test_upsert_replaces_the_vector(self) -> None:
        """A search finds the document where it is now."""
        store = self.shelf()
        store.upsert([document("y")], vectors=[[1.0, 0.0001, 0.0]])
        assert "y" in ids_of(store.query(vector=[1.0, 0.0, 0.0], k=4))

    def test_without_embedding_function_texts_need_vectors(self) -> None:
        """Documents and queries alike; the message says what to do."""
        store = self.shelf()
        writes: list[Callable[[], object]] = [
            lambda: store.upsert([document("new")]),
            lambda: store.add([document("a"), document("new")], vectors=[[1.0, 0.0, 0.0], None]),
            lambda: store.upsert_parallel(iter([document("new")])),
            lambda: store.replace([document("new")], {"chapter": 1}),
        ]
        for write in writes:
            with pytest.raises(ConfigurationError, match="pass vectors"):
                write()
        with pytest.raises(ConfigurationError, match="pass vectors"):
            store.query("lamp")
        assert store.count() == len(VECTORS)

    def test_the_index_knows_metric_and_dimension(self) -> None:
        """As soon as they are known."""
        store = self.open(embeddings=None, metric="l2")
        assert (store.metric, store.dimension) == ("l2", None)
        store.add([document("a")], vectors=[[1.0, 2.0, 3.0]])
        info = store.get_index(store.index)
        assert (store.metric, store.dimension, info.metric, info.dimension) == ("l2", 3, "l2", 3)

    def test_create_index_keeps_metric_and_dimension(self, store: VectorDBInterface) -> None:
        """What is asked for is what is described."""
        for metric in METRICS:
            made = store.create_index(self.name(metric), metric=metric, dimension=DIMENSION)
            assert (made.metric, made.dimension) == (metric, DIMENSION)

    # -- scores -------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("query", [[1.0, 0.0, 0.0], [0.2, 0.7, -0.3], [-30.0, 4.0, 0.5]], ids=str)
    def test_scores_follow_their_formula(self, metric: Metric, query: list[float]) -> None:
        """cosine: the cosine. l2: 1 / (1 + squared distance). dot: the product. All: best first."""
        hits = self.shelf(metric).query(vector=query, k=100)
        expected = {
            name: FORMULAS[metric](np.array(query), np.array(vector)) for name, vector in VECTORS.items()
        }
        assert {hit.id: hit.score for hit in hits} == {
            name: self.near(score) for name, score in expected.items()
        }
        assert {hit.score_kind for hit in hits} == {metric}
        self.assert_best_first([hit.score for hit in hits])

    def test_bounded_scores_keep_their_bounds(self) -> None:
        """No cosine beyond 1, however the numbers round."""
        store = self.open()
        store.add(story())
        for one in story():
            scores = [hit.score for hit in store.query(one.page_content, k=6)]
            assert max(scores) == self.near(1.0)
            assert all(-1 <= score <= 1 for score in scores)

    @pytest.mark.parametrize("metric", METRICS)
    def test_min_score_is_in_the_unit_of_the_metric(self, metric: Metric) -> None:
        """One threshold means the same on every store."""
        store = self.shelf(metric)
        everything = store.query(vector=[1.0, 0.2, 0.0], k=100)
        bound = (everything[2].score + everything[3].score) / 2
        kept = store.query(vector=[1.0, 0.2, 0.0], k=100, min_score=bound)
        assert ids_of(kept) == [hit.id for hit in everything if hit.score >= bound]

    def test_min_score_works_with_filters_that_are_verified(self) -> None:
        """It ends the search early, and not too early."""
        store = self.open(embeddings=None)
        turn = [[np.cos(i / 40), np.sin(i / 40), 0.0] for i in range(40)]
        store.add([document(f"d{i}", title=["ant", "zebra"][i % 2]) for i in range(40)], vectors=turn)
        hits = store.query(
            vector=[1.0, 0.0, 0.0], k=9, filter={"title": {"$gt": "m"}}, min_score=np.cos(0.3).item()
        )
        assert ids_of(hits) == [f"d{i}" for i in (1, 3, 5, 7, 9, 11)]

    def test_query_by_vector_is_query_by_text(self, library: VectorDBInterface) -> None:
        """The vector of a text finds what the text finds, with options too."""
        vector = WORDS.embed_query("Nan lit the lamp")
        options: dict[str, Any] = {"k": 3, "filter": {"chapter": {"$ne": 1}}, "contains": "lamp"}
        by_text, by_vector = (
            library.query("Nan lit the lamp", **options),
            library.query(vector=vector, **options),
        )
        assert ids_of(by_text) == ids_of(by_vector)
        assert [hit.score for hit in by_text] == [self.near(hit.score) for hit in by_vector]

    def test_among_hundreds_the_nearest_are_found(self) -> None:
        """Ten queries of fifteen hits, with the order of an exact search."""
        random = np.random.default_rng(7)
        vectors = random.normal(size=(400, 16)).astype(np.float32)
        store = self.open(embeddings=None)
        store.add([document(f"d{i}") for i in range(400)], vectors=vectors)
        for query in random.normal(size=(10, 16)):
            cosines = vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
            nearest = [f"d{i}" for i in np.argsort(-cosines)[:15]]
            assert ids_of(store.query(vector=query, k=15)) == nearest

    # -- mmr ----------------------------------------------------------------------------------------------

    def test_mmr_prefers_what_differs(self) -> None:
        """Of two that are nearly the same, one is enough."""
        store = self.shelf()
        query = [1.0, 0.3, 0.0]
        nearest = ids_of(store.query(vector=query, k=3))
        assert set(nearest) == {"x", "long x", "near x"}
        diverse = ids_of(store.query(vector=query, k=3, search_type="mmr", lambda_mult=0.3))
        assert diverse[0] == nearest[0]
        assert len({"x", "long x", "near x"} & set(diverse)) <= 1

    def test_mmr_follows_its_definition(self) -> None:
        """Step by step: near the query, far from what was chosen; hits come in that order."""
        store = self.shelf()
        query = np.array([1.0, 0.3, 0.1])
        for weight in (0.2, 0.3, 0.5, 0.8):
            found = ids_of(store.query(vector=query, k=5, search_type="mmr", lambda_mult=weight))
            assert [name.removeprefix("long ") for name in found] == _mmr(query, k=5, weight=weight)

    def test_mmr_with_weight_1_is_similarity(self) -> None:
        """Nothing is given for being different."""
        store = self.shelf()
        options: dict[str, Any] = {"vector": [0.2, 0.7, -0.3], "k": 5}
        assert ids_of(store.query(**options, search_type="mmr", lambda_mult=1)) == ids_of(
            store.query(**options)
        )

    def test_mmr_chooses_among_fetch_k(self) -> None:
        """No more candidates than that, but never fewer than k."""
        store = self.shelf()
        options: dict[str, Any] = {"vector": [1.0, 0.3, 0.1], "search_type": "mmr", "lambda_mult": 0.0}
        nearest = ids_of(store.query(vector=[1.0, 0.3, 0.1], k=3))
        assert set(ids_of(store.query(**options, k=3, fetch_k=3))) == set(nearest)
        assert len(store.query(**options, k=5, fetch_k=1)) == 5

    def test_mmr_obeys_filters_and_min_score(self, library: VectorDBInterface) -> None:
        """Before anything is chosen."""
        options: dict[str, Any] = {
            "k": 9,
            "search_type": "mmr",
            "filter": {"place": {"$in": ["sea", "gallery"]}},
        }
        hits = library.query("Nan lit the lamp", **options)
        assert set(ids_of(hits)) == {"dusk", "fog", "oil", "storm", "dawn"}
        bound = sorted(hit.score for hit in hits)[2] - 4 * self.tolerance
        assert len(library.query("Nan lit the lamp", **options, min_score=bound)) == 3

    # -- embedding ----------------------------------------------------------------------------------------

    def test_unchanged_documents_are_not_embedded_again(self) -> None:
        """Neither those as they are, nor those with new metadata; only those with new text."""
        recording = _Recording()
        store = self.open(embeddings=recording)
        store.upsert_parallel(story())
        recording.texts.clear()
        changed = [document("fog", "lamp, changed"), document("oil", story()[2].page_content, chapter=33)]
        others = [one for one in story() if one.id not in {"fog", "oil"}]
        report = store.upsert_parallel([*others, *changed], skip_unchanged=True)
        assert recording.texts == ["lamp, changed"]
        assert (report.written, report.unchanged) == (2, 4)
        assert contents(store) == contents_of([*others, *changed])
        assert store.query(story()[2].page_content, k=1)[0].metadata == {"chapter": 33}

    def test_a_poisonous_document_ends_up_alone(self) -> None:
        """Errors that may pass are tried again; what keeps failing is halved down to the cause."""
        store = self.open(embeddings=_Poisoned())
        given = [document(f"d{i}", f"lamp {'poison' * (i == 13)} {i}") for i in range(30)]
        with pytest.raises(PartialWriteError, match=r"1 of 30.*poison") as caught:
            store.upsert_parallel(
                given, batch_size=10, max_workers=1, retry=RetryPolicy(initial=0, maximum=0, jitter=0)
            )
        [failure] = caught.value.report.failures
        assert (failure.id, type(failure.error)) == ("d13", ValueError)
        assert contents(store) == contents_of([*given[:13], *given[14:]])

    def test_vectors_that_cannot_be_stored_are_the_embeddings_fault(self) -> None:
        """They are failures of their documents; the others are written."""
        store = self.open(embeddings=_Wrong())
        with pytest.raises(PartialWriteError, match="all zeros") as caught:
            store.upsert_parallel([document("zero"), document("fine")])
        [failure] = caught.value.report.failures
        assert (failure.id, type(failure.error)) == ("zero", EmbeddingError)
        assert list(contents(store)) == ["fine"]

    # -- many equal vectors -------------------------------------------------------------------------------

    def test_all_of_many_equal_vectors_are_found(self) -> None:
        """As many hits as are asked for and are there, although nothing tells them apart."""
        store = self.shelf()
        same = [document(f"same-{i:03d}", same=True, odd=i % 2 == 1) for i in range(600)]
        store.upsert(same, vectors=[[0.0, 0.6, 0.8]] * len(same))
        query = [1.0, 0.1, 0.0]
        assert len(store.query(vector=query, k=600, filter={"same": True})) == 600
        assert len(store.query(vector=query, k=300, filter={"odd": True})) == 300
        hits = store.query(vector=query, k=1_000)
        assert len(set(ids_of(hits))) == store.count()
        self.assert_best_first([hit.score for hit in hits])

    # -- wrong input --------------------------------------------------------------------------------------

    def test_a_bad_vector_is_refused(self) -> None:
        """In documents, where nothing of the call is written, and in queries."""
        store = self.shelf()
        given = [document("good"), document("bad")]
        for name, (vector, says) in BAD_VECTORS.items():
            write = partial(store.upsert, given, vectors=[[1.0, 0.0, 0.0], vector])
            assert_refused({f"upsert {name}": write}, InvalidDocumentError, says)
            assert_refused({f"query {name}": partial(store.query, vector=vector)}, InvalidQueryError, says)
        assert contents(store) == contents_of(document(name) for name in VECTORS)

    def test_the_first_vectors_of_an_index_have_one_length(self) -> None:
        """Also within the call that decides it."""
        store = self.open(embeddings=None)
        with pytest.raises(InvalidDocumentError, match="has 2 numbers"):
            store.add([document("a"), document("b")], vectors=[[1.0, 0.0, 0.0], [1.0, 0.0]])
        assert store.count() == 0
        store.add([document("a")], vectors=[[1.0, 0.0]])

    @pytest.mark.parametrize("metric", ["l2", "dot"])
    def test_zeros_are_a_vector_where_they_mean_something(self, metric: Metric) -> None:
        """Only the cosine does not exist for them."""
        store = self.open(embeddings=None, metric=metric)
        store.add([document("zero"), document("one")], vectors=[[0.0, 0.0], [1.0, 0.0]])
        [hit] = store.query(vector=[0.0, 0.0], filter={}, k=1, contains="zero")
        assert hit.score == self.near(1.0 if metric == "l2" else 0.0)

    def test_an_index_that_is_made_anew_may_be_of_another_kind(self) -> None:
        """The store goes by what the index is now."""
        store = self.open("anew", embeddings=None)
        store.upsert([document("a")], vectors=[[1, 2, 3]])
        for dimension, metric in ((4, "cosine"), (3, "dot")):
            store.delete_index(store.index)
            made = store.create_index(store.index, dimension=dimension, metric=metric)  # type: ignore[arg-type]
            vector = [1.0] * dimension
            store.upsert([document("a")], vectors=[vector])
            [hit] = store.query(vector=vector)
            assert (made.metric, hit.score_kind, store.dimension) == (metric, metric, dimension)

    def test_vectors_are_one_for_each_document(self) -> None:
        """Neither more nor fewer."""
        store = self.shelf()
        with pytest.raises(InvalidDocumentError, match="vectors has 1 items for 2 documents"):
            store.add([document("a"), document("b")], vectors=[[1.0, 0.0, 0.0]])
        assert store.count() == len(VECTORS)

    def test_one_document_with_two_vectors_is_two_documents(self) -> None:
        """So they cannot share an id; with the same vector they collapse."""
        store = self.open(embeddings=None)
        twice = [Document(page_content="lamp"), Document(page_content="lamp")]
        with pytest.raises(DuplicateDocumentError, match="nothing was written"):
            store.add(twice, vectors=[[1.0, 0.0], [0.0, 1.0]])
        assert store.add(twice, vectors=[[1.0, 0.0], [1.0, 0.0]]).collapsed == 1

    def near_all(self, numbers: Sequence[float]) -> Any:
        """Return what compares equal to a vector within the tolerance."""
        return pytest.approx(numbers, rel=self.tolerance, abs=self.tolerance)


def _mmr(query: NDArray[np.float64], *, k: int, weight: float) -> list[str]:
    """Choose from :data:`VECTORS` by the book: the definition, without any cleverness."""
    cosine = FORMULAS["cosine"]
    vectors = {name: np.array(vector) for name, vector in VECTORS.items()}
    chosen: list[str] = []
    while len(chosen) < k:

        def value(name: str) -> float:
            redundancy = max((cosine(vectors[name], vectors[other]) for other in chosen), default=0.0)
            return weight * cosine(query, vectors[name]) - (1 - weight) * redundancy * bool(chosen)

        chosen.append(max((name for name in vectors if name not in chosen), key=value))
    return [name.removeprefix("long ") for name in chosen]  # which has the same cosine with everything
