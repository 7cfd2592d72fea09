"""Documents are checked, identified and hashed; duplicates collapse or conflict."""

from __future__ import annotations

import enum
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from vectorface.documents import (
    MAX_ID_BYTES,
    Prepared,
    checked_id,
    checked_ids,
    collapsed,
    document_id,
    prepare,
    prepare_all,
    text_hash,
)
from vectorface.errors import DuplicateDocumentError, InvalidDocumentError, InvalidIdError


def lamp(**metadata: Any) -> Document:
    return Document(page_content="the lamp", metadata=metadata)


def prepared(id: str = "a", text: str = "lamp", vector: Any = None, **metadata: Any) -> Prepared:
    document = Document(id=id, page_content=text, metadata=metadata)
    return prepare(document, where="document 0", vector=vector)


# -- ids --------------------------------------------------------------------------------------------------


def test_the_id_comes_from_the_call_then_the_document_then_the_content() -> None:
    document = Document(id="own", page_content="the lamp")
    assert prepare(document, where="", id="given").id == "given"
    assert prepare(document, where="").id == "own"
    assert prepare(lamp(), where="").id == document_id(lamp())


def test_the_id_of_the_content_is_stable() -> None:
    assert document_id(lamp()) == sha256(b"the lamp\0{}").hexdigest()
    assert document_id(lamp(b=1, a=2.0)) == sha256(b'the lamp\0{"a":2.0,"b":1}').hexdigest()
    assert document_id(lamp(a=1, b=2)) == document_id(lamp(b=2, a=1))


def test_the_id_of_the_content_tells_all_differences() -> None:
    different = [
        lamp(),
        lamp(n=1),
        lamp(n=1.0),
        lamp(n=True),
        lamp(n="1"),
        lamp(n=[1]),
        lamp(m=1),
        lamp(n=None),
        Document(page_content="the lamp "),
        Document(page_content='the lamp\0{"n":1}'),
    ]
    assert len({document_id(one) for one in different}) == len(different)


def test_an_id_in_the_metadata_is_data() -> None:
    assert prepare(lamp(id="book"), where="").id == document_id(lamp(id="book")) != "book"


