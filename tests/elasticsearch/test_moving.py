"""An index moved to ELSER in one call, and every point at which that can fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from elasticsearch import ApiError, Elasticsearch
from langchain_core.documents import Document

from tests.elastic.gateway import Gateway
from tests.elasticsearch.conftest import Refusing, Requests
from tests.waiting import eventually
from vectorface.backends.elasticsearch import BM25, ElasticsearchDB
from vectorface.backends.elasticsearch.cluster.pipelines import Pipelines
from vectorface.backends.elasticsearch.copying.blueprints import Source, field_of, written_to
from vectorface.backends.elasticsearch.copying.missing import missing
from vectorface.backends.elasticsearch.copying.moving import amove_to_elser, move_to_elser
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.backends.elasticsearch.expansion import Elser
from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    ConnectionFailedError,
    IndexExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    ModelNotFoundError,
    ModelNotReadyError,
    PermissionDeniedError,
    TransientError,
    VectorfaceError,
)

ELSER = ".elser_model_2"
DOCUMENTS = 60
MAPPING: dict[str, Any] = {
    "dynamic": "strict",
    "properties": {
        "body": {"properties": {"main": {"type": "text", "analyzer": "ours"}}},
        "title": {"type": "keyword"},
        "number": {"type": "integer"},
    },
}
SETTINGS = {
    "number_of_replicas": 0,
    "analysis": {"analyzer": {"ours": {"type": "custom", "tokenizer": "standard"}}},
}


@pytest.fixture
def source(client: Elasticsearch, name: str) -> Iterator[str]:
    """An index of documents, behind an alias that has the name."""
    fill(client, f"{name}-old")
    client.indices.put_alias(index=f"{name}-old", name=name)
    yield name
    for index in client.indices.get(index=f"{name}*"):
        client.indices.put_settings(
            index=index, settings={"index.default_pipeline": None, "index.final_pipeline": None}
        )
    for pipeline in Pipelines(client).list_pipelines():
        if pipeline.name.startswith(name):
            client.ingest.delete_pipeline(id=pipeline.name)


def fill(client: Elasticsearch, index: str) -> None:
    client.indices.create(index=index, mappings=MAPPING, settings=SETTINGS)
    operations: list[dict[str, Any]] = []
    for i in range(DOCUMENTS):
        text = f"story {i} of the lamp"
        operations += [{"index": {"_id": str(i)}}, {"body": {"main": text}, "title": f"T{i}", "number": i}]
    client.bulk(index=index, operations=operations)


def move(client: Any, source: str, **options: Any) -> Any:
    return move_to_elser(client, source, **{"text_field": "body.main", "batch_size": 10, **options})


def behind(client: Elasticsearch, alias: str) -> list[str]:
    return sorted(client.indices.get_alias(name=alias))


def nothing_made(client: Elasticsearch, name: str) -> bool:
    made = [one for one in Pipelines(client).list_pipelines() if one.name.startswith(name)]
    return not made and sorted(client.indices.get(index=f"{name}*")) == [f"{name}-old"]


# -- what it does -----------------------------------------------------------------------------------------


def test_the_alias_leads_to_a_copy_with_tokens(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    told: list[tuple[str, float | None]] = []
    report = move(client, source, progress=lambda *all_: told.append(all_))
    assert (report.source, report.dest, report.alias) == (f"{source}-old", f"{source}-elser", source)
    assert (report.documents, report.other_aliases) == (DOCUMENTS, ())
    assert behind(client, source) == [report.dest]
    found = client.get(index=source, id="7")["_source"]
    tokens = deployed.infer(["story 7 of the lamp"])[0]
    assert found == {"body": {"main": "story 7 of the lamp"}, "title": "T7", "number": 7, "tokens": tokens}
    states = list(dict.fromkeys(state for state, _ in told))
    assert states == ["checking", "reindexing", "switching", "moved"]
    assert "leads to" in str(report)


def test_the_old_index_is_as_it_was(client: Elasticsearch, source: str, deployed: ElserModel) -> None:
    assert deployed.status().is_started
    before = client.indices.get(index=f"{source}-old")[f"{source}-old"]
    move(client, source)
    after = client.indices.get(index=f"{source}-old")[f"{source}-old"]
    assert {**after, "aliases": {}} == {**before, "aliases": {}}
    assert client.count(index=f"{source}-old")["count"] == DOCUMENTS


def test_mapping_and_settings_are_kept(client: Elasticsearch, source: str, deployed: ElserModel) -> None:
    assert deployed.status().is_started
    report = move(client, source, tokens_field="ml.tokens")
    about = client.indices.get(index=report.dest)[report.dest]
    assert about["mappings"]["dynamic"] == "strict"
    assert about["mappings"]["properties"]["body"] == MAPPING["properties"]["body"]
    assert field_of(about["mappings"], "ml.tokens") == {"type": "sparse_vector"}
    settings = about["settings"]["index"]
    assert settings["analysis"] == SETTINGS["analysis"]
    assert settings["number_of_replicas"] == "0"
    assert settings["default_pipeline"] == report.pipeline


def test_documents_written_later_get_tokens_too(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    move(client, source)
    client.index(index=source, id="new", document={"body": {"main": "a ship"}})
    assert "ship" in client.get(index=source, id="new")["_source"]["tokens"]


def test_an_index_is_moved_behind_a_new_alias(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    report = move(client, f"{source}-old", alias=f"{source}-stories")
    assert behind(client, f"{source}-stories") == [report.dest]
    assert report.other_aliases == (source,)
    assert f"Still leading to '{source}-old': {source}." in str(report)


def test_an_alias_keeps_what_is_special_about_it(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    client.indices.put_alias(
        index=f"{source}-old", name=source, filter={"range": {"number": {"gte": 30}}}, is_write_index=True
    )
    report = move(client, source)
    about = client.indices.get_alias(name=source)[report.dest]["aliases"][source]
    assert about["is_write_index"] is True
    assert client.count(index=source)["count"] == DOCUMENTS - 30


def test_an_old_default_pipeline_runs_for_new_documents_and_not_again_for_old_ones(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    client.ingest.put_pipeline(id=f"{source}-old", processors=[{"set": {"field": "title", "value": "new"}}])
    client.ingest.put_pipeline(id=f"{source}-last", processors=[{"set": {"field": "number", "value": 99}}])
    pipelines = {"index.default_pipeline": f"{source}-old", "index.final_pipeline": f"{source}-last"}
    client.indices.put_settings(index=f"{source}-old", settings=pipelines)
    report = move(client, source)
    old = client.get(index=source, id="7")["_source"]
    assert (old["title"], old["number"]) == ("T7", 7)
    client.index(index=source, id="new", document={"body": {"main": "a ship"}})
    new = client.get(index=source, id="new")["_source"]
    assert (new["title"], new["number"]) == ("new", 99)
    assert "ship" in new["tokens"]
    assert report.pipeline == f"{source}-elser-elser"


def test_a_deployment_for_loading_does_the_work(
    client: Elasticsearch, source: str, model: ElserModel
) -> None:
    model.ensure("elser-ingest", allocations=2)
    model.ensure("elser-search")
    move(client, source, model_id="elser-ingest")
    done = {one.id: one.inferences for one in model.stats()}
    assert done["elser-ingest"] >= DOCUMENTS
    assert done["elser-search"] == 0


def test_an_index_of_ours_opens_as_elser_afterwards(
    client: Elasticsearch, name: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    with ElasticsearchDB(BM25()).connect(client=client, index=name) as store:
        store.upsert([Document(f"the lamp number {i}", metadata={"chapter": i}) for i in range(20)])
        report = move_to_elser(store, name)
    assert report.dest == f"{name}-000002"
    with ElasticsearchDB(Elser()).connect(client=client, index=name, create=False) as store:
        hits = store.query("lamp", k=3, filter={"chapter": {"$gte": 18}})
        assert sorted(hit.document.metadata["chapter"] for hit in hits) == [18, 19]
    client.indices.put_settings(index=report.dest, settings={"index.default_pipeline": None})
    client.ingest.delete_pipeline(id=report.pipeline)


# -- refused before anything is made ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "a b"}, "source="),
        ({"alias": ""}, "alias="),
        ({"dest": "a,b"}, "dest="),
        ({"pipeline": 3}, "pipeline="),
        ({"model_id": ""}, "model_id="),
        ({"text_field": ""}, "text_field="),
        ({"tokens_field": "body.main"}, "must differ"),
        ({"batch_size": 0}, "batch_size="),
        ({"timeout": 0}, "timeout="),
        ({"slices": 0}, "slices="),
        ({"allow_missing_text": "yes"}, "allow_missing_text="),
        ({"resume": True}, "goes with dest="),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    client: Elasticsearch, requests: Requests, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        move(client, **{"source": "stories", **options})
    assert requests.new == 0


def test_a_source_that_is_not_there_is_told(client: Elasticsearch) -> None:
    with pytest.raises(IndexNotFoundError, match="no-such-index"):
        move(client, "no-such-index")


def test_an_index_needs_a_name_for_the_new_one(client: Elasticsearch, source: str) -> None:
    with pytest.raises(ConfigurationError, match="pass alias="):
        move(client, f"{source}-old")
    with pytest.raises(ConfigurationError, match="own name"):
        move(client, f"{source}-old", alias=f"{source}-old")
    with pytest.raises(ConfigurationError, match="leave alias="):
        move(client, source, alias="other")
    assert nothing_made(client, source)


def test_a_field_that_is_no_text_is_told_with_those_that_are(client: Elasticsearch, source: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'body' is of type 'object'.*body\.main, title"):
        move(client, source, text_field="body")
    with pytest.raises(ConfigurationError, match="'summary' is not mapped"):
        move(client, source, text_field="summary")
    with pytest.raises(ConfigurationError, match="tokens_field='number' is of type 'integer'"):
        move(client, source, tokens_field="number")
    assert nothing_made(client, source)


def test_an_alias_that_leads_elsewhere_is_refused(client: Elasticsearch, source: str) -> None:
    client.indices.create(index=f"{source}-b", aliases={f"{source}-busy": {}})
    with pytest.raises(ConfigurationError, match=f"leads to '{source}-b'"):
        move(client, f"{source}-old", alias=f"{source}-busy")
    with pytest.raises(ConfigurationError, match="is an index; choose"):
        move(client, f"{source}-old", alias=f"{source}-b")
    client.indices.put_alias(index=f"{source}-b", name=source)
    with pytest.raises(ConfigurationError, match="stands for 2 indexes"):
        move(client, source)


def test_a_new_index_that_exists_is_not_touched(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    client.indices.create(index=f"{source}-elser")
    with pytest.raises(IndexExistsError, match=r"choose another with dest=.*Nothing was changed"):
        move(client, source)
    assert client.count(index=f"{source}-elser")["count"] == 0


def test_a_pipeline_that_exists_is_not_replaced(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    client.ingest.put_pipeline(id=f"{source}-mine", processors=[])
    with pytest.raises(IndexExistsError, match="another name with pipeline="):
        move(client, source, pipeline=f"{source}-mine")
    assert Pipelines(client).get(f"{source}-mine").definition["processors"] == []  # type: ignore[union-attr]
    assert behind(client, source) == [f"{source}-old"]


def test_a_model_that_is_not_started_is_noticed_before_anything_is_made(
    gateway: Gateway, client: Elasticsearch, source: str, model: ElserModel
) -> None:
    gateway.configure(start_seconds=30)
    with pytest.raises(ModelNotFoundError, match="Nothing was changed"):
        move(client, source)
    model.put()
    with pytest.raises(ModelNotFoundError, match="Nothing was changed"):
        move(client, source)
    model.start(wait_for="starting")
    with pytest.raises(ModelNotReadyError, match="Nothing was changed"):
        move(client, source)
    assert nothing_made(client, source)


# -- failing on the way -----------------------------------------------------------------------------------


def failing(client: Elasticsearch, source: str, error: type[VectorfaceError], **options: Any) -> str:
    with pytest.raises(error) as caught:
        move(client, source, **options)
    assert behind(client, source) == [f"{source}-old"]
    assert client.count(index=source)["count"] == DOCUMENTS
    return str(caught.value)


def reindexing(gateway: Gateway) -> str:
    return str(gateway.request("GET", "/_tasks?actions=*reindex*&detailed=true"))


def when_half_done(client: Elasticsearch, index: str, do: Any) -> threading.Thread:
    def half_done() -> bool:
        there = client.options(ignore_status=404).indices.refresh(index=index).meta.status == 200
        return there and client.count(index=index)["count"] >= 10

    def run() -> None:
        eventually(half_done, within=20)
        do()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_model_that_stops_leaves_the_alias_and_says_how_to_go_on(
    gateway: Gateway, client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    gateway.configure(service_seconds=0.01)
    stopping = when_half_done(client, f"{source}-elser", lambda: deployed.stop(force=True))
    said = failing(client, source, BackendError)
    stopping.join()
    assert f"'{source}' still leads to '{source}-old'" in said
    assert f"index '{source}-elser' with" in said
    assert f"dest='{source}-elser', pipeline='{source}-elser-elser', resume=True" in said
    gateway.configure(service_seconds=0)
    deployed.ensure()
    before = deployed.stats()[0].inferences
    report = move(client, source, dest=f"{source}-elser", pipeline=f"{source}-elser-elser", resume=True)
    assert report.documents == DOCUMENTS
    assert behind(client, source) == [f"{source}-elser"]
    assert deployed.stats()[0].inferences - before < DOCUMENTS


def test_a_document_without_text_stops_the_move(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    client.index(index=source, id="untold", document={"title": "no text"})
    with pytest.raises(BackendError, match=r"documents were not copied.*resume=True"):
        move(client, source)
    assert behind(client, source) == [f"{source}-old"]


@pytest.mark.usefixtures("deployed")
def test_documents_without_text_may_come_along(client: Elasticsearch, source: str) -> None:
    client.index(index=source, id="untold", document={"title": "no text"})
    assert move(client, source, allow_missing_text=True).documents == DOCUMENTS + 1
    assert "tokens" not in client.get(index=source, id="untold")["_source"]


@pytest.mark.usefixtures("deployed")
def test_an_index_whose_alias_cannot_be_switched_is_refused_at_once(
    client: Elasticsearch, source: str, name: str
) -> None:
    client.indices.put_settings(index=source, settings={"index.blocks.read_only": True})
    try:
        with pytest.raises(ConfigurationError, match="no alias of it can be switched"):
            move(client, source)
        assert nothing_made(client, name)
    finally:
        client.indices.put_settings(index=source, settings={"index.blocks.read_only": None})


def test_writes_meanwhile_are_noticed(
    gateway: Gateway, client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    gateway.configure(service_seconds=0.01)
    document = {"body": {"main": "changed"}}
    writing = when_half_done(
        client, f"{source}-elser", lambda: client.index(index=source, id="3", document=document)
    )
    said = failing(client, source, IndexMismatchError)
    writing.join()
    assert "Somebody wrote" in said
    with pytest.raises(IndexMismatchError, match="written to since"):
        move(client, source, dest=f"{source}-elser", resume=True)


def test_a_time_limit_cancels_the_copying(
    gateway: Gateway, client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    gateway.configure(service_seconds=0.05)
    said = failing(client, source, TransientError, timeout=0.5)
    assert "still running" in said
    assert f"{source}-elser" not in reindexing(gateway)


def test_a_resume_of_nothing_is_told(client: Elasticsearch, source: str, deployed: ElserModel) -> None:
    assert deployed.status().is_started
    with pytest.raises(IndexNotFoundError, match="to go on with"):
        move(client, source, dest=f"{source}-gone", resume=True)
    client.indices.create(index=f"{source}-else")
    with pytest.raises(IndexMismatchError, match="belongs to something else"):
        move(client, source, dest=f"{source}-else", resume=True)


def test_a_switch_that_fails_leaves_a_complete_index_to_go_on_with(
    gateway: Gateway, client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    gateway.faults(paths="POST /_aliases", too_many=1.0)
    said = failing(client, source, TransientError)
    assert f"{DOCUMENTS} of {DOCUMENTS} documents" in said
    gateway.faults()
    report = move(client, source, dest=f"{source}-elser", resume=True)
    assert (report.documents, report.task_id) == (DOCUMENTS, None)
    assert behind(client, source) == [f"{source}-elser"]


class Hooked(Server):
    """A server before or after whose requests something happens.

    Args:
        server: What answers.
        before: By the beginning of ``METHOD /path`` what is called, once, before such a request is sent.
        after: The same, called when it is answered.
    """

    def __init__(
        self,
        server: Server,
        *,
        before: Mapping[str, Callable[[], Any]] | None = None,
        after: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        super().__init__(server.client, None, timeout=server.timeout, is_ours=False)
        self._before = dict(before or {})
        self._after = dict(after or {})

    def request(self, method: str, path: str, **options: Any) -> Any:
        self._happen(self._before, f"{method} {path}")
        answer = super().request(method, path, **options)
        self._happen(self._after, f"{method} {path}")
        return answer

    @staticmethod
    def _happen(hooks: dict[str, Callable[[], Any]], request: str) -> None:
        for start in [start for start in hooks if request.startswith(start)]:
            hooks.pop(start)()


def write(client: Elasticsearch, index: str, *, id_: str = "late") -> None:
    client.index(index=index, id=id_, document={"body": {"main": "a late ship"}}, refresh=True)


def blocks(client: Elasticsearch, index: str) -> Any:
    return client.indices.get(index=index)[index]["settings"]["index"].get("blocks")


def test_a_write_right_before_the_switch_is_refused_instead_of_lost(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    refused: list[ApiError] = []

    def hook() -> None:
        with pytest.raises(ApiError) as caught:
            write(client, source)
        refused.append(caught.value)

    report = move(Hooked(deployed.server, before={"POST /_aliases": hook}), source)
    [error] = refused
    assert (error.status_code, error.error) == (403, "cluster_block_exception")
    assert blocks(client, report.source) is None
    write(client, report.source, id_="direct")
    write(client, source)
    assert "ship" in client.get(index=source, id="late")["_source"]["tokens"]


def test_a_write_right_before_the_block_is_noticed(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    hooks = {f"PUT /{source}-old/_block": lambda: write(client, source)}
    with pytest.raises(IndexMismatchError, match=r"Somebody wrote .*\(1 writes\)"):
        move(Hooked(deployed.server, before=hooks), source)
    assert behind(client, source) == [f"{source}-old"]
    assert blocks(client, f"{source}-old") is None


def test_the_block_is_lifted_if_the_switch_fails(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    with pytest.raises(BackendError, match="no switch"):
        move(Refusing(deployed.server, {"POST /_aliases": BackendError("no switch")}), source)
    assert blocks(client, f"{source}-old") is None
    write(client, source)


def test_a_block_whose_answer_is_lost_is_lifted(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    def lose() -> None:
        raise TransientError("the answer was lost")

    with pytest.raises(TransientError, match="the answer was lost"):
        move(Hooked(deployed.server, after={f"PUT /{source}-old/_block": lose}), source)
    assert blocks(client, f"{source}-old") is None


@pytest.mark.parametrize("how", ["api", "settings"])
def test_an_index_that_was_blocked_before_is_moved_and_stays_so(
    client: Elasticsearch, source: str, deployed: ElserModel, how: str
) -> None:
    assert deployed.status().is_started
    if how == "api":
        client.indices.add_block(index=f"{source}-old", block="write")
    else:
        client.indices.put_settings(index=f"{source}-old", settings={"index.blocks.write": True})
    report = move(client, source)
    assert report.documents == DOCUMENTS
    assert blocks(client, report.source) == {"write": "true"}
    assert blocks(client, report.dest) is None
    write(client, source)


def test_a_block_that_is_not_allowed_is_done_without(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    forbidden = {f"PUT /{source}-old/_block": PermissionDeniedError("not allowed")}
    assert move(Refusing(deployed.server, forbidden), source).documents == DOCUMENTS
    assert blocks(client, f"{source}-old") is None


def test_writes_before_the_switch_are_told_where_no_block_is_allowed(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    class Narrow(Hooked):
        def request(self, method: str, path: str, **options: Any) -> Any:
            if "_block/" in path:
                raise PermissionDeniedError("not allowed")
            return super().request(method, path, **options)

    server = Narrow(deployed.server, before={"POST /_aliases": lambda: write(client, source)})
    with pytest.raises(IndexMismatchError, match=rf"\(1 writes\).*only '{source}-old' has") as caught:
        move(server, source)
    assert f"'{source}' leads to '{source}-elser' now" in str(caught.value)
    assert behind(client, source) == [f"{source}-elser"]


def test_a_block_that_somebody_else_sets_meanwhile_is_left(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    def block() -> None:
        client.indices.add_block(index=f"{source}-old", block="write")

    move(Hooked(deployed.server, before={f"PUT /{source}-old/_block": block}), source)
    assert blocks(client, f"{source}-old") == {"write": "true"}


def test_an_old_index_that_is_deleted_at_once_has_no_block_to_lift(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    def delete() -> None:
        client.indices.delete(index=f"{source}-old")

    report = move(Hooked(deployed.server, after={"POST /_aliases": delete}), source)
    assert client.count(index=source)["count"] == report.documents


@pytest.mark.parametrize("switch", ["works", "fails"])
def test_a_block_that_cannot_be_lifted_is_told(
    client: Elasticsearch, source: str, deployed: ElserModel, switch: str
) -> None:
    answers = {f"PUT /{source}-old/_settings": BackendError("no settings")}
    if switch == "fails":
        answers["POST /_aliases"] = BackendError("no switch")
    with pytest.raises(BackendError, match="still has the write block") as caught:
        move(Refusing(deployed.server, answers), source)
    assert str(caught.value).startswith("no settings" if switch == "works" else "no switch")
    assert behind(client, source) == [f"{source}-{'elser' if switch == 'works' else 'old'}"]


@pytest.mark.parametrize(
    "options", [{"model_id": "another"}, {"text_field": "title"}, {"tokens_field": "others"}]
)
def test_a_move_goes_on_only_as_it_began(
    client: Elasticsearch, source: str, deployed: ElserModel, options: dict[str, str]
) -> None:
    with pytest.raises(BackendError, match="no switch"):
        move(Refusing(deployed.server, {"POST /_aliases": BackendError("no switch")}), source)
    with pytest.raises(ConfigurationError, match=r"passed the pipeline.*'body\.main'.*pass what that move"):
        move(client, source, dest=f"{source}-elser", resume=True, **options)
    assert behind(client, source) == [f"{source}-old"]
    with pytest.raises(ConfigurationError, match="pass pipeline= as the move had it"):
        move(client, source, dest=f"{source}-elser", pipeline=f"{source}-typo", resume=True)
    assert move(client, source, dest=f"{source}-elser", resume=True).documents == DOCUMENTS


# -- what a new index lacks -------------------------------------------------------------------------------


class Forgetting(Server):
    """A server that remembers the point in time that was opened, to end it."""

    pit: str = ""

    def request(self, method: str, path: str, **options: Any) -> Any:
        answer = super().request(method, path, **options)
        if path.endswith("/_pit") and method == "POST":
            self.pit = answer["id"]
        return answer


def test_what_lacks_is_known_before_the_first_page_is_copied(
    client: Elasticsearch, source: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectorface.backends.elasticsearch.copying.missing._PAGE", 7)
    client.indices.create(index=f"{name}-new", mappings=MAPPING, settings=SETTINGS)
    client.index(index=f"{name}-new", id="3", document={"title": "there"})
    client.indices.refresh(index=source)
    server = Forgetting(client, None, timeout=30, is_ours=False)
    found: list[str] = []
    for page in missing(server, f"{source}-old", f"{name}-new", window=10_000):
        assert len(page) <= 7
        found += page
        client.options(ignore_status=404).close_point_in_time(id=server.pit)  # as time does
    assert sorted(found) == sorted(str(i) for i in range(DOCUMENTS) if i != 3)


def test_ending_a_point_in_time_hides_no_error(source: str, deployed: ElserModel) -> None:
    answers: dict[str, Any] = {"DELETE /_pit": TransientError("no end")}
    pages = list(missing(Refusing(deployed.server, answers), source, source, window=10_000))
    assert pages == []
    answers["POST /_search"] = BackendError("no search")
    with pytest.raises(BackendError, match="no search"):
        list(missing(Refusing(deployed.server, answers), source, source, window=10_000))


def test_counts_that_differ_keep_the_alias(client: Elasticsearch, source: str, deployed: ElserModel) -> None:
    assert deployed.status().is_started
    refused = Refusing(deployed.server, {f"GET /{source}-elser/_count": {"count": 59}})
    with pytest.raises(IndexMismatchError, match=f"60 documents and '{source}-elser' 59"):
        move(refused, source)
    assert behind(client, source) == [f"{source}-old"]


def test_a_dead_server_leaves_its_first_error(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    gone = ConnectionFailedError("gone")
    paths = (f"POST /{source}-elser/_refresh", f"GET /{source}-elser/_count")
    refused = Refusing(deployed.server, dict.fromkeys(paths, gone))
    with pytest.raises(ConnectionFailedError, match=r"gone .*resume=True"):
        move(refused, source)
    assert behind(client, source) == [f"{source}-old"]


def test_an_index_that_cannot_be_made_leaves_a_pipeline_that_is_named(
    client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    with pytest.raises(BackendError, match="to be deleted"):
        move(Refusing(deployed.server, {f"PUT /{source}-elser": BackendError("no more shards")}), source)
    assert Pipelines(client).delete(f"{source}-elser-elser")


# -- async ------------------------------------------------------------------------------------------------


async def test_the_twin_moves_and_lifts_its_block(
    gateway: Gateway, client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    with ElasticsearchDB(BM25()).connect(url=gateway.url, index=f"{source}-store") as store:
        report = await amove_to_elser(store, source, text_field="body.main")
    assert (report.documents, behind(client, source)) == (DOCUMENTS, [report.dest])
    assert blocks(client, report.source) is None


async def test_a_cancelled_move_stops_its_task(
    gateway: Gateway, client: Elasticsearch, source: str, deployed: ElserModel
) -> None:
    assert deployed.status().is_started
    gateway.configure(service_seconds=0.05)
    with ElasticsearchDB(BM25()).connect(url=gateway.url, index=f"{source}-store") as store:
        moving = asyncio.create_task(amove_to_elser(store, source, text_field="body.main", batch_size=5))
        await asyncio.sleep(1.5)
        moving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await moving
    assert f"{source}-elser" not in reindexing(gateway)
    assert behind(client, source) == [f"{source}-old"]


# -- values -----------------------------------------------------------------------------------------------


def described(name: str = "a", **more: Any) -> dict[str, Mapping[str, Any]]:
    return {name: {"aliases": {}, "mappings": {}, "settings": {"index": {}}, **more}}


def test_a_data_stream_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="data stream"):
        Source.read("logs", described(".ds-logs-000001", data_stream="logs"))


def test_an_index_without_source_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="_source"):
        Source.read("a", described(mappings={"_source": {"enabled": False}}))


@pytest.mark.parametrize(
    ("index", "alias", "expected"),
    [
        ("stories-000001", "stories", "stories-000002"),
        ("stories-000009", "stories", "stories-000010"),
        ("stories-v1", "stories", "stories-elser"),
        ("old", "new", "new-elser"),
    ],
)
def test_the_new_index_is_named_after_the_old_one(index: str, alias: str, expected: str) -> None:
    found = Source(index=index, alias=alias, aliases={}, mappings={}, settings={})
    assert found.next_name(alias) == expected


def test_what_elasticsearch_gives_an_index_itself_is_not_copied() -> None:
    settings = {"uuid": "x", "creation_date": "1", "number_of_shards": "2", "version": {"created": "1"}}
    settings |= {"blocks": {"write": "true"}, "verified_read_only": "true"}
    found = Source(index="a", alias=None, aliases={}, mappings={}, settings=settings)
    body = found.body((9, 2, 0), tokens_field="tokens", model=ELSER, pipeline="p", written=3)
    expected = {"index": {"number_of_shards": "2", "default_pipeline": "p"}}
    assert body["settings"] == {"index.mapping.exclude_source_vectors": False, **expected}
    assert found.is_origin_of(body["mappings"], 3)
    assert not found.is_origin_of(body["mappings"], 4)
    assert found.mappings == {}


def test_the_writes_of_an_index_are_those_of_its_primaries() -> None:
    def copy(number: int, *, primary: bool) -> dict[str, Any]:
        return {"routing": {"primary": primary}, "seq_no": {"max_seq_no": number}}

    shards = {"0": [copy(9, primary=True), copy(9, primary=False)], "1": [copy(-1, primary=True)]}
    assert written_to({"indices": {"a": {"shards": shards}}}) == 10
