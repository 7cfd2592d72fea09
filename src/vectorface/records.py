"""What the methods of a store return: frozen values with a readable ``repr``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.documents import Document
    from numpy.typing import NDArray


class Vectors(NamedTuple):
    """Both vectors of one text, for stores that search by both.

    Attributes:
        dense: A dense vector of shape (d,).
        tokens: Token weights.
    """

    dense: NDArray[np.float32]
    tokens: Mapping[str, float]


#: A dense vector of shape (d,), or token weights, or both.
Vector: TypeAlias = "NDArray[np.float32] | Mapping[str, float] | Vectors"
Metric: TypeAlias = Literal["cosine", "l2", "dot"]
#: Which unit a score has. ``cosine``: the cosine, in [-1, 1]. ``l2``: 1 / (1 + squared distance), in (0, 1].
#: ``dot``, ``sparse``: the product, unbounded. ``bm25``, ``rrf``: as their formulas give them, unbounded.
ScoreKind: TypeAlias = Literal["cosine", "l2", "dot", "sparse", "bm25", "rrf"]
Stop: TypeAlias = Literal["cancelled", "interrupted", "max_failures", "source_error"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A stored document, with its vector where that was asked for."""

    document: Document
    vector: Vector | None = None

    @property
    def id(self) -> str:
        """The document's id."""
        return self.document.id or ""

    @property
    def text(self) -> str:
        """The document's content."""
        return self.document.page_content

    @property
    def metadata(self) -> dict[str, Any]:
        """The document's metadata."""
        return self.document.metadata


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit(Record):
    """A document that a search found.

    Attributes:
        document: The document, with its id.
        score: How near it is, in the unit of ``score_kind``; higher is nearer, always.
        score_kind: The unit of ``score``.
        tokens: With a sparse strategy that was made with ``tokens=True``: which tokens document and query
            share, each with what it adds to the score, largest first. ``None`` elsewhere.
    """

    score: float
    score_kind: ScoreKind
    tokens: Mapping[str, float] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else self.text[:59] + "…"  # noqa: PLR2004 - one line
        return f"Hit({self.score:.4f} {self.score_kind}, id={self.id!r}, {text!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A document that was not written, and why.

    Attributes:
        id: Its id; ``None`` if it has no valid one.
        error: What went wrong at the last try.
        attempts: How often it was tried, alone or in a batch; 0 if it was refused before it was sent.
        document: The document itself, to mend or to send again.
    """

    id: str | None
    error: Exception
    attempts: int
    document: Document

    def __repr__(self) -> str:
        return f"Failure(id={self.id!r}, attempts={self.attempts}, error={self.error!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteReport:
    """The account of a write: each document that was read stands in exactly one of the counts.

    Attributes:
        written: Documents the store acknowledged.
        unchanged: Documents that were there already, as they are (``skip_unchanged``).
        collapsed: Identical repetitions of a document of the same call.
        failures: Documents that were not written, each with its error.
        not_reached: Documents read from the input but never sent, because the run stopped.
        seconds: How long the call took.
        stopped: Why the run ended before the input did; ``None`` if it did not.
        ids: The id of each input document in order, for ``add`` and ``upsert``; empty for
            ``upsert_parallel``, whose input may be larger than memory.
    """

    written: int = 0
    unchanged: int = 0
    collapsed: int = 0
    failures: tuple[Failure, ...] = ()
    not_reached: int = 0
    seconds: float = 0.0
    stopped: Stop | None = None
    ids: tuple[str, ...] = field(default=(), repr=False)
    _again: Callable[[], WriteReport] | None = field(default=None, repr=False, compare=False)

    @property
    def total(self) -> int:
        """How many documents were read from the input."""
        return self.written + self.unchanged + self.collapsed + self.failed + self.not_reached

    @property
    def failed(self) -> int:
        """How many documents failed."""
        return len(self.failures)

    @property
    def ok(self) -> bool:
        """Whether every document of the input is stored now."""
        return not self.failures and not self.not_reached and self.stopped is None

    def retry(self) -> WriteReport:
        """Send the documents that failed or were never sent once more.

        Returns:
            The report of that second run. A run in which nothing was left to do reports zeros.

        Raises:
            PartialWriteError: Some failed again, and the first run was to raise on errors.
        """
        return self._again() if self._again else WriteReport()

    def __str__(self) -> str:
        parts = [f"{self.written} written"]
        parts += [f"{count} {name}" for name, count in self._rest() if count]
        stop = f"; stopped: {self.stopped}" if self.stopped else ""
        return f"{', '.join(parts)} of {self.total} in {self.seconds:.2f} s{stop}"

    def _rest(self) -> tuple[tuple[str, int], ...]:
        return (
            ("unchanged", self.unchanged),
            ("collapsed", self.collapsed),
            ("failed", self.failed),
            ("not reached", self.not_reached),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteReport:
    """The account of a delete.

    Attributes:
        matched: Documents that the filter and the ids select.
        deleted: Documents that were really removed; 0 in a dry run.
        conflicts: Ids of documents that another writer changed or removed meanwhile; they were left alone.
        dry_run: Whether nothing was to be deleted.
        ids: The ids that were selected.
    """

    matched: int
    deleted: int
    conflicts: tuple[str, ...] = ()
    dry_run: bool = False
    ids: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplaceReport:
    """The account of a replace.

    Attributes:
        write: What became of the new documents.
        delete: What became of the old ones.
    """

    write: WriteReport
    delete: DeleteReport


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexInfo:
    """An index as the store describes it.

    Attributes:
        name: Its name.
        metric: How vectors are compared.
        dimension: Length of its vectors; ``None`` while it holds none.
        count: How many documents it holds.
        fingerprint: What it was made with; ``None`` if something other than vectorface made it.
    """

    name: str
    metric: Metric
    dimension: int | None
    count: int
    fingerprint: Mapping[str, Any] | None = field(default=None, repr=False)
