"""Run a node and the gateway in front of it until Ctrl-C, for trying the examples without a cluster."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from importlib.util import find_spec

from tests.elastic.gateway import Gateway
from tests.elastic.node import Node, NodeError


def main() -> int:
    """Start both, say where they are, and end them when told to."""
    arguments = argparse.ArgumentParser(prog="make elasticsearch", description=__doc__)
    arguments.add_argument("--port", type=int, default=9200, help="port of the gateway")
    best = "splade" if find_spec("cognition") else "hash"
    arguments.add_argument("--encoder", default=best, choices=["hash", "splade"], help="what plays ELSER")
    options = arguments.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    _say("Starting Elasticsearch; the first time it is fetched, about 100 MB.")
    try:
        with Node() as node, Gateway(node.url, port=options.port, encoder=options.encoder) as gateway:
            _say(
                f"Elasticsearch answers at {gateway.url} (ELSER is played by a stand-in; see docs/elser.md)."
            )
            _say(f"Try it:  export ELASTICSEARCH_URL={gateway.url}")
            _say("Stop it: Ctrl-C here. Its data goes with it.")
            stop.wait()
    except (NodeError, RuntimeError) as error:
        _say(str(error))
        return 1
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
