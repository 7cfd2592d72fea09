"""What holds ELSER up, told from what the cluster counts: symptom, cause, and the change to make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Final, Literal, TypeAlias, get_args

from vectorface.backends.elasticsearch.elser.deployments import Deployment
from vectorface.backends.elasticsearch.elser.facts import Facts, NodeLoad
from vectorface.backends.elasticsearch.elser.nodes import SMALLEST_NODE
from vectorface.backends.elasticsearch.elser.remedies import anew, ensure, fewer, more, wait_for
from vectorface.backends.elasticsearch.released import ELSER_2, optimized

Severity: TypeAlias = Literal["error", "warning", "info"]
Code: TypeAlias = Literal[
    "model_missing",
    "model_incomplete",
    "not_deployed",
    "deployment_failed",
    "still_starting",
    "no_room",
    "queue_full",
    "texts_waiting",
    "searches_behind_loads",
    "timeouts",
    "inference_errors",
    "threads_for_loads",
    "hidden_failures",
    "pipeline_failures",
    "slow_processor",
    "pipeline_without_model",
    "small_node",
    "node_busy",
    "node_full",
    "platform_free_model",
]

#: Seconds after which Elasticsearch gives up on the expansion of a search's text
#: (``InferModelAction.Request.DEFAULT_TIMEOUT_FOR_API``).
_SEARCH_TIMEOUT: Final = 10.0
#: Percent of a node's processors from which on it is full.
_FULL: Final = 90
#: Percent of one processor from which on other work of a node is worth a word.
_BUSY: Final = 50.0
#: Share of a pipeline's time below which it is not the model that takes it.
_HALF: Final = 0.5


# -- what is found ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that holds things up.

    The codes stay the same from one version to the next, the words for people need not. They are:

    - of the model: ``model_missing``, ``model_incomplete`` (not all of it is downloaded), ``not_deployed``,
      ``platform_free_model`` (where the optimized one runs);
    - of a deployment: ``deployment_failed``, ``still_starting``, ``no_room`` (for all its allocations),
      ``queue_full``, ``texts_waiting`` (for longer than searches do), ``timeouts``,
      ``searches_behind_loads`` (time-outs, where no deployment is for searches alone),
      ``inference_errors``, ``threads_for_loads`` (where allocations would load more);
    - of a pipeline: ``hidden_failures``, ``pipeline_failures``, ``slow_processor`` (another than ELSER's),
      ``pipeline_without_model``;
    - of a node: ``small_node``, ``node_busy`` (with other work), ``node_full`` (of the model's).

    Attributes:
        severity: ``error`` (does not work), ``warning`` (works badly) or ``info`` (could work better).
        code: What it is, for programs.
        symptom: What is seen.
        cause: Why that is.
        advice: What to do.
        call: The change as a call, where there is one; ``model`` is the ``ElserModel``.
    """

    severity: Severity
    code: Code
    symptom: str
    cause: str
    advice: str
    call: str = ""

    def __str__(self) -> str:
        call = f"\n    {self.call}" if self.call else ""
        return f"{self.severity}: {self.symptom}\n  because {self.cause}\n  {self.advice}{call}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What was found; ``print`` it.

    Attributes:
        findings: The worst first.
        facts: What they are found by.
    """

    findings: tuple[Finding, ...]
    facts: Facts

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is worse than an advice."""
        return all(finding.severity == "info" for finding in self.findings)

    @property
    def bottleneck(self) -> Finding | None:
        """What holds things up most; ``None`` if nothing does."""
        return None if self.is_healthy else self.findings[0]

    def __str__(self) -> str:
        lines = [*map(str, self.findings)] or ["Nothing holds it up."]
        if self.facts.unread:
            lines.append(f"Not looked at, for want of a privilege: {', '.join(self.facts.unread)}.")
        return "\n".join(lines)


def diagnose(facts: Facts) -> Diagnosis:
    """Tell from facts what holds ELSER up: a pure function.

    Args:
        facts: What the cluster tells, as ``collect`` reads them.
    """
    found = list(_of_model(facts))
    if not found:
        for deployment in facts.status.deployments:
            found += [one for rule in _RULES for one in rule(deployment, facts)]
        found += [*_of_pipelines(facts), *_of_nodes(facts), *_of_choice(facts)]
    found += _of_dangling(facts)
    order = get_args(Severity)
    found.sort(key=lambda finding: order.index(finding.severity))
    return Diagnosis(findings=tuple(found), facts=facts)


def _of_model(facts: Facts) -> Iterator[Finding]:
    status = facts.status
    if not status.exists:
        yield Finding(
            severity="error",
            code="model_missing",
            symptom=f"There is no model {status.model_id!r}.",
            cause="nobody had it downloaded, or somebody deleted it.",
            advice="Have it downloaded and deployed.",
            call="model.ensure()",
        )
    elif not status.downloaded:
        yield Finding(
            severity="error",
            code="model_incomplete",
            symptom=f"The model {status.model_id!r} is not complete.",
            cause="it is still being downloaded, or the download failed (index .ml-notifications-*).",
            advice="Wait for it; if nothing comes, the cluster cannot reach https://ml-models.elastic.co.",
            call="model.wait_until_downloaded()",
        )
    elif not status.deployments:
        yield Finding(
            severity="error",
            code="not_deployed",
            symptom=f"Nothing runs the model {status.model_id!r}.",
            cause="it was downloaded and never deployed, or its deployments were stopped.",
            advice="Deploy it.",
            call="model.ensure()",
        )


