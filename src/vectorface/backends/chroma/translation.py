"""Chroma's errors as ours: one place, the cause kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from chromadb import errors as chroma_errors

from vectorface.errors import (
    BackendError,
    ConnectionFailedError,
    IndexNotFoundError,
    TransientError,
    VectorfaceError,
)
from vectorface.ingest.retrying import TRANSIENT_STATUSES, retry_after

#: What SQLite says when somebody else holds its lock.
_LOCKED = ("database is locked", "database is busy", "database table is locked")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise Chroma's errors as ours.

    Args:
        doing: What was being done and where, as in ``writing to collection 'stories'``.
    """
    try:
        yield
    except VectorfaceError:
        raise
    except Exception as error:  # Chroma raises bare Exception for some answers of a server
        raise _as_ours(error, doing) from error


def _as_ours(error: Exception, doing: str) -> VectorfaceError:
    said = f"While {doing}: {error}"
    if isinstance(error, chroma_errors.NotFoundError):
        return IndexNotFoundError(f"{said} Was it deleted meanwhile? connect() makes it anew.")
    if isinstance(error, httpx.ConnectError) or "Could not connect to a Chroma server" in str(error):
        return ConnectionFailedError(
            f"{said}. Is the server running there? Start one with: chroma run --path DIR --port PORT"
        )
    if isinstance(error, chroma_errors.ChromaAuthError | chroma_errors.AuthorizationError):
        return BackendError(
            f"{said}. The server refused the credentials; check headers, tenant and database."
        )
    if _may_pass(error):
        return TransientError(said, retry_after=retry_after(error.__context__) or None)
    return BackendError(said)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, httpx.TransportError | chroma_errors.RateLimitError):
        return True
    if any(words in str(error) for words in _LOCKED):
        return True
    response = getattr(error.__context__, "response", None)  # behind the bare Exception of Chroma's client
    return getattr(response, "status_code", None) in TRANSIENT_STATUSES
