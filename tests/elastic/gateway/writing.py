"""Writes that pass through pipelines: ``_bulk`` and single documents.

A request that needs no pipeline is forwarded as it came. Otherwise all its documents go through their
pipelines at the same time, as in Elasticsearch, where that fills a deployment's queue too; those that succeed
are forwarded, and the answers are put together in the order of the items.

Source: ``server/.../ingest/IngestService.java`` (which pipeline: the item's, the request's, the index's
default; then the index's final one), ``server/.../action/bulk/BulkRequestModifier.java`` (failed and dropped
items). Differs: ``update`` items are never sent through a pipeline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson
from starlette.responses import Response

from tests.elastic.gateway.documents import Document
from tests.elastic.gateway.errors import ElasticError, unsupported
from tests.elastic.gateway.indices import Indices
from tests.elastic.gateway.pipelines import Pipelines
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.semantic import SemanticText
from tests.elastic.gateway.wire import JSON, PRODUCT, Answer, Call, Node, answer, loads, without

_WRITES: Final = frozenset({"index", "create"})
_NONE: Final = "_none"

#: Returns the error of an item that a fault refuses, or None.
Refuse: TypeAlias = Callable[[Call], Callable[[], ElasticError | None] | None]


@dataclass
class Item:
    """One item of a bulk: its lines as they came, and what became of it."""

    operation: str
    action: dict[str, Any]
    lines: list[bytes]
    error: ElasticError | None = None
    dropped: bool = False

    @property
    def forwarded(self) -> bool:
        return self.error is None and not self.dropped

    def result(self, index: str | None) -> dict[str, Any]:
        """Return the answer to an item that the node never saw."""
        told = {"_index": self.action.get("_index", index), "_id": self.action.get("_id")}
        if self.error is not None:
            return {self.operation: {**told, "status": self.error.status, "error": self.error.as_cause()}}
        return {self.operation: {**told, **_NOOP, "status": 200}}


#: Of a document that a pipeline dropped.
_NOOP: Final = {"_version": -3, "result": "noop", "_shards": {"total": 0, "successful": 0, "failed": 0}}


class Writing:
    """The write APIs."""

    def __init__(
        self, node: Node, pipelines: Pipelines, indices: Indices, semantic: SemanticText, refuse: Refuse
    ) -> None:
        self._node = node
        self._semantic = semantic
        self._pipelines = pipelines
        self._indices = indices
        self._refuse = refuse

    def routes(self) -> list[Route]:
        return [
            route("POST PUT", "/_bulk", self._bulk),
            route("POST PUT", "/{index}/_bulk", self._bulk),
            route("POST PUT", "/{index}/_doc", self._document),
            route("POST PUT", "/{index}/_doc/{id}", self._document),
            route("POST PUT", "/{index}/_create/{id}", self._document),
            route("POST", "/{index}/_update/{id}", self._update),
        ]

    # -- bulk ----------------------------------------------------------------------------------------------

    async def _bulk(self, call: Call) -> Response:
        return (await self.bulk(call)).response()

    async def bulk(self, call: Call) -> Answer:
        """Answer a bulk request."""
        refuse = self._refuse(call)
        if not self._needed and refuse is None:
            return await self._node.send(call)
        items = parsed(call.body)
        if items is None:  # the node says what is wrong with it
            return await self._node.send(call)
        if refuse is not None:
            for item in items:
                item.error = refuse()
        began = time.monotonic()
        touched = await self._through_all(call, items) if self._needed else False
        spent = time.monotonic() - began
        if not touched and all(item.forwarded for item in items):
            return await self._node.send(call)
        found = await self._forwarded(call, [item for item in items if item.forwarded])
        if found.status != 200:
            return found
        body = _merged(items, found.json(), call.caught.get("index"))
        if touched:
            body["ingest_took"] = round(spent * 1000)
        return found.with_body(orjson.dumps(body))

    async def _forwarded(self, call: Call, items: list[Item]) -> Answer:
        if not items:
            headers = {**PRODUCT, "content-type": JSON}
            raw = tuple((key.encode(), value.encode()) for key, value in headers.items())
            return Answer(200, raw, b'{"took":0,"errors":false,"items":[]}')
        body = b"\n".join([*(line for item in items for line in item.lines), b""])
        return await self._node.send(without(call, "filter_path").with_body(body))

    @property
    def _needed(self) -> bool:
        """Whether any document may have to be looked into."""
        return bool(self._pipelines) or self._indices.semantic

    async def _through_all(self, call: Call, items: list[Item]) -> bool:
        """Send the items through their pipelines and inference; return whether there were any."""
        work: list[Awaitable[None]] = []
        for item in items:
            fields = await self._fields(call, item.action)
            if item.operation == "update" and fields:
                item.error = unsupported("updates of documents with semantic_text")
            if item.operation in _WRITES and item.forwarded:
                names = await self._names(call, item.action)
                if names or fields:
                    work.append(self._through(call, item, names, fields))
        await asyncio.gather(*work)
        return bool(work)

    async def _names(self, call: Call, action: Mapping[str, Any]) -> list[str]:
        """Return the pipelines of a document; of one that the gateway does not know the node will tell."""
        index = action.get("_index") or call.caught.get("index") or ""
        default, final = await self._indices.pipelines(index, call.headers)
        first = action.get("pipeline") or call.params.get("pipeline") or default
        return [name for name in (first, final) if name and name != _NONE and name in self._pipelines]

    async def _fields(self, call: Call, action: Mapping[str, Any]) -> Mapping[str, str]:
        index = action.get("_index") or call.caught.get("index") or ""
        return await self._semantic.fields(index, call.headers)

    async def _through(self, call: Call, item: Item, names: list[str], fields: Mapping[str, str]) -> None:
        names_of = {"_index": "_index", "_id": "_id", "_routing": "routing"}
        given = {key: item.action[name] for key, name in names_of.items() if name in item.action}
        given.setdefault("_index", call.caught.get("index"))
        try:
            document = Document(_source(item.lines[1]), given)
            for name in names:
                if not document.dropped:
                    await self._pipelines.run(name, document)
            await self._semantic.add_vectors(document, fields)
        except ElasticError as error:
            item.error = error
            return
        item.dropped = document.dropped
        item.lines[1] = orjson.dumps(document.source)
        if changed := {key: value for key, value in document.metadata.items() if given.get(key) != value}:
            routing = {"routing": changed.pop("_routing")} if "_routing" in changed else {}
            item.lines[0] = orjson.dumps({item.operation: {**item.action, **changed, **routing}})

    # -- single documents ----------------------------------------------------------------------------------

    async def _document(self, call: Call) -> Response:
        if not self._needed:
            return (await self._node.send(call)).response()
        action = {
            "_index": call.caught["index"],
            **({"_id": call.caught["id"]} if "id" in call.caught else {}),
        }
        names, fields = await self._names(call, action), await self._fields(call, action)
        if not names and not fields:
            return (await self._node.send(call)).response()
        item = Item("index", action, [b"", call.body])
        await self._through(call, item, names, fields)
        if item.error is not None:
            raise item.error
        if item.dropped:
            return answer({"_index": action["_index"], "_id": action.get("_id"), **_NOOP})
        return (await self._node.send(call.with_body(item.lines[1]))).response()

    async def _update(self, call: Call) -> Response:
        if await self._fields(call, {}):
            raise unsupported("updates of documents with semantic_text")
        return (await self._node.send(call)).response()


def _source(raw: bytes) -> dict[str, Any]:
    found = loads(raw)
    if not isinstance(found, dict):
        raise ElasticError(400, "document_parsing_exception", "[1:1] Document must be an object")
    return found


def parsed(body: bytes) -> list[Item] | None:
    """Return the items of a bulk's body, or None if it is not one."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    items: list[Item] = []
    at = 0
    try:
        while at < len(lines):
            ((operation, action),) = orjson.loads(lines[at]).items()
            length = 1 if operation == "delete" else 2
            if not isinstance(action, dict) or at + length > len(lines):
                return None
            items.append(Item(operation, action, lines[at : at + length]))
            at += length
    except (orjson.JSONDecodeError, ValueError, AttributeError):
        return None
    return items


def _merged(items: list[Item], answer: Mapping[str, Any], index: str | None) -> dict[str, Any]:
    """Put the node's results and our own in the order of the items."""
    written = iter(answer["items"])
    rows = [next(written) if item.forwarded else item.result(index) for item in items]
    errors = answer["errors"] or any(item.error is not None for item in items)
    return {**answer, "errors": errors, "items": rows}
