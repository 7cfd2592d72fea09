"""The gateway in a process of its own, and its switches from Python."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[3]


class Gateway(AbstractContextManager["Gateway"]):
    """A running gateway.

    Args:
        node_url: Address of the node behind it.
        port: Where it listens; any free port by default.
        settings: See :class:`tests.elastic.gateway.settings.Settings`; :meth:`reset` comes back to these.

    Raises:
        RuntimeError: It did not come up.
    """

    def __init__(self, node_url: str, *, port: int = 0, **settings: Any) -> None:
        command = [sys.executable, "-m", "tests.elastic.gateway", "--node", node_url, "--watch-parent"]
        command += ["--port", str(port)]
        self._process = subprocess.Popen(
            [*command, "--settings", json.dumps(settings)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is not for it: it ends when we close its input, or die
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()
        if not self.url:
            code = self._process.wait()
            self._end()
            raise RuntimeError(f"The gateway did not come up (exit status {code}); see its standard error.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """End it; what it keeps on the node (empty pipelines) is removed."""
        with contextlib.suppress(OSError):  # either is gone, or the node, and what it kept with it
            self.reset()
        self._end()

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request, with the gateway's own client, and return the answer's JSON."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - http on loopback
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=60) as answer:  # noqa: S310 - the same
                return json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                raise RuntimeError(f"{method} {path}: {refused.read().decode()}") from None

    def deploy_elser(self, **options: int) -> str:
        """Download ELSER, deploy it and return its id.

        Args:
            options: Of the start, as Elasticsearch has them: ``number_of_allocations``, ``queue_capacity``.
        """
        model = ".elser_model_2"
        path = f"/_ml/trained_models/{model}"
        self.request("PUT", path, {"input": {"field_names": ["text_field"]}})
        query = urllib.parse.urlencode({**options, "wait_for": "started"})
        self.request("POST", f"{path}/deployment/_start?{query}")
        return model

    def faults(self, **faults: Any) -> None:
        """Switch faults on (see :class:`tests.elastic.gateway.faults.Faults`), or off with no arguments."""
        self.request("POST", "/_gateway/faults", faults)

    def configure(self, **settings: Any) -> None:
        """Change settings (see :class:`tests.elastic.gateway.settings.Settings`)."""
        self.request("POST", "/_gateway/settings", settings)

    def reset(self) -> None:
        """Forget models, pipelines, endpoints, keys, tasks, faults, counters and changed settings."""
        self.request("POST", "/_gateway/reset")

    def counters(self) -> dict[str, Any]:
        """Return ``requests`` by method and kind of path, their ``total``, and ``faults`` by kind."""
        counts: dict[str, Any] = self.request("GET", "/_gateway/counters")
        return counts
