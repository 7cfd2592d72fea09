"""Chroma: in memory, in a directory, or on a server."""

from importlib.util import find_spec

from vectorface.errors import MissingExtraError

if find_spec("chromadb") is None or find_spec("filelock") is None:
    raise MissingExtraError("ChromaDB needs the packages of an extra: pip install 'vectorface[chroma]'.")

from vectorface.backends.chroma.store import ChromaDB

__all__ = ["ChromaDB"]
