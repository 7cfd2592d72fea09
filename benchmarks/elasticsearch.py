"""Elasticsearch: loading and searching, beside the client's own helpers and langchain-elasticsearch.

Vectors are made beforehand: what is compared is how they get into the index and out of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
from elasticsearch import Elasticsearch, helpers
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_elasticsearch import DenseVectorStrategy, ElasticsearchStore

from benchmarks._timing import Row, interleave
from tests.elastic.node import Node
from vectorface import BM25, Dense, ElasticsearchDB, SparseEncoder
from vectorface.backends.elasticsearch import Strategy
from vectorface.embeddings import EmbeddingIdentity

DIMENSION = 384
TOKENS = 120
VOCABULARY = 20_000

Made: TypeAlias = dict[str, Any]
Load: TypeAlias = Callable[[Elasticsearch, Iterator[Made]], None]

_NAMES = count()


def measure(*, quick: bool = False) -> Iterator[Row]:
    """Run every comparison; about 6 minutes on two cores."""
    documents = sample_documents(1_000 if quick else 5_000)
    rounds = 2 if quick else 11  # one round differs from the next by a quarter
    with node() as url, Elasticsearch(url, request_timeout=120) as client:
        warm_up(client, documents)
        yield dense_ingest(client, documents, rounds)
        yield sparse_ingest(client, documents, rounds)
        yield langchain_ingest(client, documents[: len(documents) // 2], rounds)
        yield from query_overhead(client, documents, 40 if quick else 200)
        yield from round_trips(client)


@contextmanager
def node() -> Iterator[str]:
    """Yield the address of ``$ELASTICSEARCH_URL``, else of a node of our own."""
    given = os.environ.get("ELASTICSEARCH_URL")
    if given:
        yield given
    else:
        with Node(heap="1g", for_timings=True) as own:
            yield own.url


def warm_up(client: Elasticsearch, documents: Sequence[Document]) -> None:
    """Load for a while, so that the server's code is compiled as on one that has been running."""
    for strategy in (
        Dense(Known(documents, dense_vectors(documents)), index_type="flat"),
        SparseEncoder(Known(documents, token_weights(documents))),
    ):
        for _ in range(3):
            with opened(client, strategy) as store:
                store.upsert_parallel(documents)


def sample_documents(number: int) -> list[Document]:
    """Return documents of about 200 characters with three metadata keys."""
    return [
        Document(
            id=f"chunk-{i}",
            page_content=f"Chunk {i}: keeper {i % 97} lights the lamp at {i % 31} past the hour. " * 3,
            metadata={"source": "book", "chapter": i % 12, "start_index": i * 180},
        )
        for i in range(number)
    ]


class Known(Embeddings):
    """Vectors that were made beforehand, looked up by text."""

    def __init__(self, documents: Sequence[Document], vectors: Sequence[Any]) -> None:
        self.identity = EmbeddingIdentity(name="known", dimension=DIMENSION)
        self._vectors = dict(zip((one.page_content for one in documents), vectors, strict=True))

    def embed_array(self, texts: Sequence[str]) -> Any:
        """Return rows of an array."""
        return np.array([self._vectors[text] for text in texts], dtype=np.float32)

    def embed_documents(self, texts: list[str]) -> list[Any]:
        """Return lists of numbers, or token weights as they are."""
        found = [self._vectors[text] for text in texts]
        return [vector.tolist() if isinstance(vector, np.ndarray) else vector for vector in found]

    def embed_query(self, text: str) -> Any:
        """Return the vector of some document."""
        return self.embed_documents([text])[0]


def dense_vectors(documents: Sequence[Document]) -> Any:
    """Return an array of shape (n, 384), float32."""
    return np.random.default_rng(7).standard_normal((len(documents), DIMENSION), dtype=np.float32)


def token_weights(documents: Sequence[Document]) -> list[dict[str, float]]:
    """Return 120 weighted tokens for each document."""
    draw = np.random.default_rng(8)
    columns = [draw.choice(VOCABULARY, TOKENS, replace=False).tolist() for _ in documents]
    weights = (draw.random((len(documents), TOKENS)) + 0.1).tolist()
    return [
        {f"token{column}": weight for column, weight in zip(row, numbers, strict=True)}
        for row, numbers in zip(columns, weights, strict=True)
    ]


