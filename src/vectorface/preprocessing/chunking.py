"""From a stretch of text to chunks: with our own chunker, with a LangChain splitter, or as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from vectorface.errors import ConfigurationError
from vectorface.preprocessing.cutting import cut

_BLANK: Final = re.compile(r"\s")
_INK: Final = re.compile(r"\S")
_SPLITTER_PASSAGE: Final = 8  # how many of its chunks a splitter is given to cut at a time
_SPLITTER_SIZE: Final = 4000  # LangChain's default


class Splitter(Protocol):
    """What is asked of a LangChain ``TextSplitter``, and of anything that stands in for one."""

    def split_text(self, text: str) -> list[str]:
        """Cut a text into chunks."""
        ...


class Chunker(Protocol):
    """Cuts a stretch of text into chunks."""

    def chunks(self, text: str, start: int, body: int, end: int) -> Iterator[tuple[int, str]]:
        """Yield the chunks of ``text[start:end]``, each with its beginning.

        Args:
            text: The whole text.
            start: Where the stretch begins.
            body: Where its heading ends.
            end: Where the stretch ends.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeChunker:
    """Leaves every stretch as it is: for chunks that were split already."""

    def chunks(
        self,
        text: str,
        start: int,
        body: int,  # noqa: ARG002 - part of the protocol
        end: int,
    ) -> Iterator[tuple[int, str]]:
        """Yield the stretch itself."""
        yield start, text[start:end]


@dataclass(frozen=True, slots=True, kw_only=True)
class StableChunker:
    """The chunker used by default: paragraphs together while they fit, else sentences, lines, words.

    See :mod:`~vectorface.preprocessing.cutting` for where it cuts and why.

    Attributes:
        size: The most characters a chunk has, overlap included.
        overlap: The most characters it repeats of what stands before it in the same stretch; whole words
            where the script has them.

    Example:
        >>> chunker = StableChunker(size=13, overlap=5)
        >>> list(chunker.chunks("One two. Three. Four.", 0, 0, 21))
        [(0, 'One two.'), (4, 'two. Three.'), (16, 'Four.')]
    """

    size: int
    overlap: int

    def chunks(self, text: str, start: int, body: int, end: int) -> Iterator[tuple[int, str]]:
        """See :class:`Chunker`."""
        for begin, stop in cut(text, start, body, end, limit=self.size - self.overlap):
            from_here = self._overlapping(text, start, begin)
            yield from_here, text[from_here:stop]

    def _overlapping(self, text: str, start: int, begin: int) -> int:
        """Move a beginning back over the whole words that fit into the overlap."""
        earliest = max(start, begin - self.overlap)
        if earliest > start and not text[earliest - 1].isspace():
            blank = _BLANK.search(text, earliest, begin)
            if blank is None:
                return earliest  # a script without blanks
            earliest = blank.start()
        ink = _INK.search(text, earliest, begin)
        return ink.start() if ink else begin


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitterChunker:
    """Leaves the cutting to a LangChain splitter.

    It is given a passage of some chunks at a time, so that what an edit moves ends with the passage.

    Attributes:
        splitter: Any ``TextSplitter``.
    """

    splitter: Splitter

    def chunks(self, text: str, start: int, body: int, end: int) -> Iterator[tuple[int, str]]:
        """See :class:`Chunker`; where the splitter rewrites the text, the beginnings are estimates."""
        size = getattr(self.splitter, "_chunk_size", None) or _SPLITTER_SIZE
        for begin, stop in cut(text, start, body, end, limit=_SPLITTER_PASSAGE * size):
            yield from self._located(text, begin, stop)

    def _located(self, text: str, begin: int, stop: int) -> Iterator[tuple[int, str]]:
        overlap = getattr(self.splitter, "_chunk_overlap", None) or 0
        earliest = expected = begin
        for chunk in self.splitter.split_text(text[begin:stop]):
            if not isinstance(chunk, str):
                raise ConfigurationError(
                    f"splitter: {type(self.splitter).__name__}.split_text() returned {type(chunk).__name__}, "
                    "not str; pass a splitter that cuts text into strings."
                )
            places = (text.find(chunk, expected, stop), text.find(chunk, earliest, stop), earliest)
            at = next(place for place in places if place >= 0)
            yield at, chunk
            earliest, expected = at, max(at, at + len(chunk) - overlap)
