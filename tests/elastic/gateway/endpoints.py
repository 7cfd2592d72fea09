"""Inference endpoints for ELSER: services ``elasticsearch`` and (deprecated) ``elser``.

Source: ``rest-api-spec/.../api/inference.*.json``,
``x-pack/plugin/inference/.../services/elasticsearch/ElasticsearchInternalService.java``,
``x-pack/plugin/inference/.../action/TransportPutInferenceModelAction.java``,
``TransportDeleteInferenceEndpointAction.java``, ``BaseTransportInferenceAction.java``; the tests
``x-pack/plugin/inference/qa/inference-service-tests/.../InferenceCrudIT.java`` (the words of a refused
deletion). Differs: other tasks than ``sparse_embedding`` and other services are not there, nor are the
default endpoints for E5 and reranking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from tests.elastic.gateway.deploying import MachineLearning
from tests.elastic.gateway.deployments import Deployment, Urgency
from tests.elastic.gateway.errors import (
    ElasticError,
    bad_request,
    conflict,
    not_found,
    unsupported,
    validation,
)
from tests.elastic.gateway.indices import Indices
from tests.elastic.gateway.models import PACKAGES
from tests.elastic.gateway.pipelines import StoredPipelines
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.values import flag, seconds
from tests.elastic.gateway.wire import Call, answer, deprecation

_TASK: Final = "sparse_embedding"
_TASKS: Final = frozenset({_TASK, "text_embedding", "rerank", "completion", "chat_completion", "any"})
_ELSER: Final = ".elser_model_2_linux-x86_64"
_DEFAULT: Final = ".elser-2-elasticsearch"
_CHUNKING: Final = {"strategy": "sentence", "max_chunk_size": 250, "sentence_overlap": 1}
_TIMEOUT: Final = "30s"


@dataclass(frozen=True)
class Endpoint:
    """An inference endpoint."""

    id: str
    settings: dict[str, Any]

    @property
    def model_id(self) -> str:
        return str(self.settings["model_id"])

    @property
    def deployment_id(self) -> str:
        return str(self.settings.get("deployment_id") or self.id)

    def body(self) -> dict[str, Any]:
        return {
            "inference_id": self.id,
            "task_type": _TASK,
            "service": "elasticsearch",
            "service_settings": self.settings,
            "chunking_settings": _CHUNKING,
        }


class StoredEndpoints(dict[str, Endpoint]):
    """The endpoints that there are, by id: at first the one that comes with every cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        adaptive = {"enabled": True, "min_number_of_allocations": 0, "max_number_of_allocations": 32}
        settings = {"num_threads": 1, "model_id": _ELSER, "adaptive_allocations": adaptive}
        self.clear()
        self[_DEFAULT] = Endpoint(_DEFAULT, settings)


