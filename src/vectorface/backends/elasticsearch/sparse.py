"""Searching by token weights: what makes them, what asks by them, and which of them matched."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vectorface import embeddings as _embeddings
from vectorface.backends.elasticsearch.checks import check_count, check_range
from vectorface.backends.elasticsearch.layout import TOKENS
from vectorface.backends.elasticsearch.paging import Hits
from vectorface.backends.elasticsearch.searches import Asked, Searcher
from vectorface.backends.elasticsearch.strategies import Strategy, matching
from vectorface.encoding import Fingerprint
from vectorface.errors import ConfigurationError, InvalidInputError
from vectorface.indexes import IndexSpec, checked_flag
from vectorface.primitives import Query, Stored
from vectorface.records import Metric, ScoreKind, Vector, Vectors

if TYPE_CHECKING:
    from vectorface.backends.elasticsearch.layout import Layout


#: The largest ratio that Elasticsearch takes (``TokenPruningConfig``, x-pack/plugin/core).
_MOST_FREQUENT: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """Leave tokens out of a sparse query that are frequent and weigh little; Elastic's defaults.

    Attributes:
        tokens_freq_ratio_threshold: Left out may be what is so many times as frequent as the average.
        tokens_weight_threshold: ... and weighs less than this share of the heaviest token, 0 to 1.
        only_score_pruned_tokens: Score by those tokens alone, in a second pass for instance.

    Raises:
        ConfigurationError: Elasticsearch would refuse a value: a ratio is 1 to 100.
    """

    tokens_freq_ratio_threshold: int = 5
    tokens_weight_threshold: float = 0.4
    only_score_pruned_tokens: bool = False

    def __post_init__(self) -> None:
        check_count("tokens_freq_ratio_threshold", self.tokens_freq_ratio_threshold, most=_MOST_FREQUENT)
        check_range("tokens_weight_threshold", self.tokens_weight_threshold, least=0, most=1)
        checked_flag("only_score_pruned_tokens", self.only_score_pruned_tokens)


class SparseEmbeddings(Protocol):
    """What gives texts token weights."""

    def embed_documents(self, texts: list[str]) -> Sequence[Mapping[str, float]]:
        """Return the weights of each document's tokens."""
        ...

    def embed_query(self, text: str) -> Mapping[str, float]:
        """Return the weights of a query's tokens."""
        ...


#: Elasticsearch takes weights from the least normal number of 32 bits on.
_LEAST_WEIGHT: Final = float(np.finfo(np.float32).tiny)
_LARGEST_WEIGHT: Final = float(np.finfo(np.float32).max)
_EMBEDS: Final = ("embed_documents", "embed_query")


