"""What Chroma leaves behind when it deletes a collection, and would give to somebody else.

It keeps the lists in the metadata of a deleted collection, and the next documents that are written, into
whichever collection, get them (https://github.com/chroma-core/chroma/issues/7594; 1.5.9 does so, in all
modes). Deleting a document takes its lists along, so documents with lists are deleted first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vectorface.backends.chroma.engine import MAX_DOCUMENTS
from vectorface.primitives import chunks

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection


def delete_collection(client: ClientAPI, name: str) -> None:
    """Delete a collection and leave nothing behind."""
    _delete_lists(client.get_collection(name, embedding_function=None))
    client.delete_collection(name)


def delete_all_lists(client: ClientAPI) -> None:
    """Delete what would be left behind of a database that is about to be deleted."""
    for collection in client.list_collections():
        _delete_lists(collection)


def _delete_lists(collection: Collection) -> None:
    for ids in chunks(_with_lists(collection), MAX_DOCUMENTS):
        collection.delete(ids=list(ids))


def _with_lists(collection: Collection) -> list[str]:
    """Return the ids of documents that have a list in their metadata."""
    found: list[str] = []
    offset = 0
    while True:
        page = collection.get(limit=MAX_DOCUMENTS, offset=offset, include=["metadatas"])
        for id_, metadata in zip(page["ids"], page["metadatas"] or [], strict=True):
            if any(isinstance(value, list) for value in (metadata or {}).values()):
                found.append(id_)
        offset += len(page["ids"])
        if len(page["ids"]) < MAX_DOCUMENTS:
            return found
