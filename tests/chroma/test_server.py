"""A server: it may be down, deaf, busy or picky, and die in the middle of a write."""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import chromadb
import pytest
from chromadb.config import Settings
from langchain_core.documents import Document

from tests.chroma.conftest import Place
from tests.chroma.gateway import Gateway
from tests.chroma.samples import bearing, contents, numbered, put
from tests.chroma_server import ChromaServer, free_port
from tests.langchain.compass import Compass
from tests.missing import missing
from vectorface import ChromaDB, RetryPolicy
from vectorface.backends.chroma.internals import running
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    TransientError,
)

QUICK = RetryPolicy(attempts=3, initial=0.01, maximum=0.1, jitter=0.0)


@pytest.fixture
def gateway(chroma_server: ChromaServer) -> Iterator[Gateway]:
    with Gateway(chroma_server) as gateway:
        yield gateway


@pytest.fixture
def behind(gateway: Gateway, server: Place) -> Place:
    """The server as it is reached through the gateway."""
    server.address = {"host": gateway.host, "port": gateway.port}
    return server


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[ChromaServer]:
    """A server of its own, to be killed."""
    with ChromaServer(tmp_path / "mortal") as server:
        yield server


# -- down and deaf ----------------------------------------------------------------------------------------


def test_where_no_server_listens_the_error_says_how_to_start_one() -> None:
    port = free_port()
    with pytest.raises(ConnectionFailedError, match="chroma run --path DIR --port PORT") as error:
        ChromaDB(embeddings=None).connect(port=port)

    assert f"localhost:{port}" in str(error.value)


def test_a_server_that_never_answers_is_given_up_where_chromas_client_waits_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        start = time.perf_counter()
        with pytest.raises(TransientError, match="timed out"):
            ChromaDB(embeddings=None).connect(host="127.0.0.1", port=deaf.getsockname()[1], timeout=0.3)
        assert time.perf_counter() - start < 5


def test_a_server_that_falls_silent_is_given_up_and_found_again(gateway: Gateway, behind: Place) -> None:
    store = behind.connect(timeout=0.5)
    put(store, {"a": {}})
    gateway.open.clear()

    for use in (store.count, lambda: store.query(vector=bearing(0)), lambda: store.get(["a"])):
        with pytest.raises(TransientError, match="timed out"):
            use()

    gateway.open.set()
    assert store.count() == 1


def test_something_else_that_listens_there_is_no_chroma(gateway: Gateway, behind: Place) -> None:
    gateway.answers.append((404, {}))

    with pytest.raises(ConnectionFailedError, match="404"):
        behind.connect()


def test_a_store_finds_its_server_again_after_a_restart(mortal: ChromaServer) -> None:
    with ChromaDB(embeddings=None).connect(host=mortal.host, port=mortal.port) as store:
        put(store, {"a": {}})
        mortal.kill()

        with pytest.raises((ConnectionFailedError, TransientError)):
            store.count()
        with pytest.raises(ConnectionFailedError):
            store.query(vector=bearing(0))

        mortal.start()
        assert store.query(vector=bearing(0))[0].id == "a"


def test_a_server_that_is_killed_during_a_parallel_upsert_loses_nothing(mortal: ChromaServer) -> None:
    documents = [
        Document(id=str(n), page_content=f"a boat on course {n}", metadata={"n": n}) for n in range(1_500)
    ]
    killed = threading.Event()

    def kill_in_the_middle(progress: Any) -> None:
        if progress.written >= 300 and not killed.is_set():
            killed.set()
            mortal.kill()
            threading.Timer(0.5, mortal.start).start()

    with ChromaDB(Compass()).connect(host=mortal.host, port=mortal.port) as store:
        report = store.upsert_parallel(
            documents,
            batch_size=100,
            callbacks=[kill_in_the_middle],
            retry=RetryPolicy(attempts=8, initial=0.5, maximum=2),
            on_error="report",
        )
        while report.failures:
            report = report.retry()

        assert killed.is_set()
        assert contents(store) == {d.id: (d.page_content, d.metadata) for d in documents}
        hits = store.query("course 90", k=5, filter={"n": {"$lt": 180}})
        assert hits[0].score == pytest.approx(1)
        assert len(store.query("course 0", k=2_000)) == len(documents)


# -- busy and picky ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_has_no_time_is_asked_again(gateway: Gateway, behind: Place, status: int) -> None:
    store = behind.connect(Compass())
    gateway.answers.extend([(status, {}), (status, {})])

    report = store.upsert_parallel(
        [Document(page_content=f"course {n}") for n in range(10)], retry=QUICK, max_workers=1
    )

    assert report.written == store.count() == 10


def test_a_server_that_asks_to_wait_is_heard(gateway: Gateway, behind: Place) -> None:
    store = behind.connect()
    gateway.answers.append((429, {"Retry-After": "7"}))

    with pytest.raises(TransientError, match="not now") as error:
        store.count()

    assert error.value.retry_after == 7


