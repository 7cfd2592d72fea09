"""Stores by URL, and the life of a connection."""

from __future__ import annotations

import importlib.metadata
import pickle
from typing import Any

import pytest
from langchain_core.documents import Document

import vectorface
from vectorface import InMemoryDB
from vectorface.connecting import GROUP, connect
from vectorface.errors import ConfigurationError, IndexMismatchError, IndexNotFoundError, NotConnectedError
from vectorface.testing import WordEmbeddings


@pytest.mark.parametrize(
    ("url", "index"),
    [("memory:stories", "stories"), ("memory:", "vectorface"), ("memory:my%2Dstories", "my-stories")],
)
def test_a_url_names_an_index_in_memory(url: str, index: str) -> None:
    with connect(url, embeddings=None) as store:
        assert isinstance(store, InMemoryDB)
        assert store.index == index


def test_embeddings_are_passed_on() -> None:
    embeddings = WordEmbeddings()
    store = connect("memory:stories", embeddings=embeddings)
    assert getattr(store.encoder, "embeddings", None) is embeddings


@pytest.mark.parametrize("url", ["", "stories", "sqlite:stories", "memory", "://x", "MEMORY:x", None, 7])
def test_an_unknown_scheme_is_named_beside_those_that_are_known(url: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"known scheme \(chroma, chroma\+http.*memory\); write for"):
        connect(url)


def test_an_unknown_scheme_shows_no_secret() -> None:
    with pytest.raises(ConfigurationError, match=r"'sqlite://…@h/x\?key=…' does not start with") as caught:
        connect("sqlite://u:TOPSECRET@h/x?key=TOPSECRET")
    assert "TOPSECRET" not in str(caught.value)


@pytest.mark.parametrize("url", ["memory://host/stories", "memory:stories?x=1"])
def test_a_malformed_url_shows_how_it_should_read(url: str) -> None:
    with pytest.raises(ConfigurationError, match="should read 'memory:NAME'"):
        connect(url, embeddings=None)


def test_options_beside_the_url_go_to_the_backend() -> None:
    assert connect("memory:stories", embeddings=None, metric="l2").metric == "l2"
    with pytest.raises(IndexNotFoundError, match="There is no index 'stories'"):
        connect("memory:stories", embeddings=None, create=False)
    with pytest.raises(ConfigurationError, match="index='other': the URL says 'stories' already"):
        connect("memory:stories", embeddings=None, index="other")
    with pytest.raises(ConfigurationError, match=r"no option 'metrics'; it takes index, .*mean 'metric'\?"):
        connect("memory:stories", embeddings=None, metrics="l2")


def test_other_packages_may_add_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("lamp", "vectorface.backends.memory:InMemoryDB", GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == GROUP else [])
    with pytest.raises(ConfigurationError, match="should read 'memory:NAME'"):
        connect("lamp://x", embeddings=None)
    assert connect("lamp:stories", embeddings=None).index == "stories"


def test_every_public_name_leads_somewhere() -> None:
    assert set(vectorface.__all__) <= set(dir(vectorface))
    for name in vectorface.__all__:
        assert getattr(vectorface, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Lamp'"):
        _ = vectorface.Lamp


# -- the life of a connection -----------------------------------------------------------------------------


def test_a_store_in_memory_cannot_be_pickled() -> None:
    with pytest.raises(ConfigurationError, match="one process"):
        pickle.dumps(InMemoryDB(None).connect(index="stories"))
    with pytest.raises(ConfigurationError, match="not connected"):
        pickle.dumps(InMemoryDB(None))


def test_metric_and_dimension_are_there_without_connection() -> None:
    store = InMemoryDB(None)
    assert (store.metric, store.dimension) == ("cosine", None)


def test_an_unknown_metric_does_not_close_the_store() -> None:
    store = InMemoryDB(None).connect(index="stories")
    metric: Any = "manhattan"
    with pytest.raises(ConfigurationError, match="'cosine', 'l2' or 'dot'"):
        store.connect(index="stories", metric=metric)
    assert store.index == "stories"


def test_a_connect_that_fails_leaves_the_store_as_it_was() -> None:
    store = InMemoryDB(None)
    with pytest.raises(IndexNotFoundError, match=r"There is no index 'other'; existing: none\. To make it"):
        store.connect(index="other", create=False)
    with pytest.raises(NotConnectedError):
        store.count()
    store.connect(index="stories").upsert([Document(page_content="lamp")], vectors=[[1, 2]])
    with pytest.raises(IndexNotFoundError, match=r"There is no index 'other'; existing: stories\."):
        store.connect(index="other", create=False)
    assert (store.index, store.count()) == ("stories", 1)


def test_a_connected_store_checks_an_index_that_was_made_anew() -> None:
    store = InMemoryDB(None).connect(index="stories", metric="cosine")
    store.delete_index("stories")
    store.create_index("stories", metric="l2")
    with pytest.raises(IndexMismatchError, match="metric: index 'l2', here 'cosine'"):
        store.connect(index="stories", metric="cosine")
