"""Deleting, with guards and honest counts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from vectorface.errors import DeleteGuardError, InvalidFilterError
from vectorface.testing.contract.base import (
    Contract,
    assert_refused,
    contents,
    contents_of,
    document,
    ids_of,
    story,
)

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface

#: Filters that say nothing, in several words.
SAY_NOTHING: tuple[dict[str, Any], ...] = (
    {},
    {"$and": [{}]},
    {"$or": [{}, {"chapter": 1}]},
    {"$and": [{}, {"$or": [{}]}]},
    {"$not": {"$not": {}}},
    {"chapter": {"$nin": []}},
)


class DeleteContract(Contract):
    """A delete removes exactly what matches, or nothing at all, and counts what was really there."""

    def test_delete_by_filter(self, library: VectorDBInterface) -> None:
        """What matches is gone, from reads and searches; the rest is as it was."""
        report = library.delete_by_filter({"place": "sea"})
        assert (report.matched, report.deleted, report.conflicts, report.dry_run) == (2, 2, (), False)
        assert sorted(report.ids) == ["fog", "storm"]
        left = [one for one in story() if one.id not in {"fog", "storm"}]
        assert contents(library) == contents_of(left)
        assert set(ids_of(library.query("fog storm lamp", k=100))) == {one.id for one in left}

    def test_delete_by_ids(self, library: VectorDBInterface) -> None:
        """Ids that do not exist are no error, and are not counted; neither are repetitions."""
        report = library.delete_by_filter(ids=["fog", "none", "fog", "dusk"])
        assert (report.matched, report.deleted, sorted(report.ids)) == (2, 2, ["dusk", "fog"])
        assert library.get(["fog", "dusk"]) == []

    def test_delete_by_filter_and_ids(self, library: VectorDBInterface) -> None:
        """Both must hold."""
        report = library.delete_by_filter({"place": "sea"}, ids=["fog", "dusk"])
        assert (report.deleted, report.ids) == (1, ("fog",))
        assert library.count() == len(story()) - 1

    def test_delete_of_nothing(self, library: VectorDBInterface) -> None:
        """No match, no ids: no error and nothing deleted."""
        assert library.delete_by_filter({"place": "attic"}).deleted == 0
        assert library.delete_by_filter(ids=[]).deleted == 0
        assert library.delete_by_filter({"place": "sea"}, ids=[]).deleted == 0
        assert library.count() == len(story())

    def test_delete_twice_counts_once(self, library: VectorDBInterface) -> None:
        """The second time there is nothing left."""
        assert library.delete_by_filter({"chapter": 1}).deleted == 1
        assert library.delete_by_filter({"chapter": 1}).deleted == 0

    def test_a_dry_run_deletes_nothing(self, library: VectorDBInterface) -> None:
        """It reports what would be deleted."""
        report = library.delete_by_filter({"place": "sea"}, dry_run=True)
        assert (report.matched, report.deleted, report.dry_run) == (2, 0, True)
        assert sorted(report.ids) == ["fog", "storm"]
        assert contents(library) == contents_of(story())

    def test_expect_and_max_delete_that_hold(self, library: VectorDBInterface) -> None:
        """They are in nobody's way."""
        assert library.delete_by_filter({"place": "sea"}, expect=2, max_delete=2).deleted == 2
        assert library.delete_by_filter({"place": "sea"}, expect=0, max_delete=0).deleted == 0

    def test_a_guard_that_does_not_hold_stops_the_delete(self, library: VectorDBInterface) -> None:
        """Nothing is deleted, and the message says how many match; a dry run is guarded too."""
        delete = partial(library.delete_by_filter, {"place": "sea"})
        calls = {
            "one more": partial(delete, expect=3),
            "one less": partial(delete, expect=1),
            "none": partial(delete, expect=0),
            "too many": partial(delete, max_delete=1),
            "any is too many": partial(delete, max_delete=0),
            "dry run": partial(delete, max_delete=1, dry_run=True),
            "both": partial(delete, expect=2, max_delete=1),
        }
        assert_refused(calls, DeleteGuardError, "2 documents match.*nothing was deleted.*dry_run=True")
        assert contents(library) == contents_of(story())

    def test_a_filter_that_says_nothing_is_refused(self, library: VectorDBInterface) -> None:
        """An empty filter, however it is wrapped, is a mistake and not a wish to delete everything."""
        more: tuple[dict[str, Any], ...] = ({}, {"dry_run": True}, {"ids": ["dusk"]}, {"expect": 6})
        calls = {
            f"{spec} {options}": partial(library.delete_by_filter, spec, **options)
            for spec in SAY_NOTHING
            for options in more
        }
        assert_refused(calls, InvalidFilterError, "delete_index")
        assert library.count() == len(story())

    def test_neither_filter_nor_ids_is_refused(self, library: VectorDBInterface) -> None:
        """The message names what deletes everything."""
        assert_refused({"nothing": library.delete_by_filter}, InvalidFilterError, "delete_index")
        assert library.count() == len(story())

    def test_thousands_are_deleted_in_one_call(self, store: VectorDBInterface) -> None:
        """More than any single request takes."""
        store.add(document(f"d{i}", n=i) for i in range(600))
        assert store.delete_by_filter({"n": {"$gte": 5}}, expect=595).deleted == 595
        assert store.delete_by_filter(ids=[f"d{i}" for i in range(40_000)]).deleted == 5
        assert store.count() == 0

    def test_what_was_deleted_can_be_added_again(self, library: VectorDBInterface) -> None:
        """With the same id, and it is found again."""
        library.delete_by_filter(ids=["fog"])
        library.add([one for one in story() if one.id == "fog"])
        assert contents(library) == contents_of(story())
        assert library.query("Fog hid the lamp from the ferry.", k=1)[0].id == "fog"
