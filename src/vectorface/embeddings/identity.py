"""Which embedding is this? What an index remembers, so that two kinds of vectors never mix in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import urlsplit

#: Where the integrations of LangChain keep the name of their model; the first that is set counts.
_MODEL_ATTRIBUTES: Final = (
    "model",
    "model_name",
    "model_id",
    "deployment",
    "azure_deployment",
    "repo_id",
    "endpoint_name",
    "model_path",
)
#: Where they keep the length of their vectors.
_DIMENSION_ATTRIBUTES: Final = ("dimension", "dimensions", "output_dimensionality", "size")


@dataclass(frozen=True, kw_only=True)
class EmbeddingIdentity:
    """What makes two embeddings the same: vectors of equal identities may be compared.

    Attributes:
        name: The model's name, for people. Never holds a secret.
        weights: sha256 (64 hexadecimal digits) of the weights, or ``None`` where they are out of reach.
        dimension: Length of the vectors, or ``None`` where it is not known before the first call.

    >>> EmbeddingIdentity(name="OpenAIEmbeddings:text-embedding-3-small")
    EmbeddingIdentity(name='OpenAIEmbeddings:text-embedding-3-small', weights=None, dimension=None)
    """

    name: str
    weights: str | None = None
    dimension: int | None = None


def identify(embeddings: object) -> EmbeddingIdentity:
    """Say which embedding this is, without running it.

    The object's own ``identity`` counts where it is an ``EmbeddingIdentity``. A LangChain
    ``CacheBackedEmbeddings`` is what it caches. Otherwise the name is that of the class, with that of the
    model where a usual attribute holds it: of a path only the last part, of a URL neither user nor query.

    Args:
        embeddings: Any object with LangChain's ``embed_documents`` and ``embed_query``.

    Returns:
        The identity. Equal embeddings give equal identities in every process.

    Raises:
        ModelFilesError: The object is a ``MiniLM`` and its files cannot be found.

    >>> from langchain_core.embeddings import DeterministicFakeEmbedding
    >>> identify(DeterministicFakeEmbedding(size=6))
    EmbeddingIdentity(name='DeterministicFakeEmbedding', weights=None, dimension=6)
    """
    own = getattr(embeddings, "identity", None)
    if isinstance(own, EmbeddingIdentity):
        return own
    inner = getattr(embeddings, "underlying_embeddings", None)
    if inner is not None:
        return identify(inner)
    return EmbeddingIdentity(name=_name(embeddings), dimension=_dimension(embeddings))


def public_name(model: str) -> str:
    """Return a model's name without what is private or differs between machines.

    >>> public_name("/home/alice/models/bge-small"), public_name("BAAI/bge-small")
    ('bge-small', 'BAAI/bge-small')
    >>> public_name("https://alice:secret@models.example/bge-small?key=secret")
    'models.example/bge-small'
    """
    if "://" in model:
        url = urlsplit(model)
        return f"{url.netloc.rpartition('@')[2]}{url.path}".rstrip("/")
    for path in (PurePosixPath(model), PureWindowsPath(model)):
        if path.is_absolute() or model.startswith("."):
            return path.name
    return model


def _name(embeddings: object) -> str:
    values = (getattr(embeddings, attribute, None) for attribute in _MODEL_ATTRIBUTES)
    model = next((public_name(value) for value in values if isinstance(value, str) and value), None)
    return ":".join(filter(None, (type(embeddings).__name__, model)))


def _dimension(embeddings: object) -> int | None:
    values = (getattr(embeddings, attribute, None) for attribute in _DIMENSION_ATTRIBUTES)
    return next((value for value in values if type(value) is int and value > 0), None)
