"""For the tests of what manages models, pipelines and reindexing: ELSER, and what is sent or refused."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.elastic.gateway import Gateway
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.backends.elasticsearch.server import Server


@pytest.fixture
def model(client: Elasticsearch) -> ElserModel:
    """ELSER, of which the cluster knows nothing yet."""
    return ElserModel(client)


@pytest.fixture
def deployed(model: ElserModel) -> ElserModel:
    """ELSER with a deployment of its own id."""
    model.ensure()
    return model


@pytest.fixture
def name(client: Elasticsearch) -> Iterator[str]:
    """A name for an index and for what belongs to it, removed at the end."""
    unique = f"vf-{uuid.uuid4().hex[:12]}"
    yield unique
    for index in client.indices.get(index=f"{unique}*", expand_wildcards="all"):
        client.indices.delete(index=index)  # by name: the node refuses to delete by a pattern


class Requests:
    """Counts what reaches the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._before = self.total

    @property
    def total(self) -> int:
        total: int = self._gateway.counters()["total"]
        return total

    @property
    def new(self) -> int:
        return self.total - self._before

    def changing(self) -> int:
        """How many so far were to change something."""
        counts: dict[str, int] = self._gateway.counters()["requests"]
        return sum(count for kind, count in counts.items() if not kind.startswith("GET"))


class Refusing(Server):
    """A server that answers some requests itself, or refuses them.

    Args:
        server: What answers the others.
        answers: By the beginning of ``METHOD /path`` an answer, or an error to raise.
    """

    def __init__(self, server: Server, answers: Mapping[str, Any]) -> None:
        super().__init__(server.client, None, timeout=server.timeout, is_ours=False)
        self._answers = answers

    def request(self, method: str, path: str, **options: Any) -> Any:
        for start, answer in self._answers.items():
            if f"{method} {path}".startswith(start):
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return super().request(method, path, **options)


@pytest.fixture
def requests(gateway: Gateway) -> Requests:
    """What reaches the gateway from now on."""
    return Requests(gateway)
