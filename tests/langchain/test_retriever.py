"""The retriever: live options, one k, scores on request."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import ConfigurableField
from langchain_core.vectorstores import InMemoryVectorStore

from tests.langchain.compass import Compass, bearings, towards
from vectorface import InMemoryDB
from vectorface.errors import ConfigurationError, InvalidQueryError, UnsupportedError
from vectorface.langchain import VectorfaceRetriever, VectorfaceVectorStore


class TestK:
    def test_it_is_four_by_default(self, boats: VectorfaceVectorStore) -> None:
        assert boats.as_retriever().k == 4

    def test_it_is_given_at_construction(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(VectorfaceRetriever(vectorstore=boats, k=3).invoke("course 0")) == [0, 5, 60]

    def test_it_is_given_to_one_search(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(k=3)
        assert bearings(retriever.invoke("course 0", k=1)) == [0]
        assert retriever.k == 3

    def test_it_lives_in_search_kwargs(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(k=3)
        assert retriever.search_kwargs == {"k": 3}
        retriever.search_kwargs["k"] = 1
        assert retriever.k == 1

    def test_setting_it_takes_effect(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever()
        retriever.k = 1
        assert bearings(retriever.invoke("course 0")) == [0]

    def test_it_comes_before_the_one_in_search_kwargs(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(k=1, search_kwargs={"k": 3, "filter": {"harbour": True}})
        assert bearings(retriever.invoke("course 0")) == [60]

    def test_none_leaves_search_kwargs_alone(self, boats: VectorfaceVectorStore) -> None:
        assert VectorfaceRetriever(vectorstore=boats, k=None, search_kwargs={"k": 2}).k == 2


class TestSearchKwargs:
    def test_they_are_live(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever()
        retriever.search_kwargs["k"] = 1
        assert bearings(retriever.invoke("course 0")) == [0]

    def test_the_callers_dict_is_not_shared(self, boats: VectorfaceVectorStore) -> None:
        mine = {"k": 2}
        boats.as_retriever(search_kwargs=mine).search_kwargs["k"] = 1
        assert mine == {"k": 2}

    def test_a_filter_is_given_to_one_search(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(search_kwargs={"filter": {"harbour": False}})
        assert bearings(retriever.invoke("course 0", filter={"harbour": True})) == [60, 120]
        assert bearings(retriever.invoke("course 0")) == [0, 5]

    def test_an_unknown_one_is_refused(self, boats: VectorfaceVectorStore) -> None:
        with pytest.raises(ConfigurationError, match="'top_k'"):
            boats.as_retriever(search_kwargs={"top_k": 1}).invoke("course 0")
        with pytest.raises(ConfigurationError, match="'top_k'"):
            boats.as_retriever().invoke("course 0", top_k=1)

    def test_they_can_be_configured_at_runtime(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(k=2).configurable_fields(search_kwargs=ConfigurableField(id="search"))
        config: Any = {"configurable": {"search": {"k": 1}}}
        assert bearings(retriever.invoke("course 0", config=config)) == [0]
        assert bearings(retriever.invoke("course 0")) == [0, 5]


class TestSearchType:
    def test_mmr(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(search_type="mmr", search_kwargs={"k": 3, "lambda_mult": 0.3})
        assert bearings(retriever.invoke("course 0")) == [0, 120, 60]

    def test_similarity_score_threshold(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(
            search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.9}
        )
        assert bearings(retriever.invoke("course 0")) == [0, 5]

    def test_a_threshold_needs_bounded_scores(self) -> None:
        with InMemoryDB(Compass()).connect(metric="dot") as store:
            store.upsert([towards(0)])
            retriever = store.as_retriever(
                search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.9}
            )
            with pytest.raises(UnsupportedError):
                retriever.invoke("course 0")

    def test_a_threshold_must_be_given(self, boats: VectorfaceVectorStore) -> None:
        for search_kwargs in ({}, {"score_threshold": None}):
            with pytest.raises(ConfigurationError, match=r"pass search_kwargs=\{'score_threshold': 0\.5\}"):
                boats.as_retriever(search_type="similarity_score_threshold", search_kwargs=search_kwargs)

    @pytest.mark.parametrize("threshold", ["0.5", 70, True])
    def test_a_threshold_lies_between_0_and_1(self, boats: VectorfaceVectorStore, threshold: Any) -> None:
        with pytest.raises(InvalidQueryError, match=f"score_threshold={threshold!r} must be a number from 0"):
            boats.as_retriever(
                search_type="similarity_score_threshold", search_kwargs={"score_threshold": threshold}
            )

    def test_a_threshold_may_be_a_whole_number(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(
            search_type="similarity_score_threshold", search_kwargs={"score_threshold": 1}
        )
        assert bearings(retriever.invoke("course 0")) == [0]

    def test_another_type_is_refused(self, boats: VectorfaceVectorStore) -> None:
        with pytest.raises(ConfigurationError, match="'hybrid' is unknown; use one of 'similarity', "):
            boats.as_retriever(search_type="hybrid")


class TestScores:
    @pytest.mark.parametrize(
        ("search_type", "search_kwargs"),
        [
            ("similarity", {}),
            ("mmr", {"fetch_k": 3}),
            ("similarity_score_threshold", {"score_threshold": 0.9}),
        ],
    )
    def test_they_are_in_the_metadata_on_request(
        self, boats: VectorfaceVectorStore, search_type: str, search_kwargs: dict[str, Any]
    ) -> None:
        retriever = boats.as_retriever(
            search_type=search_type, search_kwargs=search_kwargs, include_scores=True
        )
        [document] = retriever.invoke("course 0", k=1)
        assert document.metadata == {
            "harbour": False,
            "score": pytest.approx(1.0),
            "score_kind": "cosine",
        }

    def test_they_are_left_out_otherwise(self, boats: VectorfaceVectorStore) -> None:
        [document] = boats.as_retriever(k=1).invoke("course 0")
        assert document.metadata == {"harbour": False}

    def test_a_single_search_may_want_them(self, boats: VectorfaceVectorStore) -> None:
        [document] = boats.as_retriever(k=1).invoke("course 0", include_scores=True)
        assert document.metadata["score_kind"] == "cosine"


class TestConstruction:
    @pytest.mark.parametrize("option", ["filter", "top_k"])
    def test_an_unknown_option_is_refused(self, boats: VectorfaceVectorStore, option: str) -> None:
        with pytest.raises(ValueError, match=option):
            boats.as_retriever(**{option: 1})

    def test_another_librarys_store_is_refused(self) -> None:
        other: Any = InMemoryVectorStore(Compass())
        with pytest.raises(ValueError, match="VectorfaceVectorStore"):
            VectorfaceRetriever(vectorstore=other)

    def test_it_is_tagged_for_tracing(self, boats: VectorfaceVectorStore) -> None:
        assert boats.as_retriever().tags == ["VectorfaceVectorStore", "Compass"]

    def test_tags_name_and_metadata_are_langchains(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(tags=["sea"], name="boats", metadata={"fleet": 1})
        assert (retriever.tags, retriever.get_name(), retriever.metadata) == (["sea"], "boats", {"fleet": 1})

    def test_the_store_makes_one_too(self, store: InMemoryDB) -> None:
        store.upsert([towards(0), towards(5)])
        retriever = store.as_retriever(search_type="mmr", k=1, include_scores=True)
        assert isinstance(retriever, VectorfaceRetriever)
        assert bearings(retriever.invoke("course 0")) == [0]


class TestRunnable:
    async def test_ainvoke_takes_the_same_options(self, boats: VectorfaceVectorStore) -> None:
        retriever = boats.as_retriever(search_type="mmr", include_scores=True)
        [document] = await retriever.ainvoke("course 0", k=1, filter={"harbour": True})
        assert document.metadata == {"harbour": True, "score": pytest.approx(0.5), "score_kind": "cosine"}

    def test_batch_answers_each_query(self, boats: VectorfaceVectorStore) -> None:
        found = boats.as_retriever(k=1).batch(["course 0", "course 70"])
        assert [bearings(documents) for documents in found] == [[0], [60]]

    def test_options_can_be_bound(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.as_retriever().bind(k=1).invoke("course 70")) == [60]

    def test_langchains_verbose_is_not_taken_for_an_option(self, boats: VectorfaceVectorStore) -> None:
        assert bearings(boats.as_retriever(k=1).invoke("course 0", verbose=False)) == [0]

    def test_it_writes_through_to_the_store(self, boats: VectorfaceVectorStore) -> None:
        assert boats.as_retriever().add_documents([towards(180)]) == ["d180"]
        assert boats.store.count() == 5
