"""Loading 1,300 chunks: through vectorface, as the OpenTutorial class does it, and by langchain-chroma."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import chromadb
import numpy as np
import psutil
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

from benchmarks._timing import Row, Times, interleave
from benchmarks.embedding import sample_text, sentence_transformer_folder
from tests.chroma_server import ChromaServer
from vectorface import ChromaDB, MiniLM

CHUNKS = 1_300
COSINE: Any = {"hnsw": {"space": "cosine"}}


def measure(*, quick: bool = False) -> Iterator[Row]:
    """Run every comparison; about 9 minutes on two cores."""
    chunks = sample_documents(200 if quick else CHUNKS)
    rounds = 2 if quick else 3
    yield from with_own_defaults(chunks, rounds)
    yield from with_one_embedder(chunks, rounds)
    yield overlap()
    yield from write_overhead(300 if quick else CHUNKS, rounds=3 if quick else 5)
    yield second_run(chunks)
    yield memory(10_000 if quick else 100_000)


def sample_documents(number: int) -> list[Document]:
    """Return the first chunks of a book, as LangChain's splitter makes them: up to 200 characters each."""
    splitter = RecursiveCharacterTextSplitter(chunk_size=200, chunk_overlap=20, add_start_index=True)
    chunks = splitter.create_documents([sample_text()], [{"source": "book"}])[:number]
    return [
        Document(
            id=f"chunk-{i}", page_content=chunk.page_content, metadata={**chunk.metadata, "chapter": i % 12}
        )
        for i, chunk in enumerate(chunks)
    ]


class PlainSentenceTransformer(Embeddings):
    """sentence-transformers as most people wrap it."""

    def __init__(self) -> None:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - loads slowly

        self._model = SentenceTransformer(str(sentence_transformer_folder()), device="cpu")

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode as the library does by default."""
        vectors: list[list[float]] = self._model.encode(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Encode one text."""
        return self.embed_documents([text])[0]


# -- three ways to load -----------------------------------------------------------------------------------


@contextmanager
def _directory() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        yield folder


def by_vectorface(chunks: Sequence[Document], embeddings: Any) -> None:
    """Load into a fresh directory with all defaults."""
    with _directory() as folder, ChromaDB(embeddings).connect(collection="bench", path=folder) as store:
        store.upsert_parallel(chunks)


def by_opentutorial(chunks: Sequence[Document], embeddings: Embeddings) -> None:
    """Load as the OpenTutorial class describes: 10 threads, each embedding and upserting batches of 32."""
    with raw_collection() as collection:

        def upsert(batch: Sequence[Document]) -> None:
            texts = [document.page_content for document in batch]
            collection.upsert(
                ids=[str(document.id) for document in batch],
                documents=texts,
                metadatas=[document.metadata for document in batch],
                embeddings=embeddings.embed_documents(texts),
            )

        with ThreadPoolExecutor(max_workers=10) as pool:
            list(pool.map(upsert, [chunks[i : i + 32] for i in range(0, len(chunks), 32)]))


def by_langchain(chunks: Sequence[Document], embeddings: Embeddings) -> None:
    """Load by ``langchain_chroma.Chroma.add_documents``."""
    with _directory() as folder:
        client = chromadb.PersistentClient(folder)
        Chroma("bench", embeddings, client=client, collection_configuration=COSINE).add_documents(
            list(chunks)
        )
        client.close()  # type: ignore[attr-defined]


def with_own_defaults(chunks: Sequence[Document], rounds: int) -> Iterator[Row]:
    """Compare each with its own defaults: ours with MiniLM, the others with sentence-transformers."""
    theirs = PlainSentenceTransformer()
    times = _race(chunks, MiniLM(), theirs, rounds)
    yield _ingest_row("each with its own defaults", times, "OpenTutorial", len(chunks), goal=1.5)
    yield _ingest_row("each with its own defaults", times, "langchain-chroma", len(chunks), goal=1.3)


def with_one_embedder(chunks: Sequence[Document], rounds: int) -> Iterator[Row]:
    """Compare with the same embedding object for all."""
    shared = PlainSentenceTransformer()
    times = _race(chunks, shared, shared, rounds)
    yield _ingest_row("same embedder", times, "OpenTutorial", len(chunks), goal=1.0)
    yield _ingest_row("same embedder", times, "langchain-chroma", len(chunks), goal=1.0)


def _race(chunks: Sequence[Document], ours: Embeddings, theirs: Embeddings, rounds: int) -> Times:
    return interleave(
        {
            "vectorface": lambda: by_vectorface(chunks, ours),
            "OpenTutorial": lambda: by_opentutorial(chunks, theirs),
            "langchain-chroma": lambda: by_langchain(chunks, theirs),
        },
        rounds=rounds,
    )


def _ingest_row(how: str, times: Times, other: str, number: int, *, goal: float) -> Row:
    return Row(
        name=f"ingest {number:,} chunks, {how}: faster than {other}",
        value=times.ratio(other, "vectorface"),
        goal=goal,
        detail=times.detail("vectorface", other),
    )


# -- overlap ----------------------------------------------------------------------------------------------


class SleepingEmbeddings(Embeddings):
    """A remote embedding: 50 ms a call, one call at a time."""

    max_concurrency = 1

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Wait, then answer."""
        time.sleep(0.05)
        return [[1.0, float(len(text))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Answer."""
        return [1.0, float(len(text))]


