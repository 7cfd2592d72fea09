"""Async twins: the same arguments, the same results."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest

from vectorface.errors import DuplicateDocumentError, InvalidQueryError, NotConnectedError
from vectorface.testing.contract.base import Contract, contents, contents_of, document, ids_of, story

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.documents import Document

    from vectorface.interface import VectorDBInterface


class AsyncContract(Contract):
    """Every method that talks to the store has a twin that can be awaited."""

    def test_twins_write(self, store: VectorDBInterface) -> None:
        """``aadd``, ``aupsert``, ``aupsert_parallel``, ``areplace``, ``adelete_by_filter``."""

        async def scenario() -> None:
            assert (await store.aadd(story())).written == 6
            assert (await store.aupsert([document("fog", chapter=7)])).written == 1
            assert (await store.aupsert_parallel([document("new", chapter=7)])).written == 1
            assert (await store.areplace([document("last", chapter=7)], {"chapter": 7})).delete.deleted == 2
            assert (await store.adelete_by_filter({"chapter": 7}, expect=1)).deleted == 1

        asyncio.run(scenario())
        assert contents(store) == contents_of(one for one in story() if one.id != "fog")

    def test_twins_read(self, library: VectorDBInterface) -> None:
        """``aget``, ``ascan``, ``acount``, ``aquery``, ``aquery_batch``."""

        async def scenario() -> None:
            assert await library.aget(["fog", "dusk"]) == library.get(["fog", "dusk"])
            assert await library.acount({"place": "sea"}) == 2
            assert ids_of(await library.aquery("lamp fog", k=2)) == ids_of(library.query("lamp fog", k=2))
            batch = await library.aquery_batch(["lamp fog", "lamp oil"], k=2)
            assert [ids_of(hits) for hits in batch] == [
                ids_of(hits) for hits in library.query_batch(["lamp fog", "lamp oil"], k=2)
            ]
            found = [record.id async for record in library.ascan(filter={"place": "gallery"}, batch_size=2)]
            assert sorted(found) == ["dawn", "dusk", "oil"]

        asyncio.run(scenario())

    def test_twins_manage_indexes(self, store: VectorDBInterface) -> None:
        """``acreate_index``, ``aget_index``, ``alist_indexes``, ``adelete_index``."""

        async def scenario() -> None:
            name = self.name("two")
            assert await store.acreate_index(name) == await store.aget_index(name)
            assert name in await store.alist_indexes()
            await store.adelete_index(name)
            assert name not in await store.alist_indexes()

        asyncio.run(scenario())

    def test_aclose_closes(self, store: VectorDBInterface) -> None:
        """As ``close`` does."""
        asyncio.run(store.aclose())
        with pytest.raises(NotConnectedError):
            store.count()

    def test_it_is_an_asynchronous_context_manager(self, store: VectorDBInterface) -> None:
        """``async with`` closes, as ``with`` does."""

        async def scenario() -> int:
            async with store as entered:
                await entered.aadd(story())
                return await entered.acount()

        assert asyncio.run(scenario()) == len(story())
        with pytest.raises(NotConnectedError):
            store.count()

    @pytest.mark.parametrize("times", [1, 3])
    def test_a_cancelled_bulk_write_stops(self, store: VectorDBInterface, times: int) -> None:
        """Nothing is written any more when the task has ended, however often it was cancelled."""
        begun = threading.Event()

        def endless() -> Iterator[Document]:
            for number in itertools.count():
                begun.set()
                time.sleep(0.001)
                yield document(f"{number}", f"lamp {number}")

        async def scenario() -> None:
            task = asyncio.create_task(store.aupsert_parallel(endless(), batch_size=10))
            await asyncio.to_thread(begun.wait, 10)
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(scenario())
        count = store.count()
        time.sleep(0.1)
        assert store.count() == count

    def test_twins_raise_the_same_errors(self, library: VectorDBInterface) -> None:
        """At the ``await``."""

        async def scenario() -> None:
            with pytest.raises(DuplicateDocumentError):
                await library.aadd(story())
            with pytest.raises(InvalidQueryError):
                await library.aquery("lamp", k=0)

        asyncio.run(scenario())

    def test_twins_run_beside_each_other(self, library: VectorDBInterface) -> None:
        """Gathered queries get each their own answer."""

        async def scenario() -> list[str]:
            answers = await asyncio.gather(*(library.aquery(one.page_content, k=1) for one in story()))
            return [hits[0].id for hits in answers]

        assert asyncio.run(scenario()) == [one.id for one in story()]
