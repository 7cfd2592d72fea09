"""What may be passed as an embedding function, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from vectorface import ChromaDB, InMemoryDB
from vectorface.encoding import DenseEncoder
from vectorface.errors import ConfigurationError


@pytest.mark.parametrize("backend", [InMemoryDB, ChromaDB])
def test_a_class_in_place_of_an_instance_is_refused_at_once(backend: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"pass an instance: DeterministicFakeEmbedding\(\.\.\.\)\.$"
    ):
        backend(DeterministicFakeEmbedding)


EMBEDDINGS: dict[str, Any] = {"name": "openai", "number": 7, "class": dict, "object": object()}


@pytest.mark.parametrize("embeddings", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_what_does_not_embed_is_refused(embeddings: Any) -> None:
    with pytest.raises(ConfigurationError, match="is not an embedding function; pass 'minilm', None, or"):
        DenseEncoder(embeddings)


def test_a_query_of_text_without_an_embedding_names_no_backend() -> None:
    with pytest.raises(ConfigurationError, match="embeddings='minilm'") as caught:
        DenseEncoder(None).encode_query("the lamp")
    assert "DB" not in str(caught.value)