@contextmanager
def opened(client: Elasticsearch, strategy: Strategy) -> Iterator[ElasticsearchDB]:
    """Yield a store on an index of its own, which is deleted afterwards."""
    store = ElasticsearchDB(strategy)
    store.connect(client=client, index=f"bench-{next(_NAMES)}", shards=1, replicas=0, timeout=120)
    try:
        yield store
    finally:
        store.delete_index(store.index)
        store.close()


# -- loading ----------------------------------------------------------------------------------------------


def by_helper(store: ElasticsearchDB, sources: Iterator[Made], load: Load) -> None:
    """Load the same documents into an index of the same mapping by a helper of Elasticsearch's client."""
    load(store.client, ({"_op_type": "index", "_index": store.index, **source} for source in sources))
    store.client.indices.refresh(index=store.index)


def sources_of(documents: Sequence[Document], field: str, vectors: Sequence[Any]) -> Iterator[Made]:
    """Yield documents as a helper takes them."""
    for one, vector in zip(documents, vectors, strict=True):
        yield {"_id": one.id, "text": one.page_content, "metadata": one.metadata, field: vector}


def dense_ingest(client: Elasticsearch, documents: Sequence[Document], rounds: int) -> Row:
    """Load float32 vectors into a flat index."""
    vectors = dense_vectors(documents)
    strategy = Dense(Known(documents, vectors), index_type="flat")

    def bulk(store: ElasticsearchDB) -> None:
        # As anybody would: the helper's serializer takes numpy's numbers one by one, lists are quicker.
        by_helper(store, sources_of(documents, "vector", vectors.tolist()), _bulk)

    subjects = {"vectorface": lambda store: store.upsert_parallel(documents), "helpers.bulk": bulk}
    times = interleave(subjects, rounds=rounds, given=lambda: opened(client, strategy))
    return Row(
        name=f"Elasticsearch: load {len(documents):,} float32 vectors on `flat`: faster than `helpers.bulk`",
        value=times.ratio("helpers.bulk", "vectorface"),
        goal=3.0,
        detail=times.detail(*subjects),
    )


def sparse_ingest(client: Elasticsearch, documents: Sequence[Document], rounds: int) -> Row:
    """Load token weights."""
    weights = token_weights(documents)
    strategy = SparseEncoder(Known(documents, weights))

    def by(load: Load) -> Callable[[ElasticsearchDB], None]:
        return lambda store: by_helper(store, sources_of(documents, "tokens", weights), load)

    subjects = {
        "vectorface": lambda store: store.upsert_parallel(documents),
        "bulk": by(_bulk),
        "parallel_bulk": by(_parallel_bulk),
    }
    times = interleave(subjects, rounds=rounds, given=lambda: opened(client, strategy))
    best = times.fastest(["bulk", "parallel_bulk"])
    return Row(
        name=f"Elasticsearch: load {len(documents):,} sparse vectors: faster than the best of the helpers",
        value=times.ratio(best, "vectorface"),
        goal=1.0,
        detail=times.detail(*subjects),
    )


def langchain_ingest(client: Elasticsearch, documents: Sequence[Document], rounds: int) -> Row:
    """Load dense vectors into an index that langchain-elasticsearch made."""
    embeddings = Known(documents, dense_vectors(documents))

    @contextmanager
    def theirs() -> Iterator[ElasticsearchStore]:
        name = f"bench-{next(_NAMES)}"
        store = ElasticsearchStore(
            name,
            embedding=embeddings,
            client=client,
            strategy=DenseVectorStrategy(),
            num_dimensions=DIMENSION,
        )
        store.add_documents([documents[0]], ids=[str(documents[0].id)])  # which makes the index
        yield store
        client.indices.delete(index=name)

    def ours(store: ElasticsearchStore) -> None:
        index = store._store.index  # noqa: SLF001 - it has no other way to tell
        with ElasticsearchDB(Dense(embeddings)).connect(client=client, index=index, timeout=120) as opened:
            opened.upsert_parallel(documents)

    subjects = {
        "vectorface": ours,
        "langchain-elasticsearch": lambda store: store.add_documents(
            list(documents), ids=[str(one.id) for one in documents]
        ),
    }
    times = interleave(subjects, rounds=rounds, given=theirs)
    return Row(
        name=f"Elasticsearch: load {len(documents):,} vectors: faster than langchain-elasticsearch",
        value=times.ratio("langchain-elasticsearch", "vectorface"),
        goal=1.0,
        detail=times.detail(*subjects),
    )


