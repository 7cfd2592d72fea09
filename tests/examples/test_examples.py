"""The examples run from a clean state."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import vectorface
from tests.conftest import ROOT
from vectorface.preprocessing import outline

EXAMPLES = ROOT / "examples"
STORY = EXAMPLES / "data" / "the_lamp_at_gannet_rock.txt"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A fresh copy of the examples, so that running them changes nothing."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("*.ipynb"))])
def test_the_notebook_runs_from_a_clean_state(
    name: str, copied: Path, request: pytest.FixtureRequest
) -> None:
    if name.startswith("elasticsearch"):
        request.getfixturevalue("elasticsearch_in_environment")
    notebook = nbformat.read(copied / name, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs = []
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(copied)}})
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("*.ipynb"))])
def test_the_notebook_is_committed_with_its_outputs(name: str) -> None:
    notebook = nbformat.read(EXAMPLES / name, as_version=4)  # type: ignore[no-untyped-call]
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert not [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def run_demo(folder: Path) -> str:
    command = [sys.executable, str(EXAMPLES / "demo.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_demo_runs_and_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    first, second = run_demo(tmp_path), run_demo(tmp_path)
    count = int(re.findall(r"(\d+) written of", first)[0])
    assert count > 100
    assert f"0 written, {count} unchanged" in second


def test_the_story_has_ten_chapters_with_titles_and_the_rest_is_left_out() -> None:
    [found] = outline([STORY.read_text()])
    assert [chapter.number for chapter in found.chapters] == list(range(1, 11))
    assert all(chapter.title for chapter in found.chapters)
    assert {"front matter", "after the end marker", "noise"} <= {part.reason for part in found.dropped}


def test_the_store_answers_the_questions_about_the_story() -> None:
    """For most questions the best three chunks of the chapter hold the answer: what retrieval is for."""
    questions = json.loads((EXAMPLES / "data" / "questions.json").read_text())
    chunks = vectorface.preprocess([STORY.read_text()], source="story", chunk_size=400, chunk_overlap=40)
    with vectorface.connect("memory:story") as store:
        store.upsert_parallel(chunks)
        answered = [
            any(
                question["answer"] in " ".join(hit.text.split())
                for hit in store.query(question["question"], k=3, filter={"chapter": question["chapter"]})
            )
            for question in questions
        ]
    assert sum(answered) >= 0.85 * len(questions)
