"""Every error vectorface raises, in one tree.

::

    VectorfaceError
    ├── ConfigurationError            a wrong mode, URL or option            (ValueError)
    ├── MissingExtraError             an optional package is not installed   (ImportError)
    ├── NotConnectedError             the store was used before connect() or after close()
    ├── ConnectionFailedError         the server or path cannot be reached   (ConnectionError)
    ├── StoreLockedError              another process writes to this path
    ├── IndexNotFoundError            no index has this name                 (LookupError)
    ├── IndexExistsError              an index has this name already
    ├── IndexMismatchError            the index was made with another embedding, metric or dimension
    ├── InvalidInputError             what the caller passed is wrong        (ValueError)
    │   ├── InvalidDocumentError      text, metadata or vector of a document
    │   ├── InvalidIdError            an id
    │   ├── InvalidIndexNameError     an index name
    │   ├── InvalidFilterError        a filter, with the path to the fault
    │   └── InvalidQueryError         the arguments of a search or a read
    ├── DuplicateDocumentError        add() met ids that exist, or one id with two contents
    ├── DeleteGuardError              ``expect`` or ``max_delete`` does not hold; nothing was deleted
    ├── UnsupportedError              this backend cannot do that, and says so
    ├── EmbeddingError                the embedding function returned something unusable
    │   └── ModelFilesError           the default model's files are missing or are not the pinned ones
    ├── BackendError                  the store answered with an error
    │   ├── AuthenticationError       the server does not accept the credentials (401)
    │   ├── PermissionDeniedError     the credentials do not allow it (403)
    │   ├── ModelError                a model on the server cannot do what was asked
    │   │   ├── ModelNotFoundError    no model or deployment has this id     (LookupError)
    │   │   ├── ModelNotReadyError    its definition is still being downloaded
    │   │   ├── DeploymentExistsError a deployment has this id already
    │   │   ├── DeploymentInUseError  a pipeline, alias or deployment still needs it
    │   │   └── NoCapacityError       no node has the processors or the memory for it
    │   └── TransientError            ... that may pass: time-out, 429, 503, a lock; retried
    │       ├── InferenceQueueFullError  the deployment's queue is full; sent again, more slowly
    │       └── InferenceTimeoutError    the model did not answer in time (408)
    └── WriteError                    documents were not written; carries the report
        ├── PartialWriteError         some documents failed
        └── SourceError               the iterable that yields the documents raised

    KeyboardInterrupt
    └── UpsertInterrupted             Ctrl-C during an upsert; carries the report

Each message says what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from vectorface.records import WriteReport


class VectorfaceError(Exception):
    """The base of every error that vectorface raises on purpose."""

    def with_message(self, message: str) -> Self:
        """Return the same error, with all that it carries, saying something else.

        Example:
            >>> again = TransientError("busy", retry_after=3.0).with_message("The task ended: busy")
            >>> again, again.retry_after
            (TransientError('The task ended: busy'), 3.0)
        """
        other = copy.copy(self)
        other.args = (message, *self.args[1:])
        return other


class ConfigurationError(VectorfaceError, ValueError):
    """An option, mode or URL is wrong."""


class MissingExtraError(VectorfaceError, ImportError):
    """A feature was used whose optional package is not installed."""

    def with_message(self, message: str) -> Self:
        """Return the same error, saying something else."""
        other = super().with_message(message)
        other.msg = message  # what an ImportError shows
        return other


class NotConnectedError(VectorfaceError):
    """The store has no open connection: call ``connect()`` first."""


class ConnectionFailedError(VectorfaceError, ConnectionError):
    """The server does not answer, or the path cannot be opened."""


class StoreLockedError(VectorfaceError):
    """Another process is writing to this path; two writers would lose data."""


class IndexNotFoundError(VectorfaceError, LookupError):
    """No index has this name."""


class IndexExistsError(VectorfaceError):
    """An index has this name already."""


class IndexMismatchError(VectorfaceError):
    """The index was made for another embedding, metric, dimension or strategy."""


class InvalidInputError(VectorfaceError, ValueError):
    """What the caller passed is wrong; nothing was written."""


class InvalidDocumentError(InvalidInputError):
    """A document's text, metadata or vector cannot be stored."""


class InvalidIdError(InvalidInputError):
    """An id is empty, too long or not text."""


class InvalidIndexNameError(InvalidInputError):
    """An index name that not every backend would accept."""


class InvalidFilterError(InvalidInputError):
    """A filter is malformed; the message holds the path to the fault."""


class InvalidQueryError(InvalidInputError):
    """The arguments of a search or a read are wrong."""


class DuplicateDocumentError(VectorfaceError):
    """Ids exist already, or one call holds two documents with one id.

    Attributes:
        ids: The ids concerned.
    """

    def __init__(self, message: str, *, ids: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.ids = ids


class DeleteGuardError(VectorfaceError):
    """``expect`` or ``max_delete`` does not hold; nothing was deleted."""


class UnsupportedError(VectorfaceError):
    """This backend or strategy cannot do what was asked."""


class EmbeddingError(VectorfaceError):
    """The embedding function returned something that cannot be stored."""


class ModelFilesError(EmbeddingError):
    """A model's files are missing, or cannot be read; of the default model, are not the pinned ones."""


class BackendError(VectorfaceError):
    """The store answered with an error that trying again will not mend."""


class TransientError(BackendError):
    """The store could not answer now: a time-out, 429, 503, a reset, a lock.

    Attributes:
        retry_after: Seconds the server asked to wait, or ``None``.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AuthenticationError(BackendError):
    """The server does not accept the credentials."""


class PermissionDeniedError(BackendError):
    """The credentials are good, but do not allow what was asked."""


class ModelError(BackendError):
    """A model on the server cannot do what was asked."""


class ModelNotFoundError(ModelError, LookupError):
    """No model or deployment has this id."""


class ModelNotReadyError(ModelError):
    """The model's definition is still being downloaded, or it is not deployed."""


class DeploymentExistsError(ModelError):
    """A deployment has this id already."""


class DeploymentInUseError(ModelError):
    """A pipeline, an alias or a deployment still needs the model."""


class NoCapacityError(ModelError):
    """No machine-learning node has the processors or the memory that the deployment asks for."""


class InferenceQueueFullError(TransientError):
    """The deployment's queue is full: more is sent than it can take."""


class InferenceTimeoutError(TransientError):
    """The model did not answer in time."""


class WriteError(VectorfaceError):
    """Not every document was written.

    Attributes:
        report: The account of every document.
    """

    def __init__(self, message: str, report: WriteReport) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple[type[WriteError], tuple[str, WriteReport]]:
        return type(self), (str(self), self.report)


class PartialWriteError(WriteError):
    """Some documents failed; ``error.report.retry()`` sends those again."""


class SourceError(WriteError):
    """The iterable that yields the documents raised; what had been read is accounted for."""


class UpsertInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped an upsert.

    It is no ``VectorfaceError``, so that ``except Exception`` does not swallow a Ctrl-C.

    Attributes:
        report: The account of every document up to the interrupt.
    """

    def __init__(self, message: str, report: WriteReport) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> tuple[type[UpsertInterrupted], tuple[str, WriteReport]]:
        return type(self), (str(self), self.report)
