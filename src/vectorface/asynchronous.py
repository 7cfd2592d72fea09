"""Async twins, derived from the synchronous methods: each runs its method in a thread."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")

_END: Any = object()


def in_thread(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Return the async twin of ``method``: same arguments, same result, run in a worker thread."""

    @functools.wraps(method)
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self, *args, **kwargs)

    twin.__name__ = f"a{method.__name__}"
    twin.__qualname__ = twin.__name__.join(method.__qualname__.rsplit(method.__name__, 1))
    twin.__doc__ = f"Run :meth:`{method.__name__}` in a worker thread; same arguments, same result."
    return twin


def stoppable_in_thread(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Return the async twin of a method with an option ``cancel``: cancelling the task stops the thread too.

    The task ends when the thread has: what it had begun is finished, and nothing goes on behind one's back.
    """
    plain = in_thread(method)

    @functools.wraps(plain)
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs.get("cancel") is None:
            kwargs["cancel"] = threading.Event()
        cancel: Any = kwargs["cancel"]
        run = asyncio.ensure_future(plain(self, *args, **kwargs))
        try:
            return await asyncio.shield(run)
        except asyncio.CancelledError:
            cancel.set()
            while not run.done():  # cancelled once more, it still waits
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([run])
            run.exception()  # seen: the caller is told of the cancelling
            raise

    twin.__doc__ = f"{plain.__doc__} Cancelling the task stops the run."
    return twin


def stream_in_thread(
    method: Callable[Concatenate[S, P], Iterator[R]],
) -> Callable[Concatenate[S, P], AsyncIterator[R]]:
    """Return the async twin of a method that yields: each step runs in a worker thread."""

    @functools.wraps(method)
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        steps = await asyncio.to_thread(method, self, *args, **kwargs)
        while (step := await asyncio.to_thread(next, steps, _END)) is not _END:
            yield step

    twin.__name__ = f"a{method.__name__}"
    twin.__doc__ = f"Run :meth:`{method.__name__}` step by step in worker threads; same arguments."
    return twin
