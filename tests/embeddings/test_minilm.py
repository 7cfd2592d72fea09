from __future__ import annotations

import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from tests.embeddings.texts import SENTENCES
from vectorface.embeddings import EmbeddingIdentity, MiniLM, TruncationWarning, _onnx, identify
from vectorface.embeddings._model_files import ModelFiles
from vectorface.errors import ConfigurationError, InvalidInputError, MissingExtraError, ModelFilesError

LONG = "the keeper of the light " * 100


def test_array_is_float32_of_unit_rows(model: MiniLM) -> None:
    vectors = model.embed_array(SENTENCES)
    assert vectors.shape == (len(SENTENCES), 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(SENTENCES)), abs=1e-6)


def test_texts_of_like_meaning_are_near(model: MiniLM) -> None:
    lamp, lantern, tax = model.embed_array(["the lamp was lit", "someone lit a lantern", "a form for taxes"])
    assert lamp @ lantern > lamp @ tax + 0.2


def test_no_texts_give_an_empty_array(model: MiniLM) -> None:
    assert model.embed_array([]).shape == (0, 384)
    assert model.embed_documents([]) == []


def test_lists_hold_the_numbers_of_the_array(model: MiniLM) -> None:
    assert model.embed_documents(SENTENCES) == model.embed_array(SENTENCES).tolist()
    assert type(model.embed_query("lamp")[0]) is float


def test_rows_keep_the_order_of_the_texts(model: MiniLM) -> None:
    order = np.random.default_rng(1).permutation(len(SENTENCES))
    shuffled = model.embed_array([SENTENCES[position] for position in order])
    assert np.array_equal(shuffled, model.embed_array(SENTENCES)[order])


def test_a_text_has_the_same_vector_in_any_company(model: MiniLM) -> None:
    together = model.embed_array(SENTENCES)
    alone = np.concatenate([model.embed_array([sentence]) for sentence in SENTENCES])
    assert np.abs(together - alone).max() <= 1e-6


@pytest.mark.parametrize(
    "options", [{"tokens_per_batch": 1}, {"tokens_per_batch": 10_000}, {"threads": 1}, {"threads": 5}]
)
def test_options_do_not_change_the_vectors(model: MiniLM, options: dict[str, int]) -> None:
    other = MiniLM(model_path=model.model_path, tokenizer_path=model.tokenizer_path, **options)
    assert np.abs(other.embed_array(SENTENCES) - model.embed_array(SENTENCES)).max() <= 1e-6


def test_a_query_has_the_vector_of_the_same_document(model: MiniLM) -> None:
    assert model.embed_query(SENTENCES[0]) == pytest.approx(model.embed_documents(SENTENCES)[0], abs=1e-6)


def test_equal_texts_get_equal_rows(model: MiniLM) -> None:
    a, b, c = model.embed_array(["lamp", "light", "lamp"])
    assert np.array_equal(a, c)
    assert not np.array_equal(a, b)


def test_more_texts_than_a_window_keep_their_order(model: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = model.embed_array(SENTENCES)
    monkeypatch.setattr("vectorface.embeddings.minilm._WINDOW", 3)
    assert np.abs(model.embed_array(SENTENCES) - expected).max() <= 1e-6


def test_vectors_are_those_of_chromas_default_model(model: MiniLM, files: ModelFiles) -> None:
    pytest.importorskip("chromadb")
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2  # noqa: PLC0415 - optional

    from benchmarks.embedding import chroma_on  # noqa: PLC0415 - needs chromadb

    texts = [*SENTENCES[:7], LONG]
    with chroma_on(files):
        chroma = np.array(ONNXMiniLM_L6_V2()(texts))
    with pytest.warns(TruncationWarning):
        assert np.abs(model.embed_array(texts) - chroma).max() <= 1e-6


async def test_async_methods_give_the_same(model: MiniLM) -> None:
    assert await model.aembed_documents(["lamp"]) == model.embed_documents(["lamp"])
    assert await model.aembed_query("lamp") == model.embed_query("lamp")


def test_a_long_text_is_cut_with_one_warning_that_counts(model: MiniLM) -> None:
    before = model.truncated
    with pytest.warns(TruncationWarning, match=r"^2 of 3 texts have more than the 256 tokens") as caught:
        model.embed_array([LONG, "short", LONG])
    assert len(caught) == 1
    assert "the longest, at position 0, has 502" in str(caught[0].message)
    assert model.truncated == before + 2


@pytest.mark.parametrize("call", ["embed_array", "embed_documents", "embed_query"])
def test_the_warning_points_at_the_caller(model: MiniLM, call: str) -> None:
    with pytest.warns(TruncationWarning) as caught:
        getattr(model, call)(LONG if call == "embed_query" else [LONG])
    assert caught[0].filename == __file__


def test_what_follows_the_cut_does_not_count(model: MiniLM) -> None:
    with pytest.warns(TruncationWarning):
        one, other = model.embed_array([LONG, LONG + "a red car"])
    assert np.abs(one - other).max() <= 1e-6


def test_256_tokens_are_read_whole(model: MiniLM) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.embed_array(["lamp " * 254])
    with pytest.warns(TruncationWarning, match="has 257"):
        model.embed_array(["lamp " * 255])


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ("lamp", "texts is one string"),
        (["lamp", 7], r"texts\[1\] is int, not str"),
        (["lamp", ("a", "b")], r"texts\[1\] is tuple, not str"),
        (["ok", "half \ud83d"], r"texts\[1\] holds half of a surrogate pair at character 5"),
    ],
)
def test_what_is_not_text_is_refused(model: MiniLM, texts: list[str], fault: str) -> None:
    with pytest.raises(InvalidInputError, match=fault):
        model.embed_array(texts)


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": True}, {"tokens_per_batch": -1}])
def test_options_that_are_no_positive_int_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="must be a positive int"):
        MiniLM(**options)


