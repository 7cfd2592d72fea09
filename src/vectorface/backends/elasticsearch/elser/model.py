"""ELSER in the cluster: download it, deploy it, use it, watch it, take it away."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from vectorface.asynchronous import twin_of
from vectorface.backends.elasticsearch.checks import check_name, check_seconds
from vectorface.backends.elasticsearch.cluster.access import TIMEOUT, Client
from vectorface.backends.elasticsearch.elser.deploying import DeployedModel
from vectorface.backends.elasticsearch.elser.deployments import Priority
from vectorface.backends.elasticsearch.elser.doctor import Diagnosis, diagnose
from vectorface.backends.elasticsearch.elser.facts import collect
from vectorface.backends.elasticsearch.elser.planning import Plan, Wanted, planned
from vectorface.backends.elasticsearch.elser.starting import check_size
from vectorface.backends.elasticsearch.inference import inferred, weights_of
from vectorface.backends.elasticsearch.processors import MAX_TOKENS, MODEL_ID
from vectorface.backends.elasticsearch.released import is_elser
from vectorface.embeddings import TruncationWarning
from vectorface.errors import InvalidInputError


class ElserModel(DeployedModel):
    """ELSER, Elastic's learned sparse encoder, in the cluster.

    A *model* is what was downloaded; a *deployment* runs it, with an id of its own and as many allocations
    (copies that work at the same time) of as many threads as it was given. More allocations mean more texts
    a second, more threads a quicker answer: Elastic advises one thread for loading documents and several for
    searching, in two deployments, so that searches need not wait for what is being loaded.

    Every method has an async twin: ``aensure``, ``ainfer`` and so on.

    Args:
        client: An ``elasticsearch.Elasticsearch``, or a connected ``ElasticsearchDB``.
        model_id: The model. ``.elser_model_2`` runs anywhere; ``.elser_model_2_linux-x86_64`` gives the same
            tokens and is quicker, on Linux with Intel's or AMD's processors alone.
        timeout: Seconds to wait for an answer, where ``client`` is Elasticsearch's own; what takes longer
            has a ``timeout`` itself.

    Raises:
        ConfigurationError: ``client`` reaches no cluster, or the id is not one.

    Example:
        One deployment for loading, one for searching::

            model = ElserModel(client)
            print(model.plan(allocations=4))
            model.ensure("elser-ingest", allocations=4, threads=1)
            model.ensure("elser-search", allocations=1, threads=4)
            store = ElasticsearchDB(Elser("elser-ingest", search_id="elser-search")).connect(...)
    """

    def __init__(self, client: Client, model_id: str = MODEL_ID, *, timeout: float = TIMEOUT) -> None:
        super().__init__(client, model_id, timeout=timeout)

    def infer(
        self, texts: Sequence[str], *, deployment_id: str | None = None, timeout: float = 30.0
    ) -> list[dict[str, float]]:
        """Return the weights of the tokens that the model sees in each text.

        Args:
            texts: Any number; 16 go in one request.
            deployment_id: Which deployment is to do it; any of the model's if left out.
            timeout: Seconds for one request.

        Returns:
            For each text a dict of tokens and weights above 0, in the order of the texts.

        Raises:
            InvalidInputError: Something is no text.
            ModelNotFoundError: There is no such model or deployment; the message says what the id is.
            ModelNotReadyError: It is not started.
            InferenceQueueFullError: Too much waits already.
            InferenceTimeoutError: The model did not answer in time.

        Warns:
            TruncationWarning: Texts were longer than the 512 tokens that ELSER reads.
        """
        name = self.model_id if deployment_id is None else deployment_id
        check_name("deployment_id", name)
        check_seconds("timeout", timeout)
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InvalidInputError("infer() takes a list of texts, and something in it is no text.")
        doing = f"expanding {len(texts)} texts by {name!r}"
        with self._naming(name):
            results = inferred(self._server, name, texts, timeout=timeout, doing=doing)
        if cut := sum(bool(result.get("is_truncated")) for result in results):
            warnings.warn(
                f"{cut} of {len(texts)} texts are longer than the {MAX_TOKENS} tokens that ELSER reads; what "
                "follows is not among their tokens.",
                TruncationWarning,
                stacklevel=2,
            )
        return [weights_of(result) for result in results]

    # -- what fits, and what holds it up ------------------------------------------------------------------

    def plan(
        self,
        *,
        allocations: int = 1,
        threads: int = 1,
        deployments: int = 1,
        priority: Priority = "normal",
        cache_size: str | None = None,
        deployment_id: str | None = None,
    ) -> Plan:
        """Say before anything is started whether it fits, where, and if not why and what would.

        Args:
            allocations: Copies of the model in a deployment.
            threads: Threads of each.
            deployments: How many such deployments.
            priority: ``normal`` or ``low``.
            cache_size: Memory for texts that come again, as in ``500mb``.
            deployment_id: One that runs and is to become like that: so it does not stand in its own way.

        Returns:
            The plan, made to be printed.

        Raises:
            ConfigurationError: Elasticsearch would refuse the arguments; nothing was sent.
            ModelNotFoundError: It is neither there nor one that the cluster can fetch.
            PermissionDeniedError: No ``monitor_ml``.
        """
        wanted = Wanted(
            model_id=self.model_id,
            allocations=allocations,
            threads=threads,
            deployments=deployments,
            priority=priority,
        )
        if cache_size is not None:
            check_size("cache_size", cache_size)
        if deployment_id is not None:
            check_name("deployment_id", deployment_id)
        size = self.status().size
        if size is None and not is_elser(self.model_id):
            with self._naming(self.model_id):
                self._described()  # which says that it is not there
        return planned(self._server, wanted, size=size or 0, cache_size=cache_size, without=deployment_id)

    def doctor(self) -> Diagnosis:
        """Say what holds the model up: node size, allocations, threads, queue, time-outs, pipelines.

        It reads the statistics of deployments, ingest pipelines and nodes, and what nodes are busy with.
        What is missing a privilege is left out, and named.

        Returns:
            What was found, the worst first, with the change to make; made to be printed.

        Raises:
            PermissionDeniedError: No ``monitor_ml``.

        Example:
            ::

                diagnosis = ElserModel(client).doctor()
                if not diagnosis.is_healthy:
                    print(diagnosis)
        """
        return diagnose(collect(self._server, self.status()))

    # -- async twins --------------------------------------------------------------------------------------

    ainfer = twin_of(infer)
    aplan = twin_of(plan)
    adoctor = twin_of(doctor)
