"""Elasticsearch for tests, notebooks and the code in docs: a node, a gateway with ELSER, stores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from elasticsearch import Elasticsearch

from tests.elastic.gateway import Gateway
from tests.elastic.node import Node, missing_tools
from tests.elastic.shared import shared_node
from tests.elasticsearch.stores import Stores
from tests.missing import missing


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
def elasticsearch_node(request: pytest.FixtureRequest) -> str:
    """The address of a stripped node: $VECTORFACE_DEV_NODE, else the one that the test run shares."""
    given = os.environ.get("VECTORFACE_DEV_NODE")
    return given or str(request.getfixturevalue("elasticsearch_url"))


@pytest.fixture(scope="session")
def gateway_process(elasticsearch_node: str) -> Iterator[Gateway]:
    """The gateway, for the whole session."""
    with Gateway(elasticsearch_node, retry_seconds=0.01) as gateway:
        yield gateway


@pytest.fixture
def gateway(gateway_process: Gateway) -> Iterator[Gateway]:
    """The gateway, which has forgotten what tests before did."""
    yield gateway_process
    gateway_process.reset()


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Elasticsearch]:
    """Elastic's own client; it does not try again by itself."""
    with Elasticsearch(gateway.url, retry_on_status=(), max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def elser_gateway(elasticsearch_url: str) -> Iterator[Gateway]:
    """A gateway in front of the node, with ELSER deployed."""
    with Gateway(elasticsearch_url, download_seconds=0, start_seconds=0) as gateway:
        gateway.deploy_elser(number_of_allocations=4)
        yield gateway


@pytest.fixture(scope="session")
def empty_gateway(elasticsearch_url: str) -> Iterator[Gateway]:
    """A gateway where nothing was done yet, with the best encoder there is."""
    encoder = "splade" if find_spec("cognition") else "hash"
    with Gateway(elasticsearch_url, encoder=encoder) as gateway:
        yield gateway


@pytest.fixture
def elasticsearch_in_environment(empty_gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """``$ELASTICSEARCH_URL`` for code that is run as it stands: pages of docs, notebooks."""
    monkeypatch.setenv("ELASTICSEARCH_URL", empty_gateway.url)


#: ``reader`` may read one index; ``writer`` may read and write it, but has no right to refresh it.
_ROLES = """
reader:
  indices: [{names: ["stories*"], privileges: [read, view_index_metadata]}]
writer:
  indices: [{names: ["stories*"], privileges: [read, write, view_index_metadata]}]
"""


@pytest.fixture(scope="session")
def secured_node() -> Iterator[Node]:
    """A node of its own with security on, and the users rhea, who may read, and wim, who may write.

    Tests that want it are of the group "secured", so that one worker starts it.
    """
    if lacking := missing_tools():
        missing(f"Elasticsearch: install {' and '.join(lacking)}")
    with Node(users={"rhea": "reader", "wim": "writer"}, roles=_ROLES, heap="512m") as node:
        yield node


@pytest.fixture(scope="session")
def secured_gateway(secured_node: Node) -> Iterator[Gateway]:
    """The gateway in front of it."""
    user = f"elastic:{secured_node.password}"
    with Gateway(secured_node.url, node_user=user, node_ca=str(secured_node.ca_certs)) as gateway:
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
