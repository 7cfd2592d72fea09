"""The reference backend: everything in this process, exact, in numpy."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import unquote

import numpy as np

from vectorface.encoding import DenseEncoder, EmbeddingsLike
from vectorface.errors import ConfigurationError, DuplicateDocumentError, IndexExistsError, IndexNotFoundError
from vectorface.filters import Filter
from vectorface.indexes import ConnectionSettings, IndexSpec, beside, shown_url
from vectorface.ingest.writer import Limits, Mode, changed_meanwhile, same_content
from vectorface.interface import VectorDBInterface
from vectorface.primitives import Entry, Fields, Query, Removal, Selection, Stored, chunks
from vectorface.records import IndexInfo, Metric, Vector
from vectorface.searching import exact_scores

_LIMITS: Final = Limits(max_documents=100_000, max_bytes=1 << 40, processes=False, writers=1)


@dataclass
class _Index:
    spec: IndexSpec
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def dimension(self) -> int | None:
        first = next(iter(self.entries.values()), None)
        return self.spec.dimension if first is None else len(_dense(first.vector))


class InMemoryDB(VectorDBInterface):
    """A store in this process's memory: exact, and the reference for every contract.

    Each object has indexes of its own, which are gone when it is closed.

    Args:
        embeddings: ``"minilm"`` for the default model, any LangChain ``Embeddings``, or ``None`` if you
            bring your own vectors.

    Example:
        >>> store = InMemoryDB(embeddings=None).connect(index="stories")
        >>> store.list_indexes()
        ['stories']
    """

    def __init__(self, embeddings: EmbeddingsLike = "minilm") -> None:
        super().__init__(DenseEncoder(embeddings))
        self._indexes: dict[str, _Index] = {}

    def connect(
        self, *, index: str = "vectorface", metric: Metric | None = None, create: bool = True
    ) -> Self:
        """Open an index, making it if need be.

        Args:
            index: Its name.
            metric: ``cosine`` (the default for a new index), ``l2`` or ``dot``.
            create: Whether to make it where it does not exist.

        Raises:
            IndexNotFoundError: It does not exist and ``create`` is false.
            IndexMismatchError: It was made with another embedding or metric.
        """
        return self._connect(ConnectionSettings(index=index, metric=metric, create=create))

    @classmethod
    def from_url(cls, url: str, *, embeddings: Any = "minilm", **options: Any) -> Self:
        """Open ``memory:NAME``."""
        name = url.partition(":")[2]
        if set(name) & set("/?#@"):
            raise ConfigurationError(f"{shown_url(url)} should read 'memory:NAME', as in 'memory:stories'.")
        said = {"index": unquote(name) or "vectorface"}
        return cls(embeddings).connect(**beside(said, options, cls.connect))

    @property
    def client(self) -> Mapping[str, Any]:
        """The indexes, by name."""
        return self._indexes

    @property
    def limits(self) -> Limits:
        """No limits of its own."""
        return _LIMITS

    def _recipe(self) -> Mapping[str, Any]:
        raise ConfigurationError("An in-memory store lives in one process; use a server for several.")

    def _open(self, settings: ConnectionSettings) -> None:
        pass

    def _close(self) -> None:
        self._indexes = {}

    # -- indexes ------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return list(self._indexes)

    def _describe(self, name: str) -> IndexInfo | None:
        index = self._indexes.get(name)
        if index is None:
            return None
        with self._lock:  # nobody adds to it while it is looked at
            return IndexInfo(
                name=name,
                metric=index.spec.metric,
                dimension=index.dimension,
                count=len(index.entries),
                fingerprint=index.spec.fingerprint,
            )

    def _create(self, spec: IndexSpec) -> None:
        with self._lock:
            if spec.name in self._indexes:
                raise IndexExistsError(f"There is an index {spec.name!r} already.")
            self._indexes[spec.name] = _Index(spec)

    def _drop(self, name: str) -> None:
        del self._indexes[name]

    @property
    def _entries(self) -> dict[str, Entry]:
        index = self._indexes.get(self.index)
        if index is None:
            raise IndexNotFoundError(f"The index {self.index!r} was deleted; connect() makes it anew.")
        return index.entries

    # -- documents ----------------------------------------------------------------------------------------

    def _select(self, filter_: Filter, contains: str | None) -> Selection:
        return Selection(filter=filter_, contains=contains)

    def _read(self, ids: Sequence[str], fields: Fields) -> list[Stored]:
        entries = self._entries
        return [_stored(entries[id_], fields) for id_ in ids if id_ in entries]

    def _scan(self, native: Any, fields: Fields, batch_size: int) -> Iterator[Sequence[Stored]]:
        del native  # nothing is translated: every document is verified
        for batch in chunks(list(self._entries.values()), batch_size):
            yield [_stored(entry, fields) for entry in batch]

    def _count(self, native: Any) -> int:
        del native
        return len(self._entries)

    def _search(
        self, queries: Sequence[Query], native: Any, limit: int, fields: Fields
    ) -> list[list[Stored]]:
        del native
        entries = list(self._entries.values())
        if not entries:
            return [[] for _ in queries]
        matrix = np.array([_dense(entry.vector) for entry in entries], dtype=np.float64)
        results = []
        for query in queries:
            scores = exact_scores(matrix, _dense(query.vector), self.metric)
            order = np.argsort(-scores, kind="stable")[:limit]
            results.append([_stored(entries[i], fields, score=float(scores[i])) for i in order])
        return results

    def _write(self, entries: Sequence[Entry], mode: Mode) -> dict[str, Exception]:
        with self._lock:
            known = self._entries
            refused = {
                entry.id: error
                for entry in entries
                if (error := _refusal(entry, known.get(entry.id), mode)) is not None
            }
            for entry in entries:
                if entry.id not in refused:
                    known[entry.id] = _kept(entry, known.get(entry.id), mode)
        return refused

    def _remove(self, targets: Sequence[Stored]) -> Removal:
        with self._lock:
            entries = self._entries
            deleted = sum(entries.pop(stored.id, None) is not None for stored in targets)
        return Removal(deleted=deleted)


def _refusal(entry: Entry, old: Entry | None, mode: Mode) -> Exception | None:
    if mode == "create" and old is not None:
        return DuplicateDocumentError(f"The id {entry.id!r} exists already.", ids=(entry.id,))
    if mode == "metadata" and (old is None or not same_content(old.stamp, entry.stamp)):
        return changed_meanwhile(entry.id)
    return None


def _kept(entry: Entry, old: Entry | None, mode: Mode) -> Entry:
    vector = old.vector if mode == "metadata" and old else _dense(entry.vector).copy()
    return Entry(id=entry.id, text=entry.text, metadata=entry.metadata, vector=vector, stamp=entry.stamp)


def _stored(entry: Entry, fields: Fields, *, score: float = 0.0) -> Stored:
    return Stored(
        id=entry.id,
        text=entry.text,
        metadata=copy.deepcopy(entry.metadata) if "metadata" in fields else {},
        vector=_dense(entry.vector).copy() if "vector" in fields else None,
        stamp=entry.stamp,
        score=score,
    )


def _dense(vector: Vector | None) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.asarray(vector, dtype=np.float32)
