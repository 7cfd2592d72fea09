"""Waiting in tests for what comes in its own time, with an end."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Final, TypeVar

import pytest

T = TypeVar("T")

#: Seconds between two looks.
_PAUSE: Final = 0.01


def eventually(look: Callable[[], T | None], within: float = 10.0) -> T:
    """Return the first answer of ``look`` that is true; fail if there is none in time, and say what it was.

    Args:
        look: Looks, as often as need be. The failure shows a lambda's source, and the name of a function.
        within: Seconds; at least one look is taken.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"Not within {within:g} seconds: {_told(look)} (at last: {found!r:.200})")
        time.sleep(_PAUSE)
    return found


def _told(look: Callable[[], object]) -> str:
    name = getattr(look, "__name__", repr(look))
    return " ".join(inspect.getsource(look).split()) if name == "<lambda>" else name
