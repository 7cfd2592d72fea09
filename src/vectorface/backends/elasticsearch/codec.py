"""From an entry to what Elasticsearch stores, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from vectorface.backends.elasticsearch.layout import METADATA, OURS, PLAIN, TOKENS, VECTOR, Layout
from vectorface.backends.elasticsearch.terms import terms_of
from vectorface.errors import InvalidDocumentError
from vectorface.metadata import from_json, to_json
from vectorface.primitives import Entry, Fields, Stored
from vectorface.records import Vector, Vectors

_INT64: Final = 1 << 63


# -- to Elasticsearch -------------------------------------------------------------------------------------


def source_of(entry: Entry, layout: Layout) -> dict[str, Any]:
    """Return the document that stands for an entry.

    Raises:
        InvalidDocumentError: Metadata lies beside the text there, and has a key that is taken.
    """
    if not layout.ours:
        return _foreign_source(entry, layout)
    source: dict[str, Any] = {
        layout.text: entry.text,
        **vector_fields(entry.vector),
        METADATA: to_json(entry.metadata),
        OURS: {"terms": terms_of(entry.metadata), "stamp": entry.stamp},
    }
    if layout.plain:
        values = {name: _at(entry.metadata, name) for name in sorted(layout.plain)}
        source[PLAIN] = {name: simple(value) for name, value in values.items() if _is_plain(value)}
    return source


def _is_plain(value: Any) -> bool:
    """Tell whether a mapped field can hold a value, or leave it out by itself: objects it would refuse."""
    if isinstance(value, list):
        return all(_is_plain(item) and not isinstance(item, list) for item in value)
    if isinstance(value, int):
        return -_INT64 <= value < _INT64
    return value is not None and not isinstance(value, Mapping)


def _foreign_source(entry: Entry, layout: Layout) -> dict[str, Any]:
    """Return it as others would write it: dates as ISO text."""
    metadata, vectors = simple(entry.metadata), vector_fields(entry.vector)
    if not layout.flat:
        return {**nested(layout.text, entry.text), **vectors, METADATA: metadata}
    taken = sorted(metadata.keys() & layout.beside) or list(_in_the_way(metadata, layout.text))
    if taken:
        raise InvalidDocumentError(
            f"the document {entry.id[:80]!r}: metadata[{taken[0]!r}] would overwrite the field of that "
            f"name, because this index keeps metadata beside the text; rename the key."
        )
    return {**nested(layout.text, entry.text, beside=metadata), **vectors}


def _in_the_way(metadata: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the keys of metadata that lie where a text is to lie, which may be in an object."""
    name, _, rest = path.partition(".")
    inner = metadata.get(name)
    if rest and isinstance(inner, Mapping):
        yield from (f"{name}.{key}" for key in _in_the_way(inner, rest))
    elif name in metadata:
        yield name
    yield from (key for key in metadata if key != name and f"{path}.".startswith(f"{key}."))


def nested(path: str, value: Any, *, beside: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an object that holds a value at a path, beside what else it is to hold.

    Example:
        >>> nested("content.body", "lamp", beside={"content": {"lang": "en"}})
        {'content': {'lang': 'en', 'body': 'lamp'}}
    """
    others = beside or {}
    name, _, rest = path.partition(".")
    return {**others, name: nested(rest, value, beside=others.get(name)) if rest else value}


def vector_fields(vector: Vector | None) -> dict[str, Any]:
    """Return the field of a vector, dense or token weights, or those of both."""
    if vector is None:
        return {}
    if isinstance(vector, Vectors):
        return {**vector_fields(vector.dense), **vector_fields(vector.tokens)}
    if isinstance(vector, Mapping):
        return {TOKENS: vector}
    return {VECTOR: np.ascontiguousarray(vector, dtype=np.float32)}


def simple(value: Any) -> Any:
    """Return a value as Kibana and others expect it: dates as ISO text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: simple(item) for key, item in value.items()}
    if isinstance(value, list):
        return [simple(item) for item in value]
    return to_json(value)


