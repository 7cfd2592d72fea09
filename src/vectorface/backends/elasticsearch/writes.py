"""Writing to the current index: documents, metadata beside them, deletes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from vectorface.backends.elasticsearch.bulk import Action, Bulk, Item, Refused
from vectorface.backends.elasticsearch.codec import Revision, source_of, stored_of
from vectorface.backends.elasticsearch.current import Current
from vectorface.backends.elasticsearch.layout import VECTOR_TYPES, Layout
from vectorface.backends.elasticsearch.pace import Pace
from vectorface.backends.elasticsearch.server import path_of
from vectorface.backends.elasticsearch.strategies import Strategy
from vectorface.backends.elasticsearch.translation import answered
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    DuplicateDocumentError,
    IndexNotFoundError,
    InvalidDocumentError,
    TransientError,
)
from vectorface.ingest.writer import Mode, changed_meanwhile, same_content
from vectorface.primitives import Entry, Removal, Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class Writes:
    """Writes to an index.

    Attributes:
        current: Which one.
        strategy: What documents are found by.
        pace: Slows down what a model on the server cannot take.
    """

    current: Current
    strategy: Strategy
    pace: Pace | None

    def write(self, entries: Sequence[Entry], mode: Mode) -> dict[str, Exception]:
        """Write a batch; return the error of each document that was refused, by id."""
        if mode == "metadata":
            return self._rewritten(entries)
        layout = self.current.layout
        self.strategy.check_writable(layout)
        _check_vectors(self.strategy.fields, layout)
        action: Action = "create" if mode == "create" else "index"
        before = self._found(entries, layout.unknown) if layout.unknown and mode == "replace" else {}
        items: list[Item] = []
        unfit: dict[str, Exception] = {}
        for entry in entries:
            kept = before.get(entry.id, {})
            try:
                source = {**kept.get("_source", {}), **self._source(entry, layout)}
            except InvalidDocumentError as error:
                unfit[entry.id] = error
            else:
                items.append(Item(action, entry.id, source=source, revision=Revision.of(kept)))
        return {**unfit, **self._sent(items)}

    def _found(self, entries: Sequence[Entry], fields: Collection[str] = ()) -> dict[str, Mapping[str, Any]]:
        """Return those that are there, by id, with all of them or with some fields.

        Raises:
            IndexNotFoundError: The index is gone.
        """
        answer = self.current.request(
            "POST",
            "_mget",
            body={"ids": [entry.id for entry in entries]},
            params={"_source_includes": sorted(fields)} if fields else None,
            doing="reading from",
        )
        gone = next((found for found in answer["docs"] if "error" in found), None)
        if gone is not None:
            self.current.forget()
            raise answered(HTTPStatus.NOT_FOUND, gone, f"reading from index {self.current.name!r}")
        return {found["_id"]: found for found in answer["docs"] if found["found"]}

    def remove(self, targets: Sequence[Stored]) -> Removal:
        """Delete documents that still are as they were read, in the index that they were read from.

        Sequence numbers of one index say nothing about another one, which may have the name by now.
        """
        index = self._index_now(self.current.layout)
        items = [
            Item("delete", stored.id, revision=stored.version)
            for stored in targets
            if stored.version.index_name == index
        ]
        elsewhere = [stored.id for stored in targets if stored.version.index_name != index]
        refused = self._bulk("_none").send(items) if items else {}
        self._raise_if_gone(refused)
        for one in refused.values():
            if not one.is_conflict and not one.is_missing:
                raise one.error
        return Removal(deleted=len(items) - len(refused), conflicts=(*elsewhere, *refused))

    def _index_now(self, layout: Layout) -> str | None:
        """Return what the name leads to at this moment; ``None`` for a new index in place of that one."""
        now = self.current.look()
        if now.uuid == layout.uuid:
            return now.index
        self.current.forget()
        return now.index if now.index != layout.index else None

    def _source(self, entry: Entry, layout: Layout) -> dict[str, Any]:
        return {**source_of(entry, layout), **self.strategy.fields_of(entry.text)}

    def _rewritten(self, entries: Sequence[Entry]) -> dict[str, Exception]:
        """Write metadata beside what else is stored, unless somebody changes that meanwhile.

        A partial update would merge objects, so that keys which are gone would stay.
        """
        layout = self.current.layout
        stored = self._found(entries)
        refused: dict[str, Exception] = {
            entry.id: changed_meanwhile(entry.id)
            for entry in entries
            if entry.id not in stored or not _is_same(entry, stored[entry.id], layout)
        }
        refused |= {
            id_: BackendError(
                f"{id_!r}: its vector or tokens are not in _source, so that writing metadata beside them "
                "would lose them; upsert it with skip_unchanged=False."
            )
            for id_ in stored.keys() - refused.keys()
            if not layout.beside & layout.types.keys() <= stored[id_]["_source"].keys()
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
        if self._index_now(layout) != layout.index:
            return {**refused, **self._exchanged(items)}
        refused |= self._sent(items, pipeline="_none")
        if self._index_now(layout) != layout.index:  # in this very moment: who knows what went where
            refused |= self._exchanged(items)
        return refused

    def _exchanged(self, items: Sequence[Item]) -> dict[str, Exception]:
        return {
            item.id: TransientError(
                f"{item.id!r}: the index {self.current.name!r} was exchanged for another one meanwhile."
            )
            for item in items
        }

    def _sent(self, items: Sequence[Item], *, pipeline: str | None = None) -> dict[str, Exception]:
        if not items:
            return {}
        refused = self._bulk(pipeline).send(items)
        self._raise_if_gone(refused)
        return {item.id: self._told(item, refused[item.id]) for item in items if item.id in refused}

    def _raise_if_gone(self, refused: Mapping[str, Refused]) -> None:
        gone = next((one for one in refused.values() if isinstance(one.error, IndexNotFoundError)), None)
        if gone is not None:
            self.current.forget()
            raise gone.error

    def _told(self, item: Item, refused: Refused) -> Exception:
        if not refused.is_conflict:
            return refused.error
        if item.action == "create":
            return DuplicateDocumentError(
                f"The id {item.id!r} exists already in index {self.current.name!r}; use upsert() to replace "
                "it.",
                ids=(item.id,),
            )
        return TransientError(
            f"{item.id!r} was changed in this very moment by another writer: {refused.error}"
        )

    def _bulk(self, pipeline: str | None = None) -> Bulk:
        server, name, aliased = self.current.server, self.current.name, self.current.layout.aliased
        if not aliased and not server.request("HEAD", path_of(name), doing=f"looking up index {name!r}"):
            self.current.forget()
            raise IndexNotFoundError(
                f"There is no index {name!r} any more; a write would make one by the way."
            )
        return Bulk(
            server,
            name,
            aliased=aliased,
            pipeline=pipeline,
            timeout=self.strategy.write_timeout,
            pace=self.pace,
        )


def _check_vectors(fields: Collection[str], layout: Layout) -> None:
    """Refuse to write to an index that something else made if documents would lose vectors by that.

    Where a pipeline is in between it may be that which makes them.

    Raises:
        ConfigurationError: The index has vectors that are not made here.
    """
    if layout.ours or layout.pipeline is not None:
        return
    lost = sorted(name for name, kind in layout.types.items() if kind in VECTOR_TYPES and name not in fields)
    if lost:
        raise ConfigurationError(
            f"The index {layout.info.name!r} has vectors in {', '.join(map(repr, lost))}, which this "
            "strategy does not make: what it writes would not be found by them any more. Open the index with "
            "one that makes them, too, as in Hybrid(Dense(embeddings), BM25())."
        )


def _is_same(entry: Entry, found: Mapping[str, Any], layout: Layout) -> bool:
    """Tell whether a document still has the text and vector that its metadata is to be written beside."""
    stored = stored_of(found, layout)
    return stored.text == entry.text and same_content(stored.stamp, entry.stamp)
