"""The bodies of Elasticsearch's errors.

Source: ``server/.../ElasticsearchException.java`` (generateFailureXContent: ``error.root_cause``, ``type``,
``reason``, ``caused_by``, and ``status`` beside them),
``x-pack/plugin/core/.../ml/utils/ExceptionsHelper.java``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ElasticError(Exception):
    """An answer that is an error, in the form that Elasticsearch gives it."""

    def __init__(
        self,
        status: int,
        type: str,
        reason: str,
        *,
        cause: ElasticError | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{type}: {reason}")
        self.status = status
        self.type = type
        self.reason = reason
        self.cause = cause
        self.more = dict(more or {})
        self.headers = dict(headers or {})

    def as_cause(self) -> dict[str, Any]:
        """Return the error as it stands in a bulk item, a failure list or a ``caused_by``."""
        found = {"type": self.type, "reason": self.reason, **self.more}
        if self.cause is not None:
            found["caused_by"] = self.cause.as_cause()
        return found

    def as_error(self) -> dict[str, Any]:
        """Return the error with its root cause, as it stands under ``error``."""
        root = {"type": self.type, "reason": self.reason, **self.more}
        return {"root_cause": [root], **self.as_cause()}

    def body(self) -> dict[str, Any]:
        """Return the whole answer."""
        return {"error": self.as_error(), "status": self.status}


def bad_request(reason: str) -> ElasticError:
    return ElasticError(400, "status_exception", reason)


def conflict(reason: str) -> ElasticError:
    return ElasticError(409, "status_exception", reason)


def request_timeout(reason: str) -> ElasticError:
    return ElasticError(408, "status_exception", reason)


def no_resources(reason: str, *, cause: ElasticError | None = None) -> ElasticError:
    return ElasticError(429, "status_exception", reason, cause=cause)


def rejected(reason: str) -> ElasticError:
    return ElasticError(429, "es_rejected_execution_exception", reason)


def illegal_argument(reason: str) -> ElasticError:
    return ElasticError(400, "illegal_argument_exception", reason)


def not_found(reason: str) -> ElasticError:
    return ElasticError(404, "resource_not_found_exception", reason)


def parsing(reason: str) -> ElasticError:
    return ElasticError(400, "parsing_exception", reason)


def validation(*problems: str) -> ElasticError:
    """Return what a request's own checks say (``ActionRequestValidationException``), numbered."""
    numbered = "".join(f"{number}: {problem};" for number, problem in enumerate(problems, start=1))
    return ElasticError(400, "action_request_validation_exception", f"Validation Failed: {numbered}")


def unsupported(what: str) -> ElasticError:
    """Return our own words for what Elasticsearch can do and this gateway cannot."""
    return ElasticError(501, "gateway_exception", f"The test gateway does not implement {what}.")
