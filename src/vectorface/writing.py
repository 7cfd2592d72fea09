"""A store as the upserter sees it, and the policy of a write."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any, Protocol

import numpy as np

from vectorface.bridge import offload
from vectorface.documents import Prepared, text_hash
from vectorface.encoding import Encoder
from vectorface.errors import ConfigurationError, EmbeddingError, InvalidDocumentError, InvalidInputError
from vectorface.ingest.progress import ProgressBar
from vectorface.ingest.retrying import RetryPolicy
from vectorface.ingest.upserter import Callback, OnError, Settings
from vectorface.ingest.writer import Limits, Mode, Stamp
from vectorface.metadata import dumps
from vectorface.primitives import DOCUMENT, Entry, Fields, Stored
from vectorface.records import Metric, Vector, Vectors


class Writable(Protocol):
    """What a store offers to be written to."""

    @property
    def limits(self) -> Limits:
        """What one request may hold."""
        ...

    @property
    def dimension(self) -> int | None:
        """Length of the index's vectors; ``None`` while it has none."""
        ...

    @property
    def metric(self) -> Metric:
        """How vectors are compared."""
        ...

    @property
    def encoder(self) -> Encoder:
        """How text becomes vectors."""
        ...

    def read_stored(self, ids: Sequence[str], fields: Fields) -> Iterator[Stored]:
        """Read documents by id."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...

    def write_entries(self, entries: Sequence[Entry], mode: Mode) -> Mapping[str, Exception]:
        """Write a batch."""
        ...

    def show_written(self) -> None:
        """Make what was written visible to searches."""
        ...


class StoreWriter:
    """Drives a store for the upserter: encodes, stamps, writes and recognises."""

    def __init__(self, store: Writable) -> None:
        self._store = store
        self._tag = store.encoder.tag
        self._is_copy = False
        #: What one request may hold.
        self.limits = store.limits

    @property
    def dimension(self) -> int | None:
        """Length of the vectors, where known."""
        return self._store.dimension or self._store.encoder.dimension

    def check(self, document: Prepared) -> Prepared:
        """Check a prepared document's vector and size against the store.

        Raises:
            InvalidDocumentError: The vector does not fit the index, or the document is larger than a request.
        """
        where = f"the document {document.id[:80]!r}"
        if document.vector is not None:
            try:
                vector = self._checked(document.vector, where)
            except InvalidInputError as error:
                raise InvalidDocumentError(str(error)) from None
            if vector is not document.vector:
                document = replace(document, vector=vector)
        size = self.limits.size(document, self.dimension)
        if size > self.limits.max_bytes:
            raise InvalidDocumentError(
                f"{where} takes about {size / 1e6:.0f} MB; this store takes at most "
                f"{self.limits.max_bytes / 1e6:.0f} MB in a request. Split it into chunks with preprocess()."
            )
        return document

    def encode(self, texts: Sequence[str]) -> Sequence[Vector | None]:
        """Return one checked vector for each text; ``None`` where the server makes them.

        Raises:
            EmbeddingError: A vector cannot be stored in this index.
        """
        vectors = offload(self._store.encoder.encode_documents, texts)
        try:
            return [
                None if vector is None else self._checked(vector, f"text {i} of the batch")
                for i, vector in enumerate(vectors)
            ]
        except InvalidInputError as error:
            raise EmbeddingError(
                f"The embedding function gave a vector that cannot be stored: {error}"
            ) from error

    def _checked(self, vector: Any, where: str) -> Vector:
        store = self._store
        return store.encoder.checked(vector, metric=store.metric, dimension=store.dimension, where=where)

    def write(self, batch: Sequence[Prepared], mode: Mode) -> Mapping[str, Exception]:
        """Write a batch; return the error of each document that the store refused."""
        return self._store.write_entries([self._entry(document) for document in batch], mode)

    def _entry(self, document: Prepared) -> Entry:
        return Entry(
            id=document.id,
            text=document.text,
            metadata=document.metadata,
            vector=document.vector,
            stamp=str(self.stamp(document)),
        )

    def stamp(self, document: Prepared) -> Stamp:
        """Return the stamp that the document gets when it is written."""
        tag = _vector_hash(document.vector) if document.given_vector else self._tag
        return Stamp(document.text_hash + tag, document.metadata_hash)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._is_copy = True

    def show(self) -> None:
        """Make what was written visible to searches."""
        self._store.show_written()

    def close(self) -> None:
        """Close the store, if it is a copy of the caller's that came to another process."""
        if self._is_copy:
            self._store.close()

    def stored_stamps(self, ids: Sequence[str]) -> Mapping[str, Stamp]:
        """Return the stamps of stored documents that still are what their stamp says.

        Another library may have updated a document and left our stamp on it, so the stamp is compared
        with what is really there.
        """
        return {
            stored.id: stamp
            for stored in self._store.read_stored(ids, DOCUMENT)
            if (stamp := _true_stamp(stored)) is not None
        }


def _true_stamp(stored: Stored) -> Stamp | None:
    if stored.stamp is None:
        return None
    stamp = Stamp.parse(stored.stamp)
    true = stamp.content.startswith(text_hash(stored.text)) and stamp.metadata == text_hash(
        dumps(stored.metadata)
    )
    return stamp if true else None


def _vector_hash(vector: Vector | None) -> str:
    return hashlib.blake2b(_vector_bytes(vector), digest_size=4).hexdigest()


