"""What can only be seen in a process of its own: import costs, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from vectorface import embeddings
from vectorface.embeddings._model_files import ModelFiles


def run(code: str) -> str:
    """Run ``code`` in a new interpreter and return what it prints."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_loads_no_library() -> None:
    assert (
        run("""
        import sys
        import vectorface.embeddings
        print([name for name in ("numpy", "onnxruntime", "langchain_core") if name in sys.modules])
    """)
        == "[]"
    )


def test_identifying_and_making_a_model_opens_nothing(files: ModelFiles) -> None:
    assert files.model.is_file()
    assert (
        run("""
        import sys
        from vectorface.embeddings import MiniLM, identify
        identify(MiniLM())
        print([name for name in ("onnxruntime", "tokenizers", "chromadb", "torch") if name in sys.modules])
    """)
        == "[]"
    )


def test_every_public_name_loads() -> None:
    assert all(getattr(embeddings, name) is not None for name in embeddings.__all__)
    assert set(embeddings.__all__) <= set(dir(embeddings))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Word2Vec'"):
        embeddings.Word2Vec  # noqa: B018 - reading it is the test


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_embeds_what_its_parent_embeds(files: ModelFiles) -> None:
    assert files.model.is_file()
    assert (
        run("""
        import multiprocessing
        from vectorface.embeddings import MiniLM

        model = MiniLM(threads=2)
        texts = ["lamp", "a keeper of the light", "storm"]
        expected = model.embed_documents(texts)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print([vectors == expected for vectors in pool.map(model.embed_documents, [texts] * 4)])
    """)
        == "[True, True, True, True]"
    )
