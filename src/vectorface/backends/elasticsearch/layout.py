"""How an index is laid out: as we make it, or as langchain-elasticsearch does."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vectorface.backends.elasticsearch.filters import LONGEST_KEYWORD
from vectorface.backends.elasticsearch.server import Version
from vectorface.errors import ConfigurationError, InvalidIndexNameError
from vectorface.indexes import IndexSpec, shown_url
from vectorface.metadata import encodable
from vectorface.records import IndexInfo, Metric

TEXT: Final = "text"
VECTOR: Final = "vector"
TOKENS: Final = "tokens"
METADATA: Final = "metadata"
#: How many hits a page shows at most, where the index does not say less; what kNN finds at most, anyway.
WINDOW: Final = 10_000
#: The object that holds what only we need, and the key of ``_meta`` that says what the index was made with.
OURS: Final = "vectorface"
_EXACT: Final = "exact"
#: The object that holds the plain fields somebody asked for with ``fields=``.
PLAIN: Final = "fields"
_COPIES: Final = f"{PLAIN}."

SIMILARITIES: Final[Mapping[Metric, str]] = {
    "cosine": "cosine",
    "l2": "l2_norm",
    "dot": "max_inner_product",
}
_METRICS: Final[Mapping[str, Metric]] = {
    **{similarity: metric for metric, similarity in SIMILARITIES.items()},
    "dot_product": "dot",
}

#: Field types that a strategy fills, and that nobody would filter by.
VECTOR_TYPES: Final = frozenset({"dense_vector", "sparse_vector", "rank_features"})
_ANY_VECTOR: Final = "dense_vector"
#: Where an ELSER pipeline of Elastic's guide notes the model, beside the tokens.
_MODEL: Final = "model_id"

#: Kinds of index that keep vectors with full precision.
_EXACT_TYPES: Final = frozenset({"flat", "hnsw"})

_NO_NAME: Final = re.compile(r"^[_+\-]|[*,?<>\s/\\\"|#:]")
#: The fields of an index that langchain-elasticsearch made; metadata is mapped with the first that has some.
_LANGCHAIN: Final = frozenset({TEXT, VECTOR, TOKENS, METADATA})

#: Field types whose values Elasticsearch can leave out where they do not fit.
_LENIENT: Final = frozenset(
    {
        "byte",
        "short",
        "integer",
        "long",
        "unsigned_long",
        "half_float",
        "float",
        "double",
        "date",
        "date_nanos",
    }
    | {"ip", "boolean", "geo_point"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where an index keeps what.

    Attributes:
        index: The index itself; its name may be an alias.
        aliased: Whether the name is an alias: then a write cannot make an index by the way.
        info: The index as the library describes it; its count is not filled in.
        ours: Whether we made it, so that it has terms to filter by, a stamp, and text as a keyword.
        plain: Names of the plain fields that metadata is copied to.
        is_quantized: Whether vectors are compared with reduced precision, unless looked at again.
        text: The field of the content; a path with dots where it lies in an object.
        flat: Whether metadata lies beside the text, instead of in an object of its own.
        types: The types of its fields.
        beside: Root fields of vectors, which are no metadata where that lies beside the text.
        pipeline: The ingest pipeline that its documents pass, unless a write names another.
        shared: Why deleting the index would delete more than the name stands for; ``None`` if it would not.
        uuid: What tells the index from another one that had its name before.
        window: How many hits one page shows at most.
        is_part: Whether its name is an alias with a filter, which reads by id would look past.
        made_with: The options that count when an index is made, by name, with the values it has.
    """

    index: str
    aliased: bool
    info: IndexInfo
    ours: bool
    plain: frozenset[str]
    is_quantized: bool
    text: str = TEXT
    flat: bool = False
    types: Mapping[str, str] = field(default_factory=dict)
    beside: frozenset[str] = frozenset({VECTOR, TOKENS})
    pipeline: str | None = None
    uuid: str = ""
    shared: str | None = None
    window: int = WINDOW
    is_part: bool = False
    made_with: Mapping[str, Any] = field(default_factory=dict)

    @property
    def terms(self) -> str | None:
        """The field that filters are answered by."""
        return f"{OURS}.terms" if self.ours else None

    @property
    def stamp(self) -> str | None:
        """The field of the stamp."""
        return f"{OURS}.stamp" if self.ours else None

    @property
    def unknown(self) -> frozenset[str]:
        """Root fields of an index that something else made of which nothing is shown."""
        if self.ours or self.flat:
            return frozenset()
        roots = {path.partition(".")[0] for path in self.types}
        return frozenset(roots - {self.text.partition(".")[0], METADATA, *self.beside})

    @property
    def exact(self) -> str | None:
        """The text as one keyword."""
        return f"{TEXT}.{_EXACT}" if self.ours else None


