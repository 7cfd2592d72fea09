"""Refuse what is not text before a model sees it."""

from __future__ import annotations

from collections.abc import Iterable

from vectorface.errors import InvalidInputError


def check_texts(texts: Iterable[str]) -> None:
    """Pass if ``texts`` holds valid Unicode strings only.

    Raises:
        InvalidInputError: It is one string, or an item is not a string or holds a lone surrogate.
    """
    if isinstance(texts, str):
        raise InvalidInputError("texts is one string; pass a list of strings, for example [text].")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInputError(f"texts[{position}] is {type(text).__name__}, not str.")
        if not text.isascii():
            _check_unicode(text, position)


def _check_unicode(text: str, position: int) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"texts[{position}] holds half of a surrogate pair at character {error.start}, "
            "so it is not valid Unicode; decode the text with errors='replace'."
        ) from error
