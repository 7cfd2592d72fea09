"""The tree of errors is the one that is drawn, and errors survive the way between processes."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from vectorface import errors
from vectorface.errors import (
    DuplicateDocumentError,
    PartialWriteError,
    SourceError,
    TransientError,
    UpsertInterrupted,
    VectorfaceError,
    WriteError,
)
from vectorface.records import WriteReport

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]
REPORT = WriteReport(written=3)


def drawn() -> dict[str, str]:
    """Return the parent of each error in the docstring's drawing."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = re.search(r"[A-Z]\w+", line)
        if name is None or not line.startswith("    "):
            continue
        while above and above[-1][0] >= name.start():
            above.pop()
        if above:
            parents[name.group()] = above[-1][1]
        above.append((name.start(), name.group()))
    return parents


def test_the_drawing_is_true() -> None:
    assert drawn() == {
        kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not VectorfaceError
    }


@pytest.mark.parametrize(
    ("name", "builtin"), re.findall(r"(\w+Error) +.*\((\w+Error)\)", errors.__doc__ or "")
)
def test_errors_are_python_errors_of_their_kind_too(name: str, builtin: str) -> None:
    assert issubclass(
        getattr(errors, name), getattr(__builtins__, builtin, None) or vars(errors)["__builtins__"][builtin]
    )


def test_an_interrupt_is_not_swallowed_by_except_exception() -> None:
    assert issubclass(UpsertInterrupted, KeyboardInterrupt)
    assert not issubclass(UpsertInterrupted, Exception)
    assert UpsertInterrupted("stopped", REPORT).report is REPORT


@pytest.mark.parametrize(
    "error",
    [
        DuplicateDocumentError("taken", ids=("a", "b")),
        TransientError("busy", retry_after=2.5),
        WriteError("failed", REPORT),
        PartialWriteError("failed", REPORT),
        SourceError("failed", REPORT),
        UpsertInterrupted("stopped", REPORT),
        errors.InvalidFilterError("wrong"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_can_be_pickled(error: BaseException) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_errors_without_extras_have_empty_ones() -> None:
    assert DuplicateDocumentError("taken").ids == ()
    assert TransientError("busy").retry_after is None
