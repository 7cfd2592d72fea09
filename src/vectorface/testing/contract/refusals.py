"""What is wrong is refused, with an error that says what to do, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from vectorface.errors import (
    ConfigurationError,
    DuplicateDocumentError,
    InvalidDocumentError,
    InvalidFilterError,
    InvalidIdError,
    InvalidIndexNameError,
    InvalidQueryError,
    VectorfaceError,
)
from vectorface.testing.contract.base import Contract, assert_refused, contents, contents_of, document, story

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from vectorface.interface import VectorDBInterface


@dataclass(frozen=True, slots=True)
class Refusal:
    """A wrong call.

    Attributes:
        call: Makes it.
        error: What it must raise, exactly.
        says: What the message must hold, as a regular expression.
    """

    call: Callable[[Any], object]
    error: type[VectorfaceError]
    says: str


def _nested(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"$not": inner}
    return inner


def _deep_list(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


# -- documents --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BadDocument:
    """A document that cannot be written, as something to pass to ``add``.

    Attributes:
        make: Returns it; anew each time, so that no test spoils it for others.
        error: What it must raise, exactly.
        says: What the message must hold, as a regular expression.
    """

    make: Callable[[], Any]
    error: type[VectorfaceError]
    says: str


def _with(value: object) -> Callable[[], Document]:
    return lambda: document("bad", key={"inner": [value]})


_CANNOT = InvalidDocumentError

BAD_DOCUMENTS: Mapping[str, BadDocument] = {
    "empty text": BadDocument(lambda: document("bad", ""), _CANNOT, "no text"),
    "blank text": BadDocument(lambda: document("bad", " \n\t "), _CANNOT, "no text"),
    "surrogate in text": BadDocument(lambda: document("bad", "a \ud800 b"), _CANNOT, "lone surrogate"),
    "surrogate in a value": BadDocument(
        _with("\udfff"), _CANNOT, r"\['key'\]\['inner'\]\[0\].*lone surrogate"
    ),
    "surrogate in a key": BadDocument(lambda: document("bad", **{"\ud800": 1}), _CANNOT, "lone surrogate"),
    "NaN": BadDocument(_with(float("nan")), _CANNOT, r"\['key'\]\['inner'\]\[0\] is nan.*None"),
    "infinity": BadDocument(_with(float("-inf")), _CANNOT, r"\['inner'\]\[0\] is -inf"),
    "tuple": BadDocument(_with((1, 2)), _CANNOT, "tuple.*pass a list"),
    "set": BadDocument(_with({1}), _CANNOT, "set.*pass a list"),
    "bytes": BadDocument(_with(b"x"), _CANNOT, "bytes.*use str"),
    "object": BadDocument(_with(object()), _CANNOT, "object.*use str"),
    "numpy scalar": BadDocument(_with(np.int64(1)), _CANNOT, r"int64.*\.item\(\)"),
    "numpy array": BadDocument(_with(np.ones(2)), _CANNOT, r"ndarray.*\.tolist\(\)"),
    "key that is no text": BadDocument(_with({1: 2}), _CANNOT, "key 1 of type int.*must be str"),
    "too deep": BadDocument(_with(_deep_list(70)), _CANNOT, "more than 64 deep.*flatten"),
    "far too deep": BadDocument(_with(_deep_list(5_000)), _CANNOT, "more than 64 deep"),
    "no document": BadDocument(lambda: "text", _CANNOT, "type str.*Document"),
    "a dict": BadDocument(lambda: {"page_content": "lamp"}, _CANNOT, "type dict.*Document"),
    "None": BadDocument(lambda: None, _CANNOT, "NoneType.*Document"),
    "empty id": BadDocument(lambda: document("", "lamp"), InvalidIdError, "id is empty.*leave it None"),
    "long id": BadDocument(lambda: document("x" * 600), InvalidIdError, "600 bytes.*512.*hash"),
    "long id in bytes": BadDocument(lambda: document("é" * 257), InvalidIdError, "514 bytes.*512"),
    "surrogate in an id": BadDocument(lambda: document("\ud800", "lamp"), InvalidIdError, "lone surrogate"),
}

# -- filters ----------------------------------------------------------------------------------------------

BAD_FILTERS: Mapping[str, tuple[Any, str]] = {
    "not a dict": ("chapter = 1", "filter must be a dict"),
    "a list": ([{"chapter": 1}], "filter must be a dict"),
    "unknown operator": (
        {"chapter": {"$like": 1}},
        r"filter\['chapter'\]\['\$like'\]: unknown operator '\$like'.*\$eq",
    ),
    "unknown combination": (
        {"$nor": [{}]},
        r"filter\['\$nor'\]: unknown operator '\$nor'.*\$and, \$or and \$not",
    ),
    "an operator without its $": (
        {"chapter": {"gt": 1}},
        r"filter\['chapter'\]\['gt'\] is not an operator; did you mean '\$gt'\?.*'chapter\.gt'",
    ),
    "a search for text": ({"title": {"$contains": "lamp"}}, r"unknown operator '\$contains'.*contains="),
    "a search for text as a key": ({"$text": {"$search": "lamp"}}, r"unknown operator '\$text'.*contains="),
    "operator as a key": ({"$eq": 1}, r"filter\['\$eq'\]: unknown operator"),
    "inner path": (
        {"$and": [{"a": 1}, {"b": {"$gt": None}}]},
        r"filter\['\$and'\]\[1\]\['b'\]\['\$gt'\]: None has no order",
    ),
    "range on a bool": ({"chapter": {"$gt": True}}, "True has no order"),
    "list operand": ({"chapter": [1, 2]}, r"\{'\$in': \[...\]\}"),
    "object operand": ({"author": {"name": "Nan"}}, r"not an operator.*'author.name'"),
    "list in $eq": ({"chapter": {"$eq": [1]}}, r"\$in"),
    "text in $in": ({"chapter": {"$in": "abc"}}, "takes a list of values"),
    "object in $in": ({"chapter": {"$in": [{"a": 1}]}}, r"\['\$in'\]\[0\]"),
    "number in $exists": ({"chapter": {"$exists": 1}}, "takes True or False"),
    "value in $not": ({"chapter": {"$not": 1}}, r"takes operators.*\$eq"),
    "no operator": ({"chapter": {}}, r"filter\['chapter'\] is empty"),
    "empty $and": ({"$and": []}, "non-empty list"),
    "dict in $or": ({"$or": {"a": 1}}, "non-empty list"),
    "key that is no text": ({1: 2}, "keys must be str"),
    "NaN": ({"chapter": float("nan")}, "nan.*finite"),
    "infinity": ({"chapter": {"$lt": float("inf")}}, "inf.*finite"),
    "numpy": ({"chapter": np.int64(1)}, r"\.item\(\)"),
    "bytes": ({"chapter": b"x"}, "use str"),
    "lone surrogate": ({"chapter": "\ud800"}, "lone surrogate"),
    "25 deep": (_nested(25, {"a": 1}), "more than 24 deep"),
    "1,000 deep": (_nested(1_000, {"a": 1}), "more than 24 deep"),
    "1,000 deep in a field": ({"a": _nested(1_000, {"$eq": 1})}, "more than 24 deep"),
    "1,000 deep operand": ({"a": _deep_list(1_000)}, r"\$in"),
    "a number of 10,000 digits": ({"a": {"$exists": 10**10_000}}, "takes True or False"),
}

FILTER_USES: Mapping[str, Callable[[VectorDBInterface, Any], object]] = {
    "get": lambda store, spec: store.get(filter=spec),
    "get by ids": lambda store, spec: store.get(["dusk"], filter=spec),
    "scan": lambda store, spec: store.scan(filter=spec),
    "count": lambda store, spec: store.count(spec),
    "delete": lambda store, spec: store.delete_by_filter(spec),
    "delete by ids": lambda store, spec: store.delete_by_filter(spec, ids=["dusk"]),
    "query": lambda store, spec: store.query("lamp", filter=spec),
    "query_batch": lambda store, spec: store.query_batch(["lamp"], filter=spec),
    "replace": lambda store, spec: store.replace([document("new")], spec),
}

# -- other calls ------------------------------------------------------------------------------------------

_ANY: Any = object()

BAD_CALLS: Mapping[str, Refusal] = {
    # documents and ids
    "one document": Refusal(lambda s: s.add(document("x")), InvalidDocumentError, "put it in a list"),
    "a text": Refusal(lambda s: s.add("text"), InvalidDocumentError, "put it in a list"),
    "too few ids": Refusal(
        lambda s: s.add([document("x"), document("y")], ids=["x"]), InvalidDocumentError, "1 items for 2"
    ),
    "ids in one text": Refusal(
        lambda s: s.add([document("x"), document("y")], ids="xy"), InvalidIdError, r"\['xy'\]"
    ),
    "an id that is no text": Refusal(
        lambda s: s.add([document("x")], ids=[7]), InvalidIdError, "7 is of type int"
    ),
    "two documents under one id": Refusal(
        lambda s: s.upsert([document("x", n=1), document("x", n=2)]),
        DuplicateDocumentError,
        "leave the ids out",
    ),
    "an id that exists": Refusal(lambda s: s.add([document("fog")]), DuplicateDocumentError, r"upsert\(\)"),
    "one document in parallel": Refusal(
        lambda s: s.upsert_parallel(document("x")), InvalidDocumentError, "in a list"
    ),
    "a text in parallel": Refusal(lambda s: s.upsert_parallel("text"), InvalidDocumentError, "in a list"),
    "replace by nothing": Refusal(
        lambda s: s.replace([], {"chapter": 1}), InvalidDocumentError, r"delete_by_filter\(\)"
    ),
    "replace everything": Refusal(
        lambda s: s.replace([document("x")], {}), InvalidFilterError, "delete_index"
    ),
    # reading
    "get a filter as ids": Refusal(
        lambda s: s.get({"chapter": 1}), InvalidIdError, r"pass a filter as filter=\{'chapter': 1\}"
    ),
    "delete a filter as ids": Refusal(
        lambda s: s.delete_by_filter(ids={"chapter": 1}), InvalidIdError, "pass a filter as filter="
    ),
    "skip_unchanged as text": Refusal(
        lambda s: s.upsert_parallel([document("x")], skip_unchanged="no"),
        ConfigurationError,
        "skip_unchanged='no' must be True",
    ),
    "progress as text": Refusal(
        lambda s: s.upsert_parallel([document("x")], progress="no"),
        ConfigurationError,
        "progress='no' must be True",
    ),
    "dry_run as text": Refusal(
        lambda s: s.delete_by_filter(ids=["fog"], dry_run="no"),
        ConfigurationError,
        "dry_run='no' must be True",
    ),
    "get one id as text": Refusal(lambda s: s.get("fog"), InvalidIdError, r"ids=\['fog'\]"),
    "get an empty id": Refusal(lambda s: s.get([""]), InvalidIdError, "id is empty"),
    "get a number": Refusal(lambda s: s.get([1]), InvalidIdError, "type int"),
    "limit 0": Refusal(lambda s: s.get(limit=0), InvalidQueryError, "limit=0.*at least 1"),
    "batches of 0": Refusal(lambda s: s.scan(batch_size=0), InvalidQueryError, "batch_size=0.*at least 1"),
    "contains nothing": Refusal(lambda s: s.count(contains=""), InvalidQueryError, "non-empty text"),
    "contains a number": Refusal(lambda s: s.get(contains=_ANY), InvalidQueryError, "non-empty text"),
    # deleting
    "delete one id as text": Refusal(lambda s: s.delete_by_filter(ids="fog"), InvalidIdError, r"\['fog'\]"),
    "delete an empty id": Refusal(lambda s: s.delete_by_filter(ids=[""]), InvalidIdError, "id is empty"),
    "expect a text": Refusal(
        lambda s: s.delete_by_filter(ids=["fog"], expect="1"), InvalidQueryError, "expect='1'.*whole number"
    ),
    "expect True": Refusal(
        lambda s: s.delete_by_filter(ids=["fog"], expect=True), InvalidQueryError, "expect=True.*whole number"
    ),
    "expect less than none": Refusal(
        lambda s: s.delete_by_filter(ids=["fog"], expect=-1), InvalidQueryError, "expect=-1.*whole number"
    ),
    "at most a text": Refusal(
        lambda s: s.delete_by_filter(ids=["fog"], max_delete="9"), InvalidQueryError, "max_delete='9'.*whole"
    ),
    "replace at most a half": Refusal(
        lambda s: s.replace([document("x")], {"chapter": 1}, max_delete=0.5),
        InvalidQueryError,
        "max_delete=0.5.*whole",
    ),
    # searching
    "k=0": Refusal(lambda s: s.query("lamp", k=0), InvalidQueryError, "k=0.*at least 1"),
    "k=-1": Refusal(lambda s: s.query("lamp", k=-1), InvalidQueryError, "k=-1.*at least 1"),
    "k=True": Refusal(lambda s: s.query("lamp", k=True), InvalidQueryError, "k=True.*whole number"),
    "k=2.0": Refusal(lambda s: s.query("lamp", k=2.0), InvalidQueryError, "k=2.0.*whole number"),
    "k='3'": Refusal(lambda s: s.query("lamp", k="3"), InvalidQueryError, "k='3'.*whole number"),
    "neither text nor vector": Refusal(lambda s: s.query(), InvalidQueryError, "either text or vector"),
    "both text and vector": Refusal(
        lambda s: s.query("lamp", vector=[1.0] * 64), InvalidQueryError, "not both"
    ),
    "blank query": Refusal(lambda s: s.query("  "), InvalidQueryError, "not blank"),
    "query that is no text": Refusal(lambda s: s.query(7), InvalidQueryError, "must be text"),
    "query that is a dict": Refusal(lambda s: s.query({"question": "x"}), InvalidQueryError, "must be text"),
    "surrogate in a query": Refusal(lambda s: s.query("\ud800"), InvalidQueryError, "lone surrogate"),
    "fetch_k=0": Refusal(lambda s: s.query("lamp", fetch_k=0), InvalidQueryError, "fetch_k=0.*at least 1"),
    "lambda_mult=2": Refusal(lambda s: s.query("lamp", lambda_mult=2), InvalidQueryError, "between 0.*and 1"),
    "lambda_mult=NaN": Refusal(
        lambda s: s.query("lamp", lambda_mult=float("nan")), InvalidQueryError, "must be a number"
    ),
    "min_score='x'": Refusal(
        lambda s: s.query("lamp", min_score="x"), InvalidQueryError, "min_score='x' must be a number"
    ),
    "search_type='nearest'": Refusal(
        lambda s: s.query("lamp", search_type="nearest"), InvalidQueryError, "'similarity' or 'mmr'"
    ),
    "surrogate in contains": Refusal(
        lambda s: s.query("lamp", contains="\ud800"), InvalidQueryError, "non-empty text"
    ),
    "batch of one text": Refusal(lambda s: s.query_batch("lamp"), InvalidQueryError, r"use query\(\)"),
    "batch with a blank": Refusal(lambda s: s.query_batch(["lamp", ""]), InvalidQueryError, "not blank"),
    # bulk writes
    "batch_size=0": Refusal(
        lambda s: s.upsert_parallel([document("x")], batch_size=0),
        InvalidQueryError,
        "batch_size=0.*at least 1",
    ),
    "max_workers=0": Refusal(
        lambda s: s.upsert_parallel([document("x")], max_workers=0),
        InvalidQueryError,
        "max_workers=0.*at least 1",
    ),
    "max_failures=0": Refusal(
        lambda s: s.upsert_parallel([document("x")], max_failures=0), InvalidQueryError, "max_failures=0"
    ),
    "on_error='ignore'": Refusal(
        lambda s: s.upsert_parallel([document("x")], on_error="ignore"),
        ConfigurationError,
        "'raise' or 'report'",
    ),
    "an executor that is none": Refusal(
        lambda s: s.upsert_parallel([document("x")], executor=_ANY), ConfigurationError, r"submit\(\)"
    ),
    "retry=3": Refusal(
        lambda s: s.upsert_parallel([document("x")], retry=3),
        ConfigurationError,
        r"RetryPolicy\(attempts=3\)",
    ),
    "callbacks=print": Refusal(
        lambda s: s.upsert_parallel([document("x")], callbacks=print),
        ConfigurationError,
        r"write callbacks=\[print\]",
    ),
    "cancel=True": Refusal(
        lambda s: s.upsert_parallel([document("x")], cancel=True), ConfigurationError, r"threading\.Event\(\)"
    ),
    # indexes
    "index name in upper case": Refusal(
        lambda s: s.create_index("Stories"), InvalidIndexNameError, "lower-case letters"
    ),
    "index name that is no text": Refusal(
        lambda s: s.create_index(7), InvalidIndexNameError, "lower-case letters"
    ),
    "dimension 0": Refusal(
        lambda s: s.create_index(s.index, dimension=0), InvalidQueryError, "dimension=0.*at least 1"
    ),
    "unknown metric": Refusal(
        lambda s: s.create_index(s.index, metric="manhattan"), ConfigurationError, "'cosine', 'l2' or 'dot'"
    ),
}


class RefusalContract(Contract):
    """Wrong input raises the right error with a message that helps, and leaves the store as it was."""

    def test_a_bad_document_stops_the_whole_call(self, library: VectorDBInterface) -> None:
        """Good documents beside it are not written either."""
        for name, bad in BAD_DOCUMENTS.items():
            given = [document("good"), bad.make()]
            calls = {
                f"add {name}": partial(library.add, given),
                f"upsert {name}": partial(library.upsert, given),
            }
            assert_refused(calls, bad.error, bad.says)
        assert contents(library) == contents_of(story())

    def test_bad_documents_are_failures_of_a_bulk_write(self, library: VectorDBInterface) -> None:
        """``upsert_parallel`` writes the good ones, and reports the others with the same errors."""
        given = [document("first"), *(bad.make() for bad in BAD_DOCUMENTS.values()), document("last")]
        report = library.upsert_parallel(given, on_error="report")
        errors = {
            name: type(failure.error) for name, failure in zip(BAD_DOCUMENTS, report.failures, strict=True)
        }
        assert errors == {name: bad.error for name, bad in BAD_DOCUMENTS.items()}
        assert contents(library) == contents_of([*story(), document("first"), document("last")])

    def test_a_bad_filter_is_refused_with_the_path_to_the_fault(self, library: VectorDBInterface) -> None:
        """By every method that takes one, before anything is written or deleted."""
        for name, (spec, says) in BAD_FILTERS.items():
            calls = {f"{use}: {name}": partial(call, library, spec) for use, call in FILTER_USES.items()}
            assert_refused(calls, InvalidFilterError, says)
        assert contents(library) == contents_of(story())

    def test_a_bad_call_is_refused(self, library: VectorDBInterface) -> None:
        """With the error of its kind, and nothing is changed."""
        for name, bad in BAD_CALLS.items():
            assert_refused({name: partial(bad.call, library)}, bad.error, bad.says)
            assert contents(library) == contents_of(story()), name

    def test_unknown_options_are_refused(self, library: VectorDBInterface) -> None:
        """A typing error in an option does not pass silently."""
        loose: Any = library
        with pytest.raises(TypeError, match="filters"):
            loose.query("lamp", filters={"chapter": 1})
        with pytest.raises(TypeError, match="where"):
            loose.delete_by_filter({"chapter": 1}, where={})
        assert library.count() == len(story())

    def test_a_document_larger_than_a_request_is_refused(
        self, library: VectorDBInterface, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before it is sent, whether its text or its metadata is too large."""
        small = replace(library.limits, max_bytes=100_000)
        monkeypatch.setattr(type(library), "limits", property(lambda _: small))
        for large in (document("x", "lamp " * 25_000), document("x", notes="lamp " * 25_000)):
            with pytest.raises(InvalidDocumentError, match=r"MB.*preprocess\(\)"):
                library.upsert([document("good"), large])
        report = library.upsert_parallel([document("good"), large], on_error="report")
        assert (report.written, [failure.id for failure in report.failures]) == (1, ["x"])
