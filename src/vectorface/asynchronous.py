"""Async twins, derived from the synchronous methods: each runs its method in a thread."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
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
