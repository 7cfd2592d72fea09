"""From an index as it is to one like it with tokens: mapping, settings and alias, without a server."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vectorface.backends.elasticsearch import layout as layouts
from vectorface.backends.elasticsearch.expansion import Elser
from vectorface.backends.elasticsearch.server import Version
from vectorface.errors import ConfigurationError

#: Settings that Elasticsearch gives an index itself, or that speak of its past; and the pipelines, which are
#: set anew.
_OWN: Final = frozenset(
    [
        "blocks",
        "creation_date",
        "default_pipeline",
        "final_pipeline",
        "frozen",
        "history",
        "provided_name",
        "resize",
        "uuid",
        "version",
        "verified_before_close",
        "verified_read_only",
    ]
)
#: Field types whose value in a document is a text that a model can read.
_TEXTS: Final = frozenset(
    [
        "annotated_text",
        "constant_keyword",
        "keyword",
        "match_only_text",
        "search_as_you_type",
        "semantic_text",
        "text",
        "wildcard",
    ]
)
#: The key of ``_meta`` that says where an index comes from, so that a move can go on.
_MARK: Final = "vectorface_move"
_GENERATION: Final = re.compile(r"(.+)-(\d{6})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An index that is to be moved.

    Attributes:
        index: The index itself.
        alias: The alias that it was named by; ``None`` if it was named itself.
        aliases: All its aliases, with what is special about each.
        mappings: Its mapping.
        settings: Its settings.
    """

    index: str
    alias: str | None
    aliases: Mapping[str, Any]
    mappings: Mapping[str, Any]
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, name: str, described: Mapping[str, Any]) -> Source:
        """Return an index as ``GET /name`` describes it.

        Raises:
            ConfigurationError: The name stands for several indexes, or a data stream, or for one that keeps
                no documents to be read again.
        """
        if len(described) != 1:
            raise ConfigurationError(
                f"source={name!r} stands for {len(described)} indexes ({', '.join(sorted(described)[:5])}); "
                "move them one by one."
            )
        [(index, about)] = described.items()
        if "data_stream" in about:
            raise ConfigurationError(
                f"source={name!r} is a data stream, which cannot be changed for an index."
            )
        mappings = about.get("mappings", {})
        if mappings.get("_source", {}).get("enabled") is False:
            raise ConfigurationError(
                f"The index {index!r} keeps no _source, so its documents cannot be read and written again."
            )
        return cls(
            index=index,
            alias=None if name == index else name,
            aliases=about.get("aliases", {}),
            mappings=mappings,
            settings=about.get("settings", {}).get("index", {}),
        )

    @property
    def window(self) -> int:
        """How many hits a page shows at most."""
        return int(self.settings.get("max_result_window", layouts.WINDOW))

    def check_switchable(self) -> None:
        """Check that aliases of the index can be changed, which would show only when all is copied.

        Raises:
            ConfigurationError: It is read-only, metadata and all.
        """
        blocks = self.settings.get("blocks", {})
        if "true" in {str(blocks.get(name, "")).lower() for name in ("read_only", "metadata")}:
            raise ConfigurationError(
                f"The index {self.index!r} has a block (index.blocks.read_only or .metadata), so that no "
                "alias of it can be switched; lift it, and keep writers off by index.blocks.write."
            )

    @property
    def default_pipeline(self) -> str | None:
        """The pipeline that new documents pass, if any."""
        return _pipeline(self.settings.get("default_pipeline"))

    @property
    def final_pipeline(self) -> str | None:
        """The pipeline that all documents pass in the end, if any."""
        return _pipeline(self.settings.get("final_pipeline"))

    def alias_for(self, asked: str | None) -> str:
        """Return the alias that is to lead to the new index.

        Raises:
            ConfigurationError: None was named, or another one than the source's, or the index's own name.
        """
        if self.alias is not None:
            if asked not in {None, self.alias}:
                raise ConfigurationError(
                    f"source={self.alias!r} is an alias, and it is that which is switched; leave "
                    f"alias={asked!r} out."
                )
            return self.alias
        if asked is None:
            raise ConfigurationError(
                f"source={self.index!r} is an index, and the new one needs another name: pass alias=, by "
                "which it is to be found."
            )
        if asked == self.index:
            raise ConfigurationError(f"alias={asked!r} is the index's own name; choose another.")
        return asked

    def next_name(self, alias: str) -> str:
        """Return a name for the new index.

        Example:
            >>> empty = {"aliases": {}, "mappings": {}, "settings": {}}
            >>> Source(index="stories-000001", alias="stories", **empty).next_name("stories")
            'stories-000002'
        """
        match = _GENERATION.fullmatch(self.index)
        if match is not None:
            return f"{match[1]}-{int(match[2]) + 1:06}"
        return f"{alias}-elser"

    def check_fields(self, text_field: str, tokens_field: str) -> None:
        """Check that the text is there, and that the tokens' field is free.

        Raises:
            ConfigurationError: They are not; the message says which fields there are.
        """
        text = field_of(self.mappings, text_field)
        if text is None or text.get("type") not in _TEXTS:
            kind = "is not mapped" if text is None else f"is of type {text.get('type', 'object')!r}"
            names = ", ".join(sorted(_text_fields(self.mappings))) or "none"
            raise ConfigurationError(
                f"text_field={text_field!r} {kind} in index {self.index!r}; its fields of text are: {names}."
            )
        tokens = field_of(self.mappings, tokens_field)
        if tokens is not None and tokens.get("type") != "sparse_vector":
            raise ConfigurationError(
                f"tokens_field={tokens_field!r} is of type {tokens.get('type', 'object')!r} in index "
                f"{self.index!r}; choose another name."
            )

    def body(
        self, version: Version, *, tokens_field: str, model: str | None, pipeline: str, written: int
    ) -> dict[str, Any]:
        """Return the body that makes the new index.

        Args:
            version: Of the server.
            tokens_field: The field of tokens to add.
            model: The model that expands documents; ``None`` if nobody tells.
            pipeline: The default pipeline.
            written: How many writes the source had seen (:func:`written_to`), to notice later ones.
        """
        mappings = copy.deepcopy(dict(self.mappings))
        _add_field(mappings, tokens_field, {"type": "sparse_vector"})
        meta = dict(mappings.get("_meta") or {})
        if layouts.OURS in meta:  # one of our own: it is to be opened with the strategy that it has now
            now = {"strategy": Elser.name, "embedding": model, "weights": None, "dimension": None}
            meta[layouts.OURS] = {**meta[layouts.OURS], **now}
        meta[_MARK] = {"source": self.index, "uuid": self.settings.get("uuid"), "written": written}
        mappings["_meta"] = meta
        kept = {key: value for key, value in self.settings.items() if key not in _OWN}
        settings = {**layouts.settings(version), "index": {**kept, "default_pipeline": pipeline}}
        return {"mappings": mappings, "settings": settings}

    def is_origin_of(self, mappings: Mapping[str, Any], written: int) -> bool:
        """Tell whether an index was made from this one, which nobody has written to since."""
        mark = {"source": self.index, "uuid": self.settings.get("uuid"), "written": written}
        return (mappings.get("_meta") or {}).get(_MARK) == mark

    def switch(self, alias: str, dest: str) -> list[dict[str, Any]]:
        """Return the actions that make an alias lead to the new index instead of this one, all at once."""
        about = self.aliases.get(alias)
        add = {"add": {"index": dest, "alias": alias, **(about or {})}}
        if about is None:
            return [add]
        return [{"remove": {"index": self.index, "alias": alias, "must_exist": True}}, add]


