"""Inference at search time: a query's text becomes the tokens that the node can search with.

Source: ``x-pack/plugin/core/.../ml/search/SparseVectorQueryBuilder.java`` and
``x-pack/plugin/ml/.../queries/TextExpansionQueryBuilder.java`` (both rewrite themselves to a query with
tokens), ``x-pack/plugin/ml/.../action/TransportCoordinatedInferenceAction.java`` (whose errors a search ends
with).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import orjson
from starlette.responses import Response

from tests.elastic.gateway.errors import ElasticError, parsing, unsupported
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.semantic import SemanticText, asked, nested
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.wire import Answer, Call, Headers, Node, deprecation, loads

#: Returns the tokens of a text, by the id of a model, a deployment or an endpoint.
Expand: TypeAlias = Callable[[str, str], Awaitable[dict[str, float]]]

_WORDS: Final = (b"inference_id", b"text_expansion", b"query_vector_builder")
#: Queries that also work on ``semantic_text``.
_SEMANTIC: Final = frozenset({"semantic", "match", "sparse_vector"})
#: Parts of a search that hold no queries.
_NO_QUERIES: Final = frozenset(
    "_source fields docvalue_fields stored_fields runtime_mappings script_fields".split()
)


class Search:
    """The search APIs, as far as their bodies need inference."""

    def __init__(
        self, node: Node, settings: Callable[[], Settings], expand: Expand, semantic: SemanticText
    ) -> None:
        self._node = node
        self._settings = settings
        self._expand = expand
        self._semantic = semantic

    def routes(self) -> list[Route]:
        apis = ("_search", "_count", "_validate/query")
        single = [route("GET POST", f"{at}/{api}", self._one) for at in ("", "/{index}") for api in apis]
        many = [route("GET POST", f"{at}/_msearch", self._many) for at in ("", "/{index}")]
        return [*single, route("GET POST", "/{index}/_explain/{id}", self._one), *many]

    async def _one(self, call: Call) -> Response:
        fields = await self._semantic.fields(call.caught.get("index", ""), call.headers)
        if not call.body.strip() or not (fields or self.concerns(call.body)):
            return (await self._node.send(call)).response()
        rewriter = self.rewriter(fields)
        body = await rewriter.rewritten(loads(call.body))
        found = await self._node.send(call.with_body(orjson.dumps(body)))
        return self._told(found, rewriter)

    def concerns(self, body: bytes) -> bool:
        """Return whether a body may hold a query for the gateway; most do not and are not parsed."""
        words = _WORDS if self._settings().at_least(8, 15) else (*_WORDS, b"sparse_vector")
        return any(word in body for word in words)

    async def rewritten(self, index: str, body: dict[str, Any], headers: Headers) -> dict[str, Any]:
        """Return a search's body with tokens in place of texts."""
        fields = await self._semantic.fields(index, headers)
        found: dict[str, Any] = await self.rewriter(fields).rewritten(body)
        return found

    def rewriter(self, fields: Mapping[str, str] | None = None) -> Rewriter:
        """Return what rewrites a search of indices whose ``semantic_text`` fields are these."""
        return Rewriter(self._expand, self._settings(), fields or {})

    def _told(self, found: Answer, rewriter: Rewriter, body: bytes | None = None) -> Response:
        response = found.response(body)
        if rewriter.deprecated:  # the node warns of what we made of the query, not of what was asked
            kept = [(key, value) for key, value in response.raw_headers if key.lower() != b"warning"]
            response.raw_headers = kept
        if rewriter.deprecated and self._settings().at_least(8, 15):
            response.headers.update(
                deprecation(
                    self._settings().version, "text_expansion is deprecated. Use sparse_vector instead."
                )
            )
        return response

    async def _many(self, call: Call) -> Response:
        """Rewrite each search; one whose inference fails has its error among the responses."""
        fields = await self._semantic.fields(call.caught.get("index", ""), call.headers)
        if not (fields or self.concerns(call.body)):
            return (await self._node.send(call)).response()
        lines = call.body.removesuffix(b"\n").split(b"\n")  # a header may be an empty line
        rewriter = self.rewriter(fields)
        kept: list[bytes] = []
        failed: dict[int, ElasticError] = {}
        for number, (header, body) in enumerate(zip(lines[::2], lines[1::2], strict=False)):
            try:
                kept += [header, orjson.dumps(await rewriter.rewritten(loads(body)))]
            except ElasticError as error:
                failed[number] = error
        if not kept:
            return Response(
                orjson.dumps(_merged({"took": 0, "responses": []}, failed)), media_type="application/json"
            )
        found = await self._node.send(call.with_body(b"\n".join([*kept, b""])))
        merged = orjson.dumps(_merged(found.json(), failed)) if failed else None
        return self._told(found, rewriter, merged)


def _merged(answer: dict[str, Any], failed: Mapping[int, ElasticError]) -> dict[str, Any]:
    for number, error in sorted(failed.items()):
        answer["responses"].insert(number, error.body())
    return answer


class Rewriter:
    """Puts tokens in place of texts, wherever a query stands in a search's body."""

    def __init__(self, expand: Expand, settings: Settings, fields: Mapping[str, str]) -> None:
        self._expand = expand
        self._settings = settings
        self._fields = fields
        #: Whether a deprecated query was met.
        self.deprecated = False

    async def rewritten(self, found: Any) -> Any:
        """Return the body, or a part of it, with tokens."""
        if isinstance(found, list):
            return [await self.rewritten(one) for one in found]
        if not isinstance(found, dict):
            return found
        rewritten: dict[str, Any] = {}
        for key, value in found.items():
            if key in _SEMANTIC and (found_text := asked(key, value, self._fields)):
                field, text, options = found_text
                rewritten |= nested(field, await self._expand(self._fields[field], text), options)
            elif key == "sparse_vector" and isinstance(value, dict) and "field" in value:
                rewritten |= await self._sparse_vector(value)
            elif key == "text_expansion" and isinstance(value, dict):
                rewritten |= await self._text_expansion(value)
            elif key == "query_vector_builder":
                raise unsupported("[query_vector_builder]: it has no dense models")
            else:
                rewritten[key] = value if key in _NO_QUERIES else await self.rewritten(value)
        return rewritten

    async def _sparse_vector(self, query: Mapping[str, Any]) -> dict[str, Any]:
        if not self._settings.at_least(8, 15):
            raise parsing("unknown query [sparse_vector]")
        if not {"inference_id", "query"} <= query.keys() or "query_vector" in query:
            return {"sparse_vector": query}  # the node knows what to say
        tokens = await self._expand(query["inference_id"], query["query"])
        if not tokens:
            return {"match_none": _named(query)}
        kept = {key: value for key, value in query.items() if key not in {"inference_id", "query"}}
        return {"sparse_vector": {**kept, "query_vector": tokens}}

    async def _text_expansion(self, query: Mapping[str, Any]) -> dict[str, Any]:
        self.deprecated = True
        ((field, options),) = query.items()
        for name in ("model_text", "model_id"):
            if name not in options:
                raise ElasticError(
                    400, "parse_exception", f"[text_expansion] requires {name} to be specified"
                )
        tokens = await self._expand(options["model_id"], options["model_text"])
        if not tokens:
            return {"match_none": _named(options)}
        kept = {key: value for key, value in options.items() if key not in {"model_id", "model_text"}}
        return {"weighted_tokens": {field: {**kept, "tokens": tokens}}}


def _named(query: Mapping[str, Any]) -> dict[str, Any]:
    return {key: query[key] for key in ("boost", "_name") if key in query}
