"""Asking a deployed model for the tokens of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from vectorface.backends.elasticsearch.processors import INPUT_FIELD
from vectorface.backends.elasticsearch.released import platform_free
from vectorface.backends.elasticsearch.server import path_of, time_of
from vectorface.errors import BackendError, ModelError, ModelNotFoundError, TransientError

if TYPE_CHECKING:
    from vectorface.backends.elasticsearch.server import Server

#: Seconds by which we wait longer than the server was told to, so that it is the server that says why.
MARGIN: Final = 10.0
#: Texts of one request; each of them takes a place in the deployment's queue.
_BATCH: Final = 16


def model_behind(server: Server, name: str, *, is_endpoint: bool = False) -> str | None:
    """Return the model that a name stands for: that of a model, an alias, a deployment, an endpoint.

    The model that is optimized for Linux on x86 gives the same tokens as the one for any platform, so it
    counts as the same.

    Args:
        server: Where it is.
        name: The name.
        is_endpoint: Whether it is that of an inference endpoint.

    Returns:
        The id of the model; ``None`` where the server does not tell, for want of a privilege for example.

    Raises:
        ModelNotFoundError: Nothing has this name.
    """
    path = path_of("_inference", name) if is_endpoint else path_of("_ml", "trained_models", name, "_stats")
    try:
        answer = server.request("GET", path, doing=f"looking up {name!r}")
    except ModelNotFoundError:
        raise
    except TransientError:
        raise
    except BackendError:
        return None
    if is_endpoint:
        models = [one.get("service_settings", {}).get("model_id") for one in answer.get("endpoints", ())]
    else:
        models = [one.get("model_id") for one in answer.get("trained_model_stats", ())]
    known = {platform_free(model) for model in models if model}
    return known.pop() if len(known) == 1 else None


def inferred(
    server: Server, name: str, texts: Sequence[str], *, timeout: float, doing: str
) -> list[Mapping[str, Any]]:
    """Return what a model or deployment answers to each text.

    Args:
        server: Where it runs.
        name: Id of the model, or of one of its deployments.
        texts: Any number; 16 go in one request.
        timeout: Seconds for one request; left to itself Elasticsearch waits 10.
        doing: What this is for, for messages.

    Raises:
        VectorfaceError: There is no such model, it is not started, its queue is full, or it took too long.
    """
    found: list[Mapping[str, Any]] = []
    for first in range(0, len(texts), _BATCH):
        answer = server.request(
            "POST",
            path_of("_ml", "trained_models", name, "_infer"),
            params={"timeout": time_of(timeout)},
            body={"docs": [{INPUT_FIELD: text} for text in texts[first : first + _BATCH]]},
            timeout=timeout + MARGIN,
            doing=doing,
        )
        found += answer["inference_results"]
    return found


def weights_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the token weights of an answer.

    Raises:
        ModelError: It holds none.
    """
    weights = result.get("predicted_value")
    if not isinstance(weights, Mapping):  # the model's own configuration names the field otherwise
        weights = next((value for value in result.values() if isinstance(value, Mapping)), None)
    if weights is None:
        raise ModelError("The model's answer holds no token weights; it is no text_expansion model.")
    return {token: float(weight) for token, weight in weights.items()}
