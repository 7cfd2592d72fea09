"""The running account of a write: each document that was read ends in exactly one column."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vectorface.documents import Prepared, prepare
from vectorface.errors import InvalidInputError
from vectorface.ingest.worker import Outcome, Refusal
from vectorface.records import Failure, Stop, WriteReport

if TYPE_CHECKING:
    from langchain_core.documents import Document


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """An input that cannot be prepared: it is no document, or a malformed one."""

    document: Document
    where: str
    error: Exception


Item: TypeAlias = Prepared | Refused


def prepared_or_refused(document: Document, *, where: str) -> Item:
    """Prepare a document of a stream; what cannot be prepared is kept with its error."""
    try:
        return prepare(document, where=where)
    except InvalidInputError as error:
        return Refused(document=document, where=where, error=error)


def prepared_again(item: Item) -> Item:
    """Prepare a refused document once more: its owner may have mended it."""
    return item if isinstance(item, Prepared) else prepared_or_refused(item.document, where=item.where)


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A snapshot of a running upsert, as passed to callbacks.

    Attributes:
        done: Documents that are finished, in whichever way.
        written: Documents that the store acknowledged.
        unchanged: Documents that were there already.
        collapsed: Identical repetitions.
        failed: Documents that failed.
        total: How many documents the input holds; ``None`` where it cannot be known.
        seconds: Time since the start.
    """

    done: int
    written: int
    unchanged: int
    collapsed: int
    failed: int
    total: int | None
    seconds: float


class Account:
    """Counts what becomes of each document, and keeps those that are still to be sent."""

    def __init__(self, *, total: int | None) -> None:
        self._start = time.perf_counter()
        self._total = total
        self._written = 0
        self._unchanged = 0
        self._collapsed = 0
        self._failures: list[Failure] = []
        self._not_reached: list[Item] = []
        self._unsent: list[Item] = []

    @property
    def failed(self) -> int:
        """How many documents failed so far."""
        return len(self._failures)

    def add(self, outcome: Outcome) -> None:
        """Book a finished batch."""
        self._written += len(outcome.written)
        self._unchanged += outcome.unchanged
        for refusal in outcome.refused:
            self.fail(refusal)
        self.never_reached(outcome.not_reached)

    def fail(self, refusal: Refusal) -> None:
        """Book a document that could not be written."""
        self._unsent.append(refusal.document)
        self._failures.append(
            Failure(
                id=refusal.document.id,
                error=refusal.error,
                attempts=refusal.attempts,
                document=refusal.document.document,
            )
        )

    def refuse(self, item: Refused) -> None:
        """Book an input that is no valid document."""
        self._unsent.append(item)
        self._failures.append(
            Failure(
                id=getattr(item.document, "id", None), error=item.error, attempts=0, document=item.document
            )
        )

    def collapse(self) -> None:
        """Book a repetition."""
        self._collapsed += 1

    def never_reached(self, documents: Sequence[Prepared]) -> None:
        """Book documents that were read but not sent."""
        self._not_reached += documents

    def progress(self) -> Progress:
        """Return a snapshot."""
        return Progress(
            done=self._written + self._unchanged + self._collapsed + self.failed,
            written=self._written,
            unchanged=self._unchanged,
            collapsed=self._collapsed,
            failed=self.failed,
            total=self._total,
            seconds=time.perf_counter() - self._start,
        )

    def report(self, *, stopped: Stop | None, again: Callable[[Sequence[Item]], WriteReport]) -> WriteReport:
        """Close the account; ``again`` is what :meth:`WriteReport.retry` will call with what is left."""
        unsent = (*self._unsent, *self._not_reached)
        return WriteReport(
            written=self._written,
            unchanged=self._unchanged,
            collapsed=self._collapsed,
            failures=tuple(self._failures),
            not_reached=len(self._not_reached),
            seconds=time.perf_counter() - self._start,
            stopped=stopped,
            _again=(lambda: again(unsent)) if unsent else None,
        )
