"""What methods return can be read, by programs and by people."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from langchain_core.documents import Document

from vectorface.records import DeleteReport, Failure, Hit, IndexInfo, Record, ReplaceReport, WriteReport

LAMP = Document(id="lamp", page_content="Nan lit the lamp.", metadata={"chapter": 1})


def hit(text: str = "Nan lit the lamp.") -> Hit:
    return Hit(document=Document(id="lamp", page_content=text), score=0.98765, score_kind="cosine")


def test_a_record_shows_its_document() -> None:
    record = Record(document=LAMP)
    assert (record.id, record.text, record.metadata) == ("lamp", LAMP.page_content, {"chapter": 1})
    assert Record(document=Document(page_content="x")).id == ""


def test_a_hit_is_a_record_with_a_score() -> None:
    assert isinstance(hit(), Record)
    assert repr(hit()) == "Hit(0.9877 cosine, id='lamp', 'Nan lit the lamp.')"


def test_a_long_text_is_cut_in_the_repr() -> None:
    assert repr(hit("x" * 60)).endswith(f"'{'x' * 60}')")
    assert repr(hit("x" * 61)).endswith(f"'{'x' * 59}…')")


@pytest.mark.parametrize(
    "value",
    [
        Record(document=LAMP),
        hit(),
        Failure(id="a", error=ValueError("no"), attempts=1, document=LAMP),
        WriteReport(),
        DeleteReport(matched=1, deleted=1),
        ReplaceReport(write=WriteReport(), delete=DeleteReport(matched=0, deleted=0)),
        IndexInfo(name="stories", metric="cosine", dimension=3, count=0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_frozen_and_keyword_only(value: Any) -> None:
    first = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, first, None)
    with pytest.raises(TypeError, match="positional"):
        type(value)(None)


def test_a_failure_is_short() -> None:
    failure = Failure(id="a", error=ValueError("no"), attempts=2, document=LAMP)
    assert repr(failure) == "Failure(id='a', attempts=2, error=ValueError('no'))"


def test_a_report_adds_up() -> None:
    failure = Failure(id="a", error=ValueError("no"), attempts=2, document=LAMP)
    report = WriteReport(written=5, unchanged=4, collapsed=3, failures=(failure,), not_reached=2, seconds=1.5)
    assert (report.total, report.failed, report.ok) == (15, 1, False)
    assert str(report) == "5 written, 4 unchanged, 3 collapsed, 1 failed, 2 not reached of 15 in 1.50 s"


def test_a_report_says_why_it_stopped() -> None:
    report = WriteReport(written=1, stopped="cancelled")
    assert not report.ok
    assert str(report) == "1 written of 1 in 0.00 s; stopped: cancelled"


def test_a_clean_report_is_ok_and_has_nothing_to_retry() -> None:
    report = WriteReport(written=2)
    assert report.ok
    assert report.retry() == WriteReport()


def test_retry_sends_again() -> None:
    again = WriteReport(written=1)
    assert WriteReport(not_reached=1, _again=lambda: again).retry() is again


def test_reports_are_equal_by_their_counts() -> None:
    assert WriteReport(written=1, _again=WriteReport) == WriteReport(written=1)
    assert "_again" not in repr(WriteReport(_again=WriteReport))
