"""Searching by text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from vectorface.records import Hit, ScoreKind
from vectorface.testing.contract.base import Contract, document, ids_of, story

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface

#: Filters that only far documents match, said in ways that are easy and hard for a store.
ONLY_FAR: tuple[dict[str, Any], ...] = (
    {"far": True},
    {"title": {"$gt": "m"}},
    {"title": {"$not": {"$lt": "m"}}},
    {"nested.list.x": 1},
    {"none": None},
    {"far": {"$exists": True}},
    {"$or": [{"day": {"$exists": True}}, {"title": "zebra"}]},
)


class SearchContract(Contract):
    """The nearest come first, filters apply before the cut, and options mean the same everywhere."""

    def test_the_nearest_comes_first(self, library: VectorDBInterface) -> None:
        """A document that shares all words with the query is the best hit."""
        for one in story():
            assert library.query(one.page_content, k=1)[0].id == one.id

    def test_hits_are_whole_documents_with_scores(self, library: VectorDBInterface) -> None:
        """Id, text, metadata, score and the unit of the score."""
        hits = library.query("Nan lit the lamp", k=3)
        assert all(isinstance(hit, Hit) for hit in hits)
        assert hits[0].document == story()[0]
        assert {hit.score_kind for hit in hits} <= set(get_args(ScoreKind))
        assert len({hit.score_kind for hit in hits}) == 1

    def test_scores_fall(self, library: VectorDBInterface) -> None:
        """Higher is nearer, always, and best comes first."""
        hits = library.query("Nan put out the lamp", k=6)
        assert hits[0].score > hits[-1].score
        self.assert_best_first([hit.score for hit in hits])

    def test_k_is_how_many(self, library: VectorDBInterface) -> None:
        """As many as asked for, 4 by default, in the same order."""
        everything = ids_of(library.query("Nan put out the lamp", k=6))
        assert ids_of(library.query("Nan put out the lamp", k=2)) == everything[:2]
        assert ids_of(library.query("Nan put out the lamp")) == everything[:4]

    def test_k_may_exceed_the_index(self, library: VectorDBInterface) -> None:
        """Then all come, each once."""
        for k in (7, 1_000, 10_000):
            assert sorted(ids_of(library.query("lamp", k=k))) == sorted(str(one.id) for one in story())

    def test_an_empty_index_has_no_hits(self, store: VectorDBInterface) -> None:
        """That is no error, with a filter neither."""
        assert store.query("lamp") == []
        assert store.query("lamp", filter={"chapter": 1}) == []
        assert store.query("lamp", search_type="similarity", contains="x", min_score=0.0) == []

    # -- filters ------------------------------------------------------------------------------------------

    def test_a_filter_applies_before_the_cut(self, store: VectorDBInterface) -> None:
        """Documents that only the filter wants are found behind hundreds that are nearer."""
        plain = {"title": "ant", "nested": {"list": [{"x": 2}]}}
        odd = {"title": "zebra", "nested": {"list": [{"x": 1}]}, "far": True, "none": None}
        store.add(document(f"near-{i}", f"keeper {i}", **plain) for i in range(400))
        store.add(document(f"far-{i}", f"keeper of a rather distant lamp {i}", **odd) for i in range(3))
        for spec in ONLY_FAR:
            two = ids_of(store.query("keeper", k=2, filter=spec))
            assert len(set(two) & {"far-0", "far-1", "far-2"}) == len(two) == 2, spec
            assert sorted(ids_of(store.query("keeper", k=5, filter=spec))) == ["far-0", "far-1", "far-2"], (
                spec
            )

    def test_a_filter_that_matches_nothing_gives_nothing(self, library: VectorDBInterface) -> None:
        """Whether that can be known beforehand or not."""
        assert library.query("lamp", filter={"chapter": {"$in": []}}) == []
        assert library.query("lamp", filter={"chapter": 99}) == []

    def test_contains_applies_before_the_cut(self, store: VectorDBInterface) -> None:
        """As filters do."""
        store.add(document(f"near-{i}", f"keeper {i}") for i in range(400))
        store.add([document("far", "a Keeper, says the keeper of quite another lamp")])
        assert ids_of(store.query("keeper", k=2, contains="Keeper,")) == ["far"]
        assert store.query("keeper", k=2, contains="KEEPER") == []

    def test_filter_and_contains_must_both_hold(self, library: VectorDBInterface) -> None:
        """They combine with "and"."""
        assert ids_of(library.query("lamp", contains="Nan", filter={"chapter": {"$gt": 1}})) == ["dawn"]

    # -- options ------------------------------------------------------------------------------------------

    def test_min_score_cuts_in_the_units_of_the_score(self, library: VectorDBInterface) -> None:
        """What scores at least so much is kept."""
        hits = library.query("Nan lit the lamp at dawn", k=6)
        for kept in range(1, len(hits)):
            nearer, farther = hits[kept - 1].score, hits[kept].score
            if nearer - farther > 4 * self.tolerance:
                found = library.query("Nan lit the lamp at dawn", k=6, min_score=(nearer + farther) / 2)
                assert ids_of(found) == ids_of(hits[:kept])
        assert library.query("lamp", min_score=hits[0].score * 1_000 + 1_000) == []

    def test_query_batch_is_many_queries(self, library: VectorDBInterface) -> None:
        """One list of hits for each text, in order, with the same options."""
        texts = ["Nan lit the lamp", "fog and ferry lamp", "Nan lit the lamp"]
        options: dict[str, Any] = {"k": 3, "filter": {"chapter": {"$lte": 4}}, "contains": "lamp"}
        for text, hits in zip(texts, library.query_batch(texts, **options), strict=True):
            alone = library.query(text, **options)
            assert ids_of(hits) == ids_of(alone)
            assert [hit.score for hit in hits] == [self.near(hit.score) for hit in alone]

    def test_query_batch_of_nothing(self, library: VectorDBInterface) -> None:
        """No texts, no answers."""
        assert library.query_batch([]) == []

    def test_hits_are_found_as_soon_as_they_are_written(self, store: VectorDBInterface) -> None:
        """No waiting, no refreshing."""
        for i in range(5):
            store.add([document(f"d{i}", f"lamp quill{i}")])
            assert store.query(f"quill{i} lamp", k=1)[0].id == f"d{i}"