def _vector_bytes(vector: Vector | None) -> bytes:
    if isinstance(vector, Vectors):
        return _vector_bytes(vector.dense) + _vector_bytes(vector.tokens)
    if isinstance(vector, Mapping):
        return json.dumps(vector, sort_keys=True).encode()
    return np.asarray(vector).tobytes()


def stream_of(documents: Any) -> tuple[Iterable[Any], int | None]:
    """Return the documents of an iterable or loader, and how many there are where that is known.

    Raises:
        InvalidDocumentError: It is neither.
    """
    if hasattr(documents, "lazy_load"):
        return documents.lazy_load(), None
    if (
        isinstance(documents, str)
        or not isinstance(documents, Iterable)
        or hasattr(documents, "page_content")
    ):
        raise InvalidDocumentError(
            f"documents must be an iterable of Document objects or a loader with lazy_load(), not one "
            f"{type(documents).__name__}; put a single document in a list."
        )
    return documents, len(documents) if isinstance(documents, Sized) else None


def worker_counts(encoder: Encoder, limits: Limits, max_workers: int | None) -> tuple[int, int, int]:
    """Return how many threads may embed, may write, and run in all.

    Where it is unknown how many calls an embedding function takes at a time, eight do: it is most likely
    a remote service, whose answers are worth waiting for together.
    """
    encoders = encoder.concurrency or max_workers or _REMOTE_CALLS
    useful = max(2, min(encoders + limits.writers, _REMOTE_CALLS))
    workers = useful if max_workers is None else max_workers
    return min(encoders, workers), min(limits.writers, workers), workers


_REMOTE_CALLS = 8


def batch_size(limits: Limits, total: int | None, workers: int) -> int:
    """Return how many documents pay best in a batch; few documents are spread over all workers."""
    if total is None:
        return limits.batch_documents
    share = math.ceil(total / (_ROUNDS * workers))
    return min(limits.batch_documents, max(share, _LEAST))


_ROUNDS = 2
_LEAST = 16


def checked_executor(executor: Executor | None, limits: Limits) -> Executor | None:
    """Return ``executor`` if tasks can be submitted to it, and the store can be written to from there."""
    if executor is not None and not hasattr(executor, "submit"):
        raise ConfigurationError(
            f"executor={executor!r:.80} has no submit(); pass a concurrent.futures.Executor, or with Dask "
            "client.get_executor()."
        )
    if executor is not None and not isinstance(executor, ThreadPoolExecutor) and not limits.processes:
        raise ConfigurationError(
            f"executor={type(executor).__name__} may run in other processes, and this store takes one "
            "writing process. Connect it to a server, or pass a ThreadPoolExecutor."
        )
    return executor


def checked_on_error(on_error: OnError) -> OnError:
    """Return ``on_error`` if it is a known choice."""
    if on_error not in {"raise", "report"}:
        raise ConfigurationError(f"on_error={on_error!r} is unknown; use 'raise' or 'report'.")
    return on_error


def checked_retry(retry: object) -> RetryPolicy:
    """Return ``retry``, or the default policy for ``None``."""
    if retry is None:
        return RetryPolicy()
    if not isinstance(retry, RetryPolicy):
        raise ConfigurationError(
            f"retry={retry!r:.80} is not a RetryPolicy; write for example retry=RetryPolicy(attempts="
            f"{_attempts_meant(retry)})."
        )
    return retry


def _attempts_meant(retry: object) -> int:
    """Return how many attempts a number or ``False`` in place of a policy may have meant."""
    if retry is False:
        return 1
    return retry if isinstance(retry, int) and retry > 1 else 3


def checked_callbacks(callbacks: object) -> tuple[Callback, ...]:
    """Return ``callbacks`` if they are functions; a mistake would otherwise show after the first batch."""
    if callable(callbacks):
        name = getattr(callbacks, "__name__", "function")
        raise ConfigurationError(f"callbacks must be a list of functions; write callbacks=[{name}].")
    if not isinstance(callbacks, Iterable):
        raise ConfigurationError(
            f"callbacks={callbacks!r:.80} must be a list of functions; leave it out for none."
        )
    functions = tuple(callbacks)
    wrong = [i for i, function in enumerate(functions) if not callable(function)]
    if wrong:
        raise ConfigurationError(
            f"callbacks[{wrong[0]}] is {functions[wrong[0]]!r:.80}, which is no function; callbacks must be "
            "a list of functions that take a Progress."
        )
    return functions


def checked_cancel(cancel: Event | None) -> Event:
    """Return ``cancel`` if it is an event, or a new one for ``None``.

    An event of ``multiprocessing`` will do: only ``is_set`` is asked.
    """
    if cancel is None:
        return Event()
    if isinstance(cancel, type) or not hasattr(cancel, "is_set"):
        raise ConfigurationError(
            f"cancel={cancel!r:.80} is not an event; make stop = threading.Event(), pass cancel=stop, and "
            "call stop.set() to stop."
        )
    return cancel


@contextmanager
def progress_bar(settings: Settings, *, show: bool) -> Iterator[Settings]:
    """Add a progress bar to the callbacks, and close it at the end."""
    if not show:
        yield settings
        return
    with ProgressBar() as bar:
        yield replace(settings, callbacks=(*settings.callbacks, bar))
