"""What Elastic's YAML tests use: small models of their own, documents with weights and what finds them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, Final

from elasticsearch import Elasticsearch

#: The words of the tiny model in ``TextExpansionQueryIT.java``.
VOCABULARY: Final = "these are my words the washing machine is leaking octopus comforter smells".split()
#: The documents of ``ml/sparse_vector_search.yml`` (x-pack/plugin, REST API tests), with their weights.
PUBLISHED: Final = {
    "my words comforter": {"my": 0.5, "words": 1.0, "comforter": 2.0},
    "the machine is leaking": {"the": 0.5, "machine": 1.0, "is": 0.5, "leaking": 1.0},
    "these are my words": {"these": 0.5, "are": 0.5, "my": 0.5, "words": 1.0},
    "the octopus comforter smells": {"the": 0.5, "octopus": 2.0, "comforter": 2.0, "smells": 1.0},
    "the octopus comforter is leaking": {
        "the": 0.5,
        "octopus": 2.0,
        "comforter": 2.0,
        "is": 0.5,
        "leaking": 1.0,
    },
    "washing machine smells": {"washing": 1.0, "machine": 1.0, "smells": 1.0},
}
#: The query vector of its cases.
PUBLISHED_QUERY: Final = {"the": 0.5, "comforter": 2.0, "smells": 1.0, "bad": 1.0}
#: Its cases for that vector: pruning, how many hits, the best score.
PUBLISHED_CASES: Final[list[tuple[dict[str, Any] | None, int, float]]] = [
    (None, 5, 5.25),
    ({"tokens_freq_ratio_threshold": 1, "tokens_weight_threshold": 0.9}, 3, 4.0),
    (
        {"tokens_freq_ratio_threshold": 1, "tokens_weight_threshold": 0.4, "only_score_pruned_tokens": True},
        3,
        0.25,
    ),
]


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
