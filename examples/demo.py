"""A story goes into Chroma, chapter by chapter, and comes back as answers.

``make demo`` runs it; ``python examples/demo.py DIRECTORY`` keeps the data somewhere else.
"""

from __future__ import annotations

import sys
import textwrap
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import vectorface
from quoting_model import QuotingChatModel, quote

HERE = Path(__file__).parent
STORY = HERE / "data" / "the_lamp_at_gannet_rock.txt"
DATA = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "data" / "demo"

console = Console(highlight=False, width=100)


def main() -> None:
    start = time.perf_counter()
    with vectorface.connect(f"chroma:{DATA}?collection=stories") as store:
        chunks = ingest(store)
        show_chapters(chunks)
        ask_in_plain_words(store)
        ask_within_a_chapter(store)
        ask_for_variety(store)
        ask_through_a_chain(store)
        delete_with_care(store)
        seconds = time.perf_counter() - start
        console.rule(f"[bold]done in {seconds:.1f} s[/]; a second run finds that nothing has changed")


def ingest(store: vectorface.VectorDBInterface) -> list[Document]:
    console.rule("[bold]vectorface[/]: one book, one store, every chapter known")
    chunks = store.preprocess(
        [Document(page_content=STORY.read_text())],
        source="The Lamp at Gannet Rock",
        author="The vectorface authors",
        chunk_size=400,
        chunk_overlap=40,
    )
    report = store.upsert_parallel(chunks, skip_unchanged=True, progress=True)
    console.print(f"[green]{report}[/] into {store!r}\n")
    return chunks


def show_chapters(chunks: list[Document]) -> None:
    chapters: dict[int, list[Document]] = defaultdict(list)
    for chunk in chunks:
        chapters[chunk.metadata["chapter"]].append(chunk)
    table = Table("chapter", "title", "chunks", "words", title="What the preprocessor found")
    for number, parts in chapters.items():
        words = sum(len(part.page_content.split()) for part in parts)
        table.add_row(str(number), parts[0].metadata["chapter_title"], str(len(parts)), str(words))
    console.print(table)


def show(store: vectorface.VectorDBInterface, question: str, options: str = "", **search: Any) -> None:
    console.print(f"\n[bold cyan]{question}[/]  {options}")
    for hit in store.query(question, **search):
        sentence = escape(textwrap.shorten(quote(hit.text, question), 78, placeholder=" …"))
        console.print(f"  [green]{hit.score:.3f}[/] chapter {hit.metadata['chapter']:>2}  {sentence}")


def ask_in_plain_words(store: vectorface.VectorDBInterface) -> None:
    show(store, "What was in the tin box?", k=3)


def ask_within_a_chapter(store: vectorface.VectorDBInterface) -> None:
    question = "Who lit the lamp?"
    show(store, question, "anywhere", k=1)
    show(store, question, 'filter={"chapter": 9}', k=1, filter={"chapter": 9})
    show(store, question, 'filter={"chapter": {"$gte": 10}}', k=1, filter={"chapter": {"$gte": 10}})


def ask_for_variety(store: vectorface.VectorDBInterface) -> None:
    question = "Why did the ferry stop?"
    show(store, question, "the nearest", k=4)
    show(store, question, 'search_type="mmr": near, but different from each other', k=4, search_type="mmr")


def ask_through_a_chain(store: vectorface.VectorDBInterface) -> None:
    prompt = ChatPromptTemplate.from_template("{passages}\n\nQuestion: {question}")
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 3, "fetch_k": 12})
    chain = (
        {"passages": retriever | join, "question": RunnablePassthrough()}
        | prompt
        | QuotingChatModel()
        | StrOutputParser()
    )
    question = "Where is the log of the lighthouse kept?"
    console.print(f"\n[bold cyan]{question}[/]  retriever | prompt | model | parser")
    console.print(f"  “{chain.invoke(question)}”")


def join(documents: list[Document]) -> str:
    return "\n\n".join(document.page_content for document in documents)


def delete_with_care(store: vectorface.VectorDBInterface) -> None:
    console.print("\n[bold cyan]Deleting chapter 1, with care[/]")
    would = store.delete_by_filter({"chapter": 1}, dry_run=True)
    console.print(f"  dry run: {would.matched} of {store.count()} chunks match, {would.deleted} deleted")
    try:
        store.delete_by_filter({"chapter": 1}, expect=would.matched + 1)
    except vectorface.errors.DeleteGuardError as error:
        console.print(f"  guarded: [red]{error}[/]", soft_wrap=True)
    first = store.get(filter={"chapter": 1})
    done = store.delete_by_filter({"chapter": 1}, expect=would.matched)
    console.print(f"  deleted: {done.deleted}, left: {store.count()}")
    back = store.upsert([record.document for record in first])
    console.print(f"  and back again: {back}\n")


if __name__ == "__main__":
    main()
