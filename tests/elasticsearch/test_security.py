"""Who may do what, on a node with security on: clear errors, and no secret in any of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from langchain_core.documents import Document

import vectorface
from tests.elastic.gateway import Gateway
from tests.elastic.node import Node
from vectorface.backends.elasticsearch import BM25, ElasticsearchDB
from vectorface.errors import (
    AuthenticationError,
    ConnectionFailedError,
    PartialWriteError,
    PermissionDeniedError,
    VectorfaceError,
)

LAMP = [Document(id="lamp", page_content="Nan lit the lamp.", metadata={"chapter": 1})]
pytestmark = pytest.mark.xdist_group("secured")

WRONG = "not-the-password-at-all"


@pytest.fixture(scope="module")
def node(secured_node: Node) -> Node:
    return secured_node


@pytest.fixture(scope="module")
def gateway(secured_gateway: Gateway) -> Gateway:
    return secured_gateway


@pytest.fixture(scope="module", autouse=True)
def _stories(node: Node) -> None:
    with opened(node, "elastic") as store:
        store.upsert(LAMP)
        store.create_index("diaries")


def opened(node: Node, user: str, index: str = "stories", **options: Any) -> ElasticsearchDB:
    settings = {"basic_auth": (user, node.password), "ca_certs": node.ca_certs, "replicas": 0, **options}
    return ElasticsearchDB(BM25()).connect(url=node.url, index=index, **settings)


def everything_said(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(f"{cause!r} {cause} {getattr(cause, 'body', '')}")
        cause = cause.__cause__ or cause.__context__
    return " ".join(causes) + caplog.text


def test_a_wrong_password(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(AuthenticationError, match="basic_auth=") as caught:
        opened(node, "elastic", basic_auth=("elastic", WRONG))
    assert WRONG not in everything_said(caught.value, caplog)


def test_an_unknown_authority_is_not_trusted(node: Node) -> None:
    with pytest.raises(ConnectionFailedError, match=r"certificate.*Pass the authority .* as ca_certs="):
        opened(node, "elastic", ca_certs=None)


@pytest.mark.filterwarnings("ignore:.*verify_certs=False is insecure:elastic_transport.SecurityWarning")
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request:Warning")
def test_certificates_need_not_be_checked(node: Node) -> None:
    with opened(node, "rhea", create=False, ca_certs=None, verify_certs=False) as store:
        assert store.count() == 1


def test_a_url_says_https(node: Node) -> None:
    place = node.url.removeprefix("https")
    with vectorface.connect(
        f"elasticsearch+bm25{place}/stories?tls=true",
        basic_auth=("rhea", node.password),
        ca_certs=node.ca_certs,
        create=False,
    ) as store:
        assert [hit.id for hit in store.query("lamp")] == ["lamp"]


async def test_the_event_loop_goes_by_https_too(node: Node) -> None:
    store = opened(node, "rhea", create=False)
    assert [hit.id for hit in await store.aquery("lamp")] == ["lamp"]
    await store.aclose()


def test_no_credentials(node: Node) -> None:
    with pytest.raises(AuthenticationError, match="missing authentication credentials"):
        opened(node, "elastic", basic_auth=None)


def test_who_may_read_reads(node: Node) -> None:
    with opened(node, "rhea", create=False) as store:
        assert store.query("lamp", filter={"chapter": 1})[0].document == LAMP[0]
        assert (store.count(), len(list(store.scan())), len(store.get(["lamp"]))) == (1, 1, 1)


def test_who_may_only_read_is_told_what_is_missing(node: Node) -> None:
    with opened(node, "rhea", create=False) as store:
        with pytest.raises(PartialWriteError, match=r"action \[indices:data/write/bulk.*rhea") as caught:
            store.upsert([Document(id="new", page_content="Fog")])
        assert isinstance(caught.value.report.failures[0].error, PermissionDeniedError)
        with pytest.raises(PermissionDeniedError, match="privilege"):
            store.delete_by_filter(ids=["lamp"])
        with pytest.raises(PermissionDeniedError, match="privilege"):
            store.delete_index("stories")
        with pytest.raises(PermissionDeniedError, match="privilege"):
            store.create_index("stories-two")
        assert store.count() == 1


def test_another_index_is_closed_to_them(node: Node) -> None:
    with pytest.raises(PermissionDeniedError, match="diaries"):
        opened(node, "rhea", "diaries")


def test_without_the_right_to_refresh_writes_are_stored_all_the_same(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(node, "wim", create=False) as store:
        assert store.upsert([Document(id="fog", page_content="Fog hid the lamp.")]).written == 1
        assert "refresh=False" in caplog.text
        assert [record.id for record in store.get(["fog"])] == ["fog"]
    with opened(node, "wim", create=False, refresh=False) as store:
        caplog.clear()
        assert store.upsert([Document(id="fog", page_content="Fog hid the lamp again.")]).written == 1
        assert caplog.text == ""
        assert store.delete_by_filter(ids=["fog"]).deleted == 1


# -- API keys, which the gateway makes ----------------------------------------------------------------------


@pytest.fixture
def key(node: Node, gateway: Gateway) -> str:
    with Elasticsearch(gateway.url, basic_auth=("elastic", node.password)) as client:
        privileges = {"names": ["stories*"], "privileges": ["read", "view_index_metadata"]}
        made = client.security.create_api_key(
            name="reader", role_descriptors={"reader": {"indices": [privileges]}}
        )
        encoded: str = made["encoded"]
        return encoded


def by_key(gateway: Gateway, key: Any) -> ElasticsearchDB:
    return ElasticsearchDB(BM25()).connect(url=gateway.url, index="stories", api_key=key, create=False)


def test_an_api_key_opens_what_it_may(gateway: Gateway, key: str) -> None:
    with by_key(gateway, key) as store:
        assert store.query("lamp")[0].id == "lamp"
        with pytest.raises(VectorfaceError, match=r"privilege|unauthorized"):
            store.delete_index("stories")


def test_a_wrong_api_key(gateway: Gateway, key: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = ("no-such-id", WRONG)
    with pytest.raises(AuthenticationError, match="api_key=") as caught:
        by_key(gateway, wrong)
    said = everything_said(caught.value, caplog)
    assert WRONG not in said
    assert key not in said


def test_a_store_shows_no_key(gateway: Gateway, key: str) -> None:
    with by_key(gateway, key) as store:
        assert key not in f"{store!r} {store._settings!r} {store.server!r} {vars(store)}"
