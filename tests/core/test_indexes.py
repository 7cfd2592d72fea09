"""Names and metrics that every backend takes."""

from __future__ import annotations

from typing import Any

import pytest

from vectorface.errors import ConfigurationError, InvalidIndexNameError
from vectorface.indexes import ConnectionSettings, checked_index_name, checked_metric


@pytest.mark.parametrize("name", ["abc", "a-b_c.d", "0-0", "x" * 255, "vectorface"])
def test_names_that_will_do(name: str) -> None:
    assert checked_index_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "x" * 256,
        "Abc",
        "a b",
        "a/b",
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "_ab",
        "é" * 3,
        "abc\n",
        None,
        7,
        b"abc",
    ],
)
def test_names_that_will_not_do(name: Any) -> None:
    with pytest.raises(InvalidIndexNameError, match="3 to 255 lower-case letters, digits"):
        checked_index_name(name)


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_metrics(metric: str) -> None:
    assert checked_metric(metric) == metric


@pytest.mark.parametrize("metric", ["ip", "COSINE", "", None, 7, ["cosine"]])
def test_unknown_metrics(metric: Any) -> None:
    with pytest.raises(ConfigurationError, match="is unknown; use 'cosine', 'l2' or 'dot'"):
        checked_metric(metric)


def test_settings_do_not_show_the_client() -> None:
    assert "secret" not in repr(ConnectionSettings(index="abc", client="secret"))
