"""What is done where no option says otherwise: the size of chunks, and what ends a book."""

from __future__ import annotations

from pathlib import Path

import pytest

from vectorface.errors import ConfigurationError
from vectorface.preprocessing import DEFAULT_CHUNK_SIZE, outline, preprocess


def test_chunks_fit_into_the_default_model(data_dir: Path) -> None:
    text = (data_dir / "alice.txt").read_text()
    chunks = preprocess([text], source="alice")
    assert DEFAULT_CHUNK_SIZE == 800
    assert max(len(chunk.page_content) for chunk in chunks) <= 800
    assert chunks == preprocess([text], source="alice", chunk_size=800, chunk_overlap=80)


@pytest.mark.parametrize("pattern", [r"^§(\d+) (.*)$", r"^(?P<section>§\d+)$", r"^(Prologue|§\d+)$"])
def test_groups_that_nobody_would_read_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match=r"headings: .*\(\?P<number>\.\.\.\)"):
        preprocess(["§1 Ash\n\nDark."], headings=pattern)


@pytest.mark.parametrize("pattern", [r"^§(?P<number>\d+) (?P<title>(A|S).*)$", r"^§(?:\d+) (?P<title>.*)$"])
def test_named_groups_are_read(pattern: str) -> None:
    [found] = outline(["§1 Ash\n\nDark.\n\n§2 Salt\n\nLit."], headings=pattern)
    assert [(chapter.number, chapter.title) for chapter in found.chapters] == [(1, "Ash"), (2, "Salt")]


@pytest.mark.parametrize("marker", ["THE END", "   THE END.", "THE END\n"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_follows_the_end_is_left_out_and_shown(marker: str, line_end: str) -> None:
    text = f"Chapter 1\n\nIt was dark.\n\n{marker}\nPublished by Foo.".replace("\n", line_end)
    [chunk] = preprocess([text])
    assert chunk.page_content.split() == "Chapter 1 It was dark.".split()
    [dropped] = outline([text])[0].dropped
    assert dropped.reason == "after the end marker"
    assert dropped.text.split()[-3:] == ["Published", "by", "Foo."]
    assert "THE END" in dropped.text


@pytest.mark.parametrize(
    "end",
    [
        "\n\nTHE END\n",
        "\n\nTHE END\n\n" + "Nan lit the lamp. " * 40,
        "\n\nThe end\n\nNan lit the lamp.",
        "\n\nTHE END OF IT\n\nNan lit the lamp.",
        " The sign said\nTHE END\nand Nan lit the lamp.",
    ],
    ids=["nothing follows", "much follows", "not in capitals", "not alone", "within a sentence"],
)
def test_the_end_of_something_else_ends_no_book(end: str) -> None:
    text = f"Chapter 1\n\nIt was dark.{end}"
    assert outline([text])[0].dropped == ()
    [chunk] = preprocess([text], chunk_size=2000)
    assert chunk.page_content.split() == text.split()


@pytest.mark.parametrize("marker", ["[ The End ]", "[ END ]", "*** END OF THE PROJECT GUTENBERG EBOOK"])
def test_an_end_before_another_chapter_ends_no_book(marker: str) -> None:
    said = f"Chapter 1\n\nThe film said\n\n{marker}\n\nand Nan left.\n\n"
    text = f"{said}Chapter 2\n\nDark.\n\n{marker}\n\nPrinted."
    first, second = preprocess([text])
    assert first.page_content.endswith(f"{marker}\n\nand Nan left.")
    assert second.page_content.split() == "Chapter 2 Dark.".split()
    [dropped] = outline([text])[0].dropped
    assert dropped.text == f"{marker}\n\nPrinted."


def test_an_end_directly_below_a_heading_ends_the_book() -> None:
    [found] = outline(["Chapter 1\n\nDark.\n\nChapter 2\n[ END ]\n\nPrinted."])
    assert [chapter.title for chapter in found.chapters] == [None, None]
    assert [part.text for part in found.dropped] == ["[ END ]\n\nPrinted."]


INTRODUCTION = "This guide says how a lamp is lit, and what to do where it will not burn. " * 3


def test_the_introduction_of_a_markdown_text_is_kept() -> None:
    text = f"# My Guide\n\n{INTRODUCTION}\n\n## Install\n\nDark.\n\n## Use\n\nLit."
    chunks = preprocess([text])
    assert [(chunk.metadata["chapter"], chunk.metadata["chapter_title"]) for chunk in chunks] == [
        (None, "My Guide"),
        (1, "Install"),
        (2, "Use"),
    ]
    assert "what to do where it will not burn" in chunks[0].page_content
    assert outline([text])[0].dropped == ()


@pytest.mark.parametrize(
    "between", ["Intro text here.", "- [Install](#install) and more of it\n" * 9, "> Lit, not out.\n" * 20]
)
def test_a_motto_or_a_list_of_contents_is_front_matter(between: str) -> None:
    [found] = outline([f"# My Guide\n\n{between}\n\n## Install\n\nDark.\n\n## Use\n\nLit."])
    assert [chapter.number for chapter in found.chapters] == [1, 2]
    assert [(part.reason, between.strip() in part.text) for part in found.dropped] == [("front matter", True)]


def test_what_stands_before_chapters_of_the_same_level_is_front_matter() -> None:
    [found] = outline([f"{INTRODUCTION}\n\n# Install\n\nDark.\n\n# Use\n\nLit."])
    assert [chapter.number for chapter in found.chapters] == [1, 2]
    [found] = outline([f"# Install\n\n{INTRODUCTION}\n\n# Use\n\nLit."])
    assert [chapter.title for chapter in found.chapters] == ["Install", "Use"]
