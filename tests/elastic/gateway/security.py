"""API keys: made and checked here, since the stripped node cannot; users are the node's own.

Source: ``rest-api-spec/.../api/security.*_api_key.json``,
``x-pack/plugin/security/.../authc/ApiKeyService.java``, ``AuthenticationService.java`` and
``x-pack/plugin/core/.../DefaultAuthenticationFailureHandler.java`` (401),
``x-pack/plugin/security/.../authz/AuthorizationDenialMessages.java`` (403). Differs: privileges are looked up
by the kind of API in a small table; a bulk with one forbidden index is refused as a whole.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlette.responses import Response

from tests.elastic.gateway.errors import ElasticError, validation
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.values import now_millis, seconds
from tests.elastic.gateway.wire import Call, Node, answer, parts
from tests.elastic.gateway.writing import parsed

_CHALLENGE: Final = ['Basic realm="security", charset="UTF-8"', 'Bearer realm="security"', "ApiKey"]


@dataclass(frozen=True)
class Need:
    """What a request needs: one of some privileges, on indices or (none given) on the cluster."""

    action: str
    privileges: tuple[str, ...]
    indices: tuple[str, ...] | None = None


_READ: Final = ("indices:data/read/search", ("read", "all"))
_WRITE: Final = ("indices:data/write/bulk", ("create_doc", "create", "delete", "index", "write", "all"))
_VIEW: Final = ("indices:admin/get", ("view_index_metadata", "monitor", "manage", "all"))
_MAINTAIN: Final = ("indices:admin/refresh", ("maintenance", "manage", "all"))
_CREATE: Final = ("indices:admin/create", ("create_index", "manage", "all"))
_REMOVE: Final = ("indices:admin/delete", ("delete_index", "manage", "all"))
_MANAGE: Final = ("indices:admin/settings/update", ("manage", "all"))
_READERS: Final = frozenset(
    "_search _count _mget _msearch _source _pit _field_caps _explain _termvectors _validate".split()
)
_WRITERS: Final = frozenset("_bulk _create _update _delete_by_query _update_by_query".split())
_MAINTAINERS: Final = frozenset("_refresh _flush _forcemerge _cache".split())
#: Of the cluster: the first part of the path, the privileges to look at it and to change it.
_CLUSTER: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "_ml": (("monitor_ml", "manage_ml"), ("manage_ml",)),
    "_inference": (("monitor_inference", "manage_inference"), ("manage_inference",)),
    "_ingest": (
        ("read_pipeline", "manage_pipeline", "manage_ingest_pipelines"),
        ("manage_pipeline", "manage_ingest_pipelines"),
    ),
    "_security": (
        ("read_security", "manage_api_key", "manage_own_api_key", "manage_security"),
        ("manage_api_key", "manage_own_api_key", "manage_security"),
    ),
}


@dataclass
class Key:
    """An API key."""

    id: str
    name: str
    secret: str
    roles: dict[str, Any]
    metadata: dict[str, Any]
    username: str
    #: The credentials of who made it.
    owner: str | None
    created: int = field(default_factory=now_millis)
    expires: int | None = None
    invalidated: int | None = None

    @property
    def valid(self) -> bool:
        return self.invalidated is None and (self.expires is None or self.expires > now_millis())

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = {"id": self.id, "name": self.name, "type": "rest", "creation": self.created}
        if self.expires is not None:
            found["expiration"] = self.expires
        found["invalidated"] = self.invalidated is not None
        if self.invalidated is not None:
            found["invalidation"] = self.invalidated
        about = {"username": self.username, "realm": "reserved", "realm_type": "reserved"}
        return {**found, **about, "metadata": self.metadata, "role_descriptors": self.roles}

    def allows(self, need: Need) -> bool:
        """Return whether its roles grant what a request needs; a key without roles has its owner's rights."""
        if not self.roles:
            return True
        wanted = set(need.privileges)
        if need.indices is None:
            granted = {privilege for role in self.roles.values() for privilege in role.get("cluster", [])}
            return bool(granted & wanted)
        return all(self._allows_index(index, wanted) for index in need.indices)

    def _allows_index(self, index: str, wanted: set[str]) -> bool:
        for role in self.roles.values():
            for grant in role.get("indices") or role.get("index") or []:
                names = [grant["names"]] if isinstance(grant["names"], str) else grant["names"]
                if any(fnmatch.fnmatchcase(index, name) for name in names) and wanted & set(
                    grant["privileges"]
                ):
                    return True
        return False