def test_a_write_whose_answer_was_lost_is_not_doubled(gateway: Gateway, behind: Place) -> None:
    store = behind.connect(Compass(), timeout=0.5)
    gateway.open.clear()
    threading.Timer(0.8, gateway.open.set).start()

    report = store.upsert_parallel(
        [Document(id=str(n), page_content=f"course {n}") for n in range(10)], retry=RetryPolicy(jitter=0)
    )

    assert (report.written, report.failed, store.count()) == (10, 0, 10)


def test_who_sends_the_wrong_token_is_told_so_without_repeating_it(
    chroma_server: ChromaServer, server: Place
) -> None:
    """Chroma's own server knows no tokens (1.5); what stands before it does."""
    with Gateway(chroma_server, token="Bearer right") as gateway:  # noqa: S106 - a token for the test alone
        server.address = {"host": gateway.host, "port": gateway.port}
        for headers in ({}, {"Authorization": "Bearer wrong-and-secret"}):
            with pytest.raises(BackendError, match="refused the credentials; check headers") as error:
                server.connect(headers=headers)
            assert "secret" not in str(error.value)

        store = server.connect(headers={"Authorization": "Bearer right"})
        put(store, {"a": {}})
        assert store.count() == 1

        gateway.token = "Bearer new"  # noqa: S105
        with pytest.raises(BackendError, match=r"who are you.*refused the credentials"):
            store.count()


def test_an_unknown_tenant_or_database_is_named(server: Place) -> None:
    for wrong in ({"tenant": "nobody"}, {"database": "nowhere"}):
        with pytest.raises(ConfigurationError, match=f"has no tenant .*{next(iter(wrong.values()))}"):
            server.connect(**wrong)


def test_databases_of_a_server_are_apart(server: Place, chroma_server: ChromaServer) -> None:
    settings = Settings(
        chroma_api_impl="chromadb.api.fastapi.FastAPI",
        chroma_server_host=chroma_server.host,
        chroma_server_http_port=chroma_server.port,
    )
    admin = chromadb.AdminClient(settings)
    admin.create_database("other-books")
    put(server.connect(), {"a": {}})

    apart = server.connect(database="other-books")

    assert apart.list_indexes() == [server.collection]
    assert apart.count() == 0
    admin._server._session.close()  # type: ignore[attr-defined]


# -- addresses --------------------------------------------------------------------------------------------


def test_a_server_may_have_an_ipv6_address(chroma_server: ChromaServer) -> None:
    try:
        gateway = Gateway(chroma_server, host="::1")
    except OSError:
        missing("IPv6 on the loopback interface")
        return
    with gateway, ChromaDB.from_url(f"chroma+http://[::1]:{gateway.port}/ipv6", embeddings=None) as store:
        assert "ipv6" in store.list_indexes()


def test_without_tls_no_certificates_are_read(server: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them takes several times as long as all the rest of connecting."""
    read: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *given, **_: read.append(given))
    server.connect().close()
    assert read == []
    with pytest.raises(ConnectionFailedError):
        server.connect(ssl=True)
    assert read


# -- several clients --------------------------------------------------------------------------------------


def test_stores_can_be_opened_from_several_threads(server: Place) -> None:
    def live(number: int) -> int:
        with ChromaDB(embeddings=None).connect(collection=server.collection, **server.address) as store:
            return store.upsert(numbered(3, start=3 * number), vectors=[bearing(number)] * 3).written

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(live, range(8))) == 24
    assert server.connect().count() == 24


def test_a_closed_store_leaves_no_engine_behind_where_chroma_does(server: Place) -> None:
    before = set(running())
    for _ in range(3):
        server.connect().close()
    assert set(running()) == before


def test_several_processes_write_at_once(server: Place) -> None:
    store = server.connect(Compass())
    documents = [
        Document(id=str(n), page_content=f"a boat on course {n}", metadata={"n": n, "tags": ["sea"]})
        for n in range(120)
    ]

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        report = store.upsert_parallel(documents, batch_size=60, executor=executor)

    assert (report.written, report.failed) == (120, 0)
    assert contents(store) == {d.id: (d.page_content, d.metadata) for d in documents}
    assert store.query("course 90", k=1)[0].id == "90"


def open_files(_: int) -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_other_processes_close_what_they_opened(server: Place) -> None:
    store = server.connect(Compass())
    documents = [Document(page_content=f"a boat on course {n}") for n in range(60)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        store.upsert_parallel(documents, batch_size=20, executor=executor)
        before = executor.submit(open_files, 0).result()
        store.upsert_parallel(documents, batch_size=2, executor=executor)
        assert executor.submit(open_files, 0).result() <= before


@pytest.mark.parametrize("mode", ["memory", "directory"])
def test_a_store_that_takes_one_writing_process_refuses_executors_of_several(
    mode: str, request: pytest.FixtureRequest
) -> None:
    place: Place = request.getfixturevalue(mode)
    store = place.connect(Compass())
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor,
        pytest.raises(ConfigurationError, match=r"takes one writing process.*server"),
    ):
        store.upsert_parallel([Document(page_content="course 1")], executor=executor)
