"""ELSER, Elastic's learned sparse encoder: texts are expanded into token weights by the server."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from vectorface.backends.elasticsearch.checks import check_seconds, check_text
from vectorface.backends.elasticsearch.inference import inferred, model_behind, weights_of
from vectorface.backends.elasticsearch.layout import TEXT, TOKENS
from vectorface.backends.elasticsearch.pace import Pace
from vectorface.backends.elasticsearch.processors import MAX_TOKENS, MODEL_ID, elser_processors, hiding
from vectorface.backends.elasticsearch.released import is_elser, platform_free
from vectorface.backends.elasticsearch.searches import Asked, Searcher
from vectorface.backends.elasticsearch.server import path_of
from vectorface.backends.elasticsearch.sparse import Pruning, TokenStrategy, sparse_clause, tokens_of
from vectorface.backends.elasticsearch.strategies import ServerEncoder, Strategy, matching
from vectorface.backends.elasticsearch.translation import is_missing
from vectorface.embeddings import TruncationWarning
from vectorface.errors import BackendError, ConfigurationError, ModelNotFoundError, PermissionDeniedError
from vectorface.primitives import Query

if TYPE_CHECKING:
    from vectorface.backends.elasticsearch.layout import Layout
    from vectorface.backends.elasticsearch.server import Server
    from vectorface.indexes import IndexSpec
    from vectorface.ingest.writer import Limits

#: Documents of a bulk request that are expanded on the way (Elastic's guide advises 50 for reindexing).
_BATCH: Final = 50
#: The endpoint that Elasticsearch brings for ELSER, and the field of ``semantic_text``.
ENDPOINT_ID: Final = ".elser-2-elasticsearch"
SEMANTIC: Final = "semantic"
_WRITE_TIMEOUT: Final = 300.0
_WORDS: Final = re.compile(r"\w+|[^\w\s]")


class Expanded(Strategy):
    """What a model on the server expands while it is written: in small batches, no faster than it can.

    Args:
        write_timeout: Seconds to wait for a batch of documents to be expanded and written.

    Raises:
        ConfigurationError: That is no time.
    """

    def __init__(self, *, write_timeout: float) -> None:
        check_seconds("write_timeout", write_timeout)
        self._write_timeout = float(write_timeout)

    def limits(self, limits: Limits) -> Limits:
        """Return small batches: each document of a request has to be expanded before it is answered."""
        return replace(limits, batch_documents=_BATCH)

    def pace(self) -> Pace:
        """Return what slows writes down to what the deployment can take."""
        return Pace()

    @property
    def write_timeout(self) -> float:
        """Seconds to wait for a batch to be expanded and written."""
        return self._write_timeout


class Elser(TokenStrategy, Expanded):
    """ELSER: texts and queries are expanded by a model that is deployed in the cluster.

    Documents pass an ingest pipeline, which is made with the index and is its default, so that whoever
    writes to the index gives its documents their tokens. :class:`ElserModel` deploys the model.

    Args:
        model_id: The model, or one of its deployments: what expands documents.
        search_id: What expands queries; a deployment of its own keeps searches quick while documents are
            loaded. The same as ``model_id`` if left out.
        inference_id: An inference endpoint to use for both instead.
        pipeline: Name of the ingest pipeline; made of the model's if left out. One that exists is taken as
            it is if it does the same, and refused otherwise.
        pruning: Leave frequent tokens of little weight out of queries; ``None`` for none.
        tokens: Whether hits tell which tokens matched (``hit.tokens``).
        write_timeout: Seconds to wait for a batch of documents to be expanded and written.

    Raises:
        ConfigurationError: ``inference_id`` beside a model, or a value of the wrong kind.

    Example:
        >>> Elser(search_id="elser-search").name
        'elser'
    """

    name = "elser"

    def __init__(
        self,
        model_id: str = MODEL_ID,
        *,
        search_id: str | None = None,
        inference_id: str | None = None,
        pipeline: str | None = None,
        pruning: Pruning | None = None,
        tokens: bool = False,
        write_timeout: float = _WRITE_TIMEOUT,
    ) -> None:
        TokenStrategy.__init__(self, pruning=pruning, tokens=tokens)
        Expanded.__init__(self, write_timeout=write_timeout)
        if inference_id is not None and (model_id != MODEL_ID or search_id is not None):
            raise ConfigurationError("Pass inference_id=, or model_id= and search_id=, not both.")
        named: dict[str, object] = {"model_id": model_id, "search_id": search_id, "pipeline": pipeline}
        for option, value in {**named, "inference_id": inference_id}.items():
            if value is not None:
                check_text(option, value)
        self.model_id = inference_id or model_id
        self.search_id = inference_id or search_id or model_id
        self.is_endpoint = inference_id is not None
        self._given_pipeline = pipeline
        self.pipeline = pipeline or f"vectorface-elser-{_slug(self.model_id)}"
        self._encoder = ElserEncoder(self.model_id)
        self._missing: ModelNotFoundError | None = None

    @property
    def encoder(self) -> ElserEncoder:
        """Nothing on this side: the server reads the texts."""
        return self._encoder

    def settings(self) -> dict[str, Any]:
        """Return the default pipeline."""
        return {"index.default_pipeline": self.pipeline}

    @property
    def given_options(self) -> Mapping[str, Any]:
        """The pipeline."""
        return {"pipeline": self._given_pipeline}

    def opened(self, server: Server) -> None:
        """Find out which model documents are expanded by, so that an index is made for that."""
        self._missing = None
        try:
            model = model_behind(server, self.model_id, is_endpoint=self.is_endpoint)
        except ModelNotFoundError as error:
            self._missing, model = error, None
        self._encoder.reads_for(model or (platform_free(self.model_id) if is_elser(self.model_id) else None))

    def check_writable(self, layout: Layout) -> None:
        """Refuse an index without a pipeline: its documents would get no tokens.

        Raises:
            ConfigurationError: It has none.
        """
        if layout.pipeline is None:
            name = layout.info.name
            raise ConfigurationError(
                f"The index {name!r} has no default pipeline, so documents would be stored without tokens "
                f"and never be found; Pipelines(client).set_default({name!r}, ...) gives it one."
            )

    def prepare(self, server: Server) -> None:
        """Make the ingest pipeline, if it is not there.

        Raises:
            ModelNotFoundError: There is no model or deployment of this name: nothing is made for it.
            ConfigurationError: There is a pipeline of this name that does something else.
        """
        if self._missing is not None:  # it may be there by now
            self.opened(server)
        if self._missing is not None:
            raise self._missing
        path, named = path_of("_ingest", "pipeline", self.pipeline), f"the ingest pipeline {self.pipeline!r}"
        ours = elser_processors(model_id=self.model_id)
        try:
            found = server.request("GET", path, doing=f"looking up {named}")[self.pipeline]
        except BackendError as error:
            if not is_missing(error):
                raise
            body = {"description": f"ELSER tokens by {self.model_id!r}, for vectorface", "processors": ours}
            server.request("PUT", path, body=body, doing=f"making {named}")
            return
        if not _expands(found, ours):
            raise ConfigurationError(
                f"There is another ingest pipeline {self.pipeline!r}, which does not expand {TEXT!r} into "
                f"{TOKENS!r} by {self.model_id!r} as this store does; choose another name with pipeline=, or "
                "delete that one."
            )

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return a query that the server expands, or one of token weights if it was expanded before."""
        weights = tokens_of(query.vector)
        if weights is not None:
            return matching(sparse_clause(weights, self.pruning, modern=searcher.is_modern), asked)
        pruning = {"pruning_config": asdict(self.pruning)} if self.pruning else {}
        if not searcher.is_modern:
            expansion = {"model_id": self.search_id, "model_text": query.text, **pruning}
            return matching({"text_expansion": {TOKENS: expansion}}, asked)
        clause = {"field": TOKENS, "inference_id": self.search_id, "query": query.text}
        return matching({"sparse_vector": {**clause, "prune": bool(pruning), **pruning}}, asked)

    def readied(self, server: Server, queries: Sequence[Query]) -> Sequence[Query]:
        """Return the queries; to tell which tokens matched, they are expanded first."""
        return self.with_vectors(server, queries) if self.tokens else queries

    def with_vectors(self, server: Server, queries: Sequence[Query]) -> Sequence[Query]:
        """Return the queries with the token weights that the model gives them."""
        texts = [query.text for query in queries if query.vector is None and query.text is not None]
        weights = iter(self.expanded(server, texts))
        return [
            query if query.vector is not None else replace(query, vector=next(weights)) for query in queries
        ]

    def expanded(self, server: Server, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the token weights of texts."""
        if not texts:
            return []
        doing = f"expanding queries by {self.search_id!r}"
        if self.is_endpoint:
            path = path_of("_inference", "sparse_embedding", self.search_id)
            answer = server.request("POST", path, body={"input": list(texts)}, doing=doing)
            return [one["embedding"] for one in answer["sparse_embedding"]]
        results = inferred(server, self.search_id, texts, timeout=server.timeout, doing=doing)
        return [weights_of(result) for result in results]


class SemanticText(Expanded):
    """Elasticsearch's field type ``semantic_text``: it cuts texts into chunks and expands each by itself.

    So a text may be longer than what the model reads at once; its best chunk counts. Without weights within
    reach there is no mmr, and hits do not tell their tokens.

    Args:
        inference_id: The inference endpoint of sparse embeddings; Elasticsearch's own for ELSER if left out.
        write_timeout: Seconds to wait for a batch of documents to be expanded and written.

    Example:
        >>> SemanticText().name
        'semantic_text'
    """

    name = "semantic_text"
    fills = SEMANTIC

    def __init__(self, inference_id: str = ENDPOINT_ID, *, write_timeout: float = _WRITE_TIMEOUT) -> None:
        super().__init__(write_timeout=write_timeout)
        check_text("inference_id", inference_id)
        self.inference_id = inference_id
        self._encoder = ServerEncoder(self.name, "sparse", inference_id)

    @property
    def encoder(self) -> ServerEncoder:
        """Nothing on this side: the server reads the texts."""
        return self._encoder

    def prepare(self, server: Server) -> None:
        """Look whether there is such an endpoint: an index of one that is missing would be of no use.

        Raises:
            ModelNotFoundError: There is none.
        """
        path = path_of("_inference", self.inference_id)
        try:
            server.request("GET", path, doing=f"looking up the inference endpoint {self.inference_id!r}")
        except PermissionDeniedError:
            return  # then nobody knows, and the server tells when it is asked to use it
        except BackendError as error:
            if not is_missing(error):
                raise
            raise ModelNotFoundError(
                f"There is no inference endpoint {self.inference_id!r}; make one of the task type "
                "sparse_embedding (PUT _inference/sparse_embedding/NAME), or name one with inference_id=."
            ) from error

    def properties(self, spec: IndexSpec) -> dict[str, Any]:
        """Return the field, which names its endpoint."""
        del spec
        return {SEMANTIC: {"type": "semantic_text", "inference_id": self.inference_id}}

    def fields_of(self, text: str) -> dict[str, Any]:
        """Return the text once more, for that field."""
        return {SEMANTIC: text}

    def lacks(self, layout: Layout) -> str | None:
        """Look for the field."""
        if layout.types.get(SEMANTIC) == "semantic_text":
            return None
        return f"no field {SEMANTIC!r} of type semantic_text"

    def body(self, query: Query, asked: Asked, searcher: Searcher) -> dict[str, Any]:
        """Return a ``semantic`` query."""
        del searcher
        return matching({"semantic": {"field": SEMANTIC, "query": query.text}}, asked)


class ElserEncoder(ServerEncoder):
    """Leaves texts to ELSER; says so if one is longer than it reads."""

    def __init__(self, model_id: str) -> None:
        super().__init__(Elser.name, "sparse", model_id)

    def reads_for(self, model_id: str | None) -> None:
        """Note which model it is that reads the texts; ``None`` if nobody tells."""
        self._model = model_id

    def encode_documents(self, texts: Sequence[str]) -> Sequence[None]:
        """Return nothing for each text: the server reads it.

        Warns:
            TruncationWarning: A text is longer than what ELSER reads.
        """
        longest = max((len(_WORDS.findall(text)) for text in texts), default=0)
        if longest > MAX_TOKENS - 2:
            warnings.warn(
                f"A text has at least {longest} tokens, and ELSER reads {MAX_TOKENS} of a text: what comes "
                "after them is stored, but not searched. Cut it into chunks with preprocess().",
                TruncationWarning,
                stacklevel=2,
            )
        return [None] * len(texts)


def _expands(definition: Mapping[str, Any], ours: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a pipeline does what ours does: no failure hidden, and the tokens left as they are."""
    there = definition.get("processors", [])
    if not all(processor in there for processor in ours) or list(hiding(definition)):
        return False
    after = there[there.index(ours[-1]) + 1 :]
    return not any(TOKENS in str(processor) for processor in after)


def _slug(model_id: str) -> str:
    """Return a model's id as part of a name.

    Example:
        >>> _slug(".elser_model_2")
        'elser_model_2'
    """
    slug = re.sub(r"[^a-z0-9_-]+", "-", model_id.lower()).strip("-")
    return slug or hashlib.sha256(model_id.encode()).hexdigest()[:16]
