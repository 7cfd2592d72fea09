"""Where a text is expanded: by a deployment or, if none has that id, by an inference endpoint.

Source: ``x-pack/plugin/ml/.../action/TransportCoordinatedInferenceAction.java``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.elastic.gateway.deploying import MachineLearning
from tests.elastic.gateway.deployments import Deployment, Urgency
from tests.elastic.gateway.encoder import Expansion
from tests.elastic.gateway.errors import ElasticError
from tests.elastic.gateway.results import model_input, result, results_field

#: ``InferModelAction.Request.DEFAULT_TIMEOUT_FOR_API``
API_TIMEOUT: Final = 10.0


class Endpoints(Protocol):
    """The inference endpoints, which may deploy their model when they are used first."""

    async def deployed(self, id: str, within: float | None) -> Deployment | None: ...


@dataclass
class Coordinator:
    """Expands texts by the id of a model, a deployment, an alias or an endpoint."""

    ml: MachineLearning
    endpoints: Endpoints

    async def expand(
        self, id: str, texts: list[str], *, urgency: Urgency, within: float | None
    ) -> tuple[str, list[Expansion]]:
        """Return what did it (an alias's model) and the expansions."""
        deployment = self.ml.deployed(id) or await self.endpoints.deployed(id, within)
        if deployment is None:
            reason = f"[{id}] is not an inference service model or a deployed ml model"
            raise ElasticError(404, "status_exception", reason)
        found = await self.ml.expand(deployment, texts, within=within, urgency=urgency)
        return self.ml.models.concrete(id), found

    async def texts(self, model_id: str, texts: list[str]) -> tuple[str, list[Expansion]]:
        """Expand texts of a document; writes wait as long as it takes (``DEFAULT_TIMEOUT_FOR_INGEST``)."""
        return await self.expand(model_id, texts, urgency=Urgency.WRITE, within=None)

    async def fields(
        self, model_id: str, fields: Mapping[str, Any], config: Mapping[str, Any] | None
    ) -> tuple[str, dict[str, Any]]:
        """Infer the field of a document that the model reads; return the model and the result."""
        deployment = self.ml.infer_target(model_id)
        model = self.ml.models.required(deployment.params.model_id)
        (found,) = await self.ml.expand(
            deployment, [model_input(model, fields)], within=None, urgency=Urgency.WRITE
        )
        return self.ml.models.concrete(model_id), result(model, results_field(model, config), found)

    async def query(self, id: str, text: str) -> dict[str, float]:
        """Return the tokens of a search's text."""
        _, (found,) = await self.expand(id, [text], urgency=Urgency.SEARCH, within=API_TIMEOUT)
        return found.tokens
