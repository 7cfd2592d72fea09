"""Elasticsearch's errors as ours: one place, the cause kept, no credentials in any message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import elastic_transport
import elasticsearch

from vectorface.errors import (
    AuthenticationError,
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    DeploymentExistsError,
    DeploymentInUseError,
    IndexExistsError,
    IndexNotFoundError,
    InferenceQueueFullError,
    InferenceTimeoutError,
    ModelNotFoundError,
    ModelNotReadyError,
    NoCapacityError,
    PermissionDeniedError,
    TransientError,
    VectorfaceError,
)
from vectorface.ingest.retrying import TRANSIENT_STATUSES, parse_retry_after

#: What a reason says, which error that is, and what to do about it. The texts are Elasticsearch's own
#: (``TrainedModelAssignment*``, ``DeploymentManager``, ``InferenceRunner`` and ``Messages`` in x-pack/plugin).
_BY_REASON: Final[tuple[tuple[re.Pattern[str], type[VectorfaceError], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), error, advice)
    for pattern, error, advice in (
        (
            r"queue is full|Unable to execute command|rejected execution of inference",
            InferenceQueueFullError,
            "The deployment takes no more for now: send less at a time, raise queue_capacity, or give it more "
            "allocations (ElserModel.update()).",
        ),
        (
            r"model definition truncated|definition.* not fully|is not fully defined",
            ModelNotReadyError,
            "The model is still being downloaded: wait for it with ElserModel.wait_until_downloaded().",
        ),
        (
            r"no ML nodes with sufficient capacity|no nodes? .*sufficient|insufficient (memory|processors|cap)"
            r"|not enough (memory|processors)|could not be allocated|Could not start deployment because",
            NoCapacityError,
            "No machine-learning node has room: ask for fewer allocations x threads, stop another "
            "deployment, or add nodes; ElserModel.plan() tells beforehand what fits.",
        ),
        (
            r"existing deployment with the same id|deployment.* already exist|already been started",
            DeploymentExistsError,
            "Choose another deployment_id, or change that one with ElserModel.update().",
        ),
        (
            r"referenced by|is being used by|still (used|referenced)|currently deployed|has .*aliases? that",
            DeploymentInUseError,
            "Take what needs it away first, or pass force=True.",
        ),
        (
            r"could not find trained model|no known trained model|no known model|no trained model"
            r"|no deployment with|inference endpoint not found|deployment .* not found"
            r"|no deployments? (found|with)|could not find.*deployment",
            ModelNotFoundError,
            "A model, a deployment and an inference endpoint have ids of their own; "
            "ElserModel.status() shows which there are.",
        ),
        (
            r"not (currently )?deployed|no started deployment|must be deployed|not started"
            r"|not allocated to any node|deployment is stop",
            ModelNotReadyError,
            "Start it with ElserModel.ensure().",
        ),
        (
            r"waiting for inference|inference (process )?timed? ?out|timeout \[.*\] waiting"
            r"|timed out waiting for",
            InferenceTimeoutError,
            "The deployment is behind, or the time-out too short for what waits in its queue.",
        ),
    )
)

_BY_TYPE: Final[Mapping[str, type[VectorfaceError]]] = {
    "index_not_found_exception": IndexNotFoundError,
    "resource_already_exists_exception": IndexExistsError,
    "invalid_alias_name_exception": IndexExistsError,
    "search_context_missing_exception": TransientError,
    "es_rejected_execution_exception": TransientError,
    "circuit_breaking_exception": TransientError,
    "unavailable_shards_exception": TransientError,
    "no_shard_available_action_exception": TransientError,
    "process_cluster_event_timeout_exception": TransientError,
}

_ADVICE: Final[Mapping[type[VectorfaceError], str]] = {
    IndexNotFoundError: "If it was deleted meanwhile, create_index() makes it anew.",
    AuthenticationError: "Check api_key= or basic_auth=; an API key may have expired or be another cluster's.",
    PermissionDeniedError: "Give the user or API key that privilege, or use another.",
}


def as_ours(error: Exception, doing: str) -> VectorfaceError:
    """Return the error of the library that stands for one of the client's.

    Args:
        error: What the client raised.
        doing: What was being done and where, as in ``writing to index 'stories'``.
    """
    if isinstance(error, elasticsearch.ApiError):
        headers = error.meta.headers if error.meta is not None else {}
        return answered(
            error.status_code,
            error.body,
            doing,
            retry_after=parse_retry_after(headers.get("retry-after")) or None,
        )
    return _unanswered(error, doing)


def _unanswered(error: Exception, doing: str) -> VectorfaceError:
    said = f"While {doing}: {_short(error)}."
    if isinstance(error, elasticsearch.UnsupportedProductError):
        return ConfigurationError(f"While {doing}: what answers there is not Elasticsearch.")
    if isinstance(error, elastic_transport.ConnectionTimeout):
        return TransientError(f"{said} Where models work on the server, a longer timeout= may help.")
    if isinstance(error, elastic_transport.TlsError):
        return ConnectionFailedError(f"{said} Pass the authority that signed its certificate as ca_certs=.")
    if isinstance(error, elastic_transport.ConnectionError):
        if _was_cut(error):
            return TransientError(f"{said} The connection was cut before the answer came.")
        return ConnectionFailedError(f"{said} Is Elasticsearch running there, and the address right?")
    if isinstance(error, elastic_transport.SerializationError):
        return TransientError(f"While {doing}: the answer was cut or is not JSON.")
    return BackendError(said)


def _was_cut(error: Exception) -> bool:
    """Tell whether there was a connection, so that the request may have been carried out."""
    said = repr(error)
    signs = ("RemoteDisconnected", "reset by peer", "IncompleteRead", "Server disconnected", "BrokenPipe")
    return any(sign in said for sign in (*signs, "Broken pipe", "ProtocolError", "ClientPayloadError"))


def _short(error: Exception) -> str:
    text = str(getattr(error, "message", error)).rstrip(".")
    return text[:300] or type(error).__name__


def answered(status: int, body: Any, doing: str, *, retry_after: float | None = None) -> VectorfaceError:
    """Return the error that an answer of the server stands for.

    Args:
        status: Its HTTP status, or that of an item of a bulk request.
        body: What it says: an object with ``error``, or that ``error`` itself.
        doing: What was being done and where.
        retry_after: Seconds the server asked to wait.
    """
    kind, reason = _described(body)
    said = f"While {doing}: {reason or kind or f'HTTP {status}'}".rstrip(".") + f" (HTTP {status})."
    if status in {401, 403}:
        refused = AuthenticationError if status == 401 else PermissionDeniedError  # noqa: PLR2004 - HTTP
        return refused(f"{said} {_ADVICE[refused]}")
    if kind == "index_not_found_exception":
        return IndexNotFoundError(f"{said} {_ADVICE[IndexNotFoundError]}")
    for pattern, error, advice in _BY_REASON:
        if pattern.search(reason):
            return _made(error, f"{said} {advice}", retry_after)
    known = _BY_TYPE.get(kind)
    if known is None:
        known = TransientError if status in TRANSIENT_STATUSES and not _is_final(kind) else BackendError
    advice = _ADVICE.get(known, "")
    return _made(known, f"{said} {advice}".rstrip(), retry_after)


def _made(error: type[VectorfaceError], said: str, retry_after: float | None) -> VectorfaceError:
    return error(said, retry_after=retry_after) if issubclass(error, TransientError) else error(said)


#: Kinds that come with HTTP 500 and will not pass.
_FINAL: Final = frozenset({"illegal_state_exception", "illegal_argument_exception", "null_pointer_exception"})


def _is_final(kind: str) -> bool:
    return kind in _FINAL


def _described(body: Any) -> tuple[str, str]:
    """Return kind and reason of an error body; a search's reason is that of its first failed shard."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return "", str(error or "")[:1000]
    root = next(iter(error.get("root_cause") or ()), error)
    kinds = error.get("type") or "", root.get("type") or ""
    reasons = [_reason(error), _reason(root)]
    reasons += [_reason(cause) for cause in _causes(error)]
    reason = ": ".join(dict.fromkeys(said for said in reasons if said))
    return (kinds[1] or kinds[0]), reason[:2000]


def _reason(error: Mapping[str, Any]) -> str:
    return str(error.get("reason") or "")


def _causes(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = []
    cause = error.get("caused_by")
    while isinstance(cause, Mapping):
        found.append(cause)
        cause = cause.get("caused_by")
    return found
