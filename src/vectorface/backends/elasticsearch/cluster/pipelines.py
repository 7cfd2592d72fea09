"""Ingest pipelines that give documents their tokens: made, looked at, tried out, made an index's default."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vectorface.asynchronous import twin_of
from vectorface.backends.elasticsearch.checks import check_name
from vectorface.backends.elasticsearch.cluster.access import Remote
from vectorface.backends.elasticsearch.layout import TEXT, TOKENS
from vectorface.backends.elasticsearch.processors import MODEL_ID, elser_processors, hiding, processors_of
from vectorface.backends.elasticsearch.server import path_of
from vectorface.backends.elasticsearch.translation import answered, is_missing
from vectorface.errors import BackendError, ConfigurationError, InvalidInputError, VectorfaceError


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """An ingest pipeline.

    Attributes:
        name: Its name.
        definition: What Elasticsearch has of it: ``processors`` and so on.
    """

    name: str
    definition: Mapping[str, Any]

    @property
    def description(self) -> str | None:
        """What its maker says of it."""
        return self.definition.get("description")

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The models, deployments or endpoints that it uses."""
        found = (one["model_id"] for kind, one in processors_of(self.definition) if kind == "inference")
        return tuple(dict.fromkeys(found))

    def uses(self, ids: Collection[str]) -> bool:
        """Tell whether it uses any of these models, deployments or endpoints."""
        return not set(self.model_ids).isdisjoint(ids)

    @property
    def hides(self) -> tuple[str, ...]:
        """What in it makes a document that failed look written: stored without tokens, and never found."""
        return tuple(hiding(self.definition))


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """What a pipeline would make of a document.

    Attributes:
        source: The document as it would be written; ``None`` if it failed or was dropped.
        error: Why it failed; ``None`` if it did not.
    """

    source: Mapping[str, Any] | None
    error: VectorfaceError | None = None


class Pipelines(Remote):
    """The ingest pipelines of a cluster.

    Every method has an async twin: ``acreate``, ``aget`` and so on.

    Args:
        client: An ``elasticsearch.Elasticsearch``, or a connected ``ElasticsearchDB``.
        timeout: Seconds to wait for an answer, where ``client`` is Elasticsearch's own.

    Example:
        Documents of an index get their tokens, whoever writes them::

            pipelines = Pipelines(client)
            pipelines.create("stories-elser", model_id="elser-ingest", lowercase=["author"])
            pipelines.set_default("stories", "stories-elser")
    """

    def create(
        self,
        name: str,
        *,
        model_id: str | None = MODEL_ID,
        text_field: str = TEXT,
        tokens_field: str = TOKENS,
        processors_before: Sequence[Mapping[str, Any]] = (),
        lowercase: Sequence[str] = (),
        allow_missing_text: bool = False,
        description: str | None = None,
    ) -> Pipeline:
        """Make a pipeline that expands a field into tokens; one of this name is replaced.

        A document that cannot be expanded is not written, and its writer is told: nothing in the pipeline
        hides that. ELSER reads the first 512 tokens of the field; what follows is stored, but not searched,
        so cut longer texts into chunks first.

        Args:
            name: Its name.
            model_id: The model, or better one of its deployments: what expands documents; ``None`` for a
                pipeline of other processors alone.
            text_field: The field that is read; dots lead into objects.
            tokens_field: The field that the tokens go to, mapped as ``sparse_vector``.
            processors_before: Ingest processors that a document passes first, as Elasticsearch has them:
                ``{"trim": {"field": "title"}}``.
            lowercase: Fields whose text is made lower-case, where a document has them.
            allow_missing_text: Write documents without the text, which get no tokens; else they fail.
            description: What it is for.

        Raises:
            ConfigurationError: An argument is wrong, or a processor hides failures; nothing was sent.
            BackendError: Elasticsearch refuses a processor.
        """
        check_name("name", name)
        check_pipeline(model_id, text_field, tokens_field, lowercase, processors_before)
        processors = [
            *({"lowercase": {"field": field, "ignore_missing": True}} for field in lowercase),
            *(dict(processor) for processor in processors_before),
        ]
        if model_id is not None:
            processors += elser_processors(
                model_id=model_id,
                text_field=text_field,
                tokens_field=tokens_field,
                allow_missing_text=allow_missing_text,
            )
            description = (
                description or f"ELSER tokens of {text_field!r} in {tokens_field!r}, by {model_id!r}"
            )
        elif not processors:
            raise ConfigurationError("A pipeline needs a processor: pass model_id=, lowercase= or others.")
        definition = {"description": description or "", "processors": processors}
        self._server.request(
            "PUT", _path(name), body=definition, doing=f"making the ingest pipeline {name!r}"
        )
        return Pipeline(name=name, definition=definition)

    def get(self, name: str) -> Pipeline | None:
        """Return a pipeline, or ``None`` if there is none of this name.

        Raises:
            ConfigurationError: The name is not one.
        """
        check_name("name", name)
        try:
            found = self._server.request("GET", _path(name), doing=f"looking up the ingest pipeline {name!r}")
        except BackendError as error:
            if is_missing(error):
                return None
            raise
        return Pipeline(name=name, definition=found[name])

    def list_pipelines(self) -> list[Pipeline]:
        """Return all pipelines, by name; Elasticsearch brings many of its own."""
        try:
            found = self._server.request("GET", "/_ingest/pipeline", doing="listing ingest pipelines")
        except BackendError as error:
            if is_missing(error):  # there are none at all
                return []
            raise
        return [Pipeline(name=name, definition=found[name]) for name in sorted(found)]

    def delete(self, name: str) -> bool:
        """Delete a pipeline.

        Returns:
            Whether there was one.

        Raises:
            BackendError: It is the default of an index: set another there first.
        """
        check_name("name", name)
        try:
            self._server.request("DELETE", _path(name), doing=f"deleting the ingest pipeline {name!r}")
        except BackendError as error:
            if is_missing(error):
                return False
            raise
        return True

    def simulate(
        self, pipeline: str | Mapping[str, Any], documents: Sequence[Mapping[str, Any]]
    ) -> list[Simulated]:
        """Return what a pipeline would make of documents; nothing is written.

        Args:
            pipeline: Its name, or a definition that is not stored.
            documents: What would be written: ``{"text": "…"}``.

        Returns:
            For each document how it would be written, or why it would not.

        Raises:
            InvalidInputError: There are no documents.
            ConfigurationError: There is no such pipeline.
        """
        if isinstance(pipeline, str):
            self._check_exists(pipeline)
        if not documents or not all(isinstance(document, Mapping) for document in documents):
            raise InvalidInputError(
                "simulate() takes at least one document, as it would be written: [{'text': '…'}]."
            )
        path = _path(pipeline, "_simulate") if isinstance(pipeline, str) else "/_ingest/pipeline/_simulate"
        given = {} if isinstance(pipeline, str) else {"pipeline": dict(pipeline)}
        docs = [{"_source": dict(document)} for document in documents]
        doing = f"trying {pipeline if isinstance(pipeline, str) else 'a pipeline'!r} out"
        answer = self._server.request("POST", path, body={**given, "docs": docs}, doing=doing)
        return [_simulated(row, doing) for row in answer["docs"]]

    def set_default(self, index: str, name: str | None) -> None:
        """Have all documents that are written to an index pass a pipeline, if the writer names no other.

        Args:
            index: The index, or an alias of it.
            name: The pipeline; ``None`` for none.

        Raises:
            ConfigurationError: There is no such pipeline.
            IndexNotFoundError: There is no such index.

        Warns:
            UserWarning: The pipeline makes documents that failed look written.
        """
        check_name("index", index)
        if name is not None:
            found = self._check_exists(name)
            if found.hides:
                warnings.warn(
                    f"The ingest pipeline {name!r} makes documents that failed look written: "
                    f"{'; '.join(found.hides)}. They are stored without tokens, and no search finds them.",
                    stacklevel=2,
                )
        self._server.request(
            "PUT",
            path_of(index, "_settings"),
            body={"index.default_pipeline": name},
            doing=f"setting the default pipeline of index {index!r}",
        )

    def _check_exists(self, name: str) -> Pipeline:
        found = self.get(name)
        if found is None:
            raise ConfigurationError(f"There is no ingest pipeline {name!r}; create() makes it.")
        return found

    # -- async twins --------------------------------------------------------------------------------------

    acreate = twin_of(create)
    aget = twin_of(get)
    alist_pipelines = twin_of(list_pipelines)
    adelete = twin_of(delete)
    asimulate = twin_of(simulate)
    aset_default = twin_of(set_default)


