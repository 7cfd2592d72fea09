"""One directory, several processes: who may write, and who must look again.

Chroma's embedded engine keeps vectors in memory. Two processes that write to one directory lose vectors
without a word, and a process that has searched once does not see what another one adds later. So the
first write takes a lock on the directory, which is kept until the store is closed, and each write makes a
small file grow by a byte; a reader looks at its size before it searches.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, TypeAlias

from filelock import FileLock, Timeout

from vectorface.errors import StoreLockedError

#: Size and inode of the generation file; it differs after every write.
Generation: TypeAlias = tuple[int, int]

_LOCK_FILE: Final = ".vectorface.lock"
_GENERATION_FILE: Final = ".vectorface.generation"
#: Is there while somebody writes, and stays there if that process dies.
_WRITING_FILE: Final = ".vectorface.writing"
_LONGEST: Final = 1 << 20


class Directory:
    """The traffic signs of one directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._generation_file = path / _GENERATION_FILE
        self._writing_file = path / _WRITING_FILE
        # One lock for the process, whichever thread writes first.
        self._lock = FileLock(path / _LOCK_FILE, timeout=0, thread_local=False)

    def take(self) -> bool:
        """Take the right to write, unless this process has it.

        Returns:
            Whether its last holder may have died before it could tell what it wrote.

        Raises:
            StoreLockedError: Another process has it.
        """
        if self._lock.is_locked:
            return False
        try:
            self._lock.acquire()
        except Timeout:
            raise StoreLockedError(
                f"Another process writes to {str(self._path)!r}, and two writers would lose each other's "
                "vectors. Close its store, or let both use a server: chroma run --path DIR --port PORT."
            ) from None
        died = self._writing_file.exists()
        self._writing_file.touch()
        return died

    def release(self) -> None:
        """Give the right to write back, if this process has it."""
        if self._lock.is_locked:
            self._writing_file.unlink(missing_ok=True)
            self._lock.release()

    def generation(self) -> Generation:
        """Return what changes with every write."""
        try:
            status = self._generation_file.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_size, status.st_ino

    def bump(self) -> Generation:
        """Tell other processes that something was written; return the new generation."""
        if self.generation()[0] >= _LONGEST:
            fresh = self._path / f"{_GENERATION_FILE}.new"
            fresh.write_bytes(b"")
            fresh.replace(self._generation_file)
        descriptor = os.open(self._generation_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, b".")
        finally:
            os.close(descriptor)
        return self.generation()
