"""Async twins, derived from the synchronous methods: the backend says how a method runs beside a loop."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar


class Asynchronous(Protocol):
    """What can run its synchronous methods beside an event loop."""

    async def _asynchronously(self, call: Callable[[], Any]) -> Any: ...


S = TypeVar("S", bound=Asynchronous)
P = ParamSpec("P")
R = TypeVar("R")

_END: Any = object()


def twin_of(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Return the async twin of ``method``: same arguments, same result."""

    @functools.wraps(method)
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        result: R = await self._asynchronously(functools.partial(method, self, *args, **kwargs))
        return result

    named: Callable[Concatenate[S, P], Coroutine[Any, Any, R]] = _named(twin, method)
    return named


def _named(twin: Any, method: Callable[..., Any]) -> Any:
    twin.__name__ = f"a{method.__name__}"
    twin.__qualname__ = twin.__name__.join(method.__qualname__.rsplit(method.__name__, 1))
    twin.__doc__ = f"Do what :meth:`{method.__name__}` does, to be awaited; same arguments, same result."
    return twin


def stoppable_in_thread(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Return the async twin of a method with an option ``cancel``, run in a worker thread.

    Cancelling the task stops the thread too. The task ends when the thread has: what it had begun is
    finished, and nothing goes on behind one's back.
    """

    @functools.wraps(method)
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs.get("cancel") is None:
            kwargs["cancel"] = threading.Event()
        cancel: Any = kwargs["cancel"]
        run = asyncio.ensure_future(asyncio.to_thread(method, self, *args, **kwargs))
        try:
            return await asyncio.shield(run)
        except asyncio.CancelledError:
            cancel.set()
            while not run.done():  # cancelled once more, it still waits
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([run])
            run.exception()  # seen: the caller is told of the cancelling
            raise

    named = _named(twin, method)
    named.__doc__ += " It has threads of its own; cancelling the task stops the run."
    return named  # type: ignore[no-any-return]


def stream_twin_of(
    method: Callable[Concatenate[S, P], Iterator[R]],
) -> Callable[Concatenate[S, P], AsyncIterator[R]]:
    """Return the async twin of a method that yields, taken step by step."""

    @functools.wraps(method)
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        steps: Any = await self._asynchronously(functools.partial(method, self, *args, **kwargs))
        stepping = threading.Lock()  # a thread goes on with its step when the task is cancelled

        def step() -> Any:
            with stepping:
                return next(steps, _END)

        def close() -> None:
            with stepping:
                steps.close()

        try:
            while (found := await self._asynchronously(step)) is not _END:
                yield found
        finally:
            await self._asynchronously(close)

    return _named(twin, method)  # type: ignore[no-any-return]
