"""Run a check on many generated examples."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, settings

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Multiplies the number of examples, which then differ from run to run: to hunt, not to guard.
SCALE: Final = "VECTORFACE_TESTING_SCALE"

T = TypeVar("T")


def for_each(strategy: SearchStrategy[T], check: Callable[[T], None], *, examples: int) -> None:
    """Call ``check`` with examples of ``strategy``.

    The examples are the same in every run, unless the environment variable ``VECTORFACE_TESTING_SCALE``
    asks for so many times as many: then they are random. They are not shrunk, because examples for stores
    are slow to load; what a check says when it fails has to be small by itself.

    Args:
        strategy: What to draw from.
        check: Raises ``AssertionError`` where something is wrong.
        examples: How many to draw.
    """
    scale = float(os.environ.get(SCALE) or 0)

    @settings(
        max_examples=max(1, round(examples * (scale or 1))),
        derandomize=not scale,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(example: T) -> None:
        check(example)

    run()
