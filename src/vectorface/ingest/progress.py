"""A progress bar over the account of an upsert, by tqdm (in terminals and notebooks)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from vectorface.errors import MissingExtraError
from vectorface.ingest.account import Progress


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """Shows documents done, failed and unchanged; a callback for ``upsert_parallel(callbacks=...)``.

    Raises:
        MissingExtraError: tqdm is not installed.
    """

    def __init__(self, *, description: str = "upsert") -> None:
        self._make = _tqdm()
        self._description = description
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        """Draw a snapshot."""
        if self._bar is None:
            self._bar = self._make(total=progress.total, desc=self._description, unit="doc")
        self._bar.set_postfix(
            {name: value for name in ("unchanged", "failed") if (value := getattr(progress, name))},
            refresh=False,
        )
        self._bar.update(progress.done - self._bar.n)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _tqdm() -> Callable[..., Any]:
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 - an optional package
    except ImportError as error:
        raise MissingExtraError("A progress bar needs tqdm: pip install 'vectorface[progress]'.") from error
    return tqdm
