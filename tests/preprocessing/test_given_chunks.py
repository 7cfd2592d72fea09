"""Chunks that were split already: headings are found wherever the splitter left them."""

from __future__ import annotations

import pytest
from langchain_core.documents import Document
from langchain_text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter

from tests.preprocessing.stories import STYLES, Story, expect_story, make_story
from vectorface.preprocessing import PreprocessingWarning, outline, preprocess

CUTTINGS = [(60, 0.0), (60, 0.4), (100, 0.1), (200, 0.0), (200, 0.4), (400, 0.1), (1000, 0.4), (2000, 0.0)]


def split(story: Story, size: int, overlap: float, *, indexed: bool = False) -> list[Document]:
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=size, chunk_overlap=int(size * overlap), add_start_index=indexed
    )
    return splitter.split_documents([Document(page_content=story.text)])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("punctuated", [False, True])
def test_every_chapter_is_labelled_at_any_size_and_overlap(
    style: str,
    wrapped: bool,  # noqa: FBT001 - a parameter of the test
    punctuated: bool,  # noqa: FBT001
) -> None:
    story = make_story(style, chapters=7, seed=1, wrapped=wrapped, punctuated=punctuated)
    for size, overlap in CUTTINGS:
        expect_story(preprocess(split(story, size, overlap)), story)


@pytest.mark.parametrize("style", STYLES)
def test_chunks_can_be_cut_anew(style: str) -> None:
    story = make_story(style, chapters=4, seed=2, wrapped=True)
    for size, overlap in ((100, 0.4), (1000, 0.1)):
        chunks = preprocess(split(story, size, overlap), chunk_size=300)
        expect_story(chunks, story)
        assert max(len(chunk.page_content) for chunk in chunks) <= 300


@pytest.mark.parametrize("size", [50, 200, 999])
@pytest.mark.parametrize("overlap", [0, 20])
def test_windows_of_fixed_length_cut_through_words_and_headings(size: int, overlap: int) -> None:
    story = make_story("roman, title", chapters=9, seed=3)
    windows = [story.text[at : at + size] for at in range(0, len(story.text), size - overlap)]
    [found] = outline(windows)
    assert {chapter.number: chapter.title for chapter in found.chapters} == story.titles
    whole = preprocess(windows, chunk_size=400, chunk_overlap=0)
    assert whole == preprocess([story.text], chunk_size=400, chunk_overlap=0)


@pytest.mark.parametrize("size", [60, 200, 1000])
def test_windows_of_fixed_length_may_have_been_stripped(size: int) -> None:
    story = make_story("bracketed", chapters=9, seed=4)
    windows = [story.text[at : at + size].strip() for at in range(0, len(story.text), size)]
    [found] = outline(windows)
    assert [chapter.number for chapter in found.chapters] == list(story.titles)


@pytest.mark.parametrize("size", [80, 300])
@pytest.mark.parametrize("overlap", [0, 30])
def test_a_splitter_may_cut_at_every_blank(size: int, overlap: int) -> None:
    story = make_story("plain", chapters=9, seed=5)
    splitter = CharacterTextSplitter(separator=" ", chunk_size=size, chunk_overlap=overlap)
    expect_story(preprocess(splitter.split_documents([Document(page_content=story.text)])), story)


CUTS = [
    ("It ended there.\n\n[ Chapter 2 ]", "Nan lit the lamp again."),
    ("It ended there.", "[ Chapter 2 ]\nNan lit the lamp again."),
    ("It ended there.\n\n[ Chapter 2 ]\nNan lit", "the lamp again."),
    ("It ended there.\n\n[", "Chapter 2 ]\nNan lit the lamp again."),
    ("It ended there.\n\n[ Chap", "ter 2 ]\nNan lit the lamp again."),
    ("It ended there.\n\n[ Chapter", "2 ]\nNan lit the lamp again."),
    ("It ended there.\n\n[ Chapter 2", "]\nNan lit the lamp again."),
    ("It ended there.\n\n[ Chapter 2 ]", "[ Chapter 2 ]\nNan lit the lamp again."),
    ("It ended there.\n\n[ Chapter 2 ]\nNan lit", "[ Chapter 2 ]\nNan lit the lamp again."),
]


@pytest.mark.parametrize("cut", CUTS)
def test_a_heading_may_stand_anywhere_in_a_chunk_or_be_cut_in_two(cut: tuple[str, str]) -> None:
    chunks = preprocess(["[ Chapter 1 ]\nA long time ago, before the lamp.", *cut])
    first = [chunk.page_content for chunk in chunks if chunk.metadata["chapter"] == 1]
    second = [chunk.page_content for chunk in chunks if chunk.metadata["chapter"] == 2]
    assert len(first) + len(second) == len(chunks)
    assert " ".join(first).endswith("lamp. It ended there.")
    assert second[0].startswith("[ Chapter 2 ]")
    assert " ".join(" ".join(second).split()) == "[ Chapter 2 ] Nan lit the lamp again."


def test_a_heading_of_several_lines_may_be_cut_between_them() -> None:
    chunks = preprocess(
        ["CHAPTER I", "THE LAMP", "It was dark. Nan lit it."], headings=r"^CHAPTER I\s+THE LAMP$"
    )
    assert len(chunks) == 1
    assert chunks[0].page_content.split() == "CHAPTER I THE LAMP It was dark. Nan lit it.".split()