def test_making_one_opens_nothing() -> None:
    assert MiniLM(model_path="/no/such/model.onnx").dimension == 384


def test_repr_shows_the_options() -> None:
    assert repr(MiniLM(threads=2)) == (
        "MiniLM(model_path=None, tokenizer_path=None, threads=2, tokens_per_batch=512)"
    )


def test_identity_has_the_sha256_of_the_model_file(model: MiniLM, files: ModelFiles) -> None:
    assert identify(model) == EmbeddingIdentity(name="all-MiniLM-L6-v2", weights=files.weights, dimension=384)


def test_one_session_serves_the_whole_process(model: MiniLM, files: ModelFiles) -> None:
    model.embed_query("lamp")
    before = dict(_onnx._ENCODERS)
    MiniLM(model_path=files.model, tokenizer_path=files.tokenizer, threads=1).embed_query("lamp")
    assert before == _onnx._ENCODERS


def test_threads_that_start_together_open_one_session(other_path: Path) -> None:
    before = len(_onnx._ENCODERS)
    start = Barrier(6)

    def first_use() -> list[float]:
        start.wait()
        return MiniLM(model_path=other_path).embed_query("lamp")

    with ThreadPoolExecutor(6) as pool:
        vectors = [future.result() for future in [pool.submit(first_use) for _ in range(6)]]
    assert len(_onnx._ENCODERS) == before + 1
    assert all(vector == vectors[0] for vector in vectors)


def test_threads_may_share_one_object(model: MiniLM) -> None:
    expected = model.embed_array(SENTENCES)

    def embed_some(seed: int) -> float:
        chosen = np.random.default_rng(seed).integers(len(SENTENCES), size=6)
        return float(np.abs(model.embed_array([SENTENCES[p] for p in chosen]) - expected[chosen]).max())

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(embed_some, range(40))) <= 1e-6


def test_threads_count_cut_texts_exactly(files: ModelFiles) -> None:
    model = MiniLM(model_path=files.model)
    with ThreadPoolExecutor(4) as pool, pytest.warns(TruncationWarning):
        list(pool.map(model.embed_query, [LONG] * 8))
    assert model.truncated == 8


def test_a_pickled_one_reopens_the_model(files: ModelFiles) -> None:
    model = MiniLM(model_path=files.model, threads=1, tokens_per_batch=64)
    model.embed_query("lamp")
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    assert repr(copy) == repr(model)
    assert len(pickle.dumps(model)) < 1000
    assert copy.embed_query("lamp") == model.embed_query("lamp")


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_a_missing_package_is_named_with_the_pip_command(
    package: str, other_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'vectorface\[minilm\]'"):
        MiniLM(model_path=other_path).embed_query("lamp")


def test_a_file_that_is_no_model_is_refused(files: ModelFiles, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelFilesError, match="cannot be opened as an ONNX model"):
        MiniLM(model_path=path, tokenizer_path=files.tokenizer).embed_query("lamp")


def test_a_file_that_is_no_tokenizer_is_refused(files: ModelFiles, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": {"vocab": {}}, "normalizer": null, "pre_tokenizer": null}')
    with pytest.raises(ModelFilesError, match="cannot be opened as a tokenizer"):
        MiniLM(model_path=files.model, tokenizer_path=path).embed_query("lamp")


def test_a_model_of_another_dimension_is_refused(other_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onnx, "DIMENSION", 768)
    with pytest.raises(ModelFilesError, match=r"returns the shape \(1, 2, 384\) for two tokens"):
        MiniLM(model_path=other_path).embed_query("lamp")
