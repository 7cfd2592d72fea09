"""Metadata and texts come back exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from langchain_core.documents import Document

from vectorface.metadata import dumps
from vectorface.testing import strategies
from vectorface.testing.contract.base import Contract, contents, contents_of, document
from vectorface.testing.examples import for_each

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface

#: One document for each thing that is easily lost.
EASILY_LOST: dict[str, dict[str, Any]] = {
    "no keys": {},
    "none": {"a": None, "list": [None], "object": {"a": None}},
    "empties": {"text": "", "list": [], "object": {}, "inside": [[], {}, ""]},
    "types": {"int": 1, "float": 1.0, "bool": True, "text": "1", "zero": 0, "no": False, "minus": -0.0},
    "ints": {
        "safe": 2**53,
        "more": 2**53 + 1,
        "64": 2**63 - 1,
        "min": -(2**63),
        "beyond": 2**63,
        "big": 10**60,
    },
    "floats": {
        "sum": 0.1 + 0.2,
        "third": 1 / 3,
        "tiny": 5e-324,
        "max": 1.7976931348623157e308,
        "whole": 1e22,
    },
    "dates": dict(zip("abcdefghijklmnop", strategies.DATES, strict=True)),
    "lists": {
        "mixed": [1, 1.0, "1", True, None],
        "nested": [[1], [[2]]],
        "floats": [0.1, 1.0],
        "bools": [True],
    },
    "objects": {"a": {"b": {"c": [1, {"d": "e"}]}}, "list": [{"x": 1}, {"x": "2"}, 3]},
    "dots": {"a.b": 1, "a": {"b": 2, "b.c": 3}, "x.y": [1], "x": {}},
    "keys": dict.fromkeys(strategies.ODD_KEYS, 1),
    "tagged": {"a": {"$date": "2024-05-01"}, "b": {"$object": []}, "c": {"$int": "0x1"}, "$date": "no date"},
    "texts": dict(zip(map(str, range(99)), strategies.STRINGS, strict=False)),
    "wide": {f"key {i}": i for i in range(300)},
    "long": {"text": "sea " * 20_000, "list": list(range(1_000))},
}


class MetadataContract(Contract):
    """Metadata is given back as it was given, types and all, by whatever way it is read."""

    def test_what_is_easily_lost_is_kept(self, store: VectorDBInterface) -> None:
        """None, empties, types, big and long numbers, dates, nesting, odd keys."""
        given = [document(name, **{"name": name} | value) for name, value in EASILY_LOST.items()]
        store.add(given)
        expected = contents_of(given)
        assert contents(store) == expected
        assert contents_of(record.document for record in store.get(list(EASILY_LOST))) == expected
        assert contents_of(hit.document for hit in store.query("lamp", k=100)) == expected

    def test_any_metadata_is_kept(self, store: VectorDBInterface) -> None:
        """Generated metadata, each document replaced several times by others."""

        def check(metadatas: list[dict[str, Any]]) -> None:
            given = [document(f"d{i}", **metadata) for i, metadata in enumerate(metadatas)]
            store.upsert(given)
            assert_same(store, given)

        documents = st.lists(strategies.metadata(max_size=8), min_size=20, max_size=20)
        for_each(documents, check, examples=10)

    def test_any_metadata_is_kept_where_only_it_is_written(self, store: VectorDBInterface) -> None:
        """The same through ``skip_unchanged``, which leaves text and vector as they are."""

        def check(metadatas: list[dict[str, Any]]) -> None:
            given = [document(f"d{i}", **metadata) for i, metadata in enumerate(metadatas)]
            store.upsert_parallel(given, skip_unchanged=True)
            assert_same(store, given)

        documents = st.lists(strategies.metadata(max_size=8), min_size=20, max_size=20)
        for_each(documents, check, examples=5)

    def test_any_text_is_kept(self, store: VectorDBInterface) -> None:
        """Line ends, spaces at both ends, NUL, and every other character."""

        def check(texts: list[str]) -> None:
            given = [Document(id=f"d{i}", page_content=text) for i, text in enumerate(texts)]
            store.upsert(given)
            assert_same(store, given)

        for_each(st.lists(strategies.texts(), min_size=20, max_size=20), check, examples=5)

    def test_a_long_text_is_kept(self, store: VectorDBInterface) -> None:
        """A megabyte is no problem."""
        given = [document("long", "The lamp burned on. " * 50_000)]
        store.add(given)
        assert_same(store, given)


def assert_same(store: VectorDBInterface, given: list[Document]) -> None:
    """Check that the store holds exactly these documents, and show the first that differs."""
    stored, expected = contents(store), contents_of(given)
    for one in given:
        assert stored.get(str(one.id)) == (one.page_content, dumps(one.metadata)), one
    assert stored.keys() == expected.keys()
