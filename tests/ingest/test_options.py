"""The options of a bulk write are checked before anything is read."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import pytest

from vectorface import RetryPolicy
from vectorface.errors import ConfigurationError
from vectorface.writing import checked_callbacks, checked_cancel, checked_retry


@pytest.mark.parametrize(
    ("retry", "message"),
    [
        (3, "retry=3 is not a RetryPolicy; write for example retry=RetryPolicy(attempts=3)."),
        (False, "retry=RetryPolicy(attempts=1)."),
        (0, "retry=RetryPolicy(attempts=3)."),
        (RetryPolicy, "retry=RetryPolicy(attempts=3)."),
        ("often", "retry='often' is not a RetryPolicy"),
    ],
    ids=repr,
)
def test_retry_takes_a_policy(retry: object, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked_retry(retry)
    assert message in str(caught.value)


def test_no_policy_is_the_default_one() -> None:
    mine = RetryPolicy(attempts=2)
    assert checked_retry(None) == RetryPolicy()
    assert checked_retry(mine) is mine


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (print, "callbacks must be a list of functions; write callbacks=[print]."),
        (None, "callbacks=None must be a list of functions; leave it out for none."),
        (7, "callbacks=7 must be a list of functions"),
        ([print, 7], "callbacks[1] is 7, which is no function;"),
        ("print", "callbacks[0] is 'p', which is no function;"),
    ],
    ids=repr,
)
def test_callbacks_take_functions(callbacks: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked_callbacks(callbacks)
    assert message in str(caught.value)


def test_callbacks_come_in_any_iterable() -> None:
    functions: list[Any] = [print, len]
    assert list(checked_callbacks(iter(functions))) == functions
    assert checked_callbacks([]) == ()


@pytest.mark.parametrize("cancel", [True, threading.Event, "stop"], ids=repr)
def test_cancel_takes_an_event(cancel: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"is not an event; make stop = threading\.Event\(\), pass"):
        checked_cancel(cancel)


def test_any_event_will_do() -> None:
    for event in (threading.Event(), multiprocessing.Event()):
        assert checked_cancel(event) is event  # type: ignore[arg-type]
    assert not checked_cancel(None).is_set()