# -- one deployment ---------------------------------------------------------------------------------------


def _failed(deployment: Deployment, facts: Facts) -> Iterator[Finding]:
    del facts
    if deployment.state == "failed":
        yield Finding(
            severity="error",
            code="deployment_failed",
            symptom=f"Deployment {deployment.id!r} failed.",
            cause=deployment.why or "the server gives no reason.",
            advice="Stop it, and start it again when the cause is gone.",
            call=anew(deployment, force=True),
        )


def _not_started(deployment: Deployment, facts: Facts) -> Iterator[Finding]:
    there, wanted, no_room = deployment.allocated, deployment.allocations, deployment.lacks_room
    if deployment.state in {"failed", "stopping"} or (deployment.is_started and there >= wanted):
        return
    advice, call = fewer(deployment, facts) if no_room else wait_for(deployment)
    cause = "there is no room for more" if no_room else f"{wanted - there} of them are not there yet"
    why = f": {deployment.why}" if deployment.why else ""
    yield Finding(
        severity="warning" if deployment.is_started else "error",
        code="no_room" if no_room else "still_starting",
        symptom=f"Deployment {deployment.id!r} has {there} of {wanted} allocations.",
        cause=f"{cause}{why.rstrip('.')}.",
        advice=advice,
        call=call,
    )


def _queue_full(deployment: Deployment, facts: Facts) -> Iterator[Finding]:
    if not deployment.rejected:
        return
    advice, call = more(deployment, facts)
    yield Finding(
        severity="warning",
        code="queue_full",
        symptom=(
            f"Deployment {deployment.id!r} refused {deployment.rejected:,} texts, and expanded "
            f"{deployment.inferences:,}."
        ),
        cause=f"more came than it can expand, and its queue of {deployment.queue_capacity} was full.",
        advice=f"{advice} A longer queue helps against short bursts alone; refused texts are sent again.",
        call=call,
    )


def _waiting(deployment: Deployment, facts: Facts) -> Iterator[Finding]:
    if not deployment.pending or not deployment.allocated or not deployment.average_ms:
        return
    wait = deployment.pending * deployment.average_ms / 1000 / deployment.allocated
    if wait <= _SEARCH_TIMEOUT:
        return
    advice, call = more(deployment, facts)
    yield Finding(
        severity="warning",
        code="texts_waiting",
        symptom=(
            f"{deployment.pending:,} texts wait for deployment {deployment.id!r}, which is "
            f"{wait:.0f} seconds of work."
        ),
        cause=(
            f"{deployment.allocated} allocations need {deployment.average_ms:.0f} ms for a text, and "
            f"searches give up after {_SEARCH_TIMEOUT:g} seconds."
        ),
        advice=advice,
        call=call,
    )


def _timeouts(deployment: Deployment, facts: Facts) -> Iterator[Finding]:
    if not deployment.timeouts:
        return
    symptom = f"{deployment.timeouts:,} texts timed out at deployment {deployment.id!r}."
    if _does_both(facts):
        new = _free_id("elser-search", facts)
        yield Finding(
            severity="warning",
            code="searches_behind_loads",
            symptom=symptom,
            cause="searches wait behind what is being loaded: no deployment is for searches alone.",
            advice="Give searches a deployment of their own, with more threads, and name it as search_id.",
            call=f"{ensure(new, threads=2)}; Elser(..., search_id={new!r})",
        )
        return
    advice, call = more(deployment, facts)
    yield Finding(
        severity="warning",
        code="timeouts",
        symptom=symptom,
        cause="they waited in the queue for longer than whoever sent them.",
        advice=f"{advice} Or wait longer: infer(timeout=...), write_timeout= of Elser.",
        call=call,
    )


def _errors(deployment: Deployment, facts: Facts) -> Iterator[Finding]:
    del facts
    if deployment.errors:
        yield Finding(
            severity="warning",
            code="inference_errors",
            symptom=f"{deployment.errors:,} texts failed at deployment {deployment.id!r}.",
            cause="the model's process answered with errors, which are in the log of its node.",
            advice="Try one of the texts by itself; if all fail, stop the deployment and start it again.",
            call=f"model.infer([text], deployment_id={deployment.id!r})",
        )


def _threads(deployment: Deployment, facts: Facts) -> Iterator[Finding]:
    if deployment.threads > 1 and _does_both(facts):
        yield Finding(
            severity="info",
            code="threads_for_loads",
            symptom=f"Deployment {deployment.id!r} expands documents with {deployment.threads} threads each.",
            cause="threads make one text quicker, allocations more texts a second.",
            advice="Load documents by a deployment of one thread and many allocations, as Elastic advises, "
            "and search by another.",
            call=ensure(
                _free_id("elser-ingest", facts),
                allocations=deployment.allocations * deployment.threads,
                threads=1,
            ),
        )


