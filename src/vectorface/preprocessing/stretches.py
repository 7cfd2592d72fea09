"""Which stretches of a chapter belong to which document."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from langchain_core.documents import Document  # noqa: TC002 - get_type_hints() needs it

from vectorface.preprocessing.outlines import Section


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a text, and the document it is from."""

    start: int
    end: int
    document: Document


def stretches_of(section: Section, units: Sequence[Stretch], text: str) -> list[Stretch]:
    """Cut the documents' stretches at a section's ends.

    What another stretch of the section holds entirely is left out: it is the overlap of a chunk that was cut.
    A stretch that holds nothing but the heading, or a part of it, goes along with the next.

    Args:
        section: The chapter, or what lies outside the chapters.
        units: Where the documents lie, beginnings and ends ascending.
        text: The text.

    Returns:
        The stretches in order, none of them blank.
    """
    found: list[Stretch] = []
    for stretch in _inside(section, units, text):
        if found and stretch.end <= found[-1].end:
            continue
        if found and (found[-1].end <= section.body or stretch.start == found[-1].start):
            found[-1] = replace(stretch, start=found[-1].start)
        else:
            found.append(stretch)
    return found


def _inside(section: Section, units: Sequence[Stretch], text: str) -> Iterator[Stretch]:
    first = bisect_right(units, section.start, key=lambda unit: unit.end)
    for index in range(first, len(units)):
        unit = units[index]
        if unit.start >= section.end:
            return
        start, end = max(unit.start, section.start), min(unit.end, section.end)
        inner = text[start:end] if end == unit.end else text[start:end].rstrip()
        if inner.strip():
            yield Stretch(start, start + len(inner), unit.document)
