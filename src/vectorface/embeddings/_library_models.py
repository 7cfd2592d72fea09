"""What all models of the sentence-transformers library share: loading once, one call at a time, identity."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from threading import RLock
from typing import Any, ClassVar, Final

from vectorface.embeddings._extras import require
from vectorface.embeddings.identity import public_name
from vectorface.errors import ConfigurationError, ModelFilesError


class LibraryModel:
    """A model of the library by name, folder or as an object; loaded when first used.

    Calls run one after another, since the library's tokenizers are not safe to use from several threads.

    Args:
        model: A name on the Hugging Face hub, a folder, or a loaded model.
        batch_size: Texts that run through the model together.
        device: ``"cpu"``, ``"cuda"``, ...; default: the library's choice. Not with a loaded model.

    Attributes:
        kind: Name of the library's class.

    Raises:
        ConfigurationError: ``device`` is given with a loaded model.
    """

    kind: ClassVar[str]

    #: Two calls at the same time pay: while one waits, for a core or for the GPU, the other goes on.
    max_concurrency: Final = 2

    def __init__(self, model: Any, *, batch_size: int, device: str | None) -> None:
        self._source = os.fspath(model) if isinstance(model, os.PathLike) else model
        self.batch_size = batch_size
        self.device = device
        self._lock = RLock()
        if device is not None and not isinstance(self._source, str):
            raise ConfigurationError("device= goes with a model's name; move a loaded model with model.to().")

    @property
    def model(self) -> Any:
        """The loaded model; loads it at the first use.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            ModelFilesError: There is no such model, or it cannot be loaded.
        """
        if not isinstance(self._source, str):
            return self._source
        with self._lock:
            return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"_lock", "_loaded"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=RLock())

    @property
    def _name(self) -> str:
        if isinstance(self._source, str):
            return public_name(self._source)
        config = getattr(getattr(self._source[0], "auto_model", None), "config", None)
        return public_name(getattr(config, "_name_or_path", "")) or type(self._source).__name__

    @cached_property
    def _loaded(self) -> Any:
        library = require(
            "sentence_transformers", extra="sentence-transformers", needed_by=type(self).__name__
        )
        try:
            return getattr(library, self.kind)(self._source, device=self.device)
        except (OSError, ValueError) as error:
            raise ModelFilesError(
                f"{type(self).__name__}: {self._name!r} cannot be loaded: {error}. Name a folder with a "
                "model of sentence-transformers, or one on the Hugging Face hub that can be reached."
            ) from error


def weights_sha256(model: Any) -> str | None:
    """Hash the sorted hashes of all tensors: their names and order change with the library's version."""
    hashes = sorted(_tensor_sha256(tensor) for tensor in model.state_dict().values())
    return hashlib.sha256("".join(hashes).encode()).hexdigest() if hashes else None


def _tensor_sha256(tensor: Any) -> str:
    from torch import uint8  # noqa: PLC0415 - a slow import, and whoever has a tensor has paid for it

    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    digest.update(tensor.detach().cpu().contiguous().flatten().view(uint8).numpy())
    return digest.hexdigest()
