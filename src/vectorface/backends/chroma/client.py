"""Links to Chroma: in memory, in a directory, on a server, or a client somebody made already.

A link gives the collection to read from and to write to, and hides what differs: isolation in memory, one
engine per directory and process, locks and fresh readers, time-outs on HTTP.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

import chromadb
import httpx
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings

from vectorface.backends.chroma.sharing import Directory, Generation
from vectorface.backends.chroma.translation import translated
from vectorface.errors import ConfigurationError
from vectorface.indexes import ConnectionSettings

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

Mode: TypeAlias = Literal["memory", "persistent", "server"]

#: Chroma builds its engines without a lock of its own.
_BUILDING = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class ChromaSettings(ConnectionSettings):
    """How to reach Chroma; see :meth:`ChromaDB.connect`."""

    mode: Mode = "memory"
    path: str | None = None
    host: str = "localhost"
    port: int = 8000
    ssl: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tenant: str = DEFAULT_TENANT
    database: str = DEFAULT_DATABASE
    timeout: float = 60.0


def _close(client: Any) -> None:
    """Close a client; Chroma's type of clients does not mention that they can be."""
    client.close()


class Link(Protocol):
    """A way to Chroma."""

    @property
    def client(self) -> ClientAPI:
        """Chroma's own client."""
        ...

    @property
    def writers(self) -> int:
        """How many threads pay in writing."""
        ...

    def reading(self) -> Any:
        """Enter with a client that sees what has been written so far."""
        ...

    def writing(self) -> Any:
        """Enter with a client that may write."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class SharedLink:
    """A client that several may use and that sees every write: a server's, or one made by the caller."""

    def __init__(self, client: ClientAPI, *, writers: int, owned: bool) -> None:
        self.client = client
        self.writers = writers
        self._owned = owned

    def reading(self) -> Any:
        """Enter with the client."""
        return nullcontext(self.client)

    def writing(self) -> Any:
        """Enter with the client."""
        return nullcontext(self.client)

    def close(self) -> None:
        """Close the client if the link made it."""
        if self._owned:
            _close(self.client)


class MemoryLink(SharedLink):
    """An in-memory client of its own: Chroma's share all data within a process, databases keep them apart."""

    def __init__(self) -> None:
        self._database = f"vectorface-{uuid.uuid4().hex}"
        with _BUILDING, translated("starting Chroma in memory"):
            self._admin = chromadb.AdminClient(Settings(is_persistent=False))
            self._admin.create_database(self._database)
            client = chromadb.EphemeralClient(database=self._database)
        super().__init__(client, writers=1, owned=True)

    def close(self) -> None:
        """Drop the database."""
        with _BUILDING, translated("closing Chroma in memory"):
            self._admin.delete_database(self._database)
            super().close()


class DirectoryLink:
    """A directory on disk, with one engine for the whole process."""

    writers = 1

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

    @classmethod
    def of(cls, path: Path) -> Engine:
        """Return the engine of a directory, however its path was written."""
        path = path.expanduser().resolve()
        with _BUILDING:
            engine = cls._all.get(path) or cls(path)
            cls._all[path] = engine
            engine._stores += 1  # noqa: SLF001 - its own class
        return engine

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stores = 0
        self._opened = 0
        self._lock = threading.Lock()
        self._write_lock = threading.RLock()
        with translated(f"opening {str(path)!r}"):
            path.mkdir(parents=True, exist_ok=True)
            self._directory = Directory(path)
            self._generation: Generation = self._directory.generation()
            self._current = _Open(self._build())

    def _build(self) -> ClientAPI:
        # Chroma keeps one engine for each spelling of a path: another spelling gives a fresh one.
        spelled = str(self._path) + "/." * self._opened
        self._opened += 1
        with _BUILDING:
            return chromadb.PersistentClient(path=spelled)

    @contextmanager
    def reading(self) -> Iterator[ClientAPI]:
        """Enter with a client that sees what any process has written so far."""
        with self._lock:
            self._refresh()
            opened = self._current
            opened.users += 1
        try:
            yield opened.client
        finally:
            with self._lock:
                opened.users -= 1
                self._retire(opened)

    def _refresh(self) -> None:
        generation = self._directory.generation()
        if generation != self._generation:
            old, self._current = self._current, _Open(self._build())
            self._generation = generation
            self._retire(old)

    def _retire(self, opened: _Open) -> None:
        """Close a client that was replaced, once nobody uses it any more."""
        if opened is not self._current and not opened.users:
            _close(opened.client)

    @contextmanager
    def writing(self) -> Iterator[ClientAPI]:
        """Enter with the right to write; tell other processes afterwards."""
        with self._write_lock:
            if self._directory.take():
                self._directory.bump()  # a writer before us may have died before it could tell
            with self.reading() as client:
                try:
                    yield client
                finally:
                    with self._lock:
                        self._generation = self._directory.bump()

    def leave(self) -> None:
        """Count one store less; the last one closes the engine."""
        with _BUILDING:
            self._stores -= 1
            if self._stores:
                return
            del self._all[self._path]
            _close(self._current.client)
            self._directory.release()


def link(settings: ChromaSettings) -> Link:
    """Open the link that the settings describe.

    Raises:
        ConfigurationError: The settings do not fit together.
        ConnectionFailedError: There is no server, or the path cannot be opened.
    """
    if settings.client is not None:
        return SharedLink(settings.client, writers=1, owned=False)
    match settings.mode:
        case "memory":
            return MemoryLink()
        case "persistent":
            return DirectoryLink(Path(settings.path or ""))
        case "server":
            return SharedLink(_server_client(settings), writers=4, owned=True)
        case _:
            raise ConfigurationError(
                f"mode={settings.mode!r} is unknown; use 'memory', 'persistent' or 'server'."
            )


def _server_client(settings: ChromaSettings) -> ClientAPI:
    address = f"{settings.host}:{settings.port}"
    with translated(f"connecting to the Chroma server at {address}"), _BUILDING:
        client = chromadb.HttpClient(
            host=settings.host,
            port=settings.port,
            ssl=settings.ssl,
            headers=dict(settings.headers),
            tenant=settings.tenant,
            database=settings.database,
        )
    session = getattr(getattr(client, "_server", None), "_session", None)
    if isinstance(session, httpx.Client):
        session.timeout = httpx.Timeout(settings.timeout)  # Chroma sets none: a dead server would hang us
    return client
