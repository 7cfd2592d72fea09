"""How what manages the cluster gets hold of it: by a client, a connected store, or what sends requests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Final, ParamSpec, TypeAlias, TypeVar

from elasticsearch import Elasticsearch

from vectorface.backends.elasticsearch.server import Server
from vectorface.backends.elasticsearch.store import ElasticsearchDB
from vectorface.errors import ConfigurationError
from vectorface.indexes import shown_url

#: What reaches a cluster.
Client: TypeAlias = Elasticsearch | ElasticsearchDB | Server

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds to wait for an answer, as in ``ElasticsearchDB.connect``.
TIMEOUT: Final = 60.0


def server_behind(client: Client, *, timeout: float = TIMEOUT) -> Server:
    """Return what sends requests to the cluster that ``client`` reaches.

    Args:
        client: An ``elasticsearch.Elasticsearch``, a connected ``ElasticsearchDB``, or its ``server``.
        timeout: Seconds to wait for an answer, where the client is Elasticsearch's own.

    Raises:
        ConfigurationError: It is something else.
        NotConnectedError: It is a store that is not connected.
    """
    if isinstance(client, Server):
        return client
    if isinstance(client, ElasticsearchDB):
        return client.server
    if isinstance(client, Elasticsearch):
        return Server(client, None, timeout=timeout, is_ours=False)
    raise ConfigurationError(
        f"client={shown_url(client):.80} reaches no cluster; pass an elasticsearch.Elasticsearch (no "
        "asynchronous one, for the async methods either), or a connected ElasticsearchDB."
    )


class Remote:
    """Something whose methods talk to a cluster, on an event loop too.

    Args:
        client: What reaches the cluster.
        timeout: Seconds to wait for an answer, where ``client`` is Elasticsearch's own.
    """

    def __init__(self, client: Client, *, timeout: float = TIMEOUT) -> None:
        self._server = server_behind(client, timeout=timeout)

    @property
    def server(self) -> Server:
        """What sends its requests."""
        return self._server

    async def _asynchronously(self, call: Callable[[], Any]) -> Any:
        return await self._server.beside_loop(call)


def function_twin_of(
    function: Callable[Concatenate[Client, P], R],
) -> Callable[Concatenate[Client, P], Coroutine[Any, Any, R]]:
    """Return the async twin of a function whose first argument reaches a cluster."""

    @functools.wraps(function)
    async def twin(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> R:
        server = server_behind(client)
        return await server.beside_loop(functools.partial(function, server, *args, **kwargs))

    twin.__name__ = twin.__qualname__ = f"a{function.__name__}"
    twin.__doc__ = f"Do what :func:`{function.__name__}` does, to be awaited; same arguments, same result."
    return twin
