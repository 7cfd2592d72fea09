"""Whatever goes wrong, in whatever order: the account adds up and says what is really in the store."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from tests.ingest.stand_ins import QUICK, Faults, MemoryWriter, ids_of, run
from vectorface.errors import BackendError, TransientError
from vectorface.ingest.account import Progress
from vectorface.ingest.writer import Mode
from vectorface.records import WriteReport

Fate: TypeAlias = Literal[
    "fine", "poison", "lost", "refused", "refused late", "not readable", "repeated", "conflicting"
]


FATES: tuple[Fate, ...] = get_args(Fate)


@dataclass(frozen=True)
class Fated:
    """A document and how often its fate strikes; 99 is for ever."""

    id: str
    fate: Fate
    times: int
    transient: bool


@st.composite
def schedules(draw: st.DrawFn) -> list[Fated]:
    fates = st.one_of(st.just(FATES[0]), st.sampled_from(FATES))
    drawn = draw(st.lists(st.tuples(fates, st.sampled_from([1, 2, 4, 99]), st.booleans()), max_size=25))
    return [Fated(f"d{i}", fate, times, transient) for i, (fate, times, transient) in enumerate(drawn)]


class Server(MemoryWriter):
    """A store in which each document meets its fate, so and so often."""

    def __init__(self, schedule: Sequence[Fated]) -> None:
        super().__init__(faults=Faults(before=self._before, refuse=self._refuse, after=self._after))
        self._fates = {fated.id: fated for fated in schedule}
        self._struck = Counter[str]()

    def heal(self) -> None:
        self._fates = {}

    def _strikes(self, id_: str, fate: Fate) -> Exception | None:
        fated = self._fates.get(id_)
        if fated is None or fated.fate != fate:
            return None
        with self.lock:
            self._struck[id_] += 1
            if self._struck[id_] > fated.times:
                return None
        return TransientError(fate) if fated.transient else BackendError(fate)

    def _before(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            if error := self._strikes(id_, "poison"):
                raise error

    def _refuse(self, ids: Sequence[str]) -> Mapping[str, Exception]:
        return {id_: error for id_ in ids if (error := self._strikes(id_, "refused"))}

    def _after(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            if self._strikes(id_, "lost"):
                raise TimeoutError("no answer")

    def write(self, batch: Sequence[Any], mode: Mode) -> Mapping[str, Exception]:
        refused = dict(super().write(batch, mode))
        for document in batch:  # written, and then reported as busy
            error = self._strikes(document.id, "refused late")
            if error is not None:
                refused[document.id] = TransientError("late")
        return refused


def stream(schedule: Sequence[Fated]) -> Iterator[Document]:
    for fated in schedule:
        text = " " if fated.fate == "not readable" else f"text of {fated.id}"
        yield Document(id=fated.id, page_content=text)
        if fated.fate == "repeated":
            yield Document(id=fated.id, page_content=text)
        if fated.fate == "conflicting":
            yield Document(id=fated.id, page_content="another text")


def sound(report: WriteReport, writer: MemoryWriter, read: int) -> None:
    """Assert that the report adds up to what was read, and agrees with what is in the store."""
    assert report.total == read
    assert report.written == len(writer.stored)
    unwritten = [
        failure for failure in report.failures if "two different documents" not in str(failure.error)
    ]
    assert not ids_of(unwritten) & set(writer.stored)


@settings(max_examples=150, deadline=None)
@given(
    schedule=schedules(),
    batch_size=st.integers(1, 9),
    workers=st.integers(1, 4),
    mode=st.sampled_from(["create", "replace"]),
)
def test_every_document_is_reported_once_and_truly_and_retry_completes(
    schedule: list[Fated], batch_size: int, workers: int, mode: Mode
) -> None:
    writer, inputs = Server(schedule), list(stream(schedule))
    report = run(
        inputs, writer, batch_size=batch_size, max_workers=workers, mode=mode, on_error="report", retry=QUICK
    )
    sound(report, writer, len(inputs))
    assert report.not_reached == 0
    assert report.collapsed == sum(fated.fate == "repeated" for fated in schedule)

    writer.heal()
    again = report.retry()
    assert again.total == report.failed
    hopeless = [fated.id for fated in schedule if fated.fate in {"not readable", "conflicting"}]
    assert sorted(failure.id or "" for failure in again.failures) == sorted(hopeless)
    assert set(writer.stored) == {fated.id for fated in schedule if fated.fate != "not readable"}
    if mode == "create":
        assert set(writer.writes.values()) <= {1}


@settings(max_examples=100, deadline=None)
@given(
    schedule=schedules(),
    batch_size=st.integers(1, 5),
    workers=st.integers(1, 4),
    stop_at=st.integers(0, 25),
    how=st.sampled_from(["cancel", "callback", "source", "max_failures"]),
)
def test_the_account_is_true_wherever_the_run_stops(
    schedule: list[Fated], batch_size: int, workers: int, stop_at: int, how: str
) -> None:
    writer, cancel, read = Server(schedule), threading.Event(), 0

    def source() -> Iterator[Document]:
        nonlocal read
        for i, document in enumerate(stream(schedule)):
            if i == stop_at and how == "cancel":
                cancel.set()
            if i == stop_at and how == "source":
                raise OSError("the file ends here")
            read += 1
            yield document

    def callback(progress: Progress) -> None:
        if how == "callback" and progress.done >= stop_at:
            raise LookupError("no such widget")

    try:
        report = run(
            source(),
            writer,
            batch_size=batch_size,
            max_workers=workers,
            on_error="report",
            cancel=cancel,
            callbacks=(callback,),
            max_failures=stop_at + 1 if how == "max_failures" else 1_000,
        )
    except Exception as error:  # noqa: BLE001 - whichever: it carries the report
        report = error.report  # type: ignore[attr-defined]
        assert report.stopped == "source_error"
    sound(report, writer, read)

    writer.heal()
    cancel.clear()
    settled = set(writer.stored)
    try:
        report.retry()
    except Exception:  # noqa: BLE001 - the callback again
        return
    assert set(writer.stored) >= settled
