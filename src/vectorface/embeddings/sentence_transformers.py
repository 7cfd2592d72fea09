"""Any model of the sentence-transformers library as an embedding."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from langchain_core.embeddings import Embeddings

from vectorface.embeddings._extras import require
from vectorface.embeddings._texts import check_texts
from vectorface.embeddings.identity import EmbeddingIdentity, public_name
from vectorface.errors import ConfigurationError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from vectorface.embeddings._arrays import FloatArray

ModelLike: TypeAlias = "str | os.PathLike[str] | SentenceTransformer"


class SentenceTransformerEmbeddings(Embeddings):
    """Embed with a sentence-transformers model; needs ``pip install 'vectorface[sentence-transformers]'``.

    Documents go through ``encode_document`` and search texts through ``encode_query``, so models that were
    trained with prompts get theirs. Safe to use from several threads: calls run one after another, since
    the library's tokenizers are not. The library cuts texts at the model's ``max_seq_length`` silently.

    Args:
        model: A name on the Hugging Face hub, a folder, or a loaded ``SentenceTransformer``. A name or
            folder is loaded at the first use.
        normalize: Scale vectors to length 1.
        batch_size: Texts that run through the model together.
        device: ``"cpu"``, ``"cuda"``, ...; default: the library's choice. Not with a loaded model.

    Raises:
        ConfigurationError: ``device`` is given with a loaded model.

    >>> from vectorface.embeddings import SentenceTransformerEmbeddings
    >>> SentenceTransformerEmbeddings("BAAI/bge-small-en-v1.5")
    SentenceTransformerEmbeddings('BAAI/bge-small-en-v1.5', normalize=True)
    """

    #: Two calls at the same time pay: while one waits, for a core or for the GPU, the other goes on.
    max_concurrency: Final = 2

    def __init__(
        self,
        model: ModelLike = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        normalize: bool = True,
        batch_size: int = 32,
        device: str | None = None,
    ) -> None:
        self._source = os.fspath(model) if isinstance(model, os.PathLike) else model
        self.normalize = normalize
        self.batch_size = batch_size
        self.device = device
        self._lock = RLock()
        if device is not None and not isinstance(self._source, str):
            raise ConfigurationError("device= goes with a model's name; move a loaded model with model.to().")

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """Embed documents into one array.

        Args:
            texts: Any number of texts.

        Returns:
            A float32 array of shape (n, dimension).

        Raises:
            InvalidInputError: ``texts`` is one string, or holds something that is not valid Unicode text.
            MissingExtraError: sentence-transformers is not installed.
        """
        check_texts(texts)
        if not len(texts):
            return np.empty((0, self.dimension or 0), dtype=np.float32)
        return self._encode(self.model.encode_document, texts)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed documents into lists of floats; see ``embed_array``."""
        vectors: list[list[float]] = self.embed_array(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Embed a search text, with the model's prompt for queries if it has one."""
        check_texts([text])
        vector: list[float] = self._encode(self.model.encode_query, [text])[0].tolist()
        return vector

    @property
    def model(self) -> SentenceTransformer:
        """The loaded model; loads it at the first use.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
        """
        if not isinstance(self._source, str):
            return self._source
        with self._lock:
            return self._loaded

    @property
    def dimension(self) -> int | None:
        """Length of the vectors, as the model states it; loads the model."""
        return self.identity.dimension

    @cached_property
    def identity(self) -> EmbeddingIdentity:
        """Name, hash of the weights in use, and dimension; loads the model but does not run it.

        The hash is of the numbers and not of a file, so it is the same for one model in several formats or
        places. It is taken once: after training, make a new ``SentenceTransformerEmbeddings``.
        """
        suffix = "" if self.normalize else " (not normalized)"
        return EmbeddingIdentity(
            name=f"sentence-transformers:{self._name}{suffix}",
            weights=_weights_sha256(self.model),
            dimension=_dimension(self.model),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, normalize={self.normalize})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"_lock", "_loaded"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=RLock())

    @property
    def _name(self) -> str:
        if isinstance(self._source, str):
            return public_name(self._source)
        config = getattr(getattr(self._source[0], "auto_model", None), "config", None)
        return public_name(getattr(config, "_name_or_path", "")) or type(self._source).__name__

    @cached_property
    def _loaded(self) -> SentenceTransformer:
        library = require(
            "sentence_transformers", extra="sentence-transformers", needed_by=type(self).__name__
        )
        model: SentenceTransformer = library.SentenceTransformer(self._source, device=self.device)
        return model

    def _encode(self, encode: Any, texts: Sequence[str]) -> FloatArray:
        with self._lock:
            vectors = encode(
                list(texts),
                batch_size=self.batch_size,
                normalize_embeddings=self.normalize,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return np.ascontiguousarray(vectors, dtype=np.float32)


def _dimension(model: SentenceTransformer) -> int | None:
    """Ask by the newer name, where the library has it: the older one warns."""
    ask = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    dimension: int | None = ask()
    return dimension


def _weights_sha256(model: SentenceTransformer) -> str | None:
    """Hash the sorted hashes of all tensors: their names and order change with the library's version."""
    hashes = sorted(_tensor_sha256(tensor) for tensor in model.state_dict().values())
    return hashlib.sha256("".join(hashes).encode()).hexdigest() if hashes else None


def _tensor_sha256(tensor: Any) -> str:
    from torch import uint8  # noqa: PLC0415 - a slow import, and whoever has a tensor has paid for it

    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    digest.update(tensor.detach().cpu().contiguous().flatten().view(uint8).numpy())
    return digest.hexdigest()
