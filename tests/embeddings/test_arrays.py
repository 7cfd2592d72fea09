from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectorface.embeddings._arrays import mean_pool, pad, plan_batches

lengths_of_texts = st.lists(st.integers(1, 256), max_size=200)


@given(lengths_of_texts, st.integers(1, 2000), st.integers(1, 16))
def test_every_text_is_in_exactly_one_batch(lengths: list[int], budget: int, workers: int) -> None:
    batches = plan_batches(lengths, budget=budget, workers=workers)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))


@given(lengths_of_texts, st.integers(1, 2000), st.integers(1, 16))
def test_a_batch_of_several_texts_stays_within_the_budget(
    lengths: list[int], budget: int, workers: int
) -> None:
    for batch in plan_batches(lengths, budget=budget, workers=workers):
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= budget


@given(lengths_of_texts, st.integers(1, 2000))
def test_no_text_is_longer_than_the_texts_of_the_batch_before(lengths: list[int], budget: int) -> None:
    planned = [lengths[position] for batch in plan_batches(lengths, budget=budget) for position in batch]
    assert planned == sorted(lengths, reverse=True)


def test_few_texts_are_spread_over_all_workers() -> None:
    assert len(plan_batches([10] * 8, budget=512, workers=4)) == 4


def test_a_text_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    assert plan_batches([5, 200, 5], budget=20) == [[1], [0, 2]]


def test_padding_is_masked() -> None:
    ids, mask = pad([[101, 102], [101, 7, 8, 102]])
    assert ids.tolist() == [[101, 102, 0, 0], [101, 7, 8, 102]]
    assert mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_pooling_is_the_unit_mean_of_the_tokens_that_are_not_padding() -> None:
    hidden = np.array([[[3.0, 0.0], [3.0, 8.0], [99.0, 99.0]]], dtype=np.float32)
    pooled = mean_pool(hidden, np.array([[1, 1, 0]]))
    assert pooled.dtype == np.float32
    assert pooled.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]


def test_pooling_zeros_gives_zeros_and_not_nan() -> None:
    assert mean_pool(np.zeros((1, 2, 3), dtype=np.float32), np.ones((1, 2), dtype=np.int64)).tolist() == [
        [0] * 3
    ]
