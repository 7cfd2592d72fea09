"""Ctrl-C at a safe point: never between doing a thing and booking it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
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
        if self.held:
            self.held = False
            raise KeyboardInterrupt
