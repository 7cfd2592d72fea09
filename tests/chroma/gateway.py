"""What stands before a server in production: it checks who asks, and at times has no time."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import deque
from contextlib import AbstractContextManager, closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.chroma_server import ChromaServer

#: Headers that belong to one connection, not to what is sent over it.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}


class Gateway(AbstractContextManager["Gateway"]):
    """Passes requests on to a server, and answers itself where it was told to.

    Attributes:
        token: Who wants an answer must send it as ``Authorization``; ``None`` lets everybody in.
        answers: Status and headers to answer the next requests with, instead of passing them on.
        open: While it is not set, no answer comes.
        seen: Method, path and length of what came in.
    """

    def __init__(self, server: ChromaServer, *, host: str = "127.0.0.1", token: str | None = None) -> None:
        self.host = host
        self.token = token
        self.answers: deque[tuple[int, dict[str, str]]] = deque()
        self.open = threading.Event()
        self.open.set()
        self.seen: list[tuple[str, str, int]] = []
        handler = type("Handler", (_Handler,), {"gateway": self, "chroma": server})
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = type("Listener", (ThreadingHTTPServer,), {"address_family": family})
        self._http: ThreadingHTTPServer = listener((host, 0), handler)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open.set()
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gateway: ClassVar[Gateway]
    chroma: ClassVar[ChromaServer]

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.gateway.seen.append((self.command, self.path, len(body)))
        self.gateway.open.wait(30)
        if self.gateway.token not in {None, self.headers.get("authorization")}:
            self._answer(401, {}, b"who are you?")
        elif self.gateway.answers:
            status, headers = self.gateway.answers.popleft()
            self._answer(status, headers, b"not now")
        else:
            self._pass_on(body)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - as http.server wants them

    def _pass_on(self, body: bytes) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        with closing(http.client.HTTPConnection(self.chroma.host, self.chroma.port, timeout=30)) as upstream:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            self._answer(answer.status, kept, answer.read())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        with suppress(ConnectionError):  # who asked may have given up
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
