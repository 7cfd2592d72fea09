"""Where Elasticsearch is and who asks: arguments, URLs, given clients, pickles; no secret is ever shown."""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import entry_points
from math import inf, nan
from traceback import format_exception
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch
from langchain_core.documents import Document

import vectorface
from tests.chroma_server import free_port
from tests.elastic.encoders import WordWeights
from tests.elasticsearch.stores import Stores
from vectorface.backends.elasticsearch import (
    BM25,
    Dense,
    ElasticsearchDB,
    Elser,
    ElserModel,
    Hybrid,
    Pruning,
    SemanticText,
    SparseEncoder,
    move_to_elser,
)
from vectorface.backends.elasticsearch.connection import with_port
from vectorface.errors import (
    ConfigurationError,
    ConnectionFailedError,
    IndexNotFoundError,
    InvalidIndexNameError,
    NotConnectedError,
    VectorfaceError,
)

SECRET = "c2VjcmV0LWtleS1vZi1vdXJz"  # noqa: S105 - it is what must not be seen
LAMP = [Document(id="lamp", page_content="Nan lit the lamp.")]


def refused(connect: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        connect()
    return str(caught.value)


# -- arguments --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, r"Say where Elasticsearch is: url='http://localhost:9200'"),
        ({"url": "http://a:1", "cloud_id": "x"}, "not both"),
        ({"url": "localhost:9200"}, "http://HOST:PORT"),
        ({"url": "ftp://localhost:9200"}, "http://HOST:PORT"),
        ({"url": 9200}, "must be"),
        ({"url": "http://a:1", "api_key": SECRET, "basic_auth": ("a", "b")}, "one of api_key=, basic_auth="),
        ({"url": "http://a:1", "basic_auth": "elastic"}, "pair"),
        ({"url": "http://a:1", "api_key": f"{SECRET}\n"}, r"\.strip\(\)"),
        ({"url": "http://a:1", "timeout": 0}, "timeout=0"),
        ({"url": "http://a:1", "timeout": "10s"}, "timeout='10s'"),
        ({"url": "http://a:1", "timeout": float("inf")}, "timeout=inf must be"),
        ({"url": "http://a:1", "timeout": float("nan")}, "timeout=nan must be"),
        ({"url": "https://a:1", "ca_certs": "/no/such.pem"}, "ca_certs='/no/such.pem': there is no"),
        ({"url": "http://a:1", "timeout": 10**400}, "timeout=1000+ must be"),
        ({"url": "http://a:1", "shards": 0}, "shards=0"),
        ({"url": "http://a:1", "replicas": -1}, "replicas=-1"),
        ({"url": "http://a:1", "refresh": "no"}, "refresh='no'"),
        ({"url": "http://a:1", "verify_certs": 1}, "verify_certs=1"),
        ({"url": "http://a:1", "fields": ["year"]}, "fields must be a dict"),
        ({"url": "http://a:1", "fields": {"year": 5}}, "'year' has the type 5; name one"),
        ({"url": "http://a:1", "fields": {"year": None}}, "'year' has the type None; name one"),
        ({"url": "http://a:1", "fields": {"year": ["integer"]}}, "'year' has the type .*; name one"),
        ({"url": "http://a:1", "metric": "manhattan"}, "'cosine', 'l2' or 'dot'"),
        ({"client": "http://a:1"}, "not an elasticsearch.Elasticsearch"),
        ({"client": Elasticsearch("http://a:1"), "url": "http://a:1"}, "leave url= out"),
        ({"url": "http://a:1", "async_client": AsyncElasticsearch("http://a:1")}, "goes with client="),
        ({"cloud_id": "nonsense"}, "refuses the arguments"),
        ({"url": "http://a:1", "headers": {"X-Key": f"{SECRET}\n"}}, "headers"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        ElasticsearchDB(BM25()).connect(**arguments)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://elastic:{SECRET}@localhost:9200",
        f"elastic:{SECRET}@localhost:9200",
        f"https:/elastic:{SECRET}@localhost:9200",
        f"http://elastic:{SECRET}/x@localhost:9200",
        f"http://elastic:x?a={SECRET}@localhost:9200",
        f"http://local host:9200?api_key={SECRET}",
        f"http://localhost:9200#{SECRET}@x",
        f"elastic:{SECRET}@localhost:9200".encode(),
        ["http://localhost:9200", f"elastic:{SECRET}@localhost:9200"],
    ],
)
def test_credentials_in_a_url_are_refused_unseen(url: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"basic_auth= or api_key=|must be text") as caught:
        ElasticsearchDB(BM25()).connect(url=url)
    assert SECRET not in "".join(format_exception(caught.value))


