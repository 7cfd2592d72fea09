"""``semantic_text``, as far as the gateway can show it.

The stripped node does not know the type. Here a field ``body`` of it becomes a ``text`` field that is not
searched, and a nested ``sparse_vector`` under ``__semantic__.body``, which is left out of ``_source``; the
mapping's ``_meta`` keeps what was asked for, so that the node remembers it. What is written is cut into
chunks and expanded by the endpoint; the queries ``semantic``, ``match`` and ``sparse_vector`` on such a field
search the nested vectors.

Source: ``x-pack/plugin/inference/.../mapper/SemanticTextFieldMapper.java``,
``.../queries/SemanticQueryBuilder.java``, ``.../action/filter/ShardBulkInferenceActionFilter.java`` (errors
of items); the YAML tests ``inference/10_semantic_text_field_mapping.yml``,
``30_semantic_text_inference.yml``, ``40_semantic_text_query.yml``. Differs: ELSER endpoints alone; chunks are
of 250 words, not of whole sentences; updates of single documents are refused; no highlighting, no
``_inference_fields``, no ``copy_to``, no multi-fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from tests.elastic.gateway.deployments import Urgency
from tests.elastic.gateway.documents import Document, java_type
from tests.elastic.gateway.errors import ElasticError, bad_request, illegal_argument
from tests.elastic.gateway.indices import META, Indices, kept
from tests.elastic.gateway.inference import Coordinator
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.wire import Call, Headers, Node

#: Where the vectors are.
HIDDEN: Final = "__semantic__"
_TYPE: Final = "semantic_text"
_DEFAULT: Final = ".elser-2-elasticsearch"
_CHUNK: Final = 250
_VECTORS: Final = {"type": "nested", "properties": {"tokens": {"type": "sparse_vector"}}}


class SemanticText:
    """Mappings and documents with ``semantic_text``."""

    def __init__(self, node: Node, indices: Indices, coordinator: Coordinator) -> None:
        self._node = node
        self._indices = indices
        self._coordinator = coordinator

    def routes(self) -> list[Route]:
        shown = ("/_mapping", "/{index}/_mapping", "/{index}")
        return [
            route("PUT", "/{index}", self._create),
            route("PUT POST", "/{index}/_mapping", self._extend),
            *(route("GET", path, self._show) for path in shown),
        ]

    # -- mappings ------------------------------------------------------------------------------------------

    async def _create(self, call: Call) -> Response:
        if call.caught["index"].startswith("_") or _TYPE.encode() not in call.body:
            return (await self._node.send(call)).response()
        body = call.object()
        body["mappings"] = translated(body.get("mappings") or {}, {})
        self._indices.semantic = True
        return (await self._node.send(call.with_body(orjson.dumps(body)))).response()

    async def _extend(self, call: Call) -> Response:
        if _TYPE.encode() not in call.body:
            return (await self._node.send(call)).response()
        before = await self._indices.semantic_fields(call.caught["index"], call.headers)
        self._indices.semantic = True
        body = translated(call.object(), before)
        return (await self._node.send(call.with_body(orjson.dumps(body)))).response()

    async def _show(self, call: Call) -> Response:
        found = await self._node.send(call)
        if not found.ok or META.encode() not in found.body:
            return found.response()
        body = found.json()
        for about in body.values():
            if META in about.get("mappings", {}).get("_meta", {}):
                about["mappings"] = restored(about["mappings"])
        return found.response(orjson.dumps(body))

    # -- documents -----------------------------------------------------------------------------------------

    async def fields(self, index: str, headers: Headers) -> Mapping[str, str]:
        """Return the endpoints of an index's fields by path."""
        if not self._indices.semantic:
            return {}
        return await self._indices.semantic_fields(index, headers)

    async def add_vectors(self, document: Document, fields: Mapping[str, str]) -> None:
        """Put the vectors of a document's texts beside them.

        Raises:
            ElasticError: A value is no text, or the inference failed.
        """
        for path, endpoint in fields.items():
            value = document.get(path) if document.has(path) else None
            texts = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
            for text in texts:
                if not isinstance(text, str):
                    kind = java_type(text).rpartition(".")[2]
                    raise bad_request(f"Invalid format for field [{path}], expected [String] got [{kind}]")
            chunks = [chunk for text in texts for chunk in _chunks(text)]
            if chunks:
                vectors = await self._vectors(endpoint, path, chunks)
                document.set(f"{HIDDEN}.{path}", [{"tokens": vector} for vector in vectors])

    async def _vectors(self, endpoint: str, path: str, chunks: list[str]) -> list[dict[str, float]]:
        try:
            _, found = await self._coordinator.expand(endpoint, chunks, urgency=Urgency.WRITE, within=None)
        except ElasticError as cause:
            reason = f"Exception when running inference id [{endpoint}] on field [{path}]"
            raise ElasticError(cause.status, "inference_exception", reason, cause=cause) from cause
        return [one.tokens for one in found]


