"""One store, several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from vectorface.errors import DuplicateDocumentError, PartialWriteError
from vectorface.testing.contract.base import Contract, contents, contents_of, document, ids_of, story

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.documents import Document

    from vectorface.interface import VectorDBInterface

THREADS = 8


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """Run ``work(0)``, ``work(1)``, … each in a thread of its own; raise what they raise."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(THREADS)))


class ThreadContract(Contract):
    """Methods may be called from several threads."""

    def test_threads_do_not_get_into_each_others_way(self, library: VectorDBInterface) -> None:
        """Each thread writes, replaces, reads, searches and deletes its own documents."""

        def work(thread: int) -> list[Document]:
            own = [document(f"t{thread}-{i}", f"lamp t{thread} {i}", thread=thread, n=i) for i in range(12)]
            library.add(own[:6])
            library.upsert_parallel(own, batch_size=4, max_workers=2)
            library.upsert([document(f"t{thread}-0", f"lamp t{thread} again", thread=thread, n=0)])
            assert library.count({"thread": thread}) == 12
            hits = library.query(f"lamp t{thread}", k=20, filter={"thread": thread})
            assert sorted(ids_of(hits)) == sorted(str(one.id) for one in own)
            assert len(list(library.scan(filter={"thread": thread}, batch_size=5))) == 12
            assert library.delete_by_filter({"thread": thread, "n": {"$lt": 6}}).deleted == 6
            assert ids_of(library.get([str(one.id) for one in own])) == [one.id for one in own[6:]]
            return own[6:]

        left = [one for rest in at_once(work) for one in rest]
        assert contents(library) == contents_of([*story(), *left])
        assert len(library.query("lamp", k=1_000)) == len(story()) + len(left)

    def test_of_threads_that_add_one_id_one_wins(self, store: VectorDBInterface) -> None:
        """The others are told, and its document is the one that is there."""

        def work(thread: int) -> int | None:
            try:
                store.add([document("same", f"lamp of {thread}")])
            except (DuplicateDocumentError, PartialWriteError):
                return None
            return thread

        for _ in range(3):
            [winner] = [thread for thread in at_once(work) if thread is not None]
            assert store.get(["same"])[0].text == f"lamp of {winner}"
            store.delete_by_filter(ids=["same"])

    def test_of_threads_that_replace_one_document_one_wins_whole(self, store: VectorDBInterface) -> None:
        """Text and metadata are those of one of them, never a mixture."""

        def work(thread: int) -> None:
            for turn in range(5):
                store.upsert([document("same", f"lamp of {thread}", **{f"key{thread}": turn})])

        at_once(work)
        [record] = store.get(["same"])
        assert list(record.metadata) == [f"key{record.text[-1]}"]

    def test_of_threads_that_delete_each_document_is_counted_once(self, store: VectorDBInterface) -> None:
        """The counts add up to what was there."""
        store.add(document(f"{i}", f"lamp {i}", n=i) for i in range(40))
        reports = at_once(lambda _: store.delete_by_filter({"n": {"$gte": 0}}))
        assert (sum(report.deleted for report in reports), store.count()) == (40, 0)

    def test_a_store_that_is_closed_leaves_nothing_behind(self, store: VectorDBInterface) -> None:
        """Other stores get nothing of what it held, whether that lives on or not."""
        other = self.open("other")
        other.add(story())
        other.close()
        later = [document(str(one.id), one.page_content) for one in story()]
        store.add(later)
        assert contents(store) == contents_of(later)

    def test_threads_connect_and_close_stores_of_their_own(self) -> None:
        """Opening and closing one store leaves others alone."""

        def work(thread: int) -> int:
            store = self.open(f"thread-{thread}")
            store.add(story())
            found = store.count() + len(store.query("lamp", k=100))
            store.close()
            return found

        assert at_once(work) == [12] * THREADS