class Security:
    """API keys and who may do what with them."""

    def __init__(self, node: Node, settings: Callable[[], Settings]) -> None:
        self._node = node
        self._settings = settings
        self._keys: dict[str, Key] = {}

    def reset(self) -> None:
        self._keys.clear()

    def routes(self) -> list[Route]:
        return [
            route("POST PUT", "/_security/api_key", self._create, "refresh"),
            route(
                "GET",
                "/_security/api_key",
                self._get,
                "id name username realm_name owner with_limited_by active_only",
            ),
            route("DELETE", "/_security/api_key", self._invalidate, ""),
            route("GET", "/_security/_authenticate", self._authenticate, ""),
        ]

    # -- at every request ----------------------------------------------------------------------------------

    def admitted(self, call: Call) -> Call:
        """Return the request with credentials that the node knows.

        Raises:
            ElasticError: 401 or 403.
        """
        given = call.header(b"authorization")
        if given is None:
            if self._settings().security:
                raise _unauthorized(f"missing authentication credentials for REST request [{call.path}]")
            return call
        scheme, _, encoded = given.partition(" ")
        if scheme.lower() != "apikey":
            return call
        key = self._key(encoded)
        self._check(key, call)
        return self._as_owner(call, key)

    def _key(self, encoded: str) -> Key:
        try:
            key_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            key_id, secret = "", ""
        key = self._keys.get(key_id)
        if key is None:
            raise _refused(f"unable to find apikey with id {key_id}")
        if not secrets.compare_digest(key.secret, secret):
            raise _refused(f"invalid credentials for API key [{key_id}]")
        if key.invalidated is not None:
            raise _refused(f"api key [{key_id}] has been invalidated")
        if not key.valid:
            raise _refused("api key is expired")
        return key

    def _check(self, key: Key, call: Call) -> None:
        need = needed(call)
        if key.allows(need):
            return
        on = "" if need.indices is None else f" on indices [{','.join(need.indices)}]"
        kind = "cluster" if need.indices is None else "index"
        raise ElasticError(
            403,
            "security_exception",
            f"action [{need.action}] is unauthorized for API key id [{key.id}] of user [{key.username}]{on}, "
            f"this action is granted by the {kind} privileges [{','.join(need.privileges)}]",
        )

    def _as_owner(self, call: Call, key: Key) -> Call:
        call = replace(call, key_id=key.id)
        if user := self._settings().node_user:
            return call.with_header(b"authorization", basic(user))
        return (
            call.with_header(b"authorization", key.owner)
            if key.owner
            else call.without_header(b"authorization")
        )

    # -- the API -------------------------------------------------------------------------------------------

    async def _create(self, call: Call) -> Response:
        body = call.object()
        if not body.get("name"):
            raise validation("api key name is required")
        expires = None
        if body.get("expiration"):
            expires = now_millis() + round(1000 * seconds(body["expiration"], "expiration"))
        key = Key(
            id=secrets.token_urlsafe(15),
            name=body["name"],
            secret=secrets.token_urlsafe(16),
            roles=body.get("role_descriptors") or {},
            metadata=body.get("metadata") or {},
            username=await self._username(call),
            owner=call.header(b"authorization"),
            expires=expires,
        )
        self._keys[key.id] = key
        told: dict[str, Any] = {"id": key.id, "name": key.name}
        if expires is not None:
            told["expiration"] = expires
        encoded = base64.b64encode(f"{key.id}:{key.secret}".encode()).decode()
        return answer({**told, "api_key": key.secret, "encoded": encoded})

    async def _username(self, call: Call) -> str:
        found = await self._node.ask("GET", "/_security/_authenticate", headers=call.headers)
        if found.status == 401:
            error = found.json()["error"]
            raise _unauthorized(error["reason"])
        return str(found.json().get("username", "elastic")) if found.ok else "elastic"

    async def _get(self, call: Call) -> Response:
        key_id, name = call.params.get("id"), call.params.get("name")
        rows = [key.body() for key in self._keys.values() if _matches(key, key_id, name)]
        return answer({"api_keys": rows}, 404 if key_id and not rows else 200)

    async def _invalidate(self, call: Call) -> Response:
        body = call.object()
        ids = body.get("ids") or ([body["id"]] if body.get("id") else [])
        if not ids and not body.get("name") and not body.get("owner"):
            raise validation(
                "One of [api key id(s), api key name, username, realm name] must be specified if [owner] "
                "flag is false"
            )
        chosen = [
            key
            for key in self._keys.values()
            if (not ids or key.id in ids) and _matches(key, None, body.get("name"))
        ]
        before = [key.id for key in chosen if key.invalidated is not None]
        now = [key for key in chosen if key.invalidated is None]
        for key in now:
            key.invalidated = now_millis()
        told = {"invalidated_api_keys": [key.id for key in now], "previously_invalidated_api_keys": before}
        return answer({**told, "error_count": 0})

    async def _authenticate(self, call: Call) -> Response:
        if call.key_id is None:
            return (await self._node.send(call)).response()
        key = self._keys[call.key_id]
        realm = {"name": "_es_api_key", "type": "_es_api_key"}
        about: dict[str, Any] = {
            "username": key.username,
            "roles": [],
            "full_name": None,
            "email": None,
            "metadata": {},
            "enabled": True,
        }
        kind = {"authentication_realm": realm, "lookup_realm": realm, "authentication_type": "api_key"}
        return answer({**about, **kind, "api_key": {"id": key.id, "name": key.name}})


