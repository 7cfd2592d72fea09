"""The policy of a search: what may be asked, which candidates count, and their order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, ParamSpec, TypeAlias, TypeVar

import numpy as np

from vectorface.bridge import offload
from vectorface.errors import InvalidQueryError
from vectorface.filters import Filter, parse
from vectorface.metadata import encodable
from vectorface.primitives import Query, Selection, Stored
from vectorface.records import Metric, ScoreKind, Vector, Vectors

P = ParamSpec("P")
R = TypeVar("R")

_Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

SearchType: TypeAlias = Literal["similarity", "mmr"]

#: Fetches up to ``limit`` of the nearest documents that pass the native filter, best first.
Fetch: TypeAlias = Callable[[Query, int], Sequence[Stored]]

#: How much more to fetch when verification left too few.
_GROWTH: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A checked search; see ``VectorDBInterface.query`` for each option."""

    k: int = 4
    filter: Filter
    contains: str | None = None
    native: Any = None
    search_type: SearchType = "similarity"
    fetch_k: int = 20
    lambda_mult: float = 0.5
    min_score: float | None = None

    @property
    def candidates(self) -> int:
        """How many documents to find before choosing ``k`` of them."""
        return max(self.k, self.fetch_k) if self.search_type == "mmr" else self.k


def checked_search(
    *,
    k: int,
    filter: Mapping[str, Any] | None,
    contains: str | None,
    native: Any,
    search_type: SearchType,
    fetch_k: int,
    lambda_mult: float,
    min_score: float | None,
) -> Search:
    """Check the options of a search.

    Raises:
        InvalidQueryError: An option is wrong.
        InvalidFilterError: The filter is wrong.
    """
    if search_type not in {"similarity", "mmr"}:
        raise InvalidQueryError(f"search_type={search_type!r} is unknown; use 'similarity' or 'mmr'.")
    if not 0 <= _number("lambda_mult", lambda_mult) <= 1:
        raise InvalidQueryError(f"lambda_mult={lambda_mult} must lie between 0 (diverse) and 1 (near).")
    return Search(
        k=positive("k", k),
        filter=parse(filter),
        contains=checked_contains(contains),
        native=native,
        search_type=search_type,
        fetch_k=positive("fetch_k", fetch_k),
        lambda_mult=float(lambda_mult),
        min_score=None if min_score is None else _number("min_score", min_score),
    )


def positive(name: str, value: object) -> int:
    """Return ``value`` if it is a whole number of at least 1."""
    return whole(name, value, least=1)


def whole(name: str, value: object, *, least: int) -> int:
    """Return ``value`` if it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidQueryError(f"{name}={value!r} must be a whole number of at least {least}.")
    return int(value)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise InvalidQueryError(f"{name}={value!r} must be a number.")
    return float(value)


def checked_text(text: object) -> str:
    """Return ``text`` if it can be searched for.

    Raises:
        InvalidQueryError: It is not a str, is blank, or is not Unicode.
    """
    if not isinstance(text, str):
        raise InvalidQueryError(f"The query must be text (str), not {type(text).__name__}; {_instead(text)}")
    if not text.strip():
        raise InvalidQueryError(f"The query {text!r:.80} must be text that is not blank.")
    if not encodable(text):
        raise InvalidQueryError(f"The query {text!r:.80} holds a lone surrogate, which is not Unicode text.")
    return text


def _instead(text: object) -> str:
    if isinstance(text, Mapping):
        return "take the question out of it first."
    if isinstance(text, list | tuple | np.ndarray):
        return "for several texts use query_batch(), for a vector query(vector=...)."
    return f"it is {text!r:.80}."


def checked_contains(contains: object) -> str | None:
    """Return ``contains`` if it is text that a document can hold."""
    if contains is None:
        return None
    if not isinstance(contains, str) or not contains or not encodable(contains):
        raise InvalidQueryError(f"contains={contains!r} must be non-empty text, or None.")
    return contains


# -- candidates -------------------------------------------------------------------------------------------


def verified(
    fetch: Fetch,
    query: Query,
    selection: Selection,
    first: Sequence[Stored],
    search: Search,
    *,
    kind: ScoreKind,
) -> list[Stored]:
    """Return the nearest documents that the selection accepts, fetching more until there are enough.

    Args:
        fetch: Gets the nearest documents.
        query: What is searched for.
        selection: What each document must satisfy.
        first: What fetching ``search.candidates`` documents gave.
        search: How many are wanted, and from which score on.
        kind: The unit of the scores.
    """
    found, limit = first, search.candidates
    least = None if kind == "rrf" else search.min_score  # looking deeper, more rankings know a document
    while True:
        accepted = [stored for stored in found if selection.accepts(stored)]
        complete = len(accepted) >= search.candidates or len(found) < limit
        if complete or _below(found, least):
            return accepted[: search.candidates]
        limit *= _GROWTH
        found = fetch(query, limit)


def _below(found: Sequence[Stored], min_score: float | None) -> bool:
    """Tell whether whatever else could be fetched is too far away to count."""
    return min_score is not None and found[-1].score < min_score


#: So many candidates are compared before an event loop could have handed them to a thread.
_FEW: Final = 100

#: Scores whose order is not that of cosines.
_BY_SCORE: Final[frozenset[ScoreKind]] = frozenset({"sparse", "rrf"})


def ranked(search: Search, query: Query, candidates: Sequence[Stored], kind: ScoreKind) -> list[Stored]:
    """Cut the candidates by score and choose ``k`` of them, best first or by mmr."""
    if search.min_score is not None:
        candidates = [stored for stored in candidates if stored.score >= search.min_score]
    if search.search_type == "similarity":
        return list(candidates[: search.k])
    if query.vector is None:
        raise InvalidQueryError("mmr compares vectors, and this store searches by text; use similarity.")
    vectors = [_vector(stored) for stored in candidates]
    near = _shares(candidates) if kind in _BY_SCORE else None
    compute = offload if len(vectors) > _FEW else _at_once
    chosen = compute(mmr, query.vector, vectors, k=search.k, lambda_mult=search.lambda_mult, relevance=near)
    return [candidates[i] for i in chosen]


def _at_once(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return call(*args, **kwargs)


def _shares(candidates: Sequence[Stored]) -> list[float]:
    """Return each score as a share of the best one."""
    best = max((stored.score for stored in candidates), default=0.0)
    return [stored.score / best if best > 0 else 0.0 for stored in candidates]


def _vector(stored: Stored) -> Vector:
    if stored.vector is None:
        raise InvalidQueryError(f"mmr needs stored vectors, and {stored.id!r} has none; use similarity.")
    return stored.vector


# -- exact scores -----------------------------------------------------------------------------------------


def exact_scores(
    matrix: np.ndarray[Any, np.dtype[np.float64]], query: np.ndarray[Any, Any], metric: Metric
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the score of each row: the cosine, the dot product, or 1 / (1 + squared distance)."""
    wide = query.astype(np.float64)
    if metric == "dot":
        return np.asarray(matrix @ wide)
    if metric == "cosine":
        norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(wide)
        return np.asarray(np.clip((matrix @ wide) / norms, -1, 1))
    return np.asarray(1 / (1 + ((matrix - wide) ** 2).sum(axis=1)))


