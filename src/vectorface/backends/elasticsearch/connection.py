"""Where Elasticsearch is and who asks: checked arguments, URLs, and the clients made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from elastic_transport import OrjsonSerializer
from elasticsearch import AsyncElasticsearch, Elasticsearch

from vectorface.backends.elasticsearch.checks import check_count, check_seconds
from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import ConfigurationError
from vectorface.indexes import ConnectionSettings, checked_flag, checked_secret, shown_url

Credentials = str | tuple[str, str]

_CREDENTIALS: Final = ("api_key", "basic_auth", "bearer_auth")


@dataclass(frozen=True, kw_only=True)
class ElasticsearchSettings(ConnectionSettings):
    """Where and how to connect; see ``ElasticsearchDB.connect`` for each."""

    url: str | tuple[str, ...] | None = None
    cloud_id: str | None = None
    api_key: Credentials | None = field(default=None, repr=False)
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    bearer_auth: str | None = field(default=None, repr=False)
    ca_certs: str | None = None
    verify_certs: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0
    async_client: Any = field(default=None, repr=False)
    shards: int | None = None
    replicas: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    text_field: str = "text"
    refresh: bool = True

    def same_place(self, other: ConnectionSettings) -> bool:
        """Tell whether both lead to the same cluster as the same user."""
        if not isinstance(other, ElasticsearchSettings):
            return False
        own = {
            name: getattr(self, name)
            for name in ("index", "metric", "create", "shards", "replicas", "fields", "text_field", "refresh")
        }
        return replace(other, **own) == self

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of an Elasticsearch client."""
        named: dict[str, Any] = {
            name: value for name in _CREDENTIALS if (value := getattr(self, name)) is not None
        }
        if self.cloud_id is not None:
            named["cloud_id"] = self.cloud_id
        elif self.url is not None:
            named["hosts"] = [self.url] if isinstance(self.url, str) else list(self.url)
        if self.ca_certs is not None:
            named["ca_certs"] = self.ca_certs
        if not self.verify_certs:
            named["verify_certs"] = False
        if self.headers:
            named["headers"] = dict(self.headers)
        return {**named, "serializer": OrjsonSerializer(), "request_timeout": self.timeout}


def server_of(settings: ElasticsearchSettings) -> Server:
    """Return what sends requests as the settings say.

    Raises:
        ConfigurationError: Elasticsearch's client does not take the arguments.
    """
    if settings.client is not None:
        given = settings.async_client
        return Server(
            settings.client, (lambda: given) if given else None, timeout=settings.timeout, is_ours=False
        )
    return Server(
        _made(Elasticsearch, settings),
        lambda: _made(AsyncElasticsearch, settings),
        timeout=settings.timeout,
        is_ours=True,
    )


def _made(client: Callable[..., Any], settings: ElasticsearchSettings) -> Any:
    try:
        return client(**settings.arguments())
    except (TypeError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"Elasticsearch's client refuses the arguments: {_safe(error, settings)}"
        ) from None


def _safe(error: Exception, settings: ElasticsearchSettings) -> str:
    """Return what an error says without the secrets that it may repeat."""
    text = str(error)
    secrets: list[str] = []
    for name in _CREDENTIALS:
        value = getattr(settings, name)
        secrets += [value] if isinstance(value, str) else [str(part) for part in value or ()]
    for secret in secrets:
        text = text.replace(secret, "…") if secret else text
    return text


def check(settings: ElasticsearchSettings, *, given: Sequence[str]) -> None:
    """Check that the settings fit together.

    Args:
        settings: What is to be opened.
        given: Which of the arguments that say where the caller named.

    Raises:
        ConfigurationError: They contradict each other, or a value is of the wrong kind.
    """
    _check_where(settings, given)
    _check_who(settings)
    for name, value, least in (("shards", settings.shards, 1), ("replicas", settings.replicas, 0)):
        if value is not None:
            check_count(name, value, least=least)
    check_seconds("timeout", settings.timeout)
    if settings.ca_certs is not None and not os.path.exists(settings.ca_certs):  # noqa: PTH110 - Path refuses NUL
        raise ConfigurationError(f"ca_certs={settings.ca_certs!r:.200}: there is no such file or folder.")
    for flag in ("verify_certs", "refresh"):
        checked_flag(flag, getattr(settings, flag))
    _check_fields(settings.fields)


def _check_fields(fields: object) -> None:
    if not isinstance(fields, Mapping) or not all(isinstance(name, str) for name in fields):
        raise ConfigurationError("fields must be a dict of names and types, as in {'chapter': 'integer'}.")
    for name, kind in fields.items():
        if not isinstance(kind, str | Mapping):
            raise ConfigurationError(
                f"fields: {name!r:.80} has the type {kind!r:.80}; name one, as in {{'chapter': 'integer'}}, "
                "or pass the whole mapping, as in {'chapter': {'type': 'integer', 'coerce': False}}."
            )


