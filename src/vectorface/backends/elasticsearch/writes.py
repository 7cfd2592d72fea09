"""Writing to the current index: documents, metadata beside them, deletes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vectorface.backends.elasticsearch.bulk import Action, Bulk, Item, Refused
from vectorface.backends.elasticsearch.codec import Revision, source_of, stored_of
from vectorface.backends.elasticsearch.current import Current
from vectorface.backends.elasticsearch.layout import Layout
from vectorface.backends.elasticsearch.pace import Pace
from vectorface.backends.elasticsearch.server import path_of
from vectorface.backends.elasticsearch.strategies import Strategy
from vectorface.errors import (
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
        action: Action = "create" if mode == "create" else "index"
        items: list[Item] = []
        unfit: dict[str, Exception] = {}
        for entry in entries:
            try:
                items.append(Item(action, entry.id, source=self._source(entry, layout)))
            except InvalidDocumentError as error:
                unfit[entry.id] = error
        return {**unfit, **self._sent(items)}

    def remove(self, targets: Sequence[Stored]) -> Removal:
        """Delete documents that still are as they were read."""
        items = [Item("delete", stored.id, revision=stored.version) for stored in targets]
        refused = self._bulk("_none").send(items) if items else {}
        self._raise_if_gone(refused)
        for one in refused.values():
            if not one.is_conflict and not one.is_missing:
                raise one.error
        return Removal(deleted=len(items) - len(refused), conflicts=tuple(refused))

    def _source(self, entry: Entry, layout: Layout) -> dict[str, Any]:
        return {**source_of(entry, layout), **self.strategy.fields_of(entry.text)}

    def _rewritten(self, entries: Sequence[Entry]) -> dict[str, Exception]:
        """Write metadata beside what else is stored, unless somebody changes that meanwhile.

        A partial update would merge objects, so that keys which are gone would stay.
        """
        layout = self.current.layout
        answer = self.current.request(
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


def _is_same(entry: Entry, found: Mapping[str, Any], layout: Layout) -> bool:
    """Tell whether a document still has the text and vector that its metadata is to be written beside."""
    stored = stored_of(found, layout)
    return stored.text == entry.text and same_content(stored.stamp, entry.stamp)