class InferenceEndpoints:
    """The inference API."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        ml: MachineLearning,
        stored: StoredEndpoints,
        pipelines: StoredPipelines,
        indices: Indices,
    ) -> None:
        self._settings = settings
        self._ml = ml
        self._endpoints = stored
        self._pipelines = pipelines
        self._indices = indices
        self._starting = asyncio.Lock()

    def reset(self) -> None:
        self._endpoints.reset()

    def routes(self) -> list[Route]:
        paths = ("/_inference/{id}", "/_inference/{task}/{id}")
        return [
            route("GET", "/_inference", self._get, ""),
            *(
                row
                for path in paths
                for row in (
                    route("PUT", path, self._put, "timeout"),
                    route("GET", path, self._get, ""),
                    route("DELETE", path, self._delete, "force dry_run"),
                    route("POST", path, self._infer, "timeout input_type"),
                    route("PUT", f"{path}/_update", self._update, ""),
                )
            ),
        ]

    # -- create, read, change, delete ----------------------------------------------------------------------

    async def _put(self, call: Call) -> Response:
        name, body = call.caught["id"], call.object()
        task = call.caught.get("task") or body.get("task_type") or _TASK
        if task not in _TASKS:
            raise bad_request(f"Unknown task_type [{task}]")
        service = body.get("service")
        if service is None:
            raise bad_request("Inference endpoint is missing required [service] setting")
        if service not in {"elasticsearch", "elser"}:
            raise bad_request(f"Unknown service [{service}]")
        if task != _TASK:
            raise unsupported(f"inference endpoints for [{task}]")
        self._check_name(name)
        endpoint = Endpoint(name, self._service_settings(service, body.get("service_settings") or {}))
        await self._deploy(endpoint, seconds(call.params.get("timeout", _TIMEOUT), "timeout"))
        self._endpoints[name] = endpoint
        return answer(endpoint.body(), headers=self._told(service))

    def _told(self, service: str) -> dict[str, str]:
        if service != "elser":
            return {}
        return deprecation(
            self._settings().version,
            "The [elser] service is deprecated and will be removed in a future release. Use the "
            "[elasticsearch] service instead, with [model_id] set to [.elser_model_2] in the "
            "[service_settings]",
        )

    def _check_name(self, id: str) -> None:
        if id in self._endpoints:
            reason = f"Inference endpoint [{id}] already exists"
            raise ElasticError(400, "resource_already_exists_exception", reason)
        if id in self._ml.models or id in self._ml.deployments:
            raise bad_request(
                f"Inference endpoint IDs must be unique. Requested inference endpoint ID [{id}] matches "
                "existing trained model ID(s) but must not."
            )

    def _service_settings(self, service: str, given: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(given)
        if "deployment_id" in found:
            params = self._ml.deployment(found["deployment_id"]).params
            threads, allocations = params.threads_per_allocation, params.number_of_allocations
            kept = {"num_allocations": allocations, "num_threads": threads, "model_id": params.model_id}
            return {**kept, "deployment_id": params.deployment_id}
        if service == "elser":
            found.setdefault("model_id", _ELSER)
        if problems := _setting_problems(found):
            error = validation(*problems)
            raise ElasticError(400, "validation_exception", error.reason)
        return found

    async def _deploy(self, endpoint: Endpoint, within: float) -> None:
        """Download the endpoint's model if need be, and start its deployment if it has none."""
        async with self._starting:
            if endpoint.deployment_id in self._ml.deployments:
                return
            if endpoint.model_id not in self._ml.models:
                if endpoint.model_id not in PACKAGES:
                    raise not_found(f"Could not find trained model [{endpoint.model_id}]")
                self._ml.models.put(endpoint.model_id, {}, deployments=())
            model = self._ml.models.required(endpoint.model_id)
            await model.downloaded(within)
            await self._ml.start(endpoint.model_id, _deployment_settings(endpoint), within=within)

    async def _get(self, call: Call) -> Response:
        named = call.caught.get("id", "_all")
        if named in {"_all", "*"}:
            rows = [self._endpoints[name].body() for name in sorted(self._endpoints)]
            return answer({"endpoints": rows})
        return answer({"endpoints": [self._required(named, call.caught.get("task")).body()]})

    def _required(self, id: str, task: str | None) -> Endpoint:
        found = self._endpoints.get(id)
        if found is None:
            raise not_found(f"Inference endpoint not found [{id}]")
        if task not in {None, "any", _TASK}:
            raise bad_request(
                f"Incompatible task_type, the requested type [{task}] does not match the model type [{_TASK}]"
            )
        return found

    async def _update(self, call: Call) -> Response:
        endpoint = self._required(call.caught["id"], call.caught.get("task"))
        changes = call.object().get("service_settings") or {}
        if unknown := changes.keys() - {"num_allocations", "adaptive_allocations"}:
            raise bad_request(
                f"[service_settings] contains settings that cannot be updated {sorted(unknown)}"
            )
        changed = Endpoint(endpoint.id, {**endpoint.settings, **changes})
        if "num_allocations" in changes and (deployment := self._ml.deployments.get(endpoint.deployment_id)):
            await self._ml.resize(deployment, int(changes["num_allocations"]))
        self._endpoints[endpoint.id] = changed
        return answer(changed.body())

    async def _delete(self, call: Call) -> Response:
        endpoint = self._required(call.caught["id"], call.caught.get("task"))
        pipelines = sorted(self._pipelines.references().get(endpoint.id, set()))
        indices = sorted(await self._indices.using(endpoint.id))
        problem = _in_use(endpoint.id, pipelines, indices)
        told = {"pipelines": pipelines, "indexes": indices, "error_message": problem}
        if flag(call.params, "dry_run"):
            return answer({"acknowledged": False, **told})
        if not flag(call.params, "force"):
            if endpoint.id == _DEFAULT:
                raise bad_request(
                    f"[{endpoint.id}] is a reserved inference endpoint. Use the force=true query parameter "
                    "to delete the inference endpoint."
                )
            if problem:
                raise conflict(problem)
        del self._endpoints[endpoint.id]
        if endpoint.deployment_id == endpoint.id:
            await self._ml.end(endpoint.id)
        return answer({"acknowledged": True, **told})

    # -- inference -----------------------------------------------------------------------------------------

    async def deployed(self, id: str, within: float | None) -> Deployment | None:
        """Return an endpoint's deployment; the default endpoint's is made when it is used first."""
        endpoint = self._endpoints.get(id)
        if endpoint is None:
            return None
        if id == _DEFAULT:
            await self._deploy(endpoint, seconds(_TIMEOUT, "timeout") if within is None else within)
        return self._ml.infer_target(endpoint.deployment_id)

    async def _infer(self, call: Call) -> Response:
        endpoint = self._required(call.caught["id"], call.caught.get("task"))
        texts = _inputs(call.object())
        timeout = seconds(call.params.get("timeout", _TIMEOUT), "timeout")
        deployment = await self.deployed(endpoint.id, timeout)
        assert deployment is not None
        found = await self._ml.expand(deployment, texts, within=timeout, urgency=Urgency.WRITE)
        return answer({_TASK: [{"is_truncated": one.truncated, "embedding": one.tokens} for one in found]})


