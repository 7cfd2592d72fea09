"""How an index is searched: one small class each."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias, get_args

import numpy as np

from vectorface.backends.elasticsearch.checks import check_range, check_text
from vectorface.backends.elasticsearch.codec import stored_of
from vectorface.backends.elasticsearch.filters import Clause
from vectorface.backends.elasticsearch.layout import SIMILARITIES, TEXT, VECTOR, WINDOW
from vectorface.backends.elasticsearch.paging import Hits
from vectorface.backends.elasticsearch.searches import Asked, Searcher
from vectorface.encoding import DenseEncoder, EmbeddingsLike, Encoder, Fingerprint
from vectorface.errors import ConfigurationError, InvalidInputError
from vectorface.indexes import IndexSpec
from vectorface.ingest.writer import Limits
from vectorface.primitives import Query, Stored
from vectorface.records import Metric, ScoreKind, Vector

if TYPE_CHECKING:
    from vectorface.backends.elasticsearch.layout import Layout
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
        fills: The field that it searches, which each document that it writes has.
    """

    name: ClassVar[str]
    fills: ClassVar[str]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}>"

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

    @property
    def given_options(self) -> Mapping[str, Any]:
        """What the caller chose that counts for a new index alone; ``None`` where that is the default."""
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
        if asked.limit <= searcher.window:
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
        return [stored_of(hit, layout, score=self.score(float(hit["_score"]), metric)) for hit in hits]

    def lacks(self, layout: Layout) -> str | None:
        """Tell what an index that something else made would need to be searched so; ``None`` for nothing."""
        del layout
        return None

    @property
    def fields(self) -> frozenset[str]:
        """The fields that it searches."""
        return frozenset({self.fills})

    def check_writable(self, layout: Layout) -> None:
        """Raise if documents that are written to the index would not be found afterwards."""
        del layout  # most give a document themselves what it is found by

    # -- what works with models on the server says more ---------------------------------------------------

    def opened(self, server: Server) -> None:
        """Find out what the server knows of the models that it names."""
        del server  # most name none

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
    fills = VECTOR

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

    @property
    def given_options(self) -> Mapping[str, Any]:
        """The type of index."""
        return {"index_type": None if self.index_type == "hnsw" else self.index_type}

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

    def lacks(self, layout: Layout) -> str | None:
        """Look for the field of dense vectors."""
        if layout.types.get(VECTOR) == "dense_vector":
            return None
        others = [name for name, kind in layout.types.items() if kind == "dense_vector"]
        named = f"; vectors under another name ({', '.join(others)}) are not searched" if others else ""
        return f"no field {VECTOR!r} of type dense_vector{named}"

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return a kNN search, filtered before the cut."""
        wanted = min(asked.limit, searcher.window)
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
        if asked.limit > searcher.window:
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
            if raw >= 1:
                return raw - 1
            return 1 - 1 / raw if raw > 0 else -math.inf  # 0 is what 32 bits leave of a product below -1e38
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


#: Types of field that are searched by words.
_FULL_TEXT: Final = frozenset({"text", "match_only_text", "search_as_you_type", "annotated_text"})


class BM25(Strategy):
    """Ranking by the words that query and document share (Okapi BM25), by the server.

    Args:
        analyzer: How text is cut into words: Elasticsearch's analyzers by name.
        k1: How much repetition of a word counts (Elasticsearch's default: 1.2).
        b: How much length counts against a document (0.75).
    """

    name = "bm25"
    fills = TEXT

    def __init__(
        self, *, analyzer: str = "standard", k1: float | None = None, b: float | None = None
    ) -> None:
        check_text("analyzer", analyzer)
        for name, value, most in (("k1", k1, math.inf), ("b", b, 1.0)):
            if value is not None:
                check_range(name, value, least=0, most=most)
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

    @property
    def given_options(self) -> Mapping[str, Any]:
        """Analyzer and parameters."""
        return {"analyzer": None if self.analyzer == "standard" else self.analyzer, **self._parameters}

    def lacks(self, layout: Layout) -> str | None:
        """Look for text that is searched by its words."""
        kind = layout.types.get(layout.text)
        if not layout.types or kind in _FULL_TEXT:
            return None
        return f"no words to search by: its field {layout.text!r} is of type {kind}"

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return a match query."""
        return matching({"match": {searcher.layout.text: {"query": query.text}}}, asked)
