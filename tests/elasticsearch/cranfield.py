"""The Cranfield collection: 1,398 abstracts, 225 questions, and which abstracts answer each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytrec_eval
from langchain_core.documents import Document

#: Answers by question: document id and how relevant it is; 1 where it is judged relevant at all.
Judgements = Mapping[str, Mapping[str, int]]
Ranking = Mapping[str, Mapping[str, float]]


def documents(folder: Path) -> list[Document]:
    """Return the abstracts, which begin with their titles; two have no text and are left out."""
    records = _records(folder / "cran.all.1400")
    return [
        Document(id=number, page_content=text, metadata={"number": int(number)})
        for number, text in ((number, _text(record, "W")) for number, record in records)
        if text
    ]


def questions(folder: Path) -> dict[str, str]:
    """Return the questions by their number in the judgements, which is their place in the file."""
    records = _records(folder / "cran.qry")
    return {str(place): _text(record, "W") for place, (_, record) in enumerate(records, start=1)}


def judgements(folder: Path) -> Judgements:
    """Return which abstracts answer each question; the graded judgements are taken as yes or no."""
    found: dict[str, dict[str, int]] = {}
    for question, document, code in re.findall(
        r"^(\d+) (\d+) (-?\d+)", _read(folder / "cranqrel"), re.MULTILINE
    ):
        if int(code) > 0:
            found.setdefault(question, {})[document] = 1
    return found


def quality(ranking: Ranking, judged: Judgements) -> tuple[float, float]:
    """Return nDCG@10 and recall@100, by trec_eval, averaged over the questions."""
    evaluator = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10", "recall.100"})
    scores = evaluator.evaluate({question: dict(found) for question, found in ranking.items()}).values()
    count = len(judged)
    return (
        sum(score["ndcg_cut_10"] for score in scores) / count,
        sum(score["recall_100"] for score in scores) / count,
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="latin-1")


def _records(path: Path) -> list[tuple[str, str]]:
    parts = re.split(r"^\.I\s+(\d+)\s*$", _read(path), flags=re.MULTILINE)[1:]
    return [(str(int(number)), record) for number, record in zip(parts[::2], parts[1::2], strict=True)]


def _text(record: str, fields: str) -> str:
    found = dict(re.findall(r"^\.([TABW])\s*\n(.*?)(?=^\.[TABW]\s*$|\Z)", record, re.MULTILINE | re.DOTALL))
    return " ".join(" ".join(found.get(field, "").split()) for field in fields).strip()
