"""Copying an index into another on the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, TypeAlias, get_args

from vectorface.backends.elasticsearch.checks import (
    check_count,
    check_name,
    check_one_of,
    check_positive,
)
from vectorface.backends.elasticsearch.cluster.access import Client, function_twin_of, server_behind
from vectorface.backends.elasticsearch.copying.tasks import ReindexFailure, ReindexProgress, ReindexTask
from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.backends.elasticsearch.translation import is_missing
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    IndexNotFoundError,
    PermissionDeniedError,
    VectorfaceError,
)
from vectorface.indexes import checked_flag

__all__ = [
    "ELSER_BATCH",
    "Conflicts",
    "OpType",
    "ReindexFailure",
    "ReindexProgress",
    "ReindexTask",
    "areindex",
    "reindex",
]

Conflicts: TypeAlias = Literal["abort", "proceed"]
OpType: TypeAlias = Literal["index", "create"]

#: What Elastic's guide ("Tutorial: semantic search with ELSER") advises where a pipeline runs a model: small
#: batches show progress and errors early. Elasticsearch's own default is 1,000.
ELSER_BATCH: Final = 50
#: ``index.max_result_window``, beyond which no page of a scroll goes.
_LARGEST_BATCH: Final = 10_000


def reindex(
    client: Client,
    source: str | Sequence[str],
    dest: str,
    *,
    pipeline: str | None = None,
    query: Mapping[str, Any] | None = None,
    size: int | None = None,
    slices: int | Literal["auto"] | None = None,
    requests_per_second: float | None = None,
    conflicts: Conflicts = "abort",
    op_type: OpType = "index",
    refresh: bool = True,
) -> ReindexTask:
    """Start to copy the documents of an index into another, on the server.

    Args:
        client: An ``elasticsearch.Elasticsearch``, or a connected ``ElasticsearchDB``.
        source: The index, or several, or aliases of them.
        dest: The index to write to, which must exist: Elasticsearch would make one with a guessed mapping.
        pipeline: Ingest pipeline for each document, instead of the default one of ``dest``; ``"_none"`` for
            none. With ELSER it is what takes the time: pass a small ``size``, Elastic advises 50
            (:data:`ELSER_BATCH`).
        query: Elasticsearch's query for which documents; all if left out.
        size: Documents in a batch, up to 10,000; Elasticsearch's default is 1,000.
        slices: How many parts work at the same time, or ``"auto"`` for one a shard. Where a model is the
            bottleneck, more parts only fill its queue.
        requests_per_second: At most so many documents a second, on average.
        conflicts: ``"proceed"`` to go on where a document is there already; otherwise that ends the task.
        op_type: ``"create"`` to leave documents alone that are there already.
        refresh: Whether the copies show in searches at the end.

    Returns:
        The task, which runs on the server: ``.progress()``, ``.wait()``, ``.cancel()``.

    Raises:
        ConfigurationError: An argument is wrong, or there is no such pipeline; nothing was copied.
        IndexNotFoundError: There is no such index, to copy from or into; nothing was copied.

    Example:
        ::

            task = reindex(client, "stories", "stories-elser", pipeline="elser", size=ELSER_BATCH)
            task.wait(progress=lambda state, done: print(state, done))
    """
    names = [source] if isinstance(source, str) else source
    _check(names, dest, pipeline=pipeline, query=query, size=size, slices=slices, refresh=refresh)
    if requests_per_second is not None:
        check_positive("requests_per_second", requests_per_second)
    check_one_of("conflicts", conflicts, get_args(Conflicts))
    check_one_of("op_type", op_type, get_args(OpType))
    server = server_behind(client)
    for name in names:
        _check_source(server, name)
    _check_there(server, dest, pipeline)
    body = {
        "conflicts": conflicts,
        "source": {
            "index": list(names),
            **({} if query is None else {"query": dict(query)}),
            **({} if size is None else {"size": size}),
        },
        "dest": {"index": dest, "op_type": op_type, **({} if pipeline is None else {"pipeline": pipeline})},
    }
    params: dict[str, Any] = {"wait_for_completion": False, "refresh": refresh}
    params |= {} if slices is None else {"slices": slices}
    params |= {} if requests_per_second is None else {"requests_per_second": requests_per_second}
    doing = f"starting to copy {', '.join(map(repr, names))} into {dest!r}"
    answer = server.request("POST", "/_reindex", params=params, body=body, doing=doing)
    return ReindexTask(server, answer["task"])


areindex = function_twin_of(reindex)


def _check(
    names: Iterable[object],
    dest: object,
    *,
    pipeline: object,
    query: object,
    size: object,
    slices: object,
    refresh: object,
) -> None:
    names = list(names)
    if not names:
        raise ConfigurationError("source= names no index.")
    for name in names:
        check_name("source", name)
    check_name("dest", dest)
    if dest in names:
        raise ConfigurationError(f"source and dest are both {dest!r}: an index cannot be copied into itself.")
    if pipeline is not None:
        check_name("pipeline", pipeline)
    if query is not None and not isinstance(query, Mapping):
        raise ConfigurationError(f"query={query!r:.80} must be a query of Elasticsearch's, a dict.")
    if size is not None:
        check_count("size", size, most=_LARGEST_BATCH)
    if slices is not None and slices != "auto":
        check_count("slices", slices)
    checked_flag("refresh", refresh)


def _check_source(server: Server, name: str) -> None:
    """Look whether there is such a source, which the task itself would tell only when somebody waits for it.

    Raises:
        IndexNotFoundError: There is none.
    """
    if ":" in name:  # on another cluster, where such a question does not reach
        return
    missing = IndexNotFoundError(f"There is no index or alias {name!r} to copy from; nothing was copied.")
    with suppress(PermissionDeniedError):  # copying takes the right to read alone, not that to see metadata
        _look_up(server, name, "_alias", what=f"index {name!r}", missing=missing)


def _check_there(server: Server, dest: str, pipeline: str | None) -> None:
    missing: VectorfaceError = IndexNotFoundError(
        f"There is no index {dest!r} to copy into; make it first, with the mapping that it is to have: "
        "Elasticsearch would guess one."
    )
    _look_up(server, dest, "_alias", what=f"index {dest!r}", missing=missing)
    if pipeline is not None and pipeline != "_none":
        missing = ConfigurationError(
            f"There is no ingest pipeline {pipeline!r}; Pipelines.create() makes it."
        )
        _look_up(server, "_ingest", "pipeline", pipeline, what=f"pipeline {pipeline!r}", missing=missing)


def _look_up(server: Server, *path: str, what: str, missing: VectorfaceError) -> None:
    """Ask for something; raise ``missing`` if it is not there."""
    try:
        server.request("GET", path_of(*path), doing=f"looking up {what}")
    except (IndexNotFoundError, BackendError) as error:
        if not is_missing(error):
            raise
        raise missing from error