def _matches(key: Key, id: str | None, name: str | None) -> bool:
    return (id is None or key.id == id) and (name is None or fnmatch.fnmatchcase(key.name, name))


def basic(user: str) -> str:
    """Return the header of a ``user:password``."""
    return "Basic " + base64.b64encode(user.encode()).decode()


def _refused(reason: str) -> ElasticError:
    return _unauthorized(
        "unable to authenticate with provided credentials and anonymous access is not allowed for this "
        "request",
        more={"additional_unsuccessful_credentials": f"API key: {reason}"},
    )


def _unauthorized(reason: str, more: Mapping[str, Any] | None = None) -> ElasticError:
    more = {**(more or {}), "header": {"WWW-Authenticate": _CHALLENGE}}
    return ElasticError(
        401, "security_exception", reason, more=more, headers={"www-authenticate": ", ".join(_CHALLENGE)}
    )


# -- what a request needs ----------------------------------------------------------------------------------


def needed(call: Call) -> Need:
    """Return what a request needs."""
    path = parts(call.path)
    reading = call.method in {"GET", "HEAD"}
    if not path[0].startswith("_") and path[0]:
        action, privileges = _on_index(call.method, path[1:])
        return Need(action, privileges, tuple(path[0].split(",")))
    if path[0] == "_bulk":
        indices = {str(item.action.get("_index")) for item in parsed(call.body) or []}
        return Need(*_WRITE, indices=tuple(sorted(indices)))
    if path[0] == "_reindex":
        return Need(*_WRITE, indices=(str(call.object().get("dest", {}).get("index")),))
    if path[0] in {"_search", "_msearch", "_mget", "_pit", "_count"}:
        return Need(*_READ, indices=())  # the indices stand in the body: whoever may read something may ask
    looking, changing = _CLUSTER.get(path[0], ((), ()))
    if reading or (call.method == "POST" and path[0] == "_inference"):
        return Need("cluster:monitor/main", (*looking, "monitor", "manage", "all"))
    return Need(f"cluster:admin/{path[0].lstrip('_') or 'root'}", (*changing, "manage", "all"))


def _on_index(method: str, rest: list[str]) -> tuple[str, tuple[str, ...]]:
    api = rest[0] if rest else ""
    reading = method in {"GET", "HEAD"}
    if api in _READERS or (api == "_doc" and reading):
        return _READ
    if api in _WRITERS or api == "_doc":
        return _WRITE
    if api in _MAINTAINERS:
        return _MAINTAIN
    if reading:
        return _VIEW
    if not api:
        return _REMOVE if method == "DELETE" else _CREATE
    return _MANAGE
