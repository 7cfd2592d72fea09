"""Any model of the sentence-transformers library as an embedding."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from langchain_core.embeddings import Embeddings

from vectorface.embeddings._library_models import LibraryModel, weights_sha256
from vectorface.embeddings._texts import check_texts
from vectorface.embeddings.identity import EmbeddingIdentity

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from vectorface.embeddings._arrays import FloatArray

ModelLike: TypeAlias = "str | os.PathLike[str] | SentenceTransformer"


class SentenceTransformerEmbeddings(LibraryModel, Embeddings):
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

    kind = "SentenceTransformer"

    def __init__(
        self,
        model: ModelLike = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        normalize: bool = True,
        batch_size: int = 32,
        device: str | None = None,
    ) -> None:
        super().__init__(model, batch_size=batch_size, device=device)
        self.normalize = normalize

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
            weights=weights_sha256(self.model),
            dimension=_dimension(self.model),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, normalize={self.normalize})"

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
