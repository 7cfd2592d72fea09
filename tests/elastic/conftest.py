"""Elasticsearch with all that the stripped node lacks: the gateway before it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from tests.elastic.gateway import Gateway


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


@pytest.fixture
def unique() -> str:
    """A name that no other test has, for what is kept on the node."""
    return f"gw-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def index(client: Elasticsearch, unique: str) -> Iterator[str]:
    """The name of an index that is still to be made; it and those whose names begin with it are removed."""
    yield unique
    for made in client.indices.get(index=f"{unique}*", expand_wildcards="all"):
        client.indices.delete(index=made)


@pytest.fixture
def elser(client: Elasticsearch) -> str:
    """The id of ELSER, downloaded and deployed with two allocations."""
    model = ".elser_model_2"
    client.ml.put_trained_model(model_id=model, input={"field_names": ["text_field"]})
    client.ml.start_trained_model_deployment(model_id=model, number_of_allocations=2)
    return model
