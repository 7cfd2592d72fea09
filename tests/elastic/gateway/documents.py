"""Documents on their way through a pipeline: fields by path, metadata, templates.

Source: ``server/.../ingest/IngestDocument.java`` (paths and their errors), ``modules/lang-mustache``
(templates, of which only ``{{path}}`` is here).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tests.elastic.gateway.errors import ElasticError, illegal_argument
from tests.elastic.gateway.values import timestamp

_TEMPLATE: Final = re.compile(r"\{\{\{?\s*([\w.@\-]+)\s*\}?\}\}")
_METADATA: Final = (
    "_index",
    "_id",
    "_routing",
    "_version",
    "_version_type",
    "_if_seq_no",
    "_if_primary_term",
)
_JAVA: Final[Mapping[type, str]] = {
    str: "java.lang.String",
    bool: "java.lang.Boolean",
    int: "java.lang.Integer",
    float: "java.lang.Double",
    dict: "java.util.HashMap",
    list: "java.util.ArrayList",
}


class Document:
    """A document, its metadata, and what the pipeline knows of itself under ``_ingest``."""

    def __init__(self, source: dict[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        self.source = source
        self.metadata = dict(metadata or {})
        self.ingest: dict[str, Any] = {"timestamp": timestamp()}
        self.dropped = False

    def _root(self, path: str) -> tuple[Any, list[str]]:
        if not path:
            raise illegal_argument("path cannot be null nor empty")
        if path in _METADATA:
            return self.metadata, [path]
        first, _, rest = path.partition(".")
        if first == "_source" and rest:
            return self.source, rest.split(".")
        if first == "_ingest":
            return {"_ingest": self.ingest}, path.split(".")
        return self.source, path.split(".")

    def get(self, path: str) -> Any:
        """Return a field's value.

        Raises:
            ElasticError: There is none.
        """
        found, steps = self._root(path)
        for step in steps:
            found = _step(found, step, path)
        return found

    def has(self, path: str) -> bool:
        try:
            self.get(path)
        except ElasticError:
            return False
        return True

    def text(self, path: str, *, ignore_missing: bool) -> str | None:
        """Return a text field's value; missing or null is None if that is allowed."""
        value = None if ignore_missing and not self.has(path) else self.get(path)
        if value is not None and not isinstance(value, str):
            raise illegal_argument(
                f"field [{path}] of type [{java_type(value)}] cannot be cast to [java.lang.String]"
            )
        return value

    def set(self, path: str, value: Any) -> None:
        """Set a field, making the objects on the way to it."""
        at, steps = self._root(path)
        for step in steps[:-1]:
            at = at.setdefault(step, {}) if isinstance(at, dict) else _step(at, step, path)
        _put(at, steps[-1], value, path)

    def add(self, path: str, value: Any) -> None:
        """Set a field, or append to what is there (``InferenceResults.setOrAppendValue``)."""
        if not self.has(path):
            self.set(path, value)
            return
        before = self.get(path)
        self.set(path, [*before, value] if isinstance(before, list) else [before, value])

    def remove(self, path: str) -> None:
        at, steps = self._root(path)
        for step in steps[:-1]:
            at = _step(at, step, path)
        _step(at, steps[-1], path)
        if isinstance(at, list):
            del at[int(steps[-1])]
        else:
            del at[steps[-1]]

    def rendered(self, template: Any) -> Any:
        """Return a value with its templates filled in; a field that is missing is an empty text."""
        if isinstance(template, str):
            return _TEMPLATE.sub(lambda found: self._as_text(found[1]), template)
        if isinstance(template, list):
            return [self.rendered(one) for one in template]
        if isinstance(template, dict):
            return {self.rendered(key): self.rendered(value) for key, value in template.items()}
        return template

    def _as_text(self, path: str) -> str:
        if not self.has(path):
            return ""
        value = self.get(path)
        return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def java_type(value: object) -> str:
    return _JAVA.get(type(value), "java.lang.Object")


def _step(at: Any, step: str, path: str) -> Any:
    if at is None:
        raise illegal_argument(f"cannot resolve [{step}] from null as part of path [{path}]")
    if isinstance(at, dict):
        if step not in at:
            raise illegal_argument(f"field [{step}] not present as part of path [{path}]")
        return at[step]
    if isinstance(at, list):
        return at[_position(at, step, path)]
    raise illegal_argument(
        f"cannot resolve [{step}] from object of type [{java_type(at)}] as part of path [{path}]"
    )


def _position(at: list[Any], step: str, path: str) -> int:
    if not step.isdigit():
        raise illegal_argument(
            f"[{step}] is not an integer, cannot be used as an index as part of path [{path}]"
        )
    if int(step) >= len(at):
        raise illegal_argument(
            f"[{step}] is out of bounds for array with length [{len(at)}] as part of path [{path}]"
        )
    return int(step)


def _put(at: Any, step: str, value: Any, path: str) -> None:
    if isinstance(at, dict):
        at[step] = value
    elif isinstance(at, list):
        at[_position(at, step, path)] = value
    else:
        raise illegal_argument(
            f"cannot set [{step}] with parent object of type [{java_type(at)}] as part of path [{path}]"
        )
