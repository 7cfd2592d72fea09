"""The default embedding: all-MiniLM-L6-v2 on ONNX Runtime, without torch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from threading import Lock
from typing import Any, Final

import numpy as np
from langchain_core.embeddings import Embeddings

from vectorface.embeddings._arrays import FloatArray, IntArray
from vectorface.embeddings._model_files import ModelFiles, StrPath, find_model_files
from vectorface.embeddings._onnx import DIMENSION, Encoder, open_encoder
from vectorface.embeddings._texts import check_texts
from vectorface.embeddings.identity import EmbeddingIdentity
from vectorface.errors import ConfigurationError

#: Texts whose tokens are held at once: bounds memory, and is enough to sort by length.
_WINDOW: Final = 4096


class TruncationWarning(UserWarning):
    """Texts were longer than the model reads; what follows is not in their vectors."""


class MiniLM(Embeddings):
    """Embed with all-MiniLM-L6-v2, as Chroma's default embedding function does, many times faster.

    Cheap to make: the files are looked for and the model is opened at the first use, once for the whole
    process. Safe to use from several threads, to pickle, and in forked processes.

    A text's vector is the same alone, in any batch, and as a document or a query: bit for bit where that was
    measured (x86-64, the files found by default); count on 1e-6.

    Args:
        model_path: The ONNX file, or a folder with ``model.onnx`` and ``tokenizer.json``. Default: the
            environment variable ``VECTORFACE_MINILM_MODEL``, then Chroma's cache, then the packages of
            ``vectorface[offline]``, then Chroma's download.
        tokenizer_path: The ``tokenizer.json``. Default: ``VECTORFACE_MINILM_TOKENIZER``, then beside the
            model, then the same places.
        threads: Batches that run at the same time, on one core each. Default: one for each CPU that this
            process may use.
        tokens_per_batch: Most tokens in a batch, padding included. Bounds memory; 256 and 512 were the
            fastest measured, 1,024 takes 1.1 times as long.

    Raises:
        ConfigurationError: ``threads`` or ``tokens_per_batch`` is not a positive int.

    The first use raises ``ModelFilesError`` where a file is missing or not the pinned one, and
    ``MissingExtraError`` without onnxruntime and tokenizers.

    >>> model = MiniLM()
    >>> lamp, keeper, car = model.embed_array(["the lamp was lit", "a lantern was burning", "a red car"])
    >>> bool(lamp @ keeper > lamp @ car)
    True
    """

    #: Length of the vectors.
    dimension: Final = DIMENSION
    #: Tokens of a text that the model reads, [CLS] and [SEP] among them, as sentence-transformers sets it.
    max_tokens: Final = 256
    #: Two calls at the same time pay: each uses all cores, and while one begins or ends the other fills them.
    max_concurrency: Final = 2

    def __init__(
        self,
        *,
        model_path: StrPath | None = None,
        tokenizer_path: StrPath | None = None,
        threads: int | None = None,
        tokens_per_batch: int = 512,
    ) -> None:
        self.model_path = model_path
        self.tokenizer_path = tokenizer_path
        self.threads = None if threads is None else _positive("threads", threads)
        self.tokens_per_batch = _positive("tokens_per_batch", tokens_per_batch)
        self._truncated = 0
        self._counting = Lock()

    def embed_array(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts into one array; the fast path.

        Equal texts are embedded once. Texts of more than 256 tokens are cut, counted in ``truncated`` and
        reported by one ``TruncationWarning``.

        Args:
            texts: Any number of texts, the empty one included.

        Returns:
            A float32 array of shape (n, 384); row i has unit length and is for text i.

        Raises:
            InvalidInputError: ``texts`` is one string, or holds something that is not valid Unicode text.
            ModelFilesError: A file of the model is missing or not the pinned one.
            MissingExtraError: onnxruntime or tokenizers is not installed.

        >>> MiniLM().embed_array([]).shape
        (0, 384)
        """
        return self._embed(texts)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts into lists of 384 floats; see ``embed_array``."""
        vectors: list[list[float]] = self._embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Embed a search text; the model makes no difference between texts and queries."""
        vector: list[float] = self._embed([text])[0].tolist()
        return vector

    @property
    def truncated(self) -> int:
        """How many texts this object has cut at 256 tokens so far."""
        return self._truncated

    @property
    def identity(self) -> EmbeddingIdentity:
        """Name, sha256 of the ONNX file, and dimension; looks for the files but opens no session."""
        name = "+".join(filter(None, ("all-MiniLM-L6-v2", self._files.variant)))
        return EmbeddingIdentity(name=name, weights=self._files.weights, dimension=self.dimension)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self._options().items())
        return f"{type(self).__name__}({options})"

    def __reduce__(self) -> tuple[Callable[[], MiniLM], tuple[()]]:
        return partial(type(self), **self._options()), ()

    def _options(self) -> dict[str, Any]:
        names = ("model_path", "tokenizer_path", "threads", "tokens_per_batch")
        return {name: getattr(self, name) for name in names}

    @property
    def _threads(self) -> int:
        return self.threads or _usable_cpus()

    @cached_property
    def _files(self) -> ModelFiles:
        return find_model_files(self.model_path, self.tokenizer_path)

    def _embed(self, texts: Sequence[str]) -> FloatArray:
        check_texts(texts)
        if not len(texts):
            return np.empty((0, self.dimension), dtype=np.float32)
        encoder = open_encoder(self._files)
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors, lengths = self._encode(encoder, list(rows))
        order = [rows[text] for text in texts]
        self._count_cut(lengths[order])
        return vectors[order]

    def _encode(self, encoder: Encoder, texts: list[str]) -> tuple[FloatArray, IntArray]:
        """Return vectors and full lengths in tokens, a window of texts at a time."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        lengths = np.empty(len(texts), dtype=np.int64)
        for start in range(0, len(texts), _WINDOW):
            window = slice(start, start + _WINDOW)
            tokens = encoder.tokens(texts[window])
            lengths[window] = [len(row) for row in tokens]
            vectors[window] = encoder.vectors(
                [self._cut(row) for row in tokens], budget=self.tokens_per_batch, threads=self._threads
            )
        return vectors, lengths

    def _cut(self, tokens: list[int]) -> list[int]:
        """Keep the first tokens and the closing [SEP], as the tokenizer's own truncation does."""
        return tokens if len(tokens) <= self.max_tokens else [*tokens[: self.max_tokens - 1], tokens[-1]]

    def _count_cut(self, lengths: IntArray) -> None:
        cut = int((lengths > self.max_tokens).sum())
        if not cut:
            return
        with self._counting:
            self._truncated += cut
        warnings.warn(
            f"{cut} of {len(lengths)} texts have more than the {self.max_tokens} tokens that "
            f"all-MiniLM-L6-v2 reads (the longest, at position {lengths.argmax()}, has {lengths.max()}); "
            "what follows is not in their vectors. Make smaller chunks: 900 characters of English fit.",
            TruncationWarning,
            stacklevel=4,  # the caller of embed_documents, embed_query or embed_array
        )


def _usable_cpus() -> int:
    """Count the CPUs this process may use: fewer than the machine's under taskset or Docker's cpuset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _positive(name: str, value: int) -> int:
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{name}={value!r} must be a positive int.")
    return value
