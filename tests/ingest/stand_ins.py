"""What the tests of the upserter drive: embeddings and stores that count, wait and fail to order."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from vectorface import InMemoryDB, RetryPolicy, WriteReport
from vectorface.documents import Prepared
from vectorface.errors import BackendError
from vectorface.ingest.upserter import Input, Settings, upsert
from vectorface.ingest.writer import Limits, Mode, Stamp, Writer
from vectorface.primitives import Entry
from vectorface.records import Vector

#: Three tries without waiting.
QUICK = RetryPolicy(attempts=3, initial=0, maximum=0, jitter=0)
#: One try.
ONCE = RetryPolicy(attempts=1)


def documents(count: int, *, prefix: str = "d") -> list[Document]:
    """Return documents with the ids ``d0``, ``d1`` …, each with another text."""
    return [Document(id=f"{prefix}{i}", page_content=f"text {prefix}{i}") for i in range(count)]


def ids_of(items: Iterable[Any]) -> set[str]:
    """Return the ids of documents, records, entries or failures."""
    return {item.id for item in items}


class Meter:
    """Counts calls, and how many of them were running at the same time."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.calls = 0
        self.most_at_once = 0
        self._seconds = seconds
        self._now = 0
        self._lock = threading.Lock()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count a call that takes ``seconds``."""
        with self._lock:
            self.calls += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            time.sleep(self._seconds)
            yield
        finally:
            with self._lock:
                self._now -= 1


class CountingEmbedding(Embeddings):
    """Two numbers a text; remembers every text it was given."""

    model = "counting"

    def __init__(self, *, seconds: float = 0.0, fault: Callable[[Sequence[str]], None] | None = None) -> None:
        self.meter = Meter(seconds=seconds)
        self.batches: list[list[str]] = []
        self.fault = fault

    @property
    def texts(self) -> list[str]:
        """Every text embedded so far."""
        return [text for batch in self.batches for text in batch]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return two numbers for each text."""
        with self.meter.call():
            self.batches.append(list(texts))
            if self.fault is not None:
                self.fault(texts)
            return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return two numbers."""
        return [1.0, float(len(text))]


@dataclass(kw_only=True)
class Faults:
    """What a server does wrong.

    Attributes:
        before: Sees the ids of a write; may raise before anything is written.
        refuse: Returns the error of each document that is not to be written.
        after: Sees the ids; may raise although all was written.
    """

    before: Callable[[Sequence[str]], None] | None = None
    refuse: Callable[[Sequence[str]], Mapping[str, Exception]] | None = None
    after: Callable[[Sequence[str]], None] | None = None

    def write(self, ids: Sequence[str], store: Callable[[set[str]], Mapping[str, Exception]]) -> Any:
        """Do what a server with these faults does; ``store`` writes without the refused ids."""
        if self.before:
            self.before(ids)
        refused = dict(self.refuse(ids)) if self.refuse else {}
        refused.update(store(set(refused)))
        if self.after:
            self.after(ids)
        return refused


class FaultyDB(InMemoryDB):
    """An in-memory store behind a server with faults."""

    def __init__(
        self,
        embedding: CountingEmbedding | None = None,
        *,
        faults: Faults | None = None,
        limits: Limits | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.embedding = embedding or CountingEmbedding()
        super().__init__(self.embedding)
        self.faults = faults or Faults()
        self.meter = Meter(seconds=seconds)
        self.batches: list[list[str]] = []
        self._limits = limits or Limits(batch_documents=4, writers=2)
        self.connect(index="stories")

    @property
    def limits(self) -> Limits:
        """As ordered."""
        return self._limits

    @property
    def ids(self) -> set[str]:
        """What is really there."""
        return set(self._entries)

    def _write(self, entries: Sequence[Entry], mode: Mode) -> dict[str, Exception]:
        def store(refused: set[str]) -> Mapping[str, Exception]:
            return InMemoryDB._write(self, [entry for entry in entries if entry.id not in refused], mode)

        with self.meter.call():
            self.batches.append([entry.id for entry in entries])
            answer: dict[str, Exception] = self.faults.write([entry.id for entry in entries], store)
            return answer


@dataclass(kw_only=True)
class MemoryWriter:
    """The smallest writer: keeps the stamp of each document, in the three modes."""

    limits: Limits = field(default_factory=lambda: Limits(writers=4))
    dimension: int | None = 1
    faults: Faults = field(default_factory=Faults)
    stored: dict[str, Stamp] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """Have nothing to let go of."""

    def show(self) -> None:
        """Show everything at once."""

    def check(self, document: Prepared) -> Prepared:
        """Take everything."""
        return document

    def encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return token weights, the cheapest of vectors."""
        return [{"t": 1.0} for _ in texts]

    def stamp(self, document: Prepared) -> Stamp:
        """Return both hashes."""
        return Stamp(document.text_hash, document.metadata_hash)

    def stored_stamps(self, ids: Sequence[str]) -> Mapping[str, Stamp]:
        """Return what is there."""
        with self.lock:
            return {id_: self.stored[id_] for id_ in ids if id_ in self.stored}

    def write(self, batch: Sequence[Prepared], mode: Mode) -> Mapping[str, Exception]:
        """Keep stamps, with the faults that were ordered."""

        def store(refused: set[str]) -> Mapping[str, Exception]:
            with self.lock:
                taken = {d.id for d in batch if mode == "create" and d.id in self.stored} - refused
                for document in batch:
                    if document.id not in taken | refused:
                        self.stored[document.id] = self.stamp(document)
                        self.writes[document.id] += 1
            return {id_: BackendError(f"{id_} exists already") for id_ in taken}

        answer: Mapping[str, Exception] = self.faults.write([document.id for document in batch], store)
        return answer


