"""A vectorface store as a LangChain retriever."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.vectorstores import VectorStoreRetriever
from pydantic import ConfigDict

from vectorface.errors import ConfigurationError
from vectorface.langchain.plan import DEFAULT_K, checked_threshold
from vectorface.langchain.vectorstore import VectorfaceVectorStore

if TYPE_CHECKING:
    from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
    from langchain_core.documents import Document


class VectorfaceRetriever(VectorStoreRetriever):
    """Finds documents in a store; a LangChain ``Runnable`` from text to documents.

    Args:
        vectorstore: Where to search.
        search_type: ``similarity`` (the default), ``mmr``, or ``similarity_score_threshold``.
        search_kwargs: Options of each search, as for ``VectorfaceVectorStore``. They are live: what you
            change in the retriever's ``search_kwargs`` takes effect at the next ``invoke``.
        k: Short for ``search_kwargs={"k": k}``, which is where it is kept.
        include_scores: Put ``score`` and ``score_kind`` into the metadata of each returned document.
        **options: LangChain's own ``name``, ``tags`` and ``metadata``. Others are refused.

    Raises:
        ConfigurationError: ``search_type`` is unknown, or needs a ``score_threshold`` that is not there.
        InvalidQueryError: The ``score_threshold`` is no number from 0 to 1.

    Each option of a search can also be given to a single ``invoke(query, k=3, filter={...})``.

    Example:
        >>> from vectorface import InMemoryDB
        >>> vectorstore = InMemoryDB().connect(index="stories").as_vectorstore()
        >>> ids = vectorstore.add_texts(["Nan lit the lamp at dusk.", "The ferry was late."])
        >>> retriever = VectorfaceRetriever(vectorstore=vectorstore, k=1, include_scores=True)
        >>> [document] = retriever.invoke("who lit the lamp?")
        >>> document.metadata["score_kind"], document.metadata["score"] > 0.5
        ('cosine', True)
        >>> len(retriever.invoke("who lit the lamp?", k=2))
        2
    """

    vectorstore: VectorfaceVectorStore
    include_scores: bool = False

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    def __init__(
        self,
        *,
        vectorstore: VectorfaceVectorStore,
        search_kwargs: Mapping[str, Any] | None = None,
        k: int | None = None,
        **options: Any,
    ) -> None:
        merged = {**(search_kwargs or {}), **({} if k is None else {"k": k})}
        merged |= _threshold(options.get("search_type", "similarity"), merged)
        super().__init__(vectorstore=vectorstore, search_kwargs=merged, **options)

    @property
    def k(self) -> int:
        """At most how many documents are found: ``search_kwargs["k"]``."""
        k: int = self.search_kwargs.get("k", DEFAULT_K)
        return k

    @k.setter
    def k(self, k: int) -> None:
        self.search_kwargs["k"] = k

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        options = self._options(kwargs)
        return super()._get_relevant_documents(query, run_manager=run_manager, **options)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        options = self._options(kwargs)
        return await super()._aget_relevant_documents(query, run_manager=run_manager, **options)

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the options of one search; ``verbose`` is LangChain's word to its callbacks, not to us."""
        scores = {"include_scores": True} if self.include_scores else {}
        return {**scores, **{name: value for name, value in given.items() if name != "verbose"}}


def _threshold(search_type: object, search_kwargs: Mapping[str, Any]) -> dict[str, float]:
    """Return the threshold where the search needs one, before LangChain's base refuses it less clearly."""
    allowed = VectorfaceRetriever.allowed_search_types
    if search_type not in allowed:
        raise ConfigurationError(f"search_type={search_type!r} is unknown; use one of {_listed(allowed)}.")
    if search_type != "similarity_score_threshold":
        return {}
    if search_kwargs.get("score_threshold") is None:
        raise ConfigurationError(
            "search_type='similarity_score_threshold' needs a threshold from 0 to 1: pass "
            "search_kwargs={'score_threshold': 0.5}."
        )
    return {"score_threshold": checked_threshold(search_kwargs["score_threshold"])}


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names)
