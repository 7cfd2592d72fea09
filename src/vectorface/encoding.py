"""From text to what a store searches by, and the fingerprint that keeps different kinds apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import numpy as np

from vectorface import embeddings as _embeddings
from vectorface.errors import ConfigurationError, IndexMismatchError, InvalidInputError
from vectorface.records import IndexInfo, Metric, ScoreKind, Vector

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

#: ``"minilm"`` is the default model, loaded when first used; ``None`` leaves vectors to the caller.
EmbeddingsLike: TypeAlias = "Embeddings | Literal['minilm'] | None"

#: Changes when stored documents are laid out differently.
FORMAT: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """What an index was made with; two that differ must not mix in one index.

    Attributes:
        embedding: Name of the embedding; ``None`` where the caller brings the vectors.
        weights: sha256 of the model's file, where known.
        dimension: Length of the vectors, where known.
        metric: How they are compared.
        strategy: How text is searched: ``dense``, ``elser``, ``bm25`` …
        format: The layout of stored documents.
    """

    embedding: str | None
    weights: str | None
    dimension: int | None
    metric: Metric
    strategy: str
    format: int = FORMAT

    def check(self, info: IndexInfo) -> None:
        """Compare with the index as it is.

        Raises:
            IndexMismatchError: They differ; the message shows both sides of each difference.
        """
        stored = {**dict(info.fingerprint or {}), "metric": info.metric}
        if info.dimension is not None:
            stored["dimension"] = info.dimension
        ours = asdict(self)
        differing = [name for name in ours if _differ(ours[name], stored.get(name))]
        if differing:
            sides = "; ".join(f"{name}: index {stored[name]!r}, here {ours[name]!r}" for name in differing)
            raise IndexMismatchError(
                f"The index {info.name!r} was made differently ({sides}). Open it with what it was made "
                "with, or choose another index name."
            )

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


def _differ(ours: Any, stored: Any) -> bool:
    return ours is not None and stored is not None and ours != stored


class Encoder(Protocol):
    """How a store turns text into what it searches by."""

    @property
    def strategy(self) -> str:
        """Its name in the fingerprint."""
        ...

    @property
    def dimension(self) -> int | None:
        """Length of the vectors, where known beforehand."""
        ...

    @property
    def concurrency(self) -> int | None:
        """How many calls at the same time pay; ``None`` if unknown."""
        ...

    @property
    def tag(self) -> str:
        """A short hash of what the vectors are made with."""
        ...

    def fingerprint(self, metric: Metric) -> Fingerprint:
        """Return what an index made now would be made with."""
        ...

    def score_kind(self, metric: Metric) -> ScoreKind:
        """Return the unit of scores."""
        ...

    def check_encodes(self) -> None:
        """Raise ``ConfigurationError`` if texts cannot be turned into what the store searches by."""
        ...

    def encode_documents(self, texts: Sequence[str]) -> Sequence[Vector | None]:
        """Return one vector for each text; ``None`` where the server reads the text itself."""
        ...

    def encode_query(self, text: str) -> Vector | None:
        """Return the vector to search with; ``None`` where the server reads the text itself."""
        ...

    def checked(self, vector: Any, *, metric: Metric, dimension: int | None, where: str) -> Vector:
        """Return a caller's vector in the form the store uses, or raise ``InvalidInputError``."""
        ...


class DenseEncoder:
    """Dense vectors by any LangChain ``Embeddings``."""

    strategy: Final = "dense"

    def __init__(self, embeddings: EmbeddingsLike) -> None:
        self.embeddings = _resolved(embeddings)

    @property
    def dimension(self) -> int | None:
        """Length of the vectors, where the embedding tells."""
        return None if self.embeddings is None else _embeddings.identify(self.embeddings).dimension

    @property
    def concurrency(self) -> int | None:
        """How many calls at the same time pay; ``None`` if unknown."""
        return 1 if self.embeddings is None else _embeddings.concurrency(self.embeddings)

    @property
    def tag(self) -> str:
        """A short hash of embedding name and weights."""
        if self.embeddings is None:
            return "--------"
        identity = _embeddings.identify(self.embeddings)
        return hashlib.blake2b(f"{identity.name}\0{identity.weights}".encode(), digest_size=4).hexdigest()

    def fingerprint(self, metric: Metric) -> Fingerprint:
        """Return name, weights and dimension of the embedding, with the metric."""
        identity = None if self.embeddings is None else _embeddings.identify(self.embeddings)
        return Fingerprint(
            embedding=identity.name if identity else None,
            weights=identity.weights if identity else None,
            dimension=identity.dimension if identity else None,
            metric=metric,
            strategy=self.strategy,
        )

    def score_kind(self, metric: Metric) -> ScoreKind:
        """Return the metric itself."""
        return metric

    def check_encodes(self) -> None:
        """Raise ``ConfigurationError`` if there is no embedding function."""
        self._required()

    def encode_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return an array of shape (n, d), float32."""
        return list(_embeddings.embed_texts(self._required(), texts))

    def encode_query(self, text: str) -> Vector:
        """Return an array of shape (d,), float32."""
        return _embeddings.embed_query(self._required(), text)

    def _required(self) -> Embeddings:
        if self.embeddings is None:
            raise ConfigurationError(
                "This store has no embedding function (embeddings=None): pass vectors, or make the store "
                "with one, for example embeddings='minilm', the default model."
            )
        return self.embeddings

    def checked(self, vector: Any, *, metric: Metric, dimension: int | None, where: str) -> Vector:
        """Return ``vector`` as float32 of shape (d,).

        Raises:
            InvalidInputError: Wrong shape or dimension, NaN, infinity, or zero under cosine.
        """
        array = _as_array(vector, where)
        expected = dimension or self.dimension or array.size
        if array.size != expected:
            raise InvalidInputError(
                f"{where}: the vector has {array.size} numbers, the index holds vectors of {expected}."
            )
        with np.errstate(over="ignore"):
            if 0 < array @ array < math.inf:  # far quicker than to look at each number; else look
                return array
        if not np.isfinite(array).all():
            raise InvalidInputError(f"{where}: the vector holds NaN or infinity (as 32-bit floats).")
        if metric == "cosine" and not array.any():
            raise InvalidInputError(f"{where}: the vector is all zeros, which has no cosine with anything.")
        return array


def _as_array(vector: Any, where: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        with np.errstate(over="ignore"):  # too large for 32 bits becomes inf, which is refused by name
            array = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{where}: {vector!r:.60} is not a vector of numbers.") from error
    if array.ndim != 1 or not array.size:
        raise InvalidInputError(
            f"{where}: a vector is one list of numbers; this has the shape {array.shape}."
        )
    return array


_EMBEDS: Final = ("embed_documents", "embed_query")


def _resolved(embeddings: EmbeddingsLike) -> Embeddings | None:
    if embeddings == "minilm":
        return _embeddings.MiniLM()
    if embeddings is None:
        return None
    if isinstance(embeddings, type) and hasattr(embeddings, "embed_documents"):
        name = embeddings.__name__
        raise ConfigurationError(f"embeddings={name} is a class; pass an instance: {name}(...).")
    if isinstance(embeddings, str) or not all(hasattr(embeddings, name) for name in _EMBEDS):
        raise ConfigurationError(
            f"embeddings={embeddings!r:.80} is not an embedding function; pass 'minilm', None, or an object "
            "with LangChain's embed_documents() and embed_query()."
        )
    return embeddings
