"""What the rooms of the contract share: the two hooks, fresh stores, and small helpers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from langchain_core.documents import Document

from vectorface.errors import NotConnectedError, VectorfaceError
from vectorface.metadata import dumps
from vectorface.testing.embeddings import WordEmbeddings
from vectorface.testing.strategies import COMMON_WORD

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from vectorface.interface import VectorDBInterface
    from vectorface.records import Record

#: What stores embed with unless a test says otherwise.
WORDS: Final = WordEmbeddings()

#: A story of six chapters. Each text holds the common word, so that any kind of search finds all of them.
STORY: Mapping[str, tuple[str, dict[str, Any]]] = {
    "dusk": ("Nan lit the lamp at dusk.", {"chapter": 1, "place": "gallery", "tags": ["fire", "sea"]}),
    "fog": ("Fog hid the lamp from the ferry.", {"chapter": 2, "place": "sea", "tags": ["sea", "fog"]}),
    "oil": ("The lamp drank oil all night long.", {"chapter": 3, "place": "gallery", "tags": ["fire"]}),
    "storm": ("A storm broke one pane of the lamp.", {"chapter": 4, "place": "sea", "tags": []}),
    "glass": ("Glass for the lamp came by boat in June.", {"chapter": 5, "place": None}),
    "dawn": ("At dawn Nan put out the lamp.", {"chapter": 6, "place": "gallery", "tags": ["sea"]}),
}


def document(id: str, text: str | None = None, /, **metadata: Any) -> Document:
    """Return a document whose text holds the common word."""
    return Document(id=id, page_content=f"{COMMON_WORD} {id}" if text is None else text, metadata=metadata)


def story() -> list[Document]:
    """Return the story as fresh documents."""
    return [document(id_, text, **metadata) for id_, (text, metadata) in STORY.items()]


def ids_of(records: Iterable[Record]) -> list[str]:
    """Return the ids of records or hits, in their order."""
    return [record.id for record in records]


def contents(store: VectorDBInterface) -> dict[str, tuple[str, str]]:
    """Return all that a store holds, types kept apart: text and metadata by id."""
    return {record.id: (record.text, dumps(record.metadata)) for record in store.scan()}


def contents_of(documents: Iterable[Document]) -> dict[str, tuple[str, str]]:
    """Return what :func:`contents` shows of a store that holds these documents."""
    return {str(one.id): (one.page_content, dumps(one.metadata)) for one in documents}


def assert_refused(
    calls: Mapping[str, Callable[[], object]], error: type[VectorfaceError], says: str = ""
) -> None:
    """Check that each call raises exactly this error with a message that holds ``says``.

    Args:
        calls: What must be refused, by a name for the message.
        error: The error, not one derived from it.
        says: A regular expression.
    """
    problems = {name: _problem(call, error, says) for name, call in calls.items()}
    assert not {name: problem for name, problem in problems.items() if problem}


def _problem(call: Callable[[], object], error: type[VectorfaceError], says: str) -> str | None:
    try:
        call()
    except Exception as caught:  # noqa: BLE001 - whatever it is, the test shows it
        if type(caught) is not error:
            return f"raised {caught!r}, not {error.__name__}"
        return None if re.search(says, str(caught), re.DOTALL) else f"says {str(caught)!r}, not {says!r}"
    return "was not refused"


class Contract:
    """The hooks that a test class fills in, and stores to test with.

    Each test gets names of indexes that no other test uses. They are deleted after it.

    Attributes:
        tolerance: How far a score may be off, relative and absolute.
    """

    tolerance: ClassVar[float] = 1e-5

    _name: str
    _opened: list[VectorDBInterface]

    def make(self, embeddings: Embeddings | None) -> VectorDBInterface:
        """Return a store that is not connected yet.

        Args:
            embeddings: What to embed with; ``None`` where a test brings the vectors. A store that searches
                in its own way may leave them aside.
        """
        raise NotImplementedError(f"{type(self).__name__} must define make(self, embeddings).")

    def connect(self, store: VectorDBInterface, index: str, **options: Any) -> VectorDBInterface:
        """Connect a store to an index and return it.

        Args:
            store: What :meth:`make` returned.
            index: Name of the index.
            options: ``create`` or ``metric``, to be passed on.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must define connect(self, store, index, **options)."
        )

    # -- stores -------------------------------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _clean_up(self) -> Iterator[None]:
        """Give the test names of its own; afterwards delete what it made under them."""
        self._name = f"contract-{uuid.uuid4().hex[:16]}"
        self._opened = []
        yield
        if self._opened:
            self._delete_indexes(self._opened[0])
        for store in self._opened:
            store.close()

    def _delete_indexes(self, store: VectorDBInterface) -> None:
        try:
            names = store.list_indexes()
        except NotConnectedError:
            self.connect(store, self._name)
            names = store.list_indexes()
        for name in names:
            if name.startswith(self._name):
                store.delete_index(name)

    def name(self, suffix: str = "") -> str:
        """Return the name of an index that only this test uses."""
        return f"{self._name}-{suffix}" if suffix else self._name

    def unconnected(self, embeddings: Embeddings | None = WORDS) -> VectorDBInterface:
        """Return a store that is not connected yet."""
        store = self.make(embeddings)
        self._opened.append(store)
        return store

    def open(
        self, suffix: str = "", *, embeddings: Embeddings | None = WORDS, **options: Any
    ) -> VectorDBInterface:
        """Return a connected store on an index of this test."""
        return self.connect(self.unconnected(embeddings), self.name(suffix), **options)

    @pytest.fixture
    def store(self) -> VectorDBInterface:
        """Return a connected store with an empty index."""
        return self.open()

    @pytest.fixture
    def library(self, store: VectorDBInterface) -> VectorDBInterface:
        """Return a connected store that holds the story."""
        store.add(story())
        return store

    # -- assertions ---------------------------------------------------------------------------------------

    def near(self, score: float) -> Any:
        """Return what compares equal to a score within the tolerance."""
        return pytest.approx(score, rel=self.tolerance, abs=self.tolerance)

    def assert_best_first(self, scores: Sequence[float]) -> None:
        """Check that scores do not rise."""
        assert all(b <= a + self.tolerance for a, b in pairwise(scores)), scores
