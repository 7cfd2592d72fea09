"""Indexes of a cluster: which there are, how they are laid out, making and deleting them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from vectorface import bridge
from vectorface.backends.elasticsearch import layout as layouts
from vectorface.backends.elasticsearch.layout import Layout
from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.backends.elasticsearch.strategies import Strategy
from vectorface.errors import ConfigurationError, IndexExistsError
from vectorface.indexes import IndexSpec
from vectorface.ingest.retrying import RetryPolicy, attempts

if TYPE_CHECKING:
    from vectorface.backends.elasticsearch.connection import ElasticsearchSettings

#: How an index is awaited that is being made.
_PATIENCE: Final = RetryPolicy(attempts=7, initial=0.05, maximum=1.6, jitter=0.05)


def names(server: Server) -> list[str]:
    """Return the names of all open indexes, by alias where we made them so."""
    found: set[str] = set()
    for index, about in _listed(server, "open").items():
        aliases = [alias for alias in about.get("aliases", {}) if not alias.startswith(".")]
        found.update(aliases)
        if not index.startswith(".") and not any(_is_behind(index, alias) for alias in aliases):
            found.add(index)
    return list(found)


def look_up(server: Server, name: str, *, text_field: str = layouts.TEXT) -> Layout:
    """Return how an index is laid out.

    Raises:
        IndexNotFoundError: There is none of this name.
        ConfigurationError: The name stands for several, or what it stands for holds no documents.
    """
    layouts.check_name(name)
    found = server.request("GET", path_of(name), doing=f"looking up index {name!r}")
    if len(found) > 1:
        raise ConfigurationError(
            f"{name!r} is an alias of several indexes ({', '.join(sorted(found))}); name one of them."
        )
    [(index, described)] = found.items()
    return layouts.read(name, index, described, text_field=text_field)


def count(server: Server, name: str) -> int:
    """Count all documents; an index that somebody makes in this very moment is not ready at once."""
    for attempt in attempts(_PATIENCE, sleep=bridge.pause):
        with attempt:
            answer = server.request("GET", path_of(name, "_count"), doing=f"counting in index {name!r}")
    number: int = answer["count"]
    return number


def create(server: Server, spec: IndexSpec, strategy: Strategy, asked: ElasticsearchSettings) -> None:
    """Make an index behind an alias.

    Raises:
        IndexExistsError: There is one of this name.
        ConfigurationError: ``text_field`` was given, which is for indexes that something else made.
    """
    if asked.text_field != layouts.TEXT:
        raise ConfigurationError(
            f"There is no index {spec.name!r}; text_field= is for one that something else made. To make "
            "a new one leave it out."
        )
    strategy.prepare(server)
    counts = {"number_of_shards": asked.shards, "number_of_replicas": asked.replicas}
    body = {
        "aliases": {spec.name: {"is_write_index": True}},
        "settings": {
            **{name: value for name, value in counts.items() if value is not None},
            **layouts.settings(server.version),
            **strategy.settings(),
        },
        "mappings": layouts.mapping(spec, strategy.properties(spec), asked.fields),
    }
    doing = f"creating index {spec.name!r}"
    try:
        server.request("PUT", path_of(layouts.concrete(spec.name)), body=body, doing=doing)
    except IndexExistsError:
        if (free := _generation(server, spec.name)) is None:
            raise
        server.request("PUT", path_of(layouts.concrete(spec.name, free)), body=body, doing=doing)


def drop(server: Server, layout: Layout) -> None:
    """Delete an index, if its name stands for it alone.

    Raises:
        ConfigurationError: It does not, so that more would be deleted than is meant.
    """
    name = layout.info.name
    if layout.shared is not None:
        raise ConfigurationError(f"{name!r} was not deleted: {layout.shared} Delete it by its own name.")
    server.request("DELETE", path_of(layout.index), doing=f"deleting index {name!r}")


def _generation(server: Server, name: str) -> int | None:
    """Return the next number of an index behind ``name``, if only older ones of them stayed behind."""
    found = _listed(server, "all")
    if name in found or any(name in about.get("aliases", {}) for about in found.values()):
        return None
    return 1 + max((int(index[-6:]) for index in found if _is_behind(index, name)), default=0)


def _listed(server: Server, which: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = server.request(
        "GET", "/_alias", params={"expand_wildcards": which}, doing="listing indexes"
    )
    return found


def _is_behind(index: str, alias: str) -> bool:
    """Tell whether an index is one of those that we make behind an alias."""
    return index[:-6] == layouts.concrete(alias)[:-6] and index[-6:].isdigit()
