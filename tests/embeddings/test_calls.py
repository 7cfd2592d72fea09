from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from vectorface.embeddings import MiniLM, concurrency, embed_query, embed_texts
from vectorface.embeddings._arrays import FloatArray
from vectorface.errors import EmbeddingError, InvalidInputError

NAN, INF = float("nan"), float("inf")


class Returns(Embeddings):
    """An embedding that returns what it was given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        assert type(texts) is list
        return self.answer  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        assert text
        return self.answer  # type: ignore[no-any-return]


class Fast(Returns):
    """One that offers arrays too."""

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        return np.full((len(texts), 2), 7, dtype=np.float64)  # not yet float32


def test_vectors_are_a_float32_array() -> None:
    vectors = embed_texts(Returns([[1, 2.5], [3, 4]]), ("a", "b"))
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 2.5], [3, 4]]


def test_arrays_are_preferred() -> None:
    vectors = embed_texts(Fast("never asked"), ["a", "b"])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[7, 7], [7, 7]]


def test_the_model_is_not_called_without_texts() -> None:
    assert embed_texts(Returns("never asked"), []).shape == (0, 0)
    assert embed_texts(DeterministicFakeEmbedding(size=6), []).shape == (0, 6)


def test_real_vectors_pass_unchanged(model: MiniLM) -> None:
    assert np.array_equal(embed_texts(model, ["lamp"]), model.embed_array(["lamp"]))
    assert np.array_equal(embed_query(model, "lamp"), np.array(model.embed_query("lamp"), np.float32))


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "returned None where a list of 2 vectors belongs"),
        ([[1.0]], "returned 1 vectors for 2 texts"),
        ([[1.0], [2.0], [3.0]], "returned 3 vectors for 2 texts"),
        ([[1.0, 2.0], [3.0]], "at position 1 are 1 numbers, at position 0 there are 2"),
        ([[1.0], None], "at position 1 is None, not a non-empty list of numbers"),
        ([[1.0], []], "at position 1 is of type list, not a non-empty list"),
        ([[], []], "at position 0 is of type list, not a non-empty list"),
        ([[1.0], ["2.0"]], "at position 1 is a list of str, not"),
        ([["1.0"], ["2.0"]], "at position 0 is a list of str, not"),
        ([[1.0], [[2.0]]], "at position 1 is a list of list, not"),
        ([[True], [False]], "at position 0 is a list of bool, not"),
        ([1.0, 2.0], "at position 0 is of type float, not"),
        ([[1.0, 2.0], [3.0, NAN]], "number 1 at position 1 is NaN or infinite"),
        ([[INF, 2.0], [3.0, 4.0]], "number 0 at position 0 is NaN or infinite"),
        ([[1.0], [1e300]], "number 0 at position 1 is NaN or infinite (as a 32-bit float)"),
        (np.ones((2, 0)), "at position 0 is of type ndarray, not"),
        (np.ones((2, 3, 4)), "at position 0 is of type ndarray, not"),
        ({(1, 2): 0, (3, 4): 1}, "all together they are of type dict"),
    ],
)
def test_what_is_no_vector_is_named_with_its_position(answer: Any, fault: str) -> None:
    with pytest.raises(
        EmbeddingError, match=f"^Returns returned .*{re.escape(fault)}|^Returns {re.escape(fault)}"
    ):
        embed_texts(Returns(answer), ["a", "b"])


def test_a_query_gives_one_vector() -> None:
    vector = embed_query(Returns([1.0, 2.0]), "a")
    assert vector.dtype == np.float32
    assert vector.tolist() == [1, 2]


def test_a_query_is_never_embedded_as_a_document() -> None:
    assert embed_query(Fast([1.0, 2.0]), "a").tolist() == [1, 2]


@pytest.mark.parametrize("answer", [None, [], [[1.0]], [NAN], "vector", [1.0, "2"]])
def test_a_query_that_gives_no_vector_is_refused(answer: Any) -> None:
    with pytest.raises(EmbeddingError, match=r"something that is not a vector: .*position 0"):
        embed_query(Returns(answer), "a")


@pytest.mark.parametrize("texts", ["lamp", ["lamp", None], ["\ud800"]])
def test_what_is_not_text_does_not_reach_the_model(texts: Any) -> None:
    with pytest.raises(InvalidInputError):
        embed_texts(Returns([[1.0]]), texts)


def test_a_query_that_is_not_text_does_not_reach_the_model() -> None:
    with pytest.raises(InvalidInputError):
        embed_query(Returns([1.0]), 7)  # type: ignore[arg-type]


def test_an_error_of_the_model_passes_unchanged() -> None:
    class Down(Returns):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise TimeoutError(f"{len(texts)} texts")

    with pytest.raises(TimeoutError, match="1 texts"):
        embed_texts(Down(None), ["a"])


@pytest.mark.parametrize(
    ("own", "expected"), [(4, 4), (1, 1), (0, None), (True, None), ("4", None), (None, None)]
)
def test_concurrency_is_what_the_object_says(own: Any, expected: int | None) -> None:
    embeddings = Returns(None)
    embeddings.max_concurrency = own  # type: ignore[attr-defined]
    assert concurrency(embeddings) == expected


def test_concurrency_of_others_is_unknown() -> None:
    assert concurrency(Returns(None)) is None


def test_two_calls_of_the_default_model_keep_the_machine_busy() -> None:
    assert concurrency(MiniLM()) == 2
