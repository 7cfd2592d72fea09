"""Synchronous code on an event loop: whatever it waits for is awaited by the loop.

A backend whose client is asynchronous does not need a second copy of every method. The method runs in a
greenlet; where it would block it hands an awaitable to :func:`wait_for`, the loop awaits that, does other
things meanwhile, and the method goes on with the result. SQLAlchemy's asyncio layer works the same way.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

from vectorface.errors import MissingExtraError

P = ParamSpec("P")
R = TypeVar("R")


def on_loop() -> bool:
    """Tell whether the caller was started by :func:`run`, so that it must not block its thread."""
    greenlet = sys.modules.get("greenlet")  # if it was never imported, nobody has called run()
    return greenlet is not None and getattr(greenlet.getcurrent(), "vectorface_bridge", False)


def wait_for(awaitable: Awaitable[R]) -> R:
    """Return the result of ``awaitable``; only for code that runs :func:`on_loop`."""
    from greenlet import getcurrent  # noqa: PLC0415 - an optional package

    parent: Any = getcurrent().parent
    result: R = parent.switch(awaitable)
    return result


async def run(call: Callable[[], R]) -> R:
    """Run synchronous code on the event loop and return its result.

    Raises:
        MissingExtraError: The package greenlet is not installed.
    """
    task = _greenlet(call)
    handed = task.switch()
    while not task.dead:
        try:
            value = await handed
        except BaseException as error:  # noqa: BLE001 - it belongs to the code that waits; cancelling, too
            handed = task.throw(error)
        else:
            handed = task.switch(value)
    result: R = handed
    return result


def _greenlet(call: Callable[[], Any]) -> Any:
    try:
        import greenlet  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise MissingExtraError(
            "The async methods of this backend need greenlet: pip install greenlet"
        ) from error
    here = greenlet.getcurrent()
    task: Any = _bridge_class(greenlet.greenlet)(call, here)
    task.gr_context = here.gr_context  # context variables are those of the caller
    return task


@lru_cache(maxsize=1)
def _bridge_class(greenlet: type) -> type:
    return type("Bridge", (greenlet,), {"vectorface_bridge": True})


def offload(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run what keeps the processor busy: on an event loop in a thread, so that the loop goes on."""
    if on_loop():
        return wait_for(asyncio.to_thread(call, *args, **kwargs))
    return call(*args, **kwargs)


def pause(seconds: float) -> None:
    """Sleep, on an event loop without stopping it."""
    if on_loop():
        wait_for(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)
