"""The life of a store on one page: open, write, read, delete, search, close.

Public methods are final: they hold the policy (checks, ids, batches, guards, reports), which is the same
on every backend. What a backend implements are the primitives of :class:`vectorface.backend.Backend`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, final

from vectorface import writing
from vectorface.asynchronous import stoppable_in_thread, stream_twin_of, twin_of
from vectorface.backend import Backend
from vectorface.bridge import offload
from vectorface.documents import Prepared, checked_ids, collapsed, counted, prepare_all
from vectorface.encoding import Encoder
from vectorface.errors import (
    ConfigurationError,
    DeleteGuardError,
    DuplicateDocumentError,
    EmbeddingError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidDocumentError,
    InvalidFilterError,
    InvalidInputError,
    InvalidQueryError,
    NotConnectedError,
    VectorfaceError,
)
from vectorface.filters import Filter, constant, parse
from vectorface.indexes import (
    ConnectionSettings,
    IndexSpec,
    checked_flag,
    checked_index_name,
    checked_metric,
)
from vectorface.ingest.retrying import RetryPolicy
from vectorface.ingest.upserter import Callback, InlineExecutor, OnError
from vectorface.ingest.upserter import Settings as UpsertSettings
from vectorface.ingest.upserter import upsert as run_upsert
from vectorface.ingest.writer import Mode
from vectorface.preprocessing import preprocess as preprocess_documents
from vectorface.primitives import DOCUMENT, Entry, Fields, Query, Removal, Selection, Stored, chunks
from vectorface.records import (
    DeleteReport,
    Hit,
    IndexInfo,
    Metric,
    Record,
    ReplaceReport,
    ScoreKind,
    Vector,
    Vectors,
    WriteReport,
)
from vectorface.searching import (
    Search,
    SearchType,
    checked_contains,
    checked_search,
    checked_text,
    positive,
    ranked,
    verified,
    whole,
)

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from numpy.typing import NDArray

    from vectorface.langchain import VectorfaceRetriever, VectorfaceVectorStore


_LOGGER = logging.getLogger(__name__)


class VectorDBInterface(Backend):
    """One interface over vector stores.

    A store is a connected backend object; an index is the named place that holds its documents. Every
    backend gives filters, scores and writes the same meaning; ``vectorface.testing`` proves it.

    Use it as a context manager, or call :meth:`close`. Its methods may be called from several threads.

    Example:
        >>> from vectorface import InMemoryDB
        >>> from langchain_core.documents import Document
        >>> with InMemoryDB().connect(index="stories") as store:
        ...     report = store.upsert([Document(page_content="Nan lit the lamp at dusk.")])
        ...     store.query("who lit the lamp?", k=1)[0].text
        'Nan lit the lamp at dusk.'
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._lock = threading.RLock()
        self._settings: ConnectionSettings | None = None
        self._metric: Metric = "cosine"
        self._dimension: int | None = None

    # -- open and close -----------------------------------------------------------------------------------

    @final
    def _connect(self, settings: ConnectionSettings) -> Self:
        """Open the connection that a backend's typed ``connect`` describes, once."""
        settings.check()
        with self._lock:
            if self._settings is None or not settings.same_place(self._settings):
                self.close()
                self._open(settings)
                try:
                    self._enter(settings)
                except BaseException:
                    self._close()
                    raise
            else:  # what else is there stays: the other indexes, and this one if the new one is refused
                self._enter(settings)
            self._settings = settings
        return self

    def _enter(self, settings: ConnectionSettings) -> None:
        info = self._describe(settings.index)
        if info is None:
            if not settings.create:
                raise IndexNotFoundError(
                    f"{self._no_index(settings.index)} To make it, leave out create=False."
                )
            info = self._made(settings.index, settings.metric or "cosine", self.encoder.dimension)
        self.encoder.fingerprint(settings.metric or info.metric).check(info)
        self._check_suits(info)
        self._metric, self._dimension = info.metric, info.dimension

    @final
    def close(self) -> None:
        """Close the connection; doing it twice is fine. :meth:`connect` opens it again."""
        with self._lock:
            if self._settings is not None:
                self._settings = None
                self._close()

    def __enter__(self) -> Self:
        self._ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = f"index={self._settings.index!r}" if self._settings else "not connected"
        return f"{type(self).__name__}({state})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a recipe: the copy connects on its own, in whichever process it wakes up."""
        if self._settings is None or self._settings.client is not None:
            raise ConfigurationError(
                f"{self!r} cannot be sent to another process; connect it by path or URL, not with client=."
            )
        return _reconnected, (type(self), self._recipe(), self._settings)

    def _ready(self) -> ConnectionSettings:
        if self._settings is None:
            raise NotConnectedError(
                f"{type(self).__name__} is not connected, or was closed: call connect() first, saying where."
            )
        return self._settings

    @property
    @final
    def index(self) -> str:
        """Name of the index that the store works with."""
        return self._ready().index

    @property
    @final
    def metric(self) -> Metric:
        """How the index compares vectors."""
        return self._metric

    @property
    @final
    def score_kind(self) -> ScoreKind:
        """The unit of this index's scores."""
        return self.encoder.score_kind(self._metric)

    @property
    @final
    def dimension(self) -> int | None:
        """Length of the index's vectors; ``None`` while it holds none."""
        return self._dimension

    # -- index management ---------------------------------------------------------------------------------

    @final
    def create_index(
        self, name: str, *, dimension: int | None = None, metric: Metric = "cosine"
    ) -> IndexInfo:
        """Make an index; the store goes on with the one it is connected to.

        Args:
            name: 3 to 255 characters of ``a-z 0-9 . _ -``, a letter or digit at both ends.
            dimension: Length of its vectors; by default the embedding's, or that of the first document.
            metric: ``cosine``, ``l2`` or ``dot``.

        Raises:
            IndexExistsError: There is one of this name.
            InvalidIndexNameError: Not every backend would take the name.
            ConfigurationError: The embedding function gives vectors of another dimension.
        """
        self._ready()
        checked_metric(metric)
        own = self.encoder.dimension
        if dimension is not None and own not in {None, positive("dimension", dimension)}:
            raise ConfigurationError(
                f"dimension={dimension}, but this store's embedding function gives vectors of {own}; leave "
                "dimension out, or make the index with a store that has embeddings=None."
            )
        if self._describe(checked_index_name(name)) is not None:
            raise IndexExistsError(
                f"There is an index {name!r} already; choose another name or delete_index() it."
            )
        info = self._made(name, metric, dimension or own)
        if name == self.index:  # it had been deleted
            self._metric, self._dimension = info.metric, info.dimension
        return info

    def _made(self, name: str, metric: Metric, dimension: int | None) -> IndexInfo:
        fingerprint = replace(self.encoder.fingerprint(metric), dimension=dimension)
        spec = IndexSpec(
            name=checked_index_name(name),
            metric=metric,
            dimension=dimension,
            fingerprint=fingerprint.as_dict(),
        )
        with suppress(IndexExistsError):  # somebody made it in this very moment: take it as it is
            self._create(spec)
        info = self._describe(name)
        if info is None:
            raise IndexNotFoundError(
                f"The index {name!r} was deleted while it was being made; connect again."
            )
        fingerprint.check(info)
        return info

    @final
    def get_index(self, name: str) -> IndexInfo:
        """Describe an index: metric, dimension, count, fingerprint.

        Raises:
            IndexNotFoundError: There is none of this name.
        """
        self._ready()
        info = self._describe(name)
        if info is None:
            raise IndexNotFoundError(self._no_index(name))
        return info

    def _no_index(self, name: str) -> str:
        return f"There is no index {name!r}; existing: {', '.join(sorted(self._names())) or 'none'}."

    @final
    def delete_index(self, name: str) -> None:
        """Delete an index with everything in it.

        Raises:
            IndexNotFoundError: There is none of this name.
        """
        self.get_index(name)
        self._drop(name)
        if name == self.index:
            self._dimension = self.encoder.dimension

    @final
    def list_indexes(self) -> list[str]:
        """Return the names of all indexes, sorted."""
        self._ready()
        return sorted(self._names())

    # -- write --------------------------------------------------------------------------------------------

    @final
    def add(
        self,
        documents: Iterable[Document],
        *,
        ids: Sequence[str | None] | None = None,
        vectors: Sequence[Any] | NDArray[Any] | None = None,
    ) -> WriteReport:
        """Add new documents; nothing is written if any of their ids is taken.

        Args:
            documents: What to add; the objects are left as they are.
            ids: One for each; ``None``, or ``None`` in its place, stands for ``Document.id``, else for the
                sha256 of content and metadata.
            vectors: One for each, instead of embedding the texts; arrays of shape (d,).

        Raises:
            DuplicateDocumentError: Ids exist, or stand for two documents of this call.
            InvalidDocumentError: A text, its metadata or vector cannot be stored.
            InvalidIdError: An id is empty, or longer than 512 bytes.
            ConfigurationError: A document has no vector, and the store no embedding function.
            PartialWriteError: Some could not be embedded or stored; ``error.report`` names them, the first
                one's error is the cause.
        """
        prepared = self._prepared(documents, ids, vectors)
        distinct = collapsed(prepared)
        taken = [stored.id for stored in self.read_stored([document.id for document in distinct], ())]
        if taken:
            raise DuplicateDocumentError(
                f"{len(taken)} of {counted(len(distinct), 'id')} {'exists' if len(taken) == 1 else 'exist'} "
                f"already in the index {self.index!r} (first: "
                f"{taken[0]!r}); nothing was written. Use upsert() to replace them.",
                ids=tuple(taken),
            )
        return self._write_all(prepared, distinct, "create")

    @final
    def upsert(
        self,
        documents: Iterable[Document],
        *,
        ids: Sequence[str | None] | None = None,
        vectors: Sequence[Any] | NDArray[Any] | None = None,
    ) -> WriteReport:
        """Write documents, replacing those whose ids exist as a whole: content, vector and metadata.

        For arguments and errors see :meth:`add`, except that existing ids are no error.
        """
        prepared = self._prepared(documents, ids, vectors)
        return self._write_all(prepared, collapsed(prepared), "replace")

    def _prepared(
        self,
        documents: Iterable[Document],
        ids: Sequence[str | None] | None,
        vectors: Sequence[Any] | NDArray[Any] | None,
    ) -> list[Prepared]:
        self._ready()
        writer = writing.StoreWriter(self)
        prepared = [writer.check(document) for document in prepare_all(documents, ids=ids, vectors=vectors)]
        _check_one_length(prepared)
        if any(document.vector is None for document in prepared):
            self.encoder.check_encodes()
        return prepared

    def _write_all(
        self, prepared: Sequence[Prepared], distinct: Sequence[Prepared], mode: Mode
    ) -> WriteReport:
        settings = UpsertSettings(
            mode=mode,
            batch_size=self.limits.max_documents,
            encoders=1,
            writers=1,
            max_workers=1,
            executor=InlineExecutor(),
        )
        self._claim()
        report = run_upsert(distinct, writing.StoreWriter(self), settings, total=len(distinct))
        repeated = len(prepared) - len(distinct)
        return replace(report, collapsed=repeated, ids=tuple(document.id for document in prepared))

    @final
    def upsert_parallel(
        self,
        documents: Iterable[Document],
        *,
        batch_size: int | None = None,
        max_workers: int | None = None,
        skip_unchanged: bool = False,
        on_error: OnError = "raise",
        retry: RetryPolicy | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        executor: Executor | None = None,
        cancel: threading.Event | None = None,
        max_failures: int = 1_000,
    ) -> WriteReport:
        """Write any number of documents with several threads, and account for each of them.

        The input is read once, in a bounded window, while earlier documents are embedded and written.
        Errors that may pass are retried; a batch that keeps failing is halved until the document that
        causes it stands alone; everything that can be written is written.

        Args:
            documents: Any iterable, or a LangChain loader with ``lazy_load()``.
            batch_size: Documents of a batch; by default what the backend likes best, less for few documents.
            max_workers: Threads; by default what embedding and backend can use.
            skip_unchanged: Neither embed nor write documents that are stored exactly so; where only
                metadata changed, write that and keep the vector. Run again after a crash to resume.
            on_error: ``"raise"`` a PartialWriteError at the end, or only ``"report"``.
            retry: Attempts and waits; see :class:`RetryPolicy`.
            callbacks: Called with a ``Progress`` after each batch, in the calling thread.
            progress: Show a progress bar.
            executor: Runs the batches instead of own threads. With Dask pass ``client.get_executor()``:
                the store then must be one on a server, and connects again in each worker.
            cancel: Set it, from any thread, to stop after what is in flight.
            max_failures: The run stops when so many documents have failed.

        Returns:
            The report; ``report.retry()`` sends what failed once more.

        Raises:
            PartialWriteError: Some documents failed, and ``on_error`` is ``"raise"``.
            SourceError: The iterable or a callback raised.
            ConfigurationError: The store has no embedding function, or an option is wrong.
            UpsertInterrupted: Ctrl-C; ``error.report`` is the account up to it.
            StoreLockedError: Another process writes to this directory; nothing was read or written.
        """
        self._ready()
        self.encoder.check_encodes()
        stream, total = writing.stream_of(documents)
        encoders, writers, workers = writing.worker_counts(self.encoder, self.limits, max_workers)
        settings = UpsertSettings(
            batch_size=(
                writing.batch_size(self.limits, total, positive("max_workers", workers))
                if batch_size is None
                else positive("batch_size", batch_size)
            ),
            encoders=encoders,
            writers=writers,
            max_workers=positive("max_workers", workers),
            skip_unchanged=checked_flag("skip_unchanged", skip_unchanged),
            on_error=writing.checked_on_error(on_error),
            retry=writing.checked_retry(retry),
            callbacks=writing.checked_callbacks(callbacks),
            executor=writing.checked_executor(executor, self.limits),
            cancel=writing.checked_cancel(cancel),
            max_failures=positive("max_failures", max_failures),
        )
        checked_flag("progress", progress)
        self._claim()
        with writing.progress_bar(settings, show=progress) as shown:
            return run_upsert(stream, writing.StoreWriter(self), shown, total=total)

    @final
    def replace(
        self,
        documents: Iterable[Document],
        filter: Mapping[str, Any],
        *,
        max_delete: int | None = None,
    ) -> ReplaceReport:
        """Write documents, then delete what the filter still matches and the new set lacks.

        Nothing is deleted unless every new document was written.

        Args:
            documents: The new set; must not be empty.
            filter: What the old set is, as in ``{"source": "report.pdf"}``.
            max_delete: See :meth:`delete_by_filter`; checked before anything is written, and again before
                anything is deleted.

        Raises:
            InvalidDocumentError: There are no documents.
            PartialWriteError: A document was not written; nothing was deleted.
            DeleteGuardError: More than ``max_delete`` would be deleted; nothing was.
        """
        self._refuse_everything(filter, None)
        _check_guard_values(None, max_delete)
        prepared = self._prepared(documents, None, None)
        if not prepared:
            raise InvalidDocumentError("replace() got no documents; to only delete use delete_by_filter().")
        collapsed(prepared)
        new = {document.id for document in prepared}
        if max_delete is not None:
            _check_guards(len(self._left_over(filter, new)), None, max_delete)
        write = self.upsert_parallel([document.document for document in prepared])
        old = self._left_over(filter, new)
        return ReplaceReport(
            write=write, delete=self._delete(old, expect=None, max_delete=max_delete, dry_run=False)
        )

    def _left_over(self, filter: Mapping[str, Any], new: Collection[str]) -> list[Stored]:
        return [stored for stored in self._matching(filter, None) if stored.id not in new]

    # -- read ---------------------------------------------------------------------------------------------

    @final
    def get(
        self,
        ids: Iterable[str] | None = None,
        *,
        filter: Mapping[str, Any] | None = None,
        contains: str | None = None,
        limit: int | None = None,
        include_vectors: bool = False,
    ) -> list[Record]:
        """Return documents by id, by filter, or both.

        Args:
            ids: Whose; the order is kept, ids that do not exist are left out. ``None``: any.
            filter: Which of them.
            contains: Text they must contain, case-sensitive.
            limit: At most how many; ``None`` for all.
            include_vectors: Whether to bring the vectors.
        """
        self._ready()
        if limit is not None:
            positive("limit", limit)
        wanted = checked_ids(ids)
        if wanted is None:
            found = self.scan(filter=filter, contains=contains, include_vectors=include_vectors)
        else:
            selection = Selection(filter=parse(filter), contains=checked_contains(contains))
            stored = {
                one.id: one for one in self.read_stored(wanted, _fields(include_vectors=include_vectors))
            }
            present = (stored[id_] for id_ in wanted if id_ in stored)
            found = (_record(one) for one in present if selection.accepts(one))
        return list(islice(found, limit))

    @final
    def scan(
        self,
        *,
        filter: Mapping[str, Any] | None = None,
        contains: str | None = None,
        native: Any = None,
        include_vectors: bool = False,
        batch_size: int = 1_000,
    ) -> Iterator[Record]:
        """Stream documents in no particular order, holding one batch of them (and at most all ids) in memory.

        Args:
            filter: Which; ``None`` for all.
            contains: Text they must contain, case-sensitive.
            native: A clause in the store's own query language; see :meth:`query`.
            include_vectors: Whether to bring the vectors.
            batch_size: How many to fetch at a time.
        """
        self._ready()
        positive("batch_size", batch_size)
        selection = self._selected(parse(filter), checked_contains(contains), native)
        fields = _fields(include_vectors=include_vectors)
        return (_record(stored) for stored in self._scanned(selection, fields, batch_size))

    def _selected(self, filter_: Filter, contains: str | None, native: Any) -> Selection:
        selection = self._select(filter_, contains)
        return selection if native is None else self._narrowed(selection, native)

    def _scanned(self, selection: Selection, fields: Fields, batch_size: int = 1_000) -> Iterator[Stored]:
        wanted = {*fields, *selection.needed}
        for batch in self._scan(selection.native, wanted, batch_size):
            yield from (stored for stored in batch if selection.accepts(stored))

    @final
    def count(
        self,
        filter: Mapping[str, Any] | None = None,
        *,
        contains: str | None = None,
        native: Any = None,
    ) -> int:
        """Return how many documents there are, or match; for the arguments see :meth:`query`."""
        self._ready()
        selection = self._selected(parse(filter), checked_contains(contains), native)
        if selection.exact:
            return self._count(selection.native)
        return sum(1 for _ in self._scanned(selection, ()))

    # -- delete -------------------------------------------------------------------------------------------

    @final
    def delete_by_filter(
        self,
        filter: Mapping[str, Any] | None = None,
        *,
        ids: Iterable[str] | None = None,
        dry_run: bool = False,
        expect: int | None = None,
        max_delete: int | None = None,
    ) -> DeleteReport:
        """Delete the documents that match the filter and, where given, have one of the ids.

        Args:
            filter: Which; ``None`` with ids for exactly those ids. An empty filter is refused.
            ids: Which; ids that do not exist are no error.
            dry_run: Only report what would be deleted.
            expect: Exactly how many it must be, or nothing is deleted.
            max_delete: At most how many it may be, or nothing is deleted.

        Returns:
            What was selected, and what was really deleted.

        Raises:
            InvalidFilterError: Nothing says what to delete, or the filter is wrong.
            DeleteGuardError: ``expect`` or ``max_delete`` does not hold; nothing was deleted.
        """
        wanted = checked_ids(ids)
        checked_flag("dry_run", dry_run)
        self._refuse_everything(filter, wanted)
        _check_guard_values(expect, max_delete)
        targets = list(self._matching(filter, wanted))
        return self._delete(targets, expect=expect, max_delete=max_delete, dry_run=dry_run)

    def _refuse_everything(self, filter: Mapping[str, Any] | None, ids: Sequence[str] | None) -> None:
        if filter is None and ids is None:
            raise InvalidFilterError(
                "Neither a filter nor ids say what to delete; to delete everything use "
                f"delete_index({self.index!r})."
            )
        if filter is not None and constant(parse(filter)) is True:
            ids_alone = "" if ids is None else "to delete just those ids leave it out; "
            raise InvalidFilterError(
                f"filter={filter!r:.80} lets every document through; {ids_alone}to delete everything use "
                f"delete_index({self.index!r})."
            )

    def _matching(self, filter: Mapping[str, Any] | None, ids: Sequence[str] | None) -> Iterator[Stored]:
        if ids is None:
            self._ready()
            self._refresh()
            # Other programs may write to the store, and it may be another one by now: what is to be deleted
            # is looked at, whatever the store's own filter says.
            selection = replace(self._select(parse(filter), None), filter=parse(filter))
            found = self._scanned(selection, ())
            return (replace(stored, text="", metadata={}) for stored in found)
        selection = Selection(filter=parse(filter))
        return (stored for stored in self.read_stored(ids, selection.needed) if selection.accepts(stored))

    def _delete(
        self, targets: Sequence[Stored], *, expect: int | None, max_delete: int | None, dry_run: bool
    ) -> DeleteReport:
        _check_guards(len(targets), expect, max_delete)
        ids = tuple(stored.id for stored in targets)
        if dry_run:
            return DeleteReport(matched=len(ids), deleted=0, dry_run=True, ids=ids)
        removals: list[Removal] = []
        try:
            for batch in chunks(targets, self.limits.max_documents):
                removals.append(self._remove(batch))  # noqa: PERF401 - what was done counts if one fails
        except VectorfaceError as error:
            deleted = sum(removal.deleted for removal in removals)
            error.add_note(f"At least {deleted} of {len(ids)} documents had been deleted by then.")
            raise
        finally:
            self.show_written()
        return DeleteReport(
            matched=len(ids),
            deleted=sum(removal.deleted for removal in removals),
            conflicts=tuple(id_ for removal in removals for id_ in removal.conflicts),
            ids=ids,
        )

    # -- search -------------------------------------------------------------------------------------------

    @final
    def query(
        self,
        text: str | None = None,
        *,
        vector: Any = None,
        k: int = 4,
        filter: Mapping[str, Any] | None = None,
        contains: str | None = None,
        native: Any = None,
        search_type: SearchType = "similarity",
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        min_score: float | None = None,
    ) -> list[Hit]:
        """Return the documents nearest to a text or vector, best first.

        Args:
            text: What to search for.
            vector: What to search for instead, of shape (d,).
            k: At most how many; more than the index holds is fine.
            filter: Which documents may be found; applied before the cut to ``k``. See ``vectorface.filters``.
            contains: Text they must contain, case-sensitive.
            native: A clause in the store's own query language that they must match, too: on Elasticsearch
                any query clause. It does not carry over to other backends.
            search_type: ``"similarity"``, or ``"mmr"`` for hits that differ from each other.
            fetch_k: How many candidates mmr chooses from; at least ``k``.
            lambda_mult: For mmr, from 0 (diverse) to 1 (near).
            min_score: Leave out what is further away, in the unit of the index's ``score_kind``.

        Returns:
            Hits with ``score`` and ``score_kind``; higher is nearer. mmr hits come in mmr order.

        Raises:
            InvalidQueryError: Neither or both of ``text`` and ``vector``, or a wrong option.
            InvalidFilterError: The filter is wrong, with the path to the fault.
            UnsupportedError: The backend takes no ``native`` clause.
        """
        search = checked_search(
            k=k,
            filter=filter,
            contains=contains,
            native=native,
            search_type=search_type,
            fetch_k=fetch_k,
            lambda_mult=lambda_mult,
            min_score=min_score,
        )
        return self._searched(search, [self._checked_query(text, vector)])[0]

    @final
    def query_batch(
        self,
        texts: Sequence[str],
        *,
        k: int = 4,
        filter: Mapping[str, Any] | None = None,
        contains: str | None = None,
        native: Any = None,
        search_type: SearchType = "similarity",
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        min_score: float | None = None,
    ) -> list[list[Hit]]:
        """Answer many queries in one request; for the options see :meth:`query`.

        Returns:
            One list of hits for each text, in order.
        """
        search = checked_search(
            k=k,
            filter=filter,
            contains=contains,
            native=native,
            search_type=search_type,
            fetch_k=fetch_k,
            lambda_mult=lambda_mult,
            min_score=min_score,
        )
        if isinstance(texts, str):
            raise InvalidQueryError("texts must be a list; for one text use query().")
        return self._searched(search, [self._checked_query(text, None) for text in texts])

    def _checked_query(self, text: object, vector: Any) -> Query:
        self._ready()
        if (text is None) == (vector is None):
            raise InvalidQueryError("Pass either text or vector to search for, not both or none.")
        if vector is None:
            return self._encoded(text)
        try:
            return Query(vector=self._checked(vector))
        except InvalidInputError as error:
            raise InvalidQueryError(str(error)) from None

    def _encoded(self, text: object) -> Query:
        query = checked_text(text)
        try:
            vector = offload(self.encoder.encode_query, query)
            return Query(text=query, vector=None if vector is None else self._checked(vector))
        except InvalidInputError as error:
            raise EmbeddingError(f"The embedding function gave an unusable vector: {error}") from error

    def _checked(self, vector: Any) -> Vector:
        return self.encoder.checked(vector, metric=self._metric, dimension=self._dimension, where="the query")

    def _searched(self, search: Search, queries: Sequence[Query]) -> list[list[Hit]]:
        if not queries:
            return []
        selection, kind = self._selected(search.filter, search.contains, search.native), self.score_kind
        fields = _fields(include_vectors=search.search_type == "mmr")
        if search.search_type == "mmr" and any(query.vector is None for query in queries):
            queries = self._with_vectors(queries)

        def fetch(query: Query, limit: int) -> Sequence[Stored]:
            return self._search([query], selection.native, limit, fields)[0]

        firsts = self._search(queries, selection.native, search.candidates, fields)
        return [
            [
                self._hit(stored)
                for stored in ranked(
                    search, query, verified(fetch, query, selection, first, search, kind=kind), kind
                )
            ]
            for query, first in zip(queries, firsts, strict=True)
        ]

    def _hit(self, stored: Stored) -> Hit:
        return Hit(
            document=_document(stored), score=stored.score, score_kind=self.score_kind, tokens=stored.tokens
        )

    # -- preprocess and LangChain -------------------------------------------------------------------------

    #: Cut books into chunks that know their chapter; see :func:`vectorface.preprocessing.preprocess`.
    preprocess = staticmethod(preprocess_documents)

    @final
    def as_vectorstore(self) -> VectorfaceVectorStore:
        """Return the store as a LangChain ``VectorStore``."""
        from vectorface.langchain import VectorfaceVectorStore  # noqa: PLC0415 - LangChain's base loads slowly

        return VectorfaceVectorStore(self)

    @final
    def as_retriever(
        self,
        *,
        search_type: Literal["similarity", "mmr", "similarity_score_threshold"] = "similarity",
        search_kwargs: Mapping[str, Any] | None = None,
        k: int | None = None,
        include_scores: bool = False,
    ) -> VectorfaceRetriever:
        """Return the store as a LangChain retriever.

        Args:
            search_type: ``similarity``, ``mmr``, or ``similarity_score_threshold``.
            search_kwargs: Options of each search (``k``, ``filter``, ``fetch_k``, ``score_threshold`` …);
                the retriever's ``search_kwargs`` may be changed later and takes effect at once.
            k: Short for ``search_kwargs={"k": k}``.
            include_scores: Whether to put ``score`` and ``score_kind`` into each document's metadata.
        """
        return self.as_vectorstore().as_retriever(
            search_type=search_type,
            search_kwargs={**(search_kwargs or {}), **({} if k is None else {"k": k})},
            include_scores=include_scores,
        )

    # -- async twins --------------------------------------------------------------------------------------

    acreate_index = twin_of(create_index)
    aget_index = twin_of(get_index)
    adelete_index = twin_of(delete_index)
    alist_indexes = twin_of(list_indexes)
    aadd = twin_of(add)
    aupsert = twin_of(upsert)
    aupsert_parallel = stoppable_in_thread(upsert_parallel)
    areplace = twin_of(replace)
    aget = twin_of(get)
    ascan = stream_twin_of(scan)
    acount = twin_of(count)
    adelete_by_filter = twin_of(delete_by_filter)
    aquery = twin_of(query)
    aquery_batch = twin_of(query_batch)
    aclose = twin_of(close)

    # -- chunked access to the primitives -----------------------------------------------------------------

    @final
    def read_stored(self, ids: Sequence[str], fields: Fields) -> Iterator[Stored]:
        """Read documents by id, a request's worth at a time (for the upserter)."""
        for batch in chunks(ids, self.limits.max_documents):
            yield from self._read(batch, fields)

    @final
    def show_written(self) -> None:
        """Make what was written visible to searches; if that fails, it is stored all the same."""
        if not self._shows_writes:
            return
        try:
            self._refresh()
        except VectorfaceError as error:
            _LOGGER.warning("What was written or deleted may not show in searches at once: %s", error)

    @final
    def write_entries(self, entries: Sequence[Entry], mode: Mode) -> Mapping[str, Exception]:
        """Write a batch (for the upserter); return the error of each document that was refused, by id."""
        refused = self._write(entries, mode)
        if self._dimension is None:
            written = (entry for entry in entries if entry.id not in refused)
            self._dimension = next((_length(entry.vector) for entry in written), None)
        return refused


