"""What a backend implements: narrow primitives over values that are checked already.

A backend only says how its server or library puts things. It neither validates nor retries nor divides into
batches: :class:`vectorface.interface.VectorDBInterface` does, once for all of them.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from vectorface.errors import UnsupportedError
from vectorface.filters import Filter
from vectorface.indexes import IndexSpec
from vectorface.ingest.writer import Limits, Mode
from vectorface.primitives import Entry, Fields, Query, Removal, Selection, Stored
from vectorface.records import IndexInfo


class Backend(ABC):
    """The primitives under ``VectorDBInterface``; errors of the library are raised as vectorface's own."""

    @classmethod
    @abstractmethod
    def from_url(cls, url: str, *, embeddings: Any = "minilm", **options: Any) -> Self:
        """Return a connected store for a URL whose scheme the backend registered.

        Args:
            url: Where.
            embeddings: What turns text into vectors.
            **options: Arguments of the backend's own ``connect`` that the URL does not say.
        """

    @property
    @abstractmethod
    def client(self) -> Any:
        """The wrapped library's own client."""

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """How much one request may hold, and how many threads pay."""

    async def _asynchronously(self, call: Callable[[], Any]) -> Any:
        """Run a synchronous method beside an event loop: by default in a worker thread."""
        return await asyncio.to_thread(call)

    @abstractmethod
    def _recipe(self) -> Mapping[str, Any]:
        """Return the constructor's arguments, to make the store again in another process."""

    @abstractmethod
    def _open(self, settings: Any) -> None:
        """Reach the server or path."""

    def _claim(self) -> None:
        """Take the right to write before a write begins; ``StoreLockedError`` if another process has it."""
        return  # most stores let everyone write

    def _refresh(self) -> None:
        """Make what was written visible to searches: when a write ends, and before a delete looks."""
        return  # most stores show it at once

    @property
    def _shows_writes(self) -> bool:
        """Whether a write ends with that."""
        return True

    @abstractmethod
    def _close(self) -> None:
        """Let go of what ``_open`` took."""

    @abstractmethod
    def _names(self) -> list[str]:
        """Return the names of all indexes."""

    @abstractmethod
    def _describe(self, name: str) -> IndexInfo | None:
        """Describe an index; ``None`` if there is none."""

    def _check_suits(self, info: IndexInfo) -> None:
        """Raise ``IndexMismatchError`` if an index that something else made cannot be searched as we do."""
        del info  # most stores' indexes are all of one kind

    @abstractmethod
    def _create(self, spec: IndexSpec) -> None:
        """Make an index; ``IndexExistsError`` if there is one."""

    @abstractmethod
    def _drop(self, name: str) -> None:
        """Delete an index that exists."""

    @abstractmethod
    def _select(self, filter_: Filter, contains: str | None) -> Selection:
        """Translate what can be translated; leave the rest to be verified."""

    def _narrowed(self, selection: Selection, native: Any) -> Selection:
        """Add a clause in the store's own query language."""
        del selection, native
        raise UnsupportedError(
            f"native=: {type(self).__name__} takes no clauses of its own; say it with filter= and contains=."
        )

    @abstractmethod
    def _read(self, ids: Sequence[str], fields: Fields) -> Iterable[Stored]:
        """Read documents by id, in any order; at most ``limits.max_documents``."""

    @abstractmethod
    def _scan(self, native: Any, fields: Fields, batch_size: int) -> Iterator[Sequence[Stored]]:
        """Yield all documents that pass the native filter, in batches."""

    @abstractmethod
    def _count(self, native: Any) -> int:
        """Count the documents that pass the native filter."""

    def _with_vectors(self, queries: Sequence[Query]) -> Sequence[Query]:
        """Return the queries with their vectors, for mmr, where the server makes those of texts."""
        return queries  # most servers do not, or the encoder has made them

    @abstractmethod
    def _search(
        self, queries: Sequence[Query], native: Any, limit: int, fields: Fields
    ) -> Sequence[Sequence[Stored]]:
        """For each query return up to ``limit`` nearest documents that pass, best first, with scores."""

    @abstractmethod
    def _write(self, entries: Sequence[Entry], mode: Mode) -> Mapping[str, Exception]:
        """Write a batch; return the error of each document that was refused, by id."""

    @abstractmethod
    def _remove(self, targets: Sequence[Stored]) -> Removal:
        """Delete documents as they were read; count what was really deleted."""
