"""A real Elasticsearch node for tests, and the gateway in front of it."""
