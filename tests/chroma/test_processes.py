"""Several processes on one directory: one may write, and the others see what it wrote."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.chroma.conftest import Place, raw_client
from tests.chroma.processes import OtherProcess
from tests.chroma.samples import bearing, put
from vectorface import ChromaDB
from vectorface.errors import StoreLockedError


@pytest.fixture
def address(directory: Place) -> dict[str, Any]:
    return {**directory.address, "collection": directory.collection}


@pytest.fixture
def mortal() -> Iterator[OtherProcess]:
    """A process of its own, to be killed."""
    with OtherProcess() as process:
        yield process


def found(store: ChromaDB) -> list[str]:
    return sorted(hit.id for hit in store.query(vector=bearing(0), k=1_000))


def refusal(store: ChromaDB) -> str:
    """Try to write; return why that was refused."""
    with pytest.raises(StoreLockedError) as error:
        put(store, {"mine": {}})
    return str(error.value)


# -- one writer -------------------------------------------------------------------------------------------


def test_a_second_writer_is_told_to_use_a_server(
    directory: Place, address: dict[str, Any], other: OtherProcess
) -> None:
    other.open(**address)
    other.write("a")
    store = directory.connect()

    message = refusal(store)

    assert "Another process writes to" in message
    assert str(directory.address["path"]) in message
    assert "chroma run --path DIR --port PORT" in message
    assert found(store) == ["a"]
    with pytest.raises(StoreLockedError):
        store.delete_by_filter(ids=["a"])
    with pytest.raises(StoreLockedError):
        store.delete_index(store.index)
    with pytest.raises(StoreLockedError):
        directory.connect(collection="new-stories")


def test_a_writer_that_closes_its_store_lets_the_next_one_write(
    directory: Place, address: dict[str, Any], other: OtherProcess
) -> None:
    other.open(**address)
    other.write("a")
    store = directory.connect()
    assert "Another process" in refusal(store)

    other.close_stores()

    put(store, {"b": {}})
    assert found(store) == ["a", "b"]
    other.open(**address)
    with pytest.raises(StoreLockedError):
        other.write("c")


def test_a_writer_that_is_killed_leaves_the_next_one_the_right_to_write_and_what_it_wrote(
    directory: Place, address: dict[str, Any], mortal: OtherProcess
) -> None:
    mortal.open(**address)
    mortal.write("a")
    store = directory.connect()
    assert "Another process" in refusal(store)
    assert found(store) == ["a"]
    mortal.write_untold("b")

    mortal.kill()

    put(store, {"c": {}})
    assert found(store) == ["a", "b", "c"]
    store.close()
    assert not (directory.address["path"] / ".vectorface.writing").exists()


def test_a_store_that_was_sent_to_another_process_reads_there_but_does_not_write(
    directory: Place, other: OtherProcess
) -> None:
    store = directory.connect()
    put(store, {"a": {}})

    other.adopt(store)

    assert other.found() == ["a"]
    with pytest.raises(StoreLockedError):
        other.write("b")


def test_a_store_that_only_reads_does_not_stand_in_the_way(
    directory: Place, address: dict[str, Any], other: OtherProcess
) -> None:
    put(directory.connect(), {"a": {}})
    directory.stores[0].close()
    reader = directory.connect()
    assert found(reader) == ["a"]

    other.open(**address)
    other.write("b")

    assert found(reader) == ["a", "b"]


# -- many readers -----------------------------------------------------------------------------------------


def test_a_reader_sees_what_another_process_writes_and_deletes_where_chromas_client_does_not(
    directory: Place, address: dict[str, Any], other: OtherProcess
) -> None:
    other.open(**address)
    other.write("a")
    path = directory.address["path"]
    raw = raw_client(path.parent / "." / ".." / path.parent.name / "chroma")
    raw_collection = raw.get_collection(directory.collection, embedding_function=None)
    reader = directory.connect()

    def raw_found() -> list[str]:
        return sorted(raw_collection.query(query_embeddings=[bearing(0)], n_results=99, include=[])["ids"][0])

    assert found(reader) == raw_found() == ["a"]
    for new in ("bb", "ccc", "dddd"):
        other.write(new)
        assert new in found(reader)
    assert found(reader) == ["a", "bb", "ccc", "dddd"]
    assert raw_found() == ["a"]
    raw.close()

    other.delete("a", "ccc")
    assert found(reader) == ["bb", "dddd"]
    other.write("bb", chapter=2)
    assert reader.get(["bb"])[0].metadata == {"chapter": 2}
    assert [hit.id for hit in reader.query(vector=bearing(0), filter={"chapter": 2})] == ["bb"]


def test_two_processes_may_take_turns(directory: Place, address: dict[str, Any], other: OtherProcess) -> None:
    expected = []
    for turn in range(3):
        with directory.connect() as store:
            put(store, {f"here {turn}": {}})
        other.open(**address)
        other.write(f"there {turn}")
        other.close_stores()
        expected += [f"here {turn}", f"there {turn}"]

    assert found(directory.connect()) == sorted(expected)


def test_queries_under_way_are_not_disturbed_when_a_reader_looks_again(
    directory: Place, address: dict[str, Any], other: OtherProcess
) -> None:
    other.open(**address)
    other.write("first")
    reader, stop = directory.connect(), threading.Event()

    def search() -> list[int]:
        counts = []
        while not stop.is_set():
            counts.append(len(reader.query(vector=bearing(0), k=100)))
            assert reader.count() >= counts[-1]
            assert next(reader.scan()).id
        return counts

    with ThreadPoolExecutor(4) as pool:
        searches = [pool.submit(search) for _ in range(4)]
        for number in range(8):
            other.write(f"number {number}")
            time.sleep(0.05)
        stop.set()
        counts = [search.result() for search in searches]

    assert all(counted == sorted(counted) for counted in counts)
    assert {count for counted in counts for count in counted} > {1}
    assert len(found(reader)) == 9


def test_a_collection_deleted_by_another_process_is_gone_here_too(
    directory: Place, address: dict[str, Any], other: OtherProcess
) -> None:
    other.open(**address)
    other.write("a")
    reader = directory.connect()
    assert found(reader) == ["a"]

    other.delete_collection()

    with pytest.raises(LookupError):
        reader.count()
