"""Elasticsearch's errors as ours: one place, the cause kept, no credentials in any message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
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
    InvalidQueryError,
    ModelNotFoundError,
    ModelNotReadyError,
    NoCapacityError,
    PermissionDeniedError,
    TransientError,
    VectorfaceError,
)
from vectorface.ingest.retrying import TRANSIENT_STATUSES, parse_retry_after

#: What a reason says, and which error that is. The texts are Elasticsearch's (``TrainedModelAssignment*``,
#: ``DeploymentManager``, ``InferenceRunner``, ``Messages`` in x-pack/plugin).
_REASONS: Final[tuple[tuple[type[VectorfaceError], tuple[str, ...]], ...]] = (
    (IndexExistsError, ("has more than one write index",)),
    (
        InferenceQueueFullError,
        ("queue is full", "unable to execute command", "rejected execution of inference"),
    ),
    (
        ModelNotReadyError,
        (
            "model definition truncated",
            "definition.* not fully",
            "is not fully defined",
            "download task is",
            "could not find trained model definition",
        ),
    ),
    (
        NoCapacityError,
        (
            "no ML nodes with sufficient capacity",
            "no nodes? .*sufficient",
            "insufficient (memory|processors|cap)",
            "not enough (memory|processors|resources)",
            "could not be allocated",
            "could not start deployment because",
        ),
    ),
    (
        DeploymentExistsError,
        (
            "existing deployment with the same id",
            "deployment.* already exist",
            "already been started",
            r"trained machine learning model \[.*\] already exists",
            "model_alias already refers to",
            "is the same as an (existing|another|current)",
            "cannot be the same as an existing trained model",
        ),
    ),
    (
        DeploymentInUseError,
        (
            "referenced by",
            "is being used by",
            "still (used|referenced)",
            "currently deployed",
            "has .*aliases? that",
        ),
    ),
    (
        ModelNotFoundError,
        (
            "could not find trained model",
            "no known (trained )?model",
            "no trained model",
            "no deployments? (found|with)",
            "inference endpoint not found",
            "deployment .* not found",
            "could not find.*deployment",
            "is not an inference service model",
            "model_alias .* could not be found",
            "model_alias .* does not refer to",
        ),
    ),
    (
        ModelNotReadyError,
        (
            "not (currently )?deployed",
            "no started deployment",
            "must be deployed",
            "not started",
            "not allocated to any node",
            "deployment is stop",
            r"not in \[started\] state",
            r"trained model \[.*\] is \[(stopp|fail)",
            "not yet (deployed|allocated)",
        ),
    ),
    (
        InferenceTimeoutError,
        (
            "waiting for inference",
            "inference (process )?timed? ?out",
            r"timeout \[.*\] waiting",
            "timed out waiting for",
            "timed out after .* waiting for",
        ),
    ),
)
_BY_REASON: Final = tuple((re.compile("|".join(texts), re.IGNORECASE), error) for error, texts in _REASONS)

_BY_TYPE: Final[Mapping[str, type[VectorfaceError]]] = {
    "index_not_found_exception": IndexNotFoundError,
    "resource_already_exists_exception": IndexExistsError,
    "invalid_alias_name_exception": IndexExistsError,
    "parsing_exception": InvalidQueryError,
    "query_shard_exception": InvalidQueryError,
    "search_context_missing_exception": TransientError,
    "es_rejected_execution_exception": TransientError,
    "circuit_breaking_exception": TransientError,
    "unavailable_shards_exception": TransientError,
    "no_shard_available_action_exception": TransientError,
    "process_cluster_event_timeout_exception": TransientError,
}

#: Errors whose reasons quote what somebody wrote: an id, a text, a query.
_QUOTING: Final = frozenset(
    {
        "document_parsing_exception",
        "mapper_parsing_exception",
        "parsing_exception",
        "query_shard_exception",
        "strict_dynamic_mapping_exception",
        "version_conflict_engine_exception",
        "x_content_parse_exception",
    }
)

_ADVICE: Final[Mapping[type[VectorfaceError], str]] = {
    IndexExistsError: "There is an index or an alias of that name already.",
    IndexNotFoundError: "Is the name right? If it was deleted meanwhile, create_index() makes it anew.",
    AuthenticationError: "Check api_key= or basic_auth=; a key may have expired, or be another cluster's.",
    PermissionDeniedError: "Give the user or API key that privilege, or use another.",
    InvalidQueryError: "The server cannot use the query: its text may be too long, or native= wrong.",
    InferenceQueueFullError: (
        "The deployment takes no more for now: send less at a time, raise queue_capacity, or give it more "
        "allocations (ElserModel.update())."
    ),
    ModelNotReadyError: ("Bring it up with ElserModel.ensure(), which waits for the download and the start."),
    NoCapacityError: (
        "No machine-learning node has room: ask for fewer allocations x threads, stop another deployment, "
        "or add nodes; ElserModel.plan() tells beforehand what fits."
    ),
    DeploymentExistsError: "Choose another deployment_id, or change that one with ElserModel.update().",
    DeploymentInUseError: "Take what needs it away first, or pass force=True.",
    ModelNotFoundError: (
        "If nothing runs it yet: ElserModel(client).ensure(). A model, a deployment and an inference "
        "endpoint have ids of their own; ElserModel.status() shows which there are."
    ),
    InferenceTimeoutError: (
        "The deployment is behind, or the time-out too short for what waits in its queue."
    ),
}

#: An answer of this status has no words of its own: Elasticsearch's is empty, a proxy's is a page.
_TOO_LARGE: Final = (
    "The request is larger than the server (http.max_content_length) or a proxy before it takes: write "
    "smaller documents or batches (batch_size=), ask fewer queries in one query_batch()."
)

#: Elasticsearch says "current license is non-compliant for [ml]" where the Basic licence does not do.
_LICENCE: Final = (
    "Machine learning needs a Platinum licence or a trial (POST /_license/start_trial?acknowledge=true); "
    "SparseEncoder, Dense and BM25 need none."
)


def as_ours(error: Exception, doing: str) -> VectorfaceError:
    """Return the error of the library that stands for one of the client's.

    Args:
        error: What the client raised.
        doing: What was being done and where, as in ``writing to index 'stories'``.
    """
    if isinstance(error, elasticsearch.UnsupportedProductError):
        return ConfigurationError(f"While {doing}: what answers there is not Elasticsearch.")
    if isinstance(error, elasticsearch.ApiError):
        wait = parse_retry_after(error.meta.headers.get("retry-after"))
        return answered(error.status_code, error.body, doing, retry_after=wait or None)
    return _unanswered(error, doing)


def _unanswered(error: Exception, doing: str) -> VectorfaceError:
    said = f"While {doing}: {_short(error)}."
    if isinstance(error, elastic_transport.ConnectionTimeout):
        return TransientError(f"{said} Where models work on the server, a longer timeout= may help.")
    if isinstance(error, elastic_transport.TlsError) and "WRONG_VERSION_NUMBER" in said:
        return ConnectionFailedError(
            f"{said} What listens there speaks plain HTTP: use http://, no tls=true."
        )
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
    said = f"While {doing}: {reason or kind or _phrase(status)}".rstrip(".") + f" (HTTP {status})."
    if status in {401, 403}:
        refused = AuthenticationError if status == 401 else PermissionDeniedError  # noqa: PLR2004 - HTTP
        return refused(f"{said} {_LICENCE if 'license' in reason else _ADVICE[refused]}")
    if kind == "index_not_found_exception":
        return IndexNotFoundError(f"{said} {_ADVICE[IndexNotFoundError]}")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return BackendError(f"{said} {_TOO_LARGE}")
    known = _by_reason(kind, reason) or _BY_TYPE.get(kind)
    if known is None:
        known = TransientError if status in TRANSIENT_STATUSES and not _is_final(kind) else BackendError
    advice = _ADVICE.get(known, "")
    return _made(known, f"{said} {advice}".rstrip(), retry_after)


def _phrase(status: int) -> str:
    """Return what a status means, for an answer that says nothing."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason was given"


def _by_reason(kind: str, reason: str) -> type[VectorfaceError] | None:
    if kind in _QUOTING:
        return None
    return next((error for pattern, error in _BY_REASON if pattern.search(reason)), None)


def is_missing(error: BaseException) -> bool:
    """Tell whether an error stands for the answer that there is no such thing (HTTP 404)."""
    return getattr(error.__cause__, "status_code", None) == HTTPStatus.NOT_FOUND


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
        text = str(error or "").strip()
        return "", "" if text.startswith("<") else text[:1000]  # a proxy's page says less than its status
    root = next(iter(error.get("root_cause") or ()), error)
    kinds = error.get("type") or "", root.get("type") or ""
    reasons = [_reason(error), _reason(root)]
    reasons += [_reason(cause) for cause in _causes(error)]
    told = [
        said for i, said in enumerate(reasons) if said and not any(said in other for other in reasons[:i])
    ]
    reason = ": ".join(told)
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
