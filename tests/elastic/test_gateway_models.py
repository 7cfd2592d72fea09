"""Trained models: configurations and aliases.

Translated from Elastic's ``ml/inference_crud.yml``: get (missing, without matches, paging, tags,
pre-packaged), delete (unused, missing, referenced by a pipeline directly and by an alias, forced), aliases
(put, reassign, missing model, bad names, other inference type, reassign false, delete, missing, of a
different model), exclude_generated, definition_status, vocabulary in a configuration, platform architecture,
put (model, empty field names). Not there, because the gateway does not look into trees: ensembles without
models, feature indices out of bounds, target types that do not fit, deferred decompression,
estimated_operations. "Delete already-deleted model returns 404 not 409" is of a later version than 8.19,
which looks at pipelines first. From ``ml/get_trained_model_stats.yml``: all cases.
"""

from __future__ import annotations

import pytest
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError

from tests.elastic.samples import put_pytorch, put_tree


@pytest.fixture
def trees(client: Elasticsearch) -> list[str]:
    put_tree(client, "a-regression-model-0", tags=["regression", "tag1"])
    put_tree(client, "a-regression-model-1", tags=["regression", "tag2"])
    letters = [f"{letter}-classification-model" for letter in "abcyz"]
    for name in letters:
        put_tree(client, name, "classification", ["classification", "tag3" if name[0] in "yz" else "tag2"])
    return sorted([*letters, "a-regression-model-0", "a-regression-model-1", "lang_ident_model_1"])


def names(answer: object) -> list[str]:
    return [config["model_id"] for config in answer["trained_model_configs"]]  # type: ignore[index]


# -- get ---------------------------------------------------------------------------------------------------


def test_a_missing_model_is_404(client: Elasticsearch) -> None:
    with pytest.raises(NotFoundError, match="No known trained model with model_id"):
        client.ml.get_trained_models(model_id="missing-trained-model")


def test_a_pattern_without_matches_is_empty_or_404(client: Elasticsearch) -> None:
    found = client.ml.get_trained_models(model_id="missing-trained-model*", allow_no_match=True)
    assert (found["count"], found["trained_model_configs"]) == (0, [])
    with pytest.raises(NotFoundError):
        client.ml.get_trained_models(model_id="missing-trained-model*", allow_no_match=False)


def test_models_come_by_id_and_in_pages(client: Elasticsearch, trees: list[str]) -> None:
    assert names(client.ml.get_trained_models(model_id="*", size=100)) == trees
    page = client.ml.get_trained_models(model_id="*", from_=2, size=2)
    assert (page["count"], names(page)) == (len(trees), trees[2:4])
    several = client.ml.get_trained_models(model_id="a-*,lang*,z*", from_=3, size=1)
    assert (several["count"], names(several)) == (5, ["lang_ident_model_1"])


@pytest.mark.usefixtures("trees")
def test_models_are_chosen_by_tags(client: Elasticsearch) -> None:
    assert names(client.ml.get_trained_models(model_id="*", tags="regression,tag1")) == [
        "a-regression-model-0"
    ]
    assert names(client.ml.get_trained_models(model_id="a-regression*", tags="tag1")) == [
        "a-regression-model-0"
    ]
    tagged = client.ml.get_trained_models(model_id="*", tags="tag2", from_=1, size=1)
    assert (tagged["count"], names(tagged)) == (4, ["a-regression-model-1"])


@pytest.mark.usefixtures("trees")
def test_generated_fields_can_be_left_out(client: Elasticsearch) -> None:
    answer = client.ml.get_trained_models(
        model_id="a-regression-model-1",
        exclude_generated=True,
        include="definition",
        decompress_definition=False,
    )
    (config,) = answer["trained_model_configs"]
    assert config["description"] == "empty model for tests"
    assert config["compressed_definition"]
    assert config["tags"] == ["regression", "tag2"]
    assert (
        not {"created_by", "version", "create_time", "license_level", "estimated_operations"} & config.keys()
    )


@pytest.mark.usefixtures("trees")
def test_definition_status_is_of_one_pytorch_model(client: Elasticsearch) -> None:
    client.ml.put_trained_model(model_id="bare", model_type="pytorch", inference_config={"ner": {}})
    put_pytorch(client, "defined")
    for name, expected in (("bare", False), ("defined", True)):
        (config,) = client.ml.get_trained_models(model_id=name, include="definition_status")[
            "trained_model_configs"
        ]
        assert config["fully_defined"] is expected
    assert "fully_defined" not in client.ml.get_trained_models(model_id="bare")["trained_model_configs"][0]
    with pytest.raises(BadRequestError, match="not supported when getting more than one model"):
        client.ml.get_trained_models(model_id="_all", include="definition_status")
    with pytest.raises(BadRequestError, match="only relevant to PyTorch model types"):
        client.ml.get_trained_models(model_id="a-regression-model-0", include="definition_status")


