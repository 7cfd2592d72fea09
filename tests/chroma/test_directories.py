"""A directory: one engine for all stores of a process, however its path is spelled."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chromadb.config import Settings
from langchain_core.documents import Document

from tests.chroma.conftest import Place, raw_client, raw_view
from tests.chroma.samples import bearing, bearings, numbered, put
from vectorface import ChromaDB
from vectorface.backends.chroma.internals import running
from vectorface.errors import ConfigurationError, ConnectionFailedError, NotConnectedError


def engines(directory: Place) -> list[str]:
    """Return Chroma's engines on the directory, by how they spell its path."""
    path = str(directory.address["path"].resolve())
    return [spelling for spelling in running() if spelling.startswith(path)]


def test_every_spelling_of_a_path_is_one_engine_where_chroma_makes_one_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    spellings: list[str | Path] = [tmp_path / "data", "data", "./data/", "link", "~/data", "~/link/../data"]
    stores = [ChromaDB(embeddings=None).connect(path=path, collection="stories") for path in spellings]

    for number, store in enumerate(stores):
        store.upsert(numbered(1, start=number), vectors=[bearing(number)])
        for reader in stores:
            assert len(reader.query(vector=bearing(0), k=99)) == number + 1

    assert len({id(store.client) for store in stores}) == 1
    for store in stores:
        store.close()
    assert not (tmp_path / "~").exists()


def test_a_store_stays_open_when_another_one_on_its_path_is_closed(directory: Place) -> None:
    one, other = directory.connect(), directory.connect(collection="other-stories")
    put(one, {"a": {}})
    put(other, {"b": {}})

    one.close()

    put(other, {"c": {}})
    assert {hit.id for hit in other.query(vector=bearing(0))} == {"b", "c"}
    assert directory.connect().count() == 1


def test_the_last_store_takes_the_engine_with_it(directory: Place) -> None:
    stores = [directory.connect() for _ in range(3)]
    for store in stores:
        assert len(engines(directory)) == 1
        store.close()
    assert not engines(directory)


def test_stores_on_one_path_can_be_opened_from_several_threads(directory: Place) -> None:
    start = threading.Barrier(8)

    def live(number: int) -> int:
        start.wait()
        with ChromaDB(embeddings=None).connect(collection="stories", **directory.address) as store:
            store.upsert(numbered(5, start=5 * number), vectors=bearings(5))
            return len(store.query(vector=bearing(0), k=99))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(live, range(8)))

    assert all(count >= 5 for count in found)
    assert directory.connect(collection="stories").count() == 40


def test_a_store_may_be_closed_while_others_are_in_the_middle_of_a_query(directory: Place) -> None:
    store = directory.connect()
    store.upsert(numbered(2_000), vectors=bearings(2_000))

    def search() -> str:
        try:
            while True:
                assert len(store.query(vector=bearing(0), k=500)) == 500
        except NotConnectedError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(search) for _ in range(4)]
        store.close()
        assert all("connect()" in search.result() for search in searches)
    assert not engines(directory)


def test_a_client_of_the_same_process_on_the_same_path_shares_the_engine(directory: Place) -> None:
    path = Path(directory.address["path"]).resolve()
    with raw_client(path) as client:
        store = directory.connect()
        put(store, {"a": {}})
        assert client.get_collection(store.index, embedding_function=None).query(
            query_embeddings=[bearing(0)], include=[]
        )["ids"] == [["a"]]

        store.close()

        assert client.heartbeat()


def test_a_client_with_other_settings_on_the_same_path_is_to_be_passed(directory: Place) -> None:
    path = Path(directory.address["path"]).resolve()
    settings = Settings(anonymized_telemetry=False)
    with raw_client(path, settings=settings) as client:
        with pytest.raises(
            ConfigurationError, match="Pass the client that this process has already as client="
        ):
            directory.connect()

        assert client.heartbeat()


# -- paths that cannot be opened --------------------------------------------------------------------------


def test_a_path_below_a_file_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")

    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConnectionFailedError, match=f"While opening '{path}'"):
            ChromaDB(embeddings=None).connect(path=path)


def test_a_path_that_failed_can_be_opened_once_it_is_mended(tmp_path: Path) -> None:
    database = tmp_path / "chroma.sqlite3"
    database.write_bytes(b"this was a database" * 99)

    for _ in range(2):
        with pytest.raises(ConnectionFailedError, match="file is not a database"):
            ChromaDB(embeddings=None).connect(path=tmp_path)
    database.unlink()
    with ChromaDB(embeddings=None).connect(path=tmp_path) as store:
        put(store, {"a": {}})
        assert store.count() == 1


def test_a_database_of_a_later_chroma_cannot_be_opened(directory: Place) -> None:
    directory.connect().close()
    database = sqlite3.connect(directory.address["path"] / "chroma.sqlite3")
    database.execute("UPDATE migrations SET hash = 'from the future'")
    database.commit()
    database.close()

    with pytest.raises(ConnectionFailedError, match=r"While opening .*chroma"):
        directory.connect()


# -- what other processes wrote, told in one process ------------------------------------------------------


def test_an_engine_can_be_started_anew_any_number_of_times(directory: Place) -> None:
    """As beside a busy writer; a path spelled longer each time would be too long for the system one day."""
    store = directory.connect()
    put(store, {"a": {}})
    generation = directory.address["path"] / ".vectorface.generation"
    open_files = Path("/proc/self/fd")  # Linux
    before = len(list(open_files.glob("*")))

    for _ in range(60):
        with generation.open("ab") as file:
            file.write(b".")
        assert store.query(vector=bearing(0))[0].id == "a"

    [spelling] = engines(directory)
    assert len(spelling) < len(str(directory.address["path"].resolve())) + 8
    assert len(list(open_files.glob("*"))) < before + 20


def test_a_very_long_generation_file_is_begun_anew(directory: Place) -> None:
    reader, writer = directory.connect(), directory.connect()
    put(writer, {"a": {}})
    generation = directory.address["path"] / ".vectorface.generation"
    generation.write_bytes(b"." * (1 << 20))
    inode = generation.stat().st_ino

    put(writer, {"b": {}})

    assert generation.stat().st_size == 1
    assert generation.stat().st_ino != inode
    assert {hit.id for hit in reader.query(vector=bearing(0))} == {"a", "b"}


def test_what_a_client_handed_out_writes_is_seen_by_its_store(directory: Place) -> None:
    store = directory.connect()
    put(store, {"a": {}})

    raw_view(store).add(ids=["b"], embeddings=[bearing(1)], documents=["b"])

    assert {hit.id for hit in store.query(vector=bearing(0))} == {"a", "b"}
    store.upsert([Document(id="b", page_content="mine")], vectors=[bearing(2)])
    assert store.get(["b"])[0].text == "mine"
