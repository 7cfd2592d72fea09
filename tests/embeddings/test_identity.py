from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, FakeEmbeddings

from vectorface.embeddings import EmbeddingIdentity, identify


def stand_in(class_name: str, **attributes: Any) -> object:
    """An object that looks like an integration's embedding, and fails when it is called."""

    def refuse(*_: object) -> list[float]:
        raise AssertionError("identify() must not call the model")

    return type(class_name, (), {"embed_documents": refuse, "embed_query": refuse, **attributes})()


class Secret:
    """As pydantic's SecretStr: not a str."""


@pytest.mark.parametrize(
    ("embeddings", "name", "dimension"),
    [
        (
            stand_in("OpenAIEmbeddings", model="text-embedding-3-small", deployment="x", dimensions=None),
            "OpenAIEmbeddings:text-embedding-3-small",
            None,
        ),
        (
            stand_in("OpenAIEmbeddings", model="text-embedding-3-large", dimensions=256),
            "OpenAIEmbeddings:text-embedding-3-large",
            256,
        ),
        (
            stand_in("HuggingFaceEmbeddings", model_name="BAAI/bge-small-en-v1.5"),
            "HuggingFaceEmbeddings:BAAI/bge-small-en-v1.5",
            None,
        ),
        (
            stand_in("BedrockEmbeddings", model_id="amazon.titan-embed-text-v2:0"),
            "BedrockEmbeddings:amazon.titan-embed-text-v2:0",
            None,
        ),
        (stand_in("AzureEmbeddings", deployment="my-deployment"), "AzureEmbeddings:my-deployment", None),
        (stand_in("EndpointEmbeddings", model=None, repo_id="org/name"), "EndpointEmbeddings:org/name", None),
        (
            stand_in("LlamaCppEmbeddings", model_path="/home/alice/bge.gguf"),
            "LlamaCppEmbeddings:bge.gguf",
            None,
        ),
        (stand_in("LlamaCppEmbeddings", model_path="./models/bge.gguf"), "LlamaCppEmbeddings:bge.gguf", None),
        (
            stand_in("LlamaCppEmbeddings", model_path="C:\\models\\bge.gguf"),
            "LlamaCppEmbeddings:bge.gguf",
            None,
        ),
        (stand_in("Wrapper", model=object(), size=True), "Wrapper", None),
        (FakeEmbeddings(size=7), "FakeEmbeddings", 7),
        (DeterministicFakeEmbedding(size=6), "DeterministicFakeEmbedding", 6),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_name_is_class_and_model(embeddings: object, name: str, dimension: int | None) -> None:
    assert identify(embeddings) == EmbeddingIdentity(name=name, weights=None, dimension=dimension)


def test_an_object_that_knows_its_identity_is_believed() -> None:
    own = EmbeddingIdentity(name="mine", weights="00" * 32, dimension=3)
    assert identify(stand_in("Mine", identity=own, model="other")) is own


def test_an_identity_of_another_kind_is_not_ours() -> None:
    assert identify(stand_in("Cloud", identity="user@example.org")).name == "Cloud"


def test_a_cache_is_what_it_caches() -> None:
    inner = stand_in("OpenAIEmbeddings", model="small")
    assert identify(stand_in("CacheBackedEmbeddings", underlying_embeddings=inner)) == identify(inner)


def test_no_secret_gets_into_the_name() -> None:
    embeddings = stand_in(
        "EndpointEmbeddings",
        model="https://alice:hunter2@models.example:8080/bge/?token=hunter2#hunter2",
        api_key="hunter2",
        openai_api_key=Secret(),
    )
    assert identify(embeddings).name == "EndpointEmbeddings:models.example:8080/bge"


def test_an_identity_is_a_frozen_value() -> None:
    with pytest.raises(AttributeError):
        EmbeddingIdentity(name="a").name = "b"  # type: ignore[misc]
    assert {EmbeddingIdentity(name="a"), EmbeddingIdentity(name="a")} == {EmbeddingIdentity(name="a")}