def test_a_heading_where_line_ends_became_blanks_is_found() -> None:
    chunks = preprocess(
        ["[ Chapter 1 ] It was dark. [ Chapter 2 ] Nan lit the lamp, as told in [Chapter 1]."]
    )
    assert [chunk.metadata["chapter"] for chunk in chunks] == [1, 2]


def test_chunks_are_kept_as_they_are_but_for_chapters() -> None:
    story = make_story("plain", chapters=4, seed=6)
    given = split(story, 300, 0.1)
    body = [chunk for chunk in given if "Chapter" not in chunk.page_content][1:]
    kept = {chunk.page_content for chunk in preprocess(given)}
    assert {chunk.page_content for chunk in body} <= kept


def test_a_kept_chunk_that_begins_a_chapter_gets_its_heading_back() -> None:
    chunks = preprocess(["Chapter 1\n\nIt was dark.\n\nChapter 2\n\nThe Lamp", "Nan lit it. It was light."])
    assert [chunk.page_content for chunk in chunks] == [
        "Chapter 1\n\nIt was dark.",
        "Chapter 2\n\nThe Lamp\n\nNan lit it. It was light.",
    ]


def test_a_heading_with_nothing_after_it_is_kept() -> None:
    chunks = preprocess(["Chapter 1\n\nIt was dark, and cold.", "Chapter 2"])
    assert [chunk.page_content for chunk in chunks] == ["Chapter 1\n\nIt was dark, and cold.", "Chapter 2"]


def test_unstripped_chunks_keep_their_blanks() -> None:
    given = ["Chapter 1\n\nIt was dark ", "and cold. ", "    Nan lit the lamp.\n"]
    assert [chunk.page_content for chunk in preprocess(given)] == given


def test_preprocessing_twice_changes_nothing() -> None:
    story = make_story("title below", chapters=5, seed=7, wrapped=True)
    once = preprocess([story.text.replace("w50", "(picture)\nw50")], source="Twice", chunk_size=200)
    assert preprocess(once) == once


@pytest.mark.parametrize("size", [60, 300])
@pytest.mark.parametrize("overlap", [0.0, 0.2])
def test_start_indexes_of_the_chunks_given_are_believed(size: int, overlap: float) -> None:
    story = make_story("plain", chapters=5, seed=8, wrapped=True)
    for chunk in preprocess(split(story, size, overlap, indexed=True)):
        words = chunk.page_content.split()[:3]
        assert story.text[chunk.metadata["start_index"] :].split(maxsplit=4)[: len(words)] == words


def test_wrong_start_indexes_are_not_believed() -> None:
    given = [
        Document(page_content=text, metadata={"start_index": index})
        for text, index in (("Chapter 1\n\nIt was dark.", 7), ("It was cold.", -1), ("Nan lit the lamp.", 3))
    ]
    starts = [chunk.metadata["start_index"] for chunk in preprocess(given)]
    assert starts == [0, 25, 39]


def test_an_overlap_that_start_index_tells_is_found_however_short() -> None:
    given = [
        Document(page_content="Chapter 1\n\nIt was dark, a", metadata={"start_index": 0}),
        Document(page_content="dark, a lamp was out", metadata={"start_index": 18}),
        Document(page_content="out of oil.", metadata={"start_index": 35}),
    ]
    [whole] = preprocess(given, chunk_size=100)
    assert whole.page_content == "Chapter 1\n\nIt was dark, a lamp was out of oil."


def test_a_repeated_line_is_no_overlap_where_the_splitter_made_none() -> None:
    lines = ["Chapter 1\n\nRow, row, row your boat,", "row, gently down the stream of", "life."]
    [whole] = preprocess(lines, chunk_size=200)
    assert whole.page_content.split() == " ".join(lines).split()


def test_chunks_longer_than_the_window_for_overlaps_are_joined() -> None:
    body = " ".join(f"w{n}" for n in range(4000))
    text = f"Chapter 1\n\n{body}"
    given = [text[:15000], text[14000:]]
    whole = preprocess(given, chunk_size=1000, chunk_overlap=0)
    assert " ".join(chunk.page_content for chunk in whole).split() == text.split()


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0"])
@pytest.mark.parametrize("paged", [False, True])
def test_a_page_may_end_with_a_blank(blank: str, paged: bool) -> None:  # noqa: FBT001 - a parameter of the test
    pages = [
        Document(
            page_content=f"Chapter {number}\n\n{'Nan lit the lamp. ' * 60}{blank}",
            metadata={"page": number} if paged else {},
        )
        for number in range(1, 5)
    ]
    assert [chunk.metadata["chapter"] for chunk in preprocess(pages, chunk_size=2_000)] == [1, 2, 3, 4]


def test_chunks_without_headings_are_kept_with_a_warning() -> None:
    with pytest.warns(PreprocessingWarning, match="1 of 1 texts"):
        chunks = preprocess(["Nan lit the lamp.", "It was light."])
    assert [(chunk.page_content, chunk.metadata["chapter"]) for chunk in chunks] == [
        ("Nan lit the lamp.", None),
        ("It was light.", None),
    ]


def test_paragraphs_of_one_length_are_not_glued_together() -> None:
    told = (
        "The year {} was hard. Many people of the town left for the sea and came back late. It rained a lot."
    )
    text = "\n\n".join(told.format(1900 + n) for n in range(40))
    splitter = RecursiveCharacterTextSplitter(chunk_size=120, chunk_overlap=20)
    chunks = preprocess(splitter.create_documents([text]), chunk_size=100_000, headings=None)
    assert chunks[0].page_content.split() == text.split()