def check_name(name: object) -> None:
    """Refuse what Elasticsearch would read as several indexes, or as something else.

    Raises:
        InvalidIndexNameError: It is a pattern, a list, a date calculation, or the name of an API.
    """
    if not isinstance(name, str) or not encodable(name):
        raise InvalidIndexNameError(f"{shown_url(name):.80} is no name of an index; pass text.")
    if not name or _NO_NAME.search(name) or name in {".", ".."}:
        raise InvalidIndexNameError(
            f"{shown_url(name):.80} does not name one index: no stars, commas, blanks, slashes or brackets, "
            "and no '_', '-' or '+' at the start."
        )


def concrete(name: str, generation: int = 1) -> str:
    """Return the name of the index behind the alias ``name``.

    Example:
        >>> concrete("stories")
        'stories-000001'
    """
    longest = 255 - len("-000001")
    if len(name) > longest:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        name = f"{name[: longest - 17]}-{digest}"
    return f"{name}-{generation:06}"


def read(name: str, index: str, described: Mapping[str, Any], *, text_field: str = TEXT) -> Layout:
    """Return the layout of an index as ``GET /name`` describes it.

    An index that something else made is taken as it is: metadata is its object ``metadata``, as
    langchain-elasticsearch keeps it, else all that lies beside text and vectors.

    """
    mappings = described.get("mappings", {})
    properties = mappings.get("properties", {})
    fingerprint = mappings.get("_meta", {}).get(OURS)
    vector = properties.get(VECTOR, {})
    ours = fingerprint is not None
    text = TEXT if ours else text_field
    types = dict(_types(properties))
    settings = described.get("settings", {}).get("index", {})
    said = fingerprint or {}
    return Layout(
        index=index,
        aliased=name != index,
        ours=ours,
        info=IndexInfo(
            name=name,
            metric=_METRICS.get(vector.get("similarity", ""), said.get("metric", "cosine")),
            dimension=vector.get("dims", said.get("dimension")),
            count=0,
            fingerprint=fingerprint,
        ),
        plain=frozenset(path[len(_COPIES) :] for path in types if ours and path.startswith(_COPIES)),
        is_quantized=vector.get("index_options", {}).get("type", "flat") not in _EXACT_TYPES,
        text=text,
        flat=not ours and METADATA not in properties and (text != TEXT or bool(set(properties) - _LANGCHAIN)),
        uuid=settings.get("uuid", ""),
        types=types,
        beside=_beside(types),
        shared=_shared(name, index, described.get("aliases", {}), ours=ours),
        pipeline=_pipeline_of(settings),
        is_part="filter" in described.get("aliases", {}).get(name, {}),
        window=min(WINDOW, int(settings.get("max_result_window", WINDOW))),
        made_with=_made_with(settings, properties),
    )


