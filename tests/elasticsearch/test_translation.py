"""Answers of the server, and of what stands before it, as errors of ours."""

from __future__ import annotations

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError

from vectorface.backends.elasticsearch.translation import answered, as_ours
from vectorface.errors import BackendError, TransientError
from vectorface.ingest.retrying import is_transient

PAGE = "<html>\r\n<head><title>413 Request Entity Too Large</title></head></html>"
WHERE = NodeConfig("http", "localhost", 9200)


@pytest.mark.parametrize("body", ["", None, PAGE, {"error": {"type": "content_too_long", "reason": "no"}}])
def test_a_request_that_is_too_large_says_what_to_do(body: object) -> None:
    meta = ApiResponseMeta(413, "1.1", HttpHeaders(), 0.1, WHERE)
    error = as_ours(ApiError("", meta, body), "writing to index 'stories'")
    assert type(error) is BackendError  # halved by whoever writes, and not sent again as it was
    assert not is_transient(error)
    said = str(error)
    assert said.startswith("While writing to index 'stories': ")
    for word in ("(HTTP 413)", "http.max_content_length", "batch_size=", "query_batch()"):
        assert word in said
    assert "<" not in said
    assert "HTTP 413 (HTTP 413)" not in said


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (503, TransientError, "While counting: Service Unavailable (HTTP 503)."),
        (418, BackendError, "While counting: I'm a Teapot (HTTP 418)."),
        (599, BackendError, "While counting: no reason was given (HTTP 599)."),
    ],
)
@pytest.mark.parametrize("body", ["", "<html>nginx</html>"])
def test_an_answer_without_a_reason_is_told_by_its_status(
    status: int, kind: type[Exception], said: str, body: str
) -> None:
    error = answered(status, body, "counting")
    assert type(error) is kind
    assert str(error) == said