def _does_both(facts: Facts) -> bool:
    """Tell whether every deployment loads documents, so that none is for searches alone."""
    return all(_loads(deployment, facts) for deployment in facts.status.deployments)


def _loads(deployment: Deployment, facts: Facts) -> bool:
    """Tell whether pipelines use a deployment: by its id, or by any name of the model if it is the one."""
    status = facts.status
    names = status.names if len(status.deployments) == 1 else {deployment.id}
    return any(not names.isdisjoint(one.model_ids) for one in facts.pipelines)


def _free_id(wanted: str, facts: Facts) -> str:
    """Return an id that no deployment of the model has."""
    ids = chain([wanted], (f"{wanted}-{number}" for number in count(2)))
    return next(id_ for id_ in ids if id_ not in facts.status.names)


_RULES: Final[Sequence[Callable[[Deployment, Facts], Iterable[Finding]]]] = (
    _failed,
    _not_started,
    _queue_full,
    _waiting,
    _timeouts,
    _errors,
    _threads,
)


# -- pipelines, nodes, the choice of model ------------------------------------------------------------------


def _of_pipelines(facts: Facts) -> Iterator[Finding]:
    for one in facts.pipelines:
        if one.hides:
            yield Finding(
                severity="error",
                code="hidden_failures",
                symptom=f"The pipeline {one.name!r} makes documents that failed look written.",
                cause=f"{'; '.join(one.hides)}.",
                advice="Make it anew, so that whoever writes is told; find those without tokens and write "
                "them again.",
                call=f"Pipelines(client).create({one.name!r}, ...)",
            )
        if one.failed:
            yield Finding(
                severity="warning",
                code="pipeline_failures",
                symptom=f"{one.failed:,} of {one.count:,} documents failed in the pipeline {one.name!r}.",
                cause="the model was not there, its queue was full, or the documents have no text.",
                advice="Whoever wrote them was told which; try one to see why.",
                call=f"Pipelines(client).simulate({one.name!r}, [document])",
            )
        if one.slowest and one.millis and one.inference_millis < _HALF * one.millis:
            yield Finding(
                severity="warning",
                code="slow_processor",
                symptom=(
                    f"The pipeline {one.name!r} takes {one.millis / max(1, one.count):.0f} ms a document, "
                    "and less than half of it is ELSER's."
                ),
                cause=f"its {one.slowest} processor takes the time.",
                advice="Look at that processor; more allocations would not help.",
                call=f"Pipelines(client).get({one.name!r})",
            )


def _of_dangling(facts: Facts) -> Iterator[Finding]:
    for pipeline, id_ in facts.dangling:
        yield Finding(
            severity="error",
            code="pipeline_without_model",
            symptom=f"The pipeline {pipeline!r} uses {id_!r}, which nothing runs.",
            cause="that deployment was stopped, or never started; what is written through it fails.",
            advice="Deploy the model under that name, or delete the pipeline if no index has it any more.",
            call=f"model.ensure({id_!r})",
        )


def _of_nodes(facts: Facts) -> Iterator[Finding]:
    for node in facts.nodes:
        if 0 < node.total_memory < SMALLEST_NODE:
            yield Finding(
                severity="warning",
                code="small_node",
                symptom=f"Node {node.name!r} has {node.total_memory / (1 << 30):.1f} GB of memory.",
                cause="ELSER needs a machine-learning node of 4 GB at least, as Elastic says.",
                advice="Give machine learning a larger node.",
            )
    if not any(deployment.pending for deployment in facts.status.deployments):
        return
    for load in facts.loads:
        yield from _of_load(load)


def _of_load(load: NodeLoad) -> Iterator[Finding]:
    if load.cpu is None or load.cpu < _FULL:
        return
    pool, percent = max((load.threads or {}).items(), key=lambda item: item[1], default=("", 0.0))
    symptom = f"The processors of node {load.name!r} are busy ({load.cpu}%) while texts wait."
    if percent >= _BUSY:
        yield Finding(
            severity="warning",
            code="node_busy",
            symptom=symptom,
            cause=f"the node does other work, too: its {pool!r} threads take {percent:.0f}%.",
            advice="Give machine learning nodes of its own (node.roles: [ml]).",
        )
    else:
        yield Finding(
            severity="warning",
            code="node_full",
            symptom=symptom,
            cause="the model takes them all: the node is too small for what comes.",
            advice="Add machine-learning nodes, or larger ones.",
            call="print(model.plan())",
        )


def _of_choice(facts: Facts) -> Iterator[Finding]:
    systems = {load.system for load in facts.loads}
    if facts.status.model_id == ELSER_2 and systems == {"Linux amd64"}:
        yield Finding(
            severity="info",
            code="platform_free_model",
            symptom="The model is the one for any platform.",
            cause="all machine-learning nodes run Linux on Intel's or AMD's processors.",
            advice="The optimized model gives the same tokens and is quicker: Elastic measured 22 documents "
            "a second against 14.",
            call=f"ElserModel(client, {optimized(ELSER_2)!r}).ensure(...)",
        )
