"""Which lines are chapter headings, and what they say."""

from __future__ import annotations

import unicodedata

import pytest

from tests.preprocessing.stories import STYLES, expect_story, make_story
from vectorface.preprocessing import find_headings, outline, preprocess


def found(text: str) -> list[tuple[int | None, str | None]]:
    return [(heading.number, heading.title) for heading in find_headings(text)]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_style_is_known_with_any_line_end(style: str, line_end: str) -> None:
    story = make_story(style, chapters=16, seed=11, wrapped=True)
    expect_story(preprocess([story.text.replace("\n", line_end)], chunk_size=500), story)


@pytest.mark.parametrize(
    ("heading", "number", "title"),
    [
        ("CHAPTER I.", 1, None),
        ("CHAPTER THE FIRST", 1, None),
        ("The First Chapter", 1, None),
        ("1st. Chapter", None, None),
        ("Twenty-First Chapter", 21, None),
        ("Chapter Twenty One", 21, None),
        ("Chapter One Hundred and Five", 105, None),
        ("Chapter 0: Before", 0, "Before"),
        ("Chap. 7", 7, None),
        ("--- Chapter 7 ---", 7, None),
        ("# Chapter 7 #", 7, None),
        ("【Chapter 7】 The Lamp", 7, "The Lamp"),
        ("[Chapter 7]: The Lamp", 7, "The Lamp"),
        ("CHAPTER VII — The Lamp", 7, "The Lamp"),
        ("Chapter 7\tThe Lamp", 7, "The Lamp"),
        ("Chapter 7 Who Stole the Tarts?", 7, "Who Stole the Tarts?"),
        ("\fChapter\u00a07", 7, None),
        ("\ufeffChapter 7", 7, None),
        ("Chapitre premier", 1, None),
        ("Chapitre dix-sept", 17, None),
        ("Erstes Kapitel", 1, None),
        ("Kapitel 3: Die Lampe", 3, "Die Lampe"),
        ("Capítulo primero", 1, None),
        ("Capitolo secondo", 2, None),
        ("Глава 7", 7, None),
        ("第十二章", 12, None),
        ("第二〇章 灯", 20, "灯"),
        ("第一百零五回：灯", 105, "灯"),
        ("第３章", 3, None),
        ("第3章灯火", 3, "灯火"),
        ("제3장 등불", 3, "등불"),
    ],
)
def test_one_heading_alone_is_read(heading: str, number: int | None, title: str | None) -> None:
    expected = [] if number is None else [(number, title)]
    assert found(f"{heading}\n\nIt was dark, and Nan lit it. 他走了。") == expected


@pytest.mark.parametrize(
    "line",
    [
        "Chapter 3 we saw.",
        "Chapter 3's lamp was lit.",
        "Chapter 3.2 The Lamp",
        "Chapter 3-5",
        "Chapter 3, where the lamp is lit,",
        "Chapter 3 ..... 17",
        "Chapter 3 The Lamp      17",
        "Chapter 3\t17",
        "Chapter 3 17",
        "Chapter 3 The lamp is lit by Nan, who then goes home, and there she finds her mother,",
        "Chapter three of my life was over.",
        "Chapter XIIII",
        "Chapters 3",
        "[ Chapter 3",
        "in Chapter 3 we saw the lamp",
        "Figure 3",
        "May I",
        "Then I",
        "第三章里我们看到，他走了。",
        "第三章里我们看到他点亮了灯然后他走了很久很久才回来见到了他的母亲",
        "#hashtag",
    ],
)
def test_a_line_that_only_mentions_a_chapter_is_none(line: str) -> None:
    assert found(f"It was dark.\n\n{line}\n\nNan lit the lamp.") == []


def test_a_title_that_is_a_wrapped_sentence_is_no_heading() -> None:
    assert found("It was dark, and as we told you in\nChapter 3 Nan had lit the lamp\nbefore.") == []


def test_a_mention_on_a_line_of_its_own_does_not_stand_against_the_count() -> None:
    text = (
        "Chapter 1\n\nAs told in\nChapter 3.\nby Nan.\n\n"
        "Chapter 2\n\nDark.\n\n"
        "Chapter 3\n\nSee\nChapter 1.\nagain."
    )
    [_, _, third] = find_headings(text)
    assert (third.number, third.start) == (3, text.index("Chapter 3\n"))


def test_a_chapter_whose_text_goes_on_in_the_headings_line_is_found_without_a_title() -> None:
    text = "".join(f"Chapter {n}. It was dark, {'and ' * 40}cold.\n\n" for n in (1, 2, 3))
    assert found(text) == [(1, None), (2, None), (3, None)]
    assert found(f"PART 1\n\n{text}PART 2\n\n{text}") == found(text) * 2


