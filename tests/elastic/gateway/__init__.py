"""An Elasticsearch for tests: a gateway before a real, stripped node that adds what the node lacks.

What the node knows is the node's own answer. The rest (machine learning, inference endpoints, ingest
pipelines, reindex, API keys, ``GET /``) follows Elastic's REST specification, YAML tests and error texts;
each module names its sources. Where it differs from Elasticsearch, the module says so.

    with Node() as node, Gateway(node.url, processors=4) as gateway:
        client = Elasticsearch(gateway.url)
"""

from tests.elastic.gateway.handle import Gateway

__all__ = ["Gateway"]
