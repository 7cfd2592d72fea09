"""From the documents a caller has to whole books.

Documents may be whole texts, pages, or chunks that a splitter made, with or without overlap.
:func:`read_books` tells the books apart and puts each one's text together again
(:mod:`~vectorface.preprocessing.stitching`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from langchain_core.documents import Document

from vectorface.errors import InvalidDocumentError, InvalidInputError
from vectorface.preprocessing.cleaning import OffsetMap
from vectorface.preprocessing.numbering import select_chapters
from vectorface.preprocessing.overlaps import find_overlaps, start_index
from vectorface.preprocessing.rules import Rule
from vectorface.preprocessing.stitching import Piece, stitch
from vectorface.preprocessing.styles import STRONG, find_candidates

#: A document longer than this is taken for a whole text: no embedding model reads chunks of that size.
LONGEST_CHUNK: Final = 20_000
_MOST: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class Book:
    """One text and the documents it was put together from.

    Attributes:
        source: What its documents call their source, or ``None``.
        text: The whole text.
        pieces: Where each document lies in it.
        places: Which of its documents each piece is, counted from 1; empty documents have no piece.
        split: Whether the documents are chunks that a splitter made.
        offsets: From positions in ``text`` to those that count for the caller: the ``start_index`` of the
            documents where they have one that fits, else the positions themselves.
    """

    source: Any
    text: str
    pieces: tuple[Piece, ...]
    places: tuple[int, ...]
    split: bool
    offsets: OffsetMap

    @property
    def surely_split(self) -> bool:
        """Whether the documents say themselves that a splitter made them: by an index, or by overlaps."""
        indexed = any(start_index(piece.document) is not None for piece in self.pieces)
        return indexed or any(after.start < before.end for before, after in pairwise(self.pieces))


def read_books(documents: Iterable[Document | str], *, rule: Rule, one_book: bool = False) -> list[Book]:
    """Tell the books apart and put each together.

    Documents with the same ``metadata["source"]`` are one book, in the order given. Documents without a
    source are one book if they look like the chunks of one text: their metadata are equal apart from
    ``start_index``, they overlap or are none longer than :data:`LONGEST_CHUNK`, and no two of them count
    chapters from one.

    Args:
        documents: Documents or texts; a single one will do.
        rule: What a heading looks like, so that one that was cut in two is put together.
        one_book: Whether documents without a source belong together whatever they look like.

    Returns:
        The books in the order of their first documents. The documents themselves are not changed.

    Raises:
        InvalidDocumentError: One of the documents is neither a ``Document`` nor a ``str``.
        InvalidInputError: ``documents`` is nothing to iterate over.

    Example:
        >>> from vectorface.preprocessing.rules import rule_for
        >>> chunks = [Document(page_content="One two"), Document(page_content="two three")]
        >>> [book.split for book in read_books(chunks, rule=rule_for(None))]
        [True]
    """
    groups: dict[str, list[Document]] = {}
    for document in _checked(documents):
        groups.setdefault(_book_key(document, one_book=one_book), []).append(document)
    return [
        _book(texts, rule, split=split)
        for group in groups.values()
        for texts, split in _texts_of(group, rule, one_book=one_book)
    ]


def _checked(documents: object) -> list[Document]:
    if isinstance(documents, Document | str):
        documents = [documents]
    if isinstance(documents, Mapping | bytes) or not isinstance(documents, Iterable):
        raise InvalidInputError(
            f"documents: expected Documents or texts, got {type(documents).__name__}; pass a list of them."
        )
    return [_document(document, position) for position, document in enumerate(documents)]


def _document(document: object, position: int) -> Document:
    if isinstance(document, str):
        return Document(page_content=document)
    if isinstance(document, Document):
        return document
    raise InvalidDocumentError(
        f"documents: item {position} is of type {type(document).__name__}; "
        "pass langchain_core.documents.Document objects or str."
    )


def _book_key(document: Document, *, one_book: bool) -> str:
    source = document.metadata.get("source")
    if source is not None:
        return f"source {source}"
    return "no source" if one_book else f"metadata {_other_metadata(document)}"


def _other_metadata(document: Document) -> str:
    """Say what tells a document from the other chunks of its text: everything but the position."""
    return repr(
        sorted((str(key), repr(value)) for key, value in document.metadata.items() if key != "start_index")
    )


def _texts_of(group: list[Document], rule: Rule, *, one_book: bool) -> list[tuple[list[Document], bool]]:
    """Tell the texts of a group apart, and say of each whether it is given as chunks."""
    belong_together = one_book or group[0].metadata.get("source") is not None
    split = _is_split(group, rule)
    if belong_together or split:
        return [(group, split)]
    return [([document], False) for document in group]


def _is_split(group: Sequence[Document], rule: Rule) -> bool:
    """Say whether these are chunks, not pages: a splitter copies its document's metadata to each chunk."""
    texts = [document.page_content for document in group]
    if any(start_index(document) is not None for document in group):
        return True
    if len(group) == 1 or max(map(len, texts)) > LONGEST_CHUNK:
        return False
    if any(find_overlaps(texts, rule)):
        return True
    alike = any(_other_metadata(before) == _other_metadata(after) for before, after in pairwise(group))
    return alike and sum(_begins_book(text) for text in texts) <= 1


def _begins_book(text: str) -> bool:
    """Say whether a text counts its chapters from one: two such texts are not chunks of one."""
    chapters = select_chapters(text, find_candidates(text))
    return [(chapter.number, chapter.tier) for chapter in chapters[:2]] == [(1, STRONG), (2, STRONG)]


def _book(documents: Sequence[Document], rule: Rule, *, split: bool) -> Book:
    filled = [document for document in documents if document.page_content]
    text, pieces = stitch(filled, rule, split=split)
    return Book(
        source=documents[0].metadata.get("source"),
        text=text,
        pieces=pieces,
        places=tuple(place for place, document in enumerate(documents, start=1) if document.page_content),
        split=split,
        offsets=_declared_offsets(pieces),
    )


def _declared_offsets(pieces: Sequence[Piece]) -> OffsetMap:
    """Take the documents' own ``start_index`` where most have one that fits.

    LangChain looks for each chunk behind the one before, so for a repeated chunk it can be too early, or -1;
    and the chunks of each page count from the beginning of that page.
    """
    fitting: list[tuple[int, int]] = []
    for piece in pieces:
        index = start_index(piece.document)
        if index is not None and (not fitting or (fitting[-1][0] < piece.start and fitting[-1][1] < index)):
            fitting.append((piece.start, index))
    if len(fitting) <= _MOST * len(pieces):
        return OffsetMap()
    return OffsetMap(
        derived=tuple(start for start, _ in fitting), origin=tuple(index for _, index in fitting)
    )


def runs_of(pieces: Sequence[Piece]) -> list[Piece]:
    """Join neighbouring pieces whose metadata say the same, so that what is cut anew never spans two pages.

    Example:
        >>> runs = [Piece(0, 4, Document(page_content="a", metadata={"page": page})) for page in (1, 1, 2)]
        >>> [run.document.metadata["page"] for run in runs_of(runs)]
        [1, 2]
    """
    runs: list[Piece] = []
    for piece in pieces:
        if runs and _other_metadata(runs[-1].document) == _other_metadata(piece.document):
            runs[-1] = Piece(runs[-1].start, piece.end, runs[-1].document)
        else:
            runs.append(piece)
    return runs