@pytest.mark.parametrize(
    ("below", "title"),
    [
        ("The Lamp\n\nIt was dark.", "The Lamp"),
        ("\nThe lamp in the harbour\n\nIt was dark.", "The lamp in the harbour"),
        ("\n\nTHE LAMP.\nIt was dark.", "THE LAMP."),
        ("THE LAMP OF\nTHE HARBOUR\nIt was dark.", "THE LAMP OF THE HARBOUR"),
        ("Silver Keys and Ash\nIt was dark.", "Silver Keys and Ash"),
        ("- we meet the lamp\nIt was dark.", "we meet the lamp"),
        ("**The Lamp**\n\nIt was dark.", "The Lamp"),
        ("Who Lit the Lamp?\n\nIt was dark.", "Who Lit the Lamp?"),
        ("灯火\n\n他走了。", "灯火"),
        ("The Lamp", None),
        ("The lamp was lit\nand it was dark.", None),
        ("It was dark.\n\nNan lit it.", None),
        ("“Nan!”\n\nNo answer.", None),
        ("nan lit it\n\nIt was dark.", None),
        ("- Hello, said Nan.\nIt was dark.", None),
        ("\n\n\n\n\nThe Lamp\n\nIt was dark.", None),
        ("* * *\n\nIt was dark.", None),
        ("他走了。\n\n她来了。", None),
        ("", None),
    ],
)
def test_the_title_may_stand_below(below: str, title: str | None) -> None:
    assert found(f"Chapter 1\n{below}") == [(1, title)]


CONTENTS = [
    "Contents\n\nChapter 1: The Lamp\nChapter 2: The Door\nChapter 3: Salt",
    "Chapter 1: The Lamp\n\nChapter 2: The Door\n\nChapter 3: Salt",
    "Chapter 1 ..... 1\nChapter 2 ..... 7\nChapter 3 ..... 12",
    "   I. The Lamp\n  II. The Door\n III. Salt",
    "1. The Lamp\n2. The Door\n3. Salt",
    "- [Chapter 1](#1)\n- [Chapter 2](#2)\n- [Chapter 3](#3)",
    "Contents\n\nChapter 1 The Lamp 10\nChapter 2 The Door 20\nChapter 3 Salt 30",
    "Contents\n\nChapter 1 The Lamp\nChapter 2 The Door\nChapter 3 Salt",
    "Chapter 1\nA lamp is lit.\nChapter 2\nA door is shut.\nChapter 3\nSalt is found.",
]


@pytest.mark.parametrize(
    "text",
    [
        "Kapitel vier\n\nText eins.\n\nKapitel fünf\n\nText zwei.\n\nKapitel sechs\n\nText drei.",
        "Prólogo\n\nAntes.\n\nCapítulo 1: La lámpara él\n\nUno.\n\nCapítulo 2\n\nDos.\n\nEpílogo\n\nFin.",
        "## Été\n\nUn.\n\n## Hôtel\n\nDeux.",
        "제1장 등대\n\n하나.\n\n제2장 바다\n\n둘.",
    ],
)
def test_accents_may_stand_beside_their_letters(text: str) -> None:
    apart = unicodedata.normalize("NFD", text)
    [found], [usual] = outline([apart]), outline([text])
    assert [(one.number, one.title) for one in found.chapters] == [
        (one.number, one.title) for one in usual.chapters
    ]
    assert len(found.chapters) > 1
    pairs = zip(found.chapters, usual.chapters, strict=True)
    assert all(
        unicodedata.normalize("NFC", apart[one.start : one.end]) == text[other.start : other.end]
        for one, other in pairs
    )


@pytest.mark.parametrize("contents", CONTENTS)
@pytest.mark.parametrize("style", ["roman, title", "plain", "markdown, numbered", "a word that counts"])
def test_a_table_of_contents_is_no_run_of_chapters(contents: str, style: str) -> None:
    story = make_story(style, chapters=3, seed=12, paragraphs=9)
    expect_story(preprocess([f"{contents}\n\nA preface of a few words.\n\n{story.text}"]), story)


def test_a_table_of_two_entries_is_none_either() -> None:
    text = "Chapter 1\nChapter 2\n\nChapter 1\n\nIt was dark.\n\nChapter 2\n\nIt was light."
    assert [heading.start for heading in find_headings(text)] == [21, 46]


def test_a_table_of_contents_alone_has_no_chapters() -> None:
    assert found("Chapter 1\nChapter 2\nChapter 3\n\nThat is all.") == []


def test_numbered_parts_within_a_chapter_are_none() -> None:
    part = "\n\n{}.\n\nIt was dark, and Nan lit the lamp."
    body = "".join(part.format(number) for number in ("I", "II", "III"))
    text = "\n\n".join(f"ADVENTURE {number}. THE LAMP{body}" for number in ("I", "II", "III"))
    assert found(text) == [(1, "THE LAMP"), (2, "THE LAMP"), (3, "THE LAMP")]