def _bulk(client: Elasticsearch, operations: Iterator[Made]) -> None:
    helpers.bulk(client, operations)


def _parallel_bulk(client: Elasticsearch, operations: Iterator[Made]) -> None:
    if not all(ok for ok, _ in helpers.parallel_bulk(client, operations, thread_count=3)):
        raise RuntimeError("parallel_bulk lost a document")


# -- searching --------------------------------------------------------------------------------------------


def query_overhead(client: Elasticsearch, documents: Sequence[Document], times: int) -> Iterator[Row]:
    """Compare a query with the same search by the bare client: dense, sparse and words."""
    dense, weights = dense_vectors(documents), token_weights(documents)
    yield _overhead(
        client,
        Dense(Known(documents, dense), index_type="flat"),
        documents,
        lambda i: {
            "knn": {
                "field": "vector",
                "query_vector": dense[i].tolist(),
                "k": 10,
                "num_candidates": 100,
            }
        },
        times,
    )
    yield _overhead(
        client,
        SparseEncoder(Known(documents, weights)),
        documents,
        lambda i: {"query": {"sparse_vector": {"field": "tokens", "query_vector": weights[i]}}},
        times,
    )
    yield _overhead(
        client,
        BM25(),
        documents,
        lambda i: {"query": {"match": {"text": documents[i].page_content}}},
        times,
    )


def _overhead(
    client: Elasticsearch,
    strategy: Strategy,
    documents: Sequence[Document],
    body: Callable[[int], Made],
    times: int,
) -> Row:
    with opened(client, strategy) as store:
        store.upsert_parallel(documents)
        ours, raw = [], []
        for i in range(times + 10):
            text, at = documents[i % len(documents)].page_content, i % len(documents)
            seconds = {}
            for subject in ("ours", "raw") if i % 2 else ("raw", "ours"):
                start = perf_counter()
                if subject == "ours":
                    store.query(text, k=10)
                else:
                    client.search(
                        index=store.index, size=10, source_includes=["text", "metadata"], **body(at)
                    )
                seconds[subject] = perf_counter() - start
            if i >= 10:
                ours.append(seconds["ours"])
                raw.append(seconds["raw"])
    ratio = median(one / other for one, other in zip(ours, raw, strict=True))
    added = (median(ours) - median(raw)) * 1000
    return Row(
        name=f"Elasticsearch: {strategy.name} query at {len(documents):,} documents: time beside the client",
        value=ratio,
        goal=1.1,
        at_most=True,
        detail=f"{added:+.2f} ms a query (or at most +0.5 ms); vectorface {median(ours) * 1000:.2f} ms, "
        f"client {median(raw) * 1000:.2f} ms",
    )


def round_trips(client: Elasticsearch) -> Iterator[Row]:
    """Count the requests of each call."""
    documents = sample_documents(100)
    expected = {"upsert": 2, "query": 1, "query_batch of 10": 1, "get": 1, "count": 1, "delete_by_filter": 4}
    with opened(client, BM25()) as store:
        store.query("lamp")
        calls: dict[str, Callable[[], object]] = {
            "upsert": lambda: store.upsert(documents),
            "query": lambda: store.query("lamp", filter={"chapter": {"$gte": 3}}, contains="keeper"),
            "query_batch of 10": lambda: store.query_batch(["lamp"] * 10),
            "get": lambda: store.get(["chunk-1"]),
            "count": lambda: store.count({"chapter": 3}),
            "delete_by_filter": lambda: store.delete_by_filter({"chapter": 3}),
        }
        counts = {name: _requests(client, call) for name, call in calls.items()}
    yield Row(
        name="Elasticsearch: requests of a query, filtered",
        value=counts["query"],
        goal=expected["query"],
        at_most=True,
        unit="",
        detail=", ".join(f"{name} {number}" for name, number in counts.items()),
    )


def _requests(client: Elasticsearch, call: Callable[[], object]) -> int:
    seen = 0
    transport = type(client.transport)
    plain = transport.perform_request

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        return plain(self, *arguments, **options)

    transport.perform_request = counted  # type: ignore[method-assign]
    try:
        call()
    finally:
        transport.perform_request = plain  # type: ignore[method-assign]
    return seen
