"""A trained model of the cluster: whether it is there, its download, its other names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from vectorface.asynchronous import twin_of
from vectorface.backends.elasticsearch.checks import (
    check_alias,
    check_deployment_id,
    check_model_id,
    check_name,
    check_seconds,
)
from vectorface.backends.elasticsearch.cluster.access import TIMEOUT, Client, Remote
from vectorface.backends.elasticsearch.cluster.pipelines import Pipelines
from vectorface.backends.elasticsearch.cluster.waiting import Deadline, ProgressCallback, tell, until
from vectorface.backends.elasticsearch.elser.deployments import (
    Deployment,
    ModelStatus,
    TrainedModel,
    deployments_of,
    model_of,
)
from vectorface.backends.elasticsearch.processors import INPUT_FIELD, MODEL_ID
from vectorface.backends.elasticsearch.released import is_elser, optimized
from vectorface.backends.elasticsearch.server import path_of
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    DeploymentExistsError,
    DeploymentInUseError,
    ModelNotFoundError,
    ModelNotReadyError,
)

#: Seconds in which a download of 440 MB, or a start, should be done.
PATIENCE: Final = 600.0
_MODELS: Final = "/_ml/trained_models"
_PAGE: Final = 100


class Model(Remote):
    """A trained model; :class:`ElserModel` adds what runs it.

    Args:
        client: What reaches the cluster.
        model_id: The model.
        timeout: Seconds to wait for an answer, where ``client`` is Elasticsearch's own.
    """

    def __init__(self, client: Client, model_id: str, *, timeout: float = TIMEOUT) -> None:
        check_seconds("timeout", timeout)
        check_model_id(model_id)
        super().__init__(client, timeout=timeout)
        self.model_id = model_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model_id!r})"

    # -- looking ------------------------------------------------------------------------------------------

    def status(self) -> ModelStatus:
        """Return the model and its deployments as they are now; a model that is not there is no error.

        Raises:
            BackendError: The cluster does not tell; :class:`PermissionDeniedError` without ``monitor_ml``.
        """
        try:
            model = self._described()
            rows = self._rows()
        except ModelNotFoundError:
            return ModelStatus(model_id=self.model_id, exists=False)
        return ModelStatus(
            model_id=self.model_id,
            exists=True,
            downloaded=model.downloaded is True,
            size=model.size,
            aliases=model.aliases,
            pipelines=max((row.get("pipeline_count", 0) for row in rows), default=0),
            deployments=deployments_of(rows),
        )

    def stats(self, deployment_id: str | None = None) -> tuple[Deployment, ...]:
        """Return the model's deployments with what they have done.

        Args:
            deployment_id: Of this one only; of all if left out.

        Raises:
            ModelNotFoundError: There is no such model, or no such deployment of it; the message says what the
                id is otherwise.
        """
        if deployment_id is not None:
            check_name("deployment_id", deployment_id)
        found = deployments_of(self._rows())
        if deployment_id is None:
            return found
        chosen = tuple(one for one in found if one.id == deployment_id)
        if not chosen:
            raise ModelNotFoundError(
                f"{self.model_id!r} has no deployment {deployment_id!r}. {self._what_is(deployment_id)}"
            )
        return chosen

    def list_models(self) -> list[TrainedModel]:
        """Return all models of the cluster, of whatever kind, by id.

        Raises:
            BackendError: The cluster does not tell.
        """
        found: list[TrainedModel] = []
        while True:
            answer = self._server.request(
                "GET",
                _MODELS,
                params={"from": len(found), "size": _PAGE},
                doing="listing models",
            )
            page = answer["trained_model_configs"]
            found += [model_of(config) for config in page]
            if not page or len(found) >= answer["count"]:
                return found

    def _described(self) -> TrainedModel:
        answer = self._server.request(
            "GET",
            self._path(),
            params={"include": "definition_status"},
            doing=f"looking up model {self.model_id!r}",
        )
        return model_of(answer["trained_model_configs"][0])

    def _rows(self) -> list[Mapping[str, Any]]:
        path = self._path("_stats")
        answer = self._server.request("GET", path, doing=f"reading statistics of model {self.model_id!r}")
        rows: list[Mapping[str, Any]] = answer["trained_model_stats"]
        return rows

    def _found(self, deployment_id: str) -> Deployment | None:
        return next((one for one in deployments_of(self._rows()) if one.id == deployment_id), None)

    def _path(self, *parts: str, of: str | None = None) -> str:
        return path_of("_ml", "trained_models", of or self.model_id, *parts)

    # -- the model ----------------------------------------------------------------------------------------

    def put(self) -> bool:
        """Have the cluster download the model, unless it has it; this does not wait for the download.

        Returns:
            Whether it is new.

        Raises:
            ConfigurationError: The model is none of Elastic's, which the cluster can fetch by itself.
            PermissionDeniedError: No ``manage_ml``, or the licence does not cover machine learning.
        """
        try:
            self._described()
        except ModelNotFoundError:
            return self._put()
        return False

    def _put(self) -> bool:
        if not is_elser(self.model_id):
            raise ConfigurationError(
                f"The cluster has no model {self.model_id!r} and can fetch ELSER alone ({MODEL_ID!r}, "
                f"{optimized(MODEL_ID)!r}); bring models of your own in with Elastic's eland. "
                f"{self._what_is(self.model_id)}".rstrip()
            )
        body = {"input": {"field_names": [INPUT_FIELD]}}
        try:
            self._server.request("PUT", self._path(), body=body, doing=f"adding model {self.model_id!r}")
        except DeploymentExistsError as error:
            if "machine learning model" not in str(error):
                raise  # the id is that of a deployment or an alias
            return False  # somebody else was quicker
        return True

    def wait_until_downloaded(
        self, *, timeout: float = PATIENCE, progress: ProgressCallback | None = None
    ) -> None:
        """Wait for the download to be complete.

        Args:
            timeout: Seconds.
            progress: Called with ``"downloading"`` and the share that is done, 0 to 1, or ``None`` where the
                cluster does not tell (before 8.12, or without the privilege ``monitor``).

        Raises:
            ModelNotFoundError: Nobody had the model downloaded: call :meth:`put`.
            ModelNotReadyError: It is not complete in time.
        """
        check_seconds("timeout", timeout)
        self._download(Deadline(timeout), timeout, progress)

    def _download(self, deadline: Deadline, timeout: float, progress: ProgressCallback | None) -> None:
        seen: list[float | None] = [None]

        def look() -> bool | None:
            if self._described().downloaded:
                return True
            seen[0] = self._download_share()
            tell(progress, "downloading", seen[0])
            return None

        def late() -> ModelNotReadyError:
            share = "" if seen[0] is None else f" ({seen[0]:.0%} are there)"
            return ModelNotReadyError(
                f"Model {self.model_id!r} is not downloaded after {timeout:g} seconds{share}. The cluster "
                "needs https://ml-models.elastic.co or a mirror (setting xpack.ml.model_repository); the "
                "index .ml-notifications-* tells why a download failed. If it goes on, "
                "wait_until_downloaded() waits longer; if not, delete() the model and put() it again."
            )

        until(look, timeout=deadline.left, late=late)
        tell(progress, "downloaded", 1.0)

    def _download_share(self) -> float | None:
        """Return how much of the model the task that downloads it has fetched (``ModelDownloadTask``)."""
        try:
            answer = self._server.request(
                "GET",
                "/_tasks",
                params={"actions": "*model_import*", "detailed": True},
                doing="looking how far the download is",
            )
        except BackendError:
            return None  # without the privilege to see tasks the share is unknown, and the wait goes on
        for node in answer.get("nodes", {}).values():
            for task in node.get("tasks", {}).values():
                status = task.get("status") or {}
                if str(task.get("description", "")).endswith(self.model_id) and status.get("total_parts"):
                    return float(status.get("downloaded_parts", 0) / status["total_parts"])
        return None

    def delete(self, *, force: bool = False) -> None:
        """Delete the model.

        Args:
            force: Even if it is deployed or a pipeline uses it; its deployments are stopped.

        Raises:
            ModelNotFoundError: There is none.
            DeploymentInUseError: It is deployed, or a pipeline uses it, and ``force`` is false.
        """
        with self._naming(self.model_id):
            self._server.request(
                "DELETE", self._path(), params={"force": force}, doing=f"deleting model {self.model_id!r}"
            )

    def set_alias(self, alias: str, *, reassign: bool = False) -> None:
        """Give the model another name, which pipelines and searches can use.

        Args:
            alias: Lower-case; it does not end in a digit.
            reassign: Take it from the model that has it. That is how a cluster changes to a newer model
                without a change of pipelines; the model must be deployed if the other one is.

        Raises:
            ConfigurationError: Elasticsearch would refuse the name.
            DeploymentExistsError: Another model has it, or is called so.
            ModelNotFoundError: There is no such model.
        """
        check_alias(alias, self.model_id)
        with self._naming(self.model_id):
            self._server.request(
                "PUT",
                self._path("model_aliases", alias),
                params={"reassign": reassign},
                doing=f"giving model {self.model_id!r} the alias {alias!r} (reassign={reassign})",
            )

    def delete_alias(self, alias: str) -> None:
        """Take an alias away.

        Raises:
            ModelNotFoundError: This model has no such alias.
            DeploymentInUseError: A pipeline uses it.
        """
        check_name("alias", alias)
        self._server.request(
            "DELETE",
            self._path("model_aliases", alias),
            doing=f"deleting alias {alias!r} of {self.model_id!r}",
        )

    # -- ids ----------------------------------------------------------------------------------------------

    def _deployment_id(self, given: str | None, *, known: bool = False) -> str:
        """Return the id of a deployment, checked; that of one which exists may be Elastic's own."""
        if given is None or given == self.model_id:
            return self.model_id
        check_name("deployment_id", given)
        if not known:
            check_deployment_id(given)
        return given

    @contextmanager
    def _naming(self, id_: str) -> Iterator[None]:
        """Say what an id is, where the server does not find it."""
        try:
            yield
        except ModelNotFoundError as error:
            raise ModelNotFoundError(f"{error} {self._what_is(id_)}".rstrip()) from error
        except DeploymentInUseError as error:
            raise DeploymentInUseError(f"{error} {self._who_uses(id_)}".rstrip()) from error

    def _who_uses(self, id_: str) -> str:
        """Say which ingest pipelines use a model or deployment."""
        try:
            ids = self.status().names if id_ == self.model_id else {id_}
            found = [one.name for one in Pipelines(self._server).list_pipelines() if one.uses(ids)]
        except BackendError:
            return ""  # the first error is what matters; this would only have explained it
        return f"Ingest pipelines that use it: {', '.join(found)}." if found else ""

    def _what_is(self, id_: str) -> str:
        """Say which models, deployments and aliases there are, and which of them an id is."""
        try:
            models = self.list_models()
            answer = self._server.request(
                "GET", f"{_MODELS}/_stats", params={"size": len(models)}, doing="listing deployments"
            )
        except BackendError:
            return ""  # the first error is what matters; this would only have explained it
        deployments = deployments_of(answer["trained_model_stats"])
        return _explained(id_, models, deployments)

    # -- async twins --------------------------------------------------------------------------------------

    astatus = twin_of(status)
    astats = twin_of(stats)
    alist_models = twin_of(list_models)
    aput = twin_of(put)
    await_until_downloaded = twin_of(wait_until_downloaded)
    adelete = twin_of(delete)
    aset_alias = twin_of(set_alias)
    adelete_alias = twin_of(delete_alias)


def _explained(id_: str, models: Sequence[TrainedModel], deployments: Sequence[Deployment]) -> str:
    own = [one.id for one in deployments if one.model_id == id_]
    for model in models:
        if id_ == model.id:
            ids = f"its deployments are {', '.join(map(repr, own))}" if own else "it has no deployment"
            return f"{id_!r} is a model; {ids}."
        if id_ in model.aliases:
            return f"{id_!r} is an alias of the model {model.id!r}; deployments have no aliases."
    for one in deployments:
        if one.id == id_:
            return f"{id_!r} is a deployment of the model {one.model_id!r}."
    known = ", ".join(repr(one.id) for one in deployments) or "none"
    named = ", ".join(repr(model.id) for model in models[:10])
    return f"There are the models {named} and the deployments: {known}."
