"""From Chroma's columns to documents, and from its distances to scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vectorface.backends.chroma.codec import PREFIX, decode, exact_text
from vectorface.primitives import Stored
from vectorface.records import IndexInfo, Metric

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

SPACES: Final[Mapping[Metric, str]] = {"cosine": "cosine", "l2": "l2", "dot": "ip"}
_METRICS: Final[Mapping[str, Metric]] = {space: metric for metric, space in SPACES.items()}


def rows(found: Any, *, metric: Metric = "cosine") -> list[Stored]:
    """Turn the columns of a ``get`` or of one query into documents; fields left out are empty."""
    columns = [found.get(name) for name in ("documents", "metadatas", "embeddings", "distances")]
    texts, metadatas, vectors, distances = columns
    stored = []
    for i, id_ in enumerate(found["ids"]):
        metadata, stamp = decode(metadatas[i]) if metadatas is not None else ({}, None)
        stored.append(
            Stored(
                id=id_,
                text=exact_text(texts[i] or "", metadatas and metadatas[i]) if texts is not None else "",
                metadata=metadata,
                stamp=stamp,
                vector=None if vectors is None else np.asarray(vectors[i], dtype=np.float32),
                score=score(distances[i], metric) if distances is not None else 0.0,
            )
        )
    return stored


def one_query(found: Any, i: int) -> dict[str, Any]:
    """Return the columns of one of the queries that were answered together."""
    return {
        name: found[name][i] if found.get(name) is not None else None
        for name in ("ids", "documents", "metadatas", "embeddings", "distances")
    }


def score(distance: float, metric: Metric) -> float:
    """Turn Chroma's distance into a score: 1 - cos, squared distance, or 1 - dot product."""
    if metric == "l2":
        return 1 / (1 + distance)
    return max(-1.0, min(1.0, 1 - distance)) if metric == "cosine" else 1 - distance


def info(collection: Collection, *, count: int) -> IndexInfo:
    """Describe a collection, of vectorface's or anyone else's making."""
    fingerprint = _fingerprint(collection)
    return IndexInfo(
        name=collection.name,
        metric=_metric(collection),
        dimension=collection.get_model()["dimension"] or (fingerprint or {}).get("dimension"),
        count=count,
        fingerprint=fingerprint,
    )


def _metric(collection: Collection) -> Metric:
    # As it is stored: ``collection.configuration`` would build the embedding function that it names.
    configuration = collection.configuration_json
    space = (configuration.get("hnsw") or configuration.get("spann") or {}).get("space", "l2")
    return _METRICS[space]


def _fingerprint(collection: Collection) -> Mapping[str, Any] | None:
    text = (collection.metadata or {}).get(PREFIX)
    return json.loads(text) if isinstance(text, str) else None