def _check_where(settings: ElasticsearchSettings, given: Sequence[str]) -> None:
    if settings.client is not None:
        if not isinstance(settings.client, Elasticsearch):
            raise ConfigurationError(
                f"client={shown_url(settings.client):.80} is not an elasticsearch.Elasticsearch; an "
                "AsyncElasticsearch goes beside it as async_client=."
            )
        if given:
            raise ConfigurationError(
                f"client= is a connection already; leave {', '.join(f'{name}=' for name in given)} out."
            )
    elif settings.async_client is not None:
        raise ConfigurationError("async_client= goes with client=; without one both are made here.")
    elif settings.url is not None and settings.cloud_id is not None:
        raise ConfigurationError("Pass url= or cloud_id=, not both.")
    elif settings.url is None and settings.cloud_id is None:
        raise ConfigurationError(
            "Say where Elasticsearch is: url='http://localhost:9200', cloud_id=, or client=."
        )
    urls = settings.url if isinstance(settings.url, tuple) else (settings.url,)
    for url in urls:
        if url is not None:
            _check_url(url)


def _check_url(url: object) -> None:
    if not isinstance(url, str):
        raise ConfigurationError(f"url={shown_url(url):.80} must be text, as in 'http://localhost:9200'.")
    parts = _split(url, _ADDRESS_HELP)
    if "@" in parts.netloc:
        raise ConfigurationError("url= holds credentials, which belong in basic_auth= or api_key=.")
    # A query or fragment would be left out of each request without a word.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"url={shown_url(url):.80}: {_ADDRESS_HELP}")


def _check_who(settings: ElasticsearchSettings) -> None:
    named = [name for name in _CREDENTIALS if getattr(settings, name) is not None]
    if len(named) > 1:
        raise ConfigurationError(f"Pass one of {', '.join(f'{name}=' for name in named)}, not several.")
    if settings.basic_auth is not None and not _is_pair(settings.basic_auth):
        raise ConfigurationError("basic_auth must be a pair (user, password) of text.")
    if settings.api_key is not None and not _is_pair(settings.api_key):
        checked_secret("api_key", settings.api_key)
    if settings.bearer_auth is not None:
        checked_secret("bearer_auth", settings.bearer_auth)


def _is_pair(value: object) -> bool:
    match value:
        case (str(), str()):
            return True
        case _:
            return False


def with_port(url: str) -> str:
    """Return a URL with the port that Elasticsearch listens on where it names none.

    Raises:
        ConfigurationError: It is malformed.

    Example:
        >>> with_port("http://localhost"), with_port("https://example.org")
        ('http://localhost:9200', 'https://example.org:443')
    """
    parts = _split(url, _ADDRESS_HELP)
    if parts.port is not None or not parts.hostname:
        return url
    port = 443 if parts.scheme == "https" else 9200
    return parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:{port}").geturl()


# -- URLs -------------------------------------------------------------------------------------------------

_ADDRESS_HELP: Final = (
    "write 'http://HOST:PORT' or 'https://HOST:PORT', with credentials in basic_auth= or api_key=."
)
_URL_HELP: Final = (
    "write 'elasticsearch://HOST:PORT/INDEX', or 'elasticsearch+elser://…', 'elasticsearch+bm25://…', "
    "'elasticsearch+hybrid://…'; with '?tls=true' for HTTPS."
)


def of_url(url: str) -> tuple[str, dict[str, Any]]:
    """Return the strategy that a URL names, and the arguments of ``connect`` that it stands for.

    Raises:
        ConfigurationError: It is malformed.

    Example:
        >>> of_url("elasticsearch+elser://search.example:9200/stories?tls=true")
        ('elser', {'url': 'https://search.example:9200', 'index': 'stories'})
    """
    parts = _split(url, _URL_HELP)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    tls = options.pop("tls", "false")
    index = unquote(parts.path.strip("/"))
    faults = {
        "names no host": not parts.hostname,
        "holds credentials, which belong in api_key= or basic_auth=": "@" in parts.netloc,
        "names more than an index": "/" in index,
        f"has unknown options {sorted(options)}": bool(options),
        "says neither tls=true nor tls=false": tls not in {"true", "false"},
    }
    for fault, found in faults.items():
        if found:
            raise ConfigurationError(
                f"{shown_url(url)} {fault}; {_URL_HELP} Other options go beside the URL, as in connect(url, "
                "api_key=...)."
            )
    address = _address(parts, "https" if tls == "true" else "http")
    strategy = parts.scheme.partition("+")[2] or "dense"
    return strategy, {"url": address, **({"index": index} if index else {})}


def _split(url: str, usage: str) -> SplitResult:
    """Return the parts of a URL whose host and port can be read.

    Raises:
        ConfigurationError: They cannot.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # looked at only when asked for
    except ValueError:  # whose text may repeat a password: 'http://user:pass/word@host' has the port 'pass'
        raise ConfigurationError(
            f"{shown_url(url)} is malformed: a port is a number up to 65535, and the address of an IPv6 host "
            f"stands in brackets; {usage}"
        ) from None
    return parts


def _address(parts: SplitResult, scheme: str) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return with_port(f"{scheme}://{host}" + ("" if parts.port is None else f":{parts.port}"))
