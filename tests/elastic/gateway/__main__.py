"""``python -m tests.elastic.gateway --node URL``: serve the gateway until our parent is gone."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import threading
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.elastic.gateway.app import App
from tests.elastic.gateway.settings import Settings


class Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP, with the connection within reach of the application: some faults break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["transport"] = self.transport


def _end_with_parent() -> None:
    """Wait for the end of our input, which comes when our parent closes it or dies, and end at once."""
    sys.stdin.buffer.read()
    os._exit(0)


async def _serve(app: App, port: int) -> None:
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    listener.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # asyncio leaves it to whoever made the socket
    config = uvicorn.Config(
        app,
        http=Protocol,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=3600,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    if server.started:
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
    await serving


def main() -> None:
    parser = argparse.ArgumentParser(description="An Elasticsearch gateway for tests.")
    parser.add_argument("--node", required=True, help="address of a real, stripped Elasticsearch node")
    parser.add_argument("--port", type=int, default=0, help="on loopback; 0 takes a free one")
    parser.add_argument("--settings", default="{}", help="JSON of tests.elastic.gateway.settings.Settings")
    parser.add_argument("--watch-parent", action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    settings = Settings().changed(orjson.loads(options.settings))
    if options.watch_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_serve(App(options.node, settings), options.port))


if __name__ == "__main__":
    main()
