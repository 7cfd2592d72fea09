"""The arithmetic around the model: batches, padding, pooling. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]


def plan_batches(lengths: Sequence[int], *, budget: int, workers: int = 1) -> list[list[int]]:
    """Group positions into batches of about equal cost, the longest texts first.

    Texts of like length share a batch, so that hardly any padding is computed. The batches are made small
    enough that their number suits the workers: few texts are spread over all of them.

    Args:
        lengths: Length of each text in tokens, at least 1.
        budget: Most tokens in a batch, padding included. A longer text makes a batch of its own.
        workers: How many batches run at the same time.

    Returns:
        Batches of positions into ``lengths``; each position occurs once.

    >>> plan_batches([3, 9, 4, 8], budget=24)
    [[1, 3], [2, 0]]
    >>> plan_batches([5, 5, 5, 5], budget=100, workers=2)
    [[0, 1], [2, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    share = _even_share(sum(lengths), budget, workers)
    batches = []
    while order:
        size = max(1, share // lengths[order[0]])
        batches.append(order[:size])
        order = order[size:]
    return batches


def _even_share(total: int, budget: int, workers: int) -> int:
    """Return the largest batch, at most ``budget``, whose number is a multiple of ``workers``."""
    rounds = max(1, ceil(total / (budget * workers)))
    return ceil(total / (rounds * workers))


def pad(rows: Sequence[Sequence[int]]) -> tuple[IntArray, IntArray]:
    """Return token ids and attention mask, both of shape (rows, longest row), padded with 0.

    >>> pad([[101, 102], [101, 7, 102]])[0].tolist()
    [[101, 102, 0], [101, 7, 102]]
    """
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, np.newaxis]
    ids = np.zeros(mask.shape, dtype=np.int64)
    ids[mask] = np.concatenate(rows)
    return ids, mask.astype(np.int64)


def mean_pool(hidden: FloatArray, mask: IntArray) -> FloatArray:
    """Average the tokens' vectors and scale each average to length 1.

    Summed in 64 bits, token after token: the result does not depend on how much padding a row has. This is
    the arithmetic of Chroma's ``ONNXMiniLM_L6_V2._forward``, so it gives Chroma's bits.

    Args:
        hidden: The model's output, shape (n, tokens, d).
        mask: 1 for a token, 0 for padding, shape (n, tokens); at least one token a row.

    Returns:
        Shape (n, d), float32, unit length.
    """
    weighted = np.multiply(hidden, mask[:, :, np.newaxis], dtype=np.float64)
    means = weighted.sum(axis=1) / mask.sum(axis=1)[:, np.newaxis]
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    unit: FloatArray = (means / np.maximum(norms, 1e-12)).astype(np.float32)
    return unit