# -- from Elasticsearch -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """Which fields of a document an answer is to hold.

    Attributes:
        includes: Their names; ``*`` stands for all.
        excludes: Names of those that are left out all the same.
    """

    includes: tuple[str, ...]
    excludes: tuple[str, ...] = ()

    def with_field(self, field: str) -> Shown:
        """Return it with one more field."""
        if "*" in self.includes:
            return replace(self, excludes=tuple(name for name in self.excludes if name != field))
        return self if field in self.includes else replace(self, includes=(*self.includes, field))

    def __contains__(self, field: str) -> bool:
        return (field in self.includes or "*" in self.includes) and field not in self.excludes

    @property
    def body(self) -> Any:
        """It as a search has it; nothing has a word of its own."""
        if not self.includes:
            return False
        if not self.excludes:
            return list(self.includes)
        return {"includes": list(self.includes), "excludes": list(self.excludes)}

    @property
    def params(self) -> dict[str, Any]:
        """It as query parameters."""
        if not self.includes:
            return {"_source": False}
        excludes = {"_source_excludes": list(self.excludes)} if self.excludes else {}
        return {"_source_includes": list(self.includes), **excludes}


def shown(fields: Fields, layout: Layout) -> Shown:
    """Return which parts of a document a read is to bring: those, and always the stamp."""
    if layout.flat and "metadata" in fields:
        return Shown(("*",), () if "vector" in fields else (VECTOR, TOKENS))
    wanted = [layout.text] if "text" in fields else []
    wanted += [METADATA] if "metadata" in fields else []
    wanted += [VECTOR, TOKENS] if "vector" in fields else []
    return Shown((*wanted, layout.stamp) if layout.stamp else tuple(wanted))


class Revision(NamedTuple):
    """A document as it was read.

    Attributes:
        index_name: The index that it was read from, by its own name.
        number: Its sequence number.
        term: The primary term in which it was written.
        routing: What its writer chose its shard by, if that was not the id.
    """

    index_name: str
    number: int
    term: int
    routing: str | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Revision | None:
        """Return the revision of a hit, or ``None`` where that was not asked for."""
        if "_seq_no" not in found:
            return None
        return cls(found["_index"], found["_seq_no"], found["_primary_term"], found.get("_routing"))

    @property
    def conditions(self) -> dict[str, Any]:
        """It as an action has it."""
        routing = {} if self.routing is None else {"routing": self.routing}
        return {"if_seq_no": self.number, "if_primary_term": self.term, **routing}


def stored_of(hit: Mapping[str, Any], layout: Layout, *, score: float = 0.0) -> Stored:
    """Return a document as it was found."""
    source = hit.get("_source") or {}
    return Stored(
        id=hit["_id"],
        text=_text(_at(source, layout.text)),
        metadata=_decoded(_metadata(source, layout), layout),
        vector=vector_of(source, layout),
        stamp=(source.get(OURS) or {}).get("stamp") if layout.ours else None,
        version=Revision.of(hit),
        score=score,
    )


def _at(source: Mapping[str, Any], path: str) -> Any:
    """Return what lies at a path, be it of objects or a name with dots."""
    if path in source:
        return source[path]
    name, _, rest = path.partition(".")
    inner = source.get(name)
    return _at(inner, rest) if rest and isinstance(inner, Mapping) else None


def _text(value: Any) -> str:
    """Return a field's value as text; a field of Elasticsearch may hold several."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return "\n".join(_text(item) for item in value)
    return orjson.dumps(value).decode()


def _without(source: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return an object without what lies at a path, and without objects that are empty then."""
    name, _, rest = path.partition(".")
    inner = source.get(name)
    if path in source or not rest or not isinstance(inner, Mapping):
        return {key: value for key, value in source.items() if key != path}
    others = {key: value for key, value in source.items() if key != name}
    left = _without(inner, rest)
    return {**others, name: left} if left else others


def _decoded(metadata: Any, layout: Layout) -> dict[str, Any]:
    """Return metadata with the types it had; what others wrote may only look as if it were encoded."""
    if not isinstance(metadata, Mapping):
        metadata = {METADATA: metadata}
    try:
        decoded: Any = from_json(metadata)
    except (TypeError, ValueError):
        if layout.ours:
            raise
        return dict(metadata)
    return decoded if isinstance(decoded, dict) else dict(metadata)


def _metadata(source: Mapping[str, Any], layout: Layout) -> dict[str, Any]:
    if layout.flat:
        beside = {name: value for name, value in source.items() if name not in layout.beside}
        return _without(beside, layout.text)
    metadata: dict[str, Any] = source.get(METADATA) or {}
    return metadata


def vector_of(source: Mapping[str, Any], layout: Layout) -> Vector | None:
    """Return the vector of a document."""
    tokens: Mapping[str, float] | None = source.get(TOKENS) if TOKENS in layout.beside else None
    dense: Sequence[float] | None = source.get(VECTOR) if VECTOR in layout.beside else None
    if not isinstance(dense, list):
        return tokens
    array = np.array(dense, dtype=np.float32)
    return array if tokens is None else Vectors(array, tokens)
