"""How a store is opened: arguments, URLs, and what does not fit together."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from langchain_core.documents import Document

import vectorface
from tests.chroma.conftest import Place, raw_client
from tests.chroma.samples import bearing, put
from tests.chroma_server import ChromaServer
from vectorface import ChromaDB
from vectorface.backends.chroma.arguments import of_url
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    IndexNotFoundError,
    InvalidIndexNameError,
    NotConnectedError,
)
from vectorface.primitives import Query

# -- arguments --------------------------------------------------------------------------------------------


def test_the_arguments_tell_the_mode(tmp_path: Path, chroma_server: ChromaServer) -> None:
    modes = {
        "MemoryLink": {},
        "DirectoryLink": {"path": tmp_path},
        "ServerLink": {"host": chroma_server.host, "port": chroma_server.port},
        "GivenLink": {"client": chromadb.PersistentClient(tmp_path)},
    }
    for link, arguments in modes.items():
        with ChromaDB(embeddings=None).connect(**arguments) as store:  # type: ignore[arg-type]
            assert type(store._link).__name__ == link
            assert store.index == "vectorface"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "disk"}, "mode='disk' is unknown"),
        ({"mode": "persistent"}, "needs path="),
        ({"path": ""}, "path='' is empty"),
        ({"path": "~nobody_of_that_name/x"}, "path='~nobody_of_that_name/x'"),
        ({"mode": "memory", "path": "x"}, "path= belongs to mode='persistent', not to mode='memory'"),
        ({"mode": "server", "path": "x"}, "path= belongs to mode='persistent', not to mode='server'"),
        ({"path": "x", "host": "localhost"}, "Pass host= (a server) or path= (a directory), not both."),
        ({"path": "x", "port": 1, "ssl": True}, "Pass port=, ssl= (a server) or path= (a directory), not"),
        (
            {"mode": "persistent", "path": "x", "host": "localhost"},
            "host= belongs to mode='server', not to mode='persistent'",
        ),
        ({"mode": "memory", "port": 8000}, "port= belongs to mode='server', not to mode='memory'"),
        (
            {"headers": {"x": "y"}, "ssl": True, "tenant": "t", "database": "d", "timeout": 5},
            "ssl=, headers=, tenant=, database=, timeout= belong to mode='server'",
        ),
        ({"host": "http://localhost"}, "must be a name or an address, not a URL"),
        ({"port": 0}, "port=0 must be a number from 1 to 65535"),
        ({"port": 65536}, "port=65536"),
        ({"host": "localhost", "timeout": 0}, "timeout=0 must be a number of seconds above 0"),
        ({"metric": "euclid"}, "metric='euclid' is unknown"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        ChromaDB(embeddings=None).connect(**arguments)

    assert message in str(refusal.value)


@pytest.mark.parametrize(
    "arguments", [{"mode": "server"}, {"path": "x"}, {"host": "localhost"}, {"headers": {"x": "y"}}], ids=str
)
def test_a_client_is_all_that_is_needed(memory: Place, arguments: dict[str, Any]) -> None:
    client = memory.connect().client

    with pytest.raises(ConfigurationError, match="client= is a connection already; leave"):
        ChromaDB(embeddings=None).connect(client=client, **arguments)


def test_a_collection_that_is_not_there_is_made_unless_told_otherwise(place: Place) -> None:
    with pytest.raises(IndexNotFoundError, match="There is no index 'absent'"):
        place.connect(collection="absent", create=False)
    with pytest.raises(InvalidIndexNameError):
        place.connect(collection="Not For Every Backend")

    assert place.connect(collection="absent").count() == 0


def test_a_mistyped_directory_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError, match=r"'stories': '.*typo' holds no Chroma data\. To make it"):
        vectorface.connect(f"chroma:{tmp_path}/typo?collection=stories", embeddings=None, create=False)

    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_opened_is_no_mistake_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailedError, match="While opening"):
        ChromaDB(embeddings=None).connect(path=tmp_path / ("x" * 300), create=False)
    with pytest.raises(ConfigurationError, match="path="):
        ChromaDB(embeddings=None).connect(path="a\0b", create=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"host": "localhost", "port": "8000"}, "port='8000' must be a number from 1 to 65535"),
        ({"host": 7}, "host=7 must be a name or an address"),
        ({"host": "localhost", "timeout": "5"}, "timeout='5' must be a number of seconds"),
        ({"path": 3}, "path=3 is not a path"),
        ({"client": "x"}, "client='x' is not a client of Chroma"),
        ({"create": "no"}, "create='no' must be True or False"),
        ({"collection": None}, "None is not the name of an index"),
        ({"collection": ""}, "'' is not the name of an index"),
        ({"host": "localhost", "headers": "x"}, "headers must be a dict"),
        ({"host": "localhost", "headers": {"x y": "z"}}, "'x y' is not the name of an HTTP header"),
        ({"host": "localhost", "headers": {"x": 3}}, "the value of 'x' is not one line of ASCII text"),
    ],
    ids=str,
)
def test_arguments_of_the_wrong_type_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, InvalidIndexNameError), match=re.escape(message)):
        ChromaDB(embeddings=None).connect(**arguments)


@pytest.mark.parametrize("value", ["Bearer of-bad-news\n", " of-bad-news", "of\0-bad-news", "of-bäd-news"])
def test_a_header_that_cannot_be_sent_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'Authorization' is not one line.*\.strip\(\)") as refusal:
        ChromaDB(embeddings=None).connect(host="localhost", headers={"Authorization": value})
    assert "news" not in str(refusal.value)
    assert refusal.value.__cause__ is None


# -- the life of a connection -----------------------------------------------------------------------------


def test_connecting_again_with_the_same_arguments_does_nothing(place: Place, tmp_path: Path) -> None:
    store = place.connect()
    client = store.client
    put(store, {"a": {}})

    again = store.connect(collection=place.collection, **place.address)

    assert again is store
    assert store.client is client
    assert store.count() == 1
    if place.mode == "persistent":
        store.connect(collection=place.collection, path=tmp_path / "." / "chroma")
        assert store.client is client


def test_connecting_to_another_collection_leaves_the_first(place: Place) -> None:
    store = place.connect()
    put(store, {"a": {}})

    store.connect(**{**place.address, "collection": f"{place.collection}-2"})

    assert store.index == f"{place.collection}-2"
    assert store.get(["a"]) == []
    put(store, {"b": {}})
    assert [record.id for record in store.get()] == ["b"]


def test_a_closed_store_says_so_and_can_be_opened_again(place: Place) -> None:
    store = place.connect()
    put(store, {"a": {}})
    scan = store.scan()
    store.close()
    store.close()

    with pytest.raises(NotConnectedError, match="call connect\\(\\) first"):
        store.count()
    with pytest.raises(NotConnectedError):
        _ = store.client
    with pytest.raises(NotConnectedError):
        next(scan)
    store.connect(collection=place.collection, **place.address)
    assert store.count() == (0 if place.mode == "memory" else 1)


def test_a_clients_owner_keeps_it(tmp_path: Path) -> None:
    with raw_client(tmp_path) as client:
        with ChromaDB(embeddings=None).connect(client=client, collection="stories") as store:
            put(store, {"a": {}})
            assert store.client is client

        assert client.get_collection("stories", embedding_function=None).count() == 1


def test_reprs_tell_the_collection_and_no_secrets(chroma_server: ChromaServer) -> None:
    secret = {"Authorization": "Bearer of-bad-news"}
    store = ChromaDB(embeddings=None)
    assert repr(store) == "ChromaDB(not connected)"

    with store.connect(
        host=chroma_server.host, port=chroma_server.port, headers=secret, collection="stories"
    ):
        assert repr(store) == "ChromaDB(index='stories')"
        assert "of-bad-news" not in repr(store._settings)
        store.delete_index("stories")


# -- URLs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("chroma:", {"mode": "memory"}),
        ("chroma:?collection=stories", {"mode": "memory", "collection": "stories"}),
        ("chroma:data/chroma", {"path": "data/chroma"}),
        ("chroma:./data?collection=stories", {"path": "./data", "collection": "stories"}),
        ("chroma:~/data", {"path": "~/data"}),
        ("chroma:/var/data", {"path": "/var/data"}),
        ("chroma:///var/data", {"path": "/var/data"}),
        ("chroma:C:/data", {"path": "C:/data"}),
        ("chroma:my:data", {"path": "my:data"}),
        ("chroma:my%20data%3F%23%25?collection=a%2Eb", {"path": "my data?#%", "collection": "a.b"}),
        ("chroma:Bücher/data", {"path": "Bücher/data"}),
        ("chroma+http://box", {"host": "box"}),
        ("chroma+http://box:80/stories", {"host": "box", "port": 80, "collection": "stories"}),
        ("chroma+http://box/?collection=stories", {"host": "box", "collection": "stories"}),
        ("chroma+http://[::1]:80/stories", {"host": "::1", "port": 80, "collection": "stories"}),
        (
            "chroma+https://box/my%2Estories",
            {"host": "box", "ssl": True, "port": 443, "collection": "my.stories"},
        ),
        ("chroma+https://box:8443", {"host": "box", "ssl": True, "port": 8443}),
        ("chroma+http://box/a-b?collection=a-b", {"host": "box", "collection": "a-b"}),
    ],
)
def test_urls_say_the_same_as_arguments(url: str, arguments: Mapping[str, Any]) -> None:
    assert of_url(url) == arguments


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("chroma://box/stories", "names a host"),
        ("chroma+http:///stories", "names no host"),
        ("chroma+http://", "names no host"),
        ("chroma+http://box:eighty/stories", "is malformed"),
        ("chroma+http://box:99999/stories", "is malformed"),
        ("chroma+http://box:0/stories", "port=0"),
        ("chroma+http://box/stories?timeout=5", "unknown options ['timeout']"),
        ("chroma:data?metric=l2", "unknown options ['metric']"),
        ("chroma:data#stories", "unknown options ['#stories']"),
        ("chroma+http://box/api/stories", "names more than a collection"),
        ("chroma+http://box/one?collection=two", "names several collections"),
        ("chroma:?collection=one&collection=two", "names several collections"),
        ("chroma:?collection=", "names no collection after 'collection='"),
    ],
)
def test_urls_that_are_wrong_are_refused_with_the_right_form(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write 'chroma:'|from 1 to 65535") as refusal:
        ChromaDB.from_url(url, embeddings=None)

    assert message in str(refusal.value)


@pytest.mark.parametrize("url", ["chroma+http://nan:secret@box/stories", "chroma+http://nan:secret@box:no/s"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"chroma\+http://…@box") as refusal:
        ChromaDB.from_url(url, embeddings=None)

    assert "secret" not in str(refusal.value)


def test_a_url_opens_each_mode(
    tmp_path: Path, chroma_server: ChromaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    urls = [
        "chroma:?collection=stories",
        "chroma:my%20data?collection=stories",
        f"{chroma_server.url}/stories",
    ]
    for url in urls:
        with vectorface.connect(url, embeddings=None) as store:
            assert isinstance(store, ChromaDB)
            assert store.index == "stories"
            store.delete_index("stories")
    assert (tmp_path / "my data" / "chroma.sqlite3").is_file()


# -- other processes --------------------------------------------------------------------------------------


def test_a_store_on_disk_or_on_a_server_can_be_pickled(directory: Place, server: Place) -> None:
    for place in (directory, server):
        store = place.connect()
        put(store, {"a": {}})

        copy = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own bytes

        assert [record.id for record in copy.get()] == ["a"]
        copy.close()
        assert store.count() == 1


def test_a_store_that_lives_in_one_process_cannot(memory: Place) -> None:
    store = memory.connect()
    with pytest.raises(ConfigurationError, match="in-memory"):
        pickle.dumps(store)
    with pytest.raises(ConfigurationError, match="not with client="):
        pickle.dumps(memory.connect(client=store.client))
    store.close()
    with pytest.raises(ConfigurationError, match="not connected"):
        pickle.dumps(store)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_told_to_connect_for_itself_where_chroma_waits_for_ever(place: Place) -> None:
    store = place.connect()
    put(store, {"a": {}})

    assert _said_by_child(store.count).startswith("NotConnectedError: ChromaDB(index=")
    assert _said_by_child(store.close) == "None"
    fresh = ChromaDB(embeddings=None)
    in_child = _said_by_child(lambda: fresh.connect(collection=place.collection, **place.address).count())
    assert in_child == ("0" if place.mode == "memory" else "1")
    assert store.count() == 1


_FORK = """
import os, sys, time
from langchain_core.documents import Document
from vectorface import ChromaDB