def test_numbered_parts_of_stories_without_numbers_are_no_chapters() -> None:
    story = "THE {}\n\nI.\n\nIt was dark.\n\nII.\n\nIt was light.\n\n"
    assert found(story.format("LAMP") + story.format("DOOR")) == []


def test_sections_with_titles_within_the_last_chapter_do_not_go_on_counting() -> None:
    text = "CHAPTER I\n\nDark.\n\nI. THE LAMP\n\nLit.\n\nII. THE DOOR\n\nShut.\n\nIII. SALT\n\nFound."
    assert found(text) == [(1, None)]


def test_chapters_may_go_on_counting_in_another_style() -> None:
    text = "TALE I. THE LAMP\n\nLit.\n\nTALE II. THE DOOR\n\nShut.\n\nIII. SALT\n\nFound.\n\nIV. ASH\n\nEnd."
    assert found(text) == [(1, "THE LAMP"), (2, "THE DOOR"), (3, "SALT"), (4, "ASH")]


def test_chapters_may_begin_anew_in_each_volume() -> None:
    volume = "PART {}\n\nChapter 1\n\nDark.\n\nChapter 2\n\nLight.\n\n"
    numbers = [number for number, _ in found(volume.format("ONE") + volume.format("TWO"))]
    assert numbers == [1, 2, 1, 2]


def test_a_running_head_repeats_the_chapter_it_is_in() -> None:
    text = "Chapter 1\n\nDark.\n\nChapter 1\n\nCold.\n\nChapter 2\n\nLight.\n\nChapter 2\n\nWarm."
    assert [(heading.number, heading.start) for heading in find_headings(text)] == [(1, 0), (2, 36)]


def test_headings_may_be_missing() -> None:
    text = "".join(f"Chapter {n}\n\nIt was dark.\n\n" for n in (2, 3, 7, 8))
    assert [number for number, _ in found(text)] == [2, 3, 7, 8]


@pytest.mark.parametrize(
    "text", ["Book VII\n\nDark.", "VII. THE LAMP\n\nDark.", "I.\n\nDark.", "III.\n\nDark.\n\nIV.\n\nLit."]
)
def test_a_weak_style_needs_a_count_from_one(text: str) -> None:
    assert found(text) == []


def test_a_word_that_counts_may_be_an_excerpt_if_it_counts_on() -> None:
    assert [number for number, _ in found("Day 5\n\nDark.\n\nDay 6\n\nLit.\n\nDay 7\n\nOut.")] == [5, 6, 7]


def test_a_weak_style_may_not_leave_numbers_out() -> None:
    assert found("I. ASH\n\nDark.\n\nIII. SALT\n\nLit.") == []


def test_a_doubtful_line_alone_is_no_chapter() -> None:
    assert found("It was dark as told in\nChapter 3\nof the book.") == []


def test_a_prologue_and_an_epilogue_are_parts_without_numbers() -> None:
    text = "Prologue\n\nOnce.\n\nChapter 1\n\nDark.\n\nEPILOGUE\n\nEver after."
    assert found(text) == [(None, "Prologue"), (1, None), (None, "EPILOGUE")]


@pytest.mark.parametrize(
    ("prologue", "epilogue"),
    [
        ("PROLOGUE: THE NIGHT", "EPILOGUE: THE DAY"),
        ("Prologue - A Night", "Epilogue: After"),
        ("Prologue. The Night", "Épilogue — Le jour"),
    ],
)
@pytest.mark.parametrize("line", ["{}", "# {}", "**{}**", "[ {} ]"])
def test_a_prologue_and_an_epilogue_may_have_titles(line: str, prologue: str, epilogue: str) -> None:
    text = f"{line.format(prologue)}\n\nOnce.\n\nChapter 1\n\nDark.\n\n{line.format(epilogue)}\n\nEver after."
    assert found(text) == [(None, prologue), (1, None), (None, epilogue)]


@pytest.mark.parametrize("line", ["Epilogue - that is, the end", "Prologue: The night, which was long,"])
def test_a_sentence_about_a_prologue_is_none(line: str) -> None:
    assert found(f"{line}\n\nChapter 1\n\nDark.\n\n{line}\n\nLit.") == [(1, None)]


def test_what_counts_in_another_style_before_the_chapters_is_kept() -> None:
    letters = "".join(f"Letter {n}\n\nDear Nan, it is dark.\n\n" for n in (1, 2))
    chapters = "".join(f"Chapter {n}\n\nIt was dark.\n\n" for n in (1, 2, 3))
    text = f"The Lamp\n\n{letters}{chapters}"
    assert found(text) == [(None, "Letter 1"), (None, "Letter 2"), (1, None), (2, None), (3, None)]
    assert found(f"{text}Letter 3\n\nDear Nan.") == [(1, None), (2, None), (3, None)]  # they count chapters
    short = "Letter 1\nabout ash\n\nLetter 2\nabout salt\n\n"
    assert found(short + chapters.replace("dark.", "dark. " + "It was cold. " * 40)) == found(chapters)


