"""LangChain hands ``**kwargs`` around: what nobody knows is refused here, not dropped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vectorface.errors import ConfigurationError


def refuse_unknown(options: Mapping[str, Any], *, known: Iterable[str], where: str) -> None:
    """Refuse options that are not among the known ones.

    Args:
        options: What the caller passed.
        known: The names that mean something.
        where: Names the call in the error message, as in ``delete()``.

    Raises:
        ConfigurationError: One of them is unknown.

    Example:
        >>> refuse_unknown({"where": {}}, known=["filter"], where="A search")
        Traceback (most recent call last):
        vectorface.errors.ConfigurationError: A search knows no option 'where'; it takes 'filter'.
    """
    unknown = [name for name in options if name not in set(known)]
    if unknown:
        raise ConfigurationError(f"{where} knows no option {_listed(unknown)}; it takes {_listed(known)}.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
