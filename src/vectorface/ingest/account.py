"""The running account of a write: each document that was read ends in exactly one column."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vectorface.documents import Prepared, checked_id, document_id, prepare
from vectorface.errors import DuplicateDocumentError, InvalidIdError
from vectorface.ingest.worker import Outcome
from vectorface.records import Failure, Stop, Vector, WriteReport

if TYPE_CHECKING:
    from langchain_core.documents import Document


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """An input that cannot be sent: no document, a malformed one, or one whose id is taken.

    Attributes:
        document: The input.
        where: Names it in error messages.
        error: Why it cannot be sent.
        vector: The vector that the caller gave with it.
    """

    document: Document
    where: str
    error: Exception
    vector: Vector | None = None


Item: TypeAlias = Prepared | Refused


def prepared_or_refused(document: Document, *, where: str, vector: Vector | None = None) -> Item:
    """Prepare a document of a stream; what cannot be prepared is kept with its error."""
    try:
        return prepare(document, where=where, vector=vector)
    except Exception as error:  # noqa: BLE001 - one bad document, however bad, must not stop the others
        return Refused(document=document, where=where, error=error, vector=vector)


def refused(item: Prepared, error: Exception) -> Refused:
    """Return ``item`` as one that cannot be sent."""
    vector = item.vector if item.given_vector else None
    return Refused(document=item.document, where=f"the document {item.id!r}", error=error, vector=vector)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsent:
    """An item that failed, and the document that its failure shows; whoever reads that may mend it."""

    item: Item
    document: Document

    def again(self) -> Item:
        """Return what to send: the item as it is, unless its document was mended."""
        if isinstance(self.item, Refused):
            mended = prepared_or_refused(self.document, where=self.item.where, vector=self.item.vector)
            return self.item if _id_still_taken(self.item, mended) else mended
        given = self.item.vector if self.item.given_vector else None
        document = self.document
        if document.id == self.item.id == document_id(self.item.document):  # made from the content: so anew
            document = document.model_copy(update={"id": None})
        mended = prepared_or_refused(document, where=f"the document {self.item.id!r}", vector=given)
        return self.item if _same(self.item, mended) else mended


def _id_still_taken(item: Refused, mended: Item) -> bool:
    taken = item.error.ids if isinstance(item.error, DuplicateDocumentError) else ()
    return isinstance(mended, Prepared) and mended.id in taken


def _same(item: Prepared, mended: Item) -> bool:
    return isinstance(mended, Prepared) and (mended.id, mended.identity) == (item.id, item.identity)


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
        self._unsent: list[Unsent] = []
        self._not_reached: list[Item] = []

    @property
    def failed(self) -> int:
        """How many documents failed so far."""
        return len(self._failures)

    def add(self, outcome: Outcome) -> None:
        """Book a finished batch."""
        self._written += outcome.written
        self._unchanged += outcome.unchanged
        for refusal in outcome.refused:
            self.fail(refusal.document, refusal.error, attempts=refusal.attempts)
        self.never_reached(outcome.not_reached)

    def fail(self, item: Item, error: Exception, *, attempts: int = 0) -> None:
        """Book an item that could not be written."""
        document = item.document
        self._unsent.append(Unsent(item=item, document=document))
        self._failures.append(
            Failure(id=_valid_id(document), error=error, attempts=attempts, document=document)
        )

    def collapse(self) -> None:
        """Book a repetition."""
        self._collapsed += 1

    def never_reached(self, items: Sequence[Item]) -> None:
        """Book items that were read but not sent."""
        self._not_reached += items

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

    def report(
        self, *, stopped: Stop | None, ids: tuple[str, ...], again: Callable[[Sequence[Item]], WriteReport]
    ) -> WriteReport:
        """Close the account; ``again`` is what :meth:`WriteReport.retry` will call with what is left."""
        failed, not_reached = tuple(self._unsent), tuple(self._not_reached)
        return WriteReport(
            written=self._written,
            unchanged=self._unchanged,
            collapsed=self._collapsed,
            failures=tuple(self._failures),
            not_reached=len(not_reached),
            seconds=time.perf_counter() - self._start,
            stopped=stopped,
            ids=ids,
            _again=(lambda: again([*(unsent.again() for unsent in failed), *not_reached]))
            if failed or not_reached
            else None,
        )


def _valid_id(document: object) -> str | None:
    try:
        return checked_id(getattr(document, "id", None), where="the document")
    except InvalidIdError:
        return None
