"""The async methods: by the asynchronous client, on the loop itself, with no thread for the network."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch
from langchain_core.documents import Document

from tests.elastic.gateway import Gateway
from tests.elasticsearch.stores import Stores
from vectorface.backends.elasticsearch import (
    BM25,
    Dense,
    ElasticsearchDB,
    ElserModel,
    Pipelines,
    ReindexTask,
)
from vectorface.errors import DuplicateDocumentError, IndexNotFoundError, NotConnectedError
from vectorface.testing import WordEmbeddings

#: Where the method's name with an ``a`` before it is a word of Python's.
OTHER_NAMES = {"wait": "async_wait"}
LAMP = [Document(id=f"{n}", page_content=f"lamp {n}", metadata={"n": n}) for n in range(40)]


@pytest.fixture
def store(stores: Stores) -> ElasticsearchDB:
    return stores.open(BM25())


async def hanging(*_: Any, **__: Any) -> None:
    """Answer no request."""
    await asyncio.sleep(60)


async def everything(store: ElasticsearchDB) -> list[str]:
    """Use every method that has a twin, but those that have threads of their own."""
    await store.acreate_index(f"{store.index}-b")
    await store.adelete_index(f"{store.index}-b")
    assert store.index in await store.alist_indexes()
    assert (await store.aget_index(store.index)).count == 0
    assert (await store.aadd(LAMP)).written == 40
    assert [one.id for one in await store.aget(["3", "1"])] == ["3", "1"]
    assert await store.acount({"n": {"$lt": 10}}) == 10
    assert len([one async for one in store.ascan(batch_size=7)]) == 40
    assert (await store.adelete_by_filter({"n": {"$gte": 20}})).deleted == 20
    return [one.id async for one in store.ascan(filter={"n": {"$lt": 3}})]


def test_requests_go_by_the_asynchronous_client(
    store: ElasticsearchDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    plain = type(store.client.transport).perform_request

    def noted(self: Any, *arguments: Any, **options: Any) -> Any:
        used.append(str(arguments[:2]))
        return plain(self, *arguments, **options)

    monkeypatch.setattr(type(store.client.transport), "perform_request", noted)
    found = asyncio.run(everything(store))
    assert sorted(found) == ["0", "1", "2"]
    assert used == []


def test_the_network_needs_no_thread(store: ElasticsearchDB) -> None:
    async def scenario() -> set[str]:
        before = set(threading.enumerate())
        await store.aget(["x"])
        await asyncio.gather(*(store.acount({"n": n}) for n in range(20)))
        return {thread.name for thread in set(threading.enumerate()) - before}

    assert asyncio.run(scenario()) == set()


def test_the_loop_goes_on_meanwhile(elser_gateway: Gateway, elser_stores: Stores) -> None:
    store = elser_stores.open(BM25())
    elser_gateway.faults(paths="_count", stalls=1.0, stall_seconds=0.5, limit=1)

    async def scenario() -> int:
        ticks = 0
        counting = asyncio.create_task(store.acount())
        while not counting.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return ticks

    assert asyncio.run(scenario()) > 10


def test_what_embeds_leaves_the_loop_alone(stores: Stores) -> None:
    class Slow(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            time.sleep(0.3)
            assert threading.current_thread() is not threading.main_thread()
            return super().embed_query(text)

    store = stores.open(Dense(Slow(), index_type="flat"))

    async def scenario() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(store.aquery("lamp") for _ in range(4)))
        return time.perf_counter() - begun

    assert asyncio.run(scenario()) < 0.9


def test_many_at_once_get_each_their_own_answer(store: ElasticsearchDB) -> None:
    store.add(LAMP)

    async def scenario() -> list[list[str]]:
        answers = await asyncio.gather(*(store.aquery("lamp", filter={"n": n}) for n in range(40)))
        return [[hit.id for hit in hits] for hits in answers]

    assert asyncio.run(scenario()) == [[str(n)] for n in range(40)]


def test_errors_come_at_the_await(store: ElasticsearchDB) -> None:
    store.add(LAMP)

    async def scenario() -> None:
        with pytest.raises(DuplicateDocumentError):
            await store.aadd(LAMP)
        with pytest.raises(IndexNotFoundError):
            await store.aget_index("none-of-this-name")

    asyncio.run(scenario())


def test_a_cancelled_call_ends(store: ElasticsearchDB, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        await store.acount()
        monkeypatch.setattr(AsyncElasticsearch, "perform_request", hanging)
        task = asyncio.create_task(store.acount())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    begun = time.perf_counter()
    asyncio.run(scenario())
    assert time.perf_counter() - begun < 5


def test_a_scan_that_is_left_early_ends(store: ElasticsearchDB) -> None:
    store.add(LAMP)

    async def scenario() -> int:
        seen = 0
        async for _ in store.ascan(batch_size=5):
            seen += 1
            if seen == 8:
                break
        return seen

    assert asyncio.run(scenario()) == 8
    gc.collect()
    assert store.count() == 40


def test_each_loop_has_a_client_that_ends_with_it(store: ElasticsearchDB) -> None:
    for _ in range(3):
        assert asyncio.run(store.acount()) == 0
        gc.collect()  # an open connection would warn, and warnings are errors here
    assert store.count() == 0


def test_a_store_is_closed_on_its_loop(stores: Stores) -> None:
    async def scenario() -> None:
        async with stores.open(BM25()) as store:
            await store.aadd(LAMP)
            assert await store.acount() == 40

    asyncio.run(scenario())
    gc.collect()


def test_closing_is_told_to_those_who_wait_for_an_answer(stores: Stores) -> None:
    store = stores.open(BM25())
    store.add(LAMP)

    async def scenario() -> list[object]:
        await store.acount()
        asking = [asyncio.create_task(store.aquery("lamp")) for _ in range(300)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        await store.aclose()
        return list(await asyncio.gather(*asking, return_exceptions=True))

    answers = asyncio.run(scenario())
    gc.collect()
    refused = [one for one in answers if isinstance(one, BaseException)]
    assert refused, "all was answered before it was closed"
    assert {type(one) for one in refused} == {NotConnectedError}
    assert any("was closed while searching index" in str(one) for one in refused)


def test_who_cancels_a_call_of_a_store_that_closes_gets_what_they_asked_for(
    store: ElasticsearchDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        await store.acount()
        monkeypatch.setattr(AsyncElasticsearch, "perform_request", hanging)
        task = asyncio.create_task(store.acount())
        await asyncio.sleep(0.05)
        await store.aclose()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_threads_are_told_of_closing_too(stores: Stores) -> None:
    server = stores.open(BM25()).server
    server.close()
    with pytest.raises(NotConnectedError, match=r"closed while looking around, .* call connect\(\)"):
        server.request("GET", "/", doing="looking around")


def test_closing_lets_threads_end_that_wait_for_a_connection(stores: Stores) -> None:
    store = stores.open(BM25())
    store.add(LAMP)
    ends: list[object] = []

    def ask() -> None:
        try:
            while True:
                store.query("lamp")
        except Exception as error:  # noqa: BLE001 - looked at below
            ends.append(error)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(16)]  # the pool has ten connections
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    store.close()
    for thread in threads:
        thread.join(2)
    assert [type(error) for error in ends] == [NotConnectedError] * 16


def test_a_given_client_uses_threads_unless_its_counterpart_is_given(stores: Stores) -> None:
    async def scenario(store: ElasticsearchDB) -> int:
        return await store.acount()

    with Elasticsearch(stores.url) as client:
        plain = stores.open(BM25(), client=client)
        assert not plain.server.is_asynchronous
        assert asyncio.run(scenario(plain)) == 0

        async def with_counterpart() -> None:
            async with AsyncElasticsearch(stores.url) as counterpart:
                store = stores.open(BM25(), client=client, async_client=counterpart)
                assert store.server.is_asynchronous
                assert await store.acount() == 0
                store.close()
                assert (await counterpart.count(index=stores.name()))["count"] == 0  # it stays open

        asyncio.run(with_counterpart())


# -- what manages the cluster ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ElserModel, Pipelines, ReindexTask])
def test_every_method_that_sends_requests_has_an_async_twin(kind: type) -> None:
    found = {name: value for name, value in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"}
    twins = {name for name, value in found.items() if inspect.iscoroutinefunction(value)}
    methods = found.keys() - twins
    assert methods
    assert twins == {OTHER_NAMES.get(name, f"a{name}") for name in methods}
    assert {inspect.unwrap(found[twin]) for twin in twins} == {found[name] for name in methods}
