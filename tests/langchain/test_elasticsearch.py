"""LangChain's own suites on Elasticsearch: dense vectors, and dense with BM25.

A strategy that matches terms alone cannot run them: they expect documents that share no word with the query.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.langchain.suites import IndexingSuite, RetrieverSuite, VectorStoreSuite
from vectorface.backends.elasticsearch import BM25, Dense, ElasticsearchDB, Hybrid, Strategy

if TYPE_CHECKING:
    import pytest
    from langchain_core.embeddings import Embeddings


class OnElasticsearch:
    @staticmethod
    def strategy(embeddings: Embeddings) -> Strategy:
        raise NotImplementedError

    def make_store(self, embeddings: Embeddings, request: pytest.FixtureRequest) -> ElasticsearchDB:
        place: dict[str, Any] = {
            "url": request.getfixturevalue("elasticsearch_url"),
            "index": f"suite-{uuid.uuid4().hex}",
        }
        store = ElasticsearchDB(type(self).strategy(embeddings))
        store.connect(**place, shards=1, replicas=0)
        request.addfinalizer(lambda: _delete(store, place))
        return store


def _delete(store: ElasticsearchDB, place: dict[str, Any]) -> None:
    with store.connect(**place):  # the suite has closed it
        store.delete_index(place["index"])


class OfDense(OnElasticsearch):
    @staticmethod
    def strategy(embeddings: Embeddings) -> Strategy:
        return Dense(embeddings, index_type="flat")


class OfHybrid(OnElasticsearch):
    @staticmethod
    def strategy(embeddings: Embeddings) -> Strategy:
        return Hybrid(Dense(embeddings, index_type="flat"), BM25())


class TestVectorStoreOfDense(OfDense, VectorStoreSuite): ...


class TestVectorStoreOfHybrid(OfHybrid, VectorStoreSuite): ...


class TestRetrieverOfDense(OfDense, RetrieverSuite): ...


class TestRetrieverOfHybrid(OfHybrid, RetrieverSuite): ...


class TestIndexingOfDense(OfDense, IndexingSuite): ...


class TestIndexingOfHybrid(OfHybrid, IndexingSuite): ...