def check_text(layout: Layout) -> None:
    """Refuse an index that has no text where it should be.

    Raises:
        ConfigurationError: It has none, so it is not an index of documents.
    """
    roots = {path.partition(".")[0] for path in layout.types}
    if roots - _LANGCHAIN and layout.text not in layout.types and not layout.ours:
        raise ConfigurationError(
            f"The index {layout.info.name!r} has no field {layout.text!r} (it has "
            f"{', '.join(sorted(roots)[:10])}); say which one holds the content with text_field=."
        )


def _shared(name: str, index: str, aliases: Mapping[str, Any], *, ours: bool) -> str | None:
    if name == index:
        return None
    if aliases.get(name, {}).keys() & {"filter", "index_routing", "search_routing"}:
        return f"it shows a part of the index {index!r} alone."
    others = sorted(aliases.keys() - {name})
    if others:
        return f"the index {index!r} behind it has other aliases, too ({', '.join(others)})."
    return None if ours else f"it is an alias of the index {index!r}, which something else made."


def _beside(types: Mapping[str, str]) -> frozenset[str]:
    vectors = {name for name in (VECTOR, TOKENS) if types.get(name, _ANY_VECTOR) in VECTOR_TYPES}
    return frozenset(vectors | ({_MODEL} if TOKENS in vectors and TOKENS in types else set()))


def _types(properties: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and type of each field."""
    for name, described in properties.items():
        if "properties" in described:
            yield from _types(described["properties"], f"{path}{name}.")
        else:
            yield f"{path}{name}", described.get("type", "object")


def _made_with(settings: Mapping[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of stores and strategies that nothing but a new index would take over."""
    bm25 = settings.get("similarity", {}).get(OURS, {})
    return {
        "shards": int(settings.get("number_of_shards", 1)),
        "replicas": int(settings.get("number_of_replicas", 0)),
        "index_type": properties.get(VECTOR, {}).get("index_options", {}).get("type"),
        "analyzer": properties.get(TEXT, {}).get("analyzer", "standard"),
        "k1": float(bm25.get("k1", 1.2)),
        "b": float(bm25.get("b", 0.75)),
        "pipeline": _pipeline_of(settings),
    }


def _pipeline_of(settings: Mapping[str, Any]) -> str | None:
    named = (settings.get("default_pipeline"), settings.get("final_pipeline"))
    return next((name for name in named if name not in {None, "_none"}), None)


def settings(version: Version) -> dict[str, Any]:
    """Return the settings of a new index: from 9.2 on a document's source leaves vectors out unless told."""
    return {"index.mapping.exclude_source_vectors": False} if version >= (9, 2, 0) else {}


def mapping(spec: IndexSpec, properties: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of a new index.

    Args:
        spec: What it is to be.
        properties: The fields of the strategy; the text's own may be among them.
        plain: Plain fields by name: a type, or a whole field mapping.
    """
    text = {"type": "text", "index": False, "norms": False, **properties.get(TEXT, {})}
    exact = {"type": "keyword", "ignore_above": LONGEST_KEYWORD, "doc_values": False}
    fields: dict[str, Any] = {
        **properties,
        TEXT: {**text, "fields": {_EXACT: exact}},
        METADATA: {"type": "object", "enabled": False},
        OURS: {
            "properties": {
                "terms": {"type": "keyword", "doc_values": False, "norms": False},
                "stamp": {"type": "keyword", "index": False, "doc_values": False},
            }
        },
    }
    if plain:
        fields[PLAIN] = {"properties": {name: _plain(kind) for name, kind in plain.items()}}
    return {"dynamic": "strict", "_meta": {OURS: dict(spec.fingerprint)}, "properties": fields}


def _plain(kind: Any) -> dict[str, Any]:
    """Return the mapping of a plain field: a value that does not fit is left out, not refused."""
    if not isinstance(kind, str):
        return dict(kind)
    if kind in _LENIENT:
        return {"type": kind, "ignore_malformed": True}
    return {"type": kind, "ignore_above": LONGEST_KEYWORD} if kind == "keyword" else {"type": kind}
