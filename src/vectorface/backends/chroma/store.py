"""ChromaDB: how Chroma says what the interface asks."""

from __future__ import annotations

import json
import os
from collections.abc import Collection as Several
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT

from vectorface.backends.chroma import arguments
from vectorface.backends.chroma.claims import Claims
from vectorface.backends.chroma.client import ChromaSettings, Link, Mode, link
from vectorface.backends.chroma.codec import PREFIX, encode, native_text
from vectorface.backends.chroma.engine import MAX_DOCUMENTS
from vectorface.backends.chroma.filters import NOTHING, superset
from vectorface.backends.chroma.finding import Finder, passing
from vectorface.backends.chroma.leftovers import delete_collection
from vectorface.backends.chroma.results import SPACES, info, rows
from vectorface.backends.chroma.translation import translated
from vectorface.encoding import DenseEncoder, EmbeddingsLike
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    DuplicateDocumentError,
    IndexExistsError,
    IndexNotFoundError,
    MissingExtraError,
    NotConnectedError,
)
from vectorface.filters import ALL, Filter
from vectorface.indexes import ConnectionSettings, IndexSpec, beside, checked_headers
from vectorface.ingest import writer
from vectorface.interface import VectorDBInterface
from vectorface.primitives import Entry, Field, Fields, Query, Removal, Selection, Stored, chunks
from vectorface.records import IndexInfo, Metric

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection
    from langchain_chroma import Chroma

_INCLUDE: Final[Mapping[Field, str]] = {"text": "documents", "metadata": "metadatas", "vector": "embeddings"}

#: A server refuses bodies above 40 MiB.
_MAX_BYTES: Final = 40_000_000
#: SQLite takes patterns of up to 50,000 bytes; for longer texts Chroma is asked for how they begin.
_LONGEST_NEEDLE: Final = 10_000
#: Names of one page of collections.
_PAGE: Final = 1_000


