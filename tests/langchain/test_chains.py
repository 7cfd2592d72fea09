"""The store inside what people build with LangChain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from langchain_core.example_selectors import (
    MaxMarginalRelevanceExampleSelector,
    SemanticSimilarityExampleSelector,
)
from langchain_core.language_models import ParrotFakeChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from langchain_core.tools import create_retriever_tool

from tests.langchain.compass import Compass
from vectorface.langchain import VectorfaceVectorStore

if TYPE_CHECKING:
    from langchain_core.documents import Document


def joined(documents: list[Document]) -> str:
    return "\n".join(document.page_content for document in documents)


@pytest.fixture
def chain(boats: VectorfaceVectorStore) -> Runnable[str, str]:
    """Question answering by a model that says what it was told."""
    prompt = ChatPromptTemplate.from_template("Boats:\n{boats}\n\nQuestion: {question}")
    asked = {"boats": boats.as_retriever(k=2) | joined, "question": RunnablePassthrough()}
    return asked | prompt | ParrotFakeChatModel() | StrOutputParser()


SAID = "Boats:\na boat on course 60\na boat on course 5\n\nQuestion: who is on course 50"


class TestChain:
    def test_the_prompt_holds_what_was_found(self, chain: Runnable[str, str]) -> None:
        assert chain.invoke("who is on course 50") == SAID

    async def test_it_does_so_asynchronously(self, chain: Runnable[str, str]) -> None:
        assert await chain.ainvoke("who is on course 50") == SAID

    def test_it_streams(self, chain: Runnable[str, str]) -> None:
        assert "".join(chain.stream("who is on course 50")) == SAID


class TestTool:
    def test_a_model_can_call_the_retriever(self, boats: VectorfaceVectorStore) -> None:
        tool = create_retriever_tool(boats.as_retriever(k=1), "boats", "Finds boats by their course.")
        assert tool.invoke({"query": "course 70"}) == "a boat on course 60"

    async def test_the_documents_come_along_as_an_artifact(self, boats: VectorfaceVectorStore) -> None:
        tool = create_retriever_tool(
            boats.as_retriever(k=1), "boats", "Finds boats.", response_format="content_and_artifact"
        )
        call = {"type": "tool_call", "name": "boats", "id": "1", "args": {"query": "course 70"}}
        message = await tool.ainvoke(call)
        assert [document.id for document in message.artifact] == ["d60"]


EXAMPLES = [{"course": "0", "called": "north"}, {"course": "90", "called": "east"}]


class TestExampleSelectors:
    def test_the_most_similar_example_is_selected(self) -> None:
        selector = SemanticSimilarityExampleSelector.from_examples(
            EXAMPLES, Compass(), VectorfaceVectorStore, k=1, input_keys=["course"]
        )
        assert selector.select_examples({"course": "80"}) == [EXAMPLES[1]]

    async def test_it_is_selected_by_mmr(self) -> None:
        selector = await MaxMarginalRelevanceExampleSelector.afrom_examples(
            EXAMPLES, Compass(), VectorfaceVectorStore, k=1, input_keys=["course"]
        )
        assert await selector.aselect_examples({"course": "80"}) == [EXAMPLES[1]]
