"""Several strategies in one index, their rankings fused on the client."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from vectorface.backends.elasticsearch.checks import check_count, check_positive
from vectorface.backends.elasticsearch.layout import TOKENS, VECTOR
from vectorface.backends.elasticsearch.searches import Asked, Searcher
from vectorface.backends.elasticsearch.sparse import TokenStrategy
from vectorface.backends.elasticsearch.strategies import Dense, Strategy
from vectorface.encoding import Encoder, Fingerprint
from vectorface.errors import ConfigurationError, InvalidInputError
from vectorface.indexes import IndexSpec
from vectorface.ingest.writer import Limits
from vectorface.primitives import Query, Stored
from vectorface.records import Metric, ScoreKind, Vector, Vectors

if TYPE_CHECKING:
    from vectorface.backends.elasticsearch.layout import Layout
    from vectorface.backends.elasticsearch.pace import Pace
    from vectorface.backends.elasticsearch.server import Server

#: Of Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
#: methods", SIGIR 2009; Elasticsearch's default, too.
RANK_CONSTANT: Final = 60
_WINDOW_SIZE: Final = 100


class Hybrid(Strategy):
    """Rankings of several strategies, fused by weighted reciprocal rank.

    A document's score is the sum, over the parts that found it, of ``weight / (rank_constant + rank)``.
    All parts are asked in one request, and the fusion happens here: Elasticsearch's own needs a licence.

    Args:
        *parts: Two or more strategies; at most one of dense vectors, one of token weights and one of text.
        weights: How much each part counts, in their order; equally if left out.
        rank_constant: How little the first ranks stand out.
        window_size: How many documents of each part are fused at least.

    Raises:
        ConfigurationError: There are fewer than two parts, or two of a kind, or the weights do not fit.

    Example:
        >>> from vectorface.backends.elasticsearch import BM25, Dense
        >>> Hybrid(Dense(None), BM25(), weights=[2, 1]).name
        'hybrid(dense+bm25)'
    """

    def __init__(
        self,
        *parts: Strategy,
        weights: Sequence[float] | None = None,
        rank_constant: int = RANK_CONSTANT,
        window_size: int = _WINDOW_SIZE,
    ) -> None:
        _check_parts(parts)
        self.parts = parts
        self.weights = _checked_weights(weights, len(parts))
        for name, value in (("rank_constant", rank_constant), ("window_size", window_size)):
            check_count(name, value)
        self.rank_constant = rank_constant
        self.window_size = window_size
        self._encoder = HybridEncoder(self.name, [part.encoder for part in parts])

    @property
    def name(self) -> str:  # type: ignore[override]
        """Its name in the fingerprint of an index, with those of its parts."""
        return f"hybrid({'+'.join(part.name for part in self.parts)})"

    @property
    def encoder(self) -> HybridEncoder:
        """What its parts encode, together."""
        return self._encoder

    def properties(self, spec: IndexSpec) -> dict[str, Any]:
        """Return the fields of all parts."""
        return {name: field for part in self.parts for name, field in part.properties(spec).items()}

    def fields_of(self, text: str) -> dict[str, Any]:
        """Return what all parts need."""
        return {name: value for part in self.parts for name, value in part.fields_of(text).items()}

    def settings(self) -> dict[str, Any]:
        """Return the settings of all parts."""
        return {name: value for part in self.parts for name, value in part.settings().items()}

    @property
    def fields(self) -> frozenset[str]:
        """Those of all parts."""
        return frozenset(part.fills for part in self.parts)

    @property
    def given_options(self) -> Mapping[str, Any]:
        """Those of all parts."""
        return {name: value for part in self.parts for name, value in part.given_options.items()}

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Refuse: it is several searches.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("A hybrid search is several searches; see search().")

    def search(self, searcher: Searcher, queries: Sequence[Query], asked: Asked) -> list[list[Stored]]:
        """Return for each query the fused ranking of all parts."""
        deeper = replace(asked, limit=max(asked.limit, self.window_size))
        able = [i for i, part in enumerate(self.parts) if all(_is_for(query, part) for query in queries)]
        parts, weights = [self.parts[i] for i in able], [self.weights[i] for i in able]
        own = [part.readied(searcher.server, [_of_part(query, part) for query in queries]) for part in parts]
        pairs = list(zip(parts, own, strict=True))
        if deeper.limit > searcher.window:
            found = [part.search(searcher, of_part, deeper) for part, of_part in pairs]
        else:
            found = _at_once(searcher, pairs, deeper)
        rankings = zip(*found, strict=True)  # by part, then query: turned around
        return [_fused(of_query, weights, self.rank_constant)[: asked.limit] for of_query in rankings]

    def with_vectors(self, server: Server, queries: Sequence[Query]) -> Sequence[Query]:
        """Return the queries with the vectors of the part whose texts the server expands."""
        for part in self.parts:
            queries = part.with_vectors(server, queries)
        return queries

    # -- what its parts need ------------------------------------------------------------------------------

    def lacks(self, layout: Layout) -> str | None:
        """Return what the first part lacks that lacks something."""
        return next((lack for part in self.parts if (lack := part.lacks(layout)) is not None), None)

    def check_writable(self, layout: Layout) -> None:
        """Ask each part."""
        for part in self.parts:
            part.check_writable(layout)

    def opened(self, server: Server) -> None:
        """Tell each part."""
        for part in self.parts:
            part.opened(server)

    def prepare(self, server: Server) -> None:
        """Prepare each part."""
        for part in self.parts:
            part.prepare(server)

    def limits(self, limits: Limits) -> Limits:
        """Return the narrowest limits of its parts."""
        for part in self.parts:
            limits = part.limits(limits)
        return limits

    def pace(self) -> Pace | None:
        """Return the pace of the part that has one."""
        return next((pace for part in self.parts if (pace := part.pace()) is not None), None)

    @property
    def write_timeout(self) -> float | None:
        """The longest of its parts."""
        return max((part.write_timeout for part in self.parts if part.write_timeout), default=None)


def _at_once(
    searcher: Searcher, pairs: Sequence[tuple[Strategy, Sequence[Query]]], asked: Asked
) -> list[list[list[Stored]]]:
    """Ask all parts in one request."""
    for part, _ in pairs:
        asked = part.widened(asked)
    bodies = [part.body(query, asked, searcher) for part, own in pairs for query in own]
    pages = iter(searcher.pages(bodies, asked))
    found = []
    for part, own in pairs:
        ranked = [part.ranked(query, next(pages), searcher) for query in own]
        found.append(part.completed(ranked, searcher, own, asked))
    return found


def _fused(
    rankings: Sequence[Sequence[Stored]], weights: Sequence[float], rank_constant: int
) -> list[Stored]:
    scores: dict[str, float] = {}
    documents: dict[str, Stored] = {}
    for weight, ranking in zip(weights, rankings, strict=True):
        for rank, stored in enumerate(ranking, start=1):
            scores[stored.id] = scores.get(stored.id, 0.0) + weight / (rank_constant + rank)
            known = documents.get(stored.id)
            documents[stored.id] = stored if known is None or known.tokens is None else known
    best = sorted(scores, key=lambda id_: (-scores[id_], id_))
    return [replace(documents[id_], score=scores[id_]) for id_ in best]


def _is_for(query: Query, part: Strategy) -> bool:
    """Tell whether a part can search by a query: a vector alone says nothing to one that goes by words."""
    return query.text is not None or _of_part(query, part).vector is not None


def _of_part(query: Query, part: Strategy) -> Query:
    """Return the query as one part reads it."""
    vector = query.vector
    if isinstance(vector, Vectors):
        vector = vector.tokens if isinstance(part, TokenStrategy) else vector.dense
    return replace(query, vector=vector if part.takes(vector) else None)


def _check_parts(parts: Sequence[Any]) -> None:
    wrong = next((part for part in parts if not isinstance(part, Strategy) or isinstance(part, Hybrid)), None)
    if wrong is not None or len(parts) < 2:  # noqa: PLR2004 - one part is no hybrid
        raise ConfigurationError(
            "Hybrid needs two or more plain strategies, as in Hybrid(Dense(embeddings), BM25())."
        )
    fields = [part.fills for part in parts]
    twice = next((field for field in fields if fields.count(field) > 1), None)
    if twice is not None:
        kind = {VECTOR: "dense vectors", TOKENS: "token weights"}.get(twice, "text")
        raise ConfigurationError(f"Two parts of this Hybrid search {kind}; an index holds one of each kind.")


def _checked_weights(weights: object, count: int) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * count
    if not isinstance(weights, Sequence) or len(weights) != count:
        raise ConfigurationError(f"weights={weights!r} must be {count} numbers, one for each part.")
    for i, weight in enumerate(weights):
        check_positive(f"weights[{i}]", weight)
    return tuple(float(weight) for weight in weights)


class HybridEncoder:
    """What the parts of a hybrid strategy encode, as one.

    Args:
        strategy: Name of the strategy.
        encoders: Those of the parts.
    """

    def __init__(self, strategy: str, encoders: Sequence[Encoder]) -> None:
        self.strategy = strategy
        self._encoders = encoders
        dense = [encoder for encoder in encoders if encoder.strategy == Dense.name]
        tokens = [encoder for encoder in encoders if encoder.strategy == "sparse"]
        self._dense = dense[0] if dense else None
        self._tokens = tokens[0] if tokens else None

    @property
    def _only(self) -> Encoder | None:
        """The encoder whose vectors are the whole, if there is one alone; ``None`` for none or both."""
        if self._dense is not None and self._tokens is not None:
            return None
        return self._dense or self._tokens

    @property
    def dimension(self) -> int | None:
        """Length of the dense vectors, where known beforehand."""
        return None if self._dense is None else self._dense.dimension

    @property
    def concurrency(self) -> int | None:
        """How many calls at the same time pay: what the most careful part says."""
        known = [encoder.concurrency for encoder in self._encoders]
        return min((count for count in known if count is not None), default=None)

    @property
    def tag(self) -> str:
        """A short hash of all that the vectors are made with."""
        tags = "\0".join(encoder.tag for encoder in self._encoders)
        return hashlib.blake2b(tags.encode(), digest_size=4).hexdigest()

    def fingerprint(self, metric: Metric) -> Fingerprint:
        """Return what the parts' fingerprints say, joined."""
        parts = [encoder.fingerprint(metric) for encoder in self._encoders]
        return Fingerprint(
            embedding="+".join(part.embedding for part in parts if part.embedding) or None,
            weights="+".join(part.weights for part in parts if part.weights) or None,
            dimension=self.dimension,
            metric=metric,
            strategy=self.strategy,
        )

    def score_kind(self, metric: Metric) -> ScoreKind:
        """Return ``rrf``."""
        del metric
        return "rrf"

    def check_encodes(self) -> None:
        """Raise ``ConfigurationError`` if a part cannot encode texts."""
        for encoder in self._encoders:
            encoder.check_encodes()

    def encode_documents(self, texts: Sequence[str]) -> Sequence[Vector | None]:
        """Return for each text the vector, or both."""
        if self._dense is None and self._tokens is None:
            return [None] * len(texts)
        if self._only is not None:
            return self._only.encode_documents(texts)
        assert self._dense is not None  # noqa: S101 - both are there
        assert self._tokens is not None  # noqa: S101 - both are there
        dense = self._dense.encode_documents(texts)
        return [
            _both(one, other) for one, other in zip(dense, self._tokens.encode_documents(texts), strict=True)
        ]

    def encode_query(self, text: str) -> Vector | None:
        """Return the vector, or both; ``None`` where the server reads the text."""
        if self._dense is None or self._tokens is None:
            return None if self._only is None else self._only.encode_query(text)
        return _both(self._dense.encode_query(text), self._tokens.encode_query(text))

    def checked(self, vector: Any, *, metric: Metric, dimension: int | None, where: str) -> Vector:
        """Return a caller's vector, or both, in the form the store uses.

        Raises:
            InvalidInputError: It is not of the form, or there is no part for it.
        """
        if self._dense is not None and self._tokens is not None:
            if not isinstance(vector, tuple) or len(vector) != 2:  # noqa: PLR2004 - both
                raise InvalidInputError(
                    f"{where}: this store searches by two vectors; pass Vectors(dense, tokens), or text."
                )
            dense = self._dense.checked(vector[0], metric=metric, dimension=dimension, where=where)
            return _both(dense, self._tokens.checked(vector[1], metric=metric, dimension=None, where=where))
        part = self._only or self._encoders[0]
        return part.checked(vector, metric=metric, dimension=dimension, where=where)


def _both(dense: Vector | None, tokens: Vector | None) -> Vectors:
    assert dense is not None  # noqa: S101 - client-side encoders make vectors
    assert not isinstance(dense, Mapping | Vectors)  # noqa: S101 - the dense one's
    assert isinstance(tokens, Mapping)  # noqa: S101 - the sparse one's
    return Vectors(dense, tokens)