class NullWriter(MemoryWriter):
    """Takes everything and keeps nothing."""

    def write(self, batch: Sequence[Prepared], mode: Mode) -> Mapping[str, Exception]:
        """Forget it."""
        del batch, mode
        return {}


class DiskWriter:
    """Writes one file a document, from any process; ``poison`` makes the errors of those it refuses."""

    limits = Limits(writers=4)
    dimension = 1

    def __init__(self, folder: Path, *, poison: Mapping[str, Callable[[], Exception]] | None = None) -> None:
        self.folder = folder
        self.poison = poison or {}

    def close(self) -> None:
        """Have nothing to let go of."""

    def show(self) -> None:
        """Show everything at once."""

    def check(self, document: Prepared) -> Prepared:
        """Take everything."""
        return document

    def encode(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return token weights."""
        return [{"t": 1.0} for _ in texts]

    def stamp(self, document: Prepared) -> Stamp:
        """Return both hashes."""
        return Stamp(document.text_hash, document.metadata_hash)

    def stored_stamps(self, ids: Sequence[str]) -> Mapping[str, Stamp]:
        """Read the files."""
        files = {id_: self.folder / id_ for id_ in ids}
        return {id_: Stamp.parse(file.read_text()) for id_, file in files.items() if file.exists()}

    def write(self, batch: Sequence[Prepared], mode: Mode) -> Mapping[str, Exception]:
        """Write the files of those that are no poison."""
        del mode
        for document in batch:
            if document.id not in self.poison:
                (self.folder / document.id).write_text(str(self.stamp(document)))
        return {document.id: self.poison[document.id]() for document in batch if document.id in self.poison}


def run(inputs: Iterable[Input], writer: Writer, *, total: int | None = None, **options: Any) -> WriteReport:
    """Call the upserter as a store does, with small batches and without waiting."""
    defaults = {"batch_size": 4, "encoders": 4, "writers": 4, "max_workers": 4, "retry": QUICK}
    return upsert(inputs, writer, Settings(**{**defaults, **options}), total=total)
