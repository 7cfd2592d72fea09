"""ElasticsearchDB keeps the whole contract on a real node, with every strategy."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.elastic.encoders import WordWeights
from tests.elastic.gateway import Gateway
from vectorface.backends.elasticsearch import (
    BM25,
    Dense,
    ElasticsearchDB,
    Elser,
    Hybrid,
    SparseEncoder,
    Strategy,
)
from vectorface.testing import DenseContract, DurableContract, FingerprintContract, StoreContract


class OnElasticsearch(StoreContract, DurableContract):
    strategy: Strategy
    #: Every strategy asks filters in the same way; dense vectors go through the full number.
    filter_examples = 2

    @pytest.fixture(autouse=True)
    def _on_a_node(self, elasticsearch_url: str) -> None:
        self.url = elasticsearch_url

    def make(self, embeddings: Any) -> ElasticsearchDB:
        del embeddings
        return ElasticsearchDB(self.strategy)

    def connect(self, store: Any, index: str, **options: Any) -> ElasticsearchDB:
        connected: ElasticsearchDB = store.connect(url=self.url, index=index, shards=1, replicas=0, **options)
        return connected


class TestDense(OnElasticsearch, DenseContract, FingerprintContract):
    filter_examples = StoreContract.filter_examples

    def make(self, embeddings: Any) -> ElasticsearchDB:
        return ElasticsearchDB(Dense(embeddings, index_type="flat"))


class TestBM25(OnElasticsearch):
    strategy = BM25()


class TestSparseEncoder(OnElasticsearch):
    strategy = SparseEncoder(WordWeights())
    tolerance = 5e-3  # the server keeps weights with reduced precision


class TestHybrid(OnElasticsearch):
    tolerance = 1e-3  # ranks of equal scores may change places

    def make(self, embeddings: Any) -> ElasticsearchDB:
        return ElasticsearchDB(Hybrid(Dense(embeddings, index_type="flat"), BM25()))


class TestHybridOfTwoVectors(OnElasticsearch):
    tolerance = 1e-3

    def make(self, embeddings: Any) -> ElasticsearchDB:
        return ElasticsearchDB(Hybrid(Dense(embeddings, index_type="flat"), SparseEncoder(WordWeights())))


@pytest.mark.filterwarnings("ignore:A text has at least")
class TestElser(OnElasticsearch):
    strategy = Elser(pipeline=f"contract-{os.getpid()}")  # each worker has a gateway, and all have one node
    tolerance = 5e-3

    @pytest.fixture(autouse=True)
    def _on_a_node(self, elser_gateway: Gateway) -> None:
        self.url = elser_gateway.url
