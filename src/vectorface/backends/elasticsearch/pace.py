"""How much to send at a time to a model that cannot take everything at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from vectorface import bridge


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
        wait: Callable[[float], None] = bridge.pause,
    ) -> dict[str, R]:
        """Send all items, those that the queue had no place for again and again, more slowly.

        Args:
            items: What to send.
            send: Sends some; returns those that were refused.
            is_for_later: Whether a refusal means that the queue was full.
            wait: Sleeps for so many seconds.

        Returns:
            What was refused otherwise, and what found no place in the queue for minutes.
        """
        refused: dict[str, R] = {}
        waiting, fruitless = list(items), 0
        while waiting:
            with self._places(len(waiting)) as places:
                part, rest = waiting[:places], waiting[places:]
                answers = send(part)
            later = [item for item in part if item.id in answers and is_for_later(answers[item.id])]
            refused |= {id_: answer for id_, answer in answers.items() if not is_for_later(answer)}
            self._adapt(full=bool(later))
            fruitless = fruitless + 1 if len(later) == len(part) else 0
            if fruitless > _PATIENCE:
                last = {item.id: answers[item.id] for item in later}
                return {**refused, **last, **{item.id: answers[later[0].id] for item in rest}}
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


def _back_off(fruitless: int) -> float:
    longest: float = min(_LONGEST_WAIT, _FIRST_WAIT * 2**fruitless)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - so that threads do not come back together
