"""What the cluster says of itself, and of the machine-learning node that the gateway plays.

Source: ``rest-api-spec/.../api/info.json``, ``server/.../action/main/MainResponse.java`` (now in
``modules/rest-root``), ``x-pack/plugin/ml/.../MachineLearning.java`` (node attributes),
``rest-api-spec/.../api/ml.info.json``, ``ml.get_memory_stats.json``, ``info.json`` of x-pack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from starlette.responses import Response

from tests.elastic.gateway.deploying import MachineLearning
from tests.elastic.gateway.deployments import NATIVE_OVERHEAD
from tests.elastic.gateway.pipelines import StoredPipelines
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.values import size_text
from tests.elastic.gateway.wire import JSON, Answer, Call, Node, answer, checked

_LUCENE: Final = "9.12.2"


class Cluster:
    """The root of the API and the node's own descriptions, with machine learning added."""

    def __init__(
        self,
        node: Node,
        settings: Callable[[], Settings],
        ml: MachineLearning,
        pipelines: StoredPipelines,
    ) -> None:
        self._node = node
        self._settings = settings
        self._ml = ml
        self._pipelines = pipelines

    def routes(self) -> list[Route]:
        nodes = ("/_nodes", "/_nodes/{a}", "/_nodes/{a}/{b}", "/_nodes/{a}/{b}/{c}")
        return [
            route("GET HEAD", "/", self._root),
            *(route("GET", path, self._nodes) for path in nodes),
            route("GET", "/_ml/info", self._ml_info),
            route("GET", "/_ml/memory/_stats", self._memory),
            route("GET", "/_ml/memory/{node}/_stats", self._memory),
        ]

    async def _root(self, call: Call) -> Response:
        node = await self._node.info(call.headers)
        state = checked(await self._node.ask("GET", "/_cluster/state/version", headers=call.headers)).json()
        version = self._settings().version
        body = {
            "name": node["name"],
            "cluster_name": node["cluster_name"],
            "cluster_uuid": state["cluster_uuid"],
            "version": {
                "number": version,
                "build_flavor": "default",
                "build_type": node["build_type"],
                "build_hash": node["build_hash"],
                "build_date": "2025-01-01T00:00:00.000000000Z",
                "build_snapshot": False,
                "lucene_version": _LUCENE,
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }
        return answer(body)

    # -- nodes ---------------------------------------------------------------------------------------------

    async def _nodes(self, call: Call) -> Response:
        found = await self._node.send(call)
        if found.status != 200 or not _is_json(found):
            return found.response()
        body = found.json()
        for about in body.get("nodes", {}).values():
            self._describe(about)
        return found.response(orjson.dumps(body))

    def _describe(self, about: dict[str, Any]) -> None:
        settings = self._settings()
        if "attributes" in about and "ml" in about.get("roles", []):
            about["attributes"] |= self._attributes()
        if "version" in about and isinstance(about["version"], str):
            about["version"] = settings.version
        if "available_processors" in about.get("os", {}):
            about["os"] |= {
                "available_processors": settings.processors,
                "allocated_processors": settings.processors,
            }
        if "ingest" in about and "pipelines" in about["ingest"]:
            about["ingest"]["pipelines"] |= self._pipelines.stats()

    def _attributes(self) -> dict[str, str]:
        settings = self._settings()
        return {
            "ml.allocated_processors": str(settings.processors),
            "ml.allocated_processors_double": f"{settings.processors:.1f}",
            "ml.machine_memory": str(settings.machine_memory),
            "ml.max_jvm_size": str(settings.jvm_size),
            "ml.config_version": "12.0.0",
        }

    # -- machine learning ----------------------------------------------------------------------------------

    async def _ml_info(self, _: Call) -> Response:
        settings = self._settings()
        body = {
            "defaults": {
                "anomaly_detectors": {"model_memory_limit": "1gb"},
                "datafeeds": {"scroll_size": 1000},
            },
            "upgrade_mode": False,
            "native_code": {"version": settings.version, "build_hash": "gateway"},
            "limits": {
                "effective_max_model_memory_limit": size_text(settings.ml_memory),
                "total_ml_memory": size_text(settings.ml_memory),
                "total_ml_processors": settings.processors,
                "max_single_ml_node_processors": settings.processors,
            },
        }
        return answer(body)

    async def _memory(self, call: Call) -> Response:
        node = await self._node.info(call.headers)
        settings = self._settings()
        ml = {
            "max_in_bytes": settings.ml_memory,
            "native_code_overhead_in_bytes": NATIVE_OVERHEAD if self._ml.memory_used else 0,
            "anomaly_detectors_in_bytes": 0,
            "data_frame_analytics_in_bytes": 0,
            "native_inference_in_bytes": max(0, self._ml.memory_used - NATIVE_OVERHEAD),
        }
        memory = {
            "total_in_bytes": settings.machine_memory,
            "adjusted_total_in_bytes": settings.machine_memory,
        }
        about = {
            "name": node["name"],
            "ephemeral_id": node.get("ephemeral_id", node["id"]),
            "transport_address": node["transport_address"],
            "attributes": {**node["attributes"], **self._attributes()},
            "roles": node["roles"],
            "mem": {**memory, "ml": ml},
            "jvm": {
                "heap_max_in_bytes": settings.jvm_size,
                "java_inference_max_in_bytes": 0,
                "java_inference_in_bytes": 0,
            },
        }
        counts = {"total": 1, "successful": 1, "failed": 0}
        return answer({"_nodes": counts, "cluster_name": node["cluster_name"], "nodes": {node["id"]: about}})


def _is_json(found: Answer) -> bool:
    kind = next((value for key, value in found.headers if key.lower() == b"content-type"), b"")
    return kind.startswith(JSON.encode()) or b"+json" in kind
