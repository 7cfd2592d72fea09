"""Sparse models of sentence-transformers, by a small SPLADE model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from vectorface.embeddings import SpladeEmbeddings
from vectorface.errors import ConfigurationError, InvalidInputError

pytestmark = pytest.mark.xdist_group("torch")  # one worker pays for importing it

TEXTS = ["Nan lit the lamp at dusk.", "Fog hid the ferry, and nobody saw it come or go that night.", "oil"]


@pytest.fixture(scope="module")
def splade(splade_folder: Path) -> SpladeEmbeddings:
    return SpladeEmbeddings(splade_folder, device="cpu")


def by_the_library(model: Any, texts: list[str]) -> list[dict[str, float]]:
    rows = model.encode_document(texts, convert_to_tensor=True, convert_to_sparse_tensor=True, batch_size=2)
    return [dict(found) for found in model.decode(rows)]


def test_weights_are_exactly_the_librarys(splade: SpladeEmbeddings) -> None:
    ours = splade.embed_documents(TEXTS)
    theirs = by_the_library(splade.model, TEXTS)
    assert [set(weights) for weights in ours] == [set(weights) for weights in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_a_text_is_expanded_by_what_it_means(splade: SpladeEmbeddings) -> None:
    weights = splade.embed_query("lamp")
    heaviest = sorted(weights, key=lambda token: -weights[token])[:3]
    assert {"lamp", "lights"} <= set(heaviest)  # of which the second is not in the text
    assert all(weight > 0 for weight in weights.values())


def test_each_text_has_its_own_weights_whatever_stands_beside_it(splade: SpladeEmbeddings) -> None:
    together = splade.embed_documents(TEXTS)
    for text, weights in zip(TEXTS, together, strict=True):
        [alone] = splade.embed_documents([text])
        assert alone.keys() == weights.keys()
        assert alone == pytest.approx(weights, abs=1e-5)


def test_only_the_heaviest_tokens_are_kept_if_that_is_asked(
    splade_folder: Path, splade: SpladeEmbeddings
) -> None:
    few = SpladeEmbeddings(splade_folder, max_tokens=3, device="cpu")
    [weights] = few.embed_documents(TEXTS[:1])
    [everything] = splade.embed_documents(TEXTS[:1])
    assert (
        sorted(weights, key=lambda token: -weights[token])
        == sorted(everything, key=lambda t: -everything[t])[:3]
    )
    assert few.identity != splade.identity


def test_no_texts_no_weights(splade: SpladeEmbeddings) -> None:
    assert splade.embed_documents([]) == []


def test_a_copy_in_another_process_is_the_same(splade: SpladeEmbeddings) -> None:
    copy = pickle.loads(pickle.dumps(splade))  # noqa: S301 - our own bytes
    assert copy.identity == splade.identity
    assert copy.embed_query("ferry") == splade.embed_query("ferry")


def test_its_name_shows_no_path(splade: SpladeEmbeddings, splade_folder: Path) -> None:
    assert repr(splade) == "SpladeEmbeddings('model')"
    assert str(splade_folder) not in splade.identity.name
    assert len(splade.identity.weights or "") == 64


def test_what_is_no_list_of_texts_is_refused(splade: SpladeEmbeddings) -> None:
    with pytest.raises(InvalidInputError):
        splade.embed_documents("lamp")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError):
        splade.embed_query("\ud800")


def test_a_loaded_model_is_where_it_is(splade: SpladeEmbeddings) -> None:
    assert SpladeEmbeddings(splade.model).embed_query("lamp") == splade.embed_query("lamp")
    with pytest.raises(ConfigurationError, match="device="):
        SpladeEmbeddings(splade.model, device="cpu")
