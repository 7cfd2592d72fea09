"""Elasticsearch: ELSER, client-side sparse, dense kNN, BM25, and several at once."""

from __future__ import annotations

from importlib.util import find_spec

from vectorface.errors import MissingExtraError

if find_spec("elasticsearch") is None:
    raise MissingExtraError(
        "ElasticsearchDB needs the packages of an extra: pip install 'vectorface[elasticsearch]'."
    )

from vectorface.backends.elasticsearch.cluster.pipelines import Pipeline, Pipelines, Simulated
from vectorface.backends.elasticsearch.copying.moving import MoveReport, amove_to_elser, move_to_elser
from vectorface.backends.elasticsearch.copying.reindex import ELSER_BATCH, areindex, reindex
from vectorface.backends.elasticsearch.copying.tasks import ReindexFailure, ReindexProgress, ReindexTask
from vectorface.backends.elasticsearch.elser.deployments import (
    AdaptiveAllocations,
    Deployment,
    ModelStatus,
    NodeDeployment,
    TrainedModel,
)
from vectorface.backends.elasticsearch.elser.doctor import Diagnosis, Finding
from vectorface.backends.elasticsearch.elser.facts import Facts, NodeLoad, PipelineStats
from vectorface.backends.elasticsearch.elser.model import ElserModel
from vectorface.backends.elasticsearch.elser.nodes import MlNode
from vectorface.backends.elasticsearch.elser.planning import Placement, Plan, Wanted
from vectorface.backends.elasticsearch.expansion import Elser, SemanticText
from vectorface.backends.elasticsearch.hybrid import Hybrid
from vectorface.backends.elasticsearch.sparse import Pruning, SparseEncoder
from vectorface.backends.elasticsearch.store import ElasticsearchDB
from vectorface.backends.elasticsearch.strategies import BM25, Dense, Strategy

__all__ = [
    "BM25",
    "ELSER_BATCH",
    "AdaptiveAllocations",
    "Dense",
    "Deployment",
    "Diagnosis",
    "ElasticsearchDB",
    "Elser",
    "ElserModel",
    "Facts",
    "Finding",
    "Hybrid",
    "MlNode",
    "ModelStatus",
    "MoveReport",
    "NodeDeployment",
    "NodeLoad",
    "Pipeline",
    "PipelineStats",
    "Pipelines",
    "Placement",
    "Plan",
    "Pruning",
    "ReindexFailure",
    "ReindexProgress",
    "ReindexTask",
    "SemanticText",
    "Simulated",
    "SparseEncoder",
    "Strategy",
    "TrainedModel",
    "Wanted",
    "amove_to_elser",
    "areindex",
    "move_to_elser",
    "reindex",
]
