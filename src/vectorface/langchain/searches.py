"""LangChain's many searches, all of them one ``store.query()``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.vectorstores import VectorStore

from vectorface.langchain.plan import DEFAULT_K, Search, planned, relevance_of

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from vectorface.interface import VectorDBInterface


class StoreSearches(VectorStore):
    """The searches of a vector store, over a vectorface store."""

    def __init__(self, store: VectorDBInterface) -> None:
        self.store = store

    # -- one search, in four shapes -----------------------------------------------------------------------

    def _documents(self, options: Mapping[str, Any], **asked: Any) -> list[Document]:
        search = self._planned(options, asked)
        return search.documents(self.store.query(**search.arguments))

    async def _adocuments(self, options: Mapping[str, Any], **asked: Any) -> list[Document]:
        search = self._planned(options, asked)
        return search.documents(await self.store.aquery(**search.arguments))

    def _scored(self, options: Mapping[str, Any], **asked: Any) -> list[tuple[Document, float]]:
        search = self._planned(options, asked)
        return search.scored(self.store.query(**search.arguments))

    async def _ascored(self, options: Mapping[str, Any], **asked: Any) -> list[tuple[Document, float]]:
        search = self._planned(options, asked)
        return search.scored(await self.store.aquery(**search.arguments))

    def _planned(self, options: Mapping[str, Any], asked: Mapping[str, Any]) -> Search:
        return planned(options, asked, score_kind=self.store.score_kind)

    # -- nearest ------------------------------------------------------------------------------------------

    def similarity_search(self, query: str, k: int = DEFAULT_K, **options: Any) -> list[Document]:
        """Return the documents nearest to a text, best first.

        Args:
            query: What to search for.
            k: At most how many.
            **options: See the class.
        """
        return self._documents(options, text=query, k=k)

    async def asimilarity_search(self, query: str, k: int = DEFAULT_K, **options: Any) -> list[Document]:
        """Do what :meth:`similarity_search` does, without blocking the event loop."""
        return await self._adocuments(options, text=query, k=k)

    def similarity_search_with_score(
        self, query: str, k: int = DEFAULT_K, **options: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest to a text, each with the store's score: higher is nearer, always.

        Args:
            query: What to search for.
            k: At most how many.
            **options: See the class.
        """
        return self._scored(options, text=query, k=k)

    async def asimilarity_search_with_score(
        self, query: str, k: int = DEFAULT_K, **options: Any
    ) -> list[tuple[Document, float]]:
        """Do what :meth:`similarity_search_with_score` does, without blocking the event loop."""
        return await self._ascored(options, text=query, k=k)

    def similarity_search_by_vector(
        self, embedding: Sequence[float], k: int = DEFAULT_K, **options: Any
    ) -> list[Document]:
        """Return the documents nearest to a vector, best first.

        Args:
            embedding: What to search for, of shape (d,).
            k: At most how many.
            **options: See the class.
        """
        return self._documents(options, vector=embedding, k=k)

    async def asimilarity_search_by_vector(
        self, embedding: Sequence[float], k: int = DEFAULT_K, **options: Any
    ) -> list[Document]:
        """Do what :meth:`similarity_search_by_vector` does, without blocking the event loop."""
        return await self._adocuments(options, vector=embedding, k=k)

    def similarity_search_with_score_by_vector(
        self, embedding: Sequence[float], k: int = DEFAULT_K, **options: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest to a vector, each with the store's score: higher is nearer, always.

        Args:
            embedding: What to search for, of shape (d,).
            k: At most how many.
            **options: See the class.
        """
        return self._scored(options, vector=embedding, k=k)

    async def asimilarity_search_with_score_by_vector(
        self, embedding: Sequence[float], k: int = DEFAULT_K, **options: Any
    ) -> list[tuple[Document, float]]:
        """Do what :meth:`similarity_search_with_score_by_vector` does, without blocking the event loop."""
        return await self._ascored(options, vector=embedding, k=k)

    # -- near and diverse ---------------------------------------------------------------------------------

    def max_marginal_relevance_search(
        self, query: str, k: int = DEFAULT_K, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> list[Document]:
        """Return documents that are near a text and differ from each other, in the order they were chosen.

        Args:
            query: What to search for.
            k: At most how many.
            fetch_k: How many candidates to choose from.
            lambda_mult: From 0 (diverse) to 1 (near).
            **options: See the class.
        """
        return self._documents(options, text=query, k=k, **_mmr(fetch_k, lambda_mult))

    async def amax_marginal_relevance_search(
        self, query: str, k: int = DEFAULT_K, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> list[Document]:
        """Do what :meth:`max_marginal_relevance_search` does, without blocking the event loop."""
        return await self._adocuments(options, text=query, k=k, **_mmr(fetch_k, lambda_mult))

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = DEFAULT_K,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Any,
    ) -> list[Document]:
        """Return documents that are near a vector and differ from each other, in the order they were chosen.

        Args:
            embedding: What to search for, of shape (d,).
            k: At most how many.
            fetch_k: How many candidates to choose from.
            lambda_mult: From 0 (diverse) to 1 (near).
            **options: See the class.
        """
        return self._documents(options, vector=embedding, k=k, **_mmr(fetch_k, lambda_mult))

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: Sequence[float],
        k: int = DEFAULT_K,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        **options: Any,
    ) -> list[Document]:
        """Do what :meth:`max_marginal_relevance_search_by_vector` does, without blocking the event loop."""
        return await self._adocuments(options, vector=embedding, k=k, **_mmr(fetch_k, lambda_mult))

    # -- relevance: scores between 0 and 1 ----------------------------------------------------------------

    def similarity_search_with_relevance_scores(
        self, query: str, k: int = DEFAULT_K, **options: Any
    ) -> list[tuple[Document, float]]:
        """Return the documents nearest to a text, each with its relevance from 0 to 1.

        Under cosine it is the cosine, with negative ones counted as 0; under l2 it is 1 / (1 + d²).

        Args:
            query: What to search for.
            k: At most how many.
            **options: See the class; ``score_threshold`` is in the unit of what is returned.

        Raises:
            UnsupportedError: The store's scores lie on no scale from 0 to 1 (dot, sparse, bm25, rrf).
        """
        return self._similarity_search_with_relevance_scores(query, k, **options)

    async def asimilarity_search_with_relevance_scores(
        self, query: str, k: int = DEFAULT_K, **options: Any
    ) -> list[tuple[Document, float]]:
        """Do what :meth:`similarity_search_with_relevance_scores` does, without blocking the event loop."""
        return await self._asimilarity_search_with_relevance_scores(query, k, **options)

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return relevance_of(self.store.score_kind)


def _mmr(fetch_k: int, lambda_mult: float) -> dict[str, Any]:
    return {"search_type": "mmr", "fetch_k": fetch_k, "lambda_mult": lambda_mult}
