"""How much to send at a time to a model that cannot take everything at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from vectorface import bridge
from vectorface.errors import IndexNotFoundError, InferenceQueueFullError, TransientError, VectorfaceError
from vectorface.ingest.retrying import is_transient, retry_after


class Identified(Protocol):
    """Something with an id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


T = TypeVar("T", bound=Identified)
R = TypeVar("R")

_START: Final = 64
_MOST: Final = 2_048
#: Seconds to wait after a refusal: the first time, and at most.
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 5.0
#: So many refusals of everything in a row, each after the longest wait, are not a full queue any more.
_PATIENCE: Final = 12
_LOOK: Final = 0.01


class Pace:
    """The number of documents in flight, found out as TCP finds out what a line carries.

    It grows by one after each round that was taken whole, and is halved when the queue was full (additive
    increase, multiplicative decrease; Chiu and Jain, 1989). All threads of a store share one.
    """

    def __init__(self, start: int = _START) -> None:
        self._limit = float(start)
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """How many documents may be in flight."""
        return max(1, int(self._limit))

    def through(
        self,
        items: Sequence[T],
        send: Callable[[Sequence[T]], Mapping[str, R]],
        is_for_later: Callable[[R], bool],
        as_refusal: Callable[[VectorfaceError], R],
        wait: Callable[[float], None] = bridge.pause,
    ) -> dict[str, R]:
        """Send all items, those that the queue had no place for again and again, more slowly.

        Args:
            items: What to send.
            send: Sends some; returns those that were refused.
            is_for_later: Whether a refusal means that the queue was full.
            as_refusal: Makes a refusal of an error that is not an answer to one item.
            wait: Sleeps for so many seconds.

        Returns:
            What was refused otherwise, and what found no place in the queue for minutes. Once something
            went through, also what was in a request that failed, and what was not sent for that reason.

        Raises:
            VectorfaceError: ``send`` raised it before anything had gone through.
        """
        refused: dict[str, R] = {}
        waiting, fruitless = list(items), 0
        while waiting:
            with self._places(len(waiting)) as places:
                part, rest = waiting[:places], waiting[places:]
                try:
                    answers = send(part)
                except VectorfaceError as error:
                    if len(waiting) == len(items):
                        raise
                    # Raised, it would stand for all items, and hide that some are stored already.
                    failed, unsent = as_refusal(_failed(error, len(part))), as_refusal(_not_sent(error))
                    return {**refused, **_each(part, failed), **_each(rest, unsent)}
            later = [item for item in part if item.id in answers and is_for_later(answers[item.id])]
            refused |= {id_: answer for id_, answer in answers.items() if not is_for_later(answer)}
            self._adapt(full=bool(later))
            fruitless = fruitless + 1 if len(later) == len(part) else 0
            if fruitless > _PATIENCE:
                last = {item.id: answers[item.id] for item in later}
                return {**refused, **last, **_each(rest, as_refusal(_no_place()))}
            if later:
                wait(_back_off(fruitless))
            waiting = [*later, *rest]
        return refused

    @contextmanager
    def _places(self, wanted: int) -> Iterator[int]:
        """Hold as many places as there are, up to ``wanted``; wait for the first one."""
        while not (places := self._taken(wanted)):
            bridge.pause(_LOOK)
        try:
            yield places
        finally:
            with self._lock:
                self._in_flight -= places

    def _taken(self, wanted: int) -> int:
        with self._lock:
            places = min(wanted, self.limit - self._in_flight)
            if places <= 0:
                return 0
            self._in_flight += places
            return places

    def _adapt(self, *, full: bool) -> None:
        with self._lock:
            self._limit = max(1.0, self._limit / 2) if full else min(_MOST, self._limit + 1)


def _each(items: Sequence[T], refusal: R) -> dict[str, R]:
    return {item.id: refusal for item in items}


def _failed(error: VectorfaceError, count: int) -> VectorfaceError:
    """Return the error of the ``count`` items of a request that failed as a whole.

    One that will not pass may be about a single one of them, or about their number. Whoever writes halves
    requests that raise it, but takes an item's own error as final; so the items are to be sent again.
    """
    if count == 1 or is_transient(error) or isinstance(error, IndexNotFoundError):
        return error
    return _caused(
        error, f"It was refused together with {count - 1} others, so it has to be sent again: {error}"
    )


def _not_sent(error: VectorfaceError) -> VectorfaceError:
    """Return the error of items that were not sent because another request failed."""
    return _caused(error, f"It was not sent, because a request before it failed: {error}")


def _caused(error: VectorfaceError, said: str) -> TransientError:
    mended = TransientError(said, retry_after=retry_after(error) or None)
    mended.__cause__ = error
    return mended


def _no_place() -> InferenceQueueFullError:
    return InferenceQueueFullError(
        "It was not sent: the model's queue has been full for long, and took nothing of what was sent before "
        "it. Send less at a time, raise queue_capacity, or give the deployment more allocations "
        "(ElserModel.update())."
    )


def _back_off(fruitless: int) -> float:
    longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * 2**fruitless)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - so that threads do not come back together