@pytest.mark.parametrize("url", ["http://h:99999", "http://h:abc", "http://[::1", "http://[zz]:9200"])
def test_addresses_that_cannot_be_read_are_refused(url: str) -> None:
    for given in (url, ["http://a:1", url]):
        message = refused(lambda given=given: ElasticsearchDB(BM25()).connect(url=given))  # type: ignore[misc]
        assert repr(url) in message
        assert "write 'http://HOST:PORT'" in message
    assert "malformed" in refused(lambda: with_port(url))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h:", "http://h:9200"),
        ("https://[::1]", "https://[::1]:443"),
        ("http://h/proxied", "http://h:9200/proxied"),
    ],
)
def test_an_address_without_port_gets_one(url: str, address: str) -> None:
    assert with_port(url) == address


@pytest.mark.parametrize("strategy", ["bm25", BM25, 7], ids=["a name", "a class", "a number"])
def test_what_is_no_strategy_is_refused(strategy: Any) -> None:
    assert "is no strategy" in refused(lambda: ElasticsearchDB(strategy))


def test_where_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionFailedError, match="Is Elasticsearch running there"):
        ElasticsearchDB(BM25()).connect(url=url)


def test_what_is_not_elasticsearch(chroma_server: Any) -> None:
    url = f"http://{chroma_server.host}:{chroma_server.port}"
    with pytest.raises(VectorfaceError, match=r"not Elasticsearch|HTTP 404"):
        ElasticsearchDB(BM25()).connect(url=url)


# -- URLs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "name"), [("", "dense"), ("+bm25", "bm25"), ("+hybrid", "hybrid(dense+bm25)")]
)
def test_a_url_names_server_index_and_strategy(stores: Stores, scheme: str, name: str) -> None:
    place = stores.url.removeprefix("http")
    with vectorface.connect(f"elasticsearch{scheme}{place}/{stores.name()}", replicas=0) as store:
        assert isinstance(store, ElasticsearchDB)
        assert (store.strategy.name, store.index) == (name, stores.name())
        store.add(LAMP)
        assert store.query("lamp")[0].id == "lamp"


def test_elser_by_url(elser_stores: Stores) -> None:
    place = elser_stores.url.removeprefix("http")
    with vectorface.connect(f"elasticsearch+elser{place}/{elser_stores.name()}", replicas=0) as store:
        store.add(LAMP)
        assert (store.query("lamps")[0].id, store.score_kind) == ("lamp", "sparse")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("elasticsearch:///stories", "names no host"),
        ("elasticsearch://localhost:port/x", "malformed"),
        ("elasticsearch://localhost/a/b", "more than an index"),
        ("elasticsearch://localhost/abc?shards=1", r"unknown options \['shards'\]"),
        ("elasticsearch://localhost/abc?tls=yes", "neither tls=true"),
        (f"elasticsearch://elastic:{SECRET}@localhost/abc", "holds credentials"),
        (f"elasticsearch://elastic:{SECRET}/x@localhost/abc", "malformed"),
        (f"elasticsearch:elastic:{SECRET}@localhost:9200/abc", "names no host"),
        (f"elasticsearch://localhost:9200/abc?api_key={SECRET}", r"unknown options \['api_key'\]"),
        (f"elasticsearch+splade://elastic:{SECRET}@localhost/abc", "known scheme"),
        ("elasticsearch+splade://localhost/abc", "known scheme"),
    ],
)
def test_malformed_urls_are_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        vectorface.connect(url)
    assert SECRET not in "".join(format_exception(caught.value))


def test_the_strategies_of_urls_are_those_that_the_package_registers() -> None:
    schemes = {point.name for point in entry_points(group="vectorface.backends")}
    with pytest.raises(ConfigurationError, match="'splade' is no strategy") as caught:
        ElasticsearchDB.from_url("elasticsearch+splade://localhost/abc")
    named = set(re.findall(r"(elasticsearch\+\w+)://", str(caught.value)))
    assert named - {"elasticsearch+dense"} == {scheme for scheme in schemes if "elasticsearch+" in scheme}


def test_another_node_is_asked_where_one_is_down(stores: Stores) -> None:
    urls = [stores.url, f"http://127.0.0.1:{free_port()}"]
    for _ in range(6):
        with stores.open(BM25(), url=urls) as store:
            store.upsert(LAMP)
            assert store.count() == 1
    with Elasticsearch(urls) as client:
        assert stores.open(BM25(), client=client).count() == 1


