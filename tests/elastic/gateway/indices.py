"""What the gateway must know of indices: their pipelines, and which of their fields are ``semantic_text``.

The node keeps it, in settings and mappings; it is read once per name, and again after anything that may
change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.elastic.gateway.wire import Call, Headers, Node, parts, segment

#: The key of a mapping's ``_meta`` where the endpoints of its ``semantic_text`` fields are, by path.
META: Final = "gateway_semantic_text"
_SETTINGS: Final = ("index.default_pipeline", "index.final_pipeline")
_MISSING: Final = 404
#: What cannot change an index's settings, mappings or aliases, though it is no GET.
_HARMLESS: Final = frozenset(
    "_bulk _doc _create _update _search _msearch _mget _count _refresh _flush _forcemerge _pit _explain "
    "_validate _analyze _termvectors _cache _tasks _ingest _ml _inference _gateway _security _nodes _stats "
    "_field_caps".split()
)


class Indices:
    """Settings and mappings of indices, kept until something may have changed them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._pipelines: dict[str, tuple[str | None, str | None]] = {}
        self._semantic: dict[str, Mapping[str, str]] = {}
        #: Whether any index has ``semantic_text``; where none has, nobody asks for mappings.
        self.semantic = False

    async def open(self) -> None:
        """Look whether an index of the node has ``semantic_text``."""
        found = await self._node.ask("GET", "/_mapping")
        self.semantic = found.ok and META.encode() in found.body

    def notice(self, call: Call) -> None:
        """Forget what a request may change."""
        if call.method not in {"GET", "HEAD"} and not _HARMLESS & set(parts(call.path)):
            self._pipelines.clear()
            self._semantic.clear()

    # -- pipelines -----------------------------------------------------------------------------------------

    async def pipelines(self, name: str, headers: Headers) -> tuple[str | None, str | None]:
        """Return the default and the final pipeline of an index, an alias, or an index still to come."""
        if name not in self._pipelines:
            settings = await self._settings(name, headers)
            default, final = (settings.get(key) for key in _SETTINGS)
            self._pipelines[name] = (default, final)
        return self._pipelines[name]

    async def _settings(self, name: str, headers: Headers) -> Mapping[str, Any]:
        path = f"/{segment(name)}/_settings"
        found = await self._node.ask("GET", path, query="flat_settings=true", headers=headers)
        if found.status == _MISSING:
            return await self._template(name, headers)
        if not found.ok:  # the write itself will say what is wrong
            return {}
        rows = found.json()
        index = await self._write_index(name, headers) if len(rows) > 1 else next(iter(rows), None)
        settings: Mapping[str, Any] = rows.get(index, {}).get("settings", {})
        return settings

    async def _write_index(self, alias: str, headers: Headers) -> str | None:
        found = (await self._node.ask("GET", f"/_alias/{segment(alias)}", headers=headers)).json()
        writers = [
            index for index, about in found.items() if about["aliases"].get(alias, {}).get("is_write_index")
        ]
        return writers[0] if writers else None

    async def _template(self, name: str, headers: Headers) -> Mapping[str, Any]:
        """Return the settings that an index of that name would be made with."""
        path = f"/_index_template/_simulate_index/{segment(name)}"
        found = await self._node.ask("POST", path, headers=headers)
        settings = found.json().get("template", {}).get("settings", {}) if found.ok else {}
        return {f"index.{key}": value for key, value in settings.get("index", {}).items()}

    # -- semantic_text -------------------------------------------------------------------------------------

    async def semantic_fields(self, name: str, headers: Headers) -> Mapping[str, str]:
        """Return the endpoints of the ``semantic_text`` fields of indices, by path."""
        if name not in self._semantic:
            path = f"/{segment(name)}/_mapping" if name else "/_mapping"
            found = await self._node.ask("GET", path, headers=headers)
            rows = found.json().values() if found.ok else []
            fields: dict[str, str] = {}
            for about in rows:
                fields |= kept(about["mappings"])
            self._semantic[name] = fields
        return self._semantic[name]

    async def using(self, endpoint: str) -> set[str]:
        """Return the indices whose mappings use an endpoint."""
        if not self.semantic:
            return set()
        found = (await self._node.ask("GET", "/_mapping")).json()
        return {index for index, about in found.items() if endpoint in kept(about["mappings"]).values()}


def kept(mappings: Mapping[str, Any]) -> dict[str, str]:
    """Return the endpoints of the ``semantic_text`` fields of a mapping, by path."""
    endpoints: dict[str, str] = (mappings.get("_meta") or {}).get(META, {})
    return endpoints
