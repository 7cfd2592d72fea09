"""Books made up for the tests: every word occurs once, so it is known which chapter each belongs to."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count

from langchain_core.documents import Document

from vectorface.preprocessing.numerals import _CARDINALS

ROMAN = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI".split()
SPELLED = [word.title() for word in _CARDINALS.split()[1:]]
CHINESE = "一 二 三 四 五 六 七 八 九 十 十一 十二 十三 十四 十五 十六".split()
TITLES = (
    "The Lamp,A Door in the Wall,Night Falls,Who Goes There?,The Long Road,Ash and Ember,The Clockmaker,"
    "Silver Keys,A Quiet Harbour,The Storm,Morning,The Letter,Homecoming,The Ferry,Salt,An End"
).split(",")


@dataclass(frozen=True)
class Style:
    """How a style writes the heading of the n-th chapter, and whether the title is in it."""

    write: Callable[[int], str]
    title: Callable[[int], str | None] = lambda _: None


def _title(n: int) -> str:
    return TITLES[n - 1]


def _capitals(n: int) -> str:
    return TITLES[n - 1].upper()


STYLES = {
    "bracketed": Style(lambda n: f"[ Chapter {n} ]"),
    "bracketed, subtitle": Style(
        lambda n: f"[ Chapter {n} ]\n- we meet {_title(n)}", lambda n: f"we meet {_title(n)}"
    ),
    "plain": Style(lambda n: f"Chapter {n}"),
    "roman, title": Style(lambda n: f"CHAPTER {ROMAN[n - 1]}. {_title(n)}", _title),
    "colon, title": Style(lambda n: f"Chapter {n}: {_title(n)}", _title),
    "blank, title": Style(lambda n: f"Chapter {n} {_title(n)}", _title),
    "title below": Style(lambda n: f"CHAPTER {ROMAN[n - 1]}\n{_capitals(n)}", _capitals),
    "title below a blank line": Style(lambda n: f"Chapter {n}\n\n{_title(n)}", _title),
    "spelled out": Style(lambda n: f"Chapter {SPELLED[n - 1]}"),
    "bare roman": Style(lambda n: f"{ROMAN[n - 1]}. {_capitals(n)}", _capitals),
    "a word that counts": Style(lambda n: f"ADVENTURE {ROMAN[n - 1]}. {_capitals(n)}", _capitals),
    "markdown": Style(lambda n: f"# {_title(n)}", _title),
    "markdown, numbered": Style(lambda n: f"## Chapter {n}: {_title(n)}", _title),
    "bold": Style(lambda n: f"**Chapter {n}**"),
    "chinese": Style(lambda n: f"第{CHINESE[n - 1]}章 {_title(n)}", _title),
    "chinese, arabic": Style(lambda n: f"第{n}章"),
    "french": Style(lambda n: f"Chapitre {ROMAN[n - 1]}"),
    "german": Style(lambda n: f"{n}. Kapitel"),
    "spanish": Style(lambda n: f"Capítulo {n}. {_title(n)}", _title),
    "italian": Style(lambda n: f"Capitolo {n} - {_title(n)}", _title),
}


@dataclass(frozen=True)
class Story:
    """A book and what is known of it."""

    text: str
    headings: dict[int, str]
    titles: dict[int, str | None]
    words: dict[int, set[str]]


def make_story(
    style: str = "plain",
    *,
    chapters: int = 3,
    seed: int = 0,
    wrapped: bool = False,
    punctuated: bool = True,
    paragraphs: int = 4,
) -> Story:
    """Write a book; the same arguments write the same book."""
    chance, number = random.Random(seed), count(1)  # noqa: S311 - not for secrets
    headings = {n: STYLES[style].write(n) for n in range(1, chapters + 1)}
    bodies = {
        n: [_paragraph(chance, number, punctuated=punctuated) for _ in range(chance.randint(1, paragraphs))]
        for n in headings
    }
    shape = textwrap.TextWrapper(66).fill if wrapped else str
    parts = [f"{headings[n]}\n\n" + "\n\n".join(map(shape, bodies[n])) for n in headings]
    return Story(
        text="\n\n".join(["A BOOK\n\nby Someone", *parts]),
        headings=headings,
        titles={n: STYLES[style].title(n) for n in headings},
        words={n: {word for body in bodies[n] for word in body.split()} for n in headings},
    )


def _paragraph(chance: random.Random, number: count[int], *, punctuated: bool) -> str:
    length = chance.choice([4 if punctuated else 12, 20, 60, 150])
    words = [f"w{next(number)}{'x' * chance.randint(0, 7)}" for _ in range(length)]
    if punctuated:
        words = [word + "." * (chance.random() < 0.1) for word in words]
        words[-1] = words[-1].rstrip(".") + "."
    return " ".join(words).capitalize()


def words_by_chapter(chunks: Iterable[Document]) -> dict[int | None, set[str]]:
    """Collect the words that chunks put into each chapter."""
    found: dict[int | None, set[str]] = {}
    for chunk in chunks:
        found.setdefault(chunk.metadata["chapter"], set()).update(chunk.page_content.split())
    return found


def expect_story(chunks: Iterable[Document], story: Story) -> None:
    """Every chapter is labelled, titled, and has exactly its own words; its heading is in its first chunk."""
    chunks = list(chunks)
    assert words_by_chapter(chunks) == {
        n: words | set(story.headings[n].split()) for n, words in story.words.items()
    }
    titles = {chunk.metadata["chapter"]: chunk.metadata["chapter_title"] for chunk in chunks}
    assert titles == story.titles
    for n, heading in story.headings.items():
        first = next(chunk for chunk in chunks if chunk.metadata["chapter"] == n)
        assert first.page_content.split()[: len(heading.split())] == heading.split()
