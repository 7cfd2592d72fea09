"""An error can say something else and stay what it is."""

from __future__ import annotations

import inspect
import pickle

import pytest

from vectorface import errors
from vectorface.errors import DuplicateDocumentError, TransientError, VectorfaceError, WriteError
from vectorface.records import WriteReport

KINDS = [
    kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, VectorfaceError)
]


def made(kind: type[VectorfaceError]) -> VectorfaceError:
    if issubclass(kind, WriteError):
        return kind("first", WriteReport(written=3))
    if issubclass(kind, TransientError):
        return kind("first", retry_after=3.0)
    if issubclass(kind, DuplicateDocumentError):
        return kind("first", ids=("a",))
    return kind("first")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_another_message_changes_nothing_else(kind: type[VectorfaceError]) -> None:
    error = made(kind)
    other = error.with_message("second")
    assert type(other) is kind
    assert (str(error), str(other), other.args) == ("first", "second", ("second",))
    assert vars(other) == vars(error)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_another_message_survives_the_way_between_processes(kind: type[VectorfaceError]) -> None:
    error = made(kind).with_message("second")
    there = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(there), str(there), vars(there)) == (kind, "second", vars(error))
