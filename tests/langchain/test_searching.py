"""The searches of LangChain's interface, on scores that are known beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.langchain.compass import Compass, bearings, towards
from vectorface import InMemoryDB
from vectorface.errors import ConfigurationError, InvalidFilterError, InvalidQueryError, UnsupportedError
from vectorface.langchain import VectorfaceVectorStore
from vectorface.langchain.plan import relevance_of
from vectorface.records import Metric, ScoreKind

if TYPE_CHECKING:
    from langchain_core.documents import Document

NORTH = [1.0, 0.0]


def cosine(degrees: float) -> Any:
    return pytest.approx(math.cos(math.radians(degrees)), abs=1e-6)


def scores(found: list[tuple[Document, float]]) -> list[float]:
    return [score for _, score in found]


def boats_by(metric: Metric) -> VectorfaceVectorStore:
    vectorstore = VectorfaceVectorStore(InMemoryDB(Compass()).connect(metric=metric))
    vectorstore.add_documents([towards(course) for course in (0, 90)])
    return vectorstore


class TestSimilaritySearch:
    def test_the_nearest_come_first(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.similarity_search("course 50")) == [60, 5, 0, 120]

    def test_k_limits_them(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.similarity_search("course 50", 2)) == [60, 5]

    def test_four_are_returned_by_default(self, boats: VectorfaceVectorStore) -> None:
        boats.add_documents([towards(180)])
        assert len(boats.similarity_search("course 0")) == 4

    def test_a_filter_chooses_among_them(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.similarity_search("course 0", filter={"harbour": True})) == [60, 120]

    def test_contains_looks_at_the_text(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.similarity_search("course 0", contains="course 12")) == [120]

    def test_a_wrong_filter_is_refused(self, boats: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidFilterError):
            boats.similarity_search("course 0", filter={"harbour": {"$near": 1}})

    @pytest.mark.parametrize("option", ["where", "vector", "search_type", "text"])
    def test_an_unknown_option_is_refused(self, boats: VectorfaceVectorStore, option: str) -> None:
        options: dict[str, Any] = {option: "mmr"}
        with pytest.raises(ConfigurationError, match=f"{option}.*'contains', 'fetch_k', 'filter'"):
            boats.similarity_search("course 0", **options)

    def test_a_vector_is_searched_for_as_a_text_is(self, boats: VectorfaceVectorStore) -> None:
        assert boats.similarity_search_by_vector(NORTH, 2) == boats.similarity_search("course 0", 2)

    def test_search_goes_by_the_name_of_the_type(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.search("course 0", "similarity", k=2)) == [0, 5]
        assert bearings(boats.search("course 0", "mmr", k=2, lambda_mult=0.1)) == [0, 120]
        assert bearings(boats.search("course 0", "similarity_score_threshold", score_threshold=0.9)) == [0, 5]


class TestScores:
    def test_the_score_is_the_cosine_itself(self, boats: VectorfaceVectorStore) -> None:
        found = boats.similarity_search_with_score("course 0")
        assert scores(found) == [cosine(0), cosine(5), cosine(60), cosine(120)]

    def test_min_score_leaves_out_what_is_further(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.similarity_search("course 0", min_score=0.6)) == [0, 5]

    def test_score_threshold_does_so_in_relevance(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.similarity_search("course 0", score_threshold=0.6)) == [0, 5]

    def test_a_threshold_of_zero_keeps_all(self, boats: VectorfaceVectorStore) -> None:
        assert len(boats.similarity_search("course 0", score_threshold=0.0)) == 4

    def test_a_threshold_of_none_is_none(self, boats: VectorfaceVectorStore) -> None:
        assert len(boats.similarity_search("course 0", score_threshold=None)) == 4

    @pytest.mark.parametrize("threshold", [-0.1, 1.1, 70, True, "0.5", math.nan])
    def test_a_threshold_lies_between_0_and_1(self, boats: VectorfaceVectorStore, threshold: Any) -> None:
        with pytest.raises(InvalidQueryError, match="from 0 to 1"):
            boats.similarity_search("course 0", score_threshold=threshold)

    def test_there_is_one_threshold_at_a_time(self, boats: VectorfaceVectorStore) -> None:
        with pytest.raises(InvalidQueryError, match="not both"):
            boats.similarity_search("course 0", score_threshold=0.5, min_score=0.5)

    def test_a_vector_finds_scores_too(self, boats: VectorfaceVectorStore) -> None:
        found = boats.similarity_search_with_score_by_vector(NORTH, 2)
        assert scores(found) == [cosine(0), cosine(5)]

    def test_scores_are_put_into_the_metadata_on_request(self, boats: VectorfaceVectorStore) -> None:
        [document] = boats.similarity_search("course 0", k=1, include_scores=True)
        assert document.metadata == {"harbour": False, "score": cosine(0), "score_kind": "cosine"}

    def test_scores_in_the_metadata_are_not_stored(self, boats: VectorfaceVectorStore) -> None:
        boats.similarity_search("course 0", k=1, include_scores=True)
        assert boats.get_by_ids(["d0"])[0].metadata == {"harbour": False}


class TestMmr:
    def test_documents_come_in_mmr_order(self, boats: VectorfaceVectorStore) -> None:
        found = boats.max_marginal_relevance_search("course 0", k=3, lambda_mult=0.3)
        assert bearings(found) == [0, 120, 60]

    def test_a_lambda_of_one_is_similarity(self, boats: VectorfaceVectorStore) -> None:
        found = boats.max_marginal_relevance_search("course 0", k=3, lambda_mult=1.0)
        assert bearings(found) == [0, 5, 60]

    def test_fetch_k_limits_the_candidates(self, boats: VectorfaceVectorStore) -> None:
        found = boats.max_marginal_relevance_search("course 0", k=2, fetch_k=2, lambda_mult=0.0)
        assert bearings(found) == [0, 5]

    def test_a_filter_chooses_the_candidates(self, boats: VectorfaceVectorStore) -> None:
        found = boats.max_marginal_relevance_search("course 0", k=2, filter={"harbour": False})
        assert bearings(found) == [0, 5]

    def test_a_vector_is_searched_for_as_a_text_is(self, boats: VectorfaceVectorStore) -> None:
        by_vector = boats.max_marginal_relevance_search_by_vector(NORTH, 3, lambda_mult=0.3)
        assert bearings(by_vector) == [0, 120, 60]


class TestRelevance:
    def test_under_cosine_it_is_the_cosine_and_never_negative(self, boats: VectorfaceVectorStore) -> None:
        found = boats.similarity_search_with_relevance_scores("course 0")
        assert scores(found) == [cosine(0), cosine(5), cosine(60), 0.0]

    def test_it_never_exceeds_one(self, vectorstore: VectorfaceVectorStore) -> None:
        vectorstore.add_documents([towards(course) for course in range(360)])
        found = [
            relevance
            for course in range(0, 360, 7)
            for _, relevance in vectorstore.similarity_search_with_relevance_scores(f"course {course}", k=1)
        ]
        assert max(found) <= 1.0

    def test_under_l2_it_is_one_over_one_plus_the_squared_distance(self) -> None:
        found = boats_by("l2").similarity_search_with_relevance_scores("course 0")
        assert scores(found) == [pytest.approx(1.0), pytest.approx(1 / 3)]

    def test_a_threshold_cuts_in_the_same_unit(self, boats: VectorfaceVectorStore) -> None:
        found = boats.similarity_search_with_relevance_scores("course 0", score_threshold=0.9)
        assert bearings([document for document, _ in found]) == [0, 5]

    def test_scores_without_an_upper_end_are_no_relevance(self) -> None:
        vectorstore = boats_by("dot")
        with pytest.raises(UnsupportedError, match="'dot' scores lie on no scale"):
            vectorstore.similarity_search_with_relevance_scores("course 0")
        with pytest.raises(UnsupportedError, match="min_score"):
            vectorstore.similarity_search("course 0", score_threshold=0.5)

    @pytest.mark.parametrize("kind", ["dot", "sparse", "bm25", "rrf"])
    def test_only_cosine_and_l2_have_an_upper_end(self, kind: ScoreKind) -> None:
        with pytest.raises(UnsupportedError, match=kind):
            relevance_of(kind)

    def test_scores_without_an_upper_end_have_a_min_score(self) -> None:
        assert bearings(boats_by("dot").similarity_search("course 0", min_score=0.5)) == [0]

    def test_that_does_not_depend_on_there_being_documents(self) -> None:
        with (
            InMemoryDB(Compass()).connect(metric="dot") as store,
            pytest.raises(UnsupportedError),
        ):
            store.as_vectorstore().similarity_search_with_relevance_scores("course 0")


class TestAsync:
    async def test_every_search_finds_what_its_twin_finds(self, boats: VectorfaceVectorStore) -> None:
        text: dict[str, Any] = {"query": "course 50", "k": 3, "filter": {"harbour": True}}
        vector: dict[str, Any] = {"embedding": NORTH, "k": 3, "min_score": 0.1}
        for name, arguments in twins(text, vector):
            found = await getattr(boats, f"a{name}")(**arguments)
            assert found == getattr(boats, name)(**arguments), name

    async def test_unknown_options_are_refused(self, boats: VectorfaceVectorStore) -> None:
        with pytest.raises(ConfigurationError):
            await boats.asimilarity_search("course 0", where={})

    async def test_scores_without_an_upper_end_are_no_relevance(self) -> None:
        with pytest.raises(UnsupportedError):
            await boats_by("dot").asimilarity_search_with_relevance_scores("course 0")


def twins(text: dict[str, Any], vector: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "similarity_search", text
    yield "similarity_search_with_score", text
    yield "similarity_search_with_relevance_scores", text
    yield "similarity_search_by_vector", vector
    yield "similarity_search_with_score_by_vector", vector
    yield "max_marginal_relevance_search", text
    yield "max_marginal_relevance_search_by_vector", vector
    yield "search", {**text, "search_type": "mmr"}


class TestTheStoreBehindIt:
    def test_the_embeddings_are_the_stores(self, vectorstore: VectorfaceVectorStore) -> None:
        assert isinstance(vectorstore.embeddings, Compass)

    def test_a_store_without_an_embedding_has_none(self) -> None:
        with InMemoryDB(None).connect() as store:
            assert store.as_vectorstore().embeddings is None

    def test_it_says_what_it_is(self, vectorstore: VectorfaceVectorStore) -> None:
        assert repr(vectorstore) == "VectorfaceVectorStore(InMemoryDB(index='boats'))"
