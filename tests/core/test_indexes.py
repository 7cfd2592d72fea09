"""Names and metrics that every backend takes."""

from __future__ import annotations

from typing import Any

import pytest

from vectorface.errors import ConfigurationError, InvalidIndexNameError
from vectorface.indexes import ConnectionSettings, checked_index_name, checked_metric, shown_url


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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("chroma:./data", "'chroma:./data'"),
        ("http://h:9200/x", "'http://h:9200/x'"),
        ("http://u:SECRET@h/x", "'http://…@h/x'"),
        ("http://u:SEC@RET@h/x", "'http://…@h/x'"),
        ("http://u:SECRET/SECRET@h/x", "'http://…@h/x'"),
        ("https:/u:SECRET@h", "'https:/…@h'"),
        ("u:SECRET@h:9200", "'…@h:9200'"),
        ("SECRET:@h", "'…@h'"),
        ("u:SECRET://SECRET@h", "'…@h'"),
        ("elasticsearch:u:SECRET@h:9200/x", "'…@h:9200/x'"),
        ("http://h/x?key=SECRET&tls=SECRET", "'http://h/x?key=…&tls=…'"),
        ("http://h/x?key=SECRET;key=SECRET#SECRET", "'http://h/x?key=…'"),
        ("http://h/x?key=SEC@SECRET", "'http://…'"),
        ("http://u:a?b=SECRET@h", "'http://…'"),
        ("http://u:SECRET@h/x?key=SECRET", "'http://…@h/x?key=…'"),
        ("http://h/x#key=SECRET", "'http://h/x#key=…'"),
        (b"u:SECRET@h", "…@h'"),
        (None, "None"),
        (7, "7"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: object, shown: str) -> None:
    assert shown_url(url) == shown
