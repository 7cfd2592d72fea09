"""Two real books: every chapter found, every word in the right one, however they were cut before."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_text_splitters import RecursiveCharacterTextSplitter

from vectorface.preprocessing import outline, preprocess

ALICE = [
    "Down the Rabbit-Hole",
    "The Pool of Tears",
    "A Caucus-Race and a Long Tale",
    "The Rabbit Sends in a Little Bill",
    "Advice from a Caterpillar",
    "Pig and Pepper",
    "A Mad Tea-Party",
    "The Queen’s Croquet-Ground",
    "The Mock Turtle’s Story",
    "The Lobster Quadrille",
    "Who Stole the Tarts?",
    "Alice’s Evidence",
]
SHERLOCK = [
    "A SCANDAL IN BOHEMIA",
    "THE RED-HEADED LEAGUE",
    "A CASE OF IDENTITY",
    "THE BOSCOMBE VALLEY MYSTERY",
    "THE FIVE ORANGE PIPS",
    "THE MAN WITH THE TWISTED LIP",
    "THE ADVENTURE OF THE BLUE CARBUNCLE",
    "THE ADVENTURE OF THE SPECKLED BAND",
    "THE ADVENTURE OF THE ENGINEER'S THUMB",
    "THE ADVENTURE OF THE NOBLE BACHELOR",
    "THE ADVENTURE OF THE BERYL CORONET",
    "THE ADVENTURE OF THE COPPER BEECHES",
]
TITLES = {"alice": ALICE, "sherlock": SHERLOCK}
books = pytest.mark.parametrize("name", TITLES)
cuts = pytest.mark.parametrize(("size", "overlap"), [(80, 0), (200, 20), (300, 0), (500, 100), (1000, 200)])


def read(data_dir: Path, name: str) -> str:
    return (data_dir / f"{name}.txt").read_text()


def words_by_chapter(text: str) -> dict[int | None, list[str]]:
    [found] = outline([text])
    return {chapter.number: text[chapter.start : chapter.end].split() for chapter in found.chapters}


@books
def test_each_chapter_is_found_with_its_title(data_dir: Path, name: str) -> None:
    [found] = outline([read(data_dir, name)])
    assert [chapter.number for chapter in found.chapters] == list(range(1, 13))
    assert [chapter.title for chapter in found.chapters] == TITLES[name]


@books
@cuts
def test_chunks_that_were_cut_before_are_labelled_as_the_whole_text_is(
    data_dir: Path, name: str, size: int, overlap: int
) -> None:
    text = read(data_dir, name)
    truth = words_by_chapter(text)
    splitter = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
    chunks = preprocess(splitter.split_documents([Document(page_content=text)]), source=name)
    assert {chunk.metadata["chapter"] for chunk in chunks} == set(truth)
    for chapter, words in truth.items():
        found = {word for c in chunks if c.metadata["chapter"] == chapter for word in c.page_content.split()}
        assert found == set(words)


@books
def test_chunks_of_a_whole_text_are_pieces_of_it_in_order(data_dir: Path, name: str) -> None:
    text = read(data_dir, name)
    chunks = preprocess([text], source=name, chunk_size=400, chunk_overlap=0)
    starts = [chunk.metadata["start_index"] for chunk in chunks]
    assert starts == sorted(starts)
    for chunk in chunks:
        start = chunk.metadata["start_index"]
        assert text[start : start + 20] == chunk.page_content[:20]
        assert len(chunk.page_content) <= 400
    truth = words_by_chapter(text)
    for chapter, words in truth.items():
        kept = [w for c in chunks if c.metadata["chapter"] == chapter for w in c.page_content.split()]
        assert kept == words


@books
def test_the_same_text_gives_the_same_ids_and_no_two_are_alike(data_dir: Path, name: str) -> None:
    text = read(data_dir, name)
    first, second = (preprocess([text], source=name, chunk_size=400) for _ in range(2))
    ids = [chunk.id for chunk in first]
    assert ids == [chunk.id for chunk in second]
    assert len(set(ids)) == len(ids)


@books
def test_a_changed_paragraph_changes_only_the_ids_of_its_chunks(data_dir: Path, name: str) -> None:
    text = read(data_dir, name)
    place = text.index("\n\n", len(text) // 2) + 2
    changed = text[:place] + "Quite a different sentence stands here now. " + text[place:]
    before, after = (
        preprocess([version], source=name, chunk_size=400, chunk_overlap=0) for version in (text, changed)
    )
    new = [chunk for chunk in after if chunk.id not in {old.id for old in before}]
    assert 1 <= len(new) <= 4
    spots = sorted(after.index(chunk) for chunk in new)
    assert all(b - a == 1 for a, b in pairwise(spots))
