"""What an index is asked to be, and the names it may have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, get_args

from vectorface.errors import ConfigurationError, InvalidIndexNameError
from vectorface.records import Metric

#: What Chroma (3 characters and more, alphanumeric ends) and Elasticsearch (lower case, 255 bytes) both take.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]")


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSpec:
    """An index that is to be made."""

    name: str
    metric: Metric
    dimension: int | None
    fingerprint: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """What every connection is told; each backend adds its own.

    Attributes:
        index: The index to work with.
        metric: How its vectors are compared; ``None`` takes an existing index as it is, and cosine for
            a new one.
        create: Whether to make the index where it does not exist.
    """

    index: str
    metric: Metric | None = None
    create: bool = True
    client: Any = field(default=None, repr=False)

    def same_place(self, other: ConnectionSettings) -> bool:
        """Tell whether both lead to the same server, directory or memory, whichever index they name."""
        return replace(other, index=self.index, metric=self.metric, create=self.create) == self


def checked_index_name(name: object) -> str:
    """Return ``name`` if every backend takes it.

    Raises:
        InvalidIndexNameError: It is not 3 to 255 characters of ``a-z 0-9 . _ -`` with a letter or digit
            at both ends.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidIndexNameError(
            f"The index name {name!r} is not allowed: use 3 to 255 lower-case letters, digits, '.', '_' or "
            "'-', with a letter or digit at both ends, so that it is valid on every backend."
        )
    return name


def checked_metric(metric: object) -> Metric:
    """Return ``metric`` if it is one.

    Raises:
        ConfigurationError: It is not ``cosine``, ``l2`` or ``dot``.
    """
    for known in get_args(Metric):
        if metric == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(f"metric={metric!r} is unknown; use 'cosine', 'l2' or 'dot'.")