def test_none_of_several_nodes_is_there(stores: Stores) -> None:
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    with pytest.raises(ConnectionFailedError, match="Is Elasticsearch running there"):
        stores.open(BM25(), url=urls)


class Page(BaseHTTPRequestHandler):
    """A web server that is something else."""

    def do_GET(self) -> None:
        """Show a page."""
        page = b"<html>Welcome!</html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_is_not_elasticsearch_is_told() -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = refused(lambda: ElasticsearchDB(BM25()).connect(url=f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()
    assert "what answers there is not Elasticsearch" in said


def test_secrets_in_the_wrong_place_are_not_shown() -> None:
    url: Any = f"http://elastic:{SECRET}@localhost:9200"
    for wrong in (
        lambda: ElasticsearchDB(url),
        lambda: ElasticsearchDB(BM25()).connect(client=url),
        lambda: ElasticsearchDB(BM25()).connect(url="http://localhost:9200", index=url),
        lambda: ElserModel(url),
        lambda: move_to_elser(url, "stories"),
    ):
        with pytest.raises((ConfigurationError, InvalidIndexNameError)) as caught:
            wrong()
        assert SECRET not in "".join(format_exception(caught.value))


# -- given clients ----------------------------------------------------------------------------------------


@pytest.fixture
def client(stores: Stores) -> Iterator[Elasticsearch]:
    with Elasticsearch(stores.url) as client:
        yield client


def test_a_given_client_is_used_and_stays_open(stores: Stores, client: Elasticsearch) -> None:
    store = stores.open(BM25(), client=client)
    assert store.client is client
    store.add(LAMP)
    store.close()
    assert client.count(index=stores.name())["count"] == 1


def test_a_store_on_a_given_client_cannot_be_sent_away(stores: Stores, client: Elasticsearch) -> None:
    store = stores.open(BM25(), client=client)
    assert "not with client=" in refused(lambda: pickle.dumps(store))


# -- what is shown ----------------------------------------------------------------------------------------


