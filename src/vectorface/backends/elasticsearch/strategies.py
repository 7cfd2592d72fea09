"""How an index is searched: one small class each."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, TypeAlias, get_args

import numpy as np

from vectorface import embeddings as _embeddings
from vectorface.backends.elasticsearch.codec import stored_of
from vectorface.backends.elasticsearch.filters import Clause
from vectorface.backends.elasticsearch.layout import SIMILARITIES, TEXT, TOKENS, VECTOR
from vectorface.backends.elasticsearch.searches import WINDOW, Asked, Hits, Searcher
from vectorface.encoding import DenseEncoder, EmbeddingsLike, Encoder, Fingerprint
from vectorface.errors import ConfigurationError, InvalidInputError
from vectorface.indexes import IndexSpec, checked_flag
from vectorface.ingest.writer import Limits
from vectorface.primitives import Query, Stored
from vectorface.records import Metric, ScoreKind, Vector, Vectors

if TYPE_CHECKING:
    from vectorface.backends.elasticsearch.pace import Pace
    from vectorface.backends.elasticsearch.server import Server

IndexType: TypeAlias = Literal["hnsw", "flat", "int8_hnsw"]

_LEAST_CANDIDATES: Final = 100
#: How many times as many candidates as wanted are looked at again with full precision (Elastic's own advice).
_OVERSAMPLE: Final = 3.0


class Strategy(ABC):
    """How documents are found: which fields they have, and what a search asks of them.

    Attributes:
        name: Its name in the fingerprint of an index.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """What turns text into what is searched by."""

    @abstractmethod
    def properties(self, spec: IndexSpec) -> dict[str, Any]:
        """Return the mapped fields that it needs."""

    def settings(self) -> dict[str, Any]:
        """Return index settings that it needs."""
        return {}

    def takes(self, vector: Vector | None) -> bool:
        """Tell whether it searches by such a vector."""
        del vector
        return False

    def fields_of(self, text: str) -> dict[str, Any]:
        """Return what a document holds for it, besides text, metadata and vectors."""
        del text  # most need nothing
        return {}

    @abstractmethod
    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return the search for up to ``limit`` documents that pass the clauses."""

    def score(self, raw: float, metric: Metric) -> float:
        """Return a score in the unit of the index, from Elasticsearch's."""
        del metric
        return raw

    def search(self, searcher: Searcher, queries: Sequence[Query], asked: Asked) -> list[list[Stored]]:
        """Return for each query up to ``asked.limit`` of the nearest documents that pass, best first."""
        asked, queries = self.widened(asked), self.readied(searcher.server, queries)
        bodies = [self.body(query, asked, searcher) for query in queries]
        if asked.limit <= WINDOW:
            found = searcher.pages(bodies, asked)
        else:
            found = [searcher.deep(body, asked) for body in bodies]
        ranked = [self.ranked(query, hits, searcher) for query, hits in zip(queries, found, strict=True)]
        return self.completed(ranked, searcher, queries, asked)

    def readied(self, server: Server, queries: Sequence[Query]) -> Sequence[Query]:
        """Return the queries as this strategy asks them."""
        del server
        return queries

    def widened(self, asked: Asked) -> Asked:
        """Return the question with what else of a document this strategy wants to see."""
        return asked

    def completed(
        self, found: list[list[Stored]], searcher: Searcher, queries: Sequence[Query], asked: Asked
    ) -> list[list[Stored]]:
        """Return what was found, with what such a search may miss."""
        del searcher, queries, asked
        return found

    def with_vectors(self, server: Server, queries: Sequence[Query]) -> Sequence[Query]:
        """Return the queries with their vectors, where the server makes those of texts."""
        del server
        return queries

    def ranked(self, query: Query, hits: Hits, searcher: Searcher) -> list[Stored]:
        """Return hits as documents with scores."""
        del query
        layout, metric = searcher.layout, searcher.metric
        return [stored_of(hit, layout, score=self.score(hit["_score"], metric)) for hit in hits]

    # -- what works with models on the server says more ---------------------------------------------------

    def prepare(self, server: Server) -> None:
        """Make what an index needs before it is made."""
        del server  # most need nothing

    def limits(self, limits: Limits) -> Limits:
        """Return how much one request may hold."""
        return limits

    def pace(self) -> Pace | None:
        """Return what slows writes down to what a model can take."""
        return None

    @property
    def write_timeout(self) -> float | None:
        """Seconds to wait for the answer to a write; ``None`` for the connection's own."""
        return None


