"""One node for all processes of a test run, which ends when the last of them does, however that ends.

A keeper process runs the node. Whoever uses it holds a shared lock on a file, which the system lets go of
when a process dies; once the keeper gets that lock for itself, nobody is left, and it ends the node.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock

from tests.elastic.node import Node, NodeError

_STATE: Final = "elasticsearch.json"
_LEASE: Final = "elasticsearch.lease"
_ROOT: Final = Path(__file__).resolve().parents[2]
#: Seconds between the keeper's looks.
_LOOK: Final = 0.5
_START: Final = 240.0
#: Keepers that this process started; they outlive it, and nobody waits for them.
_KEEPERS: Final[list[subprocess.Popen[bytes]]] = []


@contextlib.contextmanager
def shared_node(folder: Path) -> Iterator[str]:
    """Yield the address of the run's node, starting it if nobody has.

    Args:
        folder: One that all processes of the run know.

    Raises:
        NodeError: It could not be fetched or did not come up.
    """
    with (folder / _LEASE).open("ab") as lease:
        fcntl.flock(lease, fcntl.LOCK_SH)
        with FileLock(folder / "elasticsearch.starting"):
            if not (folder / _STATE).exists():
                _start_keeper(folder)
        state = json.loads((folder / _STATE).read_text())
        if "error" in state:
            raise NodeError(state["error"])
        yield state["url"]


def _start_keeper(folder: Path) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.elastic.shared", str(folder)],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C ends the tests, and their end ends it
    )
    _KEEPERS.append(keeper)
    deadline = time.monotonic() + _START
    while not (folder / _STATE).exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise NodeError("The process that runs Elasticsearch for the tests ended before it came up.")
        time.sleep(0.1)


def keep(folder: Path) -> None:
    """Run a node until nobody uses it: what the keeper does."""
    node = Node()
    try:
        node.start()
        _tell(folder, {"url": node.url})
    except NodeError as error:
        _tell(folder, {"error": str(error)})
        return
    try:
        with (folder / _LEASE).open("ab") as lease:
            while not _alone(lease.fileno()):
                time.sleep(_LOOK)
    finally:
        node.close()


def _tell(folder: Path, state: dict[str, str]) -> None:
    draft = folder / f"{_STATE}.draft"
    draft.write_text(json.dumps(state))
    draft.rename(folder / _STATE)


def _alone(lease: int) -> bool:
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
