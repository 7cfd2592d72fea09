"""Opening and closing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from vectorface.errors import IndexNotFoundError, InvalidIndexNameError, NotConnectedError
from vectorface.testing.contract.base import Contract, assert_refused, contents, contents_of, document, story

if TYPE_CHECKING:
    from vectorface.interface import VectorDBInterface

#: Whatever needs a connection.
USES: dict[str, Callable[[VectorDBInterface], Any]] = {
    "index": lambda store: store.index,
    "create_index": lambda store: store.create_index("stories"),
    "get_index": lambda store: store.get_index("stories"),
    "delete_index": lambda store: store.delete_index("stories"),
    "list_indexes": lambda store: store.list_indexes(),
    "add": lambda store: store.add(story()),
    "upsert": lambda store: store.upsert(story()),
    "upsert_parallel": lambda store: store.upsert_parallel(story()),
    "replace": lambda store: store.replace(story(), {"chapter": 1}),
    "get": lambda store: store.get(["dusk"]),
    "scan": lambda store: list(store.scan()),
    "count": lambda store: store.count(),
    "delete_by_filter": lambda store: store.delete_by_filter({"chapter": 1}),
    "query": lambda store: store.query("lamp"),
    "query_batch": lambda store: store.query_batch(["lamp"]),
    "with": lambda store: store.__enter__(),
}


class ConnectionContract(Contract):
    """A store is opened as often as you like, and says so when it is not open."""

    def test_before_connect_every_use_says_so(self) -> None:
        """Nothing but a ``NotConnectedError`` comes of a store that was never connected."""
        store = self.unconnected()
        uses = {name: partial(use, store) for name, use in USES.items()}
        assert_refused(uses, NotConnectedError, r"connect\(\)")

    def test_after_close_every_use_says_so(self, store: VectorDBInterface) -> None:
        """Nothing but a ``NotConnectedError`` comes of a store that was closed."""
        store.close()
        uses = {name: partial(use, store) for name, use in USES.items()}
        assert_refused(uses, NotConnectedError, r"connect\(\)")

    def test_connect_returns_the_store(self) -> None:
        """``connect`` can be chained to the constructor."""
        store = self.unconnected()
        assert self.connect(store, self.name()) is store

    def test_connect_again_is_nothing(self, library: VectorDBInterface) -> None:
        """The same call again keeps the connection and every document."""
        client = library.client
        assert self.connect(library, self.name()) is library
        assert library.client is client
        assert contents(library) == contents_of(story())

    def test_connect_moves_to_another_index(self, library: VectorDBInterface) -> None:
        """The first one keeps its documents."""
        self.connect(library, self.name("other"))
        assert library.index == self.name("other")
        assert library.count() == 0
        assert {self.name(), self.name("other")} <= set(library.list_indexes())
        self.connect(library, self.name())
        assert contents(library) == contents_of(story())

    def test_a_refused_connect_leaves_the_store_as_it_was(self, library: VectorDBInterface) -> None:
        """It goes on with the index that it had."""
        with pytest.raises(IndexNotFoundError, match="leave out create=False"):
            self.connect(library, self.name("missing"), create=False)
        assert contents(library) == contents_of(story())
        assert library.query("lamp")

    def test_close_twice_is_fine(self, store: VectorDBInterface) -> None:
        """The second ``close`` does nothing."""
        store.close()
        store.close()

    def test_a_closed_store_connects_again(self, store: VectorDBInterface) -> None:
        """``close`` is not the end."""
        store.close()
        self.connect(store, self.name())
        store.upsert([document("again")])
        assert store.count() == 1

    def test_leaving_the_context_closes(self, store: VectorDBInterface) -> None:
        """``with`` gives the store itself, and closes it, also after an error."""
        with suppress(ZeroDivisionError), store as entered:
            assert entered is store
            raise ZeroDivisionError
        with pytest.raises(NotConnectedError):
            store.count()

    def test_a_missing_index_is_made(self) -> None:
        """By default, a new index is empty and is listed."""
        store = self.open("new")
        assert store.index == self.name("new")
        assert store.index in store.list_indexes()
        assert store.count() == 0

    def test_a_missing_index_is_not_made_with_create_false(self, store: VectorDBInterface) -> None:
        """``create=False`` raises, makes nothing, and leaves the store closed."""
        other = self.unconnected()
        with pytest.raises(IndexNotFoundError, match="leave out create=False"):
            self.connect(other, self.name("missing"), create=False)
        with pytest.raises(NotConnectedError):
            other.count()
        assert self.name("missing") not in store.list_indexes()

    def test_a_wrong_index_name_is_not_connected_to(self) -> None:
        """What is not a name everywhere is not made anywhere."""
        store = self.unconnected()
        with pytest.raises(InvalidIndexNameError, match="lower-case"):
            self.connect(store, self.name("UPPER"))
        with pytest.raises(NotConnectedError):
            store.count()

    def test_the_client_is_there(self, store: VectorDBInterface) -> None:
        """The wrapped library stays within reach."""
        assert store.client is not None

    def test_repr_tells_the_index(self, store: VectorDBInterface) -> None:
        """A person sees what the store is connected to, or that it is not."""
        assert self.name() in repr(store)
        store.close()
        assert "not connected" in repr(store)
