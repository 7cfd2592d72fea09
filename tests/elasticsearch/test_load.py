"""Loading under trouble: refused requests and items, cut connections, full queues, a node that dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from langchain_core.documents import Document

from tests.elastic.encoders import WordWeights
from tests.elastic.gateway import Gateway
from tests.elastic.node import Node
from tests.elasticsearch.stores import Stores
from vectorface import RetryPolicy
from vectorface.backends.elasticsearch import BM25, ElasticsearchDB, Elser, SparseEncoder
from vectorface.backends.elasticsearch.pace import Pace
from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import (
    BackendError,
    ConnectionFailedError,
    IndexNotFoundError,
    InferenceQueueFullError,
    ModelNotFoundError,
    ModelNotReadyError,
    PartialWriteError,
    TransientError,
    VectorfaceError,
)
from vectorface.ingest.retrying import retry_after

QUICK = RetryPolicy(attempts=8, initial=0.05, maximum=0.5, jitter=0.05)
MODEL = "/_ml/trained_models/.elser_model_2"


def documents(count: int) -> list[Document]:
    return [
        Document(id=f"d{n}", page_content=f"The lamp of keeper {n} burns.", metadata={"n": n})
        for n in range(count)
    ]


def contents(store: ElasticsearchDB) -> dict[str, tuple[str, dict[str, Any]]]:
    return {record.id: (record.text, record.metadata) for record in store.scan()}


def contents_of(given: list[Document]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {str(one.id): (one.page_content, one.metadata) for one in given}


@pytest.fixture
def gateway(elasticsearch_url: str) -> Iterator[Gateway]:
    """A gateway of this test's own, to be troubled."""
    with Gateway(elasticsearch_url) as gateway:
        yield gateway


@pytest.fixture
def through(gateway: Gateway) -> Iterator[Stores]:
    opener = Stores(gateway.url)
    yield opener
    gateway.faults()
    opener.close()


# -- faults -----------------------------------------------------------------------------------------------


def test_all_is_stored_once_through_refusals_resets_and_stalls(gateway: Gateway, through: Stores) -> None:
    given = documents(5_000)
    store = through.open(SparseEncoder(WordWeights()), timeout=30)
    gateway.faults(
        paths="_bulk|_mget",
        too_many=0.2,
        items=0.02,
        reset_before=0.1,
        reset_after=0.1,
        stalls=0.1,
        stall_seconds=2,
    )
    report = store.upsert_parallel(given, batch_size=250, retry=QUICK)
    assert (report.written, report.failed, report.total) == (5_000, 0, 5_000)
    counts = gateway.counters()["faults"]
    gateway.faults()
    assert contents(store) == contents_of(given)
    assert {"too_many", "reset_before", "reset_after"} <= {name for name, count in counts.items() if count}
    assert store.count() == 5_000


def test_an_add_that_was_done_unheard_is_no_duplicate(gateway: Gateway, through: Stores) -> None:
    store = through.open(BM25())
    gateway.faults(paths="_bulk", reset_after=1.0, limit=2)
    report = store.add(documents(20))
    assert (report.written, report.failed) == (20, 0)


def test_refused_items_are_sent_again_and_only_those(gateway: Gateway, through: Stores) -> None:
    store = through.open(BM25())
    gateway.faults(paths="_bulk", items=0.3, limit=200)
    given = documents(300)
    report = store.upsert_parallel(given, batch_size=100, retry=QUICK)
    assert report.written == 300
    hits = store.client.search(index=store.index, size=300, version=True, source=False)["hits"]["hits"]
    assert {hit["_version"] for hit in hits} == {1}


def test_an_answer_that_ends_too_soon_may_have_been_done(gateway: Gateway, through: Stores) -> None:
    store = through.open(BM25())
    gateway.faults(paths="_bulk", truncated=1.0, limit=1)
    assert store.add(documents(10)).written == 10


