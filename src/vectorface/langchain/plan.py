"""What a LangChain search says to ``store.query()``, and what it makes of the hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vectorface.errors import InvalidQueryError, UnsupportedError
from vectorface.langchain.options import refuse_unknown
from vectorface.records import Hit, ScoreKind

if TYPE_CHECKING:
    from langchain_core.documents import Document

#: How many documents a search returns, in LangChain as in ``store.query()``.
DEFAULT_K: Final = 4

#: What every search takes besides ``k``.
OPTIONS: Final = (
    "filter",
    "contains",
    "native",
    "fetch_k",
    "lambda_mult",
    "min_score",
    "score_threshold",
    "include_scores",
)

#: From a bounded score to LangChain's relevance, where 0 is unrelated and 1 the same. The cosine stays what
#: it is, so that one threshold means the same here and in ``min_score``; 1 / (1 + d²) is in (0, 1] already.
_RELEVANCE: Final[Mapping[ScoreKind, Callable[[float], float]]] = {
    "cosine": lambda score: min(1.0, max(0.0, score)),
    "l2": lambda score: score,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A search in the words of the store.

    Attributes:
        arguments: The keyword arguments of ``store.query()``.
        include_scores: Whether each document brings ``score`` and ``score_kind`` in its metadata.
    """

    arguments: Mapping[str, Any]
    include_scores: bool

    def documents(self, hits: Sequence[Hit]) -> list[Document]:
        """Return the documents of the hits, in their order."""
        return [_with_score(hit) if self.include_scores else hit.document for hit in hits]

    def scored(self, hits: Sequence[Hit]) -> list[tuple[Document, float]]:
        """Return the documents of the hits, each with its score."""
        return list(zip(self.documents(hits), (hit.score for hit in hits), strict=True))


def _with_score(hit: Hit) -> Document:
    metadata = {**hit.metadata, "score": hit.score, "score_kind": hit.score_kind}
    return hit.document.model_copy(update={"metadata": metadata})


def planned(options: Mapping[str, Any], asked: Mapping[str, Any], *, score_kind: ScoreKind) -> Search:
    """Translate the options of a LangChain search.

    Args:
        options: The caller's keyword arguments; see ``OPTIONS``.
        asked: What the method itself says to ``store.query()``.
        score_kind: The unit of the index's scores.

    Raises:
        ConfigurationError: An option is unknown.
        InvalidQueryError: The threshold is no number from 0 to 1, or stands beside ``min_score``.
        UnsupportedError: There is a threshold, and the scores lie on no scale from 0 to 1.

    Example:
        >>> planned({"score_threshold": 0.5}, {"text": "the lamp", "k": 2}, score_kind="cosine").arguments
        {'text': 'the lamp', 'k': 2, 'min_score': 0.5}
    """
    refuse_unknown(options, known=("k", *OPTIONS), where="A search")
    rest = dict(options)
    include_scores = rest.pop("include_scores", False)
    threshold = rest.pop("score_threshold", None)
    if threshold is not None:
        rest["min_score"] = _least_score(threshold, rest.get("min_score"), score_kind)
    return Search(arguments={**asked, **rest}, include_scores=include_scores)


def _least_score(threshold: object, min_score: object, score_kind: ScoreKind) -> float | None:
    """Return the score at which relevance reaches the threshold; ``None`` where all scores do."""
    relevance_of(score_kind)
    if min_score is not None:
        raise InvalidQueryError(
            "Pass min_score (in the score's own unit) or score_threshold (from 0 to 1), not both."
        )
    return checked_threshold(threshold) or None


def checked_threshold(threshold: object) -> float:
    """Return a threshold in LangChain's relevance.

    Raises:
        InvalidQueryError: It is no number from 0 to 1.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise InvalidQueryError(f"score_threshold={threshold!r} must be a number from 0 to 1.")
    return float(threshold)


def relevance_of(score_kind: ScoreKind) -> Callable[[float], float]:
    """Return how a score becomes LangChain's relevance between 0 and 1.

    Cosine is itself, with negative ones counted as 0; l2's 1 / (1 + d²) is itself.

    Raises:
        UnsupportedError: The scores lie on no scale from 0 to 1, so there is no such thing.

    Example:
        >>> relevance_of("cosine")(-0.25), relevance_of("l2")(0.25)
        (0.0, 0.25)
    """
    if score_kind not in _RELEVANCE:
        raise UnsupportedError(
            f"{score_kind!r} scores lie on no scale from 0 to 1, so they are no relevance. Use "
            "min_score in the score's own unit, or similarity_search_with_score()."
        )
    return _RELEVANCE[score_kind]