def _pipeline(name: str | None) -> str | None:
    return None if name in {None, "_none"} else name


def written_to(stats: Mapping[str, Any]) -> int:
    """Return how many writes an index has seen: the sum of its shards' sequence numbers.

    Args:
        stats: The answer of ``GET /index/_stats?level=shards``.
    """
    return sum(
        copy_["seq_no"]["max_seq_no"] + 1
        for index in stats["indices"].values()
        for copies in index["shards"].values()
        for copy_ in copies
        if copy_["routing"]["primary"]
    )


def field_of(mappings: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Return the mapping of a field; dots lead into objects.

    Example:
        >>> field_of({"properties": {"a": {"properties": {"b": {"type": "text"}}}}}, "a.b")
        {'type': 'text'}
    """
    found: Mapping[str, Any] | None = mappings
    for name in path.split("."):
        found = (found or {}).get("properties", {}).get(name)
    return found


def _add_field(mappings: dict[str, Any], path: str, field: Mapping[str, Any]) -> None:
    first, _, rest = path.partition(".")
    properties = mappings.setdefault("properties", {})
    if rest:
        _add_field(properties.setdefault(first, {}), rest, field)
    else:
        properties.setdefault(first, dict(field))


def _text_fields(mappings: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, field in mappings.get("properties", {}).items():
        if field.get("type") in _TEXTS:
            found.append(prefix + name)
        found += _text_fields(field, f"{prefix}{name}.")
    return found