def test_unknown_parameters_are_named(client: Elasticsearch) -> None:
    with pytest.raises(BadRequestError, match=r"contains unrecognized parameter: \[tagz\]"):
        client.perform_request("GET", "/_ml/trained_models?tagz=1")


# -- put ---------------------------------------------------------------------------------------------------


def test_a_stored_model_shows_what_was_generated_and_not_its_definition(client: Elasticsearch) -> None:
    put_tree(client, "my-regression-model")
    (config,) = client.ml.get_trained_models(model_id="my-regression-model")["trained_model_configs"]
    assert "definition" not in config
    assert config["license_level"]
    assert config["create_time"] > 0
    assert config["version"]
    assert config["model_size_bytes"] > 0


def test_elser_is_a_package_that_downloads_itself(client: Elasticsearch) -> None:
    answer = client.ml.put_trained_model(
        model_id=".elser_model_2_linux-x86_64", input={"field_names": ["body"]}, wait_for_completion=True
    )
    assert answer["model_type"] == "pytorch"
    assert answer["input"] == {"field_names": ["body"]}
    assert answer["model_package"]["size"] == 274_756_282
    assert "text_expansion" in answer["inference_config"]


def test_a_model_is_put_once(client: Elasticsearch) -> None:
    put_pytorch(client, "twice")
    with pytest.raises(BadRequestError, match=r"Trained machine learning model \[twice\] already exists"):
        put_pytorch(client, "twice")


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        (
            "no-fields",
            {"input": {"field_names": []}, "inference_config": {"regression": {}}},
            "must not be empty",
        ),
        ("no-config", {"model_type": "pytorch"}, "[inference_config] must not be null"),
        (
            "Bad Name",
            {"model_type": "pytorch", "inference_config": {"ner": {}}},
            "Invalid model_id; 'Bad Name'",
        ),
        (
            "vocabulary",
            {"model_type": "pytorch", "inference_config": {"ner": {"vocabulary": {"index": "x"}}}},
            "illegal setting [vocabulary] on inference model creation",
        ),
    ],
)
def test_bad_configurations_are_refused(
    client: Elasticsearch, name: str, body: dict[str, object], problem: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.ml.put_trained_model(model_id=name, **body)  # type: ignore[arg-type]
    assert problem in str(refused.value)


def test_platform_architecture_is_kept(client: Elasticsearch) -> None:
    client.ml.put_trained_model(
        model_id="windows",
        model_type="pytorch",
        inference_config={"ner": {}},
        platform_architecture="windows-x86_64",
    )
    (config,) = client.ml.get_trained_models(model_id="windows")["trained_model_configs"]
    assert config["platform_architecture"] == "windows-x86_64"


# -- delete ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("trees")
def test_unused_models_are_deleted_and_missing_ones_are_404(client: Elasticsearch) -> None:
    assert client.ml.delete_trained_model(model_id="a-classification-model")["acknowledged"]
    with pytest.raises(NotFoundError, match=r"Could not find trained model \[a-classification-model\]"):
        client.ml.delete_trained_model(model_id="a-classification-model")


@pytest.mark.parametrize("by_alias", [False, True])
def test_a_model_in_a_pipeline_is_deleted_by_force_alone(
    client: Elasticsearch, unique: str, *, by_alias: bool
) -> None:
    put_tree(client, "used", "classification")
    client.ml.put_trained_model_alias(model_id="used", model_alias="alias-to-used")
    named = "alias-to-used" if by_alias else "used"
    client.ingest.put_pipeline(
        id=unique, processors=[{"inference": {"model_id": named, "target_field": "result"}}]
    )
    with pytest.raises(ConflictError) as refused:
        client.ml.delete_trained_model(model_id="used")
    why = "it has a model_alias [alias-to-used] that is still" if by_alias else "it is still"
    reason = (
        f"Cannot delete model [used] as {why} referenced by ingest processors; use force to delete the model"
    )
    assert refused.value.body["error"]["reason"] == reason
    assert client.ml.delete_trained_model(model_id="used", force=True)["acknowledged"]


# -- aliases -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("trees")
def test_an_alias_means_a_model_and_can_be_moved(client: Elasticsearch) -> None:
    for number, reassign in ((1, False), (0, True)):
        model = f"a-regression-model-{number}"
        client.ml.put_trained_model_alias(model_id=model, model_alias="regression-model", reassign=reassign)
        found = client.ml.get_trained_models(model_id="regression-model,a-classification-model")
        assert names(found) == ["a-classification-model", model]
    client.ml.put_trained_model_alias(model_id="a-regression-model-0", model_alias="regression-model-again")
    (config,) = client.ml.get_trained_models(model_id="a-regression-model-*", size=1)["trained_model_configs"]
    assert config["metadata"]["model_aliases"] == ["regression-model", "regression-model-again"]


@pytest.mark.usefixtures("trees")
@pytest.mark.parametrize(
    ("alias", "model", "problem"),
    [
        (
            "regression-model-123",
            "a-regression-model-0",
            "must start with alphanumeric and cannot end with numbers",
        ),
        ("z-classification-model", "z-classification-model", "cannot equal model_id"),
        (
            "z-classification-model",
            "a-regression-model-0",
            "cannot be the same as an existing trained model_id",
        ),
        ("taken", "a-regression-model-1", r"as model_alias already refers to \[a-regression-model-0\]"),
    ],
)
def test_bad_aliases_are_refused(client: Elasticsearch, alias: str, model: str, problem: str) -> None:
    client.ml.put_trained_model_alias(model_id="a-regression-model-0", model_alias="taken")
    with pytest.raises(BadRequestError, match=problem):
        client.ml.put_trained_model_alias(model_id=model, model_alias=alias)


@pytest.mark.usefixtures("trees")
def test_an_alias_does_not_move_to_another_kind_of_inference(client: Elasticsearch) -> None:
    client.ml.put_trained_model_alias(model_id="a-regression-model-0", model_alias="moving")
    with pytest.raises(BadRequestError, match=r"with inference config type \[classification\]"):
        client.ml.put_trained_model_alias(
            model_id="a-classification-model", model_alias="moving", reassign=True
        )
    with pytest.raises(NotFoundError):
        client.ml.put_trained_model_alias(model_id="missing-model", model_alias="moving", reassign=True)


@pytest.mark.usefixtures("trees")
def test_aliases_are_deleted_from_their_own_model(client: Elasticsearch) -> None:
    with pytest.raises(NotFoundError, match=r"model_alias \[gone\] could not be found"):
        client.ml.delete_trained_model_alias(model_id="a-regression-model-0", model_alias="gone")
    client.ml.put_trained_model_alias(model_id="a-regression-model-0", model_alias="gone")
    with pytest.raises(ConflictError, match="does not refer to provided model_id"):
        client.ml.delete_trained_model_alias(model_id="a-regression-model-1", model_alias="gone")
    client.ml.delete_trained_model_alias(model_id="a-regression-model-0", model_alias="gone")
    with pytest.raises(NotFoundError):
        client.ml.get_trained_models(model_id="gone")


# -- statistics --------------------------------------------------------------------------------------------


def test_statistics_come_by_id_in_pages_and_by_alias(client: Elasticsearch) -> None:
    for name in ("a-unused-model", "a-unused-model1", "another-model"):
        put_tree(client, name)
    client.ml.put_trained_model_alias(model_id="a-unused-model1", model_alias="my-regression")

    def stats(expression: str, **options: int) -> tuple[int, list[str]]:
        answer = client.ml.get_trained_models_stats(model_id=expression, **options)  # type: ignore[arg-type]
        rows = answer["trained_model_stats"]
        assert all(row["pipeline_count"] == 0 and "ingest" not in row for row in rows)
        return answer["count"], [row["model_id"] for row in rows]

    everything = (4, ["a-unused-model", "a-unused-model1", "another-model", "lang_ident_model_1"])
    assert stats("_all") == stats("*") == everything
    assert stats("a-unused-model*") == (2, ["a-unused-model", "a-unused-model1"])
    assert stats("a-unused-model*", from_=1, size=1) == (2, ["a-unused-model1"])
    assert stats("my-regression,another-model") == (2, ["a-unused-model1", "another-model"])


def test_statistics_of_missing_models(client: Elasticsearch) -> None:
    with pytest.raises(NotFoundError):
        client.ml.get_trained_models_stats(model_id="missing-trained-model")
    with pytest.raises(NotFoundError):
        client.ml.get_trained_models_stats(model_id="missing-trained-model*", allow_no_match=False)
    assert client.ml.get_trained_models_stats(model_id="missing-trained-model*")["count"] == 0
