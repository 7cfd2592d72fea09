"""What goes into a model and what comes out of it.

Source: ``x-pack/plugin/ml/.../inference/deployment/NlpInferenceInput.java``,
``x-pack/plugin/core/.../ml/inference/results/TextExpansionResults.java``, ``NlpInferenceResults.java``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.elastic.gateway.encoder import Expansion
from tests.elastic.gateway.errors import bad_request, illegal_argument
from tests.elastic.gateway.models import Model


def document_input(model: Model, doc: object) -> str:
    """Return the text of a document (``NlpInferenceInput.extractInput``)."""
    if not isinstance(doc, dict):
        raise illegal_argument("Failed to parse object: expecting token of type [START_OBJECT]")
    return model_input(model, doc)


def model_input(model: Model, doc: Mapping[str, Any]) -> str:
    """Return the text in the field that the model reads."""
    name = model.config["input"]["field_names"][0]
    value: Any = doc
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        raise bad_request(f"Input field [{name}] does not exist in the source document")
    if not isinstance(value, str):
        raise bad_request(f"Input value [{value}] for field [{name}] must be a string")
    return value


def results_field(model: Model, update: Mapping[str, Any] | None) -> str:
    if update is not None and set(update) != {model.task}:
        kind = next(iter(update), "")
        raise bad_request(
            f"Inference config of type [{model.task}] can not be updated with a inference request of type "
            f"[{kind}]"
        )
    configured = (model.config.get("inference_config") or {}).get(model.task) or {}
    asked = (update or {}).get(model.task) or {}
    return str(asked.get("results_field") or configured.get("results_field") or "predicted_value")


def result(model: Model, field: str, expansion: Expansion) -> dict[str, Any]:
    """Return an inference result; only what was cut off says so (``NlpInferenceResults``)."""
    value: Any = expansion.tokens if model.task == "text_expansion" else [list(expansion.tokens.values())]
    return {field: value, **({"is_truncated": True} if expansion.truncated else {})}
