"""Pipelines: definitions, processors, and documents that pass through them on every way of writing.

Translated from Elastic's ``ml/inference_processor.yml``: missing mandatory fields; its simulations are of a
regression tree (and switched off by Elastic: AwaitsFix 107815), here with ELSER.
``ml/pipeline_inference.yml`` is about aggregations with decision trees and does not apply.
"""

from __future__ import annotations

from typing import Any

import pytest
from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch, NotFoundError

from tests.elastic.gateway import Gateway

Processors = list[dict[str, Any]]


def inference(model: str, **options: Any) -> dict[str, Any]:
    given = {"input_output": [{"input_field": "text", "output_field": "tokens"}], **options}
    return {
        "inference": {"model_id": model, **{key: value for key, value in given.items() if value is not None}}
    }


def simulate(
    client: Elasticsearch, processors: Processors, *sources: dict[str, Any], **more: Any
) -> list[dict[str, Any]]:
    docs = [{"_source": source} for source in sources]
    answer = client.ingest.simulate(pipeline={"processors": processors, **more}, docs=docs)
    found: list[dict[str, Any]] = answer["docs"]
    return found


def simulated(
    client: Elasticsearch, processors: Processors, source: dict[str, Any], **more: Any
) -> dict[str, Any]:
    (row,) = simulate(client, processors, source, **more)
    found: dict[str, Any] = row["doc"]["_source"]
    return found


