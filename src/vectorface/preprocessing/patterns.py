"""Regular expressions as callers give them: strings, compiled patterns, or several of either."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from vectorface.errors import ConfigurationError

#: One regular expression. A string is compiled with ``re.MULTILINE``: ``^`` and ``$`` stand for line ends.
Regex: TypeAlias = str | re.Pattern[str]


def compile_pattern(pattern: Regex, *, option: str) -> re.Pattern[str]:
    """Compile one pattern of the option named.

    Args:
        pattern: A string or a compiled pattern, returned as it is.
        option: The option it came in by, for the message.

    Returns:
        The compiled pattern; it never matches the empty string.

    Raises:
        ConfigurationError: It is no text pattern, has a syntax error, or matches the empty string.

    Example:
        >>> compile_pattern("^Page [0-9]+$", option="noise").search("Page 7").group()
        'Page 7'
    """
    compiled = _compile(pattern, option)
    if compiled.search(""):
        raise ConfigurationError(
            f"{option}: the pattern {compiled.pattern!r} matches the empty string, so it would match "
            "everywhere; make it require at least one character."
        )
    return compiled


def compile_patterns(patterns: Regex | Iterable[Regex], *, option: str) -> tuple[re.Pattern[str], ...]:
    """Compile one pattern or several; see :func:`compile_pattern`.

    Example:
        >>> len(compile_patterns(("^a$", "^b$"), option="noise"))
        2
    """
    if isinstance(patterns, str | re.Pattern):
        patterns = (patterns,)
    if not isinstance(patterns, Iterable):
        raise ConfigurationError(
            f"{option}: expected a regular expression or several, got {type(patterns).__name__}; "
            "pass () for none."
        )
    return tuple(compile_pattern(pattern, option=option) for pattern in patterns)


def _compile(pattern: Regex, option: str) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    if not isinstance(pattern, str):
        raise ConfigurationError(
            f"{option}: expected a str or a compiled text pattern, got {type(pattern).__name__} {pattern!r}."
        )
    try:
        return re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise ConfigurationError(
            f"{option}: {pattern!r} is not a regular expression: {error}; "
            "use re.escape() to match a text literally."
        ) from error
