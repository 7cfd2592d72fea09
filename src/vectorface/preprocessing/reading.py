"""A book that has been read: put together, cleaned, and cut into sections."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from langchain_core.documents import Document

from vectorface.preprocessing.beginnings import Beginning, find_beginnings
from vectorface.preprocessing.books import LONGEST_CHUNK, Book, read_books, runs_of
from vectorface.preprocessing.chunking import Chunker, WholeChunker
from vectorface.preprocessing.cleaning import Cleaned, clean
from vectorface.preprocessing.outlines import Chapter, Dropped, Outline, Section, find_sections
from vectorface.preprocessing.rules import Rule
from vectorface.preprocessing.stretches import Stretch, stretches_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read a book.

    Attributes:
        rule: What a heading looks like.
        noise: What to remove.
        end_markers: What ends the book.
        keep_outside: Whether to keep what lies outside the chapters.
    """

    rule: Rule
    noise: tuple[re.Pattern[str], ...]
    end_markers: tuple[re.Pattern[str], ...]
    keep_outside: bool

    def read(self, documents: Iterable[Document | str], *, one_book: bool) -> list[ReadBook]:
        """Read each of the books that the documents make up."""
        return [self._read(book) for book in read_books(documents, rule=self.rule, one_book=one_book)]

    def _read(self, book: Book) -> ReadBook:
        cleaned = clean(book.text, self.noise)
        headings = self.rule.find(cleaned.text)
        sections = find_sections(cleaned.text, headings, self.end_markers, keep_outside=self.keep_outside)
        return ReadBook(given=book, cleaned=cleaned, sections=tuple(sections), rule=self.rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBook:
    """A book's sections, and the way back to the positions in the original.

    Attributes:
        given: The book as it was put together.
        cleaned: Its text without noise, and where that came from.
        sections: What the clean text consists of.
        rule: What a heading looked like.
    """

    given: Book
    cleaned: Cleaned
    sections: tuple[Section, ...]
    rule: Rule

    @property
    def lacks_chapters(self) -> bool:
        """Whether there is a text but no heading in it."""
        return bool(self.sections) and not any(section.heading for section in self.sections)

    @property
    def front_matter(self) -> int:
        """How many characters are left out as front matter."""
        return sum(part.end - part.start for part in self.sections if part.reason == "front matter")

    def beginnings(self) -> list[Beginning]:
        """Find the documents that seem to begin another book."""
        if len(self.given.pieces) <= 1 or self.given.surely_split:
            return []
        place = self.cleaned.offsets.to_derived
        spans = [(place(piece.start), place(piece.end)) for piece in self.given.pieces]
        chapters = [section.heading for section in self.sections if section.heading]
        return list(
            find_beginnings(self.cleaned.text, spans, chapters, self.rule, longest_page=LONGEST_CHUNK)
        )

    def outline(self, *, source: str | None) -> Outline:
        """Show the chapters, and what is left out."""
        dropped = [*self._left_out(), *self._noise()]
        return Outline(
            source=self.given.source if source is None else source,
            chapters=tuple(self._chapters()),
            dropped=tuple(sorted(dropped, key=lambda part: part.start)),
        )

    def chunks(self, chunker: Chunker, *, source: str | None, author: str | None) -> Iterator[Document]:
        """Cut the sections into chunks, none of which has an id yet."""
        runs = self.given.pieces if isinstance(chunker, WholeChunker) else runs_of(self.given.pieces)
        place = self.cleaned.offsets.to_derived
        units = [Stretch(place(run.start), place(run.end), run.document) for run in runs]
        text = self.cleaned.text
        for section in self.sections:
            for stretch in stretches_of(section, units, text) if section.reason is None else ():
                metadata = self._metadata(stretch.document, section, source=source, author=author)
                body = max(section.body, stretch.start)
                for start, content in chunker.chunks(text, stretch.start, body, stretch.end):
                    index = {"start_index": self._original(start)}
                    yield Document(page_content=content, metadata=copy.deepcopy(metadata) | index)

    def _metadata(
        self, document: Document, section: Section, *, source: str | None, author: str | None
    ) -> dict[str, Any]:
        own, heading = document.metadata, section.heading
        chapter = {"chapter": own.get("chapter"), "chapter_title": own.get("chapter_title")}
        if not self.lacks_chapters:  # else the caller may know better
            chapter = {
                "chapter": heading.number if heading else None,
                "chapter_title": heading.title if heading else None,
            }
        return (
            own
            | chapter
            | {
                "source": own.get("source") if source is None else source,
                "author": own.get("author") if author is None else author,
            }
        )

    def _original(self, position: int) -> int:
        return self.given.offsets.to_origin(self.cleaned.offsets.to_origin(position))

    def _original_span(self, section: Section) -> dict[str, int]:
        return {"start": self._original(section.start), "end": self._original(section.end - 1) + 1}

    def _chapters(self) -> Iterator[Chapter]:
        for section in self.sections:
            if section.heading:
                number, title = section.heading.number, section.heading.title
                yield Chapter(number=number, title=title, **self._original_span(section))

    def _left_out(self) -> Iterator[Dropped]:
        for section in self.sections:
            if section.reason:
                text = self.cleaned.text[section.start : section.end]
                yield Dropped(reason=section.reason, text=text, **self._original_span(section))

    def _noise(self) -> Iterator[Dropped]:
        place = self.given.offsets.to_origin
        for start, end in self.cleaned.noise:
            text = self.given.text[start:end]
            yield Dropped(reason="noise", start=place(start), end=place(end - 1) + 1, text=text)
