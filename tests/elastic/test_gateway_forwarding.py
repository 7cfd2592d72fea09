"""What the gateway does not know goes to the node as it came; what it says of itself; its process."""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

from tests.elastic.gateway import Gateway
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


def raw(
    url: str, method: str, path: str, body: Any = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_the_root_is_a_real_servers(client: Elasticsearch, gateway: Gateway) -> None:
    info = client.info()
    assert info["tagline"] == "You Know, for Search"
    assert info["version"]["number"] == "8.19.16"
    assert info["version"]["build_flavor"] == "default"
    assert len(info["cluster_uuid"]) == 22
    assert client.ping()
    gateway.configure(version="8.11.4")
    assert client.info()["version"]["number"] == "8.11.4"
    answer, body = raw(gateway.url, "HEAD", "/")
    assert (answer.status, answer.headers["X-elastic-product"], body) == (200, "Elasticsearch", b"")


@pytest.mark.parametrize(
    "path", ["/_cluster/health?pretty", "/_cat/indices?v=true", "/gw-nobody/_search?q=a%2Fb+c"]
)
def test_answers_come_untouched(gateway: Gateway, elasticsearch_node: str, path: str) -> None:
    through, direct = raw(gateway.url, "GET", path), raw(elasticsearch_node, "GET", path)
    assert through[0].status == direct[0].status
    for name in ("content-type", "X-elastic-product", "warning"):
        assert through[0].headers[name] == direct[0].headers[name]
    assert through[1] == direct[1]


def test_paths_are_sent_as_they_were_written(gateway: Gateway, client: Elasticsearch, index: str) -> None:
    for name in ("a%2Fb", "%E7%81%AF", "%ff%fe", "a+b%20c"):
        put, body = raw(
            gateway.url, "PUT", f"/{index}/_doc/{name}", b'{"n":1}', content_type="application/json"
        )
        assert put.status == 201, body
        head, nothing = raw(gateway.url, "HEAD", f"/{index}/_doc/{name}")
        assert (head.status, nothing) == (200, b"")
    client.indices.refresh(index=index)
    ids = {hit["_id"] for hit in client.search(index=index)["hits"]["hits"]}
    assert {"a/b", "灯"} <= ids


def test_bodies_may_be_chunked_and_compressed(gateway: Gateway, index: str) -> None:
    chunks = iter([b'{"index":{"_id":"1"}}\n', b'{"n":1}\n'])
    answer, body = raw(gateway.url, "POST", f"/{index}/_bulk", chunks, content_type="application/x-ndjson")
    assert (answer.status, json.loads(body)["errors"]) == (200, False)
    packed = gzip.compress(b'{"n":2}')
    answer, _ = raw(
        gateway.url,
        "PUT",
        f"/{index}/_doc/2",
        packed,
        content_type="application/json",
        content_encoding="gzip",
    )
    assert answer.status == 201
    answer, body = raw(gateway.url, "GET", f"/{index}/_doc/2", accept_encoding="gzip")
    assert json.loads(gzip.decompress(body))["_source"] == {"n": 2}


def test_compression_hides_nothing_from_the_gateway(gateway: Gateway, elser: str, index: str) -> None:
    with Elasticsearch(gateway.url, http_compress=True) as client:
        inputs = {"input_field": "text", "output_field": "tokens"}
        processor = {"inference": {"model_id": elser, "input_output": inputs}}
        client.ingest.put_pipeline(id=index, processors=[processor])
        client.indices.create(index=index, mappings={"properties": {"tokens": {"type": "sparse_vector"}}})
        operations: list[dict[str, Any]] = [
            {"index": {"pipeline": index}},
            {"text": "a lamp"},
            {"index": {"pipeline": index}},
            {},
        ]
        answer = client.bulk(index=index, operations=operations, refresh=True)
        assert [item["index"]["status"] for item in answer["items"]] == [201, 400]
        query = {"sparse_vector": {"field": "tokens", "inference_id": elser, "query": "lamps"}}
        assert client.search(index=index, query=query)["hits"]["total"]["value"] == 1


def test_warnings_and_errors_are_the_nodes_own(client: Elasticsearch, index: str) -> None:
    with pytest.raises(NotFoundError, match="index_not_found_exception"):
        client.search(index=index)
    with pytest.raises(BadRequestError, match="unrecognized parameter"):
        client.perform_request("GET", "/_cluster/health?nonsense=1", headers={"accept": "application/json"})


def test_answers_are_filtered_by_path(client: Elasticsearch, elser: str) -> None:
    answer = client.ml.get_trained_models_stats(
        filter_path="count,trained_model_stats.deployment_stats.state"
    )
    assert answer == {"count": 2, "trained_model_stats": [{"deployment_stats": {"state": "started"}}]}
    without = client.info(filter_path="-version,-*uuid")
    assert set(without) == {"name", "cluster_name", "tagline"}
    deep = client.ml.get_trained_models_stats(model_id=elser, filter_path="**.queue_capacity")
    assert deep == {"trained_model_stats": [{"deployment_stats": {"queue_capacity": 10_000}}]}


@pytest.mark.usefixtures("elser")
def test_nodes_show_their_processors_and_memory(client: Elasticsearch, gateway: Gateway) -> None:
    gateway.configure(processors=3, machine_memory=8 << 30, jvm_size=2 << 30)
    (node,) = client.nodes.info()["nodes"].values()
    attributes = {
        name: node["attributes"][f"ml.{name}"] for name in ("allocated_processors_double", "machine_memory")
    }
    assert attributes == {"allocated_processors_double": "3.0", "machine_memory": str(8 << 30)}
    assert node["os"]["allocated_processors"] == 3
    limits = client.ml.info()["limits"]
    assert (limits["total_ml_processors"], limits["total_ml_memory"]) == (3, "5.8gb")
    (memory,) = client.ml.get_memory_stats()["nodes"].values()
    assert memory["mem"]["ml"]["native_inference_in_bytes"] == 2004 << 20
    (stats,) = client.nodes.stats(metric=["os", "process"])["nodes"].values()
    assert "ml.machine_memory" in stats["attributes"]
    assert "Hot threads at" in client.nodes.hot_threads(snapshots=1, interval="10ms").body


def test_requests_are_counted_by_kind(client: Elasticsearch, gateway: Gateway, index: str) -> None:
    client.index(index=index, id="1", document={})
    client.index(index=index, id="2", document={})
    client.search(index=index)
    counts = gateway.counters()
    assert counts["requests"] == {"PUT /*/_doc/*": 2, "POST /*/_search": 1}
    assert counts["total"] == 3


def test_it_takes_little_time(gateway: Gateway, elasticsearch_node: str) -> None:
    def took(url: str) -> float:
        with Elasticsearch(url) as one:
            one.cluster.health()
            began = time.monotonic()
            for _ in range(50):
                one.cluster.health()
            return (time.monotonic() - began) / 50

    assert min(took(gateway.url) for _ in range(3)) - min(took(elasticsearch_node) for _ in range(3)) < 0.02


def test_it_ends_with_its_parent(elasticsearch_node: str) -> None:
    script = textwrap.dedent(f"""
        import os, sys
        from tests.elastic.gateway import Gateway
        gateway = Gateway({elasticsearch_node!r})
        sys.stdout.write(str(gateway.pid))
        sys.stdout.flush()
        os._exit(1)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    pid = int(done.stdout)
    eventually(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_bad_setting_is_told_at_once(elasticsearch_node: str) -> None:
    with pytest.raises(RuntimeError, match="did not come up"):
        Gateway(elasticsearch_node, nonsense=1)


def test_a_node_that_is_gone_is_a_broken_connection() -> None:
    with (
        Gateway("http://127.0.0.1:9") as gateway,
        pytest.raises((ConnectionError, http.client.HTTPException)),
    ):
        raw(gateway.url, "GET", "/_cluster/health")