class ChromaDB(VectorDBInterface):
    """Chroma behind the interface: in memory, in a directory, or on a server.

    Args:
        embeddings: ``"minilm"`` for the default model, any LangChain ``Embeddings``, or ``None`` if you
            bring your own vectors.

    Example:
        >>> with ChromaDB(embeddings=None).connect(collection="stories") as store:
        ...     store.metric, store.count()
        ('cosine', 0)
    """

    def __init__(self, embeddings: EmbeddingsLike = "minilm") -> None:
        self._encoder = DenseEncoder(embeddings)
        super().__init__(self._encoder)
        self._claims = Claims()
        self._link: Link | None = None
        self._process = os.getpid()
        self._handle: tuple[ClientAPI, Collection] | None = None

    # -- open and close -----------------------------------------------------------------------------------

    def connect(
        self,
        *,
        collection: str = "vectorface",
        mode: Mode | None = None,
        path: str | Path | None = None,
        host: str | None = None,
        port: int | None = None,
        ssl: bool = False,
        headers: Mapping[str, str] | None = None,
        tenant: str = DEFAULT_TENANT,
        database: str = DEFAULT_DATABASE,
        timeout: float = 60.0,
        client: ClientAPI | None = None,
        metric: Metric | None = None,
        create: bool = True,
    ) -> Self:
        """Open a collection, making it if need be; calling it again with the same arguments does nothing.

        Args:
            collection: Its name.
            mode: ``"memory"`` (gone when closed), ``"persistent"`` (needs ``path``) or ``"server"``; by
                default what ``path`` or ``host`` suggest, else memory.
            path: Directory of the persistent mode; ``~`` is your home. One process may write to it at a
                time; others see what it writes.
            host: Name of the server; ``localhost`` by default.
            port: Port of the server; 8000 by default.
            ssl: Whether to speak HTTPS.
            headers: Sent with each request, to authenticate for example.
            tenant: Tenant on the server.
            database: Database on the server.
            timeout: Seconds to wait for an answer of the server.
            client: A client you have already, instead of all the above; it stays open on ``close()``.
            metric: ``cosine`` (the default for a new collection), ``l2`` or ``dot``.
            create: Whether to make the collection where it does not exist.

        Raises:
            ConfigurationError: The arguments do not fit together.
            ConnectionFailedError: There is no server, or the path cannot be opened.
            TransientError: The server does not answer within ``timeout``.
            IndexNotFoundError: The collection does not exist and ``create`` is false.
            IndexMismatchError: The collection was made with another embedding, dimension or metric.
        """
        on_server = host is not None or port is not None
        guessed: Mode = "persistent" if path is not None else "server" if on_server else "memory"
        settings = ChromaSettings(
            index=collection,
            mode=guessed if mode is None else mode,
            path=None if path is None else arguments.absolute(path),
            host="localhost" if host is None else host,
            port=8000 if port is None else port,
            ssl=ssl,
            headers=checked_headers(headers),
            tenant=tenant,
            database=database,
            timeout=timeout,
            client=client,
            metric=metric,
            create=create,
        )
        given = {"mode": mode, "host": host, "port": port}
        arguments.check(settings, given={name for name, value in given.items() if value is not None})
        return self._connect(settings)

    @classmethod
    def from_url(cls, url: str, *, embeddings: EmbeddingsLike = "minilm", **options: Any) -> Self:
        """Open ``chroma:``, ``chroma:PATH`` (``?collection=NAME``) or ``chroma+http://HOST:PORT/NAME``."""
        return cls(embeddings).connect(**beside(arguments.of_url(url), options, cls.connect))

    @property
    def client(self) -> ClientAPI:
        """Chroma's own client."""
        return self._linked.client

    @property
    def limits(self) -> writer.Limits:
        """What Chroma takes at once; vectors are counted as JSON, as a server gets them."""
        return writer.Limits(
            max_documents=self._link.max_documents if self._link else MAX_DOCUMENTS,
            max_bytes=_MAX_BYTES,
            bytes_per_number=22,
            writers=self._link.writers if self._link else 1,
            processes=self._link.processes if self._link else False,
        )

    def as_langchain_chroma(self) -> Chroma:
        """Return a ``langchain_chroma.Chroma`` on the same client and collection.

        What it writes is plain to vectorface; only, it does not tell other processes that read the same
        directory, which see it after the next write of this store.

        Raises:
            MissingExtraError: langchain-chroma is not installed.
        """
        try:
            from langchain_chroma import Chroma  # noqa: PLC0415 - an optional package
        except ImportError as error:
            raise MissingExtraError("as_langchain_chroma() needs: pip install langchain-chroma") from error
        return Chroma(
            client=self.client,
            collection_name=self.index,
            embedding_function=self._encoder.embeddings,
            create_collection_if_not_exists=False,
        )

    def _recipe(self) -> Mapping[str, Any]:
        settings = self._ready()
        if isinstance(settings, ChromaSettings) and settings.mode == "memory":
            raise ConfigurationError("An in-memory Chroma lives in one process; use a server for several.")
        return {"embeddings": self._encoder.embeddings}

    def _open(self, settings: ConnectionSettings) -> None:
        assert isinstance(settings, ChromaSettings)  # noqa: S101 - connect() makes nothing else
        self._link = link(settings)
        self._process = os.getpid()

    def _close(self) -> None:
        if self._link is not None and self._process == os.getpid():
            self._link.close()
        self._link = self._handle = None

    def _claim(self) -> None:
        self._linked.claim()

    @property
    def _linked(self) -> Link:
        if self._link is None:
            raise NotConnectedError("ChromaDB is not connected: call connect() first.")
        if self._process != os.getpid():
            raise NotConnectedError(
                f"{self!r} was connected before the process forked, and Chroma does not live on in the "
                "child: make and connect a store of its own there."
            )
        return self._link

    # -- collections --------------------------------------------------------------------------------------

    def _reading(self) -> AbstractContextManager[Collection]:
        return self._opened("reading", self._linked.reading())

    def _writing(self) -> AbstractContextManager[Collection]:
        return self._opened("writing to", self._linked.writing())

    @contextmanager
    def _opened(self, doing: str, access: AbstractContextManager[ClientAPI]) -> Iterator[Collection]:
        try:
            with translated(f"{doing} collection {self.index!r}"), access as client:
                yield self._collection(client)
        except IndexNotFoundError:
            self._handle = None  # there may be a new one of this name by the next call
            raise

    def _collection(self, client: ClientAPI) -> Collection:
        """Return the handle of the current collection, looked up and checked once for each client."""
        handle = self._handle
        if handle is None or handle[0] is not client or handle[1].name != self.index:
            handle = client, client.get_collection(self.index, embedding_function=None)
            self.encoder.fingerprint(self.metric).check(info(handle[1], count=0))
            self._handle = handle
        return handle[1]

    def _names(self) -> list[str]:
        with translated("listing collections"), self._linked.reading() as client:
            names: list[str] = []
            while page := client.list_collections(limit=_PAGE, offset=len(names)):
                names += [collection.name for collection in page]
            return names

    def _describe(self, name: str) -> IndexInfo | None:
        try:
            with translated(f"looking up collection {name!r}"), self._linked.reading() as client:
                collection = client.get_collection(name, embedding_function=None)
                return info(collection, count=collection.count())
        except IndexNotFoundError:
            return None

    def _create(self, spec: IndexSpec) -> None:
        with translated(f"creating collection {spec.name!r}"), self._linked.writing() as client:
            try:
                client.create_collection(
                    spec.name,
                    configuration={"hnsw": {"space": SPACES[spec.metric]}},
                    metadata={PREFIX: json.dumps(dict(spec.fingerprint))},
                    embedding_function=None,
                )
            except Exception as error:
                if "already exists" in str(error):
                    raise IndexExistsError(f"There is a collection {spec.name!r} already.") from error
                raise

    def _drop(self, name: str) -> None:
        with translated(f"deleting collection {name!r}"), self._linked.writing() as client:
            delete_collection(client, name)
        self._handle = None

    # -- reading ------------------------------------------------------------------------------------------

    def _select(self, filter_: Filter, contains: str | None) -> Selection:
        where = None if filter_ == ALL else superset(filter_)
        if where is NOTHING:
            return Selection(native=NOTHING)
        native = {
            "where": where,
            "where_document": {"$contains": native_text(contains)[:_LONGEST_NEEDLE]} if contains else None,
        }
        native = {name: value for name, value in native.items() if value}
        return Selection(native=native, filter=filter_, contains=contains)

    def _read(self, ids: Sequence[str], fields: Fields) -> list[Stored]:
        if not ids:
            return []
        with self._reading() as collection:
            return rows(collection.get(ids=list(ids), include=_include(fields)))

    def _scan(self, native: Any, fields: Fields, batch_size: int) -> Iterator[Sequence[Stored]]:
        if native is NOTHING:
            return
        with self._reading() as collection:
            ids = passing(collection, native)  # at once: pages would shift when somebody deletes
        for part in chunks(ids, min(batch_size, MAX_DOCUMENTS)):
            yield self._read(part, fields) if fields else [Stored(id=id_) for id_ in part]

    def _count(self, native: Any) -> int:
        if native is NOTHING:
            return 0
        with self._reading() as collection:
            return collection.count()

    def _search(
        self, queries: Sequence[Query], native: Any, limit: int, fields: Fields
    ) -> list[list[Stored]]:
        if native is NOTHING:
            return [[] for _ in queries]
        with self._reading() as collection:
            finder = Finder(
                collection=collection, native=native, metric=self.metric, include=_include(fields)
            )
            return finder.nearest([query.vector for query in queries], limit)

    # -- writing ------------------------------------------------------------------------------------------

    def _write(self, entries: Sequence[Entry], mode: writer.Mode) -> dict[str, Exception]:
        with self._claims.on(entry.id for entry in entries), self._writing() as collection:
            old = _old_keys(collection, entries)
            refused = {entry.id for entry in entries if _stands_against(entry.id in old, mode)}
            sent = [entry for entry in entries if entry.id not in refused]
            if sent:
                _put(collection, sent, old, mode)
            if sent and mode == "create":
                refused |= _overtaken(collection, sent)
        return {id_: self._refusal(id_, mode) for id_ in sorted(refused)}

    def _refusal(self, id_: str, mode: writer.Mode) -> Exception:
        if mode == "metadata":
            return BackendError(
                f"{id_!r} was deleted from collection {self.index!r} while it was being updated; upsert it "
                "again."
            )
        return DuplicateDocumentError(
            f"The id {id_!r} exists already in collection {self.index!r}.", ids=(id_,)
        )

    def _remove(self, targets: Sequence[Stored]) -> Removal:
        ids = [stored.id for stored in targets]
        with self._claims.on(ids), self._writing() as collection:
            # Chroma's own count is of the ids it was asked to delete, not of those that were there.
            present = set(collection.get(ids=ids, include=[])["ids"]) if ids else set()
            if present:
                collection.delete(ids=sorted(present))
        return Removal(deleted=len(present), conflicts=tuple(id_ for id_ in ids if id_ not in present))


