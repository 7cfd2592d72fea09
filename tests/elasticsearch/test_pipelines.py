"""Ingest pipelines that give documents their tokens, and never hide that they could not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from tests.elastic.gateway import Gateway
from tests.elasticsearch.conftest import Requests
from vectorface.backends.elasticsearch.cluster.pipelines import Pipeline, Pipelines
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.backends.elasticsearch.processors import elser_processors
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    IndexNotFoundError,
    InvalidInputError,
    ModelNotFoundError,
    TransientError,
)

ELSER = ".elser_model_2"
MAPPING = {
    "dynamic": "strict",
    "properties": {
        "text": {"type": "text"},
        "tokens": {"type": "sparse_vector"},
        "author": {"type": "keyword"},
        "model_id": {"type": "keyword"},
        "body": {"properties": {"main": {"type": "text"}}},
        "ml": {"properties": {"tokens": {"type": "sparse_vector"}}},
    },
}


@pytest.fixture
def pipelines(client: Elasticsearch) -> Pipelines:
    return Pipelines(client)


@pytest.fixture
def index(client: Elasticsearch, name: str) -> Iterator[str]:
    client.indices.create(index=name, mappings=MAPPING)
    yield name
    client.indices.put_settings(index=name, settings={"index.default_pipeline": None})
    client.options(ignore_status=404).ingest.delete_pipeline(id=name)


def written(client: Elasticsearch, index: str, document: dict[str, Any]) -> dict[str, Any]:
    client.index(index=index, id="1", document=document, refresh=True)
    source: dict[str, Any] = client.get(index=index, id="1")["_source"]
    return source


# -- what they do -----------------------------------------------------------------------------------------


def test_documents_of_an_index_get_their_tokens(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    pipelines.create(index)
    pipelines.set_default(index, index)
    source = written(client, index, {"text": "the lamp was lit", "author": "Andersen"})
    assert source == {
        "text": "the lamp was lit",
        "author": "Andersen",
        "tokens": deployed.infer(["the lamp was lit"])[0],
    }


def test_a_field_called_model_id_is_left_alone(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    pipelines.create(index)
    pipelines.set_default(index, index)
    assert written(client, index, {"text": "a lamp", "model_id": "T-800"})["model_id"] == "T-800"


def test_a_text_that_is_too_long_is_written_under_a_strict_mapping(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    pipelines.create(index)
    pipelines.set_default(index, index)
    source = written(client, index, {"text": " ".join(f"word{i}" for i in range(600))})
    assert source.keys() == {"text", "tokens"}


def test_writing_again_what_has_tokens_replaces_them(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    pipelines.create(index)
    pipelines.set_default(index, index)
    first = written(client, index, {"text": "a lamp"})
    again = written(client, index, {**first, "text": "a ship"})
    assert again["tokens"] == deployed.infer(["a ship"])[0]


def test_fields_can_lie_in_objects(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    pipelines.create(index, text_field="body.main", tokens_field="ml.tokens")
    pipelines.set_default(index, index)
    source = written(client, index, {"body": {"main": "a lamp"}})
    assert source["ml"]["tokens"] == deployed.infer(["a lamp"])[0]


def test_fields_are_made_lower_case_and_other_processors_run_before(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    pipelines.create(
        index, lowercase=["author"], processors_before=[{"set": {"field": "text", "value": "a ship"}}]
    )
    pipelines.set_default(index, index)
    source = written(client, index, {"text": "a lamp", "author": "ANDERSEN"})
    assert (source["author"], source["text"]) == ("andersen", "a ship")
    assert "ship" in source["tokens"]


def test_a_document_that_cannot_be_expanded_is_not_written(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    pipelines.create(index)
    pipelines.set_default(index, index)
    deployed.stop(force=True)
    with pytest.raises(NotFoundError, match="inference service model or a deployed ml model"):
        client.index(index=index, id="1", document={"text": "a lamp"})
    client.indices.refresh(index=index)
    assert client.count(index=index)["count"] == 0


def test_a_document_without_text_fails_unless_that_is_allowed(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    pipelines.create(index)
    pipelines.set_default(index, index)
    with pytest.raises(BadRequestError):
        client.index(index=index, id="1", document={"author": "Andersen"})
    pipelines.create(index, allow_missing_text=True)
    assert written(client, index, {"author": "Andersen"}) == {"author": "Andersen"}


# -- looking ----------------------------------------------------------------------------------------------


def test_a_pipeline_is_found_listed_and_deleted(pipelines: Pipelines, index: str) -> None:
    assert pipelines.get(index) is None
    made = pipelines.create(index, description="of a test")
    assert pipelines.get(index) == made
    assert made.description == "of a test"
    assert made.model_ids == (ELSER,)
    assert made.hides == ()
    assert index in [one.name for one in pipelines.list_pipelines()]
    assert pipelines.delete(index) is True
    assert pipelines.delete(index) is False


def test_the_default_of_an_index_is_not_deleted(
    pipelines: Pipelines, client: Elasticsearch, index: str
) -> None:
    pipelines.create(index)
    pipelines.set_default(index, index)
    with pytest.raises(BackendError, match=index):
        pipelines.delete(index)
    pipelines.set_default(index, None)
    settings = client.indices.get_settings(index=index)[index]["settings"]["index"]
    assert "default_pipeline" not in settings
    assert pipelines.delete(index)


def test_a_pipeline_is_tried_out_without_writing(
    pipelines: Pipelines, client: Elasticsearch, index: str, deployed: ElserModel
) -> None:
    pipelines.create(index)
    good, bad = pipelines.simulate(index, [{"text": "a lamp"}, {"author": "no text"}])
    assert good.source is not None
    assert good.source["tokens"] == deployed.infer(["a lamp"])[0]
    assert bad.source is None
    assert isinstance(bad.error, BackendError)
    assert client.count(index=index)["count"] == 0


def test_a_definition_is_tried_out_without_storing_it(pipelines: Pipelines, deployed: ElserModel) -> None:
    assert deployed.status().is_started
    processors = elser_processors(model_id="no-such-model")
    [found] = pipelines.simulate({"processors": processors}, [{"text": "a lamp"}])
    assert isinstance(found.error, ModelNotFoundError)


def test_a_server_that_cannot_answer_is_no_missing_pipeline(
    gateway: Gateway, pipelines: Pipelines, index: str
) -> None:
    pipelines.create(index)
    gateway.faults(paths="_ingest", too_many=1.0)
    for call in (pipelines.get, pipelines.delete):
        with pytest.raises(TransientError):
            call(index)
    with pytest.raises(TransientError):
        pipelines.list_pipelines()
    gateway.faults()


# -- refusals ---------------------------------------------------------------------------------------------


def test_a_pipeline_that_is_not_there_is_told(pipelines: Pipelines, index: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no ingest pipeline.*create\(\)"):
        pipelines.set_default(index, "no-such-pipeline")
    with pytest.raises(ConfigurationError, match="no ingest pipeline"):
        pipelines.simulate("no-such-pipeline", [{"text": "a lamp"}])


def test_an_index_that_is_not_there_is_told(pipelines: Pipelines, index: str) -> None:
    pipelines.create(index)
    with pytest.raises(IndexNotFoundError):
        pipelines.set_default("no-such-index", index)


def test_no_documents_are_refused(pipelines: Pipelines, index: str) -> None:
    pipelines.create(index)
    with pytest.raises(InvalidInputError):
        pipelines.simulate(index, [])


def test_a_processor_that_elasticsearch_does_not_know_is_told(pipelines: Pipelines, index: str) -> None:
    with pytest.raises(BackendError, match="nonsense"):
        pipelines.create(index, processors_before=[{"nonsense": {"field": "text"}}])


SET = {"set": {"field": "error", "value": "failed"}}
FAIL = {"fail": {"message": "failed"}}
HIDING: list[tuple[dict[str, Any], str]] = [
    ({"processors": [{"inference": {"model_id": "m", "ignore_failure": True}}]}, "ignore_failure"),
    ({"processors": [{"inference": {"model_id": "m", "on_failure": [SET]}}]}, "on_failure"),
    ({"processors": [{"pipeline": {"name": "p", "ignore_failure": True}}]}, "ignore_failure"),
    (
        {"processors": [{"inference": {"model_id": "m"}}], "on_failure": [SET]},
        "the pipeline has an on_failure",
    ),
]


@pytest.mark.parametrize(("definition", "message"), HIDING)
def test_what_hides_failures_is_named(definition: dict[str, Any], message: str) -> None:
    [hiding] = Pipeline(name="p", definition=definition).hides
    assert message in hiding


@pytest.mark.parametrize(
    "definition",
    [
        {"processors": []},
        {
            "processors": [
                {"trim": {"field": "title", "ignore_failure": True}},
                {"inference": {"model_id": "m"}},
            ]
        },
        {
            "processors": [{"inference": {"model_id": "m", "on_failure": [SET, FAIL]}}],
            "on_failure": [SET, FAIL],
        },
    ],
)
def test_what_fails_in_the_end_hides_nothing(definition: dict[str, Any]) -> None:
    assert Pipeline(name="p", definition=definition).hides == ()


def test_a_pipeline_that_hides_failures_is_warned_about(
    pipelines: Pipelines, client: Elasticsearch, index: str
) -> None:
    inference = {"model_id": ELSER, "input_output": {"input_field": "text", "output_field": "tokens"}}
    client.ingest.put_pipeline(id=index, processors=[{"inference": {**inference, "ignore_failure": True}}])
    with pytest.warns(UserWarning, match="look written: its inference processor has ignore_failure"):
        pipelines.set_default(index, index)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "a b"}, "name="),
        ({"model_id": ""}, "model_id="),
        ({"text_field": ""}, "text_field="),
        ({"text_field": "a..b"}, "text_field="),
        ({"tokens_field": "_id"}, "tokens_field="),
        ({"tokens_field": "text"}, "must differ"),
        ({"lowercase": "author"}, "a list of fields"),
        ({"lowercase": [3]}, "lowercase="),
        ({"processors_before": {"trim": {}}}, "a list of processors"),
        ({"processors_before": [{"trim": {}, "set": {}}]}, "one name and its options"),
        ({"processors_before": ["trim"]}, "one name and its options"),
        ({"processors_before": HIDING[0][0]["processors"]}, "never found"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    pipelines: Pipelines, requests: Requests, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pipelines.create(**{"name": "p", **options})
    assert requests.new == 0


# -- async ------------------------------------------------------------------------------------------------


async def test_the_twins_work(pipelines: Pipelines, index: str) -> None:
    await pipelines.acreate(index)
    assert await pipelines.aget(index) is not None
    assert await pipelines.adelete(index)
