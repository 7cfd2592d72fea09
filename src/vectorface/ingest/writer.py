"""What the upserter needs from a store, and what a store tells about its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from vectorface.documents import Prepared
from vectorface.errors import BackendError
from vectorface.records import Vector

#: ``create``: only ids that are new. ``replace``: whole documents, new or not. ``metadata``: the metadata
#: of documents whose text and vector stay as they are; one that is gone by then is refused.
Mode: TypeAlias = Literal["create", "replace", "metadata"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much a store takes at once, and how much pays.

    Attributes:
        max_documents: Most documents of one request.
        max_bytes: Most bytes of one request.
        bytes_per_number: What one number of a vector takes in a request: 4 in memory, about 22 as JSON.
        batch_documents: Documents of a batch that pay best.
        writers: Threads that pay in writing at the same time.
        processes: Whether several processes may write at the same time.
    """

    max_documents: int = 5_000
    max_bytes: int = 50_000_000
    bytes_per_number: int = 4
    batch_documents: int = 128
    writers: int = 1
    processes: bool = True

    def size(self, document: Prepared, dimension: int | None) -> int:
        """Return about how many bytes ``document`` takes in a request, its vector included."""
        return document.size + self.bytes_per_number * (dimension or 0)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a store remembers of a document, to tell later whether it is the same.

    Attributes:
        content: Over its text and what gave it its vector.
        metadata: Over its metadata.
    """

    content: str
    metadata: str

    def __str__(self) -> str:
        return f"{self.content}:{self.metadata}"

    @classmethod
    def parse(cls, text: str) -> Stamp:
        """Read what ``str(stamp)`` wrote."""
        content, _, metadata = text.partition(":")
        return cls(content, metadata)


def same_content(stamp: str | None, other: str | None) -> bool:
    """Tell whether two stamps are of one text, with one vector."""
    if stamp is None or other is None:
        return False
    return Stamp.parse(stamp).content == Stamp.parse(other).content


def changed_meanwhile(id_: str) -> BackendError:
    """Return the error of a document that is another now than the one whose metadata was to be written."""
    return BackendError(
        f"{id_!r} was replaced or deleted by another writer while its metadata was being updated; upsert it "
        "again."
    )


class Writer(Protocol):
    """The part of a store that the upserter drives; it must be safe to call from several threads."""

    @property
    def limits(self) -> Limits:
        """What one request may hold."""
        ...

    @property
    def dimension(self) -> int | None:
        """Length of the vectors, where known."""
        ...

    def check(self, document: Prepared) -> Prepared:
        """Return the document if the store can take it, or raise ``InvalidInputError``."""
        ...

    def encode(self, texts: Sequence[str]) -> Sequence[Vector | None]:
        """Return one vector for each text; ``None`` where the store makes them."""
        ...

    def write(self, batch: Sequence[Prepared], mode: Mode) -> Mapping[str, Exception]:
        """Write a batch; return the error of each document that the store refused, by id."""
        ...

    def stamp(self, document: Prepared) -> Stamp:
        """Return the stamp that the document gets when it is written."""
        ...

    def stored_stamps(self, ids: Sequence[str]) -> Mapping[str, Stamp]:
        """Return the stamps of the documents that are there and still are what their stamp says."""
        ...

    def show(self) -> None:
        """Make what was written visible to searches; it is stored all the same, so this never raises."""
        ...

    def close(self) -> None:
        """Let go of the store, if this is a copy in another process."""
        ...
