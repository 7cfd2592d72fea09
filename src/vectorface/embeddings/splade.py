"""Sparse models of the sentence-transformers library: texts to token weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from vectorface.embeddings._library_models import LibraryModel, weights_sha256
from vectorface.embeddings._texts import check_texts
from vectorface.embeddings.identity import EmbeddingIdentity

if TYPE_CHECKING:
    from sentence_transformers import SparseEncoder

ModelLike: TypeAlias = "str | os.PathLike[str] | SparseEncoder"


class SpladeEmbeddings(LibraryModel):
    """Token weights by SPLADE and its like; needs ``pip install 'vectorface[sentence-transformers]'``.

    A text becomes weights of tokens of the model's vocabulary, also of tokens that it does not contain but
    that mean the same (Formal et al., "SPLADE", SIGIR 2021). Safe to use from several threads.

    Args:
        model: A name on the Hugging Face hub, a folder, or a loaded ``SparseEncoder``. A name or folder is
            loaded at the first use; any masked language model trained for it will do.
        batch_size: Texts that run through the model together.
        max_tokens: Keep only so many of a text's tokens, the heaviest; ``None`` for all.
        device: ``"cpu"``, ``"cuda"``, ...; default: the library's choice. Not with a loaded model.

    Raises:
        ConfigurationError: ``device`` is given with a loaded model.

    >>> from vectorface.embeddings import SpladeEmbeddings
    >>> SpladeEmbeddings("naver/splade-v3")
    SpladeEmbeddings('naver/splade-v3')
    """

    kind = "SparseEncoder"

    def __init__(
        self,
        model: ModelLike,
        *,
        batch_size: int = 32,
        max_tokens: int | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__(model, batch_size=batch_size, device=device)
        self.max_tokens = max_tokens

    def embed_documents(self, texts: list[str]) -> list[dict[str, float]]:
        """Return the token weights of each document.

        Raises:
            InvalidInputError: ``texts`` is one string, or holds something that is not valid Unicode text.
            MissingExtraError: sentence-transformers is not installed.
        """
        check_texts(texts)
        return self._encode(self.model.encode_document, texts) if texts else []

    def embed_query(self, text: str) -> dict[str, float]:
        """Return the token weights of a query."""
        check_texts([text])
        return self._encode(self.model.encode_query, [text])[0]

    @cached_property
    def identity(self) -> EmbeddingIdentity:
        """Name, and hash of the weights in use; loads the model but does not run it."""
        limit = "" if self.max_tokens is None else f" (at most {self.max_tokens} tokens)"
        return EmbeddingIdentity(
            name=f"sentence-transformers:{self._name}{limit}", weights=weights_sha256(self.model)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @cached_property
    def _vocabulary(self) -> list[str]:
        tokenizer = self.model.tokenizer
        tokens: list[str] = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        return tokens

    @contextmanager
    def _quick_pooling(self) -> Iterator[None]:
        """Take the largest score of each token first, where the library would transform all of them.

        What it applies to each (cut below zero, logarithm) keeps their order, so the result is the same.
        """
        hooks = [
            module.register_forward_pre_hook(_largest_first)
            for module in self.model
            if getattr(module, "pooling_strategy", None) == "max"
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _encode(self, encode: Any, texts: Sequence[str]) -> list[dict[str, float]]:
        with self._lock, self._quick_pooling():
            rows = encode(
                list(texts),
                batch_size=self.batch_size,
                max_active_dims=self.max_tokens,
                convert_to_tensor=True,
                convert_to_sparse_tensor=True,
                save_to_cpu=True,
                show_progress_bar=False,
            ).coalesce()
            vocabulary = self._vocabulary
        weights: list[dict[str, float]] = [{} for _ in texts]
        positions, columns = rows.indices().tolist()
        for position, column, weight in zip(positions, columns, rows.values().tolist(), strict=True):
            weights[position][vocabulary[column]] = weight
        return weights


def _largest_first(module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Replace the scores of a text's tokens, shape (n, tokens, vocabulary), by their largest, (n, 1, …)."""
    features = arguments[0]
    if (
        module.training or "cu_seq_lens_q" in features
    ):  # texts without padding between them: the library's own way
        return None
    scores, mask = features["token_embeddings"], features["attention_mask"]
    if not mask.all():
        scores = scores.masked_fill_(mask.unsqueeze(-1) == 0, 0.0)
    largest = scores.amax(dim=1, keepdim=True)
    return ({**features, "token_embeddings": largest, "attention_mask": mask[:, :1].clone().fill_(1)},)
