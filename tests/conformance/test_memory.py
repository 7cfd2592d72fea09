"""The reference keeps the whole contract."""

from __future__ import annotations

from typing import Any

from vectorface import InMemoryDB
from vectorface.testing import DenseContract, StoreContract


class TestInMemoryDB(StoreContract, DenseContract):
    def make(self, embeddings: Any) -> InMemoryDB:
        return InMemoryDB(embeddings)

    def connect(self, store: Any, index: str, **options: Any) -> InMemoryDB:
        connected: InMemoryDB = store.connect(index=index, **options)
        return connected
