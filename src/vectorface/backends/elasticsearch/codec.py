"""From an entry to what Elasticsearch stores, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from vectorface.backends.elasticsearch.layout import METADATA, OURS, PLAIN, TEXT, TOKENS, VECTOR, Layout
from vectorface.backends.elasticsearch.terms import terms_of
from vectorface.metadata import from_json, to_json
from vectorface.primitives import Entry, Fields, Stored
from vectorface.records import Vector, Vectors


def source_of(entry: Entry, layout: Layout) -> dict[str, Any]:
    """Return the document that stands for an entry."""
    source: dict[str, Any] = {
        TEXT: entry.text,
        METADATA: to_json(entry.metadata),
        **vector_fields(entry.vector),
    }
    if layout.ours:
        source[OURS] = {"terms": terms_of(entry.metadata), "stamp": entry.stamp}
    if layout.plain:
        source[PLAIN] = {
            name: _simple(value) for name, value in entry.metadata.items() if name in layout.plain
        }
    return source


def vector_fields(vector: Vector | None) -> dict[str, Any]:
    """Return the field of a vector, dense or token weights, or those of both."""
    if vector is None:
        return {}
    if isinstance(vector, Vectors):
        return {**vector_fields(vector.dense), **vector_fields(vector.tokens)}
    if isinstance(vector, Mapping):
        return {TOKENS: dict(vector)}
    return {VECTOR: np.ascontiguousarray(vector, dtype=np.float32)}


def _simple(value: Any) -> Any:
    """Return a value as Kibana would expect it: dates as ISO text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [_simple(item) for item in value]
    return to_json(value)


def source_filter(fields: Fields, layout: Layout) -> list[str]:
    """Return which parts of a document a read is to bring: those, and always the stamp."""
    wanted = [TEXT] if "text" in fields else []
    wanted += [METADATA] if "metadata" in fields else []
    wanted += [VECTOR, TOKENS] if "vector" in fields else []
    return [*wanted, layout.stamp] if layout.stamp else wanted


def stored_of(
    hit: Mapping[str, Any], *, score: float = 0.0, tokens: Mapping[str, float] | None = None
) -> Stored:
    """Return a document as it was found."""
    source = hit.get("_source") or {}
    return Stored(
        id=hit["_id"],
        text=source.get(TEXT) or "",
        metadata=from_json(source.get(METADATA) or {}),
        vector=vector_of(source),
        stamp=(source.get(OURS) or {}).get("stamp"),
        version=(hit["_seq_no"], hit["_primary_term"]) if "_seq_no" in hit else None,
        score=score,
        tokens=tokens,
    )


def vector_of(source: Mapping[str, Any]) -> Vector | None:
    """Return the vector of a document."""
    tokens: Mapping[str, float] | None = source.get(TOKENS)
    dense: Sequence[float] | None = source.get(VECTOR)
    if not isinstance(dense, list):
        return tokens
    array = np.array(dense, dtype=np.float32)
    return array if tokens is None else Vectors(array, tokens)
