"""Arguments of strategies, and of what manages models, pipelines and tasks: refused before anything is sent.

The rules for models are Elastic's own: ``StartTrainedModelDeploymentAction.Request.validate``,
``PutTrainedModelAliasAction`` and ``MlStrings`` (x-pack/plugin/core).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from math import inf, isinf
from threading import TIMEOUT_MAX
from typing import Final, TypeGuard

from vectorface.errors import ConfigurationError

_MOST_THREADS: Final = 32
#: What Elasticsearch would read as several things, or as another path.
_UNSAFE: Final = re.compile(r"[\s/\\,*?#\"<>|\x00]")
_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9_\-.]*[a-z0-9])?")
_ALIAS: Final = re.compile(r"[a-z0-9](?:[a-z0-9_\-.]*[a-z])?")
_LONGEST_ID: Final = 64


def check_model_id(value: object) -> None:
    """Check the id of a model, which Elastic's own begin with a dot.

    Raises:
        ConfigurationError: Elasticsearch would refuse it.
    """
    check_name("model_id", value)
    _check_shape("model_id", str(value).removeprefix("."), str(value))


def check_deployment_id(value: object) -> None:
    """Check the id of a new deployment.

    Raises:
        ConfigurationError: It is no text of lower-case letters, digits, ``_``, ``-`` and ``.``, at most 64.
    """
    check_name("deployment_id", value)
    _check_shape("deployment_id", str(value), str(value))


def check_name(name: str, value: object) -> None:
    """Check what is to name one thing in a path.

    Raises:
        ConfigurationError: It is empty, no text, or Elasticsearch would read it as something else.
    """
    check_text(name, value)
    if _UNSAFE.search(str(value)) or value in {".", "..", "_all"}:
        raise ConfigurationError(
            f"{name}={value!r:.80} must name one thing: no blanks, slashes, commas or stars, and not '_all'."
        )


def _check_shape(name: str, shape: str, value: str) -> None:
    if not _ID.fullmatch(shape) or len(value) > _LONGEST_ID:
        raise ConfigurationError(
            f"{name}={value!r:.80} must be at most {_LONGEST_ID} lower-case letters, digits, '_', '-', '.', "
            "and begin and end with a letter or digit."
        )


def check_alias(alias: object, model_id: str) -> None:
    """Check another name for a model.

    Raises:
        ConfigurationError: Elasticsearch would refuse it.
    """
    check_name("alias", alias)
    if alias == model_id:
        raise ConfigurationError(f"alias={alias!r} is the model's own id; choose another name.")
    if not _ALIAS.fullmatch(str(alias)):
        raise ConfigurationError(
            f"alias={alias!r:.80} must be lower-case letters, digits, '_', '-', '.', begin with a letter or "
            "digit and end with a letter (Elasticsearch keeps names that end in digits for model ids)."
        )


def check_count(name: str, value: object, *, least: int = 1, most: int | None = None) -> None:
    """Check an argument that counts something.

    Raises:
        ConfigurationError: It is no whole number in that range.
    """
    if type(value) is not int or value < least or (most is not None and value > most):
        limit = f"from {least:,} to {most:,}" if most is not None else f"of at least {least:,}"
        raise ConfigurationError(f"{name}={value!r:.40} must be a whole number {limit}.")


def check_threads(threads: object) -> None:
    """Check the threads of an allocation.

    Raises:
        ConfigurationError: They are no power of two up to 32.
    """
    check_count("threads", threads, most=_MOST_THREADS)
    if int(str(threads)).bit_count() != 1:
        raise ConfigurationError(f"threads={threads} must be a power of two: 1, 2, 4, 8, 16 or 32.")


def check_one_of(name: str, value: object, known: Collection[str]) -> None:
    """Check an argument that is one of a few words.

    Raises:
        ConfigurationError: It is not.
    """
    if value not in known:
        raise ConfigurationError(f"{name}={value!r:.40} is unknown; use {', '.join(map(repr, known))}.")


def check_text(name: str, value: object) -> None:
    """Check an argument that is a name.

    Raises:
        ConfigurationError: It is no text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name}={value!r:.80} must be text that is not empty.")


def check_range(name: str, value: object, *, least: float, most: float = inf) -> None:
    """Check an argument that is a number between two others, both included.

    Raises:
        ConfigurationError: It is no finite number in that range.
    """
    if not _is_number(value) or not least <= value <= most:
        end = "" if isinf(most) else f" to {most:g}"
        raise ConfigurationError(f"{name}={value!r:.80} must be a number from {least:g}{end}.")


def check_positive(name: str, value: object, *, kind: str = "a number", most: float = inf) -> None:
    """Check an argument that is a number above 0.

    Raises:
        ConfigurationError: It is no finite number, not above 0, or above ``most``.
    """
    if not _is_number(value) or not 0 < value <= most:
        end = "" if isinf(most) else f" and at most {most:.0f}"
        raise ConfigurationError(f"{name}={value!r:.80} must be {kind} above 0{end}.")


def check_seconds(name: str, value: object, *, optional: bool = False) -> None:
    """Check an argument that is a time; an immense one is none that a socket could wait.

    Raises:
        ConfigurationError: It is not a number above 0, or more than threads can wait.
    """
    if value is not None or not optional:
        check_positive(name, value, kind="a number of seconds", most=TIMEOUT_MAX)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) != inf
