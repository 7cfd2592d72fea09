"""From documents to chunks that know their chapter: the two functions that callers use."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Final

from langchain_core.documents import Document  # noqa: TC002 - get_type_hints() needs it

from vectorface.errors import ConfigurationError
from vectorface.preprocessing.chunking import Chunker, Splitter, SplitterChunker, StableChunker, WholeChunker
from vectorface.preprocessing.cleaning import DEFAULT_NOISE
from vectorface.preprocessing.headings import find_headings
from vectorface.preprocessing.ids import identified
from vectorface.preprocessing.outlines import DEFAULT_END_MARKERS, Outline
from vectorface.preprocessing.patterns import Regex, compile_patterns
from vectorface.preprocessing.reading import ReadBook, Reading
from vectorface.preprocessing.rules import Headings, rule_for

#: Size of a chunk in characters, where neither a size nor a splitter is given. The default model reads 256
#: tokens, about 900 characters of English; what is longer it cuts off without a word.
DEFAULT_CHUNK_SIZE: Final = 800

# Front matter that is longer than both may be a part of the story whose heading was not found.
_SHORT_FRONT_MATTER: Final = 200
_LONG_FRONT_MATTER: Final = 2000
_LARGE_FRONT_MATTER: Final = 0.05
_PATH: Final = re.compile(
    r"\s*\S+\.(?:txt|text|md|markdown|rst|pdf|html?|epub|docx?|rtf|tex)\s*", re.IGNORECASE
)


class PreprocessingWarning(UserWarning):
    """The result may not be what was hoped for.

    A text has no chapters, begins them a second time, or has much text before the first.
    """


def preprocess(
    documents: Iterable[Document | str],
    *,
    source: str | None = None,
    author: str | None = None,
    chunk_size: int | None = None,
    chunk_overlap: int | None = None,
    splitter: Splitter | None = None,
    keep_chunks: bool | None = None,
    headings: Headings = find_headings,
    noise: Regex | Iterable[Regex] = DEFAULT_NOISE,
    end_markers: Regex | Iterable[Regex] = DEFAULT_END_MARKERS,
    keep_outside: bool = False,
) -> list[Document]:
    r"""Cut books into chunks that know their chapter.

    Each text is cut into chapters first and into chunks second, so no chunk spans two chapters. A heading
    stays in the content, at the beginning of its chapter's first chunk. Chunks that were split already are
    put together first, so that a heading counts wherever it stands, even cut in two; then they are kept as
    they are, cut only where a chapter begins.

    Args:
        documents: Whole texts, pages, or chunks of them in order. Those with the same ``metadata["source"]``
            are one book; those without are one if they look like the chunks of one text.
        source: What to write into ``metadata["source"]``; by default the documents' own. Documents without a
            source of their own are then one book, so call this once for each book.
        author: What to write into ``metadata["author"]``; by default the documents' own.
        chunk_size: The most characters of a chunk, overlap included; by default 800.
        chunk_overlap: The most characters a chunk repeats from before it, in its chapter; by default a tenth
            of ``chunk_size``.
        splitter: A LangChain ``TextSplitter`` to cut the chapters with, instead of the two sizes.
        keep_chunks: Whether the documents given are the chunks. By default they are if a splitter made them,
            and neither a size nor a splitter is given here.
        headings: What a chapter's heading looks like: :func:`find_headings`, a regular expression with the
            optional named groups ``number`` and ``title``, a function from text to :class:`Heading` objects,
            or ``None`` for texts without chapters.
        noise: Patterns of what to remove; by default the mark ``(picture)``.
        end_markers: Patterns of what nothing belongs to the book after; they count below the last heading.
        keep_outside: Whether to keep front matter and what follows an end marker, with chapter ``None``.

    Returns:
        New documents, in the order of the text. Each has the metadata of the document it is from, and
        ``source``, ``author``, ``chapter`` (a number or ``None``), ``chapter_title`` (text or ``None``) and
        ``start_index`` (its position in the original). Its ``id`` is the sha256 of source, chapter, content,
        and how many chunks before it have all these in common.

    Raises:
        ConfigurationError: An option is wrong.
        InvalidInputError: The documents are.

    Warns:
        PreprocessingWarning: No heading was found in a text; it is kept whole, with chapter ``None``. Or one
            of several texts given as one book begins its chapters anew, as another book does. Or much of a
            text is left out as front matter.

    Example:
        >>> book = "By A. Writer\n\n[ Chapter 1 ]\nIt was dark.\n\n[ Chapter 2 ]\nIt was light."
        >>> for chunk in preprocess([book], source="The Lamp"):
        ...     print(chunk.metadata["chapter"], repr(chunk.page_content))
        1 '[ Chapter 1 ]\nIt was dark.'
        2 '[ Chapter 2 ]\nIt was light.'
    """
    chunker = _chunker(chunk_size, chunk_overlap, splitter)
    if keep_chunks and chunker is not None:
        raise ConfigurationError(
            "keep_chunks=True keeps the chunks as given: leave out chunk_size, chunk_overlap and splitter."
        )
    reading = _reading(headings, noise, end_markers, keep_outside=keep_outside)
    books = reading.read(documents, one_book=source is not None)
    if headings is not None:
        _warn_of_missing_chapters(books, source)
        _warn_of_second_books(books, source)
        _warn_of_front_matter(books, source)
    return identified(
        chunk
        for book in books
        for chunk in book.chunks(chunker or _usual_chunker(book, keep_chunks), source=source, author=author)
    )


def outline(
    documents: Iterable[Document | str],
    *,
    source: str | None = None,
    headings: Headings = find_headings,
    noise: Regex | Iterable[Regex] = DEFAULT_NOISE,
    end_markers: Regex | Iterable[Regex] = DEFAULT_END_MARKERS,
    keep_outside: bool = False,
) -> list[Outline]:
    r"""Show the chapters of each book, and what :func:`preprocess` would leave out, with the reason.

    Args:
        documents: See :func:`preprocess`; the options are the same.
        source: See there.
        headings: See there.
        noise: See there.
        end_markers: See there.
        keep_outside: See there.

    Returns:
        One outline a book, in the order of their first documents.

    Raises:
        ConfigurationError: An option is wrong.
        InvalidInputError: The documents are.

    Example:
        >>> (lamp,) = outline(["By A. Writer\n\n[ Chapter 1 ]\nIt was dark."])
        >>> [(chapter.number, chapter.start) for chapter in lamp.chapters]
        [(1, 14)]
        >>> [(dropped.reason, dropped.text.strip()) for dropped in lamp.dropped]
        [('front matter', 'By A. Writer')]
    """
    reading = _reading(headings, noise, end_markers, keep_outside=keep_outside)
    return [book.outline(source=source) for book in reading.read(documents, one_book=source is not None)]


def _reading(
    headings: Headings,
    noise: Regex | Iterable[Regex],
    end_markers: Regex | Iterable[Regex],
    *,
    keep_outside: bool,
) -> Reading:
    return Reading(
        rule=rule_for(headings),
        noise=compile_patterns(noise, option="noise"),
        end_markers=compile_patterns(end_markers, option="end_markers"),
        keep_outside=keep_outside,
    )


def _chunker(size: int | None, overlap: int | None, splitter: Splitter | None) -> Chunker | None:
    """Return the chunker that the options ask for, if they ask for one."""
    if splitter is not None:
        return _splitter_chunker(size, overlap, splitter)
    if size is None and overlap is None:
        return None
    size = DEFAULT_CHUNK_SIZE if size is None else size
    if type(size) is not int or size < 1:
        raise ConfigurationError(f"chunk_size: expected a number of characters, 1 or more, got {size!r}.")
    overlap = size // 10 if overlap is None else overlap
    if type(overlap) is not int or not 0 <= overlap < size:
        raise ConfigurationError(
            f"chunk_overlap: expected a number of characters from 0 to {size - 1}, "
            f"less than chunk_size={size}, got {overlap!r}."
        )
    return StableChunker(size=size, overlap=overlap)


def _splitter_chunker(size: int | None, overlap: int | None, splitter: Splitter) -> Chunker:
    if size is not None or overlap is not None:
        raise ConfigurationError("chunk_size, chunk_overlap: the splitter has its own; set them there.")
    if not callable(getattr(splitter, "split_text", None)):
        raise ConfigurationError(
            f"splitter: expected a LangChain TextSplitter, got {type(splitter).__name__}."
        )
    return SplitterChunker(splitter=splitter)


def _usual_chunker(book: ReadBook, keep_chunks: bool | None) -> Chunker:  # noqa: FBT001 - the option itself
    if book.given.split if keep_chunks is None else keep_chunks:
        return WholeChunker()
    return StableChunker(size=DEFAULT_CHUNK_SIZE, overlap=DEFAULT_CHUNK_SIZE // 10)


def _warn_of_missing_chapters(books: Sequence[ReadBook], source: str | None) -> None:
    missing = [book for book in books if book.lacks_chapters]
    if missing:
        name = _name(missing[0], source)
        warnings.warn(
            f"No chapter heading was found in {len(missing)} of {len(books)} texts "
            f"(first: {name or 'one without a source'}), so chapter is None there; pass headings= a regular "
            f"expression, or headings=None if there are no chapters.{_hint_at_path(missing)}",
            PreprocessingWarning,
            stacklevel=3,
        )


def _hint_at_path(books: Iterable[ReadBook]) -> str:
    texts = (piece.document.page_content for book in books for piece in book.given.pieces)
    path = next(filter(_PATH.fullmatch, texts), None)
    if path is None:
        return ""
    return f" {path.strip()!r} looks like a path to a file: read the file and pass its text, not its path."


def _warn_of_second_books(books: Iterable[ReadBook], source: str | None) -> None:
    for book in books:
        for begun in book.beginnings():
            warnings.warn(
                f"Text {book.given.places[begun.index]} of those given as {_name(book, source) or 'a book'} "
                f"begins its chapters anew, with {begun.number} after {begun.reached}. Texts with one source "
                "are read as one book, so the chapters of a second one are lost or mixed up with the first "
                "one's; call preprocess() once for each book.",
                PreprocessingWarning,
                stacklevel=3,
            )


def _warn_of_front_matter(books: Iterable[ReadBook], source: str | None) -> None:
    for book in books:
        left_out, whole = book.front_matter, len(book.cleaned.text)
        usual = max(_LONG_FRONT_MATTER, _LARGE_FRONT_MATTER * whole)
        if left_out > min(usual, max(_SHORT_FRONT_MATTER, whole / 2)):
            warnings.warn(
                f"{left_out} of {whole} characters of {_name(book, source) or 'a text without a source'} are "
                "left out as front matter, because they stand before the first chapter heading found. "
                "outline() shows them; if they belong to the story, pass headings= a regular expression that "
                "finds their headings too, or keep_outside=True.",
                PreprocessingWarning,
                stacklevel=3,
            )


def _name(book: ReadBook, source: str | None) -> str:
    name = book.given.source if source is None else source
    return "" if name is None else repr(name)