def matching(clause: Clause, asked: Asked) -> dict[str, Any]:
    """Return a search for what matches ``clause``, among the documents that pass."""
    if not asked.native:
        return {"query": clause}
    return {"query": {"bool": {"must": [clause], "filter": list(asked.native)}}}


# -- dense ------------------------------------------------------------------------------------------------


class Dense(Strategy):
    """Nearest neighbours of dense vectors, made on the client.

    Args:
        embeddings: ``"minilm"`` for the default model, any LangChain ``Embeddings``, or ``None`` if you
            bring your own vectors.
        index_type: ``"hnsw"`` (default) keeps full precision; ``"flat"`` compares with every document,
            exact and quickest to load, for up to some ten thousand; ``"int8_hnsw"`` takes a quarter of
            the memory, and looks again with full precision at three times as many as are wanted.

    Raises:
        ConfigurationError: The type is unknown, or ``embeddings`` no embedding function.
    """

    name = "dense"

    def __init__(self, embeddings: EmbeddingsLike = "minilm", *, index_type: IndexType = "hnsw") -> None:
        if index_type not in get_args(IndexType):
            raise ConfigurationError(
                f"index_type={index_type!r} is unknown; use {', '.join(map(repr, get_args(IndexType)))}."
            )
        self._encoder = DenseEncoder(embeddings)
        self.index_type = index_type

    @property
    def encoder(self) -> DenseEncoder:
        """Dense vectors by the embedding function."""
        return self._encoder

    def takes(self, vector: Vector | None) -> bool:
        """Take dense vectors."""
        return vector is not None and not isinstance(vector, Mapping)

    def properties(self, spec: IndexSpec) -> dict[str, Any]:
        """Return the vector field; without a dimension the first document decides it."""
        field: dict[str, Any] = {
            "type": "dense_vector",
            "index": True,
            "similarity": SIMILARITIES[spec.metric],
            "index_options": {"type": self.index_type},
        }
        return {VECTOR: field if spec.dimension is None else {**field, "dims": spec.dimension}}

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return a kNN search, filtered before the cut."""
        wanted = min(asked.limit, WINDOW)
        knn: dict[str, Any] = {
            "field": VECTOR,
            "query_vector": np.asarray(query.vector, dtype=np.float32),
            "k": wanted,
            "num_candidates": min(WINDOW, max(_LEAST_CANDIDATES, 4 * wanted)),
        }
        if asked.native:
            knn["filter"] = list(asked.native)
        if searcher.layout.is_quantized and searcher.can_rescore:
            knn["rescore_vector"] = {"oversample": _OVERSAMPLE}
        return {"knn": knn}

    def search(self, searcher: Searcher, queries: Sequence[Query], asked: Asked) -> list[list[Stored]]:
        """Return the nearest; more than kNN can find by comparing with every document."""
        if asked.limit > WINDOW:
            return searcher.exact(queries, asked)
        return super().search(searcher, queries, asked)

    def completed(
        self, found: list[list[Stored]], searcher: Searcher, queries: Sequence[Query], asked: Asked
    ) -> list[list[Stored]]:
        """Where the graph led to fewer than there are, compare with every document that passes."""
        if all(len(one) == asked.limit for one in found):
            return found
        there = min(asked.limit, searcher.count(asked.native))
        short = [i for i, one in enumerate(found) if len(one) < there]
        exact = searcher.exact([queries[i] for i in short], asked) if short else []
        instead = dict(zip(short, exact, strict=True))
        return [instead.get(i, one) for i, one in enumerate(found)]

    def score(self, raw: float, metric: Metric) -> float:
        """Return the cosine, the product, or 1 / (1 + d²), from Elasticsearch's positive score.

        Elasticsearch gives (1 + cosine) / 2, and for products 1 + p, or 1 / (1 - p) below zero
        (reference, "dense vector field type", similarity).
        """
        if metric == "cosine":
            return min(1.0, max(-1.0, 2 * raw - 1))
        if metric == "dot":
            return raw - 1 if raw >= 1 else 1 - 1 / raw
        return raw


# -- text -------------------------------------------------------------------------------------------------


class ServerEncoder:
    """For strategies whose texts are read by the server: there is nothing to encode on this side.

    Args:
        strategy: Name of the strategy.
        kind: The unit of its scores.
        model: What reads the texts, for the fingerprint.
    """

    dimension: Final = None
    concurrency: Final = 1

    def __init__(self, strategy: str, kind: ScoreKind, model: str | None = None) -> None:
        self.strategy = strategy
        self._kind = kind
        self._model = model

    @property
    def tag(self) -> str:
        """A short hash of the model's name."""
        return hashlib.blake2b(f"{self.strategy}\0{self._model}".encode(), digest_size=4).hexdigest()

    def fingerprint(self, metric: Metric) -> Fingerprint:
        """Return strategy and model."""
        return Fingerprint(
            embedding=self._model, weights=None, dimension=None, metric=metric, strategy=self.strategy
        )

    def score_kind(self, metric: Metric) -> ScoreKind:
        """Return the unit of scores."""
        del metric
        return self._kind

    def check_encodes(self) -> None:
        """Take any text."""

    def encode_documents(self, texts: Sequence[str]) -> Sequence[None]:
        """Return nothing for each text: the server reads it."""
        return [None] * len(texts)

    def encode_query(self, text: str) -> None:
        """Return nothing: the server reads the text."""

    def checked(self, vector: Any, *, metric: Metric, dimension: int | None, where: str) -> Vector:
        """Refuse vectors.

        Raises:
            InvalidInputError: Always.
        """
        del vector, metric, dimension
        raise InvalidInputError(f"{where}: the strategy {self.strategy!r} searches by text; pass no vector.")