def _old_keys(collection: Collection, entries: Sequence[Entry]) -> dict[str, Several[str]]:
    """Return the metadata keys of each document that exists."""
    found = collection.get(ids=[entry.id for entry in entries], include=["metadatas"])
    return {id_: metadata or () for id_, metadata in zip(found["ids"], found["metadatas"] or [], strict=True)}


def _stands_against(exists: bool, mode: writer.Mode) -> bool:  # noqa: FBT001 - read as a sentence
    """Tell whether a document that exists, or does not, is in the way of a write."""
    return exists if mode == "create" else not exists and mode == "metadata"


def _put(
    collection: Collection, entries: Sequence[Entry], old: Mapping[str, Several[str]], mode: writer.Mode
) -> None:
    ids = [entry.id for entry in entries]
    metadatas: Any = [
        _replacing(encode(entry.metadata, entry.stamp, entry.text), old.get(entry.id, ()))
        for entry in entries
    ]
    if mode == "metadata":
        collection.update(ids=ids, metadatas=metadatas)
        return
    send = collection.add if mode == "create" else collection.upsert
    send(
        ids=ids,
        documents=[native_text(entry.text) for entry in entries],
        embeddings=np.asarray([entry.vector for entry in entries], dtype=np.float32),
        metadatas=metadatas,
    )


def _overtaken(collection: Collection, entries: Sequence[Entry]) -> set[str]:
    """Return the ids that another writer added in this very moment: Chroma passes over ours in silence."""
    found = collection.get(ids=[entry.id for entry in entries], include=["metadatas"])
    stamps = {stored.id: stored.stamp for stored in rows(found)}
    return {entry.id for entry in entries if stamps.get(entry.id, entry.stamp) != entry.stamp}


def _replacing(new: dict[str, Any], old: Several[str]) -> dict[str, Any]:
    """Chroma merges metadata: a key that is gone has to be sent as None."""
    return {**dict.fromkeys(key for key in old if key not in new), **new}


def _include(fields: Fields) -> list[Any]:
    """Metadata tells the exact text, so it comes along with it."""
    needed: set[Field] = {*fields, "metadata"} if "text" in fields else set(fields)
    return [_INCLUDE[field] for field in sorted(needed)]
