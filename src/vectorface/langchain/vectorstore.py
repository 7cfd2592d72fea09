"""A vectorface store as a LangChain ``VectorStore``: thin, because the store does the work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from vectorface.errors import InvalidIdError
from vectorface.langchain.opening import embeddings_of, opened
from vectorface.langchain.options import refuse_unknown
from vectorface.langchain.searches import StoreSearches
from vectorface.langchain.writes import Identified, as_documents, fits_one_batch

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    from vectorface.interface import VectorDBInterface
    from vectorface.langchain.retriever import VectorfaceRetriever


class VectorfaceVectorStore(StoreSearches):
    """A store behind LangChain's ``VectorStore`` interface, synchronous and asynchronous.

    Every search takes, besides ``k``, these keyword options, and refuses others:

    ``filter``
        Which documents may be found, in the filter language of ``vectorface.filters``.
    ``contains``
        Text they must contain, case-sensitive.
    ``native``
        A clause in the store's own query language, where it takes one.
    ``fetch_k``, ``lambda_mult``
        For mmr: how many candidates to choose from (20), and from 0 (diverse) to 1 (near) (0.5).
    ``min_score``
        Leave out what is further away, in the unit of the store's scores.
    ``score_threshold``
        The same from 0 to 1, in LangChain's relevance; only where scores are bounded (cosine and l2).
    ``include_scores``
        Put ``score`` and ``score_kind`` into the metadata of each returned document.

    Args:
        store: A connected store; it stays yours to close.

    Attributes:
        store: That store, for everything LangChain has no word for.

    Example:
        >>> from vectorface import InMemoryDB
        >>> vectorstore = VectorfaceVectorStore(InMemoryDB().connect(index="stories"))
        >>> vectorstore.add_texts(["Nan lit the lamp at dusk.", "The ferry was late."], ids=["a", "b"])
        ['a', 'b']
        >>> [document.id for document in vectorstore.similarity_search("who lit the lamp?", k=1)]
        ['a']
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    @property
    def embeddings(self) -> Embeddings | None:
        """The store's embedding function; ``None`` if it works without one."""
        return embeddings_of(self.store)

    # -- make ---------------------------------------------------------------------------------------------

    @classmethod
    def from_documents(
        cls,
        documents: Iterable[Document],
        embedding: Embeddings | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        store: VectorDBInterface | None = None,
        url: str | None = None,
        **unknown: Any,
    ) -> Self:
        """Write documents to a store and return it as a vector store.

        Args:
            documents: See :meth:`add_documents`.
            embedding: What to embed with; by default the store's own, or the default model.
            ids: See :meth:`add_documents`.
            batch_size: See :meth:`add_documents`.
            store: Where to write; it is connected, with its defaults, if it is not yet.
            url: Where to write instead, as for ``vectorface.connect``. Without either the documents are
                held in this process's memory.
            **unknown: LangChain passes options around; an unknown one is refused.

        Raises:
            ConfigurationError: An option is unknown, there are both a store and a URL, or the store embeds
                with something else than ``embedding``.

        Example:
            >>> from langchain_core.documents import Document
            >>> VectorfaceVectorStore.from_documents([Document(page_content="Nan lit the lamp.")])
            VectorfaceVectorStore(InMemoryDB(index='vectorface'))
        """
        refuse_unknown(unknown, known=("ids", "batch_size", "store", "url"), where="from_documents()")
        with opened(store=store, url=url, embedding=embedding) as target:
            vectorstore = cls(target)
            vectorstore.add_documents(documents, ids=ids, batch_size=batch_size)
        return vectorstore

    @classmethod
    async def afrom_documents(
        cls, documents: Iterable[Document], embedding: Embeddings | None = None, **options: Any
    ) -> Self:
        """Run :meth:`from_documents` in a worker thread: opening a store may block, too."""
        return await asyncio.to_thread(cls.from_documents, documents, embedding, **options)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        embedding: Embeddings | None = None,
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        **options: Any,
    ) -> Self:
        """Write texts to a store and return it as a vector store.

        Args:
            texts: See :meth:`add_texts`.
            embedding: What to embed with; by default the store's own, or the default model.
            metadatas: See :meth:`add_texts`.
            **options: ``ids``, ``batch_size``, and ``store`` or ``url``, as for :meth:`from_documents`.
        """
        return cls.from_documents(as_documents(texts, metadatas), embedding, **options)

    @classmethod
    async def afrom_texts(
        cls,
        texts: Iterable[str],
        embedding: Embeddings | None = None,
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        **options: Any,
    ) -> Self:
        """Run :meth:`from_texts` in a worker thread: opening a store may block, too."""
        return await asyncio.to_thread(cls.from_texts, texts, embedding, metadatas, **options)

    # -- write --------------------------------------------------------------------------------------------

    def add_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        **unknown: Any,
    ) -> list[str]:
        """Write documents, replacing those whose ids exist as a whole.

        A list that fits one batch is checked as a whole before anything is written. A longer list, or an
        iterator of any length, is streamed by ``store.upsert_parallel()`` in bounded memory, and whatever
        can be written is.

        Args:
            documents: What to write; the objects are left as they are.
            ids: One for each. ``None``, or ``None`` in its place, stands for ``Document.id``, else for the
                sha256 of content and metadata.
            batch_size: How many to write at a time; by default 1,000 at once, and of more than that as many
                as the store likes best.
            **unknown: LangChain passes options around; an unknown one is refused.

        Returns:
            The id of each document, in order.

        Raises:
            ConfigurationError: An option is unknown.
            InvalidDocumentError: Something cannot be stored; nothing was written.
            DuplicateDocumentError: An id stands for two documents of this call; nothing was written.
            PartialWriteError: Some documents of a stream were not written; ``error.report`` names them.
            SourceError: The iterator raised.
        """
        refuse_unknown(unknown, known=("ids", "batch_size"), where="add_documents()")
        stream = Identified(documents, ids)
        if fits_one_batch(documents, batch_size):
            return list(self.store.upsert(stream).ids)
        self.store.upsert_parallel(stream, batch_size=batch_size)
        return stream.ids

    async def aadd_documents(
        self,
        documents: Iterable[Document],
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        **unknown: Any,
    ) -> list[str]:
        """Do what :meth:`add_documents` does, without blocking the event loop."""
        refuse_unknown(unknown, known=("ids", "batch_size"), where="aadd_documents()")
        stream = Identified(documents, ids)
        if fits_one_batch(documents, batch_size):
            return list((await self.store.aupsert(stream)).ids)
        await self.store.aupsert_parallel(stream, batch_size=batch_size)
        return stream.ids

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **options: Any,
    ) -> list[str]:
        """Write texts, replacing those whose ids exist as a whole.

        Args:
            texts: A list or an iterator of texts.
            metadatas: One for each; ``None`` in place of one for none.
            ids: See :meth:`add_documents`.
            **options: ``batch_size``, as for :meth:`add_documents`.

        Returns:
            The id of each text, in order.
        """
        return self.add_documents(as_documents(texts, metadatas), ids=ids, **options)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: Sequence[Mapping[str, Any] | None] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **options: Any,
    ) -> list[str]:
        """Do what :meth:`add_texts` does, without blocking the event loop."""
        documents = await asyncio.to_thread(as_documents, texts, metadatas)
        return await self.aadd_documents(documents, ids=ids, **options)

    # -- read and delete ----------------------------------------------------------------------------------

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return documents by id, in the order of the ids; those that do not exist are left out."""
        return [record.document for record in self.store.get(_named(ids))]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Do what :meth:`get_by_ids` does, without blocking the event loop."""
        return [record.document for record in await self.store.aget(_named(ids))]

    def delete(self, ids: Sequence[str] | None = None, **unknown: Any) -> bool:
        """Delete documents by id; ids that do not exist are no error.

        Args:
            ids: Which. Leaving them out is refused, because elsewhere it deletes everything.
            **unknown: LangChain passes options around; an unknown one is refused.

        Returns:
            True; False if another writer changed one of them meanwhile, so that it was left alone.

        Raises:
            InvalidIdError: There are no ids.
        """
        refuse_unknown(unknown, known=("ids",), where="delete()")
        return not self.store.delete_by_filter(ids=_named(ids)).conflicts

    async def adelete(self, ids: Sequence[str] | None = None, **unknown: Any) -> bool:
        """Do what :meth:`delete` does, without blocking the event loop."""
        refuse_unknown(unknown, known=("ids",), where="adelete()")
        return not (await self.store.adelete_by_filter(ids=_named(ids))).conflicts

    # -- retrieve -----------------------------------------------------------------------------------------

    def as_retriever(self, **options: Any) -> VectorfaceRetriever:
        """Return a retriever that searches this store.

        Args:
            **options: ``search_type``, ``search_kwargs``, ``k``, ``include_scores``, and LangChain's own
                ``name``, ``tags`` and ``metadata``; see :class:`VectorfaceRetriever`.
        """
        from vectorface.langchain.retriever import VectorfaceRetriever  # noqa: PLC0415 - it is built on this class

        tags = options.pop("tags", None) or self._get_retriever_tags()
        return VectorfaceRetriever(vectorstore=self, tags=tags, **options)


def _named(ids: Sequence[str] | None) -> Sequence[str]:
    if ids is None:
        raise InvalidIdError(
            "Name the ids: without them every document would be meant. To delete by metadata use "
            "vectorstore.store.delete_by_filter(), to delete everything vectorstore.store.delete_index()."
        )
    return ids