def check_pipeline(
    model_id: object,
    text_field: object,
    tokens_field: object,
    lowercase: object,
    processors_before: object,
) -> None:
    """Check the arguments of a pipeline.

    Raises:
        ConfigurationError: One is wrong, or a processor would hide that a document failed.
    """
    if model_id is not None:
        check_name("model_id", model_id)
    for option, field in (("text_field", text_field), ("tokens_field", tokens_field)):
        _check_field(option, field)
    if text_field == tokens_field:
        raise ConfigurationError(f"text_field and tokens_field are both {text_field!r}; they must differ.")
    if isinstance(lowercase, str) or not isinstance(lowercase, Sequence):
        raise ConfigurationError(f"lowercase={lowercase!r:.80} must be a list of fields.")
    for field in lowercase:
        _check_field("lowercase", field)
    _check_processors(processors_before)


def _check_field(option: str, field: object) -> None:
    if not isinstance(field, str) or not all(field.split(".")) or field.startswith("_"):
        raise ConfigurationError(
            f"{option}={field!r:.80} must be the name of a field, as in 'text' or 'a.b'."
        )


def _check_processors(given: object) -> None:
    if isinstance(given, Mapping | str) or not isinstance(given, Sequence):
        raise ConfigurationError("processors_before must be a list of processors.")
    for processor in given:
        if not isinstance(processor, Mapping) or len(processor) != 1:
            raise ConfigurationError(
                f"processors_before holds {processor!r:.80}; a processor is a dict of one name and its "
                "options, as in {'trim': {'field': 'title'}}."
            )
    if hidden := list(hiding({"processors": given})):
        raise ConfigurationError(
            f"processors_before hides that a document failed, which would be stored and never found: "
            f"{'; '.join(hidden)}."
        )


def _simulated(row: Mapping[str, Any], doing: str) -> Simulated:
    if "error" in row:
        return Simulated(source=None, error=answered(row.get("status", 400), row, doing))
    return Simulated(source=row["doc"]["_source"] if row.get("doc") else None)


def _path(name: str, *parts: str) -> str:
    return path_of("_ingest", "pipeline", name, *parts)
