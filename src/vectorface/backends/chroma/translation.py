"""Chroma's errors as ours: one place, the cause kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
from chromadb import errors as chroma_errors

from vectorface.errors import (
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    IndexNotFoundError,
    TransientError,
    VectorfaceError,
)
from vectorface.ingest.retrying import TRANSIENT_STATUSES, retry_after

#: What SQLite says when somebody else holds its lock.
_LOCKED: Final = ("database is locked", "database is busy", "database table is locked")
#: "Who are you" and "not you".
_REFUSED: Final = frozenset({401, 403})


@contextmanager
def translated(doing: str, *, otherwise: type[VectorfaceError] = BackendError) -> Iterator[None]:
    """Raise Chroma's errors as ours.

    Args:
        doing: What was being done and where, as in ``writing to collection 'stories'``.
        otherwise: What an error becomes that says nothing we know.
    """
    try:
        yield
    except VectorfaceError:
        raise
    except Exception as error:  # Chroma raises bare Exception for some answers of a server
        raise _as_ours(error, doing, otherwise) from error


def _as_ours(error: Exception, doing: str, otherwise: type[VectorfaceError]) -> VectorfaceError:
    said = f"While {doing}: {str(error).rstrip('.') or repr(error)}."
    response = _response(error)
    if isinstance(error, chroma_errors.NotFoundError):
        return IndexNotFoundError(f"{said} If it was deleted meanwhile, create_index() makes it anew.")
    if _is_down(error):
        return ConnectionFailedError(
            f"{said} Is the server running there? Start one with: chroma run --path DIR --port PORT"
        )
    if isinstance(error, chroma_errors.ChromaAuthError | chroma_errors.AuthorizationError) or (
        response is not None and response.status_code in _REFUSED
    ):
        return BackendError(f"{said} The server refused the credentials; check headers, tenant and database.")
    if "already exists for" in str(error) and "different settings" in str(error):
        return ConfigurationError(f"{said} Pass the client that this process has already as client=.")
    if _may_pass(error, response):
        return TransientError(said, retry_after=retry_after(error.__context__) or retry_after(error) or None)
    return otherwise(said)


def _response(error: Exception) -> Any:
    """Return the server's answer; Chroma's client hides it behind a bare Exception."""
    for source in (error, error.__context__):
        response = getattr(source, "response", None)
        if isinstance(response, httpx.Response):
            return response
    return None


def _is_down(error: Exception) -> bool:
    return isinstance(error, httpx.ConnectError) or "Could not connect to a Chroma server" in str(error)


def _may_pass(error: Exception, response: Any) -> bool:
    if isinstance(error, httpx.TransportError | chroma_errors.RateLimitError):
        return True
    if any(words in str(error) for words in _LOCKED):
        return True
    return response is not None and response.status_code in TRANSIENT_STATUSES
