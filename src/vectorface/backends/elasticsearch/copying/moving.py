"""An index moved to ELSER in one call: copied on the server, compared, and only then put in its place."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vectorface.backends.elasticsearch.checks import check_count, check_name, check_seconds
from vectorface.backends.elasticsearch.cluster.access import (
    Client,
    function_twin_of,
    server_behind,
)
from vectorface.backends.elasticsearch.cluster.pipelines import Pipelines, check_pipeline
from vectorface.backends.elasticsearch.cluster.waiting import Deadline, ProgressCallback, tell
from vectorface.backends.elasticsearch.codec import nested
from vectorface.backends.elasticsearch.copying.blocking import WriteBlock
from vectorface.backends.elasticsearch.copying.blueprints import Source, written_to
from vectorface.backends.elasticsearch.copying.missing import missing
from vectorface.backends.elasticsearch.copying.reindex import ELSER_BATCH, ReindexTask, reindex
from vectorface.backends.elasticsearch.inference import model_behind
from vectorface.backends.elasticsearch.layout import TEXT, TOKENS
from vectorface.backends.elasticsearch.processors import MODEL_ID, elser_processors
from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    IndexExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    VectorfaceError,
)
from vectorface.indexes import checked_flag


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveReport:
    """What a move did.

    Attributes:
        source: The index that was moved; it is still there, as it was.
        dest: The new one.
        alias: The name that leads to the new one now.
        pipeline: The ingest pipeline that gave documents their tokens, the default of the new index.
        documents: How many documents it has, the same as the old one.
        seconds: How long it took.
        task_id: The (last) task that copied documents; ``None`` if nothing was left to copy.
        other_aliases: Names that still lead to the old index.
    """

    source: str
    dest: str
    alias: str
    pipeline: str
    documents: int
    seconds: float
    task_id: str | None
    other_aliases: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = ", ".join(self.other_aliases)
        others = f" Still leading to {self.source!r}: {names}." if names else ""
        return (
            f"{self.alias!r} leads to {self.dest!r} now, with {self.documents:,} documents and their tokens, "
            f"in {self.seconds:.1f} seconds. {self.source!r} is unchanged; delete it when nobody needs "
            f"it any more.{others}"
        )


def move_to_elser(
    client: Client,
    source: str,
    *,
    text_field: str = TEXT,
    alias: str | None = None,
    model_id: str = MODEL_ID,
    tokens_field: str = TOKENS,
    dest: str | None = None,
    pipeline: str | None = None,
    batch_size: int = ELSER_BATCH,
    slices: int | Literal["auto"] | None = None,
    timeout: float | None = None,
    allow_missing_text: bool = False,
    resume: bool = False,
    progress: ProgressCallback | None = None,
) -> MoveReport:
    """Move an index to one with ELSER's tokens, without anybody noticing until it is complete.

    The new index has the mapping and the settings of the old one, a field of tokens beside, and a default
    pipeline that fills it. The server copies all documents through that pipeline. Only if then both have as
    many documents, none failed, and nobody wrote to the old one meanwhile, the alias is switched, in one
    step and last. The old index stays. Whatever goes wrong before leaves the alias where it was, and the
    error says what there is now and how to go on or clean up.

    For the moment of comparing and switching the old index has a write block: who writes then is told by
    HTTP 403, and is to write again, instead of losing what went to the old index alone. Where that block is
    not allowed, such writes are only noticed, after the switch.

    Args:
        client: An ``elasticsearch.Elasticsearch``, or a connected ``ElasticsearchDB``.
        source: The index, or better an alias of it, which then leads to the new one.
        text_field: The field that ELSER reads, 512 tokens of it; dots lead into objects.
        alias: Where ``source`` is an index: the name by which the new one is to be found.
        model_id: The model, or better a deployment for loading: what expands documents. It must be started:
            ``ElserModel(client).ensure()``.
        tokens_field: The field for the tokens.
        dest: Name of the new index; ``stories-000002`` after ``stories-000001``, else with ``-elser`` behind.
        pipeline: Name of the pipeline that is made; ``dest`` with ``-elser`` behind if left out.
        batch_size: Documents in a batch; Elastic advises 50 with ELSER.
        slices: How many parts are copied at the same time; where the model is the bottleneck, more are of
            no use.
        timeout: Seconds for the copying, which is cancelled then; without end if left out.
        allow_missing_text: Copy documents without the text, too, which get no tokens; else they are refused,
            and the move ends.
        resume: Go on with a move that failed: the new index is there, and what it lacks is copied.
        progress: Called with what is being done (``checking``, ``reindexing``, ``switching``, ``moved``) and
            the share of it, 0 to 1, or ``None``.

    Returns:
        What was done.

    Raises:
        ConfigurationError: An argument is wrong, a field is not there, the alias leads elsewhere; or a move
            is to go on with another model or other fields than it had.
        IndexNotFoundError: There is no such index.
        IndexExistsError: The new index, or a pipeline of its name, exists already.
        IndexMismatchError: The old index was written to while it was copied, or the counts differ; or, where
            no write block was allowed, it was written to before the switch that has been made.
        ModelNotReadyError: The model is starting, or its deployment is stopped.
        ModelNotFoundError: There is no such model or deployment, or nobody started it.
        TransientError: The copying has not ended within ``timeout``.
        BackendError: Documents were refused; of the kind of the first refusal.

    Example:
        ::

            ElserModel(client).ensure("elser-ingest", allocations=4)
            report = move_to_elser(client, "stories", text_field="body", model_id="elser-ingest")
    """
    began = time.monotonic()
    check_name("source", source)
    for option, value in (("alias", alias), ("dest", dest), ("pipeline", pipeline)):
        if value is not None:
            check_name(option, value)
    check_pipeline(model_id, text_field, tokens_field, (), ())
    check_count("batch_size", batch_size, most=10_000)
    check_seconds("timeout", timeout, optional=True)
    if slices is not None and slices != "auto":
        check_count("slices", slices)
    checked_flag("allow_missing_text", allow_missing_text)
    if resume and dest is None:
        raise ConfigurationError("resume=True goes with dest=, the index that is to be completed.")
    tell(progress, "checking", None)
    server = server_behind(client)
    found = Source.read(source, server.request("GET", path_of(source), doing=f"looking up index {source!r}"))
    found.check_fields(text_field, tokens_field)
    found.check_switchable()
    target = found.alias_for(alias)
    name = dest or found.next_name(target)
    move = _Move(
        server=server,
        source=found,
        alias=target,
        dest=name,
        pipeline=pipeline or f"{name}-elser",
        model_id=model_id,
        fields=(text_field, tokens_field),
        allow_missing_text=allow_missing_text,
        progress=progress,
    )
    documents = move.run(batch_size=batch_size, slices=slices, timeout=timeout, resume=resume)
    return MoveReport(
        source=found.index,
        dest=name,
        alias=target,
        pipeline=move.pipeline,
        documents=documents,
        seconds=time.monotonic() - began,
        task_id=move.task_id,
        other_aliases=tuple(sorted(found.aliases.keys() - {target})),
    )


amove_to_elser = function_twin_of(move_to_elser)


@dataclass(kw_only=True)
class _Move:
    """One move, and how far it is."""

    server: Server
    source: Source
    alias: str
    dest: str
    pipeline: str
    model_id: str
    fields: tuple[str, str]
    allow_missing_text: bool
    progress: ProgressCallback | None
    task_id: str | None = None
    made_pipeline: bool = False
    made_dest: bool = False
    switched: bool = False
    block: WriteBlock | None = None

    def run(
        self, *, batch_size: int, slices: int | Literal["auto"] | None, timeout: float | None, resume: bool
    ) -> int:
        """Do it, and return the number of documents."""
        try:
            return self._run(batch_size=batch_size, slices=slices, timeout=timeout, resume=resume)
        except VectorfaceError as error:
            raise error.with_message(f"{error} {self._state()}") from error

    def _run(
        self, *, batch_size: int, slices: int | Literal["auto"] | None, timeout: float | None, resume: bool
    ) -> int:
        self._check_alias()
        written = self._written()
        self._request("POST", "_refresh", of=self.source.index, doing="refreshing")
        self._check_dest(written, resume=resume)
        if not resume:
            self._try_out()
            self._make(written)
        options: dict[str, Any] = {"pipeline": self.pipeline, "size": batch_size, "slices": slices}
        deadline = Deadline(timeout)
        if resume:
            for ids in missing(self.server, self.source.index, self.dest, window=self.source.window):
                self._copy(deadline, query={"ids": {"values": ids}}, **options)
        else:
            self._copy(deadline, query=None, **options)
        return self._finish(written)

    # -- before -------------------------------------------------------------------------------------------

    def _check_alias(self) -> None:
        described = self._described(self.alias)
        if self.alias in described:
            raise ConfigurationError(f"alias={self.alias!r} is an index; choose a name that is free.")
        if described and list(described) != [self.source.index]:
            raise ConfigurationError(
                f"alias={self.alias!r} leads to {', '.join(map(repr, sorted(described)))}, not to "
                f"{self.source.index!r} alone; choose another."
            )

    def _check_dest(self, written: int, *, resume: bool) -> None:
        described = self._described(self.dest)
        if not resume:
            if described:
                raise IndexExistsError(
                    f"There is an index {self.dest!r} already; choose another with dest=, or go on with it "
                    "by resume=True if a move left it."
                )
            return
        if self.dest not in described:
            raise IndexNotFoundError(f"There is no index {self.dest!r} to go on with.")
        self.made_dest = self.made_pipeline = True
        if not self.source.is_origin_of(described[self.dest].get("mappings", {}), written):
            raise IndexMismatchError(
                f"The index {self.dest!r} was not made from {self.source.index!r} as that is now: it belongs "
                f"to something else, or {self.source.index!r} was written to since."
            )
        self._check_pipeline()

    def _check_pipeline(self) -> None:
        """Check that the pipeline of the move that goes on does what is asked for now."""
        found = Pipelines(self.server).get(self.pipeline)
        if found is None:
            raise ConfigurationError(
                f"There is no ingest pipeline {self.pipeline!r}; pass pipeline= as the move had it."
            )
        if found.definition.get("processors") != self._processors():
            text_field, tokens_field = self.fields
            raise ConfigurationError(
                f"The documents in {self.dest!r} passed the pipeline {self.pipeline!r} "
                f"({found.description or 'without a description'}), which is not that of text_field="
                f"{text_field!r}, tokens_field={tokens_field!r}, model_id={self.model_id!r}: pass what that "
                "move had, or move anew into another dest=."
            )

    def _described(self, name: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = self.server.request("GET", path_of(name), doing=f"looking up {name!r}")
        except IndexNotFoundError:
            return {}
        return found

    def _written(self) -> int:
        stats = self._request(
            "GET", "_stats", of=self.source.index, params={"level": "shards"}, doing="watching"
        )
        return written_to(stats)

    def _try_out(self) -> None:
        """See that the model answers, before anything is made."""
        text_field, _ = self.fields
        [found] = Pipelines(self.server).simulate(
            {"processors": self._processors()}, [nested(text_field, "The lamp was lit.")]
        )
        if found.error is not None:
            raise found.error

    def _processors(self) -> list[dict[str, Any]]:
        text_field, tokens_field = self.fields
        return elser_processors(
            model_id=self.model_id,
            text_field=text_field,
            tokens_field=tokens_field,
            allow_missing_text=self.allow_missing_text,
        )

    # -- making -------------------------------------------------------------------------------------------

    def _make(self, written: int) -> None:
        text_field, tokens_field = self.fields
        pipelines = Pipelines(self.server)
        for name in {self.pipeline, self._default}:
            if pipelines.get(name) is not None:
                raise IndexExistsError(
                    f"There is an ingest pipeline {name!r} already; choose another name with pipeline=."
                )
        pipelines.create(
            self.pipeline,
            model_id=self.model_id,
            text_field=text_field,
            tokens_field=tokens_field,
            allow_missing_text=self.allow_missing_text,
        )
        self.made_pipeline = True
        if self._default != self.pipeline:
            steps = [{"pipeline": {"name": one}} for one in (self.source.default_pipeline, self.pipeline)]
            self._put_pipeline(self._default, steps)
        model = model_behind(self.server, self.model_id)
        body = self.source.body(
            self.server.version,
            tokens_field=tokens_field,
            model=model,
            pipeline=self._default,
            written=written,
        )
        self.server.request("PUT", path_of(self.dest), body=body, doing=f"making index {self.dest!r}")
        self.made_dest = True

    @property
    def _default(self) -> str:
        """The pipeline of what is written later: with the old default one, which copies had already."""
        return self.pipeline if self.source.default_pipeline is None else f"{self.pipeline}-writes"

    def _put_pipeline(self, name: str, processors: Sequence[Mapping[str, Any]]) -> None:
        text = f"What {self.source.index!r} had as its default pipeline, and ELSER"
        self.server.request(
            "PUT",
            path_of("_ingest", "pipeline", name),
            body={"description": text, "processors": list(processors)},
            doing=f"making the ingest pipeline {name!r}",
        )

    # -- copying ------------------------------------------------------------------------------------------

    def _copy(self, deadline: Deadline, *, query: Mapping[str, Any] | None, **options: Any) -> None:
        task = reindex(self.server, self.source.index, self.dest, query=query, **options)
        self.task_id = task.id
        left = None if deadline.left == float("inf") else max(0.001, deadline.left)
        try:
            task.wait(timeout=left, progress=self.progress)
        except BaseException:  # a Ctrl-C and a cancelled asyncio task, too: nothing goes on behind one's back
            _stop(task)
            raise

    # -- after --------------------------------------------------------------------------------------------

    def _finish(self, written: int) -> int:
        """Compare and switch, while nobody can write; return the number of documents."""
        tell(self.progress, "switching", None)
        self._request("POST", "_refresh", of=self.dest, doing="refreshing")  # this may take long: before
        self.block = WriteBlock(self.server, self.source.index)
        with self.block:
            documents = self._compare(written)
            self._complete()
            if not self.block.holds:
                self._look_back(written)
        if self.block.stays is not None:
            raise self.block.stays
        tell(self.progress, "moved", 1.0)
        return documents

    def _compare(self, written: int) -> int:
        if (now := self._written()) != written:
            raise IndexMismatchError(
                f"Somebody wrote to {self.source.index!r} while it was copied ({now - written} writes), "
                "which the new index lacks. Hold writers back (PUT /INDEX/_block/write) and move it again."
            )
        counts = [self._count(self.source.index), self._count(self.dest)]
        if counts[0] != counts[1]:
            raise IndexMismatchError(
                f"{self.source.index!r} has {counts[0]:,} documents and {self.dest!r} {counts[1]:,}."
            )
        return counts[1]

    def _count(self, index: str) -> int:
        count: int = self._request("GET", "_count", of=index, doing="counting")["count"]
        return count

    def _complete(self) -> None:
        final = self.source.final_pipeline
        if final is not None:  # copies had passed it already
            body = {"index.final_pipeline": final}
            self._request("PUT", "_settings", of=self.dest, body=body, doing="setting the final pipeline")
        self.server.request(
            "POST",
            "/_aliases",
            body={"actions": self.source.switch(self.alias, self.dest)},
            doing=f"switching {self.alias!r} from {self.source.index!r} to {self.dest!r}",
        )
        self.switched = True

    def _look_back(self, written: int) -> None:
        """See that nobody wrote to the source between comparing and switching, where nothing kept them."""
        if (now := self._written()) != written:
            raise IndexMismatchError(
                f"Somebody wrote to {self.source.index!r} right before {self.alias!r} was switched "
                f"({now - written} writes), and no write block was allowed: only {self.source.index!r} has "
                f"these writes. Make them again through {self.alias!r}."
            )

    def _request(self, method: str, api: str, *, of: str, doing: str, **options: Any) -> Any:
        return self.server.request(method, path_of(of, api), doing=f"{doing} index {of!r}", **options)

    # -- what there is now --------------------------------------------------------------------------------

    def _state(self) -> str:
        if self.block is None or self.block.stays is None:
            return self._made()
        return (
            f"{self._made()} {self.source.index!r} still has the write block of the switch, which could not "
            f'be lifted: PUT /{self.source.index}/_settings {{"index.blocks.write": null}} lifts it.'
        )

    def _made(self) -> str:
        if self.switched:
            return f"{self.alias!r} leads to {self.dest!r} now, and {self.source.index!r} is still there."
        leads = (
            f"{self.alias!r} still leads to {self.source.index!r}"
            if self.alias in self.source.aliases
            else ""
        )
        if not self.made_pipeline:
            return f"Nothing was changed{f'; {leads}' if leads else ''}."
        pipelines = " and ".join(map(repr, sorted({self.pipeline, self._default})))
        if not self.made_dest:
            return f"{leads or 'No alias was made'}. There is now the pipeline {pipelines}, to be deleted."
        return (
            f"{leads or 'No alias was made'}, and {self.source.index!r} is unchanged. There are now the "
            f"pipeline {pipelines} and the index {self.dest!r}{self._how_many()}. When the cause is gone, "
            f"go on with move_to_elser(..., dest={self.dest!r}, pipeline={self.pipeline!r}, resume=True); or "
            "delete the index, then the pipeline."
        )

    def _how_many(self) -> str:
        try:
            return f" with {self._count(self.dest):,} of {self._count(self.source.index):,} documents"
        except VectorfaceError:
            return ""  # the server does not answer; that is what the error is about


def _stop(task: ReindexTask) -> None:
    try:
        task.cancel(timeout=30)
    except (BackendError, IndexNotFoundError):
        return  # the first error is what matters, and the message tells of the task