class BM25(Strategy):
    """Ranking by the words that query and document share (Okapi BM25), by the server.

    Args:
        analyzer: How text is cut into words: Elasticsearch's analyzers by name.
        k1: How much repetition of a word counts (Elasticsearch's default: 1.2).
        b: How much length counts against a document (0.75).
    """

    name = "bm25"

    def __init__(
        self, *, analyzer: str = "standard", k1: float | None = None, b: float | None = None
    ) -> None:
        self.analyzer = analyzer
        self._parameters = {name: value for name, value in (("k1", k1), ("b", b)) if value is not None}
        self._encoder = ServerEncoder(self.name, "bm25")

    @property
    def encoder(self) -> ServerEncoder:
        """Nothing: the server reads the texts."""
        return self._encoder

    def properties(self, spec: IndexSpec) -> dict[str, Any]:
        """Return the text field, indexed."""
        del spec
        field = {"type": "text", "index": True, "norms": True, "analyzer": self.analyzer}
        return {TEXT: {**field, "similarity": "vectorface"} if self._parameters else field}

    def settings(self) -> dict[str, Any]:
        """Return the similarity, where its parameters are not the default."""
        if not self._parameters:
            return {}
        return {"similarity": {"vectorface": {"type": "BM25", **self._parameters}}}

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return a match query."""
        return matching({"match": {searcher.layout.text: {"query": query.text}}}, asked)


# -- token weights ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """Leave tokens out of a sparse query that are frequent and weigh little; Elastic's defaults.

    Attributes:
        tokens_freq_ratio_threshold: Left out may be what is so many times as frequent as the average.
        tokens_weight_threshold: ... and weighs less than this share of the heaviest token, 0 to 1.
        only_score_pruned_tokens: Score by those tokens alone, in a second pass for instance.
    """

    tokens_freq_ratio_threshold: int = 5
    tokens_weight_threshold: float = 0.4
    only_score_pruned_tokens: bool = False


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
        """Return token weights as plain floats; those that are not above zero say nothing and are left out.

        Raises:
            InvalidInputError: They are no mapping of tokens to finite numbers.
        """
        del metric, dimension
        if not isinstance(vector, Mapping):
            raise InvalidInputError(
                f"{where}: {vector!r:.60} is not a dict of token weights, as in {{'lamp': 1.5}}."
            )
        weights = {str(token): _weight(weight, where) for token, weight in vector.items()}
        return {token: weight for token, weight in weights.items() if weight >= _LEAST_WEIGHT}


def _weight(weight: Any, where: str) -> float:
    try:
        number = float(weight)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{where}: the weight {weight!r:.40} is not a number.") from error
    if not math.isfinite(number):
        raise InvalidInputError(f"{where}: a weight is {number}; weights are finite.")
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
