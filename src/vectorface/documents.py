"""From the caller's documents to checked, identified, hashed ones that are ready to be written."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from langchain_core.documents import Document

from vectorface.errors import DuplicateDocumentError, InvalidDocumentError, InvalidIdError
from vectorface.metadata import Metadata, dumps, encodable, plain_text, validated
from vectorface.records import Vector, Vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Longest id, in bytes of UTF-8: Elasticsearch's limit, kept on every backend.
MAX_ID_BYTES: Final = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A document that is ready to be written.

    Attributes:
        id: Its id.
        text: Its content.
        metadata: A validated copy of its metadata.
        vector: Its vector; ``None`` until it is embedded.
        text_hash: 32 hex digits over the content.
        metadata_hash: 32 hex digits over the metadata.
        given_vector: Whether the vector came from the caller and not from the embedding function.
        metadata_size: Bytes of the metadata as JSON.
    """

    id: str
    text: str
    metadata: Metadata
    vector: Vector | None
    text_hash: str
    metadata_hash: str
    given_vector: bool = False
    metadata_size: int = 0

    @property
    def document(self) -> Document:
        """The document as a caller would pass it, with its id."""
        return Document(id=self.id, page_content=self.text, metadata=self.metadata)

    @property
    def size(self) -> int:
        """About how many bytes it takes in a request, vector not counted."""
        metadata = max(64 * len(self.metadata), self.metadata_size)
        return len(self.text.encode()) + metadata + len(self.id)

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two documents the same: content and metadata."""
        return self.text_hash, self.metadata_hash


def document_id(document: Document) -> str:
    """Return the id that a document without an id of its own gets.

    It is the sha256, in 64 hex digits, of content and metadata, so the same document has the same id in
    every run and at every position.

    Example:
        >>> document_id(Document(page_content="the lamp", metadata={"chapter": 1}))[:12]
        '32de2bc84249'
    """
    text = _encodable(document.page_content, "the document")
    return _content_id(text, dumps(validated(document.metadata, where="the document")))


def _content_id(text: str, metadata_json: str) -> str:
    # Canonical JSON never holds a raw NUL, so the last one separates the two parts unambiguously.
    return hashlib.sha256(text.encode() + b"\0" + metadata_json.encode()).hexdigest()


def text_hash(text: str) -> str:
    """Return 32 hex digits over ``text``."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def prepare(
    document: object,
    *,
    where: str,
    id: str | None = None,
    vector: Vector | None = None,
) -> Prepared:
    """Check one document and give it its id and hashes; the caller's object is left as it is.

    Args:
        document: A LangChain ``Document``.
        where: Names the document in error messages, as in ``document 3``.
        id: Its id; by default ``document.id``, else :func:`document_id`.
        vector: Its vector, already checked.

    Raises:
        InvalidDocumentError: It is no Document, has no text, or metadata that cannot be stored.
        InvalidIdError: The id is empty, too long or not text.
    """
    if not isinstance(document, Document):
        raise InvalidDocumentError(
            f"{where} is of type {type(document).__name__}; pass langchain_core.documents.Document objects."
        )
    text = _checked_text(document.page_content, where)
    metadata = validated(document.metadata, where=where)
    as_json = dumps(metadata)
    own_id = document.id if id is None else id
    return Prepared(
        id=_content_id(text, as_json) if own_id is None else checked_id(own_id, where=where),
        text=text,
        metadata=metadata,
        vector=vector,
        text_hash=text_hash(text),
        metadata_hash=text_hash(as_json),
        given_vector=vector is not None,
        metadata_size=len(as_json.encode()),
    )


def _checked_text(text: str, where: str) -> str:
    if not text.strip():
        raise InvalidDocumentError(f"{where} has no text; there is nothing to search. Leave it out.")
    return _encodable(text, where)


def _encodable(text: str, where: str) -> str:
    if not encodable(text):
        raise InvalidDocumentError(
            f"{where}: the text holds a lone surrogate, which is not Unicode text; "
            "decode the source with errors='replace'."
        )
    return text


