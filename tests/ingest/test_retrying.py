"""Which errors are tried again, when, and how often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.ingest.stand_ins import QUICK, CountingEmbedding, Faults, FaultyDB, documents
from vectorface import RetryPolicy
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    DuplicateDocumentError,
    PartialWriteError,
    TransientError,
)
from vectorface.ingest.retrying import attempts, is_transient, parse_retry_after, retry_after


class StatusError(Exception):
    """As openai and cohere raise it."""

    def __init__(self, status_code: Any, **headers: str) -> None:
        self.status_code = status_code
        if headers:
            self.response = SimpleNamespace(headers={k.replace("_", "-"): v for k, v in headers.items()})


class ResponseError(Exception):
    """As requests and httpx raise it."""

    def __init__(self, status_code: int) -> None:
        self.response = SimpleNamespace(status_code=status_code, headers=None)


def named(*names: str) -> Exception:
    """Return an error whose class, and bases, have these names: the client library is not installed."""
    kind: type[Exception] = Exception
    for name in reversed(names):
        kind = type(name, (kind,), {})
    return kind("no luck")


def failing(times: int, error: BaseException) -> Callable[[Sequence[str]], None]:
    """Return a fault that raises so many times."""
    left = [error] * times

    def fault(_: Sequence[str]) -> None:
        if left:
            raise left.pop()

    return fault


TRANSIENT: list[Exception] = [
    TransientError("a lock"),
    ConnectionFailedError("no answer"),
    TimeoutError(),
    ConnectionResetError(),
    BrokenPipeError(),
    *(StatusError(status) for status in (408, 425, 429, 500, 502, 503, 504)),
    ResponseError(429),
    ResponseError(503),
    httpx.ConnectTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("half an answer"),
    named("APITimeoutError", "APIConnectionError"),
    named("RateLimitError"),
    named("ConnectTimeout", "ConnectionError", "RequestException"),
    named("ServerDisconnectedError", "ClientConnectionError"),
]
PERMANENT: list[Exception] = [
    ValueError("no"),
    BackendError("a mapping conflict"),
    DuplicateDocumentError("taken"),
    *(StatusError(status) for status in (400, 401, 403, 404, 409, 413, 422)),
    ResponseError(400),
    StatusError("unknown"),
    OSError("disk full"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_an_error_that_may_pass_is_tried_again(error: Exception) -> None:
    store = FaultyDB(faults=Faults(before=failing(2, error)))
    report = store.upsert_parallel(documents(4), retry=QUICK)
    assert (report.written, store.meter.calls) == (4, 3)


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_an_error_that_will_not_pass_is_not_tried_again(error: Exception) -> None:
    def always(_: Sequence[str]) -> None:
        raise error

    store = FaultyDB(faults=Faults(before=always))
    [failure] = store.upsert_parallel(documents(1), retry=QUICK, on_error="report").failures
    assert failure.error is error
    assert (failure.attempts, store.meter.calls) == (1, 1)


def test_the_servers_status_outweighs_the_name_of_the_error() -> None:
    error = named("BadRequest", "TransportError")
    error.status_code = 400  # type: ignore[attr-defined]
    assert not is_transient(error)


def test_no_error_is_not_transient() -> None:
    assert not is_transient(None)


def test_embedding_is_retried_like_writing() -> None:
    embedding = CountingEmbedding(fault=failing(2, StatusError(429)))
    store = FaultyDB(embedding)
    assert store.upsert_parallel(documents(4), retry=QUICK).written == 4
    assert (embedding.meter.calls, store.meter.calls) == (3, 1)


def test_what_was_embedded_is_not_embedded_again_because_writing_fails() -> None:
    store = FaultyDB(faults=Faults(before=failing(2, TransientError("busy"))))
    store.upsert_parallel(documents(4), retry=QUICK)
    assert store.embedding.meter.calls == 1


def test_tries_are_counted_in_the_failure() -> None:
    def always(_: Sequence[str]) -> None:
        raise TransientError("busy")

    store = FaultyDB(faults=Faults(before=always))
    with pytest.raises(PartialWriteError) as caught:
        store.upsert_parallel(documents(1), retry=RetryPolicy(attempts=4, initial=0, jitter=0))
    assert [failure.attempts for failure in caught.value.report.failures] == [4]


def test_a_server_that_cannot_be_reached_fails_the_batch_without_bisecting_it() -> None:
    def always(_: Sequence[str]) -> None:
        raise ConnectionFailedError("no route")

    store = FaultyDB(faults=Faults(before=always))
    report = store.upsert_parallel(documents(8), batch_size=8, retry=QUICK, on_error="report")
    assert (report.failed, store.meter.calls) == (8, 3)


# -- waiting ----------------------------------------------------------------------------------------------


def waits(policy: RetryPolicy, error: Exception) -> list[float]:
    """Return the pauses that a request makes which always fails."""
    pauses: list[float] = []
    with suppress(type(error)):
        for attempt in attempts(policy, sleep=pauses.append):
            with attempt:
                raise error
    return pauses


def test_the_wait_doubles_up_to_its_maximum() -> None:
    policy = RetryPolicy(attempts=6, initial=0.5, maximum=3, jitter=0)
    assert waits(policy, TimeoutError()) == [0.5, 1, 2, 3, 3]


def test_the_wait_has_a_random_part() -> None:
    policy = RetryPolicy(attempts=50, initial=1, maximum=1, jitter=0.5)
    pauses = waits(policy, TimeoutError())
    assert all(1 <= pause <= 1.5 for pause in pauses)
    assert len(set(pauses)) > 10


@pytest.mark.parametrize(
    "error",
    [
        TransientError("busy", retry_after=7),
        StatusError(429, Retry_After="7"),
        StatusError(503, retry_after="7"),
        httpx.HTTPStatusError(
            "429",
            request=httpx.Request("POST", "http://x"),
            response=httpx.Response(429, headers={"RETRY-AFTER": "7"}),
        ),
    ],
    ids=["own", "header", "lower-case header", "httpx"],
)
def test_retry_after_is_honoured_where_it_is_longer(error: Exception) -> None:
    policy = RetryPolicy(attempts=6, initial=1, maximum=16, jitter=0)
    assert waits(policy, error) == [7, 7, 7, 8, 16]


def test_the_longest_retry_after_of_a_batchs_documents_is_honoured() -> None:
    def refuse_once(ids: Sequence[str]) -> dict[str, Exception]:
        store.faults.refuse = None
        return {ids[0]: TransientError("busy", retry_after=0.2), ids[1]: TransientError("busy")}

    store = FaultyDB(faults=Faults(refuse=refuse_once))
    start = time.perf_counter()
    assert store.upsert_parallel(documents(4), retry=QUICK).written == 4
    assert time.perf_counter() - start >= 0.2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        (2.5, 2.5),
        ("0", 0),
        ("-5", 0),
        ("nan", 0),
        ("inf", 0),
        (None, 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
    ],
)
def test_retry_after_is_read_as_seconds(value: Any, seconds: float) -> None:
    assert parse_retry_after(value) == seconds


def test_an_error_without_retry_after_asks_for_no_wait() -> None:
    assert retry_after(ValueError()) == 0
    assert retry_after(None) == 0


def test_a_retry_after_of_ages_does_not_overflow() -> None:
    cancel = threading.Event()

    def busy(_: Sequence[str]) -> None:
        threading.Timer(0.1, cancel.set).start()
        raise TransientError("busy", retry_after=1e30)

    store = FaultyDB(faults=Faults(before=busy))
    report = store.upsert_parallel(documents(1), retry=QUICK, on_error="report", cancel=cancel)
    assert (report.stopped, report.failed, store.meter.calls) == ("cancelled", 1, 1)
    assert isinstance(report.failures[0].error, TransientError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": "3"},
        {"attempts": 2.5},
        {"attempts": True},
        {"initial": -1},
        {"initial": "1"},
        {"maximum": -0.1},
        {"maximum": None},
        {"jitter": -1},
        {"jitter": float("nan")},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="makes no sense"):
        RetryPolicy(**wrong)
