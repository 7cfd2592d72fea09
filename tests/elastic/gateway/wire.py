"""Requests as they arrive, answers as they leave, and the node behind the gateway.

What is forwarded keeps its raw path, query, headers and bytes; only what belongs to one connection is
dropped.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Self, TypeAlias
from urllib.parse import parse_qsl, quote, unquote

import aiohttp
import orjson
from starlette.responses import Response
from yarl import URL

from tests.elastic.gateway.errors import ElasticError, parsing

PRODUCT: Final = {"X-elastic-product": "Elasticsearch"}
NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

#: Of one connection (RFC 9110, 7.6.1), or computed anew from the body.
_PER_CONNECTION: Final = frozenset(
    b"connection keep-alive transfer-encoding te trailer upgrade expect host content-length".split()
)


@dataclass(frozen=True)
class Call:
    """A request to the gateway."""

    method: str
    #: Percent-encoded, as it was sent.
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes = b""
    #: The client's connection, for faults that break it.
    transport: asyncio.Transport | None = None
    #: The API key that was given and is valid.
    key_id: str | None = None
    #: What the path's pattern caught, decoded.
    caught: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def params(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def json(self) -> Any:
        """Return the body's JSON; no body is an empty object."""
        return loads(self.body) if self.body.strip() else {}

    def object(self) -> dict[str, Any]:
        """Return the body, which must be an object."""
        found = self.json()
        if not isinstance(found, dict):
            raise parsing("Expected [START_OBJECT] but got [START_ARRAY]")
        return found

    def header(self, name: bytes) -> str | None:
        """Return a header's value; the name is in lower case."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), None)

    def with_caught(self, caught: Mapping[str, str]) -> Self:
        return replace(self, caught=caught)

    def with_body(self, body: bytes) -> Self:
        return replace(self, body=body)

    def plain(self) -> Self:
        """Return the request for what looks into it: not compressed, nor asking for a compressed answer."""
        call = self.without_header(b"accept-encoding")
        if call.header(b"content-encoding") != "gzip":
            return call
        return call.without_header(b"content-encoding").with_body(gzip.decompress(call.body))

    def without_header(self, name: bytes) -> Self:
        return replace(self, headers=tuple((key, old) for key, old in self.headers if key != name))

    def with_header(self, name: bytes, value: str) -> Self:
        kept = self.without_header(name)
        return replace(kept, headers=(*kept.headers, (name, value.encode("latin-1"))))


@dataclass(frozen=True)
class Answer:
    """An answer of the node."""

    status: int
    headers: Headers
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status < 400

    def json(self) -> Any:
        return loads(self.body)

    def with_body(self, body: bytes) -> Self:
        headers = tuple((key, value) for key, value in self.headers if key.lower() != b"content-length")
        return replace(self, headers=headers, body=body)

    def response(self, body: bytes | None = None) -> Response:
        """Return it for the client, or with another body."""
        given = Response(self.body if body is None else body, self.status)
        kept = [(key, value) for key, value in self.headers if key.lower() not in _PER_CONNECTION]
        length = next((value for key, value in self.headers if key.lower() == b"content-length"), None)
        if body is not None or length is None:  # the answer to HEAD has a length and no body
            length = str(len(given.body)).encode()
        given.raw_headers = [*kept, (b"content-length", length)]
        return given


class Node:
    """The Elasticsearch node behind the gateway.

    Args:
        url: Its address.
        credentials: Returns the ``Authorization`` of what the gateway asks of its own accord; empty is none.
        ca_certs: File with the authority to trust, for HTTPS.
    """

    def __init__(self, url: str, credentials: Callable[[], str] = str, *, ca_certs: str = "") -> None:
        self._url = url.rstrip("/")
        self._credentials = credentials
        self._trusted = ssl.create_default_context(cafile=ca_certs) if ca_certs else True
        self._session: aiohttp.ClientSession | None = None
        self._info: dict[str, Any] | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ssl=self._trusted),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, call: Call) -> Answer:
        """Send a request as it is."""
        assert self._session is not None
        target = self._url + call.path + (f"?{call.query}" if call.query else "")
        headers = [
            (key.decode("latin-1"), value.decode("latin-1"))
            for key, value in call.headers
            if key not in _PER_CONNECTION
        ]
        async with self._session.request(
            call.method,
            URL(target, encoded=True),
            headers=headers,
            data=call.body or None,
            allow_redirects=False,
        ) as answer:
            return Answer(answer.status, answer.raw_headers, await answer.read())

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        *,
        query: str = "",
        headers: Headers = (),
    ) -> Answer:
        """Send a request of the gateway's own, with the caller's credentials if there is one."""
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        kind = NDJSON if isinstance(body, bytes) else JSON
        kept = tuple((key, value) for key, value in headers if key == b"authorization")
        if not kept and (own := self._credentials()):
            kept = ((b"authorization", own.encode("latin-1")),)
        return await self.send(
            Call(method, path, query, (*kept, (b"content-type", kind.encode())) if raw else kept, raw)
        )

    async def info(self, headers: Headers = ()) -> dict[str, Any]:
        """Return what the node says of itself under ``_nodes/_local``, its id under ``id``."""
        if self._info is None:
            found = checked(await self.ask("GET", "/_nodes/_local/_none", headers=headers)).json()
            ((node_id, about),) = found["nodes"].items()
            self._info = {**about, "id": node_id, "cluster_name": found["cluster_name"]}
        return self._info


def checked(answer: Answer) -> Answer:
    """Return the answer, or raise the error that it is."""
    if answer.ok:
        return answer
    error = answer.json().get("error", {})
    if isinstance(error, str):
        raise ElasticError(answer.status, "exception", error)
    raise ElasticError(answer.status, error["type"], error.get("reason") or "", more=_rest(error))


def _rest(error: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in error.items() if key not in {"type", "reason", "root_cause"}}


def loads(raw: bytes) -> Any:
    """Return the JSON, or raise as Elasticsearch does for what is none."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        raise ElasticError(400, "x_content_parse_exception", f"[1:1] {problem}") from problem


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of the gateway's own."""
    return Response(orjson.dumps(body), status, {**PRODUCT, "content-type": JSON, **(headers or {})})


def acknowledged() -> Response:
    return answer({"acknowledged": True})


def failure(error: ElasticError) -> Response:
    return answer(error.body(), error.status, error.headers)


def without(call: Call, name: str) -> Call:
    """Return a request without one of its parameters."""
    kept = [part for part in call.query.split("&") if part.partition("=")[0] != name]
    return replace(call, query="&".join(kept))


def segment(name: str) -> str:
    """Return a name for use in a path."""
    return quote(name, safe=",*")


def parts(path: str) -> list[str]:
    """Return a raw path's segments, decoded."""
    return [unquote(part) for part in path.strip("/").split("/")]


def deprecation(version: str, *messages: str) -> dict[str, str]:
    """Return the ``Warning`` header of what is deprecated (``server/.../logging/HeaderWarning.java``)."""
    told: Iterable[str] = (f'299 Elasticsearch-{version}-gateway "{message}"' for message in messages)
    return {"warning": ", ".join(told)} if messages else {}
