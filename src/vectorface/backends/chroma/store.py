"""ChromaDB: how Chroma says what the interface asks."""

from __future__ import annotations

import json
from collections.abc import Collection as Several
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT

from vectorface.backends.chroma.client import ChromaSettings, Link, Mode, link
from vectorface.backends.chroma.codec import PREFIX, decode, encode
from vectorface.backends.chroma.filters import NOTHING, superset
from vectorface.backends.chroma.translation import translated
from vectorface.encoding import DenseEncoder, EmbeddingsLike
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    DuplicateDocumentError,
    IndexExistsError,
    IndexNotFoundError,
    MissingExtraError,
)
from vectorface.filters import ALL, Filter
from vectorface.indexes import ConnectionSettings, IndexSpec
from vectorface.ingest import writer
from vectorface.interface import VectorDBInterface
from vectorface.primitives import Entry, Field, Fields, Removal, Selection, Stored
from vectorface.records import IndexInfo, Metric, Vector

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection
    from langchain_chroma import Chroma

_SPACES: Final[Mapping[Metric, str]] = {"cosine": "cosine", "l2": "l2", "dot": "ip"}
_METRICS: Final[Mapping[str, Metric]] = {space: metric for metric, space in _SPACES.items()}
_INCLUDE: Final[Mapping[Field, str]] = {"text": "documents", "metadata": "metadatas", "vector": "embeddings"}

