"""Names for what tests of the gateway make, and ELSER."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from tests.elastic.gateway import Gateway


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
def elser(gateway: Gateway) -> str:
    """The id of ELSER, downloaded and deployed with two allocations."""
    return gateway.deploy_elser(number_of_allocations=2)
