"""What Elastic's YAML tests use: small models of their own."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, Final

from elasticsearch import Elasticsearch

#: The words of the tiny model in ``TextExpansionQueryIT.java``.
VOCABULARY: Final = "these are my words the washing machine is leaking octopus comforter smells".split()


def put_pytorch(
    client: Elasticsearch, id: str, task: str = "pass_through", words: Iterable[str] = ()
) -> None:
    """Put a model as Eland does: configuration, vocabulary, definition in one part."""
    tokenization = {"bert": {"with_special_tokens": False}}
    client.ml.put_trained_model(
        model_id=id,
        description="simple model for testing",
        model_type="pytorch",
        inference_config={task: {"tokenization": tokenization}},
    )
    client.ml.put_trained_model_vocabulary(model_id=id, vocabulary=["[PAD]", "[UNK]", *words])
    definition = b"no real definition"
    client.ml.put_trained_model_definition_part(
        model_id=id,
        part=0,
        total_definition_length=len(definition),
        total_parts=1,
        definition=base64.b64encode(definition).decode(),
    )


def put_tree(client: Elasticsearch, id: str, task: str = "regression", tags: Iterable[str] = ()) -> None:
    """Put a decision tree of one leaf."""
    leaf: dict[str, Any] = {
        "feature_names": ["field1", "field2"],
        "tree_structure": [{"node_index": 0, "leaf_value": 1}],
    }
    client.ml.put_trained_model(
        model_id=id,
        description="empty model for tests",
        tags=list(tags),
        input={"field_names": ["field1", "field2"]},
        inference_config={task: {}},
        definition={"preprocessors": [], "trained_model": {"tree": {**leaf, "target_type": task}}},
    )
