"""Bulk requests: lines of bytes in, an error for each item that was refused out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import orjson

from vectorface.backends.elasticsearch.codec import Revision
from vectorface.backends.elasticsearch.pace import Pace
from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.backends.elasticsearch.translation import answered
from vectorface.errors import IndexNotFoundError, InferenceQueueFullError, VectorfaceError

Action: TypeAlias = Literal["create", "index", "delete"]
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404
_NO_STATUS: Final = 0
#: What of the answer is wanted: nothing of the items that went through.
_ANSWER: Final = "errors,items.*.status,items.*.error"


@dataclass(frozen=True, slots=True)
class Item:
    """One action of a bulk request.

    Attributes:
        action: What to do.
        id: To which document.
        source: What to store; ``None`` for a delete.
        revision: Only if the document still is as it was read then.
    """

    action: Action
    id: str
    source: Mapping[str, Any] | None = None
    revision: Revision | None = None

    def lines(self) -> bytes:
        """Return it as a bulk request has it."""
        about: dict[str, Any] = {"_id": self.id}
        if self.revision is not None:
            about |= self.revision.conditions
        first = orjson.dumps({self.action: about}, option=orjson.OPT_APPEND_NEWLINE)
        if self.source is None:
            return first
        return first + orjson.dumps(
            self.source, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """What an item was answered that did not go through.

    Attributes:
        status: Its HTTP status; 0 where there was no answer to this item.
        error: What it stands for.
    """

    status: int
    error: VectorfaceError

    @property
    def is_conflict(self) -> bool:
        """Whether the document is there already, or was changed since it was read."""
        return self.status == _CONFLICT

    @property
    def is_missing(self) -> bool:
        """Whether there is no such document."""
        return self.status == _NOT_FOUND and not isinstance(self.error, IndexNotFoundError)


class Bulk:
    """Sends items to one index.

    Args:
        server: Where to.
        index: Name of the index.
        aliased: Whether the name must be an alias: a write to an index that is gone would make a new one.
        pipeline: Ingest pipeline instead of the index's own; ``"_none"`` for none.
        timeout: Seconds to wait for an answer.
        pace: Slows down what a model on the server cannot take.
    """

    def __init__(
        self,
        server: Server,
        index: str,
        *,
        aliased: bool,
        pipeline: str | None = None,
        timeout: float | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._server = server
        self._index = index
        self._params: dict[str, Any] = {"filter_path": _ANSWER}
        if aliased:
            self._params["require_alias"] = True
        if pipeline is not None:
            self._params["pipeline"] = pipeline
        self._timeout = timeout
        self._pace = pace

    def send(self, items: Sequence[Item]) -> dict[str, Refused]:
        """Send all items, of which no two have one id; return those that were refused, by id.

        Raises:
            VectorfaceError: The request as a whole was refused, or not answered. Where it was one of several
                and something had gone through by then, that is the answer of each item of it instead.
        """
        if self._pace is None:
            return self._sent(items)
        return self._pace.through(items, self._sent, _is_for_later, _unanswered)

    def _sent(self, items: Sequence[Item]) -> dict[str, Refused]:
        doing = f"writing to index {self._index!r}"
        answer = self._server.request(
            "POST",
            path_of(self._index, "_bulk"),
            body=[item.lines() for item in items],
            params=self._params,
            timeout=self._timeout,
            doing=doing,
        )
        if not answer["errors"]:
            return {}
        refused: dict[str, Refused] = {}
        for item, about in zip(items, answer["items"], strict=True):
            [said] = about.values()
            if item.action == "delete" and said["status"] == _NOT_FOUND and "error" not in said:
                said = {**said, "error": {"type": "not_found", "reason": f"there is no document {item.id!r}"}}
            if "error" in said:
                error = answered(said["status"], said["error"], f"{doing}, id {item.id!r}")
                refused[item.id] = Refused(said["status"], error)
        return refused


def _unanswered(error: VectorfaceError) -> Refused:
    return Refused(_NO_STATUS, error)


def _is_for_later(refused: Refused) -> bool:
    return isinstance(refused.error, InferenceQueueFullError)