def _reconnected(
    cls: type[VectorDBInterface], recipe: Mapping[str, Any], settings: ConnectionSettings
) -> Any:
    return cls(**recipe)._connect(settings)  # noqa: SLF001 - the other half of __reduce__


def _fields(*, include_vectors: bool) -> Fields:
    return (*DOCUMENT, "vector") if include_vectors else DOCUMENT


def _document(stored: Stored) -> Document:
    from langchain_core.documents import Document  # noqa: PLC0415 - loads slowly

    return Document(id=stored.id, page_content=stored.text, metadata=stored.metadata)


def _record(stored: Stored) -> Record:
    return Record(document=_document(stored), vector=stored.vector)


def _length(vector: Vector | None) -> int | None:
    """Return how many numbers the dense vector has, if there is one."""
    dense = vector.dense if isinstance(vector, Vectors) else vector
    return None if dense is None or isinstance(dense, Mapping) else len(dense)


def _check_one_length(documents: Sequence[Prepared]) -> None:
    """Raise where dense vectors of a call differ in length: an empty index has nothing to compare with."""
    lengths = [length for one in documents if (length := _length(one.vector)) is not None]
    odd = next((length for length in lengths if length != lengths[0]), None)
    if odd is not None:
        raise InvalidDocumentError(
            f"One vector of this call has {odd} numbers, the first has {lengths[0]}; all vectors of an index "
            "have one length."
        )


def _check_guard_values(expect: object, max_delete: object) -> None:
    for name, value in (("expect", expect), ("max_delete", max_delete)):
        if value is not None:
            whole(name, value, least=0)


def _check_guards(matched: int, expect: int | None, max_delete: int | None) -> None:
    if expect is not None and matched != expect:
        broken = f"expect={expect}"
    elif max_delete is not None and matched > max_delete:
        broken = f"max_delete={max_delete}"
    else:
        return
    raise DeleteGuardError(
        f"{counted(matched, 'document')} {'matches' if matched == 1 else 'match'}, {broken}; nothing was "
        "deleted. Look at what matches with delete_by_filter(..., dry_run=True)."
    )