#: Chroma takes 5,461 documents at once; SQLite 32,766 variables, of which a filter may need 8,000.
_MAX_DOCUMENTS: Final = 5_000
_MAX_BYTES: Final = 40_000_000
#: Names of one page of collections.
_PAGE: Final = 1_000
#: Chroma counts results in 32 bits.
_MOST_RESULTS: Final = 2**31 - 1


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
        self._link: Link | None = None
        self._handle: tuple[ClientAPI, Collection] | None = None

    # -- open and close -----------------------------------------------------------------------------------

    def connect(
        self,
        *,
        collection: str = "vectorface",
        mode: Mode | None = None,
        path: str | None = None,
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
            path: Directory of the persistent mode. One process may write to it at a time; others see
                what it writes.
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
            ConnectionFailedError: The server does not answer, or the path cannot be opened.
            IndexNotFoundError: The collection does not exist and ``create`` is false.
            IndexMismatchError: The collection was made with another embedding, dimension or metric.
        """
        given_server = host is not None or port is not None
        settings = ChromaSettings(
            index=collection,
            mode=mode or ("persistent" if path is not None else "server" if given_server else "memory"),
            path=None if path is None else str(path),
            host=host or "localhost",
            port=port or 8000,
            ssl=ssl,
            headers=dict(headers or {}),
            tenant=tenant,
            database=database,
            timeout=timeout,
            client=client,
            metric=metric,
            create=create,
        )
        _check(settings, given_server=given_server)
        return self._connect(settings)

    @classmethod
    def from_url(cls, url: str, *, embeddings: EmbeddingsLike = "minilm") -> Self:
        """Open ``chroma:``, ``chroma:PATH`` (``?collection=NAME``) or ``chroma+http://HOST:PORT/NAME``."""
        return cls(embeddings).connect(**_arguments(url))

    @property
    def client(self) -> ClientAPI:
        """Chroma's own client."""
        return self._linked.client

    @property
    def limits(self) -> writer.Limits:
        """What Chroma takes at once; vectors are counted as JSON, as a server gets them."""
        return writer.Limits(
            max_documents=_MAX_DOCUMENTS,
            max_bytes=_MAX_BYTES,
            bytes_per_number=22,
            batch_documents=256,
            writers=self._link.writers if self._link else 1,
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

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
            self._handle = None

    @property
    def _linked(self) -> Link:
        if self._link is None:
            self._ready()
            raise BackendError("The link to Chroma was lost; call connect() again.")
        return self._link

    # -- collections --------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Collection]:
        with translated(f"reading collection {self.index!r}"), self._linked.reading() as client:
            yield self._collection(client)

    @contextmanager
    def _writing(self) -> Iterator[Collection]:
        with translated(f"writing to collection {self.index!r}"), self._linked.writing() as client:
            yield self._collection(client)

    def _collection(self, client: ClientAPI) -> Collection:
        """Return the handle of the current collection, looked up once for each client."""
        handle = self._handle
        if handle is None or handle[0] is not client:
            handle = self._handle = client, client.get_collection(self.index, embedding_function=None)
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
                return IndexInfo(
                    name=name,
                    metric=_metric(collection),
                    dimension=collection.get_model()["dimension"],
                    count=collection.count(),
                    fingerprint=_fingerprint(collection),
                )
        except IndexNotFoundError:
            return None

    def _create(self, spec: IndexSpec) -> None:
        with translated(f"creating collection {spec.name!r}"), self._linked.writing() as client:
            try:
                client.create_collection(
                    spec.name,
                    configuration={"hnsw": {"space": _SPACES[spec.metric]}},
                    metadata={PREFIX: json.dumps(dict(spec.fingerprint))},
                    embedding_function=None,
                )
            except Exception as error:
                if "already exists" in str(error):
                    raise IndexExistsError(f"There is a collection {spec.name!r} already.") from error
                raise

    def _drop(self, name: str) -> None:
        with translated(f"deleting collection {name!r}"), self._linked.writing() as client:
            client.delete_collection(name)

    # -- reading ------------------------------------------------------------------------------------------

    def _select(self, filter_: Filter, contains: str | None) -> Selection:
        where = None if filter_ == ALL else superset(filter_)
        if where is NOTHING:
            return Selection(native=NOTHING)
        native = {"where": where, "where_document": {"$contains": contains} if contains else None}
        native = {name: value for name, value in native.items() if value}
        return Selection(native=native, filter=filter_, contains=contains)

    def _read(self, ids: Sequence[str], fields: Fields) -> list[Stored]:
        if not ids:
            return []
        with self._reading() as collection:
            return _rows(collection.get(ids=list(ids), include=_include(fields)))

    def _scan(self, native: Any, fields: Fields, batch_size: int) -> Iterator[Sequence[Stored]]:
        if native is NOTHING:
            return
        size, offset = min(batch_size, _MAX_DOCUMENTS), 0
        while True:
            with self._reading() as collection:
                found = collection.get(limit=size, offset=offset, include=_include(fields), **native)
            yield _rows(found)
            offset += len(found["ids"])
            if len(found["ids"]) < size:
                return

    def _count(self, native: Any) -> int:
        if native is NOTHING:
            return 0
        with self._reading() as collection:
            return collection.count()

    def _search(
        self, vectors: Sequence[Vector], native: Any, limit: int, fields: Fields
    ) -> list[list[Stored]]:
        if native is NOTHING:
            return [[] for _ in vectors]
        with self._reading() as collection:
            found = collection.query(
                query_embeddings=np.asarray(vectors, dtype=np.float32),
                n_results=min(limit, _MOST_RESULTS),
                include=[*_include(fields), "distances"],
                **native,
            )
        return [_rows(_one_query(found, i), metric=self.metric) for i in range(len(vectors))]

    # -- writing ------------------------------------------------------------------------------------------

    def _write(self, entries: Sequence[Entry], mode: writer.Mode) -> dict[str, Exception]:
        with self._writing() as collection:
            old = _old_keys(collection, entries)
            taken = {entry.id for entry in entries if mode == "create" and entry.id in old}
            _put(collection, [entry for entry in entries if entry.id not in taken], old, mode)
        return {
            id_: DuplicateDocumentError(
                f"The id {id_!r} exists already in collection {self.index!r}.", ids=(id_,)
            )
            for id_ in sorted(taken)
        }

    def _remove(self, targets: Sequence[Stored]) -> Removal:
        with self._writing() as collection:
            ids = [stored.id for stored in targets]
            # Chroma's own count is of the ids it was asked to delete, not of those that were there.
            present = set(collection.get(ids=ids, include=[])["ids"]) if ids else set()
            if present:
                collection.delete(ids=sorted(present))
        return Removal(deleted=len(present), conflicts=tuple(id_ for id_ in ids if id_ not in present))


def _old_keys(collection: Collection, entries: Sequence[Entry]) -> dict[str, Several[str]]:
    """Return the metadata keys of each document that exists."""
    found = collection.get(ids=[entry.id for entry in entries], include=["metadatas"])
    return {id_: metadata or () for id_, metadata in zip(found["ids"], found["metadatas"] or [], strict=True)}


def _put(
    collection: Collection, entries: Sequence[Entry], old: Mapping[str, Several[str]], mode: writer.Mode
) -> None:
    if not entries:
        return
    ids = [entry.id for entry in entries]
    metadatas: Any = [
        _replacing(encode(entry.metadata, entry.stamp), old.get(entry.id, ())) for entry in entries
    ]
    if mode == "metadata":
        collection.update(ids=ids, metadatas=metadatas)
        return
    collection.upsert(
        ids=ids,
        documents=[entry.text for entry in entries],
        embeddings=np.asarray([entry.vector for entry in entries], dtype=np.float32),
        metadatas=metadatas,
    )


def _replacing(new: dict[str, Any], old: Several[str]) -> dict[str, Any]:
    """Chroma merges metadata: a key that is gone has to be sent as None."""
    return {**dict.fromkeys(key for key in old if key not in new), **new}


def _include(fields: Fields) -> list[Any]:
    """Metadata holds the stamp, so it comes along with the text too."""
    return [_INCLUDE[field] for field in fields]


def _one_query(found: Any, i: int) -> dict[str, Any]:
    return {
        name: found[name][i] if found.get(name) is not None else None
        for name in ("ids", "documents", "metadatas", "embeddings", "distances")
    }


def _rows(found: Any, *, metric: Metric = "cosine") -> list[Stored]:
    """Turn Chroma's columns into documents."""
    columns = [found.get(name) for name in ("documents", "metadatas", "embeddings", "distances")]
    texts, metadatas, vectors, distances = columns
    rows = []
    for i, id_ in enumerate(found["ids"]):
        metadata, stamp = decode(metadatas[i]) if metadatas is not None else ({}, None)
        rows.append(
            Stored(
                id=id_,
                text=(texts[i] or "") if texts is not None else "",
                metadata=metadata,
                stamp=stamp,
                vector=None if vectors is None else np.asarray(vectors[i], dtype=np.float32),
                score=_score(distances[i], metric) if distances is not None else 0.0,
            )
        )
    return rows


def _score(distance: float, metric: Metric) -> float:
    """Turn Chroma's distance into a score: 1 - cos, squared distance, or 1 - dot product."""
    if metric == "l2":
        return 1 / (1 + distance)
    return max(-1.0, min(1.0, 1 - distance)) if metric == "cosine" else 1 - distance


def _metric(collection: Collection) -> Metric:
    configuration: Any = collection.configuration
    space = (configuration.get("hnsw") or configuration.get("spann") or {}).get("space", "l2")
    return _METRICS[space]


def _fingerprint(collection: Collection) -> Mapping[str, Any] | None:
    text = (collection.metadata or {}).get(PREFIX)
    return json.loads(text) if isinstance(text, str) else None


# -- arguments --------------------------------------------------------------------------------------------


def _check(settings: ChromaSettings, *, given_server: bool) -> None:
    """Raise ``ConfigurationError`` where arguments contradict each other."""
    if settings.client is not None and (settings.path is not None or given_server):
        raise ConfigurationError("client= is a connection already; leave path, host and port out.")
    if settings.mode == "persistent" and not settings.path:
        raise ConfigurationError("mode='persistent' needs path=, the directory to keep the data in.")
    if settings.path is not None and settings.mode != "persistent":
        raise ConfigurationError(f"path= belongs to mode='persistent', not to mode={settings.mode!r}.")
    if given_server and settings.mode != "server":
        raise ConfigurationError(f"host= and port= belong to mode='server', not to mode={settings.mode!r}.")


_URL_HELP: Final = "write 'chroma:' or 'chroma:PATH', each with '?collection=NAME' where wanted, or 'chroma+http://HOST:PORT/NAME'."


def _arguments(url: str) -> dict[str, Any]:
    """Return the arguments of ``connect`` that a URL stands for."""
    scheme, _, rest = url.partition(":")
    try:
        parts = urlsplit(rest)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is malformed ({error}); {_URL_HELP}") from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    collection = options.pop("collection", None)
    arguments: dict[str, Any]
    if scheme == "chroma":
        if parts.netloc:
            raise ConfigurationError(f"{url!r} names a host; {_URL_HELP}")
        arguments = {"path": unquote(parts.path)} if parts.path else {"mode": "memory"}
    else:
        if not parts.hostname:
            raise ConfigurationError(f"{url!r} names no host; {_URL_HELP}")
        collection = unquote(parts.path.strip("/")) or collection
        arguments = {"host": parts.hostname, "port": port or 8000, "ssl": scheme == "chroma+https"}
    if options:
        raise ConfigurationError(f"{url!r} has unknown options {sorted(options)}; {_URL_HELP}")
    return {**arguments, **({"collection": collection} if collection else {})}
