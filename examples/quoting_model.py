"""A chat model that needs no key and no network: it answers by quoting.

It stands in for a real one in the examples, so that a chain can be shown anywhere. From the passages in
its prompt it quotes the sentence that shares the most words with the question.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import SimpleChatModel

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_WORDS = re.compile(r"[a-z']+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
#: Short words say nothing about what a sentence is about.
_SHORTEST = 4


class QuotingChatModel(SimpleChatModel):
    """Quotes from the last message, whose form is ``passages … Question: text``."""

    @property
    def _llm_type(self) -> str:
        return "quoting"

    def _call(self, messages: list[BaseMessage], *_: Any, **__: Any) -> str:
        passages, _mark, question = str(messages[-1].content).rpartition("Question:")
        sentences = _SENTENCE_END.split(" ".join(passages.split()))
        return max(sentences, key=lambda sentence: len(_words(sentence) & _words(question)))


def _words(text: str) -> set[str]:
    return {word for word in _WORDS.findall(text.lower()) if len(word) >= _SHORTEST}
