"""Writes to an index refused for a moment, so that none is lost while readers are led elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from vectorface.backends.elasticsearch.cluster.waiting import until
from vectorface.backends.elasticsearch.server import Server, path_of
from vectorface.errors import IndexNotFoundError, PermissionDeniedError, TransientError, VectorfaceError

#: Seconds to go on trying to lift a block where the server cannot answer now.
_PATIENCE: Final = 30.0
#: Blocks that refuse writes until somebody lifts them. ``read_only_allow_delete`` is none of them:
#: Elasticsearch lifts it itself when the disk has room again.
_LASTING: Final = ("write", "read_only")


class WriteBlock:
    """A write block on an index, as a context: writers get HTTP 403 in it, and none afterwards.

    A block that was there before is left as it was. One that is not allowed is done without.

    Args:
        server: Where the index is.
        index: The index itself, not an alias.

    Attributes:
        holds: Whether nothing can have been written in the context, as far as the server tells.
        stays: Why the block could not be lifted at the end; ``None`` if it was.
    """

    def __init__(self, server: Server, index: str) -> None:
        self._server = server
        self._index = index
        self._ours = False
        self.holds = False
        self.stays: VectorfaceError | None = None

    def __enter__(self) -> Self:
        try:
            self._set()
        except BaseException:  # the answer may be lost and the block be there
            self._lift()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lift()

    def _set(self) -> None:
        try:
            if self._is_there():
                self.holds = True
                return
            self._ours = True
            answer = self._request("PUT", "_block", "write", doing="holding writers back from")
        except PermissionDeniedError:
            self._ours = False
            return
        self._ours = bool(answer.get("indices"))  # none: somebody else was faster
        self.holds = answer["shards_acknowledged"]  # and what was under way is written

    def _is_there(self) -> bool:
        answer = self._request("GET", "_settings", "index.blocks.*", doing="looking for blocks of")
        found = [about["settings"].get("index", {}).get("blocks", {}) for about in answer.values()]
        return any(blocks.get(name) == "true" for blocks in found for name in _LASTING)

    def _lift(self) -> None:
        """Lift the block if it is ours; an error is kept, for another one may be under way."""
        if not self._ours:
            return

        def look() -> bool:
            body = {"index.blocks.write": None}
            self._request("PUT", "_settings", body=body, doing="lifting the write block of")
            return True

        try:
            until(look, timeout=_PATIENCE, late=lambda: TransientError("The write block was not lifted."))
        except IndexNotFoundError:
            pass  # it was deleted, and the block with it
        except VectorfaceError as error:
            self.stays = error

    def _request(
        self, method: str, *api: str, doing: str, body: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._server.request(
            method, path_of(self._index, *api), body=body, doing=f"{doing} index {self._index!r}"
        )
        return answer
