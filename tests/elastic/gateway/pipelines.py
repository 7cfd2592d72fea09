"""Ingest pipelines: their definitions, running them, simulating them, and what they count.

The node keeps an empty pipeline under the same id: so it is the node that knows which pipelines exist,
refuses to delete an index's default one, and runs nothing a second time.

Source: ``server/.../ingest/Pipeline.java``, ``CompoundProcessor.java`` (failures), ``IngestStats.java``,
``SimulatePipelineRequest.java``; ``rest-api-spec/.../api/ingest.*.json``.
"""

from __future__ import annotations

import copy
import fnmatch
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.responses import Response

from tests.elastic.gateway.documents import Document
from tests.elastic.gateway.errors import ElasticError, illegal_argument
from tests.elastic.gateway.processors import Environment, Inference, InferenceProcessor, Step, steps
from tests.elastic.gateway.router import Route, route
from tests.elastic.gateway.values import flag
from tests.elastic.gateway.wire import Call, Node, answer, checked, segment

_KNOWN: Final = frozenset({"processors", "on_failure", "description", "version", "_meta", "deprecated"})


@dataclass
class Pipeline:
    """A pipeline, ready to run."""

    id: str
    definition: dict[str, Any]
    steps: list[Step]
    on_failure: list[Step]
    count: int = 0
    failed: int = 0
    current: int = 0
    seconds: float = 0.0
    #: What inference processors name.
    models: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, id: str, definition: Mapping[str, Any]) -> Pipeline:
        """Read a definition, which is checked as Elasticsearch does."""
        if "processors" not in definition:
            more = {"property_name": "processors"}
            raise ElasticError(400, "parse_exception", "[processors] required property is missing", more=more)
        if unknown := definition.keys() - _KNOWN:
            names = ", ".join(sorted(unknown))
            reason = (
                f"pipeline [{id}] doesn't support one or more provided configuration parameters [{names}]"
            )
            raise ElasticError(400, "parse_exception", reason)
        run, handlers = steps(definition["processors"]), steps(definition.get("on_failure", []))
        if "on_failure" in definition and not handlers:
            raise ElasticError(
                400, "parse_exception", f"pipeline [{id}] cannot have an empty on_failure option defined"
            )
        found = cls(id, dict(definition), run, handlers)
        found.models = {
            step.processor.model_id
            for step in _all_steps([*run, *handlers])
            if isinstance(step.processor, InferenceProcessor)
        }
        return found

    def stats(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "time_in_millis": round(self.seconds * 1000),
            "current": self.current,
            "failed": self.failed,
            "ingested_as_first_pipeline_in_bytes": 0,
            "produced_as_first_pipeline_in_bytes": 0,
            "processors": [step.stats() for step in self.steps],
        }


def _all_steps(given: list[Step]) -> list[Step]:
    return [found for step in given for found in (step, *_all_steps(step.on_failure))]


class StoredPipelines(dict[str, Pipeline]):
    """The pipelines that there are, by id: which models they use, and what they count."""

    def references(self) -> dict[str, set[str]]:
        """Return the ids of pipelines by the models that they name."""
        found: dict[str, set[str]] = {}
        for name, pipeline in self.items():
            for model in pipeline.models:
                found.setdefault(model, set()).add(name)
        return found

    def stats(self) -> dict[str, Any]:
        """Return the statistics of all pipelines by name."""
        return {name: pipeline.stats() for name, pipeline in self.items()}

    def stats_of(self, ids: set[str]) -> dict[str, Any]:
        """Return the statistics of some pipelines, with a total (as trained models show them)."""
        found = {name: told for name, told in self.stats().items() if name in ids}
        names = ("count", "time_in_millis", "current", "failed")
        return {
            "total": {name: sum(told[name] for told in found.values()) for name in names},
            "pipelines": found,
        }


