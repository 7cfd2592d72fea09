"""What an index is asked to be, and the names it may have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from inspect import signature
from typing import Any, Final, get_args

from vectorface.errors import ConfigurationError, InvalidIndexNameError
from vectorface.records import Metric

#: What Chroma (3 characters and more, alphanumeric ends) and Elasticsearch (lower case, 255 bytes) both take.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]")
#: RFC 9110, sections 5.1 and 5.5, with ASCII values.
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"(?:[!-~](?:[ \t!-~]*[!-~])?)?")
#: A slash is asked for, as 'elastic:' of 'elastic:password@host' would be a scheme otherwise.
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")
_PARAMETER: Final = re.compile(r"([?&;#][^=&]*=)[^&]*")


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

    def check(self) -> None:
        """Check what every connection is told.

        Raises:
            InvalidIndexNameError: The index's name is no text, or empty.
            ConfigurationError: The metric is unknown, or ``create`` neither true nor false.
        """
        name: object = self.index
        if not isinstance(name, str) or not name:
            raise InvalidIndexNameError(f"{name!r:.80} is not the name of an index; pass text.")
        if self.metric is not None:
            checked_metric(self.metric)
        checked_flag("create", self.create)

    def same_place(self, other: ConnectionSettings) -> bool:
        """Tell whether both lead to the same server, directory or memory, whichever index they name."""
        return replace(other, index=self.index, metric=self.metric, create=self.create) == self


def beside(
    said: Mapping[str, Any], options: Mapping[str, Any], connect: Callable[..., Any]
) -> dict[str, Any]:
    """Join what a URL says with the options beside it.

    Args:
        said: Arguments of ``connect`` that the URL stands for.
        options: Further ones.
        connect: The backend's method.

    Raises:
        ConfigurationError: ``connect`` has no such option, or the URL says it already.

    Example:
        >>> def connect(self, *, index: str, create: bool = True): ...
        >>> beside({"index": "stories"}, {"create": False}, connect)
        {'index': 'stories', 'create': False}
    """
    known = [name for name in signature(connect).parameters if name != "self"]
    for name in options:
        if name not in known:
            [alike] = get_close_matches(name, known, n=1) or [""]
            hint = f" Did you mean {alike!r}?" if alike else ""
            raise ConfigurationError(f"connect() has no option {name!r}; it takes {', '.join(known)}.{hint}")
        if name in said:
            raise ConfigurationError(f"{name}={options[name]!r:.80}: the URL says {said[name]!r} already.")
    return {**said, **options}


def shown_url(url: object) -> str:
    """Quote what was given as a URL, however malformed, without the secrets that it may hold.

    What stands before the last ``@`` is left out, except for the scheme, and so is the value of each query
    parameter.

    Example:
        >>> print(shown_url("https://nan:secret@box:9200/stories?api_key=secret"))
        'https://…@box:9200/stories?api_key=…'
    """
    text = url if isinstance(url, str) else repr(url)
    head, at, place = text.rpartition("@")
    if at:
        scheme = _SCHEME.match(head)
        # After a '?' the '@' may be part of a parameter's value, whose rest is as secret as its beginning.
        text = f"{scheme[0] if scheme else ''}…" + ("" if "?" in head else f"@{place}")
    shown = _PARAMETER.sub(r"\1…", text)
    return repr(shown) if isinstance(url, str) else shown


def checked_index_name(name: object) -> str:
    """Return ``name`` if every backend takes it.

    Raises:
        InvalidIndexNameError: It is not 3 to 255 characters of ``a-z 0-9 . _ -`` with a letter or digit
            at both ends.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidIndexNameError(
            f"The index name {shown_url(name)} is not allowed: use 3 to 255 lower-case letters, digits, '.', "
            "'_' or '-', with a letter or digit at both ends, so that it is valid on every backend."
        )
    return name


def checked_flag(name: str, value: object) -> bool:
    """Return ``value`` if it is true or false: a text such as ``"no"`` would count as true.

    Raises:
        ConfigurationError: It is neither.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}={value!r:.80} must be True or False.")
    return value


def checked_headers(headers: Any) -> dict[str, str]:
    """Return the headers of each request; in an error no value is repeated, as it may be a secret.

    Raises:
        ConfigurationError: No request can carry them.
    """
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError("headers must be a dict, as in {'Authorization': 'Bearer ...'}.")
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"headers: {name!r:.80} is not the name of an HTTP header.")
        checked_secret(f"headers: the value of {name!r}", value)
    return dict(headers or {})


def checked_secret(name: str, value: object) -> str:
    """Return what is sent in a header if it can be; the error does not repeat it.

    Raises:
        ConfigurationError: It is no line of ASCII text, as when a token was read with its line end.
    """
    if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
        raise ConfigurationError(
            f"{name} is not one line of ASCII text without blanks around it; take .strip() of a token that "
            "was read from a file."
        )
    return value


def checked_metric(metric: object) -> Metric:
    """Return ``metric`` if it is one.

    Raises:
        ConfigurationError: It is not ``cosine``, ``l2`` or ``dot``.
    """
    for known in get_args(Metric):
        if metric == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(f"metric={metric!r} is unknown; use 'cosine', 'l2' or 'dot'.")
