"""The way of Elastic's ELSER notebook, with its films: from a plain index to semantic search."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch, helpers

from tests.elastic.gateway import Gateway
from vectorface.backends.elasticsearch import (
    ELSER_BATCH,
    ElasticsearchDB,
    Elser,
    ElserModel,
    Pipelines,
    reindex,
)
from vectorface.errors import (
    DeploymentInUseError,
    InferenceQueueFullError,
    InferenceTimeoutError,
    ModelNotFoundError,
    ModelNotReadyError,
    NoCapacityError,
)

pytestmark = pytest.mark.xdist_group("movies")


@pytest.fixture(scope="module")
def films(data_dir: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((data_dir / "movies.json").read_text())
    return found


@pytest.fixture(scope="module")
def gateway(elasticsearch_url: str) -> Iterator[Gateway]:
    settings: dict[str, Any] = {"encoder": "splade", "download_seconds": 0.5, "start_seconds": 0.2}
    with Gateway(elasticsearch_url, **settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[Elasticsearch]:
    with Elasticsearch(gateway.url) as client:
        yield client
        for name in client.indices.get(index="movies-*"):
            client.indices.delete(index=name)


@pytest.fixture(scope="module")
def model(client: Elasticsearch) -> ElserModel:
    """ELSER, downloaded and deployed for loading and for searching; what goes wrong before is looked at."""
    model = ElserModel(client)
    assert model.plan(allocations=4).fits
    assert not model.plan(allocations=9).fits
    with pytest.raises(ModelNotFoundError):
        model.start("movies-ingest")
    assert model.put()
    with pytest.raises(ModelNotReadyError, match=r"ensure\(\)"):
        model.start("movies-ingest", timeout=0.1)
    seen: list[str] = []
    ingest = model.ensure("movies-ingest", allocations=3, progress=lambda state, _: seen.append(state))
    assert (ingest.allocations, ingest.threads, ingest.is_started) == (3, 1, True)
    assert "downloading" in seen
    search = model.start("movies-search", allocations=2, threads=2, queue_capacity=4, timeout=30)
    assert (search.allocations, search.threads, search.queue_capacity) == (2, 2, 4)
    return model


@pytest.fixture(scope="module")
def moved(client: Elasticsearch, model: ElserModel, films: list[dict[str, str]]) -> str:
    """The films, loaded through a lower-case pipeline, then copied through ELSER by a task."""
    assert model.status().downloaded
    pipelines = Pipelines(client)
    pipelines.create("movies-lowercase", model_id=None, lowercase=["title"])
    fields = {name: {"type": "keyword"} for name in ("title", "genre", "runtime", "released")}
    texts = {name: {"type": "text"} for name in ("plot", "keyScene")}
    settings = {"default_pipeline": "movies-lowercase", "number_of_replicas": 0}
    client.indices.create(
        index="movies-plain", mappings={"properties": {**fields, **texts}}, settings=settings
    )
    done, _ = helpers.bulk(client, ({"_index": "movies-plain", **film} for film in films), refresh=True)
    assert done == len(films)
    pipelines.create("movies-elser", model_id="movies-ingest", text_field="plot")
    properties = {**fields, **texts, "tokens": {"type": "sparse_vector"}}
    client.indices.create(
        index="movies-semantic", mappings={"properties": properties}, settings={"number_of_replicas": 0}
    )
    task = reindex(client, "movies-plain", "movies-semantic", pipeline="movies-elser", size=ELSER_BATCH)
    ended = task.wait(timeout=120)
    assert (ended.created, ended.fraction, task.failures) == (len(films), 1.0, ())
    return "movies-semantic"


def opened(gateway: Gateway, index: str, **options: Any) -> ElasticsearchDB:
    strategy = Elser("movies-ingest", search_id="movies-search", pipeline="movies-store", **options)
    return ElasticsearchDB(strategy).connect(url=gateway.url, index=index, text_field="plot")


def test_a_search_for_investigation_finds_seven_first(gateway: Gateway, moved: str) -> None:
    with opened(gateway, moved, tokens=True) as store:
        hits = store.query("investigation", k=3)
        assert hits[0].metadata["title"] == "se7en"  # lower-case, by the first pipeline
        assert hits[0].tokens
        assert sum(hits[0].tokens.values()) == pytest.approx(hits[0].score, rel=0.01)


def test_filters_and_chains_work_on_it(gateway: Gateway, moved: str) -> None:
    with opened(gateway, moved) as store:
        crime = {"genre": {"$in": ["Crime, Drama", "Crime, Drama, Thriller"]}}
        assert {hit.metadata["genre"] for hit in store.query("a murder", k=5, filter=crime)} <= {
            "Crime, Drama",
            "Crime, Drama, Thriller",
        }
        retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 3, "fetch_k": 10})
        assert len({document.metadata["title"] for document in retriever.invoke("a heist")}) == 3
        scored = store.as_retriever(k=2, include_scores=True).invoke("a heist")
        assert [document.metadata["score_kind"] for document in scored] == ["sparse", "sparse"]


@pytest.mark.usefixtures("moved")
def test_a_text_is_expanded_by_model_and_by_deployment(model: ElserModel) -> None:
    by_model = model.infer(["investigation"])
    assert by_model == model.infer(["investigation"], deployment_id="movies-search")
    assert "investigation" in by_model[0]
    [deployment] = model.stats("movies-ingest")
    assert deployment.inferences > 0


@pytest.mark.usefixtures("moved")
def test_what_goes_wrong_is_told_and_what_to_do(gateway: Gateway, model: ElserModel) -> None:
    with pytest.raises(NoCapacityError, match=r"plan\(\)"):
        model.start("movies-third", allocations=8, timeout=2)
    assert model.plan(allocations=8).max_allocations == 1
    with pytest.raises(ModelNotFoundError, match="movies-search"):
        model.infer(["a text"], deployment_id="movies-serach")
    with pytest.raises(DeploymentInUseError):
        model.stop("movies-ingest")  # an ingest pipeline uses it
    gateway.configure(service_seconds=0.5)
    try:
        with pytest.raises(InferenceTimeoutError):
            model.infer(["a text that nobody has asked about"], deployment_id="movies-search", timeout=0.05)
        assert _overwhelmed(model)
    finally:
        gateway.configure(service_seconds=0.0)
    diagnosis = model.doctor()
    assert not diagnosis.is_healthy
    said = str(diagnosis)
    assert "movies-search" in said
    assert "queue" in said


def _overwhelmed(model: ElserModel) -> bool:
    errors: list[Exception] = []

    def ask(number: int) -> None:
        try:
            model.infer([f"question {number}"], deployment_id="movies-search")
        except InferenceQueueFullError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return bool(errors)


@pytest.mark.usefixtures("moved")
def test_last_an_alias_a_stop_and_the_end(client: Elasticsearch, model: ElserModel) -> None:
    model.set_alias("movies-model")
    assert model.status().aliases == ("movies-model",)
    model.delete_alias("movies-model")
    model.stop("movies-search")
    assert [one.id for one in model.status().deployments] == ["movies-ingest"]
    with pytest.raises(DeploymentInUseError):
        model.delete()
    model.delete(force=True)
    assert not model.status().exists
    client.indices.put_settings(index="movies-plain", settings={"index.default_pipeline": "_none"})
    for pipeline in Pipelines(client).list_pipelines():
        if pipeline.name.startswith("movies-"):
            Pipelines(client).delete(pipeline.name)
