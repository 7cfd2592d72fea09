"""Time things side by side, and print the results as one table.

Other work on the machine slows whatever runs at that moment. So the subjects take turns, and a ratio is the
median over rounds of two times measured in the same round; absolute times are given for orientation only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median
from time import perf_counter


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured promise."""

    name: str  #: What was measured, as a sentence a reader understands.
    value: float  #: The measured ratio, share or difference.
    goal: float  #: What is promised.
    at_most: bool = False  #: The goal is an upper bound; else a lower one.
    unit: str = "x"  #: Printed after value and goal.
    detail: str = ""  #: Absolute times, sizes.

    @property
    def met(self) -> bool:
        """Whether the promise holds."""
        return self.value <= self.goal if self.at_most else self.value >= self.goal


@dataclass(frozen=True)
class Times:
    """Seconds of each subject, one number a round."""

    rounds: Mapping[str, tuple[float, ...]]

    def seconds(self, name: str) -> float:
        """Return the median time of ``name``."""
        return median(self.rounds[name])

    def ratio(self, slow: str, fast: str) -> float:
        """Return how many times as long ``slow`` takes as ``fast``: the median of the rounds' ratios."""
        return median(a / b for a, b in zip(self.rounds[slow], self.rounds[fast], strict=True))

    def fastest(self, names: Iterable[str]) -> str:
        """Return the name with the smallest median."""
        return min(names, key=self.seconds)

    def detail(self, *names: str) -> str:
        """Return the medians of ``names`` in milliseconds, for ``Row.detail``."""
        return ", ".join(f"{name} {self.seconds(name) * 1000:.4g} ms" for name in names)


def interleave(
    subjects: Mapping[str, Callable[..., object]],
    *,
    rounds: int = 5,
    warm_up: bool = True,
    given: Callable[[], AbstractContextManager[object]] | None = None,
) -> Times:
    """Run all subjects in turn, ``rounds`` times, every other round in reverse order.

    Args:
        subjects: What to time; a subject's result is dropped.
        rounds: How often each runs.
        warm_up: Run each once before, without timing it.
        given: Makes what the subjects take, anew for each run and outside of what is timed; without it
            they take nothing.
    """
    if warm_up:
        for subject in subjects.values():
            _time(subject, given)
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    for _ in range(rounds):
        for name in names:
            seconds[name].append(_time(subjects[name], given))
        names.reverse()
    return Times({name: tuple(times) for name, times in seconds.items()})


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| measured | result | goal | met | |", "|---|--:|--:|:-:|---|"]
    for row in rows:
        bound = "≤" if row.at_most else "≥"
        met = "yes" if row.met else "**no**"
        result, goal = f"{row.value:.3g}{row.unit}", f"{bound} {row.goal:g}{row.unit}"
        lines.append(f"| {row.name} | {result} | {goal} | {met} | {row.detail} |")
    return "\n".join(lines)


def _time(
    subject: Callable[..., object], given: Callable[[], AbstractContextManager[object]] | None
) -> float:
    with nullcontext() if given is None else given() as it:
        arguments = () if given is None else (it,)
        start = perf_counter()
        subject(*arguments)
        return perf_counter() - start
