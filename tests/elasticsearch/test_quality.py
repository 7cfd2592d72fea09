"""Retrieval quality on the Cranfield collection, through the store."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document

from tests.elasticsearch import cranfield
from tests.elasticsearch.cranfield import Judgements, Ranking, quality
from tests.elasticsearch.stores import Stores
from vectorface import MiniLM, SpladeEmbeddings
from vectorface.backends.elasticsearch import BM25, Dense, Hybrid, SparseEncoder, Strategy

pytestmark = [
    pytest.mark.filterwarnings("ignore::vectorface.embeddings.TruncationWarning"),
    pytest.mark.xdist_group("cranfield"),
]

K = 100
#: How far a graph may be from exact search.
SAME = 0.005


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    return data_dir / "cranfield"


@pytest.fixture(scope="module")
def documents(folder: Path) -> list[Document]:
    return cranfield.documents(folder)


@pytest.fixture(scope="module")
def questions(folder: Path) -> dict[str, str]:
    return cranfield.questions(folder)


@pytest.fixture(scope="module")
def judged(folder: Path) -> Judgements:
    return cranfield.judgements(folder)


@pytest.fixture(scope="module")
def splade(splade_folder: Path) -> SpladeEmbeddings:
    import_module("torch").set_num_threads(1)  # more only wait for each other beside a second worker
    return SpladeEmbeddings(splade_folder, batch_size=8)


@pytest.fixture(scope="module")
def stores(elasticsearch_url: str) -> Iterator[Stores]:
    opener = Stores(elasticsearch_url)
    yield opener
    opener.close()


class Remembered:
    """An embedding that looks up what was embedded before, so that each text runs through a model once."""

    def __init__(self, model: Any, documents: list[str], questions: list[str]) -> None:
        self.identity = model.identity
        self._documents = dict(zip(documents, model.embed_documents(documents), strict=True))
        self._questions = {text: model.embed_query(text) for text in questions}

    def embed_documents(self, texts: list[str]) -> list[Any]:
        return [self._documents[text] for text in texts]

    def embed_query(self, text: str) -> Any:
        return self._questions[text]


@pytest.fixture(scope="module")
def dense(documents: list[Document], questions: dict[str, str]) -> Any:
    return Remembered(MiniLM(), [one.page_content for one in documents], list(questions.values()))


@pytest.fixture(scope="module")
def sparse(splade: SpladeEmbeddings, documents: list[Document], questions: dict[str, str]) -> Any:
    return Remembered(splade, [one.page_content for one in documents], list(questions.values()))


class Trial:
    """Ranks the collection by strategies, each on an index of its own."""

    def __init__(self, stores: Stores, documents: list[Document], questions: dict[str, str]) -> None:
        self._stores = stores
        self._documents = documents
        self._questions = questions

    def ranking(self, name: str, strategy: Strategy) -> Ranking:
        store = self._stores.open(strategy, name)
        assert store.upsert_parallel(self._documents).written == len(self._documents)
        answers = store.query_batch(list(self._questions.values()), k=K)
        return {
            question: {hit.id: hit.score for hit in hits}
            for question, hits in zip(self._questions, answers, strict=True)
        }


@pytest.fixture(scope="module")
def trial(stores: Stores, documents: list[Document], questions: dict[str, str]) -> Trial:
    return Trial(stores, documents, questions)


@pytest.fixture(scope="module")
def found(trial: Trial, judged: Judgements, dense: Any, sparse: Any) -> dict[str, tuple[float, float]]:
    """nDCG@10 and recall@100 of each strategy."""
    strategies: dict[str, Strategy] = {
        "bm25": BM25(),
        "dense": Dense(dense, index_type="flat"),
        "hnsw": Dense(dense),
        "sparse": SparseEncoder(sparse),
        "dense-bm25": Hybrid(Dense(dense), BM25()),
        "dense-sparse": Hybrid(Dense(dense), SparseEncoder(sparse)),
        "all-three": Hybrid(Dense(dense), SparseEncoder(sparse), BM25()),
    }
    return {name: quality(trial.ranking(name, strategy), judged) for name, strategy in strategies.items()}


@pytest.fixture(scope="module")
def exact(dense: Remembered, documents: list[Document], questions: dict[str, str]) -> Ranking:
    """The ranking by comparing each question with each document."""
    matrix = np.array(dense.embed_documents([one.page_content for one in documents]))
    ids = [str(one.id) for one in documents]
    ranking = {}
    for number, text in questions.items():
        scores = matrix @ np.array(dense.embed_query(text))
        best = np.argsort(-scores)[:K]
        ranking[number] = {ids[i]: float(scores[i]) for i in best}
    return ranking


@pytest.mark.parametrize("name", ["dense", "hnsw"])
def test_dense_is_as_good_as_exact_search(
    name: str, found: dict[str, tuple[float, float]], exact: Ranking, judged: Judgements
) -> None:
    for ours, best in zip(found[name], quality(exact, judged), strict=True):
        assert ours == pytest.approx(best, abs=SAME)


def test_each_strategy_is_as_good_as_its_model(found: dict[str, tuple[float, float]]) -> None:
    """What was measured on this collection, each with room for the next version of a model or analyzer."""
    measured = {"bm25": (0.349, 0.698), "dense": (0.395, 0.776), "sparse": (0.376, 0.728)}
    for name, (ndcg, recall) in measured.items():
        assert found[name][0] > ndcg - 0.01, (name, found[name])
        assert found[name][1] > recall - 0.01, (name, found[name])


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("dense-bm25", ["dense", "bm25"]),
        ("dense-sparse", ["dense", "sparse"]),
        ("all-three", ["dense", "sparse", "bm25"]),
    ],
)
def test_a_hybrid_is_better_than_each_of_its_parts(
    whole: str, parts: list[str], found: dict[str, tuple[float, float]]
) -> None:
    for part in parts:
        assert found[whole][0] > found[part][0], (whole, found[whole], part, found[part])
        assert found[whole][1] > found[part][1], (whole, found[whole], part, found[part])
