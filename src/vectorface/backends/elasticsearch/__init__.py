"""Elasticsearch: ELSER, client-side sparse, dense kNN, BM25, and several at once."""

from __future__ import annotations

from importlib.util import find_spec

from vectorface.errors import MissingExtraError

if find_spec("elasticsearch") is None or find_spec("orjson") is None:
    raise MissingExtraError(
        "ElasticsearchDB needs the packages of an extra: pip install 'vectorface[elasticsearch]'."
    )

from vectorface.backends.elasticsearch.expansion import Elser
from vectorface.backends.elasticsearch.hybrid import Hybrid
from vectorface.backends.elasticsearch.store import ElasticsearchDB
from vectorface.backends.elasticsearch.strategies import BM25, Dense, Pruning, SparseEncoder, Strategy

__all__ = ["BM25", "Dense", "ElasticsearchDB", "Elser", "Hybrid", "Pruning", "SparseEncoder", "Strategy"]
