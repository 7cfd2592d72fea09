"""The ingest processors that give a document its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from vectorface.backends.elasticsearch.layout import TEXT, TOKENS
from vectorface.backends.elasticsearch.released import ELSER_2

#: The model of whoever names none.
MODEL_ID: Final = ELSER_2
#: Elastic's packages read this field (its guide, "ELSER", download by the API).
INPUT_FIELD: Final = "text_field"
#: ELSER reads so many tokens of a text, two of them its frame (Elastic's guide, "ELSER", limitations).
MAX_TOKENS: Final = 512
#: Where the model's answer lies for a moment. Elasticsearch notes model and truncation beside the tokens,
#: which would overwrite fields of the document that are called the same, or be refused by a strict mapping.
_ASIDE: Final = "vectorface_elser"

#: Processors that a document cannot do without, if it is to be found.
_NEEDED: Final = ("inference", "pipeline")


def elser_processors(
    *,
    model_id: str = MODEL_ID,
    text_field: str = TEXT,
    tokens_field: str = TOKENS,
    allow_missing_text: bool = False,
) -> list[dict[str, Any]]:
    """Return the processors that expand one field into tokens, however often a document passes them.

    Args:
        model_id: The model, a deployment or an inference endpoint.
        text_field: What is read.
        tokens_field: Where the tokens go; whatever is there is replaced.
        allow_missing_text: Let documents without the text pass.
    """
    inference: dict[str, Any] = {
        "model_id": model_id,
        "input_output": [{"input_field": text_field, "output_field": f"{_ASIDE}.tokens"}],
    }
    if allow_missing_text:
        inference["ignore_missing"] = True
    tokens = {"field": f"{_ASIDE}.tokens", "target_field": tokens_field, "ignore_missing": allow_missing_text}
    return [
        {"remove": {"field": [tokens_field, _ASIDE], "ignore_missing": True}},
        {"inference": inference},
        {"rename": tokens},
        {"remove": {"field": _ASIDE, "ignore_missing": True}},
    ]


def hiding(definition: Mapping[str, Any]) -> Iterator[str]:
    """Yield what in a pipeline makes failures look like success; a handler that ends in ``fail`` does not."""
    if _swallows(definition.get("on_failure")):
        yield "the pipeline has an on_failure that does not fail in the end"
    for kind, options in processors_of(definition):
        if kind in _NEEDED and options.get("ignore_failure") is True:
            yield f"its {kind} processor has ignore_failure"
        if kind in _NEEDED and _swallows(options.get("on_failure")):
            yield f"its {kind} processor has an on_failure that does not fail in the end"


def _swallows(handlers: Sequence[Mapping[str, Any]] | None) -> bool:
    return handlers is not None and len(handlers) > 0 and "fail" not in handlers[-1]


def processors_of(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield kind and options of each processor of a pipeline."""
    for processor in definition.get("processors", ()):
        yield from processor.items()
