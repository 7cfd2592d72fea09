"""Waiting for what the cluster does in its own time, on an event loop too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from vectorface import bridge
from vectorface.errors import TransientError

T = TypeVar("T")

#: Gets what is being waited for, and which share of it is done: 0 to 1, ``None`` where nobody knows.
ProgressCallback: TypeAlias = Callable[[str, float | None], object]

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
#: So many looks in a row may fail for a passing reason: a node that restarts is not the end of a long wait.
_PATIENCE: Final = 8


def until(look: Callable[[], T | None], *, timeout: float | None, late: Callable[[], Exception]) -> T:
    """Look again and again, ever less often, until there is something to see; return it.

    Args:
        look: Returns ``None`` while there is nothing; any error but a passing one ends the wait.
        timeout: Seconds to go on; ``None`` for without end.
        late: Makes the error that is raised when the time is up.

    Raises:
        TransientError: The cluster could not answer several times in a row, or when the time was up.
    """
    deadline = Deadline(timeout)
    pause, failed = _FIRST_PAUSE, 0
    while True:
        try:
            seen = look()
        except TransientError:
            failed += 1
            if failed >= _PATIENCE or deadline.is_over:
                raise
        else:
            failed = 0
            if seen is not None:
                return seen
            if deadline.is_over:
                raise late()
        bridge.pause(min(pause, max(deadline.left, 0.0)))
        pause = min(_LONGEST_PAUSE, 1.5 * pause)


class Deadline:
    """A moment in the future that several waits share.

    Args:
        seconds: From now; ``None`` for never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then, 0 after it."""
        return float("inf") if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether it has passed."""
        return self.left <= 0


def tell(progress: ProgressCallback | None, state: str, done: float | None) -> None:
    """Call a progress callback, if there is one."""
    if progress is not None:
        progress(state, done)
