"""Stores on a real node, each on an index of its own."""

from __future__ import annotations

import uuid
from typing import Any

from elasticsearch import Elasticsearch

from vectorface.backends.elasticsearch import ElasticsearchDB, Strategy


class Stores:
    """Opens stores; at the end their indexes are deleted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._name = f"test-{uuid.uuid4().hex[:16]}"
        self._opened: list[ElasticsearchDB] = []

    def name(self, suffix: str = "") -> str:
        """Return the name of an index that only this test uses."""
        return f"{self._name}-{suffix}" if suffix else self._name

    def open(self, strategy: Strategy | None, suffix: str = "", **options: Any) -> ElasticsearchDB:
        """Return a connected store."""
        store = ElasticsearchDB(strategy)
        place = {} if "client" in options else {"url": self.url}
        settings = {"index": self.name(suffix), "shards": 1, "replicas": 0, **place, **options}
        store.connect(**settings)
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Delete what was made, and close."""
        with Elasticsearch(self.url) as client:
            made = client.indices.get(index=f"{self._name}*", expand_wildcards="all")
            for index in made:
                client.indices.delete(index=index)  # by name: the node refuses to delete by a pattern
        for store in self._opened:
            store.close()
