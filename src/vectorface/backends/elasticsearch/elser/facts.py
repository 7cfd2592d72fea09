"""What the cluster tells of a model, its deployments, pipelines and nodes: the facts of a diagnosis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from vectorface.backends.elasticsearch.cluster.pipelines import Pipeline, Pipelines
from vectorface.backends.elasticsearch.elser.deployments import ModelStatus
from vectorface.backends.elasticsearch.elser.nodes import MlNode, ml_nodes
from vectorface.backends.elasticsearch.inference import model_behind
from vectorface.backends.elasticsearch.server import Server
from vectorface.errors import ModelNotFoundError, PermissionDeniedError

_NODE: Final = re.compile(r"^::: \{([^}]*)\}", re.MULTILINE)
_THREAD: Final = re.compile(r"^\s*([\d.]+)%.* by thread '([^']*)'", re.MULTILINE)
_POOL: Final = re.compile(r"\[[^\]]*\]\[([^\]]*)\]")


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineStats:
    """What an ingest pipeline has done, over all nodes.

    Attributes:
        name: Its name.
        model_ids: The models, deployments or endpoints that it uses.
        count: Documents that passed it.
        failed: Documents that failed in it.
        millis: Milliseconds that all of them took.
        inference_millis: Milliseconds of that in inference processors.
        slowest: The kind of processor that took most, beside inference.
        hides: What in it makes documents that failed look written.
    """

    name: str
    model_ids: tuple[str, ...] = ()
    count: int = 0
    failed: int = 0
    millis: int = 0
    inference_millis: int = 0
    slowest: str | None = None
    hides: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeLoad:
    """How busy a machine-learning node is.

    Attributes:
        name: The node's name.
        cpu: Percent of all its processors, by everything that runs there.
        threads: Percent of one processor by thread pool of Elasticsearch itself, the model not included.
        system: What it runs on, as in ``Linux amd64``.
    """

    name: str
    cpu: int | None = None
    threads: Mapping[str, float] | None = None
    system: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the cluster tells.

    Attributes:
        status: The model and its deployments.
        nodes: The machine-learning nodes.
        loads: How busy they are.
        pipelines: The ingest pipelines that use the model.
        dangling: Other ingest pipelines, each with a name in it that stands for no model any more.
        unread: What could not be read for want of a privilege.
    """

    status: ModelStatus
    nodes: tuple[MlNode, ...] = ()
    loads: tuple[NodeLoad, ...] = ()
    pipelines: tuple[PipelineStats, ...] = ()
    dangling: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()


def collect(server: Server, status: ModelStatus) -> Facts:
    """Read what there is to know; what a privilege is missing for is named, not guessed.

    Args:
        server: Where the cluster is.
        status: The model, as :meth:`ElserModel.status` returns it.
    """
    facts, unread = Facts(status=status), []
    parts: dict[str, Callable[[Facts], Facts]] = {
        "machine-learning nodes": lambda facts: replace(facts, nodes=ml_nodes(server)),
        "load of nodes": lambda facts: replace(facts, loads=_loads(server)),
        "ingest pipelines": lambda facts: _with_pipelines(server, facts),
    }
    for name, read in parts.items():
        try:
            facts = read(facts)
        except PermissionDeniedError:
            unread.append(name)
    return replace(facts, unread=tuple(unread))


def _with_pipelines(server: Server, facts: Facts) -> Facts:
    there, names = Pipelines(server).list_pipelines(), facts.status.names
    used = [one for one in there if one.uses(names)]
    return replace(facts, pipelines=_stats(server, used), dangling=_dangling(server, there, names))


def _dangling(
    server: Server, pipelines: Iterable[Pipeline], names: frozenset[str]
) -> tuple[tuple[str, str], ...]:
    named = [(one.name, id_) for one in pipelines for id_ in one.model_ids]
    gone = {id_ for id_ in {id_ for _, id_ in named} - names if not _is_known(server, id_)}
    return tuple((name, id_) for name, id_ in named if id_ in gone)


def _is_known(server: Server, id_: str) -> bool:
    """Tell whether a name stands for a model, a deployment or an inference endpoint."""
    for is_endpoint in (False, True):
        try:
            model_behind(server, id_, is_endpoint=is_endpoint)
        except ModelNotFoundError:
            continue
        return True
    return False


def _stats(server: Server, used: Sequence[Pipeline]) -> tuple[PipelineStats, ...]:
    if not used:
        return ()
    answer = server.request("GET", "/_nodes/stats/ingest", doing="reading what pipelines did")
    told = [node.get("ingest", {}).get("pipelines", {}) for node in answer["nodes"].values()]
    return tuple(pipeline_stats(one, [node.get(one.name, {}) for node in told]) for one in used)


def pipeline_stats(pipeline: Pipeline, told: Iterable[Mapping[str, Any]]) -> PipelineStats:
    """Sum up what all nodes tell of a pipeline.

    Args:
        pipeline: The pipeline.
        told: Of each node what ``GET _nodes/stats/ingest`` has of it.
    """
    rows = list(told)
    millis: dict[str, int] = {}
    for row in rows:
        for kind, one in (item for processor in row.get("processors", ()) for item in processor.items()):
            name = one.get("type", kind.partition(":")[0])
            millis[name] = millis.get(name, 0) + one.get("stats", {}).get("time_in_millis", 0)
    inference = millis.pop("inference", 0)
    return PipelineStats(
        name=pipeline.name,
        model_ids=pipeline.model_ids,
        count=sum(row.get("count", 0) for row in rows),
        failed=sum(row.get("failed", 0) for row in rows),
        millis=sum(row.get("time_in_millis", 0) for row in rows),
        inference_millis=inference,
        slowest=max(millis, key=lambda name: millis[name], default=None),
        hides=pipeline.hides,
    )


def _loads(server: Server) -> tuple[NodeLoad, ...]:
    stats = server.request("GET", "/_nodes/ml:true/stats/os", doing="reading the load of nodes")
    about = server.request("GET", "/_nodes/ml:true/os", doing="reading what nodes run on")["nodes"]
    text = server.request("GET", "/_nodes/ml:true/hot_threads", doing="reading what nodes are busy with")
    busy = hot_threads(str(text))
    return tuple(
        NodeLoad(
            name=node["name"],
            cpu=node.get("os", {}).get("cpu", {}).get("percent"),
            threads=busy.get(node["name"], {}),
            system=" ".join(about.get(id_, {}).get("os", {}).get(key, "") for key in ("name", "arch")),
        )
        for id_, node in stats["nodes"].items()
    )


def hot_threads(text: str) -> dict[str, dict[str, float]]:
    """Return percent of one processor by thread pool, by node, of what ``GET _nodes/hot_threads`` writes.

    Example:
        >>> hot_threads('''::: {es-1}{abc}{ml}
        ...    42.5% [cpu=42.5%] (212ms out of 500ms) cpu usage by thread 'elasticsearch[es-1][write][T#3]'
        ... ''')
        {'es-1': {'write': 42.5}}
    """
    parts = _NODE.split(text)
    found: dict[str, dict[str, float]] = {}
    for name, section in zip(parts[1::2], parts[2::2], strict=True):
        pools = found.setdefault(name, {})
        for percent, thread in _THREAD.findall(section):
            match = _POOL.search(thread)
            pool = match[1] if match else thread
            pools[pool] = pools.get(pool, 0.0) + float(percent)
    return found
