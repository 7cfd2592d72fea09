"""One interface over vector stores: the same filters, scores and writes on every backend.

>>> import vectorface
>>> with vectorface.connect("memory:stories") as store:
...     store.count()
0
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from vectorface.connecting import connect

if TYPE_CHECKING:
    from vectorface.backends.chroma import ChromaDB
    from vectorface.backends.elasticsearch import (
        BM25,
        AdaptiveAllocations,
        Dense,
        ElasticsearchDB,
        Elser,
        ElserModel,
        Hybrid,
        Pipelines,
        Pruning,
        SemanticText,
        SparseEncoder,
        move_to_elser,
        reindex,
    )
    from vectorface.backends.memory import InMemoryDB
    from vectorface.documents import document_id
    from vectorface.embeddings import MiniLM, SentenceTransformerEmbeddings, SpladeEmbeddings
    from vectorface.ingest.retrying import RetryPolicy
    from vectorface.interface import VectorDBInterface
    from vectorface.preprocessing import preprocess
    from vectorface.records import DeleteReport, Failure, Hit, IndexInfo, Record, ReplaceReport, WriteReport

__version__ = "0.1.0"

#: Where each public name lives; it is imported when it is first used, so that ``import vectorface`` is quick.
_HOMES: Final = {
    "AdaptiveAllocations": "vectorface.backends.elasticsearch",
    "BM25": "vectorface.backends.elasticsearch",
    "ChromaDB": "vectorface.backends.chroma",
    "DeleteReport": "vectorface.records",
    "Dense": "vectorface.backends.elasticsearch",
    "ElasticsearchDB": "vectorface.backends.elasticsearch",
    "Elser": "vectorface.backends.elasticsearch",
    "ElserModel": "vectorface.backends.elasticsearch",
    "Failure": "vectorface.records",
    "Hit": "vectorface.records",
    "Hybrid": "vectorface.backends.elasticsearch",
    "InMemoryDB": "vectorface.backends.memory",
    "IndexInfo": "vectorface.records",
    "MiniLM": "vectorface.embeddings",
    "Pipelines": "vectorface.backends.elasticsearch",
    "Pruning": "vectorface.backends.elasticsearch",
    "Record": "vectorface.records",
    "ReplaceReport": "vectorface.records",
    "RetryPolicy": "vectorface.ingest.retrying",
    "SemanticText": "vectorface.backends.elasticsearch",
    "SentenceTransformerEmbeddings": "vectorface.embeddings",
    "SparseEncoder": "vectorface.backends.elasticsearch",
    "SpladeEmbeddings": "vectorface.embeddings",
    "VectorDBInterface": "vectorface.interface",
    "WriteReport": "vectorface.records",
    "document_id": "vectorface.documents",
    "move_to_elser": "vectorface.backends.elasticsearch",
    "preprocess": "vectorface.preprocessing",
    "reindex": "vectorface.backends.elasticsearch",
}

__all__ = [
    "BM25",
    "AdaptiveAllocations",
    "ChromaDB",
    "DeleteReport",
    "Dense",
    "ElasticsearchDB",
    "Elser",
    "ElserModel",
    "Failure",
    "Hit",
    "Hybrid",
    "InMemoryDB",
    "IndexInfo",
    "MiniLM",
    "Pipelines",
    "Pruning",
    "Record",
    "ReplaceReport",
    "RetryPolicy",
    "SemanticText",
    "SentenceTransformerEmbeddings",
    "SparseEncoder",
    "SpladeEmbeddings",
    "VectorDBInterface",
    "WriteReport",
    "connect",
    "document_id",
    "move_to_elser",
    "preprocess",
    "reindex",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vectorface' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
