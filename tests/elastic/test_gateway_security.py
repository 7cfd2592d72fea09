"""API keys: what they open and what they do not, before a node with security and one without."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from elasticsearch import ApiError, AuthenticationException, AuthorizationException, Elasticsearch

from tests.elastic.gateway import Gateway
from tests.elastic.node import Node


def made(client: Elasticsearch, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.security.create_api_key(name="key", **options).body
    return found


def test_a_key_is_made_shown_and_used(client: Elasticsearch, gateway: Gateway, index: str) -> None:
    key = made(client, metadata={"for": "tests"})
    assert base64.b64decode(key["encoded"]).decode() == f"{key['id']}:{key['api_key']}"
    (shown,) = client.security.get_api_key(id=key["id"])["api_keys"]
    assert (shown["name"], shown["invalidated"], shown["metadata"]) == ("key", False, {"for": "tests"})
    with Elasticsearch(gateway.url, api_key=key["encoded"]) as user:
        assert user.index(index=index, document={})["result"] == "created"
        assert user.security.authenticate()["authentication_type"] == "api_key"


@pytest.mark.parametrize("encoded", ["bm9ib2R5OnNlY3JldA==", "!!!", ""])
def test_wrong_keys_are_refused(gateway: Gateway, encoded: str) -> None:
    wrong = Elasticsearch(gateway.url, headers={"authorization": f"ApiKey {encoded}"})
    with wrong as user, pytest.raises(AuthenticationException) as refused:
        user.info()
    error = refused.value.body["error"]
    assert error["type"] == "security_exception"
    assert error["reason"].startswith("unable to authenticate with provided credentials")
    assert error["header"]["WWW-Authenticate"][-1] == "ApiKey"
    assert "ApiKey" in refused.value.meta.headers["www-authenticate"]


def test_keys_end(client: Elasticsearch, gateway: Gateway) -> None:
    short, stopped = made(client, expiration="100ms"), made(client)
    client.security.invalidate_api_key(ids=[stopped["id"]])
    time.sleep(0.15)
    for key, why in ((short, "api key is expired"), (stopped, "has been invalidated")):
        with (
            Elasticsearch(gateway.url, api_key=key["encoded"]) as user,
            pytest.raises(AuthenticationException) as refused,
        ):
            user.info()
        assert why in refused.value.body["error"]["additional_unsuccessful_credentials"]


def test_a_reading_key_does_not_write(client: Elasticsearch, gateway: Gateway, index: str) -> None:
    client.index(index=index, document={"n": 1}, refresh=True)
    roles = {
        "reader": {"cluster": ["monitor"], "indices": [{"names": [f"{index}*"], "privileges": ["read"]}]}
    }
    key = made(client, role_descriptors=roles)
    with Elasticsearch(gateway.url, api_key=key["encoded"]) as user:
        assert user.info()["tagline"]
        assert user.count(index=index)["count"] == 1
        with pytest.raises(AuthorizationException) as refused:
            user.bulk(operations=[{"index": {"_index": index}}, {"n": 2}])
        assert refused.value.body["error"]["reason"] == (
            f"action [indices:data/write/bulk] is unauthorized for API key id [{key['id']}] of user "
            f"[elastic] on indices [{index}], this action is granted by the index privileges "
            "[create_doc,create,delete,index,write,all]"
        )
        with pytest.raises(AuthorizationException):
            user.indices.delete(index=index)
        with pytest.raises(AuthorizationException):
            user.search(index="gw-other")
        with pytest.raises(AuthorizationException):
            user.ml.put_trained_model(model_id=".elser_model_2", input={"field_names": ["x"]})
        with pytest.raises(AuthorizationException):
            user.reindex(source={"index": index}, dest={"index": f"{index}-b"})


def test_credentials_may_be_required(gateway: Gateway, client: Elasticsearch) -> None:
    key = made(client)
    gateway.configure(security=True)
    with pytest.raises(
        AuthenticationException, match=r"missing authentication credentials for REST request \[/\]"
    ):
        client.info()
    with Elasticsearch(gateway.url, api_key=key["encoded"]) as user:
        assert user.ping()


# -- a node with security ----------------------------------------------------------------------------------


@pytest.mark.xdist_group("secured")
def test_users_are_the_nodes_own(secured_gateway: Gateway) -> None:
    with Elasticsearch(secured_gateway.url, basic_auth=("elastic", Node.password)) as user:
        assert user.info()["tagline"]
        user.index(index="kept", document={"n": 1}, refresh=True)
        key = made(user, role_descriptors={"r": {"indices": [{"names": ["kept"], "privileges": ["read"]}]}})
    with Elasticsearch(secured_gateway.url, basic_auth=("elastic", "wrong")) as user:
        for attempt in (user.info, lambda: made(user)):
            with pytest.raises(AuthenticationException, match="unable to authenticate user"):
                attempt()
    with Elasticsearch(secured_gateway.url) as nobody, pytest.raises(AuthenticationException):
        nobody.cluster.health()
    with Elasticsearch(secured_gateway.url, api_key=key["encoded"]) as reader:
        assert reader.count(index="kept")["count"] == 1
        with pytest.raises(ApiError) as refused:
            reader.index(index="kept", document={})
        assert refused.value.meta.status == 403
