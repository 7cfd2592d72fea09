"""The documentation is complete, and its links lead somewhere. Its code runs as tests by sybil."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import vectorface
from tests.conftest import ROOT
from vectorface import errors

REFERENCE = (ROOT / "docs" / "reference.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", vectorface.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    assert f"`{name}" in REFERENCE


METHODS = [name for name in vars(vectorface.VectorDBInterface) if not name.startswith("_")]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_interface_is_in_the_reference(name: str) -> None:
    plain = name[1:] if name.startswith("a") and name[1:] in METHODS else name
    assert re.search(rf"`(store\.)?{plain}\b", REFERENCE)


@pytest.mark.parametrize(
    "name", [n for n, v in vars(errors).items() if inspect.isclass(v) and v.__module__ == errors.__name__]
)
def test_every_error_is_drawn_in_the_tree(name: str) -> None:
    assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    broken = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not broken


def test_public_things_have_docstrings() -> None:
    undocumented = [name for name in vectorface.__all__ if not inspect.getdoc(getattr(vectorface, name))]
    assert not undocumented
