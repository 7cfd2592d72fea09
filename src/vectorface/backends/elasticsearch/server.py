"""The one place that every request goes through, synchronous and asynchronous alike."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

import orjson
from elasticsearch import ApiError

from vectorface import bridge
from vectorface.backends.elasticsearch.translation import as_ours
from vectorface.errors import (
    BackendError,
    ConnectionFailedError,
    InvalidQueryError,
    NotConnectedError,
    TransientError,
    VectorfaceError,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from elasticsearch import AsyncElasticsearch, Elasticsearch

R = TypeVar("R")

Version: TypeAlias = tuple[int, int, int]

_CURRENT: Final[Version] = (8, 19, 0)
_JSON: Final = {"accept": "application/json", "content-type": "application/json"}
_LINES: Final = {"accept": "application/json", "content-type": "application/x-ndjson"}


class Server:
    """Sends requests by an Elasticsearch client and raises the library's own errors.

    Under :mod:`vectorface.bridge` it sends them by an asynchronous client of the running loop. Where a node
    cannot be reached it asks the next one; what may have been sent it never sends again: who calls it knows
    better whether that is safe.

    Args:
        client: The synchronous client.
        make_async: Makes an asynchronous client for the same cluster.
        timeout: Seconds to wait for an answer, where a request does not say otherwise.
        is_ours: Whether to close the clients at the end; somebody else's stay open.
    """

    def __init__(
        self,
        client: Elasticsearch,
        make_async: Callable[[], AsyncElasticsearch] | None,
        *,
        timeout: float,
        is_ours: bool,
    ) -> None:
        self.client = client
        self._is_ours = is_ours
        self.timeout = timeout
        self._loops = LoopClients(make_async, is_ours=is_ours) if make_async else None
        self._version: Version | None = None
        self._patients: dict[float, Any] = {}
        self._is_closed = False
        self._in_flight = 0
        self._lock = threading.Lock()

    @property
    def is_asynchronous(self) -> bool:
        """Whether it can send requests from an event loop."""
        return self._loops is not None

    async def beside_loop(self, call: Callable[[], R]) -> R:
        """Run synchronous code beside an event loop: on the loop itself if possible, else in a thread."""
        if self.is_asynchronous:
            return await bridge.run(call)
        return await asyncio.to_thread(call)

    def request(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send a request and return the decoded answer.

        Args:
            method: HTTP method.
            path: Path, as :func:`path_of` makes it.
            doing: What this is for, for messages.
            body: What is sent as JSON; a list of bytes is sent as lines.
            params: Query parameters.
            timeout: Seconds to wait for the answer.

        Raises:
            NotConnectedError: The clients were closed before an answer came.
            VectorfaceError: See :mod:`vectorface.backends.elasticsearch.translation`.
        """
        lines = isinstance(body, list) and bool(body) and isinstance(body[0], bytes)
        sent = b"".join(body) if lines else None if body is None else _json(body, doing)
        options: dict[str, Any] = {
            "params": {name: _parameter(value) for name, value in (params or {}).items()},
            "headers": _LINES if lines else _JSON if sent else {"accept": "application/json"},
            "body": sent,
        }
        for others in reversed(range(len(self.client.transport.node_pool))):
            try:
                return self._tried(method, path, options, timeout or self.timeout, doing)
            except ConnectionFailedError:  # so nothing was sent; the client asks another node next
                if not others:
                    raise
        raise AssertionError("a client has nodes")

    def _tried(self, method: str, path: str, options: Mapping[str, Any], seconds: float, doing: str) -> Any:
        self._raise_if_closed(doing)  # an asynchronous client made now would be closed by nobody
        try:
            if self._loops is not None and bridge.on_loop():
                return bridge.wait_for(self._sent(method, path, options, seconds))
            with self._held():
                return self._patient(seconds).perform_request(method, path, **options).body
        except VectorfaceError:
            raise
        except Exception as error:
            if not isinstance(error, ApiError):
                self._raise_if_closed(doing)
            raise as_ours(error, doing) from error

    def to_index(self, index: str, method: str, api: str, *, doing: str, **options: Any) -> Any:
        """Send a request to an index; what it is for ends with its name: ``doing="counting in"``."""
        path = path_of(index, *api.split("/"))
        return self.request(method, path, doing=f"{doing} index {index!r}", **options)

    def _raise_if_closed(self, doing: str) -> None:
        if self._is_closed:
            raise NotConnectedError(
                f"ElasticsearchDB was closed while {doing}, before an answer came: call connect() to go on."
            )

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep the synchronous client open: threads that wait for one of its connections would hang."""
        with self._lock:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1
            self._close_if_idle()

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._is_closed and not self._in_flight:
                self.client.close()

    def _patient(self, seconds: float) -> Any:
        """Return the client with a time-out; making one takes longer than using it."""
        if seconds not in self._patients:
            self._patients[seconds] = _patient(self.client, seconds)
        return self._patients[seconds]

    async def _sent(self, method: str, path: str, options: Mapping[str, Any], seconds: float) -> Any:
        assert self._loops is not None  # noqa: S101 - request() has looked
        client = await self._loops.client()
        try:
            answer = await _patient(client, seconds).perform_request(method, path, **options)
        except asyncio.CancelledError:
            if not self._is_closed or _is_cancelled():
                raise
            # aiohttp cancels what waits for a connection that is being closed; nobody asked for that
            raise ConnectionAbortedError("the client was closed") from None
        return answer.body

    @property
    def version(self) -> Version:
        """The server's version, asked for once; a current 8 where it does not tell, as with narrow rights."""
        if self._version is None:
            self._version = self._told_version()
        return self._version

    def _told_version(self) -> Version:
        try:
            info = self.request("GET", "/", doing="asking for the server's version")
        except TransientError:
            raise
        except BackendError:
            return _CURRENT
        first, second, third = str(info["version"]["number"]).partition("-")[0].split(".")
        return int(first), int(second), int(third)

    def close(self) -> None:
        """Close the clients that are ours; the synchronous one once what threads have sent is answered."""
        self._is_closed = self._is_ours
        if self._loops is not None:
            self._loops.close()
        self._close_if_idle()


