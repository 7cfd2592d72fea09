"""The gateway: what it knows it answers, the rest goes to the node as it came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import aiohttp
import orjson
from starlette.responses import Response

from tests.elastic.gateway.cluster import Cluster
from tests.elastic.gateway.counters import Counters
from tests.elastic.gateway.deploying import MachineLearning
from tests.elastic.gateway.endpoints import InferenceEndpoints, StoredEndpoints
from tests.elastic.gateway.errors import ElasticError, not_found
from tests.elastic.gateway.faults import ConnectionBroken, Faults, reset
from tests.elastic.gateway.filtering import filtered
from tests.elastic.gateway.indices import Indices
from tests.elastic.gateway.inference import Coordinator
from tests.elastic.gateway.pipelines import Pipelines, StoredPipelines
from tests.elastic.gateway.reindex import Reindex
from tests.elastic.gateway.router import Router
from tests.elastic.gateway.search import Search
from tests.elastic.gateway.security import Security, basic
from tests.elastic.gateway.semantic import SemanticText
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.tasks import Tasks
from tests.elastic.gateway.wire import Call, Node, answer, failure
from tests.elastic.gateway.writing import Writing

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class App:
    """The ASGI application, and the parts it is made of."""

    def __init__(self, node_url: str, settings: Settings) -> None:
        self._initial = settings
        self._settings = settings
        self.node = Node(node_url, self._credentials, ca_certs=settings.node_ca)
        self._looked = False
        self.faults = Faults()
        self.counters = Counters()
        self.indices = Indices(self.node)
        pipelines, endpoints = StoredPipelines(), StoredEndpoints()
        self.ml = MachineLearning(self.node, self.settings, pipelines, endpoints)
        self.endpoints = InferenceEndpoints(self.settings, self.ml, endpoints, pipelines, self.indices)
        self.coordinator = Coordinator(self.ml, self.endpoints)
        self.security = Security(self.node, self.settings)
        self.pipelines = Pipelines(self.node, self.coordinator, pipelines)
        self.semantic = SemanticText(self.node, self.indices, self.coordinator)
        self.writing = Writing(self.node, self.pipelines, self.indices, self.semantic, self._item_faults)
        self.cluster = Cluster(self.node, self.settings, self.ml, pipelines)
        self.search = Search(self.node, self.settings, self.coordinator.query, self.semantic)
        self.tasks = Tasks(self.node)
        self.reindex = Reindex(self.node, self.settings, self.tasks, self.writing, self.search)
        parts = (
            self.cluster,
            self.security,
            self.ml,
            self.endpoints,
            self.pipelines,
            self.tasks,
            self.reindex,
            self.writing,
            self.search,
            self.semantic,
        )
        self.router = Router(*(row for part in parts for row in part.routes()))

    def settings(self) -> Settings:
        return self._settings

    def _credentials(self) -> str:
        user = self._settings.node_user
        return basic(user) if user else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            call = await _received(scope, receive)
        except ConnectionBroken:
            return
        try:
            response = await (
                self._control(call) if call.path.startswith("/_gateway/") else self._answered(call)
            )
        except ElasticError as error:
            response = failure(error)
        except ConnectionBroken:
            return
        except aiohttp.ClientError:  # the node is gone: so is the connection, as it would be without us
            _hang_up(call)
            return
        await response(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            if event == "lifespan.startup":
                await self.node.open()
            else:
                self.ml.close()
                await self.node.close()
            await send({"type": f"{event}.complete"})
            if event == "lifespan.shutdown":
                return

    async def _answered(self, call: Call) -> Response:
        self.counters.count(call)
        faulty = self.faults.concern(call)
        if faulty:
            await self.faults.before(call)
        response = await self._handled(self.security.admitted(call))
        return self.faults.after(call, response) if faulty else response

    def _item_faults(self, call: Call) -> Callable[[], ElasticError | None] | None:
        return self.faults.item if self.faults.items and self.faults.concern(call) else None

    async def _handled(self, call: Call) -> Response:
        if not self._looked:
            await self.indices.open()
            self._looked = True
        try:
            return await self._routed(call)
        finally:
            self.indices.notice(call)

    async def _routed(self, call: Call) -> Response:
        found = self.router.find(call)
        if found is None:
            return (await self.node.send(call)).response()
        row, call = found
        try:
            row.check(call)
            response = await row.handler(call.plain())
        except ElasticError as error:
            response = failure(error)
        if "filter_path" in call.params and response.body:
            body = orjson.dumps(filtered(orjson.loads(response.body), call.params["filter_path"]))
            response.body = body
            response.headers["content-length"] = str(len(body))
        return response

    # -- the gateway's own switches ------------------------------------------------------------------------

    async def _control(self, call: Call) -> Response:
        match call.method, call.path:
            case "POST", "/_gateway/faults":
                self.faults = Faults.of(call.object())
            case "DELETE", "/_gateway/faults":
                self.faults = Faults()
            case "POST", "/_gateway/settings":
                self._settings = self._settings.changed(call.object())
            case "POST", "/_gateway/reset":
                await self._reset()
            case "GET", "/_gateway/counters":
                counts = {"requests": dict(self.counters.requests), "faults": dict(self.faults.counts)}
                return answer({**counts, "total": self.counters.requests.total()})
            case _:
                raise not_found(f"the gateway has no [{call.method} {call.path}]")
        return answer({"acknowledged": True})

    async def _reset(self) -> None:
        """Forget everything but what the node keeps."""
        self.faults = Faults()
        self.counters = Counters()
        self._settings = self._initial
        self.endpoints.reset()
        self.security.reset()
        await self.tasks.reset()
        await self.ml.reset()
        await self.pipelines.reset()


async def _received(scope: Scope, receive: Receive) -> Call:
    pieces: list[bytes] = []
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ConnectionBroken
        pieces.append(event.get("body", b""))
        more = event.get("more_body", False)
    return Call(
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        tuple(scope["headers"]),
        b"".join(pieces),
        scope.get("transport"),
    )


def _hang_up(call: Call) -> None:
    try:
        reset(call)
    except ConnectionBroken:
        return
