"""The machine-learning API: models, deployments, inference, statistics.

Source: ``rest-api-spec/.../api/ml.*.json``, ``x-pack/plugin/ml/.../action/TransportStart-``, ``-Stop-`` and
``-UpdateTrainedModelDeploymentAction.java``, ``TransportInternalInferModelAction.java``,
``TransportGetTrainedModelsStatsAction.java``; the YAML tests ``3rd_party_deployment.yml``,
``inference_crud.yml``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from starlette.responses import Response

from tests.elastic.gateway.capacity import no_capacity, plan
from tests.elastic.gateway.deployments import NATIVE_OVERHEAD, Deployment, Parameters, Urgency
from tests.elastic.gateway.encoder import Encoder, Expansion, VocabularyEncoder, encoder
from tests.elastic.gateway.errors import (
    ElasticError,
    bad_request,
    conflict,
    illegal_argument,
    no_resources,
    not_found,
    validation,
)
from tests.elastic.gateway.models import Model, Models
from tests.elastic.gateway.pipelines import StoredPipelines
from tests.elastic.gateway.results import document_input, result, results_field
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.starting import allocations, cache_size, check_start
from tests.elastic.gateway.values import flag, integer, seconds, time_text
from tests.elastic.gateway.wire import Call, Node, acknowledged, answer, deprecation

_STATES: Final = ("starting", "started", "fully_allocated")
_INFER_TIMEOUT: Final = "10s"


class MachineLearning:
    """The models and deployments of the cluster."""

    def __init__(
        self,
        node: Node,
        settings: Callable[[], Settings],
        pipelines: StoredPipelines,
        endpoints: Mapping[str, object],
    ) -> None:
        self._node = node
        self._settings = settings
        self._pipelines = pipelines
        self._endpoints = endpoints
        self._encoders: dict[str, Encoder] = {}
        self._pool = ThreadPoolExecutor(thread_name_prefix="inference")
        self._tasks: set[asyncio.Task[None]] = set()
        self.models = Models(settings)
        self.deployments: dict[str, Deployment] = {}

    async def reset(self) -> None:
        for deployment in self.deployments.values():
            await deployment.stop(finish=False)
        self.deployments.clear()
        self.models = Models(self._settings)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def routes(self) -> list[Route]:
        ml = "/_ml/trained_models"
        sizes = "number_of_allocations threads_per_allocation queue_capacity cache_size"
        start = f"deployment_id {sizes} priority wait_for"
        get = "allow_no_match from size tags include exclude_generated decompress_definition"
        return [
            route("GET", f"{ml}/_stats", self._stats, "allow_no_match from size"),
            route("GET", f"{ml}/{{id}}/_stats", self._stats, "allow_no_match from size"),
            route("GET", ml, self._get, get),
            route("GET", f"{ml}/{{id}}", self._get, get),
            route("PUT", f"{ml}/{{id}}", self._put, "defer_definition_decompression wait_for_completion"),
            route("DELETE", f"{ml}/{{id}}", self._delete, "force"),
            route("PUT", f"{ml}/{{id}}/vocabulary", self._put_vocabulary, ""),
            route("PUT", f"{ml}/{{id}}/definition/{{part}}", self._put_definition, ""),
            route("PUT", f"{ml}/{{id}}/model_aliases/{{alias}}", self._put_alias, "reassign"),
            route("DELETE", f"{ml}/{{id}}/model_aliases/{{alias}}", self._delete_alias, ""),
            route("POST", f"{ml}/{{id}}/deployment/_start", self._start, start),
            route("POST", f"{ml}/{{id}}/deployment/_update", self._update, "number_of_allocations"),
            route(
                "POST",
                f"{ml}/{{id}}/deployment/_stop",
                self._stop,
                "allow_no_match force finish_pending_work",
            ),
            route("POST", f"{ml}/{{id}}/deployment/cache/_clear", self._clear_cache, ""),
            route("POST", f"{ml}/{{id}}/_infer", self._infer, ""),
            route("POST", f"{ml}/{{id}}/deployment/_infer", self._infer_deprecated, ""),
        ]

    # -- models --------------------------------------------------------------------------------------------

    async def _put(self, call: Call) -> Response:
        model = self.models.put(call.caught["id"], call.object(), deployments=self.deployments)
        if flag(call.params, "wait_for_completion"):
            await model.downloaded(seconds(call.params.get("timeout", "30s"), "timeout"))
        return answer(model.config)

    async def _get(self, call: Call) -> Response:
        return answer(self.models.described(call.caught.get("id", "_all"), call))

    async def _delete(self, call: Call) -> Response:
        named = call.caught["id"]
        mine = [found for found in self.deployments.values() if found.params.model_id == named]
        if not flag(call.params, "force"):
            self.models.check_deletion(named, self._pipelines.references().keys(), deployed=bool(mine))
        for deployment in mine:
            await self._end(deployment, finish=False)
        self.models.delete(named)
        return acknowledged()

    async def _put_vocabulary(self, call: Call) -> Response:
        self.models.put_vocabulary(call.caught["id"], call.object())
        return acknowledged()

    async def _put_definition(self, call: Call) -> Response:
        self.models.put_definition(call.caught["id"], call.caught["part"], call.object())
        return acknowledged()

    async def _put_alias(self, call: Call) -> Response:
        reassign = flag(call.params, "reassign")
        self.models.put_alias(
            call.caught["alias"], call.caught["id"], reassign=reassign, deployed=self._allocation_state
        )
        return acknowledged()

    async def _delete_alias(self, call: Call) -> Response:
        self.models.delete_alias(call.caught["alias"], call.caught["id"], self._pipelines.references().keys())
        return acknowledged()

    def _allocation_state(self, model_id: str) -> str | None:
        states = [found.allocation_state for found in self.deployments_of(model_id)]
        return max(states, key=_STATES.index, default=None)

    def deployments_of(self, model_id: str) -> list[Deployment]:
        """Return a model's deployments, by id."""
        return [found for _, found in sorted(self.deployments.items()) if found.params.model_id == model_id]

    # -- deployments ---------------------------------------------------------------------------------------

    async def _start(self, call: Call) -> Response:
        given = {**call.params, **call.object()}
        timeout = seconds(str(given.get("timeout", "30s")), "timeout")
        wanted = str(given.get("wait_for", "started"))
        model_id = call.caught["id"]
        if model_id in self._endpoints:
            raise bad_request(
                "Inference endpoint IDs must be unique. Requested inference endpoint ID "
                f"[{model_id}] matches existing trained model ID(s) but must not."
            )
        deployment = await self.start(model_id, given, within=timeout, wait_for=wanted)
        return answer(deployment.assignment(await self._node_id(call)))

    async def start(
        self, id: str, given: Mapping[str, Any], *, within: float, wait_for: str = "started"
    ) -> Deployment:
        """Start a deployment and wait for it.

        Raises:
            ElasticError: It cannot be, does not fit, or is not there in time (then it goes on starting).
        """
        if wait_for not in _STATES:
            raise illegal_argument(
                "No enum constant "
                "org.elasticsearch.xpack.core.ml.inference.assignment.AllocationStatus.State."
                f"{wait_for.upper()}"
            )
        check_start(given, within)
        began = time.monotonic()
        model = self.models.required(id)
        deployment_id = str(given.get("deployment_id") or id)
        self._check_names(model, deployment_id)
        if self._settings().sees_downloads:
            await model.downloaded(within)
        model.check_definition()
        deployment = await self._create(model, deployment_id, given)
        await self._await_state(deployment, wait_for, within, began)
        return deployment

    def _check_names(self, model: Model, deployment_id: str) -> None:
        if model.config["model_type"] != "pytorch":
            raise bad_request(
                f"model [{model.id}] of type [{model.config['model_type']}] cannot be deployed. Only PyTorch "
                "models can be deployed"
            )
        if deployment_id != model.id and deployment_id in self.models:
            raise bad_request(
                f"Deployment id [{deployment_id}] is the same as an another model which is not the model "
                "being deployed. Deployment id can be the same as the model being deployed but cannot match "
                "a different model"
            )
        if deployment_id in self.deployments:
            raise conflict(
                "Could not start model deployment because an existing deployment with the same id "
                f"[{deployment_id}] exist"
            )

    async def _create(self, model: Model, deployment_id: str, given: Mapping[str, Any]) -> Deployment:
        settings = self._settings()
        params = Parameters(
            model_id=model.id,
            deployment_id=deployment_id,
            model_bytes=model.size or 0,
            number_of_allocations=allocations(given),
            threads_per_allocation=int(given.get("threads_per_allocation", 1)),
            queue_capacity=int(given.get("queue_capacity", 10_000 if settings.at_least(8, 15) else 1024)),
            cache_size=cache_size(given, model),
            priority=str(given.get("priority", "normal")).lower(),
            adaptive=given.get("adaptive_allocations"),
        )
        node_id = (await self._node.info())["id"]
        found = plan(params, self.deployments.values(), settings, node_id)
        if found.reason is not None and not settings.lazy_nodes:
            raise no_capacity(found)
        if deployment_id in self.deployments:  # started by another while the node was asked for its id
            self._check_names(model, deployment_id)
        deployment = Deployment(
            params, settings=self._settings, encoder=self._encoder(model), pool=self._pool
        )
        self.deployments[deployment_id] = deployment
        deployment.assign(found.allocations, found.reason)
        self._background(deployment)
        return deployment

    def _background(self, deployment: Deployment) -> None:
        task = asyncio.create_task(deployment.load())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _encoder(self, model: Model) -> Encoder:
        if model.vocabulary is not None:
            return VocabularyEncoder(model.vocabulary)
        name = self._settings().encoder
        if name not in self._encoders:
            self._encoders[name] = encoder(name)
        return self._encoders[name]

    async def _await_state(self, deployment: Deployment, wait_for: str, within: float, began: float) -> None:
        deployment_id = deployment.params.deployment_id

        def settled() -> bool:
            if deployment_id not in self.deployments:
                raise bad_request(
                    "Error waiting for the model deployment to start. The trained model assignment was "
                    "removed while waiting"
                )
            reached = _STATES.index(deployment.allocation_state) >= _STATES.index(wait_for)
            return reached or not deployment.assigned or deployment.state == "started"

        try:
            async with asyncio.timeout(max(0.001, began + within - time.monotonic())), deployment.changed:
                await deployment.changed.wait_for(settled)
        except TimeoutError:
            raise ElasticError(
                408,
                "model_deployment_timeout_exception",
                f"Timed out after [{time_text(within)}] waiting for trained model deployment "
                f"[{deployment_id}] to start. Use the trained model stats API to track the state of the "
                "deployment and try again once it has started.",
            ) from None

    def deployment(self, id: str) -> Deployment:
        found = self.deployments.get(id)
        if found is None:
            raise not_found(f"No known model deployment with id [{id}]")
        return found

    async def _update(self, call: Call) -> Response:
        given = {**call.params, **call.object()}
        deployment = self.deployment(call.caught["id"])
        adaptive = {**(deployment.params.adaptive or {}), **given.get("adaptive_allocations", {})} or None
        count = (
            None
            if "number_of_allocations" not in given
            else integer(given["number_of_allocations"], "number_of_allocations")
        )
        if count is not None and count < 1:
            raise validation("[number_of_allocations] must be a positive integer")
        if count is not None and (adaptive or {}).get("enabled"):
            raise validation("[number_of_allocations] cannot be set if adaptive allocations is enabled")
        if deployment.state != "started":
            raise conflict("cannot update deployment that is not in [started] state")
        deployment.params.adaptive = adaptive
        if count is not None:
            await self.resize(deployment, count)
        return answer(deployment.assignment(await self._node_id(call)))

    async def resize(self, deployment: Deployment, count: int) -> None:
        """Give a deployment another number of allocations."""
        node_id = (await self._node.info())["id"]
        before = deployment.params.number_of_allocations
        deployment.params.number_of_allocations = count
        others = [other for other in self.deployments.values() if other is not deployment]
        found = plan(deployment.params, others, self._settings(), node_id)
        if found.reason is not None and count > before and not self._settings().lazy_nodes:
            deployment.params.number_of_allocations = before
            raise no_resources(
                "Could not update deployment because there are not enough resources to provide all requested "
                "allocations"
            )
        deployment.assign(found.allocations, found.reason)
        self._rebalance(node_id)

    async def _stop(self, call: Call) -> Response:
        named = call.caught["id"]
        given = {**call.params, **{name: str(value).lower() for name, value in call.object().items()}}
        if named not in self.deployments:
            if flag(given, "allow_no_match", default=True):
                return answer({"stopped": True})
            self.deployment(named)
        deployment = self.deployment(named)
        if not flag(given, "force"):
            self._check_stop(named)
        await self._end(deployment, finish=flag(given, "finish_pending_work"))
        return answer({"stopped": True})

    def _check_stop(self, id: str) -> None:
        references = self._pipelines.references()
        if id in references:
            raise conflict(
                f"Cannot stop deployment [{id}] as it is referenced by ingest processors; use force to stop "
                "the deployment"
            )
        for alias in self.models.aliases_of(id):
            if alias in references:
                raise conflict(
                    f"Cannot stop deployment [{id}] as it has a model_alias [{alias}] that is still "
                    "referenced by ingest processors; use force to stop the deployment"
                )

    async def _end(self, deployment: Deployment, *, finish: bool) -> None:
        await deployment.stop(finish=finish)
        self.deployments.pop(deployment.params.deployment_id, None)
        await deployment.become("stopped")
        self._rebalance((await self._node.info())["id"])

    async def end(self, id: str) -> None:
        """Stop a deployment if there is one."""
        if id in self.deployments:
            await self._end(self.deployments[id], finish=False)

    def _rebalance(self, node_id: str) -> None:
        """Give what became free to those that wait for it."""
        for deployment in self.deployments.values():
            if (
                deployment.assigned < deployment.params.number_of_allocations
                and deployment.state != "stopping"
            ):
                others = [other for other in self.deployments.values() if other is not deployment]
                found = plan(deployment.params, others, self._settings(), node_id)
                waited = deployment.assigned == 0
                deployment.assign(found.allocations, found.reason)
                if waited and found.allocations:
                    self._background(deployment)

    async def _clear_cache(self, call: Call) -> Response:
        self.deployment(call.caught["id"]).clear_cache()
        return answer({"cleared": True})

    # -- inference -----------------------------------------------------------------------------------------

    async def _infer(self, call: Call) -> Response:
        body = call.object()
        docs = body.get("docs")
        if not isinstance(docs, list) or not docs:
            raise validation("at least one document is required")
        timeout = seconds(str(call.params.get("timeout") or body.get("timeout") or _INFER_TIMEOUT), "timeout")
        named = call.caught["id"]
        deployment = self.infer_target(named)
        model = self.models.required(deployment.params.model_id)
        texts = [document_input(model, doc) for doc in docs]
        found = await self.expand(deployment, texts, within=timeout, urgency=Urgency.WRITE)
        field = results_field(model, body.get("inference_config"))
        return answer({"inference_results": [result(model, field, expansion) for expansion in found]})

    async def _infer_deprecated(self, call: Call) -> Response:
        told = (
            "[POST /_ml/trained_models/{model_id}/deployment/_infer] is deprecated! Use "
            "[POST /_ml/trained_models/{model_id}/_infer] instead."
        )
        response = await self._infer(call)
        response.headers.update(deprecation(self._settings().version, told))
        return response

    def infer_target(self, id: str) -> Deployment:
        """Return a deployment by its id, its model's or an alias."""
        found = self.deployed(id)
        if found is not None:
            return found
        model = self.models.get(id)
        if model is None:
            raise not_found(f"Could not find trained model [{id}]")
        raise conflict(
            f"Model [{id}] must be deployed to use. Please deploy with the start trained model deployment "
            "API."
        )

    def deployed(self, id: str) -> Deployment | None:
        """Return one of the deployments that an id means; started ones first."""
        concrete = self.models.concrete(id)
        found = (
            [self.deployments[concrete]] if concrete in self.deployments else self.deployments_of(concrete)
        )
        if not found:
            return None
        started = [one for one in found if one.state == "started"]
        return random.choice(started or found)  # noqa: S311 - as Elasticsearch does, not a secret

    async def expand(
        self, deployment: Deployment, texts: list[str], *, within: float | None, urgency: Urgency
    ) -> list[Expansion]:
        """Infer all texts at the same time; one failure fails all of them, when all have ended."""
        name = deployment.params.deployment_id
        if deployment.state == "stopping":
            raise conflict(f"Trained model [{name}] is [STOPPING]")
        if not deployment.current:
            raise conflict(f"Trained model deployment [{name}] is not allocated to any nodes")
        work = [deployment.infer(text, within=within, urgency=urgency) for text in texts]
        found: list[Expansion] = []
        for one in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(one, BaseException):
                raise one
            found.append(one)
        return found

    # -- statistics ----------------------------------------------------------------------------------------

    async def _stats(self, call: Call) -> Response:
        expression = call.caught.get("id", "_all")
        names = [self._model_of(part) for part in expression.split(",")]
        models = self.models.matching(",".join(dict.fromkeys(names)), call.params)
        start = integer(call.params.get("from", 0), "from")
        page = models[start : start + integer(call.params.get("size", 100), "size")]
        node = await self._node.info(call.headers)
        rows = [row for model in page for row in self._model_stats(model, node, expression)]
        return answer({"count": len(models), "trained_model_stats": rows})

    def _model_of(self, name: str) -> str:
        found = self.deployments.get(name)
        return name if found is None or name in self.models else found.params.model_id

    def _model_stats(self, model: Model, node: dict[str, Any], expression: str) -> list[dict[str, Any]]:
        deployments = self.deployments_of(model.id)
        named = [one for one in deployments if one.params.deployment_id in expression.split(",")]
        if named and model.id not in expression.split(","):
            deployments = named
        if not deployments:
            return [self._row(model, {model.id, *self.models.aliases_of(model.id)}, None, node)]
        return [
            self._row(
                model, {model.id, *self.models.aliases_of(model.id), one.params.deployment_id}, one, node
            )
            for one in deployments
        ]

    def _row(
        self, model: Model, names: set[str], one: Deployment | None, node: dict[str, Any]
    ) -> dict[str, Any]:
        references = self._pipelines.references()
        pipelines = set().union(*(references.get(name, set()) for name in names))
        memory = one.params.memory if one else 0
        row: dict[str, Any] = {
            "model_id": model.id,
            "model_size_stats": {"model_size_bytes": model.size or 0, "required_native_memory_bytes": memory},
            "pipeline_count": len(pipelines),
        }
        if pipelines:
            row["ingest"] = self._pipelines.stats_of(pipelines)
        if one is not None:
            row["deployment_stats"] = one.stats(node)
        return row

    async def _node_id(self, call: Call) -> str:
        return str((await self._node.info(call.headers))["id"])

    # -- the node ------------------------------------------------------------------------------------------

    @property
    def memory_used(self) -> int:
        """Bytes of native memory that deployments have."""
        used = [found.params.memory for found in self.deployments.values() if found.assigned]
        return sum(used) + (NATIVE_OVERHEAD if used else 0)
