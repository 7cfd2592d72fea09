"""Ctrl-C at a safe point: never between doing a thing and booking it."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Self

from vectorface.bridge import on_loop


class Interrupts(AbstractContextManager["Interrupts"]):
    """Holds Ctrl-C back while it is entered, but for the stretches marked :meth:`allowed`.

    It acts in the main thread, outside of event loops, and only where Python's own handler is in place;
    elsewhere Ctrl-C keeps the meaning that somebody gave it.

    Attributes:
        held: Whether a Ctrl-C came that no stretch has let through yet.
    """

    def __init__(self) -> None:
        self.held = False
        self._open = False
        self._previous: Any = None
        self._stretch = _Stretch(self)

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread() and not on_loop()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._open:
            self.held = True
            return
        self._open = False  # here, because the stretch may end in this very moment, before it can say so
        signal.default_int_handler(number, frame)

    def allowed(self) -> AbstractContextManager[object]:
        """Let a Ctrl-C through for a stretch, also one that was held back before.

        Raises:
            KeyboardInterrupt: There was one, or one comes.
        """
        return self._stretch

    def open(self) -> None:
        """Begin a stretch."""
        self._open = True
        if self.held:
            self.held = self._open = False
            raise KeyboardInterrupt

    def shut(self) -> None:
        """End it."""
        self._open = False


class _Stretch(AbstractContextManager[object]):
    """Where a Ctrl-C may come; a class, because one is entered for each document that is read."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interrupts.shut()
