"""Faults on purpose: refused requests and items, broken connections, stalls, answers that end too soon.

``POST /_gateway/faults`` takes a :class:`Faults` as JSON. Shares are between 0 and 1; the same seed and the
same order of requests give the same faults.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from starlette.responses import Response

from tests.elastic.gateway.errors import ElasticError, illegal_argument, rejected
from tests.elastic.gateway.wire import Call


class ConnectionBroken(Exception):  # noqa: N818 - no error of ours: the client's connection was ended on purpose
    """The connection is gone and nothing more can be answered."""


@dataclass(kw_only=True)
class Faults:
    """Which faults happen to which share of requests."""

    #: A regular expression that is searched in ``METHOD /raw/path``.
    paths: str = "."
    #: Requests answered with 429, and nothing done.
    too_many: float = 0.0
    #: Seconds of a ``Retry-After`` header with them; none if negative.
    retry_after: int = -1
    #: Items of a bulk answered with 429, and not written.
    items: float = 0.0
    #: Connections reset before the node saw the request, and after it did the work.
    reset_before: float = 0.0
    reset_after: float = 0.0
    #: Requests that stall for so many seconds.
    stalls: float = 0.0
    stall_seconds: float = 1.0
    #: Answers that end in the middle.
    truncated: float = 0.0
    #: Seconds that every request takes longer.
    latency: float = 0.0
    seed: int = 0
    #: After so many faults the server is well again; 0 is never.
    limit: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        self._pattern = re.compile(self.paths)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        if unknown := body.keys() - ({known.name for known in fields(cls)} - {"counts"}):
            raise illegal_argument(f"the gateway has no faults {sorted(unknown)}")
        return cls(**body)

    def concern(self, call: Call) -> bool:
        return self._pattern.search(f"{call.method} {call.path}") is not None

    def _happens(self, name: str, share: float) -> bool:
        if self.limit and self.counts.total() >= self.limit:
            return False
        if share <= 0 or self._random.random() >= share:
            return False
        self.counts[name] += 1
        return True

    async def before(self, call: Call) -> None:
        """Let happen what happens before the node sees the request."""
        if self.latency:
            await asyncio.sleep(self.latency)
        if self._happens("stalls", self.stalls):
            await asyncio.sleep(self.stall_seconds)
        if self._happens("reset_before", self.reset_before):
            reset(call)
        if self._happens("too_many", self.too_many):
            error = rejected("rejected execution of a request by a fault of the test gateway")
            headers = {"retry-after": str(self.retry_after)} if self.retry_after >= 0 else {}
            raise ElasticError(error.status, error.type, error.reason, headers=headers)

    def item(self) -> ElasticError | None:
        """Return the error of a bulk item that is refused."""
        if self._happens("items", self.items):
            return rejected("rejected execution of an item by a fault of the test gateway")
        return None

    def after(self, call: Call, response: Response) -> Response:
        """Let happen what happens to the answer."""
        if self._happens("reset_after", self.reset_after):
            reset(call)
        if self._happens("truncated", self.truncated):
            return Truncated(response, call)
        return response


class Truncated(Response):
    """An answer that promises its whole length and ends in the middle."""

    def __init__(self, whole: Response, call: Call) -> None:
        super().__init__()
        self._whole = whole
        self._call = call

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive  # all is known already
        whole = self._whole
        await send({"type": "http.response.start", "status": whole.status_code, "headers": whole.raw_headers})
        half = bytes(whole.body)[: len(whole.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        if self._call.transport is not None:
            self._call.transport.close()


def reset(call: Call) -> None:
    """Reset the client's connection (RST, not an orderly end)."""
    if call.transport is not None:
        if (sock := call.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        call.transport.abort()
    raise ConnectionBroken