@pytest.mark.parametrize("id_", ["a", " ", "a/b", "x" * MAX_ID_BYTES, "é" * (MAX_ID_BYTES // 2), "\0"])
def test_ids_that_will_do(id_: str) -> None:
    assert checked_id(id_, where="") == id_


@pytest.mark.parametrize(
    ("id_", "message"),
    [
        ("", "document 3: the id is empty; leave it None to have one made from the content."),
        ("x" * 513, "takes 513 bytes of UTF-8; at most 512 are allowed. Use a hash of it."),
        ("é" * 257, "takes 514 bytes of UTF-8"),
        (7, "document 3: the id 7 is of type int; ids are str."),
        (None, "document 3: the id None is of type NoneType; ids are str."),
        (b"a", "is of type bytes"),
        ("\ud800", "document 3: the id holds a lone surrogate, which is not Unicode text."),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_ids_that_will_not_do(id_: Any, message: str) -> None:
    with pytest.raises(InvalidIdError) as caught:
        checked_id(id_, where="document 3")
    assert message in str(caught.value)


def test_an_id_becomes_plain_text() -> None:
    class Name(str, enum.Enum):  # noqa: UP042 - str() of it gives its name, which is the trap
        LAMP = "lamp"

    assert type(checked_id(Name.LAMP, where="")) is str
    assert checked_id(Name.LAMP, where="") == "lamp"


def test_ids_of_a_read_come_in_order_and_once() -> None:
    assert checked_ids(None) is None
    assert checked_ids(iter(["b", "a", "b"])) == ["b", "a"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("abc", r"write ids=\['abc'\]"),
        (["a", ""], r"ids\[1\]: the id is empty"),
        ({"a": 1}, r"not a dict; pass a filter as filter=\{'a': 1\}"),
    ],
)
def test_ids_of_a_read_are_checked(ids: Any, message: str) -> None:
    with pytest.raises(InvalidIdError, match=message):
        checked_ids(ids)


# -- documents --------------------------------------------------------------------------------------------


def test_a_prepared_document_is_a_copy() -> None:
    document = lamp(tags=["sea"])
    ready = prepare(document, where="")
    document.metadata["tags"].append("fog")
    assert ready.metadata == {"tags": ["sea"]}
    assert ready.document == Document(id=ready.id, page_content="the lamp", metadata={"tags": ["sea"]})


def test_the_identity_is_text_and_metadata() -> None:
    assert prepared("a", n=1).identity == prepared("b", n=1).identity
    assert prepared(n=1).identity != prepared(n=1.0).identity
    assert prepared(text="x").identity != prepared(text="y").identity
    assert prepared().text_hash == text_hash("lamp")


def test_the_size_counts_text_metadata_and_id() -> None:
    small = prepared(text="é" * 100).size
    assert 200 <= small < 300
    assert prepared(text="é" * 100, notes="x" * 5_000).size >= small + 5_000
    assert prepared(text="é" * 100, notes=["é" * 500] * 5).size >= small + 5_000


@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003"])
def test_a_document_needs_text(text: str) -> None:
    with pytest.raises(InvalidDocumentError, match=r"document 3 has no text; .* Leave it out\."):
        prepare(Document(page_content=text), where="document 3")


def test_text_must_be_unicode() -> None:
    surrogate = Document(page_content="a \ud800")
    for check in (document_id, lambda document: prepare(document, where="document 3")):
        with pytest.raises(InvalidDocumentError, match=r"lone surrogate.*errors='replace'"):
            check(surrogate)


@pytest.mark.parametrize("value", ["text", None, {"page_content": "x"}, 7, [lamp()]])
def test_only_documents_are_documents(value: Any) -> None:
    with pytest.raises(InvalidDocumentError, match=rf"document 3 is of type {type(value).__name__}; pass"):
        prepare(value, where="document 3")


# -- several ----------------------------------------------------------------------------------------------


def test_ids_and_vectors_belong_to_documents_in_order() -> None:
    ready = list(prepare_all(iter([lamp(), lamp()]), ids=["a", "b"], vectors=np.eye(2)))
    assert [one.id for one in ready] == ["a", "b"]
    np.testing.assert_array_equal([one.vector for one in ready], np.eye(2))
    assert all(one.given_vector for one in ready)


def test_an_id_may_be_left_open() -> None:
    assert [one.id for one in prepare_all([lamp(), lamp()], ids=[None, "b"], vectors=None)] == [
        document_id(lamp()),
        "b",
    ]


def test_the_document_at_fault_is_named() -> None:
    with pytest.raises(InvalidDocumentError, match="document 1 has no text"):
        list(prepare_all([lamp(), Document(page_content="")], ids=None, vectors=None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": ["a"]}, "ids has 1 items for 2 documents; pass one for each."),
        ({"ids": []}, "ids has 0 items for 2 documents"),
        ({"vectors": [[1]] * 3}, "vectors has 3 items for 2 documents"),
    ],
    ids=str,
)
def test_ids_and_vectors_are_one_for_each(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        list(prepare_all([lamp(), lamp()], **({"ids": None, "vectors": None} | options)))
    assert message in str(caught.value)


def test_ids_in_one_text_are_refused() -> None:
    with pytest.raises(InvalidIdError, match=r"ids=\['ab'\]"):
        list(prepare_all([lamp(), lamp()], ids="ab", vectors=None))


@pytest.mark.parametrize("documents", [lamp(), "text", 7, None])
def test_documents_come_in_an_iterable(documents: Any) -> None:
    with pytest.raises(InvalidDocumentError, match="put it in a list"):
        list(prepare_all(documents, ids=None, vectors=None))


# -- duplicates -------------------------------------------------------------------------------------------


def test_identical_documents_collapse_to_the_first() -> None:
    one, twin, other = prepared("a", n=1), prepared("a", n=1), prepared("b", n=1)
    found = collapsed([one, other, twin, other])
    assert found == [one, other]
    assert found[0] is one


@pytest.mark.parametrize(
    "other",
    [
        prepared("a", "another lamp"),
        prepared("a", n=1),
        prepared("a", vector=[0.0, 1.0]),
        prepared("a", vector={"lamp": 1.0}),
    ],
    ids=["text", "metadata", "vector", "weights"],
)
def test_different_documents_under_one_id_conflict(other: Prepared) -> None:
    with pytest.raises(
        DuplicateDocumentError, match=r"^1 id of this call stands for .* \(first: 'a'\); nothing was written"
    ) as caught:
        collapsed([prepared("b"), prepared("a"), other])
    assert caught.value.ids == ("a",)


def test_several_conflicts_are_counted() -> None:
    both = [prepared("a"), prepared("b"), prepared("a", n=1), prepared("b", n=1)]
    with pytest.raises(DuplicateDocumentError, match=r"^2 ids of this call stand for more than one"):
        collapsed(both)


@pytest.mark.parametrize("vector", [np.array([1.0, 2.0]), {"lamp": 1.0, "sea": 2.0}, None])
def test_equal_vectors_are_no_conflict(vector: Any) -> None:
    one = prepared("a", vector=vector)
    twin = replace(
        one,
        vector=vector
        if vector is None
        else type(vector)(vector)
        if isinstance(vector, dict)
        else vector.copy(),
    )
    assert collapsed([one, twin]) == [one]
