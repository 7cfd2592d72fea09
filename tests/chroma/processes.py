"""Another process, spawned anew, that opens stores and works with them as it is told."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from langchain_core.documents import Document

from tests.chroma.samples import bearing
from vectorface import ChromaDB
from vectorface.errors import PartialWriteError

#: The stores that the other process has open.
_STORES: list[ChromaDB] = []


def _serve(pipe: Connection) -> None:
    """Run what comes through the pipe until it is closed."""
    with suppress(EOFError):
        while True:
            function, arguments = pipe.recv()
            try:
                pipe.send((function(*arguments), None))
            except Exception as error:  # noqa: BLE001 - raised again in the test
                pipe.send((None, error))


class OtherProcess(AbstractContextManager["OtherProcess"]):
    """A process with stores of its own."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(timeout=10)
        self.kill()

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._process.kill()
        self._process.join()

    def call(self, function: Callable[..., Any], *arguments: Any, timeout: float = 60) -> Any:
        """Run a function there; return or raise what it does."""
        self.start(function, *arguments)
        return self.result(timeout=timeout)

    def start(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin to run a function there."""
        self._pipe.send((function, arguments))

    def result(self, *, timeout: float = 60) -> Any:
        """Wait for what was begun."""
        if not self._pipe.poll(timeout):
            raise TimeoutError("the other process does not answer")
        value, error = self._pipe.recv()
        if error is not None:
            raise error
        return value

    # -- what it can be told ------------------------------------------------------------------------------

    def open(self, **address: Any) -> None:
        """Open a store there; what follows works with it."""
        self.call(_open, address)

    def adopt(self, store: ChromaDB) -> None:
        """Send a store there; what follows works with it."""
        self.call(_adopt, store)

    def write(self, *ids: str, **metadata: Any) -> None:
        """Write documents there."""
        self.call(_write, ids, metadata)

    def write_untold(self, id_: str) -> None:
        """Write a document there, past the store, which so tells nobody."""
        self.call(_write_untold, id_)

    def delete(self, *ids: str) -> None:
        """Delete documents there."""
        self.call(_delete, ids)

    def delete_collection(self) -> None:
        """Delete the whole collection there."""
        self.call(_delete_collection)

    def found(self) -> list[str]:
        """Search there; return the ids of all hits."""
        ids: list[str] = self.call(_found)
        return ids

    def close_stores(self) -> None:
        """Close what it has open."""
        self.call(_close_all)


def _open(address: dict[str, Any]) -> None:
    _STORES.append(ChromaDB(embeddings=None).connect(**address))


def _adopt(store: ChromaDB) -> None:
    _STORES.append(store)


def _write(ids: tuple[str, ...], metadata: dict[str, Any]) -> None:
    documents = [Document(id=id_, page_content=f"boat {id_}", metadata=metadata) for id_ in ids]
    try:
        _STORES[-1].upsert(documents, vectors=[bearing(len(id_)) for id_ in ids])
    except PartialWriteError as error:  # its report stays with the store that made it
        raise error.report.failures[0].error from None


def _write_untold(id_: str) -> None:
    store = _STORES[-1]
    collection: Any = store.client.get_collection(store.index, embedding_function=None)
    collection.add(ids=[id_], documents=[id_], embeddings=[bearing(0)])


def _delete(ids: tuple[str, ...]) -> None:
    _STORES[-1].delete_by_filter(ids=ids)


def _delete_collection() -> None:
    _STORES[-1].delete_index(_STORES[-1].index)


def _found() -> list[str]:
    return sorted(hit.id for hit in _STORES[-1].query(vector=bearing(0), k=1_000))


def _close_all() -> None:
    while _STORES:
        _STORES.pop().close()
