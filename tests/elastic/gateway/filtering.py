"""``filter_path``: only some fields of an answer.

Source: ``docs/reference/api-conventions.asciidoc`` (response filtering),
``libs/x-content/.../FilterPath.java``.
"""

from __future__ import annotations

import fnmatch
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]


def filtered(body: Any, expression: str) -> Any:
    """Return the parts of a body that the paths name; paths with a minus are left out."""
    given = [part for part in expression.split(",") if part]
    kept: list[Path] = [tuple(part.split(".")) for part in given if not part.startswith("-")]
    dropped: list[Path] = [tuple(part[1:].split(".")) for part in given if part.startswith("-")]
    found = _kept(body, kept) if kept else body
    found = _dropped(found, dropped) if dropped else found
    return {} if found is None else found


def _steps(paths: list[Path], key: str) -> list[Path]:
    """Return what is left of the paths below a key; an empty path takes everything."""
    left: list[Path] = []
    for path in paths:
        if path[0] == "**":
            left += [path, *_steps([path[1:]], key)] if len(path) > 1 else [()]
        elif fnmatch.fnmatchcase(key, path[0]):
            left.append(path[1:])
    return left


def _kept(body: Any, paths: list[Path]) -> Any:
    if isinstance(body, list):
        return [found for one in body if (found := _kept(one, paths)) is not None] or None
    if not isinstance(body, dict):
        return None
    found = {}
    for key, value in body.items():
        left = _steps(paths, key)
        below = value if () in left else _kept(value, left) if left else None
        if below is not None or () in left:
            found[key] = below
    return found or None


def _dropped(body: Any, paths: list[Path]) -> Any:
    if isinstance(body, list):
        return [_dropped(one, paths) for one in body]
    if not isinstance(body, dict):
        return body
    found = {}
    for key, value in body.items():
        left = _steps(paths, key)
        if () not in left:
            found[key] = _dropped(value, left) if left else value
    return found
