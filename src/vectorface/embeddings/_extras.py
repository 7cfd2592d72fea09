"""Import an optional package, or say how to install it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from vectorface.errors import MissingExtraError


def require(module: str, *, extra: str, needed_by: str) -> Any:
    """Import ``module``, which the extra ``extra`` of vectorface installs.

    Raises:
        MissingExtraError: It cannot be imported; the message has the pip command.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{needed_by} needs the package {module}, which cannot be imported ({error}). "
            f"Install it: pip install 'vectorface[{extra}]'"
        ) from error