def test_no_secret_is_shown(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    store = ElasticsearchDB(BM25()).connect(url=stores.url, index=stores.name(), api_key=SECRET, replicas=0)
    assert SECRET not in repr(store) + repr(store._settings) + str(vars(store)) + repr(store.server)
    with pytest.raises(IndexNotFoundError) as caught:
        store.get_index("none-of-this-name")
    assert SECRET not in repr(caught.getrepr(style="long"))
    assert SECRET not in caplog.text
    store.close()


def test_an_unconnected_store_has_no_client() -> None:
    with pytest.raises(NotConnectedError, match=r"connect\(\)"):
        _ = ElasticsearchDB(BM25()).client


# -- new indexes ------------------------------------------------------------------------------------------


def test_a_new_index_has_shards_replicas_and_fields_as_asked(stores: Stores) -> None:
    store = stores.open(BM25(), shards=2, replicas=0, fields={"chapter": "integer", "title": "keyword"})
    [(index, described)] = store.client.indices.get(index=stores.name()).items()
    assert index == f"{stores.name()}-000001"
    settings = described["settings"]["index"]
    assert (settings["number_of_shards"], settings["number_of_replicas"]) == ("2", "0")
    store.add([Document(id="a", page_content="lamp", metadata={"chapter": 3, "title": "Dusk", "x": 1})])
    store.add([Document(id="b", page_content="fog", metadata={"chapter": "three"})])
    assert store.query("lamp", native={"range": {"fields.chapter": {"gte": 2}}})[0].id == "a"
    assert store.count(native={"term": {"fields.title": "Dusk"}}) == 1
    assert store.count({"chapter": "three"}) == 1


def test_a_raw_clause_narrows_searches_counts_and_scans(stores: Stores) -> None:
    store = stores.open(BM25(), fields={"n": "long"})
    store.add(Document(id=f"{n}", page_content="lamp", metadata={"n": n}) for n in range(6))
    clause = {"range": {"fields.n": {"lt": 4}}}
    assert store.count({"n": {"$gt": 1}}, native=clause) == 2
    assert {hit.id for hit in store.query("lamp", k=9, native=clause)} == {"0", "1", "2", "3"}
    assert {one.id for one in store.scan(native=clause, filter={"n": 1})} == {"1"}
    found = store.as_retriever(search_kwargs={"native": clause, "k": 9}).invoke("lamp")
    assert len(found) == 4


def test_a_clause_that_is_no_json_is_told(stores: Stores) -> None:
    with pytest.raises(vectorface.errors.InvalidQueryError, match="no JSON"):
        stores.open(BM25()).query("lamp", native={"terms": {"fields.n": {1, 2}}})


@pytest.mark.parametrize("name", [123, "\ud800", None])
def test_what_is_no_name_of_an_index_is_told(stores: Stores, name: Any) -> None:
    with pytest.raises(InvalidIndexNameError):
        stores.open(BM25()).get_index(name)


@pytest.mark.parametrize("clause", ["range", {}, []])
def test_what_is_no_clause_is_refused(stores: Stores, clause: Any) -> None:
    with pytest.raises(vectorface.errors.InvalidQueryError, match="no query clause"):
        stores.open(BM25()).count(native=clause)


def test_a_clause_that_elasticsearch_does_not_know_is_told(stores: Stores) -> None:
    with pytest.raises(vectorface.errors.InvalidQueryError, match=r"unknown query \[nearest\]"):
        stores.open(BM25()).query("lamp", native={"nearest": {}})


def test_a_query_of_too_many_words_is_told(stores: Stores) -> None:
    words = " ".join(f"word{i}" for i in range(50_000))
    with pytest.raises(vectorface.errors.InvalidQueryError, match=r"maxClauseCount.*too long"):
        stores.open(BM25()).query(words)


def test_options_that_come_too_late_are_told(stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"shards": 2, "fields": {"year": "integer", "place": {"type": "geo_point"}}}
    stores.open(BM25(), **options)
    stores.open(BM25(), **options)
    late = BM25(analyzer="english", k1=0.9, b=0.75)
    stores.open(late, shards=3, replicas=1, fields={"year": "integer", "name": "keyword"})
    [said] = [record.message for record in caplog.records if record.name.startswith("vectorface")]
    assert "shards=3 (it has 2), replicas=1 (it has 0), analyzer='english' (it has 'standard')" in said
    assert "k1=0.9 (it has 1.2), fields=['name'] (it has no such fields)" in said


# -- strategies -------------------------------------------------------------------------------------------

#: What is no value of that option, whatever the types say.
ODD: Any = "odd"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Dense(None, index_type=ODD), "index_type='odd' is unknown"),
        (lambda: Hybrid(BM25()), "two or more"),
        (lambda: Hybrid(BM25(), ODD), "two or more"),
        (lambda: Hybrid(BM25(), Hybrid(Dense(None), BM25())), "two or more"),
        (lambda: Hybrid(BM25(), BM25()), "search text"),
        (lambda: Hybrid(Dense(None), Dense(None)), "search dense vectors"),
        (lambda: Hybrid(Elser(), SparseEncoder(WordWeights())), "search token weights"),
        (lambda: Hybrid(Dense(None), BM25(), weights=[1]), "must be 2 numbers"),
        (lambda: Hybrid(Dense(None), BM25(), weights=[1, 0]), "weights[1]=0 must be a number above 0"),
        (lambda: Hybrid(Dense(None), BM25(), weights=[inf, 1]), "weights[0]=inf"),
        (lambda: Hybrid(Dense(None), BM25(), rank_constant=0), "rank_constant=0"),
        (lambda: Hybrid(Dense(None), BM25(), window_size=ODD), "window_size='odd'"),
        (lambda: Elser("model", inference_id="endpoint"), "not both"),
        (lambda: Elser(""), "model_id=''"),
        (lambda: Elser(pipeline=""), "pipeline=''"),
        (lambda: Elser(tokens=ODD), "tokens='odd'"),
        (lambda: Elser(pruning=ODD), "is no Pruning"),
        (lambda: Elser(write_timeout=ODD), "write_timeout='odd' must be a number of seconds"),
        (lambda: Elser(write_timeout=nan), "write_timeout=nan"),
        (lambda: SemanticText(""), "inference_id=''"),
        (lambda: BM25(analyzer=""), "analyzer=''"),
        (lambda: BM25(b=1.5), "b=1.5 must be a number from 0 to 1"),
        (
            lambda: Pruning(tokens_weight_threshold=7),
            "threshold=7 must be a number from 0 to 1",
        ),
        (lambda: Pruning(tokens_freq_ratio_threshold=0), "tokens_freq_ratio_threshold=0"),
    ],
)
def test_strategies_refuse_what_makes_no_sense(make: Callable[[], object], says: str) -> None:
    assert says in refused(make)