def checked_id(value: object, *, where: str) -> str:
    """Return ``value`` if it can be an id.

    Raises:
        InvalidIdError: It is not a str, is empty, is not UTF-8 text, or takes over 512 bytes.
    """
    if not isinstance(value, str):
        raise InvalidIdError(f"{where}: the id {value!r} is of type {type(value).__name__}; ids are str.")
    if not value:
        raise InvalidIdError(f"{where}: the id is empty; leave it None to have one made from the content.")
    if not encodable(value):
        raise InvalidIdError(f"{where}: the id holds a lone surrogate, which is not Unicode text.")
    size = len(value.encode())
    if size > MAX_ID_BYTES:
        raise InvalidIdError(
            f"{where}: the id {value[:40]!r}… takes {size} bytes of UTF-8; at most {MAX_ID_BYTES} are "
            "allowed. Use a hash of it."
        )
    return plain_text(value)


def checked_ids(ids: Iterable[str] | None) -> list[str] | None:
    """Return the ids of a read or delete as a list without repetitions, in order."""
    if ids is None:
        return None
    if isinstance(ids, str):
        raise InvalidIdError(f"ids must be a list of ids; to name one write ids=[{ids!r}].")
    if isinstance(ids, Mapping):
        raise InvalidIdError(f"ids must be a list of ids, not a dict; pass a filter as filter={ids!r:.80}.")
    return list(dict.fromkeys(checked_id(value, where=f"ids[{i}]") for i, value in enumerate(ids)))


def prepare_all(
    documents: Iterable[Document],
    *,
    ids: Sequence[str | None] | None,
    vectors: Sequence[Vector] | NDArray[Any] | None,
) -> Iterator[Prepared]:
    """Check documents one by one, with the ids and vectors that belong to them.

    Raises:
        InvalidDocumentError: A document is wrong, or ``ids`` or ``vectors`` are not one for each.
        InvalidIdError: An id is wrong.
    """
    if isinstance(ids, str):
        raise InvalidIdError(f"ids must be a list of ids; to name one write ids=[{ids!r}].")
    documents = _as_list(documents)
    _check_length("ids", ids, documents)
    _check_length("vectors", vectors, documents)
    for i, document in enumerate(documents):
        yield prepare(
            document,
            where=f"document {i}",
            id=None if ids is None else ids[i],
            vector=None if vectors is None else vectors[i],
        )


def _as_list(documents: object) -> list[Document]:
    if isinstance(documents, Document | str) or not isinstance(documents, Iterable):
        raise InvalidDocumentError(
            f"documents must be an iterable of Document objects, not one {type(documents).__name__}; "
            "put it in a list."
        )
    return list(documents)


def _check_length(name: str, values: Sized | None, documents: Sequence[object]) -> None:
    if values is not None and len(values) != len(documents):
        raise InvalidDocumentError(
            f"{name} has {len(values)} items for {len(documents)} documents; pass one for each."
        )


def collapsed(documents: Iterable[Prepared]) -> list[Prepared]:
    """Drop repetitions of identical documents, keeping the first of each.

    Raises:
        DuplicateDocumentError: One id stands for two different documents.
    """
    first: dict[str, Prepared] = {}
    conflicts: list[str] = []
    for document in documents:
        known = first.setdefault(document.id, document)
        if known.identity != document.identity or not _same_vector(known.vector, document.vector):
            conflicts.append(document.id)
    if conflicts:
        stand = "stands" if len(conflicts) == 1 else "stand"
        raise DuplicateDocumentError(
            f"{counted(len(conflicts), 'id')} of this call {stand} for more than one document (first: "
            f"{conflicts[0]!r}); nothing was written. Give different documents different ids, or leave the "
            "ids out.",
            ids=tuple(conflicts),
        )
    return list(first.values())


@contextmanager
def closing_generator(stream: object) -> Iterator[None]:
    """Close ``stream`` at the end if it is a generator, so that it lets go of what it holds open."""
    try:
        yield
    finally:
        if isinstance(stream, Generator):
            stream.close()


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, as messages show it.

    Example:
        >>> counted(1, "id"), counted(2, "id")
        ('1 id', '2 ids')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _same_vector(one: Vector | None, other: Vector | None) -> bool:
    if one is other:
        return True
    if isinstance(one, Vectors) and isinstance(other, Vectors):
        return _same_vector(one.dense, other.dense) and one.tokens == other.tokens
    if isinstance(one, Mapping | Vectors) or isinstance(other, Mapping | Vectors):
        return one == other
    return one is not None and other is not None and np.array_equal(one, other)
