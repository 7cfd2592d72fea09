"""Documents on their way into a store: paired with their ids and metadata, in lists or streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import suppress
from itertools import repeat, zip_longest
from typing import Any, Final, TypeVar

from langchain_core.documents import Document

from vectorface.documents import closing_generator, document_id
from vectorface.errors import InvalidDocumentError, InvalidIdError, InvalidInputError

T = TypeVar("T")
V = TypeVar("V")

#: A list up to this long is checked as a whole before anything of it is written.
ONE_BATCH: Final = 1_000

_MISSING: Any = object()


def fits_one_batch(documents: Iterable[Document], batch_size: int | None) -> bool:
    """Tell whether documents are to be checked as a whole and written at once."""
    return isinstance(documents, Sequence) and len(documents) <= (batch_size or ONE_BATCH)


class Identified:
    """A stream of documents that carry their ids; the caller's own objects are left as they are.

    Args:
        documents: Any iterable; it is read once, as far as the stream is.
        ids: One for each. ``None``, or ``None`` in its place, stands for ``Document.id``, else for the
            sha256 of content and metadata.

    Attributes:
        ids: The ids of the documents that have passed, in order.

    Raises:
        InvalidDocumentError: There is but one document, or the ids are not one for each.
        InvalidIdError: There is but one id.

    Example:
        >>> stream = Identified([Document(page_content="the lamp")], ["a"])
        >>> list(stream), stream.ids
        ([Document(id='a', metadata={}, page_content='the lamp')], ['a'])
    """

    def __init__(self, documents: Iterable[Document], ids: Sequence[str | None] | None) -> None:
        if isinstance(ids, str):
            raise InvalidIdError(f"ids must be a list of ids; to name one write ids=[{ids!r}].")
        self._documents = _several(documents)
        self._pairs = paired(self._documents, ids, name="ids")
        self.ids: list[str] = []

    def __iter__(self) -> Iterator[Document]:
        with closing_generator(self._documents):
            for document, id_ in self._pairs:
                identified = _identified(document, id_)
                self.ids.append(getattr(identified, "id", None) or "")
                yield identified


def _several(documents: object) -> Iterable[Document]:
    if isinstance(documents, Document | str) or not isinstance(documents, Iterable):
        raise InvalidDocumentError(
            f"documents must be an iterable of Document objects, not one {type(documents).__name__}; "
            "put it in a list."
        )
    return documents


def _identified(document: Any, id_: str | None) -> Any:
    """Return a copy with the id that it will be stored under; what cannot have one the store refuses."""
    if not isinstance(document, Document) or (id_ is None and document.id is not None):
        return document
    if id_ is None:
        with suppress(InvalidInputError, UnicodeError):
            id_ = document_id(document)
    return document.model_copy(update={"id": id_})


def as_documents(
    texts: Iterable[str], metadatas: Sequence[Mapping[str, Any] | None] | None
) -> Iterable[Document]:
    """Return texts as documents: a list for a list, a stream for a stream.

    Raises:
        InvalidDocumentError: ``texts`` is one text, or ``metadatas`` are not one for each.

    Example:
        >>> as_documents(["the lamp"], [{"chapter": 1}])
        [Document(metadata={'chapter': 1}, page_content='the lamp')]
    """
    if isinstance(texts, str):
        raise InvalidDocumentError("texts must be several; put the one text in a list.")
    stream = (
        Document(page_content=text, metadata=dict(metadata or {}))
        for text, metadata in paired(texts, metadatas, name="metadatas")
    )
    return list(stream) if isinstance(texts, Sequence) else stream


def paired(
    items: Iterable[T], values: Sequence[V | None] | None, *, name: str
) -> Iterable[tuple[T, V | None]]:
    """Put each item beside its value; beside ``None`` where there are no values.

    Raises:
        InvalidDocumentError: The values are not one for each. Where the number of items is not known
            beforehand, this is raised when it shows.

    Example:
        >>> list(paired("ab", [1, 2], name="numbers"))
        [('a', 1), ('b', 2)]
    """
    if values is None:
        return zip(items, repeat(None))
    if isinstance(items, Sized) and len(items) != len(values):
        raise InvalidDocumentError(f"{name} has {len(values)} items for {len(items)} documents; {_ONE_EACH}")
    return _strictly_paired(items, values, name)


def _strictly_paired(
    items: Iterable[T], values: Sequence[V | None], name: str
) -> Iterator[tuple[T, V | None]]:
    for count, (item, value) in enumerate(zip_longest(items, values, fillvalue=_MISSING)):
        if item is _MISSING or value is _MISSING:
            side = "more" if value is _MISSING else f"only {count}"
            raise InvalidDocumentError(f"{name} has {len(values)} items for {side} documents; {_ONE_EACH}")
        yield item, value


_ONE_EACH = "pass one for each."
