"""Chroma on a directory: one engine for all stores of a process, which looks again when others wrote.

Chroma keeps an engine for each spelling of a path, hands out one that failed to start, and after a fork
waits for threads that stayed behind in the parent. Here a directory has one engine however its path is
spelled; it is started anew when stale, and closed when its last user is done.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import chromadb
from chromadb.api.shared_system_client import SharedSystemClient

from vectorface.backends.chroma.internals import BUILDING, close, running
from vectorface.backends.chroma.sharing import Directory, Generation
from vectorface.backends.chroma.translation import translated
from vectorface.errors import ConnectionFailedError, NotConnectedError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

#: Chroma takes 5,461 documents at once; SQLite 32,766 variables, of which a filter may need 8,000.
MAX_DOCUMENTS: Final = 5_000


class DirectoryLink:
    """A directory on disk, with one engine for the whole process."""

    writers = 1
    processes = False
    max_documents = MAX_DOCUMENTS

    def __init__(self, path: Path) -> None:
        self._engine = Engine.of(path)

    @property
    def client(self) -> ClientAPI:
        """The engine's client; another one after another process has written."""
        with self._engine.reading() as client:
            return client

    def reading(self) -> Any:
        """Enter with a client that sees what any process has written so far."""
        return self._engine.reading()

    def writing(self) -> Any:
        """Enter with a client that may write.

        Raises:
            StoreLockedError: Another process writes here.
        """
        return self._engine.writing()

    def claim(self) -> None:
        """Take the right to write until the engine is closed.

        Raises:
            StoreLockedError: Another process writes here.
        """
        self._engine.claim()

    def close(self) -> None:
        """Leave the engine; the last one closes it."""
        self._engine.leave()


@dataclass(slots=True)
class _Open:
    """A client and how many threads are using it right now."""

    client: ClientAPI
    users: int = 0


class Engine:
    """Chroma's engine for one directory, shared by all stores of this process."""

    _all: ClassVar[dict[Path, Engine]] = {}
    #: Guards the above; outermost.
    _joining: ClassVar[threading.RLock] = threading.RLock()

    @classmethod
    def of(cls, path: Path) -> Engine:
        """Return the engine of a directory, however its path was written."""
        with translated(f"opening {str(path)!r}", otherwise=ConnectionFailedError), cls._joining:
            path = path.expanduser().resolve()
            engine = cls._all.get(path) or cls(path)
            cls._all[path] = engine
            engine._stores += 1  # noqa: SLF001 - its own class
        return engine

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stores = 0
        self._left = False
        self._lock = threading.Lock()
        self._write_lock = threading.RLock()
        path.mkdir(parents=True, exist_ok=True)
        self._directory = Directory(path)
        self._generation: Generation = self._directory.generation()
        self._current = _Open(_started(str(path)))

    @contextmanager
    def reading(self) -> Iterator[ClientAPI]:
        """Enter with a client that sees what any process has written so far."""
        with self._lock:
            self._check_open()
            self._refresh()
            opened = self._current
            opened.users += 1
        try:
            yield opened.client
        finally:
            with self._lock:
                opened.users -= 1
                self._retire(opened)

    def _check_open(self) -> None:
        if self._left:
            raise NotConnectedError("The store was closed meanwhile; connect() opens it again.")

    def _refresh(self) -> None:
        generation = self._directory.generation()
        if generation != self._generation:
            old, self._current = self._current, _Open(_started(_unused(str(self._path))))
            self._generation = generation
            self._retire(old)

    def _retire(self, opened: _Open) -> None:
        """Close a client that is not needed any more, once nobody uses it."""
        if not opened.users and (self._left or opened is not self._current):
            close(opened.client)

    @contextmanager
    def writing(self) -> Iterator[ClientAPI]:
        """Enter with the right to write; tell other processes afterwards."""
        with self._write_lock:
            self.claim()
            with self.reading() as client:
                try:
                    yield client
                finally:
                    with self._lock:
                        self._generation = self._directory.bump()

    def claim(self) -> None:
        """Take the right to write, and keep it."""
        with self._write_lock:
            self._check_open()
            if self._directory.take():
                self._directory.bump()  # its last holder died: we and others have to look again

    def leave(self) -> None:
        """Count one store less; the last one closes the engine, when what it is doing is done."""
        with self._joining:
            self._stores -= 1
            if self._stores:
                return
            del self._all[self._path]
            with self._write_lock, self._lock:
                self._left = True
                self._retire(self._current)
                self._directory.release()


def _unused(path: str) -> str:
    """Spell the path in a way that no client of this process does: that gives a fresh engine."""
    while path in running():
        path += "/."
    return path


def _started(path: str) -> ClientAPI:
    with BUILDING:
        known = path in running()
        try:
            return chromadb.PersistentClient(path=path)
        except BaseException:
            if not known:
                running().pop(path, None)  # Chroma would hand out what failed to start the next time
            raise


def _start_afresh() -> None:
    """Forget in a forked child what was inherited, so that Chroma can be opened there.

    It must never be taken apart, not even when the interpreter ends: Chroma would wait for threads that
    stayed behind in the parent, and the lock that is let go would be the parent's.
    """
    for inherited in (*running().values(), dict(Engine._all)):  # noqa: SLF001 - its own module
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
    Engine._all.clear()  # noqa: SLF001
    SharedSystemClient.clear_system_cache()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)