def books(*chapters: int) -> str:
    """Write books of so many chapters each."""
    return "".join(
        f"BOOK {numeral}\n\n" + "".join(f"Chapter {n + 1}\n\nIt was dark.\n\n" for n in range(count))
        for numeral, count in zip(("I", "II", "III"), chapters, strict=False)
    )


@pytest.mark.parametrize("counts", [(2, 1), (2, 1, 2), (1, 1, 1), (1, 2, 1), (3, 3)])
@pytest.mark.parametrize("contents", [False, True])
def test_a_part_may_have_a_single_chapter(counts: tuple[int, ...], contents: bool) -> None:  # noqa: FBT001
    text = books(*counts)
    listed = text.replace("It was dark.\n\n", "").replace("\n\n", "\n") if contents else ""
    headings = find_headings(f"{listed}\n\n{text}")
    assert [(heading.number, heading.title) for heading in headings] == [
        (n + 1, None) for count in counts for n in range(count)
    ]
    assert headings[0].start >= len(listed)


def test_a_part_in_a_running_head_begins_nothing_anew() -> None:
    heads = [("I", 1), ("I", 1), ("I", 2), ("I", 2), ("II", 3), ("II", 3)]
    text = "".join(f"BOOK {book}\n\nChapter {chapter}\n\nDark.\n\n" for book, chapter in heads)
    assert [number for number, _ in found(text)] == [1, 2, 3]


def test_a_heading_is_no_title() -> None:
    scenes = "ACT {}\n\nSCENE I\n\nDark.\n\nSCENE II\n\nLit.\n\n"
    assert found(scenes.format("I") + scenes.format("II")) == [(1, None), (2, None)]
    assert found("BOOK I\n\nChapter 7\n\nDark.\n\nBOOK II\n\nSalt.\n\nBOOK III\n\nAsh.")[0] == (1, None)


def test_a_title_may_count_the_chapters_in_its_own_words() -> None:
    text = "Chapter 1\n\nDay One\n\nDark.\n\nChapter 2\n\nDay Two\n\nLit."
    assert found(text) == [(1, "Day One"), (2, "Day Two")]


def test_an_end_marker_is_no_title() -> None:
    assert found("Chapter 1\n\nDark.\n\nChapter 2\n[ END ]\n\nPrinted here.") == [(1, None), (2, None)]
    assert found("Chapter 1\n\nThe End\n\nDark.") == [(1, "The End")]


MARKDOWN = """# The Lamp

A word before.

## The Harbour

Dark.

### A boat

```python
# no heading
## nor this
```

## The Sea ##

Light.
"""


def test_markdown_takes_the_outermost_level_of_which_there_are_several() -> None:
    assert found(MARKDOWN) == [(1, "The Harbour"), (2, "The Sea")]


def test_markdown_headings_may_have_their_own_numbers() -> None:
    assert found("# 2. Ash\n\nDark.\n\n# 4. Salt\n\nLit.") == [(2, "Ash"), (4, "Salt")]
    assert found("# 4. Ash\n\nDark.\n\n# 2. Salt\n\nLit.") == [(1, "4. Ash"), (2, "2. Salt")]


def test_a_single_markdown_heading_counts_where_a_text_begins_with_it() -> None:
    assert found("# The Lamp\n\nDark.") == [(1, "The Lamp")]
    assert found("Dark.\n\n# a comment\n\nLit.") == []


def test_markdown_sections_do_not_stand_against_a_chapter() -> None:
    assert found("# Chapter 5\n\n## Ash\n\nDark.\n\n## Salt\n\nLit.") == [(5, None)]
    assert found("# Chapter 5\n\n## Ash\n\nDark.\n\n") == [(5, "Ash")]


def test_a_tilde_does_not_close_a_fence_of_backticks() -> None:
    assert found("# Ash\n\n```\n~~~\n# no\n```\n\n# Salt\n\nLit.") == [(1, "Ash"), (2, "Salt")]


@pytest.mark.parametrize(
    "code",
    [
        "````\n```\n# no\n```\n# nor this\n````",
        "~~~\n~~~ python\n# no\n~~~~",
        "```\n```python\n# no\n```",
    ],
)
def test_a_shorter_fence_or_one_with_a_language_closes_none(code: str) -> None:
    assert found(f"# Ash\n\n{code}\n\n# Salt\n\nLit.") == [(1, "Ash"), (2, "Salt")]


def test_code_within_a_line_opens_no_fence() -> None:
    assert found("# Ash\n\n```lamp``` is lit.\n\n# Salt\n\nLit.") == [(1, "Ash"), (2, "Salt")]