def bulk(client: Elasticsearch, index: str, *lines: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    answer = client.bulk(index=index, operations=lines, refresh=True, **options)
    return [next(iter(item.values())) for item in answer["items"]]


# -- definitions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processor", "problem"),
    [
        ({"inference": {"target_field": "x", "field_map": {}}}, "[model_id] required property is missing"),
        ({"lowercas": {"field": "x"}}, "No processor type exists with name [lowercas]"),
        ({"set": {"field": "x"}}, "[value] required property is missing"),
        (
            {"lowercase": {"field": "x", "fields": "y"}},
            "processor [lowercase] doesn't support one or more provided configuration parameters [fields]",
        ),
        (inference("m", target_field="x"), "[target_field] option is incompatible with [input_output]"),
        (inference("m", input_output=[]), "[input_output] property cannot be empty at least one is required"),
        ({"trim": {"field": "x", "on_failure": []}}, "[on_failure] processors list cannot be empty"),
    ],
)
def test_bad_processors_are_refused(
    client: Elasticsearch, unique: str, processor: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.ingest.put_pipeline(id=unique, processors=[processor])
    error = refused.value.body["error"]
    assert error["type"] == "parse_exception"
    assert problem in error["reason"]


def test_what_the_gateway_lacks_it_says(client: Elasticsearch, unique: str) -> None:
    for processor in ({"grok": {"field": "x"}}, {"set": {"if": "true", "field": "x", "value": 1}}):
        with pytest.raises(ApiError, match="gateway does not implement"):
            client.ingest.put_pipeline(id=unique, processors=[processor])


def test_pipelines_are_kept_shown_and_deleted(client: Elasticsearch, unique: str) -> None:
    definition = {"description": "for tests", "processors": [{"lowercase": {"field": "x"}}], "version": 3}
    client.ingest.put_pipeline(id=unique, body=definition)
    assert client.ingest.get_pipeline(id=unique) == {unique: definition}
    assert unique in client.ingest.get_pipeline()
    client.ingest.delete_pipeline(id=unique)
    with pytest.raises(NotFoundError):
        client.ingest.get_pipeline(id=unique)
    with pytest.raises(NotFoundError, match="is missing"):
        client.ingest.delete_pipeline(id=unique)


def test_an_indexs_default_pipeline_is_not_deleted(client: Elasticsearch, index: str) -> None:
    client.ingest.put_pipeline(id=index, processors=[])
    client.indices.create(index=index, settings={"index.default_pipeline": index})
    with pytest.raises(BadRequestError, match="it is the default pipeline for 1 index"):
        client.ingest.delete_pipeline(id=index)


# -- processors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processor", "source", "expected"),
    [
        ({"lowercase": {"field": "a"}}, {"a": "LAMP"}, {"a": "lamp"}),
        (
            {"uppercase": {"field": "a.b", "target_field": "c"}},
            {"a": {"b": "lamp"}},
            {"a": {"b": "lamp"}, "c": "LAMP"},
        ),
        ({"trim": {"field": "a"}}, {"a": [" x ", "y "]}, {"a": ["x", "y"]}),
        ({"trim": {"field": "a", "ignore_missing": True}}, {"b": 1}, {"b": 1}),
        ({"set": {"field": "a.b", "value": "{{c}}-{{{c}}}"}}, {"c": 5}, {"c": 5, "a": {"b": "5-5"}}),
        ({"set": {"field": "a", "copy_from": "b"}}, {"b": {"c": 1}}, {"a": {"c": 1}, "b": {"c": 1}}),
        ({"set": {"field": "a", "value": 2, "override": False}}, {"a": 1}, {"a": 1}),
        ({"set": {"field": "a", "value": "", "ignore_empty_value": True}}, {"b": 1}, {"b": 1}),
        ({"remove": {"field": ["a", "b.c"]}}, {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3}}),
        ({"rename": {"field": "a", "target_field": "b"}}, {"a": 1}, {"b": 1}),
    ],
)
def test_processors_change_documents(
    client: Elasticsearch, processor: dict[str, Any], source: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert simulated(client, [processor], source) == expected


@pytest.mark.parametrize(
    ("processor", "problem"),
    [
        ({"lowercase": {"field": "title"}}, "field [title] not present as part of path [title]"),
        ({"lowercase": {"field": "a.b"}}, "field [b] not present as part of path [a.b]"),
        (
            {"lowercase": {"field": "n"}},
            "field [n] of type [java.lang.Integer] cannot be cast to [java.lang.String]",
        ),
        ({"remove": {"field": "x"}}, "field [x] not present as part of path [x]"),
        ({"rename": {"field": "x", "target_field": "y"}}, "field [x] doesn't exist"),
        ({"rename": {"field": "n", "target_field": "a"}}, "field [a] already exists"),
        (
            inference("m", input_output={"input_field": "n", "output_field": "o"}),
            "because it is not a text field",
        ),
    ],
)
def test_failures_have_elastics_words(client: Elasticsearch, processor: dict[str, Any], problem: str) -> None:
    (row,) = simulate(client, [processor], {"n": 1, "a": {"c": 1}})
    assert row["error"]["type"] == "illegal_argument_exception"
    assert problem in row["error"]["reason"]


def test_failures_are_handled_where_it_says_so(client: Elasticsearch) -> None:
    note = {
        "set": {
            "field": "why",
            "value": "{{_ingest.on_failure_processor_type}}: {{_ingest.on_failure_message}}",
        }
    }
    fail = {"fail": {"message": "no {{thing}}"}}
    handled = {"fail": {**fail["fail"], "on_failure": [note]}}
    assert simulated(client, [handled], {"thing": "lamp"})["why"] == "fail: no lamp"
    assert simulated(client, [fail], {"thing": "lamp"}, on_failure=[note])["why"] == "fail: no lamp"
    ignored = {"fail": {**fail["fail"], "ignore_failure": True}}
    assert simulated(client, [ignored], {"thing": "lamp"}) == {"thing": "lamp"}
    (row,) = simulate(client, [fail], {"thing": "lamp"})
    assert (row["error"]["type"], row["error"]["reason"]) == ("fail_processor_exception", "no lamp")


def test_pipelines_call_pipelines_and_never_themselves(client: Elasticsearch, unique: str) -> None:
    client.ingest.put_pipeline(id=unique, processors=[{"set": {"field": "inner", "value": 1}}])
    assert simulated(client, [{"pipeline": {"name": unique}}], {}) == {"inner": 1}
    client.ingest.put_pipeline(id=unique, processors=[{"pipeline": {"name": unique}}])
    (row,) = client.ingest.simulate(id=unique, docs=[{"_source": {}}])["docs"]
    assert row["error"]["reason"] == f"Cycle detected for pipeline: {unique}"
    (row,) = simulate(client, [{"pipeline": {"name": "nobody"}}], {})
    assert "Pipeline processor configured for non-existent pipeline [nobody]" in row["error"]["reason"]


def test_a_simulation_can_show_every_step(client: Elasticsearch) -> None:
    processors = [{"lowercase": {"field": "a", "tag": "first"}}, {"fail": {"message": "over"}}]
    answer = client.ingest.simulate(
        pipeline={"processors": processors}, docs=[{"_source": {"a": "X"}}], verbose=True
    )
    first, second = answer["docs"][0]["processor_results"]
    assert (first["status"], first["tag"], first["doc"]["_source"]) == ("success", "first", {"a": "x"})
    assert (second["status"], second["error"]["reason"]) == ("error", "over")


# -- inference ---------------------------------------------------------------------------------------------


def test_inputs_have_outputs_and_the_model_is_named_once(client: Elasticsearch, elser: str) -> None:
    fields = [
        {"input_field": "text", "output_field": "tokens"},
        {"input_field": "title", "output_field": "a.tokens"},
    ]
    found = simulated(
        client, [inference(elser, input_output=fields)], {"text": "lamps " * 600, "title": "a lamp"}
    )
    assert set(found["tokens"]) == {"lamps", "lamp"}
    assert (found["model_id"], found["is_truncated"]) == (elser, True)
    assert set(found["a"]["tokens"]) == {"a", "lamp"}
    assert set(found["a"]) == {"tokens"}


def test_a_field_map_and_a_target_are_the_older_form(client: Elasticsearch, elser: str) -> None:
    config = {"text_expansion": {"results_field": "tokens"}}
    processor = inference(
        elser, input_output=None, target_field="ml", field_map={"text": "text_field"}, inference_config=config
    )
    found = simulated(client, [processor], {"text": "a lamp"})["ml"]
    assert (set(found["tokens"]), found["model_id"]) == ({"a", "lamp"}, elser)
    by_default = simulated(client, [inference(elser, input_output=None)], {"text_field": "a lamp"})
    assert set(by_default["ml"]["inference"]["predicted_value"]) == {"a", "lamp"}


def test_missing_inputs_are_errors_unless_ignored(client: Elasticsearch, elser: str) -> None:
    (row,) = simulate(client, [inference(elser)], {"title": "x"})
    assert row["error"]["reason"] == "field [text] not present as part of path [text]"
    assert simulated(client, [inference(elser, ignore_missing=True)], {"title": "x"}) == {"title": "x"}


def test_results_are_appended_to_what_is_there(client: Elasticsearch, elser: str) -> None:
    found = simulated(client, [inference(elser)], {"text": "a lamp", "tokens": {"old": 1.0}})
    assert found["tokens"][0] == {"old": 1.0}
    assert set(found["tokens"][1]) == {"a", "lamp"}


def test_a_model_that_is_not_deployed_fails_the_document(client: Elasticsearch) -> None:
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    (new,) = simulate(client, [inference(".elser_model_2")], {"text": "a lamp"})
    assert (
        new["error"]["reason"] == "[.elser_model_2] is not an inference service model or a deployed ml model"
    )
    (old,) = simulate(client, [inference(".elser_model_2", input_output=None)], {"text_field": "a lamp"})
    assert old["error"]["reason"].startswith("Model [.elser_model_2] must be deployed to use. Please deploy")


# -- writing -----------------------------------------------------------------------------------------------


def test_a_bulk_goes_through_the_default_pipeline_and_keeps_its_order(
    client: Elasticsearch, elser: str, index: str
) -> None:
    client.ingest.put_pipeline(id=index, processors=[inference(elser)])
    client.ingest.put_pipeline(id=f"{index}-set", processors=[{"set": {"field": "by", "value": "item"}}])
    client.indices.create(
        index=index,
        settings={"index.default_pipeline": index},
        mappings={"properties": {"tokens": {"type": "sparse_vector"}}},
    )
    items = bulk(
        client,
        index,
        {"index": {"_id": "1"}},
        {"text": "a lamp"},
        {"create": {"_id": "2"}},
        {"title": "no text"},
        {"index": {"_id": "3", "pipeline": f"{index}-set"}},
        {"text": "a lamp"},
        {"index": {"_id": "4", "pipeline": "_none"}},
        {"text": "a lamp"},
        {"index": {"_id": "5", "pipeline": "nobody"}},
        {"text": "a lamp"},
        {"delete": {"_id": "6"}},
    )
    assert [(item["_id"], item["status"]) for item in items] == [
        ("1", 201),
        ("2", 400),
        ("3", 201),
        ("4", 201),
        ("5", 400),
        ("6", 404),
    ]
    assert items[1]["error"] == {
        "type": "illegal_argument_exception",
        "reason": "field [text] not present as part of path [text]",
    }
    assert items[4]["error"]["reason"] == "pipeline with id [nobody] does not exist"
    sources = {hit["_id"]: hit["_source"] for hit in client.search(index=index)["hits"]["hits"]}
    assert set(sources["1"]) == {"text", "tokens", "model_id"}
    assert sources["3"] == {"text": "a lamp", "by": "item"}
    assert sources["4"] == {"text": "a lamp"}


def test_the_requests_pipeline_comes_before_the_final_one(client: Elasticsearch, index: str) -> None:
    def append(text: str) -> Processors:
        return [{"set": {"field": "seen", "value": "{{seen}}" + text}}]

    for name in ("default", "request", "final"):
        client.ingest.put_pipeline(id=f"{index}-{name}", processors=append(name[0]))
    client.indices.create(
        index=index,
        settings={"index.default_pipeline": f"{index}-default", "index.final_pipeline": f"{index}-final"},
    )
    client.index(index=index, id="default", document={})
    client.index(index=index, id="request", document={}, pipeline=f"{index}-request")
    client.create(index=index, id="none", document={}, pipeline="_none")
    bulk(client, index, {"index": {"_id": "bulk"}}, {}, pipeline=f"{index}-request")
    found = {
        name: client.get(index=index, id=name)["_source"]["seen"]
        for name in ("default", "request", "none", "bulk")
    }
    assert found == {"default": "df", "request": "rf", "none": "f", "bulk": "rf"}


def test_changed_settings_aliases_and_templates_are_noticed(client: Elasticsearch, index: str) -> None:
    client.ingest.put_pipeline(id=index, processors=[{"set": {"field": "seen", "value": True}}])
    client.indices.create(index=index)
    client.index(index=index, id="before", document={})
    client.indices.put_settings(index=index, settings={"index.default_pipeline": index})
    client.index(index=index, id="after", document={})
    client.indices.put_alias(index=index, name=f"{index}-alias")
    client.index(index=f"{index}-alias", id="alias", document={})
    assert [client.get(index=index, id=name)["_source"] for name in ("before", "after", "alias")] == [
        {},
        {"seen": True},
        {"seen": True},
    ]
    template = {"settings": {"index.default_pipeline": index}}
    client.indices.put_index_template(name=index, index_patterns=[f"{index}-new*"], template=template)
    client.index(index=f"{index}-new", id="1", document={})
    assert client.get(index=f"{index}-new", id="1")["_source"] == {"seen": True}
    client.indices.delete_index_template(name=index)


def test_dropped_documents_are_not_written(client: Elasticsearch, index: str) -> None:
    client.ingest.put_pipeline(id=index, processors=[{"drop": {}}])
    dropped, kept = bulk(
        client, index, {"index": {"_id": "1", "pipeline": index}}, {"a": 1}, {"index": {"_id": "2"}}, {}
    )
    assert (dropped["status"], dropped["result"], kept["status"]) == (200, "noop", 201)
    assert client.count(index=index)["count"] == 1
    assert client.index(index=index, id="3", document={}, pipeline=index)["result"] == "noop"


def test_a_pipeline_may_choose_id_and_index(client: Elasticsearch, index: str) -> None:
    processors = [
        {"set": {"field": "_id", "copy_from": "key"}},
        {"set": {"field": "_index", "value": f"{index}-b"}},
    ]
    client.ingest.put_pipeline(id=index, processors=processors)
    (item,) = bulk(client, index, {"index": {"_id": "1", "pipeline": index}}, {"key": "one"})
    assert (item["_index"], item["_id"]) == (f"{index}-b", "one")


def test_a_bulk_larger_than_the_queue_loses_the_rest(
    client: Elasticsearch, gateway: Gateway, index: str
) -> None:
    client.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["text_field"]})
    client.ml.start_trained_model_deployment(model_id=".elser_model_2", queue_capacity=5)
    gateway.configure(service_seconds=0.005)
    client.ingest.put_pipeline(id=index, processors=[inference(".elser_model_2")])
    lines: list[dict[str, Any]] = []
    for number in range(20):
        lines += [{"index": {"_id": str(number), "pipeline": index}}, {"text": f"lamp {number}"}]
    items = bulk(client, index, *lines)
    assert [item["_id"] for item in items] == [str(number) for number in range(20)]
    full = [item for item in items if item["status"] == 429]
    assert len(full) == 14
    assert full[0]["error"]["type"] == "es_rejected_execution_exception"
    assert client.count(index=index)["count"] == 6


