"""What we must touch inside Chroma because there is no public way, all in one place."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from chromadb.api.shared_system_client import SharedSystemClient

if TYPE_CHECKING:
    import httpx

#: Chroma builds its engines without a lock of its own. Innermost: nothing else is locked under it.
BUILDING: Final = threading.RLock()


def running() -> dict[str, Any]:
    """Return Chroma's engines in this process: by path, ``ephemeral`` in memory, else by a random name."""
    return SharedSystemClient._identifier_to_system  # noqa: SLF001


def users_in_memory() -> int:
    """Return how many clients use Chroma's in-memory engine of this process."""
    return SharedSystemClient._identifier_to_refcount.get("ephemeral", 0)  # noqa: SLF001


def close(client: Any) -> None:
    """Close a client; Chroma's type of clients does not mention that they can be."""
    client.close()


def close_http(client: Any) -> None:
    """Close a client of a server, and what Chroma leaves behind of it: sessions, and an engine unused."""
    mine, engine = sessions(client), running()[client._identifier]  # noqa: SLF001
    close(client)
    for session in mine:
        session.close()
    for name in [name for name, other in list(running().items()) if other is engine]:
        running().pop(name, None)


def sessions(client: Any) -> list[httpx.Client]:
    """Return the HTTP sessions below a client of a server: one for work, one for administration."""
    servers = [client._server, client._admin_client._server]  # noqa: SLF001
    return [server._session for server in servers]  # noqa: SLF001


def release(admin: Any) -> None:
    """Let go of an admin client, which counts as a user of its engine but cannot be closed."""
    SharedSystemClient._release_system(admin._identifier)  # noqa: SLF001