def _chunks(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[start : start + _CHUNK]) for start in range(0, len(words), _CHUNK)]


# -- mappings ----------------------------------------------------------------------------------------------


def translated(mappings: Mapping[str, Any], before: Mapping[str, str]) -> dict[str, Any]:
    """Return mappings that the node knows, for some that may hold ``semantic_text``."""
    found: dict[str, str] = {}
    properties = _translated(mappings.get("properties") or {}, "", found)
    for path in found:
        _put(properties, f"{HIDDEN}.{path}", _VECTORS)
    meta = {**(mappings.get("_meta") or {}), META: {**before, **found}}
    excluded = [*(mappings.get("_source") or {}).get("excludes", []), HIDDEN]
    source = {**(mappings.get("_source") or {}), "excludes": excluded}
    return {**mappings, "properties": properties, "_meta": meta, "_source": source}


def _translated(properties: Mapping[str, Any], above: str, found: dict[str, str]) -> dict[str, Any]:
    mapped: dict[str, Any] = {}
    for name, about in properties.items():
        path = f"{above}{name}"
        if about.get("type") == _TYPE:
            found[path] = about.get("inference_id") or _DEFAULT
            mapped[name] = {"type": "text", "index": False}
        elif "properties" in about:
            mapped[name] = {**about, "properties": _translated(about["properties"], f"{path}.", found)}
        else:
            mapped[name] = about
    return mapped


def _put(properties: dict[str, Any], path: str, mapping: Mapping[str, Any]) -> None:
    *above, name = path.split(".")
    for step in above:
        properties = properties.setdefault(step, {"properties": {}})["properties"]
    properties[name] = mapping


def restored(mappings: Mapping[str, Any]) -> dict[str, Any]:
    """Return mappings as they were asked for."""
    found = dict(mappings)
    properties = {name: about for name, about in mappings["properties"].items() if name != HIDDEN}
    for path, endpoint in kept(mappings).items():
        *above, name = path.split(".")
        at = properties
        for step in above:
            at = at[step]["properties"]
        at[name] = {"type": _TYPE, "inference_id": endpoint}
    found["properties"] = properties
    _drop(found, "_meta", {key: value for key, value in mappings["_meta"].items() if key != META})
    source = mappings.get("_source", {})
    excludes = [name for name in source.get("excludes", []) if name != HIDDEN]
    rest = {key: value for key, value in source.items() if key != "excludes"}
    _drop(found, "_source", {**rest, "excludes": excludes} if excludes else rest)
    return found


def _drop(mappings: dict[str, Any], name: str, rest: Mapping[str, Any]) -> None:
    if rest:
        mappings[name] = rest
    else:
        mappings.pop(name, None)


# -- queries -----------------------------------------------------------------------------------------------


def asked(kind: str, query: Any, fields: Mapping[str, str]) -> tuple[str, str, dict[str, Any]] | None:
    """Return field, text and further options of a query on ``semantic_text``, or None if it is none."""
    if not isinstance(query, dict) or not fields:
        return None
    if kind == "match" and len(query) == 1:
        ((field, options),) = query.items()
        given = {"query": options} if isinstance(options, str) else options
    else:
        field, given = query.get("field"), query
    if kind == "semantic" and field not in fields:
        raise illegal_argument(f"Field [{field}] does not support semantic queries")
    if field not in fields or "query" not in given or "query_vector" in given:
        return None
    return field, str(given["query"]), {key: given[key] for key in ("boost", "_name") if key in given}


def nested(field: str, tokens: Mapping[str, float], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the query for the best chunk of a field."""
    if not tokens:
        return {"match_none": dict(options)}
    path = f"{HIDDEN}.{field}"
    query = {"sparse_vector": {"field": f"{path}.tokens", "query_vector": tokens}}
    return {"nested": {"path": path, "query": query, "score_mode": "max", **options}}
