"""Which handler answers which path."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import unquote

from starlette.responses import Response

from tests.elastic.gateway.errors import illegal_argument
from tests.elastic.gateway.wire import Call

Handler: TypeAlias = Callable[[Call], Awaitable[Response]]

#: Every API of Elasticsearch takes these.
_COMMON: Final = frozenset(
    "pretty human error_trace filter_path format master_timeout timeout source source_content_type".split()
)


@dataclass(frozen=True)
class Route:
    """One row of the table: methods, a path with ``{names}``, and the parameters it takes (none: not
    checked).
    """

    methods: frozenset[str]
    pattern: re.Pattern[str]
    handler: Handler
    params: frozenset[str] | None

    def check(self, call: Call) -> None:
        """Refuse unknown parameters, in the words of ``BaseRestHandler.unrecognized``."""
        if self.params is None:
            return
        if unknown := sorted(call.params.keys() - self.params - _COMMON):
            plural = "parameters" if len(unknown) > 1 else "parameter"
            named = ", ".join(f"[{name}]" for name in unknown)
            raise illegal_argument(f"request [{unquote(call.path)}] contains unrecognized {plural}: {named}")


def route(methods: str, path: str, handler: Handler, params: str | None = None) -> Route:
    """Return a row; methods and parameters are lists of words."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "/?")
    return Route(
        frozenset(methods.split()), pattern, handler, None if params is None else frozenset(params.split())
    )


class Router:
    """The table of what the gateway answers itself."""

    def __init__(self, *routes: Route) -> None:
        self._routes = routes

    def find(self, call: Call) -> tuple[Route, Call] | None:
        """Return the row for a request, and the request with what the path holds."""
        for row in self._routes:
            if call.method in row.methods and (found := row.pattern.fullmatch(call.path)):
                return row, call.with_caught(
                    {name: unquote(value) for name, value in found.groupdict().items()}
                )
        return None
