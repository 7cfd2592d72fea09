"""ElasticsearchDB keeps the whole contract on a real node, with every strategy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.elastic.encoders import WordWeights
from vectorface.backends.elasticsearch import BM25, Dense, ElasticsearchDB, SparseEncoder, Strategy
from vectorface.testing import DenseContract, DurableContract, FingerprintContract, StoreContract


class OnElasticsearch(StoreContract, DurableContract):
    strategy: Strategy

    @pytest.fixture(autouse=True)
    def _on_a_node(self, elasticsearch_url: str) -> None:
        self.url = elasticsearch_url

    def make(self, embeddings: Any) -> ElasticsearchDB:
        del embeddings
        return ElasticsearchDB(self.strategy)

    def connect(self, store: Any, index: str, **options: Any) -> ElasticsearchDB:
        connected: ElasticsearchDB = store.connect(
            url=self.url, index=index, shards=1, replicas=0, **options
        )
        return connected


class TestDense(OnElasticsearch, DenseContract, FingerprintContract):
    def make(self, embeddings: Any) -> ElasticsearchDB:
        return ElasticsearchDB(Dense(embeddings, index_type="flat"))


class TestBM25(OnElasticsearch):
    strategy = BM25()


class TestSparseEncoder(OnElasticsearch):
    strategy = SparseEncoder(WordWeights())
    tolerance = 5e-3  # the server keeps weights with reduced precision