def _inputs(body: Mapping[str, Any]) -> list[str]:
    """Return the texts of a request (``InferenceAction.Request.validate``)."""
    given = body.get("input")
    if given is None:
        raise validation("Field [input] cannot be null")
    if given == []:
        raise validation("Field [input] cannot be an empty array")
    if given == "":
        raise validation("Field [input] cannot be an empty string")
    return [str(text) for text in given] if isinstance(given, list) else [str(given)]


def _setting_problems(given: Mapping[str, Any]) -> list[str]:
    problems = []
    for name in ("num_threads", "num_allocations"):
        value = given.get(name)
        if value is not None and (not isinstance(value, int) or value < 1):
            problems.append(
                f"[service_settings] Invalid value [{value}]. [{name}] must be a positive integer"
            )
    if given.get("num_threads") is None:
        problems.append("[service_settings] does not contain the required setting [num_threads]")
    if given.get("num_allocations") is None and given.get("adaptive_allocations") is None:
        problems.append(
            "[service_settings] does not contain one of the required settings [num_allocations, "
            "adaptive_allocations]"
        )
    if given.get("model_id") is None:
        problems.append("[service_settings] does not contain the required setting [model_id]")
    if unknown := given.keys() - {"num_threads", "num_allocations", "adaptive_allocations", "model_id"}:
        problems.append(f"[service_settings] contains unknown settings {sorted(unknown)}")
    return problems


def _deployment_settings(endpoint: Endpoint) -> dict[str, Any]:
    settings = endpoint.settings
    found: dict[str, Any] = {
        "deployment_id": endpoint.deployment_id,
        "threads_per_allocation": settings["num_threads"],
    }
    if settings.get("adaptive_allocations") is not None:
        return {**found, "adaptive_allocations": settings["adaptive_allocations"]}
    return {**found, "number_of_allocations": settings["num_allocations"]}


def _in_use(id: str, pipelines: list[str], indices: list[str]) -> str:
    told = []
    if pipelines:
        told.append(
            f"Inference endpoint {id} is referenced by pipelines: [{', '.join(pipelines)}]. Ensure that no "
            "pipelines are using this inference endpoint, or use force to ignore this warning and delete the "
            "inference endpoint."
        )
    if indices:
        told.append(
            f" Inference endpoint {id} is being used in the mapping for indexes: [{', '.join(indices)}]. "
            "Ensure that no index mappings are using this inference endpoint, or use force to ignore this "
            "warning and delete the inference endpoint."
        )
    return "".join(told)