class Pipelines:
    """The pipelines API."""

    def __init__(self, node: Node, inference: Inference, stored: StoredPipelines) -> None:
        self._node = node
        self._pipelines = stored
        self._environment = Environment(inference, self._nested, self.__contains__)

    def __contains__(self, id: object) -> bool:
        return id in self._pipelines

    def __bool__(self) -> bool:
        return bool(self._pipelines)

    def routes(self) -> list[Route]:
        api = "/_ingest/pipeline"
        return [
            route("GET POST", f"{api}/_simulate", self._simulate, "verbose"),
            route("GET POST", f"{api}/{{id}}/_simulate", self._simulate, "verbose"),
            route("PUT", f"{api}/{{id}}", self._put, "if_version"),
            route("GET", api, self._get, "summary"),
            route("GET", f"{api}/{{id}}", self._get, "summary"),
            route("DELETE", f"{api}/{{id}}", self._delete, ""),
        ]

    async def reset(self) -> None:
        """Forget all, on the node too as far as no index needs them."""
        names = list(self._pipelines)
        self._pipelines.clear()
        for name in names:
            await self._node.ask("DELETE", f"/_ingest/pipeline/{segment(name)}")

    # -- definitions ---------------------------------------------------------------------------------------

    async def _put(self, call: Call) -> Response:
        definition = call.object()
        pipeline = Pipeline.of(call.caught["id"], definition)
        kept = {key: definition[key] for key in ("description", "version", "_meta") if key in definition}
        found = await self._node.send(call.with_body(orjson.dumps({**kept, "processors": []})))
        checked(found)
        self._pipelines[pipeline.id] = pipeline
        return found.response()

    async def _get(self, call: Call) -> Response:
        found = await self._node.send(call)
        known = {name: pipeline.definition for name, pipeline in self._pipelines.items()}
        if flag(call.params, "summary"):
            known = {
                name: {k: v for k, v in told.items() if k != "processors"} for name, told in known.items()
            }
        body = {name: known.get(name, told) for name, told in found.json().items()} if found.ok else None
        return found.response(None if body is None else orjson.dumps(body))

    async def _delete(self, call: Call) -> Response:
        found = checked(await self._node.send(call))
        for name in fnmatch.filter(list(self._pipelines), call.caught["id"]):
            del self._pipelines[name]
        return found.response()

    # -- running -------------------------------------------------------------------------------------------

    async def run(self, id: str, document: Document) -> None:
        """Send a document through a pipeline; it is changed in place, and may be dropped.

        Raises:
            ElasticError: A processor failed, and nothing was there to handle it.
        """
        await self._run(self._pipelines[id], document)

    async def _nested(self, id: str, document: Document) -> None:
        if id in document.ingest.setdefault("_running", []):
            raise illegal_argument(f"Cycle detected for pipeline: {id}")
        await self.run(id, document)

    async def _run(self, pipeline: Pipeline, document: Document) -> None:
        stack = document.ingest.setdefault("_running", [])
        stack.append(pipeline.id)
        pipeline.current += 1
        pipeline.count += 1
        began = time.monotonic()
        try:
            await self._steps(pipeline.steps, document, pipeline)
        except ElasticError as error:
            if not pipeline.on_failure:
                pipeline.failed += 1
                raise
            await self._handle(pipeline.on_failure, document, error, pipeline)
        finally:
            pipeline.seconds += time.monotonic() - began
            pipeline.current -= 1
            stack.pop()

    async def _steps(self, run: list[Step], document: Document, pipeline: Pipeline) -> None:
        for step in run:
            await self._step(step, document, pipeline)
            if document.dropped:
                return

    async def _step(self, step: Step, document: Document, pipeline: Pipeline) -> None:
        step.count += 1
        step.current += 1
        began = time.monotonic()
        try:
            await step.processor.run(document, self._environment)
        except ElasticError as error:
            step.failed += 1
            if step.ignore_failure:
                return
            document.ingest["_failed"] = (step.kind, step.tag)
            if not step.on_failure:
                raise
            await self._handle(step.on_failure, document, error, pipeline)
        finally:
            step.seconds += time.monotonic() - began
            step.current -= 1

    async def _handle(
        self, handlers: list[Step], document: Document, error: ElasticError, pipeline: Pipeline
    ) -> None:
        kind, tag = document.ingest.pop("_failed", ("", None))
        told = {
            "message": error.reason,
            "processor_type": kind,
            "processor_tag": tag,
            "pipeline": pipeline.id,
        }
        names = {f"on_failure_{name}": value for name, value in told.items()}
        document.ingest |= names
        try:
            await self._steps(handlers, document, pipeline)
        finally:
            for name in names:
                document.ingest.pop(name, None)

    # -- simulating ----------------------------------------------------------------------------------------

    async def _simulate(self, call: Call) -> Response:
        body = call.object()
        pipeline = self._simulated(call.caught.get("id"), body)
        if not isinstance(body.get("docs"), list) or not body["docs"]:
            raise illegal_argument("must specify at least one document in [docs]")
        verbose = flag(call.params, "verbose")
        rows = [await self._simulated_document(pipeline, given, verbose=verbose) for given in body["docs"]]
        return answer({"docs": rows})

    def _simulated(self, id: str | None, body: Mapping[str, Any]) -> Pipeline:
        if id is None:
            if "pipeline" not in body:
                more = {"property_name": "pipeline"}
                raise ElasticError(
                    400, "parse_exception", "[pipeline] required property is missing", more=more
                )
            return Pipeline.of("_simulate_pipeline", body["pipeline"])
        if id not in self._pipelines:
            raise illegal_argument(f"pipeline [{id}] does not exist")
        return copy.deepcopy(self._pipelines[id])  # which then does not count for it

    async def _simulated_document(self, pipeline: Pipeline, given: Any, *, verbose: bool) -> dict[str, Any]:
        document = Document(
            copy.deepcopy(given["_source"]),
            {"_index": given.get("_index", "_index"), "_id": given.get("_id", "_id"), "_version": "-3"},
        )
        if verbose:
            return {"processor_results": await self._verbose(pipeline, document)}
        try:
            await self._run(pipeline, document)
        except ElasticError as error:
            return {"error": error.as_error()}
        return {"doc": _shown(document)} if not document.dropped else {}

    async def _verbose(self, pipeline: Pipeline, document: Document) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for step in pipeline.steps:
            row: dict[str, Any] = {"processor_type": step.kind, **({"tag": step.tag} if step.tag else {})}
            rows.append(row)
            try:
                await self._step(step, document, pipeline)
            except ElasticError as error:
                row |= {"status": "error", "error": error.as_error()}
                return rows
            row |= (
                {"status": "dropped"}
                if document.dropped
                else {"status": "success", "doc": copy.deepcopy(_shown(document))}
            )
            if document.dropped:
                return rows
        return rows


def _shown(document: Document) -> dict[str, Any]:
    ingest = {key: value for key, value in document.ingest.items() if not key.startswith("_")}
    return {**document.metadata, "_source": document.source, "_ingest": ingest}
