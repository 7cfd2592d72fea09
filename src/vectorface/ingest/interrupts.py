"""Ctrl-C at a safe point: never between doing a thing and booking it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts(AbstractContextManager["Interrupts"]):
    """Holds Ctrl-C back while it is entered, but for the stretches marked :meth:`allowed`.

    It acts in the main thread, and only where Python's own handler is in place; elsewhere Ctrl-C keeps
    the meaning that somebody gave it.
    """

    def __init__(self) -> None:
        self._held = False
        self._open = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._open:
            signal.default_int_handler(number, frame)
        self._held = True

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let a Ctrl-C through, also one that was held back before.

        Raises:
            KeyboardInterrupt: There was one, or one comes.
        """
        self._open = True
        try:
            self._raise_held()
            yield
        finally:
            self._open = False

    def _raise_held(self) -> None:
        if self._held:
            self._held = False
            raise KeyboardInterrupt
