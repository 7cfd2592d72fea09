"""Reading by id, by filter and by content; streaming; counting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vectorface.records import Record
from vectorface.testing import strategies
from vectorface.testing.contract.base import Contract, contents, contents_of, document, ids_of, story
from vectorface.testing.examples import for_each

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface


class ReadContract(Contract):
    """What is there can be read, in the order asked for."""

    # -- get ----------------------------------------------------------------------------------------------

    def test_get_keeps_the_order_of_ids(self, library: VectorDBInterface) -> None:
        """Documents come as they were asked for, not as they are stored."""
        wanted = ["dawn", "dusk", "storm", "fog"]
        assert ids_of(library.get(wanted)) == wanted
        assert ids_of(library.get(wanted[::-1])) == wanted[::-1]

    def test_get_leaves_out_ids_that_do_not_exist(self, library: VectorDBInterface) -> None:
        """They are no error."""
        assert ids_of(library.get(["none", "fog", "nobody"])) == ["fog"]
        assert library.get(["none"]) == []

    def test_get_of_no_ids_gives_nothing(self, library: VectorDBInterface) -> None:
        """An empty list is not the same as no list."""
        assert library.get([]) == []
        assert len(library.get()) == len(story())

    def test_get_gives_each_id_once(self, library: VectorDBInterface) -> None:
        """A repeated id is one document."""
        assert ids_of(library.get(["fog", "fog", "dusk", "fog"])) == ["fog", "dusk"]

    def test_get_gives_whole_documents(self, library: VectorDBInterface) -> None:
        """With id, text and metadata."""
        [record] = library.get(["dusk"])
        assert record.document == story()[0]
        assert (record.id, record.text, record.metadata) == (
            "dusk",
            story()[0].page_content,
            story()[0].metadata,
        )

    def test_get_by_filter(self, library: VectorDBInterface) -> None:
        """Without ids, whatever matches."""
        assert sorted(ids_of(library.get(filter={"place": "sea"}))) == ["fog", "storm"]

    def test_get_by_ids_and_filter(self, library: VectorDBInterface) -> None:
        """Both must hold, and the order of ids is kept."""
        assert ids_of(library.get(["storm", "dusk", "fog"], filter={"place": "sea"})) == ["storm", "fog"]

    def test_get_by_content(self, library: VectorDBInterface) -> None:
        """Alone, with ids and with a filter."""
        assert sorted(ids_of(library.get(contains="Nan"))) == ["dawn", "dusk"]
        assert ids_of(library.get(["dawn", "fog"], contains="Nan")) == ["dawn"]
        assert ids_of(library.get(filter={"chapter": 1}, contains="Nan")) == ["dusk"]

    def test_get_stops_at_the_limit(self, library: VectorDBInterface) -> None:
        """It is an upper bound, applied after everything else."""
        assert len(library.get(limit=2)) == 2
        assert len(library.get(limit=100)) == len(story())
        assert ids_of(library.get(["none", "dawn", "fog", "dusk"], limit=2)) == ["dawn", "fog"]
        assert ids_of(library.get(["dusk", "fog", "storm"], filter={"place": "sea"}, limit=1)) == ["fog"]

    def test_get_takes_thousands_of_ids(self, store: VectorDBInterface) -> None:
        """More than any single request can hold."""
        store.add(document(f"d{i}") for i in range(0, 50, 5))
        wanted = [f"d{i}" for i in range(40_000)]
        assert ids_of(store.get(wanted)) == [f"d{i}" for i in range(0, 50, 5)]

    # -- scan ---------------------------------------------------------------------------------------------

    def test_scan_streams(self, library: VectorDBInterface) -> None:
        """It is an iterator, and gives each document once, whatever the size of its batches."""
        records = library.scan()
        assert isinstance(records, Iterator)
        assert isinstance(next(records), Record)
        for batch_size in (1, 4, len(story()), 1_000):
            assert sorted(ids_of(library.scan(batch_size=batch_size))) == sorted(
                one.id or "" for one in story()
            )

    def test_scan_filters(self, library: VectorDBInterface) -> None:
        """By filter, by content, by both."""
        assert sorted(ids_of(library.scan(filter={"place": "gallery"}))) == ["dawn", "dusk", "oil"]
        assert sorted(ids_of(library.scan(contains="Nan"))) == ["dawn", "dusk"]
        assert ids_of(library.scan(filter={"chapter": 6}, contains="Nan", batch_size=1)) == ["dawn"]

    def test_a_scan_misses_nothing_while_documents_are_deleted(self, store: VectorDBInterface) -> None:
        """What was there all the time is found, whatever is deleted beside it."""
        store.add(document(f"{i:02d}", f"lamp {i}", n=i) for i in range(60))
        seen = []
        for record in store.scan(batch_size=10):
            seen.append(record.id)
            store.delete_by_filter(ids=[str(record.id)])
        assert sorted(seen) == [f"{i:02d}" for i in range(60)]
        assert store.count() == 0

    def test_scan_of_an_empty_index_is_empty(self, store: VectorDBInterface) -> None:
        """Nothing is no error."""
        assert list(store.scan()) == []

    # -- count --------------------------------------------------------------------------------------------

    def test_count(self, library: VectorDBInterface) -> None:
        """All, by filter, by content, by both."""
        assert library.count() == len(story())
        assert library.count({}) == len(story())
        assert library.count({"place": "gallery"}) == 3
        assert library.count(contains="Nan") == 2
        assert library.count({"chapter": {"$lt": 3}}, contains="Nan") == 1

    def test_count_follows_every_write(self, store: VectorDBInterface) -> None:
        """What was written or deleted is seen at once."""
        for i in range(5):
            store.upsert([document(f"d{i}")])
            assert store.count() == i + 1
        store.delete_by_filter(ids=["d0"])
        assert store.count() == 4

    # -- contains -----------------------------------------------------------------------------------------

    def test_contains_is_a_substring_case_and_all(self, library: VectorDBInterface) -> None:
        """Not words, not patterns: characters."""
        assert ids_of(library.get(contains="drank oi")) == ["oil"]
        assert ids_of(library.get(contains="Drank")) == []
        assert library.count(contains=".") == len(story())
        assert library.count(contains="%") == library.count(contains="_") == library.count(contains="*") == 0

    def test_contains_finds_a_long_needle_in_a_long_text(self, store: VectorDBInterface) -> None:
        """Thousands of characters on both sides."""
        text = "lamp " + " ".join(f"word{i}" for i in range(9_000))
        store.add([document("long", text), document("short")])
        assert ids_of(store.get(contains=text[20_000:23_000])) == ["long"]
        assert ids_of(store.query("lamp", contains=text[-300:])) == ["long"]
        assert ids_of(store.get(contains=text)) == ["long"]
        assert store.count(contains=text + "!") == 0

    def test_contains_agrees_with_python(self, store: VectorDBInterface) -> None:
        """Generated texts and needles: cases, accents, quotes, wildcards, NUL, one character and many."""

        def check(case: strategies.ContainsCase) -> None:
            store.upsert(case.documents)
            for needle in case.needles:
                expected = {one.id for one in case.documents if needle in one.page_content}
                assert set(ids_of(store.get(contains=needle))) == expected, needle
                assert set(ids_of(store.query("lamp", k=99, contains=needle))) == expected, needle
                assert store.count(contains=needle) == len(expected), needle

        for_each(strategies.contains_cases(), check, examples=6)

    def test_reading_writes_nothing(self, library: VectorDBInterface) -> None:
        """After all of it, the store is as it was."""
        library.get(["dusk"], filter={"chapter": 1}, contains="Nan")
        list(library.scan(filter={"chapter": 1}))
        library.query("lamp", filter={"chapter": 1})
        assert contents(library) == contents_of(story())
