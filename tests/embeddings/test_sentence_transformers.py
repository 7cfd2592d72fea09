from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.embeddings.texts import SENTENCES
from vectorface.embeddings import MiniLM, SentenceTransformerEmbeddings, concurrency, embed_texts, identify
from vectorface.errors import ConfigurationError, InvalidInputError, MissingExtraError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.xdist_group("torch")  # one worker pays for importing it


@pytest.fixture(scope="module", autouse=True)
def _offline() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def embeddings(torch_folder: Path) -> SentenceTransformerEmbeddings:
    import_module("torch").set_num_threads(1)  # more only wait for each other beside a second worker
    return SentenceTransformerEmbeddings(torch_folder)


@pytest.fixture(scope="module")
def loaded(embeddings: SentenceTransformerEmbeddings) -> SentenceTransformer:
    return embeddings.model


def test_vectors_are_those_of_the_default_model(
    embeddings: SentenceTransformerEmbeddings, model: MiniLM
) -> None:
    texts = list(filter(None, SENTENCES))  # rounding the weights to 8 bits moves the empty text to .996
    ours, theirs = model.embed_array(texts), embeddings.embed_array(texts)
    assert theirs.dtype == np.float32
    assert theirs.shape == ours.shape
    assert (ours * theirs).sum(axis=1).min() >= 0.999


def test_lists_hold_the_numbers_of_the_array(embeddings: SentenceTransformerEmbeddings) -> None:
    assert embeddings.embed_documents(SENTENCES) == embeddings.embed_array(SENTENCES).tolist()
    assert embeddings.embed_query("lamp") == pytest.approx(embeddings.embed_documents(["lamp"])[0], abs=1e-6)


def test_no_texts_give_an_empty_array(embeddings: SentenceTransformerEmbeddings) -> None:
    assert embeddings.embed_array([]).shape == (0, 384)
    assert embed_texts(embeddings, []).shape == (0, 384)


@pytest.mark.parametrize("texts", ["lamp", ["lamp", None]])
def test_what_is_not_text_is_refused(embeddings: SentenceTransformerEmbeddings, texts: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        embeddings.embed_array(texts)


def test_a_loaded_model_is_used_as_it_is(
    embeddings: SentenceTransformerEmbeddings, loaded: SentenceTransformer
) -> None:
    wrapped = SentenceTransformerEmbeddings(loaded)
    assert wrapped.model is loaded
    assert np.array_equal(wrapped.embed_array(["lamp"]), embeddings.embed_array(["lamp"]))


def test_identity_holds_a_hash_of_the_weights_in_use(
    embeddings: SentenceTransformerEmbeddings, loaded: SentenceTransformer
) -> None:
    identity = identify(embeddings)
    assert (identity.name, identity.dimension) == ("sentence-transformers:model", 384)
    assert len(identity.weights or "") == 64
    assert identify(SentenceTransformerEmbeddings(loaded)) == identity


def test_other_weights_have_another_identity(
    torch_folder: Path, embeddings: SentenceTransformerEmbeddings
) -> None:
    trained = SentenceTransformerEmbeddings(torch_folder)
    next(iter(trained.model.parameters())).data[0, 0] += 1
    assert identify(trained).weights != identify(embeddings).weights


def test_a_model_without_a_name_goes_by_its_class() -> None:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - slow, only this file needs it
    from sentence_transformers.sentence_transformer.modules import BoW  # noqa: PLC0415

    identity = identify(SentenceTransformerEmbeddings(SentenceTransformer(modules=[BoW(["lamp", "light"])])))
    assert identity.name == "sentence-transformers:SentenceTransformer"
    assert (identity.weights, identity.dimension) == (None, 2)


def test_vectors_that_are_not_normalized_have_another_identity(loaded: SentenceTransformer) -> None:
    plain = SentenceTransformerEmbeddings(loaded, normalize=False)
    assert identify(plain).name == "sentence-transformers:model (not normalized)"


def test_queries_get_their_prompt(torch_folder: Path, embeddings: SentenceTransformerEmbeddings) -> None:
    prompted = SentenceTransformerEmbeddings(torch_folder)
    prompted.model.prompts = {"query": "a question: "}
    assert prompted.embed_query("lamp") == pytest.approx(embeddings.embed_query("a question: lamp"), abs=1e-6)
    assert prompted.embed_documents(["lamp"])[0] == pytest.approx(embeddings.embed_query("lamp"), abs=1e-6)


def test_threads_may_share_one_object(torch_folder: Path, embeddings: SentenceTransformerEmbeddings) -> None:
    shared = SentenceTransformerEmbeddings(torch_folder)
    expected = embeddings.embed_array(SENTENCES)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(shared.embed_array, [SENTENCES] * 8))
    assert max(np.abs(vectors - expected).max() for vectors in results) <= 1e-6
    assert concurrency(shared) == 2


def test_a_pickled_one_reopens_the_model(embeddings: SentenceTransformerEmbeddings) -> None:
    embeddings.embed_query("lamp")
    pickled = pickle.dumps(embeddings)
    assert len(pickled) < 2000
    assert pickle.loads(pickled).embed_query("lamp") == embeddings.embed_query("lamp")  # noqa: S301 - our own


def test_making_one_loads_nothing() -> None:
    assert repr(SentenceTransformerEmbeddings("org/no-such-model")) == (
        "SentenceTransformerEmbeddings('org/no-such-model', normalize=True)"
    )


def test_a_device_goes_with_a_name_only(loaded: SentenceTransformer) -> None:
    with pytest.raises(ConfigurationError, match=r"model\.to\(\)"):
        SentenceTransformerEmbeddings(loaded, device="cpu")


def test_the_missing_library_is_named_with_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vectorface\[sentence-transformers\]'"):
        SentenceTransformerEmbeddings("org/name").embed_query("lamp")