class SleepingChroma(ChromaDB):
    """A server that takes 50 ms a batch and does nothing."""

    def _write(self, entries: Any, mode: Any) -> dict[str, Exception]:
        del entries, mode
        time.sleep(0.05)
        return {}


def overlap() -> Row:
    """Compare with embedding and writing one after the other."""
    documents = sample_documents(640)
    with SleepingChroma(SleepingEmbeddings()).connect(collection="bench") as store:

        def one_after_the_other() -> None:
            for i in range(0, len(documents), 32):
                store.upsert(documents[i : i + 32])

        times = interleave(
            {
                "parallel": lambda: store.upsert_parallel(documents, batch_size=32),
                "one after the other": one_after_the_other,
            },
            rounds=3,
        )
    return Row(
        name="embedder and server that sleep 50 ms a batch: faster than one after the other",
        value=times.ratio("one after the other", "parallel"),
        goal=1.6,
        detail=times.detail("parallel", "one after the other"),
    )


# -- write overhead ---------------------------------------------------------------------------------------


def write_overhead(number: int, rounds: int) -> Iterator[Row]:
    """Compare ``upsert`` with vectors given to a raw ``collection.upsert``, each in its own directory."""
    chunks = sample_documents(number)
    vectors = np.random.default_rng(0).normal(size=(number, 384)).astype(np.float32)
    texts, metadatas = [one.page_content for one in chunks], [dict(one.metadata) for one in chunks]
    run = count()
    kinds: dict[str, Callable[[], list[str]]] = {
        "new": lambda: [f"{next(run)}-{i}" for i in range(number)],
        "existing": lambda: [f"same-{i}" for i in range(number)],
    }
    with (
        _directory() as folder,
        ChromaDB(embeddings=None).connect(collection="bench", path=folder) as store,
        raw_collection() as raw,
    ):
        for kind, ids in kinds.items():
            times = interleave(
                {
                    "vectorface": partial(
                        _apply, lambda ids: store.upsert(chunks, ids=ids, vectors=vectors), ids
                    ),
                    "Chroma": partial(_apply, lambda ids: raw.upsert(ids, vectors, metadatas, texts), ids),
                },
                rounds=rounds,
            )
            yield Row(
                name=f"upsert {number:,} {kind} ids with vectors: time beside raw `collection.upsert`",
                value=times.ratio("vectorface", "Chroma"),
                goal=1.15,
                at_most=True,
                detail=times.detail("vectorface", "Chroma"),
            )


def _apply(write: Callable[[list[str]], object], ids: Callable[[], list[str]]) -> None:
    write(ids())


@contextmanager
def raw_collection() -> Iterator[Any]:
    """Open a collection by Chroma's own client."""
    with _directory() as folder:
        client = chromadb.PersistentClient(folder)
        yield client.create_collection("bench", configuration=COSINE, embedding_function=None)
        client.close()  # type: ignore[attr-defined]


# -- running again, and memory ----------------------------------------------------------------------------


def second_run(chunks: Sequence[Document]) -> Row:
    """Compare a run that finds nothing changed with the first one."""
    with _directory() as folder, ChromaDB().connect(collection="bench", path=folder) as store:
        store.encoder.encode_query("load the model first")
        first = store.upsert_parallel(chunks, skip_unchanged=True)
        again = min(store.upsert_parallel(chunks, skip_unchanged=True).seconds for _ in range(3))
    return Row(
        name=f"`skip_unchanged` re-run of {len(chunks):,} chunks: faster than the first run",
        value=first.seconds / again,
        goal=30,
        detail=f"first {first.seconds * 1000:.4g} ms, again {again * 1000:.4g} ms",
    )


class TinyEmbeddings(Embeddings):
    """Eight numbers, no model: what is measured is the client."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the same vector for every text."""
        return [[0.5] * 8] * len(texts)

    def embed_query(self, text: str) -> list[float]:
        """Return that vector."""
        del text
        return [0.5] * 8


def memory(number: int) -> Row:
    """Stream documents to a Chroma server, from a process of its own; compare its memory early and late."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        seen, report = process.submit(streamed, number).result()
    early = seen[len(seen) // 4]
    return Row(
        name=f"stream {number:,} documents to a Chroma server: growth of the client after the first quarter",
        value=(max(seen) - early) / 1e6,
        goal=20,
        at_most=True,
        unit=" MB",
        detail=f"{early / 1e6:.0f} MB then; {report}",
    )


def streamed(number: int) -> tuple[list[int], str]:
    """Return the process's memory twenty times on the way, in bytes, and the report."""
    process = psutil.Process()
    seen: list[int] = []

    def stream() -> Iterator[Document]:
        for i in range(number):
            if i % (number // 20) == 0:
                seen.append(process.memory_info().rss)
            yield Document(page_content=f"Document {i}: " + "word " * 40, id=f"{i}", metadata={"i": i})

    with _directory() as folder, ChromaServer(Path(folder)) as server:
        store = ChromaDB(TinyEmbeddings()).connect(collection="bench", host=server.host, port=server.port)
        with store:
            report = store.upsert_parallel(stream())
    return seen, str(report)