def test_a_server_that_stays_unwell_is_reported_document_by_document(
    gateway: Gateway, through: Stores
) -> None:
    store = through.open(BM25())
    gateway.faults(paths="_bulk", too_many=1.0)
    retry = RetryPolicy(attempts=2, initial=0, jitter=0)
    report = store.upsert_parallel(documents(30), batch_size=10, retry=retry, on_error="report")
    assert (report.written, report.failed) == (0, 30)
    assert all(isinstance(failure.error, TransientError) for failure in report.failures)
    gateway.faults()
    assert report.retry().written == 30
    assert contents(store) == contents_of(documents(30))


def test_retry_after_is_heeded(gateway: Gateway, through: Stores) -> None:
    store = through.open(BM25())
    gateway.faults(paths="_bulk", too_many=1.0, retry_after=1, limit=1)
    begun = time.perf_counter()
    assert store.upsert(documents(3)).written == 3
    assert time.perf_counter() - begun >= 1


def test_a_search_that_is_refused_says_so(gateway: Gateway, through: Stores) -> None:
    store = through.open(BM25())
    gateway.faults(paths="_search", too_many=1.0)
    with pytest.raises(TransientError, match="searching index"):
        store.query("lamp")


# -- what a model can take ----------------------------------------------------------------------------------


def test_a_small_queue_slows_writes_down_and_loses_nothing(gateway: Gateway, through: Stores) -> None:
    gateway.deploy_elser(number_of_allocations=2, queue_capacity=4)
    gateway.configure(service_seconds=0.002)
    given = documents(600)
    store = through.open(Elser(pipeline=through.name()))
    report = store.upsert_parallel(given, retry=RetryPolicy(attempts=1))
    assert (report.written, report.failed) == (600, 0)
    assert contents(store) == contents_of(given)
    assert store._pace is not None
    assert store._pace.limit < 64
    stats = gateway.request("GET", f"{MODEL}/_stats")["trained_model_stats"][0]["deployment_stats"]
    assert stats["nodes"][0]["rejected_execution_count"] > 0


class Item:
    """What a pace sends: something with an id."""

    def __init__(self, id_: str) -> None:
        self.id = id_


def send(pace: Pace, count: int, answers: Callable[[list[str]], dict[str, Exception]]) -> dict[str, Any]:
    """Send items 0, 1, 2, ... and return what was refused; an ``InferenceQueueFullError`` is for later."""
    return pace.through(
        [Item(str(n)) for n in range(count)],
        lambda items: answers([item.id for item in items]),
        lambda error: isinstance(error, InferenceQueueFullError),
        lambda error: error,
        wait=lambda _: None,
    )


def test_a_queue_that_stays_full_becomes_an_error_of_its_own() -> None:
    def full(ids: list[str]) -> dict[str, Exception]:
        return {id_: InferenceQueueFullError(f"no place for {id_}") for id_ in ids}

    refused = send(Pace(start=4), 6, full)
    assert str(refused["0"]) == "no place for 0"
    assert {type(error) for error in refused.values()} == {InferenceQueueFullError}
    assert "queue_capacity" in str(refused["5"])
    assert "no place for" not in str(refused["5"])  # it was never sent, so it has nobody's answer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TransientError("cut", retry_after=7), TransientError),
        (ConnectionFailedError("gone"), ConnectionFailedError),
        (IndexNotFoundError("no index"), IndexNotFoundError),
        (BackendError("too large"), TransientError),
    ],
    ids=str,
)
def test_what_went_through_counts_though_a_later_request_fails(
    error: VectorfaceError, kind: type[Exception]
) -> None:
    sent: list[list[str]] = []

    def fails_later(ids: list[str]) -> dict[str, Exception]:
        sent.append(ids)
        if len(sent) > 1:
            raise error
        return {"1": BackendError("unfit")}

    refused = send(Pace(start=2), 6, fails_later)
    assert sent == [["0", "1"], ["2", "3", "4"]]
    assert refused.keys() == {"1", "2", "3", "4", "5"}
    assert str(refused["1"]) == "unfit"
    assert [type(refused[id_]) for id_ in "2345"] == [kind, kind, kind, TransientError]
    assert all(str(error) in str(refused[id_]) for id_ in "2345")
    assert retry_after(refused["5"]) == retry_after(error)


