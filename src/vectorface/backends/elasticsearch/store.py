"""ElasticsearchDB: how Elasticsearch says what the interface asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self

from vectorface import bridge
from vectorface.backends.elasticsearch import layout as layouts
from vectorface.backends.elasticsearch.bulk import Action, Bulk, Item, Refused
from vectorface.backends.elasticsearch.codec import Revision, shown, source_of, stored_of
from vectorface.backends.elasticsearch.connection import (
    Credentials,
    ElasticsearchSettings,
    check,
    of_url,
    server_of,
    with_port,
)
from vectorface.backends.elasticsearch.filters import NOTHING, Clause, containing, translated
from vectorface.backends.elasticsearch.layout import Layout
from vectorface.backends.elasticsearch.naming import named_strategy
from vectorface.backends.elasticsearch.searches import Asked, Searcher
from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.backends.elasticsearch.strategies import Dense, Strategy
from vectorface.backends.elasticsearch.translation import answered
from vectorface.encoding import EmbeddingsLike
from vectorface.errors import (
    ConfigurationError,
    DuplicateDocumentError,
    IndexExistsError,
    IndexMismatchError,
    IndexNotFoundError,
    InvalidDocumentError,
    InvalidQueryError,
    NotConnectedError,
    PermissionDeniedError,
    TransientError,
)
from vectorface.filters import ALL, Filter
from vectorface.indexes import ConnectionSettings, IndexSpec, beside, checked_headers
from vectorface.ingest.retrying import RetryPolicy, attempts
from vectorface.ingest.writer import Limits, Mode, changed_meanwhile, same_content
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
#: How an index is awaited that is being made.
_PATIENCE: Final = RetryPolicy(attempts=7, initial=0.05, maximum=1.6, jitter=0.05)
#: Seconds for which an index is taken to be as it was when it was looked at.
_FRESH: Final = 2.0


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
                f"strategy={strategy!r:.80} is no strategy; pass for example Elser(), BM25() or "
                "Dense(embeddings)."
            )
        self.strategy = Dense() if strategy is None else strategy
        super().__init__(self.strategy.encoder)
        self._server: Server | None = None
        self._asked = ElasticsearchSettings(index="")
        self._known: Layout | None = None
        self._looked = 0.0
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
        self._server = self._known = None

    @property
    def _linked(self) -> Server:
        if self._server is None:
            raise NotConnectedError("ElasticsearchDB is not connected: call connect() first.")
        return self._server

    async def _asynchronously(self, call: Callable[[], Any]) -> Any:
        if self._server is None:
            return call()  # which says that the store is not connected
        return await self._server.beside_loop(call)

    # -- indexes ------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        found = self._linked.request(
            "GET", "/_alias", params={"expand_wildcards": "open"}, doing="listing indexes"
        )
        names: set[str] = set()
        for index, about in found.items():
            aliases = [alias for alias in about.get("aliases", {}) if not alias.startswith(".")]
            names.update(aliases)
            if not index.startswith(".") and not any(_is_behind(index, alias) for alias in aliases):
                names.add(index)
        return list(names)

    def _describe(self, name: str) -> IndexInfo | None:
        try:
            layout = self._laid_out(name)
        except IndexNotFoundError:
            return None
        if name == self._asked.index:
            self._known, self._looked = layout, monotonic()
        return IndexInfo(
            name=name,
            metric=layout.info.metric,
            dimension=layout.info.dimension,
            count=self._counted(name),
            fingerprint=layout.info.fingerprint,
        )

    def _counted(self, name: str) -> int:
        """Count all documents; an index that somebody makes in this very moment is not ready at once."""
        for attempt in attempts(_PATIENCE, sleep=bridge.pause):
            with attempt:
                found = self._linked.request(
                    "GET", path_of(name, "_count"), doing=f"counting in index {name!r}"
                )
        count: int = found["count"]
        return count

    def _laid_out(self, name: str) -> Layout:
        layouts.check_name(name)
        found = self._linked.request("GET", path_of(name), doing=f"looking up index {name!r}")
        if len(found) > 1:
            raise ConfigurationError(
                f"{name!r} is an alias of several indexes ({', '.join(sorted(found))}); name one of them."
            )
        [(index, described)] = found.items()
        return layouts.read(name, index, described, text_field=self._asked.text_field)

    @property
    def _layout(self) -> Layout:
        """Where the current index keeps what; looked up and checked when it was not for a moment.

        An alias may lead elsewhere by now, to an index with another layout.
        """
        known = self._known
        if known is None or known.info.name != self.index or monotonic() - self._looked > _FRESH:
            layout = self._laid_out(self.index)
            if layout != known:
                self.encoder.fingerprint(self.metric).check(layout.info)
                self._check_searchable(layout)
            self._known, self._looked, known = layout, monotonic(), layout
        return known

    def _check_suits(self, info: IndexInfo) -> None:
        del info
        layout = self._known
        assert layout is not None  # noqa: S101 - it was described a moment ago
        self._check_searchable(layout)
        self._warn_of_differences(layout)

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
        if differences:
            _LOGGER.warning(
                "The index %r exists already; what counts for new ones was left out: %s.",
                layout.info.name,
                ", ".join(differences),
            )

    def _check_searchable(self, layout: Layout) -> None:
        if not layout.ours and (lack := self.strategy.lacks(layout)) is not None:
            raise IndexMismatchError(
                f"The index {layout.info.name!r}, which something else made, cannot be searched by "
                f"{self.strategy.name!r}: it has {lack}."
            )

    def _create(self, spec: IndexSpec) -> None:
        if self._asked.text_field != layouts.TEXT:
            raise ConfigurationError(
                f"There is no index {spec.name!r}; text_field= is for one that something else made. To make "
                "a new one leave it out."
            )
        server, asked = self._linked, self._asked
        self.strategy.prepare(server)
        counts = {"number_of_shards": asked.shards, "number_of_replicas": asked.replicas}
        body = {
            "aliases": {spec.name: {"is_write_index": True}},
            "settings": {
                **{name: value for name, value in counts.items() if value is not None},
                **layouts.settings(server.version),
                **self.strategy.settings(),
            },
            "mappings": layouts.mapping(spec, self.strategy.properties(spec), asked.fields),
        }
        doing = f"creating index {spec.name!r}"
        try:
            server.request("PUT", path_of(layouts.concrete(spec.name)), body=body, doing=doing)
        except IndexExistsError:
            if (free := self._generation(spec.name)) is None:
                raise
            server.request("PUT", path_of(layouts.concrete(spec.name, free)), body=body, doing=doing)

    def _generation(self, name: str) -> int | None:
        """Return the next number of an index behind ``name``, if only older ones of them stayed behind."""
        found = self._linked.request(
            "GET", "/_alias", params={"expand_wildcards": "all"}, doing="listing indexes"
        )
        if name in found or any(name in about.get("aliases", {}) for about in found.values()):
            return None
        return 1 + max((int(index[-6:]) for index in found if _is_behind(index, name)), default=0)

    def _drop(self, name: str) -> None:
        layout = self._laid_out(name)
        if layout.shared is not None:
            raise ConfigurationError(f"{name!r} was not deleted: {layout.shared} Delete it by its own name.")
        self._linked.request("DELETE", path_of(layout.index), doing=f"deleting index {name!r}")
        self._known = None

    # -- reading ------------------------------------------------------------------------------------------

    def _select(self, filter_: Filter, contains: str | None) -> Selection:
        layout = self._layout
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
        layout = self._layout
        wanted = shown(fields, layout)
        answer = self._requested(
            "POST", "_mget", body={"ids": list(ids)}, params=wanted.params, doing="reading from"
        )
        for found in answer["docs"]:
            if "error" in found:
                self._known = None
                raise answered(404, found, f"reading from index {self.index!r}")
            if found["found"]:
                yield stored_of(found, layout)

    def _scan(self, native: Any, fields: Fields, batch_size: int) -> Iterator[Sequence[Stored]]:
        layout = self._layout
        for page in self._searcher.scan(native, shown(fields, layout), batch_size):
            yield [stored_of(hit, layout) for hit in page]

    def _count(self, native: Any) -> int:
        if native == [NOTHING]:
            return 0
        body = {"query": {"bool": {"filter": native}}} if native else None
        count: int = self._requested("POST", "_count", body=body, doing="counting in")["count"]
        return count

    def _with_vectors(self, queries: Sequence[Query]) -> Sequence[Query]:
        return self.strategy.with_vectors(self._linked, queries)

    def _search(
        self, queries: Sequence[Query], native: Any, limit: int, fields: Fields
    ) -> list[list[Stored]]:
        if native == [NOTHING]:
            return [[] for _ in queries]
        asked = Asked(native=native or (), limit=limit, shown=shown(fields, self._layout))
        return self.strategy.search(self._searcher, queries, asked)

    @property
    def _searcher(self) -> Searcher:
        return Searcher(self._requested, self._linked, self._layout, self.metric)

    def _requested(self, method: str, api: str, *, doing: str, **options: Any) -> Any:
        """Send a request to the current index."""
        index = self.index
        try:
            return self._linked.request(
                method, path_of(index, *api.split("/")), doing=f"{doing} index {index!r}", **options
            )
        except IndexNotFoundError:
            self._known = None  # there may be another one of this name by the next call
            raise

    def _refresh(self) -> None:
        self._ready()
        if self._asked.refresh:
            try:
                self._requested("POST", "_refresh", doing="refreshing")
            except PermissionDeniedError as error:
                raise PermissionDeniedError(
                    f"{error} Or connect with refresh=False: writes then show within the index's "
                    "refresh_interval."
                ) from error

    # -- writing ------------------------------------------------------------------------------------------

    def _write(self, entries: Sequence[Entry], mode: Mode) -> dict[str, Exception]:
        if mode == "metadata":
            return self._rewritten(entries)
        layout = self._layout
        self.strategy.check_writable(layout)
        action: Action = "create" if mode == "create" else "index"
        items: list[Item] = []
        unfit: dict[str, Exception] = {}
        for entry in entries:
            try:
                items.append(Item(action, entry.id, source=self._source(entry, layout)))
            except InvalidDocumentError as error:
                unfit[entry.id] = error
        return {**unfit, **self._sent(items)}

    def _source(self, entry: Entry, layout: Layout) -> dict[str, Any]:
        return {**source_of(entry, layout), **self.strategy.fields_of(entry.text)}

    def _rewritten(self, entries: Sequence[Entry]) -> dict[str, Exception]:
        """Write metadata beside what else is stored, unless somebody changes that meanwhile.

        A partial update would merge objects, so that keys which are gone would stay.
        """
        layout = self._layout
        answer = self._requested(
            "POST", "_mget", body={"ids": [entry.id for entry in entries]}, doing="reading from"
        )
        stored = {found["_id"]: found for found in answer["docs"] if found.get("found")}
        refused: dict[str, Exception] = {
            entry.id: changed_meanwhile(entry.id)
            for entry in entries
            if entry.id not in stored or not _is_same(entry, stored[entry.id], layout)
        }
        items = [
            Item(
                "index",
                entry.id,
                source={**stored[entry.id]["_source"], **self._source(entry, layout)},
                revision=Revision.of(stored[entry.id]),
            )
            for entry in entries
            if entry.id not in refused
        ]
        return {**refused, **self._sent(items, pipeline="_none")}

    def _sent(self, items: Sequence[Item], *, pipeline: str | None = None) -> dict[str, Exception]:
        if not items:
            return {}
        refused = self._bulk(pipeline).send(items)
        self._raise_if_gone(refused)
        return {item.id: self._told(item, refused[item.id]) for item in items if item.id in refused}

    def _raise_if_gone(self, refused: Mapping[str, Refused]) -> None:
        gone = next((one for one in refused.values() if isinstance(one.error, IndexNotFoundError)), None)
        if gone is not None:
            self._known = None
            raise gone.error

    def _told(self, item: Item, refused: Refused) -> Exception:
        if not refused.is_conflict:
            return refused.error
        if item.action == "create":
            return DuplicateDocumentError(
                f"The id {item.id!r} exists already in index {self.index!r}; use upsert() to replace it.",
                ids=(item.id,),
            )
        return TransientError(
            f"{item.id!r} was changed in this very moment by another writer: {refused.error}"
        )

    def _bulk(self, pipeline: str | None = None) -> Bulk:
        if not self._layout.aliased and not self._linked.request(
            "HEAD", path_of(self.index), doing=f"looking up index {self.index!r}"
        ):
            self._known = None
            raise IndexNotFoundError(
                f"There is no index {self.index!r} any more; a write would make one by the way."
            )
        return Bulk(
            self._linked,
            self.index,
            aliased=self._layout.aliased,
            pipeline=pipeline,
            timeout=self.strategy.write_timeout,
            pace=self._pace,
        )

    def _remove(self, targets: Sequence[Stored]) -> Removal:
        items = [Item("delete", stored.id, revision=stored.version) for stored in targets]
        refused = self._bulk("_none").send(items) if items else {}
        self._raise_if_gone(refused)
        for one in refused.values():
            if not one.is_conflict and not one.is_missing:
                raise one.error
        return Removal(deleted=len(items) - len(refused), conflicts=tuple(refused))


def _is_same(entry: Entry, found: Mapping[str, Any], layout: Layout) -> bool:
    """Tell whether a document still has the text and vector that its metadata is to be written beside."""
    stored = stored_of(found, layout)
    return stored.text == entry.text and same_content(stored.stamp, entry.stamp)


def _with_ports(settings: ElasticsearchSettings) -> ElasticsearchSettings:
    if isinstance(settings.url, str):
        return replace(settings, url=with_port(settings.url))
    if settings.url is not None:
        return replace(settings, url=tuple(with_port(url) for url in settings.url))
    return settings


def _is_behind(index: str, alias: str) -> bool:
    """Tell whether an index is one of those that we make behind an alias."""
    return index[:-6] == layouts.concrete(alias)[:-6] and index[-6:].isdigit()