def test_pipelines_count_what_they_do(client: Elasticsearch, elser: str, index: str) -> None:
    client.ingest.put_pipeline(
        id=index, processors=[{"lowercase": {"field": "text", "tag": "low"}}, inference(elser)]
    )
    bulk(client, index, {"index": {}}, {"text": "A lamp"}, {"index": {}}, {"title": "x"}, pipeline=index)
    (node,) = client.nodes.stats(metric="ingest")["nodes"].values()
    found = node["ingest"]["pipelines"][index]
    assert (found["count"], found["failed"]) == (2, 1)
    low, infer = found["processors"]
    assert low["lowercase:low"]["stats"]["failed"] == 1
    assert infer["inference"]["stats"]["count"] == 1
    (row,) = client.ml.get_trained_models_stats(model_id=elser)["trained_model_stats"]
    assert (row["pipeline_count"], row["ingest"]["total"]["failed"]) == (1, 1)


def test_conflicts_stay_the_nodes_own(client: Elasticsearch, index: str) -> None:
    client.ingest.put_pipeline(id=index, processors=[{"set": {"field": "seen", "value": True}}])
    client.create(index=index, id="1", document={}, pipeline=index)
    with pytest.raises(ConflictError):
        client.create(index=index, id="1", document={}, pipeline=index)
    (item,) = bulk(client, index, {"create": {"_id": "1", "pipeline": index}}, {})
    assert (item["status"], item["error"]["type"]) == (409, "version_conflict_engine_exception")


def test_a_body_that_is_no_bulk_is_the_nodes_affair(client: Elasticsearch, unique: str) -> None:
    client.ingest.put_pipeline(id=unique, processors=[])
    headers = {"content-type": "application/x-ndjson", "accept": "application/json"}
    answer = client.transport.perform_request("POST", "/_bulk", body=b'{"nonsense": 1}\n', headers=headers)
    assert answer.meta.status == 400
    assert "Malformed action/metadata line" in str(answer.body)
