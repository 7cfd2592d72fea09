"""The values that pass between the interface and a backend: plain, frozen, already checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, TypeVar

from vectorface.filters import ALL, Filter, matches
from vectorface.metadata import Metadata
from vectorface.records import Vector

#: What a read is to bring along, besides the id.
Field: TypeAlias = Literal["text", "metadata", "vector"]
Fields: TypeAlias = Collection[Field]

T = TypeVar("T")

DOCUMENT: Final[Fields] = ("text", "metadata")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A document as a backend is to store it.

    Attributes:
        id: Its id.
        text: Its content.
        metadata: Its metadata, to be given back exactly.
        vector: Its vector; ``None`` where only metadata is to be written.
        stamp: An opaque string to be given back with it.
    """

    id: str
    text: str
    metadata: Metadata
    vector: Vector | None
    stamp: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A document as a backend found it; fields that were not asked for are empty.

    Attributes:
        id: Its id.
        text: Its content.
        metadata: Its metadata.
        vector: Its vector, shape (d,) and float32, or token weights.
        stamp: What was stored with it; ``None`` if something other than vectorface wrote it.
        version: What a backend needs to tell whether it changed since; ``None`` where it has none.
        score: How near it is to the query, in the unit of the index; 0 outside a search.
        tokens: Which tokens it shares with the query, with what each adds to the score, where that was asked.
    """

    id: str
    text: str = ""
    metadata: Metadata = field(default_factory=dict)
    vector: Vector | None = None
    stamp: str | None = None
    version: Any = None
    score: float = 0.0
    tokens: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What to search for: a text, a vector, or a text with the vector that was made of it.

    Attributes:
        text: The text; ``None`` where the caller gave a vector.
        vector: The vector, of shape (d,) and float32, or token weights; ``None`` where the encoder leaves
            it to the server to read the text.
    """

    text: str | None = None
    vector: Vector | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which documents a search, scan, count or delete is about.

    Attributes:
        native: The backend's own filter, which lets through at least those; ``None`` lets all through.
        filter: What still has to be verified on each document.
        contains: Text that still has to be looked for in each document.
    """

    native: Any = None
    filter: Filter = ALL
    contains: str | None = None

    @property
    def exact(self) -> bool:
        """Whether ``native`` says it all."""
        return self.filter == ALL and self.contains is None

    @property
    def needed(self) -> set[Field]:
        """Which fields :meth:`accepts` looks at."""
        fields: set[Field] = set()
        if self.filter != ALL:
            fields.add("metadata")
        if self.contains is not None:
            fields.add("text")
        return fields

    def accepts(self, stored: Stored) -> bool:
        """Verify what the backend's own filter could not."""
        if self.contains is not None and self.contains not in stored.text:
            return False
        return matches(self.filter, stored.metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """What a delete did.

    Attributes:
        deleted: Documents that were there and are gone now.
        conflicts: Ids that another writer changed or removed since they were read.
    """

    deleted: int
    conflicts: tuple[str, ...] = ()


def chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield slices of at most ``size`` values."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