# -- maximal marginal relevance ---------------------------------------------------------------------------


def mmr(
    query: Vector,
    vectors: Sequence[Vector],
    *,
    k: int,
    lambda_mult: float,
    relevance: Sequence[float] | None = None,
) -> list[int]:
    """Choose ``k`` vectors that are near the query and far from each other.

    Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998): repeatedly take the one with the
    largest ``lambda_mult * cos(v, query) - (1 - lambda_mult) * max cos(v, chosen)``.

    Args:
        query: The query, dense of shape (d,) or token weights.
        vectors: The candidates, of the same kind.
        k: How many to choose.
        lambda_mult: 1 for the nearest alone, 0 for the most diverse.
        relevance: How near each candidate is, at most 1, where that is not its cosine with the query.

    Returns:
        Positions in ``vectors``, in the order they were chosen.

    Example:
        >>> a, b, c = np.eye(3, dtype=np.float32)
        >>> mmr(a + b, [a, a, b], k=2, lambda_mult=0.5)
        [0, 2]
    """
    if not vectors:
        return []
    cosines = _cosines([query, *vectors])
    near = cosines(0)[1:] if relevance is None else np.array(relevance)
    redundancy = np.full(len(vectors), -np.inf)
    chosen: list[int] = []
    while len(chosen) < min(k, len(vectors)):
        penalty = (1 - lambda_mult) * redundancy if chosen else 0.0
        values = lambda_mult * near - penalty
        values[chosen] = -np.inf
        best = int(np.argmax(values))
        chosen.append(best)
        redundancy = np.maximum(redundancy, cosines(best + 1)[1:])
    return chosen


def _cosines(vectors: Sequence[Vector]) -> Callable[[int], _Numbers]:
    """Return what gives the cosines of the vector at a position with all of them."""
    weights = [vector for vector in vectors if isinstance(vector, Mapping)]
    if weights:
        return _cosines_of_weights(weights)
    dense = [vector.dense if isinstance(vector, Vectors) else vector for vector in vectors]
    rows = np.array(dense, dtype=np.float64)
    units = rows / _divisors(np.linalg.norm(rows, axis=1))[:, None]
    return lambda position: np.asarray(units @ units[position])


def _cosines_of_weights(vectors: Sequence[Mapping[str, float]]) -> Callable[[int], _Numbers]:
    """Return the same for token weights, of which only those are kept that are there.

    A row for each over all tokens that occur would be zeros, nearly all of it, and hundreds of megabytes
    where there are thousands.
    """
    columns: dict[str, int] = {}
    column = np.array([columns.setdefault(token, len(columns)) for one in vectors for token in one], np.intp)
    lengths = np.array([len(one) for one in vectors])
    row, ends = np.repeat(np.arange(len(vectors)), lengths), np.cumsum(lengths)
    value = np.array([weight for one in vectors for weight in one.values()], np.float64)
    value /= _divisors(np.sqrt(np.bincount(row, value**2, minlength=len(vectors))))[row]

    def cosines(position: int) -> _Numbers:
        own = slice(ends[position] - lengths[position], ends[position])
        spread = np.zeros(len(columns))
        spread[column[own]] = value[own]
        return np.asarray(np.bincount(row, value * spread[column], minlength=len(vectors)), np.float64)

    return cosines


def _divisors(norms: _Numbers) -> _Numbers:
    return np.where(norms == 0, 1.0, norms)