def _is_cancelled() -> bool:
    """Tell whether somebody cancelled the running task."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _patient(client: Any, timeout: float) -> Any:
    """Return the client with our own patience: it is we who know when to try again."""
    return client.options(request_timeout=timeout, max_retries=0, retry_on_status=(), retry_on_timeout=False)


def path_of(*parts: str) -> str:
    """Return a path whose parts are quoted.

    Example:
        >>> path_of("stories", "_search")
        '/stories/_search'
    """
    return "/" + "/".join(quote(part, safe="") for part in parts)


def time_of(seconds: float) -> str:
    """Return seconds as Elasticsearch reads a time.

    Example:
        >>> time_of(30), time_of(0.25)
        ('30000ms', '250ms')
    """
    return f"{max(1, round(seconds * 1000))}ms"


def line_of(value: Any) -> bytes:
    """Return a value as one line of JSON."""
    return _json(value, "searching") + b"\n"


def _json(body: Any, doing: str) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise InvalidQueryError(f"While {doing}: what is to be sent is no JSON ({error}).") from None


def _parameter(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(str(item) for item in value)
    return str(value)


class LoopClients:
    """An asynchronous client for each event loop, closed when the loop ends."""

    def __init__(self, make: Callable[[], AsyncElasticsearch], *, is_ours: bool) -> None:
        self._make = make
        self._is_ours = is_ours
        self._keepers: weakref.WeakKeyDictionary[
            AbstractEventLoop, AsyncGenerator[AsyncElasticsearch, None]
        ] = weakref.WeakKeyDictionary()
        self._clients: weakref.WeakKeyDictionary[AbstractEventLoop, AsyncElasticsearch] = (
            weakref.WeakKeyDictionary()
        )

    async def client(self) -> AsyncElasticsearch:
        """Return the running loop's client."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            keeper = _kept(self._make(), close=self._is_ours)
            self._clients[loop] = await anext(keeper)
            self._keepers[loop] = keeper
        return self._clients[loop]

    def close(self) -> None:
        """Close them, each on its own loop; that of a loop that has ended is closed already."""
        for loop, keeper in list(self._keepers.items()):
            if bridge.on_loop() and loop is asyncio.get_running_loop():
                bridge.wait_for(keeper.aclose())
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(keeper.aclose(), loop)
        self._keepers.clear()
        self._clients.clear()


async def _kept(client: AsyncElasticsearch, *, close: bool) -> AsyncGenerator[AsyncElasticsearch, None]:
    """Yield a client and close it at the end: loops end the generators that began on them."""
    try:
        yield client
    finally:
        if close:
            await client.close()