class TokenEncoder:
    """Token weights by any :class:`SparseEmbeddings`."""

    strategy: Final = "sparse"
    dimension: Final = None

    def __init__(self, embeddings: SparseEmbeddings) -> None:
        if isinstance(embeddings, type) or not all(hasattr(embeddings, name) for name in _EMBEDS):
            raise ConfigurationError(
                f"embeddings={embeddings!r:.80} gives no token weights; pass an object with "
                "embed_documents() and embed_query(), SpladeEmbeddings(model) for example."
            )
        self.embeddings = embeddings

    @property
    def concurrency(self) -> int | None:
        """How many calls at the same time pay; ``None`` if unknown."""
        return _embeddings.concurrency(self.embeddings)

    @property
    def tag(self) -> str:
        """A short hash of the model's name and weights."""
        made = self.fingerprint("dot")
        return hashlib.blake2b(f"{made.embedding}\0{made.weights}".encode(), digest_size=4).hexdigest()

    def fingerprint(self, metric: Metric) -> Fingerprint:
        """Return name and weights of the model."""
        identity = _embeddings.identify(self.embeddings)
        return Fingerprint(
            embedding=identity.name,
            weights=identity.weights,
            dimension=None,
            metric=metric,
            strategy=self.strategy,
        )

    def score_kind(self, metric: Metric) -> ScoreKind:
        """Return ``sparse``: the product of the weights of the tokens that both have."""
        del metric
        return "sparse"

    def check_encodes(self) -> None:
        """Take any text."""

    def encode_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return token weights for each text."""
        return list(self.embeddings.embed_documents(list(texts)))

    def encode_query(self, text: str) -> Vector:
        """Return token weights."""
        return self.embeddings.embed_query(text)

    def checked(self, vector: Any, *, metric: Metric, dimension: int | None, where: str) -> Vector:
        """Return token weights as plain numbers; those that are not above zero say nothing and are left out.

        Raises:
            InvalidInputError: They are no mapping of tokens to numbers of 32 bits.
        """
        del metric, dimension
        if not isinstance(vector, Mapping):
            raise InvalidInputError(
                f"{where}: {vector!r:.60} is not a dict of token weights, as in {{'lamp': 1.5}}."
            )
        if _is_plain(vector):
            return vector  # as nearly all are: to copy them all would take as long as to send them
        pairs = zip(vector, _weights(vector, where), strict=True)
        return {str(token): weight for token, weight in pairs if weight >= _LEAST_WEIGHT}


def _is_plain(vector: Mapping[Any, Any]) -> bool:
    """Tell quickly whether all is as it is to be; ``min`` and ``max`` may pass over NaN, a sum does not."""
    if type(vector) is not dict or {*map(type, vector)} != {str}:
        return False
    weights = vector.values()
    return (
        {*map(type, weights)} == {float}
        and min(weights) >= _LEAST_WEIGHT
        and max(weights) <= _LARGEST_WEIGHT
        and not math.isnan(sum(weights))
    )


def _weights(vector: Mapping[Any, Any], where: str) -> list[float]:
    return [_number(weight, where) for weight in vector.values()]


def _number(weight: Any, where: str) -> float:
    try:
        number = float(weight)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{where}: the weight {weight!r:.40} is not a number.") from error
    if not abs(number) <= _LARGEST_WEIGHT:  # which is false of NaN
        raise InvalidInputError(f"{where}: a weight is {number}; weights are numbers of 32 bits.")
    return number


def sparse_clause(weights: Mapping[str, float], pruning: Pruning | None, *, modern: bool) -> dict[str, Any]:
    """Return the query for token weights: ``sparse_vector``, or before 8.15 ``weighted_tokens``."""
    if not weights:
        return {"match_none": {}}
    if not modern:
        body: dict[str, Any] = {"tokens": dict(weights)}
        return {"weighted_tokens": {TOKENS: {**body, **_pruned(pruning)}}}
    pruned = {"prune": True, **_pruned(pruning)} if pruning else {"prune": False}
    return {"sparse_vector": {"field": TOKENS, "query_vector": dict(weights), **pruned}}


def _pruned(pruning: Pruning | None) -> dict[str, Any]:
    return {"pruning_config": asdict(pruning)} if pruning else {}


class TokenStrategy(Strategy):
    """What all strategies of token weights share.

    Args:
        pruning: Leave frequent tokens of little weight out of queries; ``None`` for none.
        tokens: Whether hits tell which tokens matched (``hit.tokens``).
    """

    fills = TOKENS

    def __init__(self, *, pruning: Pruning | None, tokens: bool) -> None:
        if pruning is not None and not isinstance(pruning, Pruning):
            raise ConfigurationError(f"pruning={pruning!r:.80} is no Pruning; the defaults are Pruning().")
        self.pruning = pruning
        self.tokens = checked_flag("tokens", tokens)

    def takes(self, vector: Vector | None) -> bool:
        """Take token weights."""
        return isinstance(vector, Mapping)

    def properties(self, spec: IndexSpec) -> dict[str, Any]:
        """Return the field of token weights."""
        del spec
        return {TOKENS: {"type": "sparse_vector"}}

    def lacks(self, layout: Layout) -> str | None:
        """Look for the field of token weights."""
        if layout.types.get(TOKENS) == "sparse_vector":
            return None
        return f"no field {TOKENS!r} of type sparse_vector; move_to_elser() makes one that has it"

    def widened(self, asked: Asked) -> Asked:
        """Ask for the document's tokens, too, if hits are to tell which matched."""
        return replace(asked, shown=asked.shown.with_field(TOKENS)) if self.tokens else asked

    def ranked(self, query: Query, hits: Hits, searcher: Searcher) -> list[Stored]:
        """Return hits as documents with scores, and the tokens that matched."""
        found = super().ranked(query, hits, searcher)
        weights = tokens_of(query.vector)
        if not self.tokens or weights is None:
            return found
        return [replace(stored, tokens=shared(weights, tokens_of(stored.vector) or {})) for stored in found]


def tokens_of(vector: Vector | None) -> Mapping[str, float] | None:
    """Return the token weights of a vector, if it has any."""
    if isinstance(vector, Vectors):
        return vector.tokens
    return vector if isinstance(vector, Mapping) else None


def shared(query: Mapping[str, float], document: Mapping[str, float]) -> dict[str, float]:
    """Return what each token that both have adds to the score, largest first.

    Example:
        >>> shared({"lamp": 2.0, "sea": 1.0}, {"sea": 1.5, "lamp": 1.0, "fog": 1.0})
        {'lamp': 2.0, 'sea': 1.5}
    """
    products = {token: weight * document[token] for token, weight in query.items() if token in document}
    return dict(sorted(products.items(), key=lambda item: -item[1]))


class SparseEncoder(TokenStrategy):
    """Token weights made on the client, by SPLADE for example; needs no licence beyond Basic.

    Args:
        embeddings: What gives texts token weights.
        pruning: Leave frequent tokens of little weight out of queries; ``None`` for none.
        tokens: Whether hits tell which tokens matched (``hit.tokens``).
    """

    name = "sparse"

    def __init__(
        self, embeddings: SparseEmbeddings, *, pruning: Pruning | None = None, tokens: bool = False
    ) -> None:
        super().__init__(pruning=pruning, tokens=tokens)
        self._encoder = TokenEncoder(embeddings)

    @property
    def encoder(self) -> TokenEncoder:
        """Token weights."""
        return self._encoder

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return a query of token weights."""
        weights = tokens_of(query.vector) or {}
        return matching(sparse_clause(weights, self.pruning, modern=searcher.is_modern), asked)
