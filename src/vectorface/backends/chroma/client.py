"""Links to Chroma: in memory, in a directory, on a server, or a client somebody made already.

A link gives the client to read with and the client to write with, and hides what differs: isolation in
memory, one engine per directory and process, locks and fresh readers, time-outs on HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias
from urllib.parse import quote

import chromadb
import httpx
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings

from vectorface.backends.chroma.engine import MAX_DOCUMENTS, DirectoryLink
from vectorface.backends.chroma.internals import (
    BUILDING,
    close,
    close_http,
    release,
    running,
    sessions,
    users_in_memory,
)
from vectorface.backends.chroma.leftovers import delete_all_lists
from vectorface.backends.chroma.translation import translated
from vectorface.errors import ConfigurationError, ConnectionFailedError, IndexNotFoundError
from vectorface.indexes import ConnectionSettings

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

#: Replacing a document takes a server about 7 ms: more than these might outlast the time-out.
_MAX_SENT: Final = 2_000
#: What Chroma calls its database in a directory.
_DATABASE_FILE: Final = "chroma.sqlite3"

Mode: TypeAlias = Literal["memory", "persistent", "server"]


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

    @property
    def processes(self) -> bool:
        """Whether several processes may write at the same time."""
        ...

    @property
    def max_documents(self) -> int:
        """How many documents to send at once."""
        ...

    def reading(self) -> Any:
        """Enter with a client that sees what has been written so far."""
        ...

    def writing(self) -> Any:
        """Enter with a client that may write."""
        ...

    def claim(self) -> None:
        """Take the right to write, where there is one to be had."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class GivenLink:
    """A client that sees every write: one that the caller made, and closes."""

    writers = 1
    processes = False  # a client cannot be sent to them
    max_documents = _MAX_SENT

    def __init__(self, client: ClientAPI) -> None:
        self.client = client

    def reading(self) -> Any:
        """Enter with the client."""
        return nullcontext(self.client)

    def writing(self) -> Any:
        """Enter with the client."""
        return nullcontext(self.client)

    def claim(self) -> None:
        """Do nothing: everyone may write."""

    def close(self) -> None:
        """Leave the client open."""


class ServerLink(GivenLink):
    """A client of a server, with time-outs."""

    writers = 4
    processes = True

    def __init__(self, settings: ChromaSettings) -> None:
        address = f"{settings.host}:{settings.port}"
        with translated(f"connecting to the Chroma server at {address}", otherwise=ConnectionFailedError):
            _greet(settings)
            client = chromadb.HttpClient(
                host=_in_url(settings.host),
                port=settings.port,
                ssl=settings.ssl,
                headers=dict(settings.headers),
                tenant=settings.tenant,
                database=settings.database,
                settings=Settings() if settings.ssl else Settings(chroma_server_ssl_verify=False),
            )
        super().__init__(client)
        for session in sessions(client):
            session.timeout = httpx.Timeout(settings.timeout)  # Chroma sets none: a dead server would hang us

    def close(self) -> None:
        """Close the client."""
        close_http(self.client)


class MemoryLink(GivenLink):
    """An in-memory client of its own: Chroma's share all data within a process, databases keep them apart."""

    max_documents = MAX_DOCUMENTS

    def __init__(self) -> None:
        self._database = f"vectorface-{uuid.uuid4().hex}"
        with BUILDING, translated("starting Chroma in memory"):
            others = users_in_memory()
            self._admin = chromadb.AdminClient(_memory_settings())
            self._admin.create_database(self._database)
            client = chromadb.EphemeralClient(_memory_settings(), database=self._database)
            self._users = users_in_memory() - others
        super().__init__(client)

    def close(self) -> None:
        """Drop the database; the last client of the process takes the engine with it."""
        with BUILDING, translated("closing Chroma in memory"):
            if users_in_memory() > self._users:
                delete_all_lists(self.client)
            self._admin.delete_database(self._database)
            close(self.client)
            release(self._admin)


def _memory_settings() -> Settings:
    """Return settings that Chroma accepts: those of the in-memory engine of this process, if it runs."""
    system = running().get("ephemeral")
    return Settings(is_persistent=False) if system is None else system.settings


def link(settings: ChromaSettings) -> Link:
    """Open the link that the settings describe.

    Raises:
        ConfigurationError: The settings do not fit together.
        ConnectionFailedError: There is no server, or the path cannot be opened.
        TransientError: The server does not answer in time.
        IndexNotFoundError: The directory holds nothing of Chroma's, and nothing is to be made.
    """
    if settings.client is not None:
        return GivenLink(settings.client)
    match settings.mode:
        case "memory":
            return MemoryLink()
        case "persistent":
            path = Path(settings.path or "")
            if not settings.create and not _is_of_chroma(path):
                raise IndexNotFoundError(
                    f"There is no index {settings.index!r}: {str(path)!r} holds no Chroma data. To make it, "
                    "leave out create=False."
                )
            return DirectoryLink(path)
        case "server":
            return ServerLink(settings)


def _is_of_chroma(path: Path) -> bool:
    with translated(f"opening {str(path)!r}", otherwise=ConnectionFailedError):
        return (path / _DATABASE_FILE).is_file()


def _greet(settings: ChromaSettings) -> None:
    """See whether the server answers and has the database: Chroma's own client would wait for ever.

    Raises:
        ConfigurationError: It has not.
    """
    scheme = "https" if settings.ssl else "http"
    database = f"tenants/{quote(settings.tenant, safe='')}/databases/{quote(settings.database, safe='')}"
    answer = httpx.get(
        f"{scheme}://{_in_url(settings.host)}:{settings.port}/api/v2/{database}",
        headers=dict(settings.headers),
        timeout=settings.timeout,
        verify=settings.ssl,  # without TLS there is nothing to verify, and no time to spend on certificates
    )
    if answer.status_code == httpx.codes.NOT_FOUND and "NotFoundError" in answer.text:
        raise ConfigurationError(
            f"The Chroma server at {settings.host}:{settings.port} has no tenant {settings.tenant!r} with a "
            f"database {settings.database!r}. Make them with chromadb.AdminClient, or leave both out."
        )
    answer.raise_for_status()


def _in_url(host: str) -> str:
    """Return a host as URLs spell it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host