store = ChromaDB(embeddings=None).connect(**eval(sys.argv[1]))
store.upsert([Document(page_content="a boat")], vectors=[[1, 0]])
child = os.fork()
if child == 0:
    sys.exit(7)
for _ in range(300):
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        sys.exit(os.waitstatus_to_exitcode(status))
    time.sleep(0.1)
os.kill(child, 9)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("mode", ["memory", "persistent"])
def test_a_forked_child_comes_to_an_end(mode: str, tmp_path: Path) -> None:
    where = {"mode": mode} if mode == "memory" else {"path": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", _FORK, repr(where)], check=False, timeout=60)
    assert ended.returncode == 7


def _said_by_child(speak: Callable[[], object]) -> str:
    """Fork, and return what the child says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = f"{speak()}"
        except Exception as error:  # noqa: BLE001 - told to the parent
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def test_what_chroma_says_is_kept_as_the_cause(memory: Place) -> None:
    store = memory.connect()
    put(store, {"a": {}})

    with pytest.raises(BackendError, match=f"While reading collection '{store.index}': ") as error:
        store._search([Query(vector=np.array([*bearing(0), 0.0]))], {}, 1, ())

    assert error.value.__cause__ is not None
    assert "dimension" in str(error.value.__cause__)


def test_as_a_context_manager_an_unconnected_store_is_refused() -> None:
    with pytest.raises(NotConnectedError), ChromaDB(embeddings=None):
        pass


def test_documents_need_an_embedding_function_or_vectors(memory: Place) -> None:
    with pytest.raises(ConfigurationError, match="no embedding function"):
        memory.connect().upsert([Document(page_content="a boat")])
