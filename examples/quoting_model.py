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
_SENTENCE_END = re.compile(r"""(?<=[.!?])\s+|(?<=[.!?]["”])\s+|\n\n+""")
#: Words that say nothing about what a sentence is about.
_EMPTY = frozenset(
    ["a", "an", "and", "did", "for", "how", "is", "it", "of", "the", "to", "was", "what", "who"]
)


class QuotingChatModel(SimpleChatModel):
    """Quotes from the last message, whose form is ``passages … Question: text``."""

    @property
    def _llm_type(self) -> str:
        return "quoting"

    def _call(self, messages: list[BaseMessage], *_: Any, **__: Any) -> str:
        passages, _mark, question = str(messages[-1].content).rpartition("Question:")
        return quote(passages, question)


def quote(text: str, question: str) -> str:
    """Return the sentence of a text that shares the most words with a question."""
    sentences = _SENTENCE_END.split(text)
    best = max(sentences, key=lambda sentence: len(_words(sentence) & _words(question)))
    return " ".join(best.split())


def _words(text: str) -> set[str]:
    return set(_WORDS.findall(text.lower())) - _EMPTY
