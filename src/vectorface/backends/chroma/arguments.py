"""What a caller may say about where Chroma is: arguments that fit together, and URLs."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from chromadb.api import ClientAPI

from vectorface.backends.chroma.client import ChromaSettings, Mode
from vectorface.errors import ConfigurationError
from vectorface.indexes import shown_url

_OF_SERVERS: Final = ("ssl", "headers", "tenant", "database", "timeout")
_DEFAULTS: Final = ChromaSettings(index="")


def absolute(path: str | Path) -> str:
    """Return the one spelling of a path: absolute, without ``~`` and links.

    Raises:
        ConfigurationError: It is empty, or ``~`` is nobody's.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"path={path!r:.80} is not a path; pass a str or a pathlib.Path.")
    if not str(path):
        raise ConfigurationError("path='' is empty; pass the directory to keep the data in.")
    try:
        return str(Path(path).expanduser().resolve())
    except (RuntimeError, ValueError) as error:  # nobody's ~, a NUL
        raise ConfigurationError(f"path={str(path)!r}: {error}") from error


def check(settings: ChromaSettings, *, given: Collection[str]) -> None:
    """Check that the settings fit together.

    Args:
        settings: What is to be opened.
        given: Which of ``mode``, ``host`` and ``port`` the caller named.

    Raises:
        ConfigurationError: They contradict each other, or a value is out of range.
    """
    if settings.mode not in get_args(Mode):
        raise ConfigurationError(
            f"mode={settings.mode!r} is unknown; use 'memory', 'persistent' or 'server'."
        )
    changed = [name for name in _OF_SERVERS if getattr(settings, name) != getattr(_DEFAULTS, name)]
    of_server = [name for name in ("host", "port") if name in given] + changed
    if settings.client is not None:
        if not isinstance(settings.client, ClientAPI):
            raise ConfigurationError(
                f"client={settings.client!r:.80} is not a client of Chroma; pass what "
                "chromadb.PersistentClient() or HttpClient() returns (an AsyncHttpClient cannot be used)."
            )
        _refuse_beside_client([*(["mode"] if "mode" in given else []), *_path_of(settings), *of_server])
    elif settings.mode == "persistent" and settings.path is None:
        raise ConfigurationError("mode='persistent' needs path=, the directory to keep the data in.")
    elif settings.mode != "persistent":
        _refuse_elsewhere(_path_of(settings), "persistent", settings.mode)
    if settings.client is None and settings.mode != "server":
        _refuse_mixed(of_server, settings, given)
        _refuse_elsewhere(of_server, "server", settings.mode)
    _check_ranges(settings)


def _path_of(settings: ChromaSettings) -> list[str]:
    return [] if settings.path is None else ["path"]


def _refuse_beside_client(names: list[str]) -> None:
    if names:
        raise ConfigurationError(f"client= is a connection already; leave {_listed(names)} out.")


def _refuse_mixed(of_server: list[str], settings: ChromaSettings, given: Collection[str]) -> None:
    """Refuse what belongs to a server beside a path, where the caller named no mode to speak of."""
    if of_server and settings.path is not None and "mode" not in given:
        raise ConfigurationError(f"Pass {_listed(of_server)} (a server) or path= (a directory), not both.")


def _refuse_elsewhere(names: list[str], home: Mode, mode: Mode) -> None:
    if names:
        verb = "belongs" if len(names) == 1 else "belong"
        raise ConfigurationError(f"{_listed(names)} {verb} to mode={home!r}, not to mode={mode!r}.")


def _listed(names: list[str]) -> str:
    return ", ".join(f"{name}=" for name in names)


def _check_ranges(settings: Any) -> None:
    if not isinstance(settings.host, str) or "/" in settings.host:
        raise ConfigurationError(f"host={settings.host!r} must be a name or an address, not a URL.")
    if type(settings.port) is not int or not 0 < settings.port < 1 << 16:
        raise ConfigurationError(f"port={settings.port!r} must be a number from 1 to 65535.")
    if not isinstance(settings.timeout, int | float) or not settings.timeout > 0:
        raise ConfigurationError(f"timeout={settings.timeout!r} must be a number of seconds above 0.")


# -- URLs -------------------------------------------------------------------------------------------------

_URL_HELP: Final = (
    "write 'chroma:' or 'chroma:PATH', each with '?collection=NAME' where wanted, or "
    "'chroma+http://HOST:PORT/NAME'. In paths and names write %3F for '?', %23 for '#' and %25 for '%'."
)


def of_url(url: str) -> dict[str, Any]:
    """Return the arguments of ``connect`` that a URL stands for.

    Raises:
        ConfigurationError: It is malformed.

    Example:
        >>> of_url("chroma:./data?collection=stories")
        {'path': './data', 'collection': 'stories'}
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # whose text repeats a part of the URL
        raise ConfigurationError(f"{shown_url(url)} is malformed; {_URL_HELP}") from None
    options = parse_qsl(parts.query, keep_blank_values=True)
    unknown = sorted({name for name, _ in options} - {"collection"})
    if unknown or parts.fragment:
        strange = unknown or [f"#{parts.fragment}"]
        raise ConfigurationError(
            f"{shown_url(url)} has unknown options {strange}; {_URL_HELP} Other options go beside the "
            "URL, as in connect(url, timeout=5)."
        )
    if parts.scheme == "chroma":
        if parts.netloc:
            raise ConfigurationError(f"{shown_url(url)} names a host; {_URL_HELP}")
        arguments: dict[str, Any] = {"path": unquote(parts.path)} if parts.path else {"mode": "memory"}
        return {**arguments, **_collection(url, [name for _, name in options])}
    _check_server(parts, url)
    named = [unquote(parts.path.strip("/"))] if parts.path.strip("/") else []
    secure = {"ssl": True, "port": 443} if parts.scheme.endswith("https") else {}
    given = {} if port is None else {"port": port}
    collection = _collection(url, [*named, *(name for _, name in options)])
    return {"host": parts.hostname, **secure, **given, **collection}


def _collection(url: str, names: list[str]) -> dict[str, str]:
    if len(set(names)) > 1 or "" in names:
        fault = "names several collections" if all(names) else "names no collection after 'collection='"
        raise ConfigurationError(f"{shown_url(url)} {fault}; {_URL_HELP}")
    return {"collection": names[0]} if names else {}


def _check_server(parts: SplitResult, url: str) -> None:
    faults = {
        "names no host": not parts.hostname,
        "holds credentials, which belong in headers=": "@" in parts.netloc,
        "names more than a collection": "/" in parts.path.strip("/"),
    }
    for fault, found in faults.items():
        if found:
            raise ConfigurationError(f"{shown_url(url)} {fault}; {_URL_HELP}")
