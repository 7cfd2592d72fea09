"""Which errors may pass, how long to wait for them, and when to give up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from vectorface.errors import ConfigurationError, TransientError

#: HTTP statuses that say "not now": time-out, too many requests, and the server's own troubles.
TRANSIENT_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Errors of the HTTP clients that embedding providers build on (httpx, requests, aiohttp, openai), by the
#: name of a class they derive from: naming them does not import them.
_TRANSIENT_NAMES: Final = frozenset(
    {
        "TransportError",
        "ConnectionError",
        "Timeout",
        "ClientConnectionError",
        "APIConnectionError",
        "RateLimitError",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often to try again, and how long to wait in between.

    The wait doubles from ``initial`` up to ``maximum`` seconds, plus a random part of up to ``jitter``
    seconds so that threads do not come back all at once. A server's ``Retry-After`` is honoured when it
    is longer.

    Attributes:
        attempts: Most tries of one request, the first included.
        initial: Seconds before the second try.
        maximum: Longest wait in seconds.
        jitter: Most random seconds added to a wait.

    Raises:
        ConfigurationError: Attempts are no whole number from 1, or a wait is no number from 0.

    Example:
        >>> RetryPolicy(attempts=3)
        RetryPolicy(attempts=3, initial=0.5, maximum=30.0, jitter=0.5)
    """

    attempts: int = 5
    initial: float = 0.5
    maximum: float = 30.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not _is_count(self.attempts):
            raise ConfigurationError(f"{self} makes no sense: attempts must be a whole number from 1.")
        if not all(_is_wait(wait) for wait in (self.initial, self.maximum, self.jitter)):
            raise ConfigurationError(f"{self} makes no sense: waits must be numbers of seconds from 0.")


def _is_count(attempts: object) -> bool:
    return isinstance(attempts, int) and not isinstance(attempts, bool) and attempts >= 1


def _is_wait(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0


def is_transient(error: BaseException | None) -> bool:
    """Tell whether trying again may help: a time-out, a reset, "too many requests", a lock.

    Where the server answered with an HTTP status, that decides; else the kind of the error does.
    """
    if isinstance(error, TransientError | TimeoutError | ConnectionError):
        return True
    status = _status(error)
    if isinstance(status, int):
        return status in TRANSIENT_STATUSES
    return any(base.__name__ in _TRANSIENT_NAMES for base in type(error).__mro__)


def _status(error: BaseException | None) -> Any:
    response = getattr(error, "response", None)
    return getattr(error, "status_code", None) or getattr(response, "status_code", None)


def retry_after(error: BaseException | None) -> float:
    """Return the seconds that the server asked to wait, 0 where it did not."""
    own = getattr(error, "retry_after", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    sent = headers.get("Retry-After", headers.get("retry-after"))  # a plain dict does not ignore case
    return parse_retry_after(sent if own is None else own)


def parse_retry_after(value: Any) -> float:
    """Read a ``Retry-After`` in seconds; its other form, a date, counts as 0 (our own back-off applies)."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return 0.0
    return seconds if 0 < seconds < math.inf else 0.0


def attempts(policy: RetryPolicy, *, sleep: Callable[[float], Any]) -> Iterator[Any]:
    """Yield tenacity's attempts, to be used as ``for attempt in …: with attempt: …``.

    The last error is raised as it is when the attempts are used up or it is not transient.
    """
    backoff = wait_exponential(policy.initial, policy.maximum) + wait_random(0, policy.jitter)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return max(backoff(state), retry_after(error))

    return iter(
        Retrying(
            stop=stop_after_attempt(policy.attempts),
            wait=wait,
            retry=retry_if_exception(is_transient),
            sleep=sleep,
            reraise=True,
        )
    )
