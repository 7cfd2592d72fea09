"""ELSER in the cluster: download it, deploy it, watch it, take it away."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, Literal

from vectorface.backends.elasticsearch.access import TIMEOUT, Client, Remote
from vectorface.backends.elasticsearch.deployments import (
    AdaptiveAllocations,
    Deployment,
    ModelStatus,
    Priority,
    TrainedModel,
    WaitFor,
    check_adaptive,
    check_alias,
    check_count,
    check_deployment_id,
    check_model_id,
    check_name,
    check_one_of,
    check_start,
    deployments_of,
    model_of,
)
from vectorface.backends.elasticsearch.expansion import MAX_TOKENS, MODEL_ID
from vectorface.backends.elasticsearch.server import path_of
from vectorface.backends.elasticsearch.waiting import (
    Deadline,
    ProgressCallback,
    check_seconds,
    time_of,
    until,
)
from vectorface.errors import (
    BackendError,
    ConfigurationError,
    DeploymentExistsError,
    InvalidInputError,
    ModelError,
    ModelNotFoundError,
    ModelNotReadyError,
    NoCapacityError,
)

#: Elastic's packages read this field (its guide, "ELSER", download by the API).
INPUT_FIELD: Final = "text_field"
#: Seconds in which a download of 440 MB and a start should be done.
_PATIENCE: Final = 600.0
#: Seconds that an answer may take longer than what the server was told to wait.
_MARGIN: Final = 10.0
_INFER_BATCH: Final = 16
_PAGE: Final = 100
#: Elasticsearch's former default; newer versions take 10,000, which is an hour's work for one allocation.
_QUEUE_CAPACITY: Final = 1024
#: The words of Elasticsearch's planner for "nothing more fits" (``TrainedModelAssignmentRebalancer``).
_NO_ROOM: Final = ("insufficient", "no ml nodes", "not enough", "could not assign")
_PACKAGED: Final = ".elser_model_"


class ElserModel(Remote):
    """A model of Elastic's in the cluster, and its deployments.

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
        check_seconds("timeout", timeout)
        check_model_id(model_id)
        super().__init__(client, timeout=timeout)
        self.model_id = model_id

    def __repr__(self) -> str:
        return f"ElserModel({self.model_id!r})"

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
            downloaded=model.downloaded,
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
                params={"include": "definition_status", "from": len(found), "size": _PAGE},
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
        if not self.model_id.startswith(_PACKAGED):
            raise ConfigurationError(
                f"The cluster has no model {self.model_id!r} and can fetch ELSER alone ({MODEL_ID!r}, "
                f"'{MODEL_ID}_linux-x86_64'); bring models of your own in with Elastic's eland."
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
        self, *, timeout: float = _PATIENCE, progress: ProgressCallback | None = None
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
            _tell(progress, "downloading", seen[0])
            return None

        def late() -> ModelNotReadyError:
            share = "" if seen[0] is None else f" ({seen[0]:.0%} are there)"
            return ModelNotReadyError(
                f"Model {self.model_id!r} is not downloaded after {timeout:g} seconds{share}. Its nodes need "
                "https://ml-models.elastic.co or a mirror (setting xpack.ml.model_repository); why a download "
                "failed is in the index .ml-notifications-*. If it goes on, wait_until_downloaded() waits "
                "longer; if not, delete() the model and put() it again."
            )

        until(look, timeout=deadline.left, late=late)
        _tell(progress, "downloaded", 1.0)

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

    # -- deployments --------------------------------------------------------------------------------------

    def start(
        self,
        deployment_id: str | None = None,
        *,
        allocations: int = 1,
        threads: int = 1,
        queue_capacity: int = _QUEUE_CAPACITY,
        priority: Priority = "normal",
        timeout: float = 60.0,
        wait_for: WaitFor = "started",
        adaptive: AdaptiveAllocations | None = None,
        cache_size: str | None = None,
    ) -> Deployment:
        """Start a deployment, in one request that waits for it.

        Args:
            deployment_id: Its id; the model's if left out.
            allocations: Copies of the model that work at the same time: texts a second grow with them.
            threads: Threads of each, a power of two up to 32: they make one text quicker. All allocations
                times threads cannot be more than the processors of the machine-learning nodes.
            queue_capacity: Texts that may wait on a node, up to 1,000,000 (some versions of Elasticsearch
                take 100,000 at most); more are refused.
            priority: ``low`` takes no processors from others, for one allocation of one thread.
            timeout: Seconds to wait, on the server.
            wait_for: ``starting``, ``started`` (one node has it) or ``fully_allocated``.
            adaptive: Let the number of allocations follow the load, instead of ``allocations``.
            cache_size: Memory for texts that come again, as in ``200mb``; the model's size if left out.

        Returns:
            The deployment.

        Raises:
            ConfigurationError: Elasticsearch would refuse the arguments; nothing was sent.
            DeploymentExistsError: There is a deployment, or another model, of this id.
            ModelNotFoundError: The cluster has no such model: call :meth:`put`.
            ModelNotReadyError: It is still being downloaded, or has not started in time (it goes on).
            NoCapacityError: No node has room for it; :meth:`plan` says what fits.
        """
        name = self._deployment_id(deployment_id)
        options = {"allocations": allocations, "threads": threads, "queue_capacity": queue_capacity}
        check_start(**options, priority=priority, wait_for=wait_for, adaptive=adaptive, cache_size=cache_size)
        check_seconds("timeout", timeout)
        params: dict[str, Any] = {
            "deployment_id": name,
            "threads_per_allocation": threads,
            "queue_capacity": queue_capacity,
            "priority": priority,
            "timeout": time_of(timeout),
            "wait_for": wait_for,
            **({} if adaptive else {"number_of_allocations": allocations}),
            **({} if cache_size is None else {"cache_size": cache_size}),
        }
        self._start(name, params, adaptive, timeout)
        return self._running(name)

    def _start(
        self, name: str, params: Mapping[str, Any], adaptive: AdaptiveAllocations | None, timeout: float
    ) -> None:
        try:
            self._server.request(
                "POST",
                self._path("deployment", "_start"),
                params=params,
                body={"adaptive_allocations": adaptive.body()} if adaptive else None,
                timeout=timeout + _MARGIN,
                doing=f"starting deployment {name!r} of {self.model_id!r}",
            )
        except BackendError as error:
            if isinstance(error, ModelNotFoundError):
                raise ModelNotFoundError(f"{error} {self._what_is(self.model_id)}") from error
            if isinstance(error, ModelError) or not _timed_out(error):
                raise
            raise self._pending(name, timeout) from error

    def _running(self, name: str) -> Deployment:
        found = self._found(name)
        if found is None:
            raise ModelNotFoundError(
                f"Deployment {name!r} of {self.model_id!r} is gone: somebody stopped it in this very moment."
            )
        return found

    def _pending(self, name: str, timeout: float) -> ModelError:
        """Return the error of a deployment that has not started, with the reason that the server gives."""
        found = self._found(name)
        if found is None:
            return ModelNotReadyError(
                f"Deployment {name!r} of {self.model_id!r} was not there after {timeout:g} seconds; start it "
                "again, or pass a longer timeout=."
            )
        why = found.why or "the server gives no reason"
        said = (
            f"Deployment {name!r} of {self.model_id!r} is {found.allocation_state!r} after {timeout:g} seconds, "
            f"with {found.allocated} of {found.allocations} allocations: {why}."
        )
        if any(sign in why.lower() for sign in _NO_ROOM):
            return NoCapacityError(
                f"{said} It waits for a node with room: ask for less, stop another deployment or add a node; "
                f"plan() says what fits, stop({name!r}) ends it."
            )
        return ModelNotReadyError(
            f"{said} It goes on starting: wait_until_started({name!r}) waits longer, stop({name!r}) ends it."
        )

    def wait_until_started(
        self,
        deployment_id: str | None = None,
        *,
        wait_for: WaitFor = "started",
        timeout: float = _PATIENCE,
        progress: ProgressCallback | None = None,
    ) -> Deployment:
        """Wait for a deployment to be up.

        Args:
            deployment_id: Its id; the model's if left out.
            wait_for: ``starting``, ``started`` (one node has it) or ``fully_allocated``.
            timeout: Seconds.
            progress: Called with the state and the share of allocations that are there, 0 to 1.

        Returns:
            The deployment.

        Raises:
            ModelNotFoundError: There is no such deployment: call :meth:`start`.
            NoCapacityError: No node has room for it; with the server's reason.
            ModelNotReadyError: It failed, or is not up in time; with the server's reason.
        """
        check_one_of("wait_for", wait_for, ("starting", "started", "fully_allocated"))
        check_seconds("timeout", timeout)
        name = self._deployment_id(deployment_id, known=True)
        return self._await(name, wait_for, Deadline(timeout), timeout, progress)

    def _await(
        self,
        name: str,
        wait_for: WaitFor,
        deadline: Deadline,
        timeout: float,
        progress: ProgressCallback | None,
    ) -> Deployment:
        def look() -> Deployment | None:
            [found] = self.stats(name)
            if found.state == "failed":
                raise ModelNotReadyError(
                    f"Deployment {name!r} of {self.model_id!r} failed: {found.why or 'the server gives no reason'}. "
                    f"stop({name!r}) it, and start it again when the cause is gone."
                )
            _tell(progress, found.allocation_state, found.done)
            return found if found.has_reached(wait_for) else None

        return until(look, timeout=deadline.left, late=lambda: self._pending(name, timeout))

    def ensure(
        self,
        deployment_id: str | None = None,
        *,
        allocations: int | None = None,
        threads: int | None = None,
        queue_capacity: int | None = None,
        priority: Priority | None = None,
        adaptive: AdaptiveAllocations | None = None,
        cache_size: str | None = None,
        wait_for: WaitFor = "started",
        timeout: float = _PATIENCE,
        progress: ProgressCallback | None = None,
    ) -> Deployment:
        """Bring the model and a deployment up, from whatever there is; calling it again does nothing.

        It has the model downloaded, waits for that, starts the deployment and waits for it. One that runs
        already gets the number of allocations asked for; nothing else can be changed while it runs.

        Args:
            deployment_id: Its id; the model's if left out.
            allocations: As in :meth:`start`. What is left out stays as it is where the deployment runs, and
                is :meth:`start`'s default where it does not; so with the following.
            threads: Threads of each allocation.
            queue_capacity: Texts that may wait on a node.
            priority: ``normal`` or ``low``.
            adaptive: Let the number of allocations follow the load.
            cache_size: Memory for texts that come again.
            wait_for: How far it is to come.
            timeout: Seconds for all of it; a download takes minutes.
            progress: Called with what is being done (``downloading``, ``starting`` …) and the share of it.

        Returns:
            The deployment.

        Raises:
            ConfigurationError: Elasticsearch would refuse the arguments; nothing was sent.
            DeploymentExistsError: It runs with other threads, queue or priority than asked for, or its id is
                another model's.
            ModelNotReadyError: The download or the start takes longer than ``timeout``.
            NoCapacityError: No node has room for it; :meth:`plan` says what fits.
            PermissionDeniedError: No ``manage_ml``, or the licence does not cover machine learning.
        """
        name = self._deployment_id(deployment_id)
        fixed = {"threads": threads, "queue_capacity": queue_capacity, "priority": priority}
        given: dict[str, Any] = {
            option: value
            for option, value in {**fixed, "allocations": allocations, "cache_size": cache_size}.items()
            if value is not None
        }
        check_start(**{**_DEFAULTS, **given, "wait_for": wait_for, "adaptive": adaptive})
        check_seconds("timeout", timeout)
        deadline = Deadline(timeout)
        self.put()
        self._download(deadline, timeout, progress)
        found = self._settled(name, deadline, timeout)
        if found is None:
            self._start_unless_there(name, {**given, "adaptive": adaptive}, deadline)
        else:
            self._check_same(found, fixed)
            self._resize(found, allocations, adaptive)
        return self._await(name, wait_for, deadline, timeout, progress)

    def _settled(self, name: str, deadline: Deadline, timeout: float) -> Deployment | None:
        """Return the deployment, if it is there to stay: one that is being stopped has to go first."""

        def look() -> tuple[Deployment | None] | None:
            found = self._found(name)
            return None if found is not None and found.state == "stopping" else (found,)

        return until(look, timeout=deadline.left, late=lambda: self._pending(name, timeout))[0]

    def _start_unless_there(self, name: str, options: Mapping[str, Any], deadline: Deadline) -> None:
        try:
            self.start(name, wait_for="starting", timeout=max(1.0, min(30.0, deadline.left)), **options)
        except DeploymentExistsError:
            if self._found(name) is None:
                raise  # the id is taken by something else

    def _check_same(self, found: Deployment, fixed: Mapping[str, Any]) -> None:
        differing = [
            f"{option}={getattr(found, option)!r}, not {value!r}"
            for option, value in fixed.items()
            if value is not None and getattr(found, option) != value
        ]
        if differing:
            raise DeploymentExistsError(
                f"Deployment {found.id!r} of {found.model_id!r} runs with {'; '.join(differing)}, which cannot "
                f"be changed while it runs: stop({found.id!r}) first, or choose another deployment_id."
            )

    def _resize(
        self, found: Deployment, allocations: int | None, adaptive: AdaptiveAllocations | None
    ) -> None:
        if adaptive is not None and adaptive != found.adaptive:
            self._change(found.id, {"adaptive_allocations": adaptive.body()})
        elif allocations is not None and (found.adaptive is not None or allocations != found.allocations):
            off = {"adaptive_allocations": {"enabled": False}} if found.adaptive is not None else {}
            self._change(found.id, {"number_of_allocations": allocations, **off})

    def update(
        self,
        deployment_id: str | None = None,
        *,
        allocations: int | None = None,
        adaptive: AdaptiveAllocations | Literal[False] | None = None,
    ) -> Deployment:
        """Change the number of allocations of a deployment while it runs.

        Args:
            deployment_id: Its id; the model's if left out.
            allocations: How many from now on.
            adaptive: Let them follow the load instead; ``False`` ends that.

        Returns:
            The deployment as it is then; further allocations start after that.

        Raises:
            ConfigurationError: Neither or both are given, or a value is wrong; nothing was sent.
            ModelNotFoundError: There is no such deployment; the message says what the id is otherwise.
            ModelNotReadyError: It is not started yet.
            NoCapacityError: There is no room for so many; :meth:`plan` says what fits.
        """
        name = self._deployment_id(deployment_id, known=True)
        if adaptive is not False:
            check_adaptive(adaptive)
        if allocations is not None:
            check_count("allocations", allocations)
        if (allocations is None) == (not adaptive) and adaptive is not False:
            raise ConfigurationError("Pass allocations= or adaptive=, one of them.")
        body: dict[str, Any] = {} if allocations is None else {"number_of_allocations": allocations}
        if adaptive is not None:
            body["adaptive_allocations"] = adaptive.body() if adaptive else {"enabled": False}
        self._change(name, body)
        return self._running(name)

    def _change(self, name: str, body: Mapping[str, Any]) -> None:
        with self._naming(name):
            self._server.request(
                "POST",
                self._path("deployment", "_update", of=name),
                body=body,
                doing=f"changing deployment {name!r}",
            )

    def stop(
        self, deployment_id: str | None = None, *, force: bool = False, finish_pending: bool = False
    ) -> None:
        """Stop a deployment; the model stays.

        Args:
            deployment_id: Its id; the model's if left out.
            force: Even if an ingest pipeline uses it, whose documents then fail.
            finish_pending: Let it first do what waits in its queue.

        Raises:
            ModelNotFoundError: There is no such deployment; the message says what the id is otherwise.
            DeploymentInUseError: An ingest pipeline uses it, and ``force`` is false.
        """
        name = self._deployment_id(deployment_id, known=True)
        finish = {"finish_pending_work": True} if finish_pending else {}
        with self._naming(name):
            self._server.request(
                "POST",
                self._path("deployment", "_stop", of=name),
                params={"force": force, "allow_no_match": False, **finish},
                doing=f"stopping deployment {name!r}",
            )

    # -- inference ----------------------------------------------------------------------------------------

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
            UserWarning: Texts were longer than the 512 tokens that ELSER reads.
        """
        name = self.model_id if deployment_id is None else deployment_id
        check_name("deployment_id", name)
        check_seconds("timeout", timeout)
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InvalidInputError("infer() takes a list of texts, and something in it is no text.")
        results = [
            result
            for first in range(0, len(texts), _INFER_BATCH)
            for result in self._inferred(name, texts[first : first + _INFER_BATCH], timeout)
        ]
        if cut := sum(bool(result.get("is_truncated")) for result in results):
            warnings.warn(
                f"{cut} of {len(texts)} texts are longer than the {MAX_TOKENS} tokens that ELSER reads; what "
                "follows is not among their tokens.",
                stacklevel=2,
            )
        return [_weights(result) for result in results]

    def _inferred(self, name: str, texts: Sequence[str], timeout: float) -> list[Mapping[str, Any]]:
        with self._naming(name):
            answer = self._server.request(
                "POST",
                self._path("_infer", of=name),
                params={"timeout": time_of(timeout)},
                body={"docs": [{INPUT_FIELD: text} for text in texts]},
                timeout=timeout + _MARGIN,
                doing=f"expanding {len(texts)} texts by {name!r}",
            )
        results: list[Mapping[str, Any]] = answer["inference_results"]
        return results

    # -- ids ----------------------------------------------------------------------------------------------

    def _deployment_id(self, given: str | None, *, known: bool = False) -> str:
        """Return the id of a deployment, checked; that of one which exists may be Elastic's own."""
        if given is None or given == self.model_id:
            return self.model_id
        (check_name_of_known if known else check_deployment_id)(given)
        return given

    @contextmanager
    def _naming(self, id_: str) -> Iterator[None]:
        """Say what an id is, where the server does not find it."""
        try:
            yield
        except ModelNotFoundError as error:
            raise ModelNotFoundError(f"{error} {self._what_is(id_)}".rstrip()) from error

    def _what_is(self, id_: str) -> str:
        """Say which models, deployments and aliases there are, and which of them an id is."""
        try:
            models = self.list_models()
            answer = self._server.request("GET", f"{_MODELS}/_stats", doing="listing deployments")
        except BackendError:
            return ""  # the first error is what matters; this would only have explained it
        deployments = deployments_of(answer["trained_model_stats"])
        return _explained(id_, models, deployments)


_MODELS: Final = "/_ml/trained_models"
_DEFAULTS: Final[Mapping[str, Any]] = {
    "allocations": 1,
    "threads": 1,
    "queue_capacity": _QUEUE_CAPACITY,
    "priority": "normal",
    "cache_size": None,
}


def check_name_of_known(value: object) -> None:
    """Check the id of a deployment that exists, perhaps made by Kibana or an inference endpoint."""
    check_name("deployment_id", value)


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


def _weights(result: Mapping[str, Any]) -> dict[str, float]:
    weights = result.get("predicted_value")
    if not isinstance(weights, Mapping):  # the model's own configuration names the field otherwise
        weights = next((value for value in result.values() if isinstance(value, Mapping)), None)
    if weights is None:
        raise ModelError("The model's answer holds no token weights; it is no text_expansion model.")
    return {token: float(weight) for token, weight in weights.items()}


def _timed_out(error: BaseException) -> bool:
    status = getattr(error.__cause__, "status_code", None)
    return status == HTTPStatus.REQUEST_TIMEOUT


def _tell(progress: ProgressCallback | None, state: str, done: float | None) -> None:
    if progress is not None:
        progress(state, done)
