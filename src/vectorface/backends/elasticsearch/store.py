"""ElasticsearchDB: how Elasticsearch says what the interface asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from vectorface.backends.elasticsearch import indexes
from vectorface.backends.elasticsearch import layout as layouts
from vectorface.backends.elasticsearch.codec import shown, stored_of
from vectorface.backends.elasticsearch.connection import (
    Credentials,
    ElasticsearchSettings,
    check,
    of_url,
    server_of,
    with_port,
)
from vectorface.backends.elasticsearch.current import Current
from vectorface.backends.elasticsearch.filters import NOTHING, Clause, containing, translated
from vectorface.backends.elasticsearch.layout import Layout
from vectorface.backends.elasticsearch.naming import named_strategy
from vectorface.backends.elasticsearch.searches import Asked, Searcher
from vectorface.backends.elasticsearch.server import Server
from vectorface.backends.elasticsearch.strategies import Dense, Strategy
from vectorface.backends.elasticsearch.translation import answered
from vectorface.backends.elasticsearch.writes import Writes
from vectorface.encoding import EmbeddingsLike
from vectorface.errors import (
    ConfigurationError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidQueryError,
    NotConnectedError,
    PermissionDeniedError,
)
from vectorface.filters import ALL, Filter
from vectorface.indexes import ConnectionSettings, IndexSpec, beside, checked_headers, shown_url
from vectorface.ingest.writer import Limits, Mode
from vectorface.interface import VectorDBInterface
from vectorface.primitives import Entry, Fields, Query, Removal, Selection, Stored
from vectorface.records import IndexInfo, Metric

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch, Elasticsearch

_LOGGER: Final = logging.getLogger(__name__)
#: Elasticsearch refuses requests above 100 MB (``http.max_content_length``); far smaller ones load quickest.
_LIMITS: Final = Limits(
    max_documents=5_000, max_bytes=50_000_000, bytes_per_number=12, batch_documents=500, writers=3
)


class ElasticsearchDB(VectorDBInterface):
    """Elasticsearch behind the interface: ELSER, dense vectors, BM25, client-side sparse, or several at once.

    Args:
        strategy: How documents are found; dense vectors by the default model if left out.

    Example:
        >>> from vectorface import BM25
        >>> ElasticsearchDB(BM25())
        ElasticsearchDB(not connected)
    """

    def __init__(self, strategy: Strategy | None = None) -> None:
        if strategy is not None and not isinstance(strategy, Strategy):
            raise ConfigurationError(
                f"strategy={shown_url(strategy):.80} is no strategy; pass for example Elser(), BM25() or "
                "Dense(embeddings)."
            )
        self.strategy = Dense() if strategy is None else strategy
        super().__init__(self.strategy.encoder)
        self._server: Server | None = None
        self._asked = ElasticsearchSettings(index="")
        self._current: Current | None = None
        self._pace = self.strategy.pace()

    # -- open and close -----------------------------------------------------------------------------------

    def connect(
        self,
        *,
        index: str = "vectorface",
        url: str | list[str] | None = None,
        cloud_id: str | None = None,
        api_key: Credentials | None = None,
        basic_auth: tuple[str, str] | None = None,
        bearer_auth: str | None = None,
        ca_certs: str | Path | None = None,
        verify_certs: bool = True,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        client: Elasticsearch | None = None,
        async_client: AsyncElasticsearch | None = None,
        metric: Metric | None = None,
        create: bool = True,
        shards: int | None = None,
        replicas: int | None = None,
        fields: Mapping[str, Any] | None = None,
        text_field: str = "text",
        refresh: bool = True,
    ) -> Self:
        """Open an index, making it if need be; calling it again with the same arguments does nothing.

        A new index ``stories`` is an alias of ``stories-000001``, so that it can be exchanged for another
        one without anybody noticing, and so that a write never makes an index by the way.

        Args:
            index: Its name.
            url: Address of the server, or of several of the cluster; ``http://localhost:9200`` for example.
            cloud_id: What Elastic Cloud shows of a deployment, instead of a URL.
            api_key: An API key, encoded or as a pair ``(id, key)``.
            basic_auth: User and password.
            bearer_auth: A token.
            ca_certs: File with the authorities to trust.
            verify_certs: Whether to check the server's certificate.
            headers: Sent with each request.
            timeout: Seconds to wait for an answer; requests that work with models wait longer.
            client: A client you have already, instead of all the above; it stays open on ``close()``.
            async_client: Its asynchronous counterpart, for the async methods; without it they use threads.
            metric: ``cosine`` (the default for a new index), ``l2`` or ``dot``.
            create: Whether to make the index where it does not exist.
            shards: Primary shards of a new index; the cluster's default if left out.
            replicas: Copies of each shard of a new index; the cluster's default if left out.
            fields: Metadata to keep in mapped fields of a new index, too, for Kibana and other tools: types
                by name, as in ``{"chapter": "integer"}``. They are found as ``fields.chapter``.
            text_field: Which field holds the content, in an index that something else made.
            refresh: Whether each write shows at once in searches; without it, within the index's
                ``refresh_interval``.

        Raises:
            ConfigurationError: The arguments do not fit together.
            ConnectionFailedError: There is no server.
            AuthenticationError: It does not accept the credentials.
            PermissionDeniedError: They do not allow to see or make the index.
            IndexNotFoundError: The index does not exist and ``create`` is false.
            IndexMismatchError: It was made with another strategy, embedding, dimension or metric.
        """
        settings = ElasticsearchSettings(
            index=index,
            url=tuple(url) if isinstance(url, list) else url,
            cloud_id=cloud_id,
            api_key=api_key,
            basic_auth=basic_auth,
            bearer_auth=bearer_auth,
            ca_certs=None if ca_certs is None else str(ca_certs),
            verify_certs=verify_certs,
            headers=checked_headers(headers),
            timeout=timeout,
            client=client,
            async_client=async_client,
            metric=metric,
            create=create,
            shards=shards,
            replicas=replicas,
            fields={} if fields is None else fields,
            text_field=text_field,
            refresh=refresh,
        )
        where: dict[str, object] = {
            "url": url,
            "cloud_id": cloud_id,
            "api_key": api_key,
            "basic_auth": basic_auth,
        }
        where |= {"bearer_auth": bearer_auth, "ca_certs": ca_certs, "headers": headers}
        check(settings, given=[name for name, value in where.items() if value is not None])
        return self._connect(_with_ports(settings))

    @classmethod
    def from_url(cls, url: str, *, embeddings: EmbeddingsLike = "minilm", **options: Any) -> Self:
        """Open ``elasticsearch[+STRATEGY]://HOST:PORT/INDEX``; with ``?tls=true`` by HTTPS."""
        name, said = of_url(url)
        return cls(named_strategy(name, embeddings)).connect(**beside(said, options, cls.connect))

    @property
    def client(self) -> Elasticsearch:
        """Elasticsearch's own client."""
        return self._linked.client

    @property
    def server(self) -> Server:
        """What sends this store's requests, for :class:`ElserModel` and others."""
        return self._linked

    @property
    def limits(self) -> Limits:
        """What Elasticsearch takes at once."""
        return self.strategy.limits(_LIMITS)

    def _recipe(self) -> Mapping[str, Any]:
        return {"strategy": self.strategy}

    def _open(self, settings: ConnectionSettings) -> None:
        assert isinstance(settings, ElasticsearchSettings)  # noqa: S101 - connect() makes nothing else
        self._server = server_of(settings)
        try:
            self.strategy.opened(self._server)
        except BaseException:
            self._close()
            raise

    def _enter(self, settings: ConnectionSettings) -> None:
        assert isinstance(settings, ElasticsearchSettings)  # noqa: S101 - connect() makes nothing else
        before, self._asked = self._asked, settings
        try:
            super()._enter(settings)
        except BaseException:
            self._asked = before
            raise

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = self._current = None

    @property
    def _linked(self) -> Server:
        if self._server is None:
            raise NotConnectedError("ElasticsearchDB is not connected: call connect() first.")
        return self._server

    @property
    def _here(self) -> Current:
        if self._current is None:
            raise NotConnectedError("ElasticsearchDB is not connected: call connect() first.")
        return self._current

    async def _asynchronously(self, call: Callable[[], Any]) -> Any:
        if self._server is None:
            return call()  # which says that the store is not connected
        return await self._server.beside_loop(call)

    # -- indexes ------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return indexes.names(self._linked)

    def _describe(self, name: str) -> IndexInfo | None:
        try:
            layout = self._look_up(name)
        except IndexNotFoundError:
            return None
        return replace(layout.info, count=indexes.count(self._linked, name))

    def _look_up(self, name: str) -> Layout:
        return indexes.look_up(self._linked, name, text_field=self._asked.text_field)

    def _check_suits(self, info: IndexInfo) -> None:
        layout = self._look_up(info.name)
        self._check_searchable(layout)
        self._warn_of_differences(layout)
        self._current = Current(self._linked, layout, check=self._check_again)

    def _check_again(self, layout: Layout) -> None:
        """Check the current index where it is not as it was."""
        self.encoder.fingerprint(self.metric).check(layout.info)
        self._check_searchable(layout)
        self._dimension = layout.info.dimension

    def _warn_of_differences(self, layout: Layout) -> None:
        """Say which options for a new index do not hold for this one, which was there before."""
        asked = self._asked
        wanted = {"shards": asked.shards, "replicas": asked.replicas, **self.strategy.given_options}
        differences = [
            f"{name}={value!r} (it has {layout.made_with[name]!r})"
            for name, value in wanted.items()
            if value is not None and value != layout.made_with[name]
        ]
        there = {part for name in layout.plain for part in (name, name.partition(".")[0])}
        missing = sorted(asked.fields.keys() - there)
        differences += [f"fields={missing} (it has no such fields)"] if missing else []
        if layout.text != asked.text_field:
            differences.append(f"text_field={asked.text_field!r} (its text is in {layout.text!r})")
        if differences:
            _LOGGER.warning(
                "The index %r exists already; what counts for new ones was left out: %s.",
                layout.info.name,
                ", ".join(differences),
            )

    def _check_searchable(self, layout: Layout) -> None:
        layouts.check_text(layout)
        if not layout.ours and (lack := self.strategy.lacks(layout)) is not None:
            raise IndexMismatchError(
                f"The index {layout.info.name!r}, which something else made, cannot be searched by "
                f"{self.strategy.name!r}: it has {lack}."
            )

    def _create(self, spec: IndexSpec) -> None:
        indexes.create(self._linked, spec, self.strategy, self._asked)

    def _drop(self, name: str) -> None:
        indexes.drop(self._linked, self._look_up(name))
        self._here.forget()

    # -- reading ------------------------------------------------------------------------------------------

    def _select(self, filter_: Filter, contains: str | None) -> Selection:
        layout = self._here.layout
        clauses: list[Clause] = []
        rest: Filter = filter_
        if filter_ != ALL and layout.terms is not None:
            clauses, rest = translated(filter_, layout.terms)
        if contains is not None and layout.exact is not None:
            clauses = [*clauses, containing(contains, layout.exact)]
        return Selection(native=clauses or None, filter=rest, contains=contains)

    def _narrowed(self, selection: Selection, native: Any) -> Selection:
        if not isinstance(native, Mapping) or not native:
            raise InvalidQueryError(
                f"native={native!r:.80} is no query clause of Elasticsearch; write for example "
                "native={'range': {'fields.year': {'gte': 1990}}}."
            )
        return replace(selection, native=[*(selection.native or ()), native])

    def _read(self, ids: Sequence[str], fields: Fields) -> Iterator[Stored]:
        if not ids:
            return
        layout = self._here.layout
        wanted = shown(fields, layout)
        if layout.is_part:  # an alias's filter does not hold for what is asked by id
            for page in self._searcher.scan([{"ids": {"values": list(ids)}}], wanted, len(ids)):
                yield from (stored_of(hit, layout) for hit in page)
            return
        answer = self._here.request(
            "POST", "_mget", body={"ids": list(ids)}, params=wanted.params, doing="reading from"
        )
        for found in answer["docs"]:
            if "error" in found:
                self._here.forget()
                raise answered(404, found, f"reading from index {self.index!r}")
            if found["found"]:
                yield stored_of(found, layout)

    def _scan(self, native: Any, fields: Fields, batch_size: int) -> Iterator[Sequence[Stored]]:
        layout = self._here.layout
        for page in self._searcher.scan(native, shown(fields, layout), batch_size):
            yield [stored_of(hit, layout) for hit in page]

    def _count(self, native: Any) -> int:
        if native == [NOTHING]:
            return 0
        return self._searcher.count(native or ())

    def _with_vectors(self, queries: Sequence[Query]) -> Sequence[Query]:
        return self.strategy.with_vectors(self._linked, queries)

    def _search(
        self, queries: Sequence[Query], native: Any, limit: int, fields: Fields
    ) -> list[list[Stored]]:
        if native == [NOTHING]:
            return [[] for _ in queries]
        asked = Asked(native=native or (), limit=limit, shown=shown(fields, self._here.layout))
        return self.strategy.search(self._searcher, queries, asked)

    @property
    def _searcher(self) -> Searcher:
        here = self._here
        return Searcher(server=here.server, request=here.request, layout=here.layout, metric=self.metric)

    def _refresh(self) -> None:
        self._ready()
        try:
            self._here.request("POST", "_refresh", doing="refreshing")
        except PermissionDeniedError as error:
            if self._asked.refresh:
                raise PermissionDeniedError(
                    f"{error} Or connect with refresh=False: writes then show within the index's "
                    "refresh_interval."
                ) from error

    @property
    def _shows_writes(self) -> bool:
        return self._asked.refresh

    # -- writing ------------------------------------------------------------------------------------------

    def _write(self, entries: Sequence[Entry], mode: Mode) -> dict[str, Exception]:
        return self._writes.write(entries, mode)

    def _remove(self, targets: Sequence[Stored]) -> Removal:
        return self._writes.remove(targets)

    @property
    def _writes(self) -> Writes:
        return Writes(current=self._here, strategy=self.strategy, pace=self._pace)


def _with_ports(settings: ElasticsearchSettings) -> ElasticsearchSettings:
    if isinstance(settings.url, str):
        return replace(settings, url=with_port(settings.url))
    if settings.url is not None:
        return replace(settings, url=tuple(with_port(url) for url in settings.url))
    return settings