def test_what_fails_before_anything_went_through_is_raised() -> None:
    sent: list[list[str]] = []

    def full_then_too_large(ids: list[str]) -> dict[str, Exception]:
        sent.append(ids)
        if len(sent) > 1:
            raise BackendError("too large")
        return {id_: InferenceQueueFullError("full") for id_ in ids}

    with pytest.raises(BackendError, match="too large"):
        send(Pace(start=4), 4, full_then_too_large)


class Narrow:
    """Refuses bulk requests of more than 40 items, but not the first one; so many times."""

    def __init__(self, server: Server, error: VectorfaceError, times: int) -> None:
        self._request = server.request
        self._error = error
        self._times = times
        self.bulks: list[int] = []

    def request(self, method: str, path: str, **options: Any) -> Any:
        if path.endswith("/_bulk"):
            self.bulks.append(len(options["body"]))
            if len(self.bulks) > 1 and len(options["body"]) > 40 and self._times:
                self._times -= 1
                raise self._error
        return self._request(method, path, **options)


@pytest.mark.parametrize(
    ("error", "times"), [(BackendError("too large"), 1_000), (ConnectionFailedError("gone"), 1)], ids=str
)
def test_an_add_whose_later_request_fails_is_done_with_the_rest(
    gateway: Gateway, through: Stores, monkeypatch: pytest.MonkeyPatch, error: VectorfaceError, times: int
) -> None:
    gateway.deploy_elser(number_of_allocations=4)
    store = through.open(Elser(pipeline=through.name()))
    narrow = Narrow(store.server, error, times)
    monkeypatch.setattr(store.server, "request", narrow.request)
    report = store.add(documents(150))
    assert (report.written, report.failed) == (150, 0)
    assert narrow.bulks[:2] == [64, 65]  # in one call, of which the second request failed
    assert contents(store) == contents_of(documents(150))


def test_a_model_that_is_not_there_is_told_for_each_document(gateway: Gateway, through: Stores) -> None:
    gateway.deploy_elser()
    store = through.open(Elser(pipeline=through.name()))
    gateway.request("POST", f"{MODEL}/deployment/_stop?force=true")
    with pytest.raises(PartialWriteError, match=r"ElserModel") as caught:
        store.upsert(documents(2))
    error = caught.value.report.failures[0].error
    assert isinstance(error, ModelNotReadyError | ModelNotFoundError)
    assert store.count() == 0


def test_a_full_queue_is_an_error_with_advice(gateway: Gateway, through: Stores) -> None:
    gateway.deploy_elser(number_of_allocations=1, queue_capacity=1)
    gateway.configure(service_seconds=0.2)
    store = through.open(Elser(pipeline=through.name()))
    errors: list[Exception] = []

    def search() -> None:
        try:
            store.query("lamp")
        except Exception as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors
    assert {type(error) for error in errors} == {InferenceQueueFullError}
    assert "queue_capacity" in str(errors[0])


# -- a node that dies ---------------------------------------------------------------------------------------


def test_a_node_that_dies_in_the_middle_and_comes_back() -> None:
    given = documents(4_000)
    with Node(heap="512m") as node:
        store = ElasticsearchDB(SparseEncoder(WordWeights()))
        store.connect(url=node.url, index="crash", shards=1, replicas=0, timeout=10)
        begun = threading.Event()

        def crash() -> None:
            begun.wait(30)
            node.kill()
            node.start()

        crashing = threading.Thread(target=crash)
        crashing.start()

        def slowly() -> Iterator[Document]:
            for n, one in enumerate(given):
                if n == 1_500:
                    begun.set()
                    time.sleep(0.3)
                yield one

        patient = RetryPolicy(attempts=30, initial=0.5, maximum=2.0)
        report = store.upsert_parallel(slowly(), batch_size=100, retry=patient, on_error="report")
        crashing.join()
        if not report.ok:
            report.retry()
        assert report.total == 4_000
        with Elasticsearch(node.url) as client:
            client.indices.refresh(index="crash")
        assert contents(store) == contents_of(given)
        store.close()
