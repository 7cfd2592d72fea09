"""Fixtures that the whole suite shares: real servers and real data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chroma_server import ChromaServer
from tests.elastic.gateway import Gateway
from tests.elastic.node import missing_tools
from tests.elastic.shared import shared_node
from tests.elasticsearch.stores import Stores

ROOT = Path(__file__).resolve().parent.parent


def missing(what: str) -> None:
    """Skip a test for want of something; on continuous integration, where all must run, fail it."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"CI must have it: {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real texts: $VECTORFACE_TEST_DATA, else ../shared/data beside the repository."""
    path = Path(os.environ.get("VECTORFACE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        missing(f"test data: no folder {path}; set VECTORFACE_TEST_DATA")
    return path


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A real Chroma server on a free loopback port, for the whole session."""
    with ChromaServer(tmp_path_factory.mktemp("chroma-server")) as server:
        yield server


@pytest.fixture(scope="session")
def elasticsearch_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Elasticsearch: $ELASTICSEARCH_URL, else a real node that the test run shares."""
    given = os.environ.get("ELASTICSEARCH_URL")
    if given:
        yield given
        return
    lacking = missing_tools()
    if lacking:
        missing(f"Elasticsearch: install {' and '.join(lacking)}, or set ELASTICSEARCH_URL")
    base = tmp_path_factory.getbasetemp()
    with shared_node(base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) as url:
        yield url


@pytest.fixture(scope="session")
def elser_gateway(elasticsearch_url: str) -> Iterator[Gateway]:
    """A gateway in front of the node, with ELSER deployed."""
    with Gateway(elasticsearch_url, download_seconds=0, start_seconds=0) as gateway:
        model = "/_ml/trained_models/.elser_model_2"
        gateway.request("PUT", model, {"input": {"field_names": ["text_field"]}})
        gateway.request("POST", f"{model}/deployment/_start?number_of_allocations=4&wait_for=started")
        yield gateway


@pytest.fixture
def stores(elasticsearch_url: str) -> Iterator[Stores]:
    """Open Elasticsearch stores on indexes of this test."""
    opener = Stores(elasticsearch_url)
    yield opener
    opener.close()


@pytest.fixture
def elser_stores(elser_gateway: Gateway) -> Iterator[Stores]:
    """The same behind a gateway with ELSER deployed."""
    opener = Stores(elser_gateway.url)
    yield opener
    opener.close()
