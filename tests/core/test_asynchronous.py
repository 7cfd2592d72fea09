"""Async twins are derived: same names, same arguments, same results."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from vectorface import VectorDBInterface
from vectorface.asynchronous import stream_twin_of, twin_of

#: What has no twin: opening and closing blocks, properties, and what does not talk to a store.
WITHOUT_TWIN = {
    "preprocess",
    "as_vectorstore",
    "as_retriever",
    "read_stored",
    "write_entries",
    "show_written",
    "from_url",
}


class Clock:
    """Tells in which thread it runs."""

    async def _asynchronously(self, call: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(call)

    def tick(self, by: int, *, twice: bool = False) -> tuple[int, bool]:
        """Count."""
        if by < 0:
            raise ValueError("backwards")
        return by * (2 if twice else 1), threading.current_thread() is threading.main_thread()

    def ticks(self, count: int) -> Iterator[tuple[int, bool]]:
        """Count up."""
        for i in range(count):
            yield i, threading.current_thread() is threading.main_thread()
        if count == 3:
            raise ValueError("three")

    atick = twin_of(tick)
    aticks = stream_twin_of(ticks)


def test_every_method_that_talks_to_a_store_has_a_twin() -> None:
    methods = {
        name
        for name, value in inspect.getmembers(VectorDBInterface, inspect.isfunction)
        if not name.startswith("_") and not inspect.iscoroutinefunction(value)
    }
    alone = {
        name for name in methods - WITHOUT_TWIN if f"a{name}" not in methods | set(dir(VectorDBInterface))
    }
    assert {name for name in alone if not (name.startswith("a") and name[1:] in methods)} == set()


def test_a_twin_runs_in_another_thread() -> None:
    async def scenario() -> tuple[int, bool]:
        return await Clock().atick(3, twice=True)

    assert asyncio.run(scenario()) == (6, False)


def test_a_twin_raises_at_the_await() -> None:
    async def scenario() -> None:
        coming = Clock().atick(-1)
        with pytest.raises(ValueError, match="backwards"):
            await coming

    asyncio.run(scenario())


def test_a_streaming_twin_yields_step_by_step() -> None:
    async def scenario() -> list[tuple[int, bool]]:
        return [step async for step in Clock().aticks(2)]

    assert asyncio.run(scenario()) == [(0, False), (1, False)]


def test_a_streaming_twin_raises_where_the_method_does() -> None:
    async def scenario() -> int:
        seen = 0
        with pytest.raises(ValueError, match="three"):  # noqa: PT012 - it is the loop that raises
            async for _ in Clock().aticks(3):
                seen += 1
        return seen

    assert asyncio.run(scenario()) == 3


def test_twins_are_named_after_their_methods() -> None:
    assert Clock.atick.__name__ == "atick"
    assert VectorDBInterface.aquery.__qualname__ == "VectorDBInterface.aquery"
    assert VectorDBInterface.aget.__qualname__ == "VectorDBInterface.aget"
    assert ":meth:`query`" in (VectorDBInterface.aquery.__doc__ or "")
    assert ":meth:`scan`" in (VectorDBInterface.ascan.__doc__ or "")


def test_twins_have_the_same_parameters() -> None:
    assert (
        inspect.signature(VectorDBInterface.aquery).parameters
        == inspect.signature(VectorDBInterface.query).parameters
    )


class Slow(Clock):
    """Takes its time for each step."""

    def steps(self) -> Iterator[int]:
        """Yield some numbers, slowly."""
        for i in range(5):
            time.sleep(0.2)
            yield i

    asteps = stream_twin_of(steps)


async def test_a_step_under_way_is_awaited_when_the_task_is_cancelled() -> None:
    async def walk() -> list[int]:
        return [i async for i in Slow().asteps()]

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(walk(), 0.3)
