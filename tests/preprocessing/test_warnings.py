"""What a caller is told when the texts are not what they seem: two books in one call, or a path."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_text_splitters import RecursiveCharacterTextSplitter

from tests.preprocessing.stories import make_story
from vectorface.preprocessing import Heading, PreprocessingWarning, find_headings, preprocess


def second_books(texts: list[str] | list[Document], **options: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        preprocess(texts, source="x", **options)  # type: ignore[arg-type]
    messages = [str(warning.message) for warning in caught if warning.category is PreprocessingWarning]
    assert all("begins its chapters anew" in message for message in messages)
    return [re.sub(r".*\b(Text \d+).*with (\d+ after \d+)\..*", r"\1: \2", message) for message in messages]


def pages(text: str, size: int) -> list[Document]:
    starts = range(0, len(text), size)
    return [Document(page_content=text[at : at + size], metadata={"page": at // size}) for at in starts]


def read(data_dir: Path, *names: str) -> list[str]:
    return [(data_dir / f"{name}.txt").read_text() for name in names]


BOOK = "The {0}\n\nby Nan\n\nChapter 1\n\nIt was {0}.\n\nChapter 2\n\nNan lit it."


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["Chapter 1\n\nAaa", "Chapter 2\n\nBbb", "Chapter 1\n\nOther book"], ["Text 3: 1 after 2"]),
        (["Chapter 1\n\nAaa", "", "Chapter 2\n\nBbb", "Chapter 1\n\nOther"], ["Text 4: 1 after 2"]),
        ([BOOK.format("lamp"), BOOK.format("sea")], ["Text 2: 1 after 2"]),
        ([BOOK.format(n) for n in ("lamp", "sea", "ash")], ["Text 2: 1 after 2", "Text 3: 1 after 2"]),
    ],
)
def test_a_second_book_under_one_source_is_told(texts: list[str], told: list[str]) -> None:
    assert second_books(texts) == told
    assert second_books([Document(page_content=text, metadata={"source": "y"}) for text in texts]) == told


@pytest.mark.parametrize("names", [("alice", "sherlock"), ("sherlock", "alice"), ("alice", "alice")])
def test_a_second_whole_book_is_told_in_whatever_style_it_counts(
    data_dir: Path, names: tuple[str, ...]
) -> None:
    assert second_books(read(data_dir, *names)) == ["Text 2: 1 after 12"]


def test_a_second_book_is_told_by_the_numbers_of_a_regular_expression() -> None:
    texts = ["== 1 ==\n\nDark.\n\n== 2 ==\n\nLit.", "== 1 ==\n\nCold."]
    assert second_books(texts, headings=r"^== (?P<number>\d+) ==$") == ["Text 2: 1 after 2"]


def test_a_function_is_called_for_the_book_only() -> None:
    seen: list[str] = []

    def finder(text: str) -> list[Heading]:
        seen.append(text)
        return find_headings(text)

    texts = ["Chapter 1\n\nDark.", "Chapter 2\n\nLit.", "Chapter 1\n\nCold."]
    assert second_books(texts, headings=finder) == []
    assert len(seen) == 1


@pytest.mark.parametrize("name", ["alice", "sherlock"])
@pytest.mark.parametrize("size", [300, 1500, 30_000])
def test_one_book_as_pages_or_windows_is_none(data_dir: Path, name: str, size: int) -> None:
    [text] = read(data_dir, name)
    assert second_books(pages(text, size)) == []
    assert second_books([page.page_content for page in pages(text, size)]) == []


@pytest.mark.parametrize("overlap", [0, 50])
def test_one_book_that_was_split_is_none(data_dir: Path, overlap: int) -> None:
    splitter = RecursiveCharacterTextSplitter(chunk_size=500, chunk_overlap=overlap)
    volume = "PART {}\n\n" + make_story(chapters=3, seed=9).text.partition("Someone\n\n")[2] + "\n\n"
    parts = volume.format("ONE") + volume.format("TWO")
    for text in (*read(data_dir, "alice", "sherlock"), parts):
        assert second_books(splitter.split_text(text)) == []


@pytest.mark.parametrize("name", ["alice", "sherlock"])
def test_one_file_a_chapter_is_one_book_though_it_has_numbered_parts(data_dir: Path, name: str) -> None:
    [text] = read(data_dir, name)
    files = re.split(r"(?m)^(?=CHAPTER [IVX]+\.|ADVENTURE [IVX]+|[IVX]+\. THE)", text)
    assert len(files) > 12
    assert second_books(files) == []


@pytest.mark.parametrize(
    "texts",
    [
        ["PART ONE\n\nChapter 1\n\nA.\n\nChapter 2\n\nB.\n\nPART TWO\n\nChapter 1\n\nC.\n\nChapter 2\n\nD."],
        ["Chapter 1\n\nDark.", "Chapter 2\n\nLit.", "PART TWO\n\nThe Sea\n\nChapter 1\n\nCold."],
        ["Chapter 1\n\nDark.", "Chapter 2\n\nLit.\n\nPART TWO", "Chapter 1\n\nCold."],
        ["Chapter 1\n\nDark.", "Chapter 1\n\nCold.", "Chapter 2\n\nLit.", "Chapter 2\n\nOut."],
        ["Chapter 1\n\nDark.", "Chapter 2\n\nLit.", "Chapter 3\n\nOut.", "Notes\n\nChapter 1\n\nSee 4."],
        ["# Chapter 1\n\nDark.", "# Chapter 2\n\nLit.", "## The Sea\n\nCold.", "# 1. Ash\n\nOut."],
        ["# Install\n\nDark.", "# Use\n\nLit.", "# Help\n\nOut."],
    ],
    ids=["parts", "a part", "a part before", "running heads", "notes", "sections", "markdown"],
)
def test_pages_of_one_book_are_none(texts: list[str]) -> None:
    assert second_books(texts) == []


def test_a_text_without_headings_is_named_by_the_source_given() -> None:
    with pytest.warns(PreprocessingWarning, match=r"1 of 1 texts \(first: 'The Lamp'\)"):
        preprocess(["It was dark."], source="The Lamp")
    with pytest.warns(PreprocessingWarning, match=r"\(first: one without a source\)"):
        preprocess(["It was dark."])


def told(text: str, **options: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        preprocess([text], source="The Lamp", **options)  # type: ignore[arg-type]
    return [str(warning.message) for warning in caught]


def test_much_front_matter_is_told() -> None:
    before, chapter = "Nan lit the lamp. " * 150, "Chapter 1\n\n" + "It was dark. " * 500
    [message] = told(before + "\n\n" + chapter)
    assert message.startswith("2702 of ")
    assert "'The Lamp'" in message
    assert "outline()" in message
    assert "headings=" in message
    assert told(before + "\n\n" + chapter, keep_outside=True) == []
    assert told(before[:1900] + "\n\n" + chapter) == []
    assert told(before + "\n\n" + chapter * 10) == []


def test_front_matter_that_is_most_of_the_text_is_told() -> None:
    before, chapters = (
        "Nan lit the lamp. " * 60,
        "\n\nChapter 1\n\nIt was dark.\n\nChapter 2\n\nIt was light.",
    )
    [message] = told(before + chapters)
    assert "left out as front matter" in message
    assert told("By Nan." + chapters) == []


@pytest.mark.parametrize("name", ["alice", "sherlock"])
def test_the_front_matter_of_a_real_book_is_not_told(data_dir: Path, name: str) -> None:
    assert told(*read(data_dir, name)) == []


@pytest.mark.parametrize("path", ["/some/path/alice.txt", "book.MD", r"C:\books\lamp.pdf", "lamp.html\n"])
def test_a_path_is_told_from_a_text(path: str) -> None:
    with pytest.warns(PreprocessingWarning, match="looks like a path to a file") as caught:
        preprocess([path, path])
    assert repr(path.strip()) in str(caught[0].message)


@pytest.mark.parametrize("text", ["It was in alice.txt", "It was dark.", "Dark.\nalice.txt"])
def test_a_text_is_not_taken_for_a_path(text: str) -> None:
    with pytest.warns(PreprocessingWarning) as caught:
        preprocess([text])
    assert "path" not in str(caught[0].message)
