"""Deployments of a model: started, waited for, changed, stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from vectorface.asynchronous import twin_of
from vectorface.backends.elasticsearch.checks import check_count, check_seconds
from vectorface.backends.elasticsearch.cluster.waiting import Deadline, ProgressCallback, tell, until
from vectorface.backends.elasticsearch.elser.deployments import (
    AdaptiveAllocations,
    Deployment,
    Priority,
    WaitFor,
)
from vectorface.backends.elasticsearch.elser.models import PATIENCE, Model
from vectorface.backends.elasticsearch.elser.starting import (
    Start,
    check_adaptive,
    check_wait_for,
    differences,
)
from vectorface.backends.elasticsearch.inference import MARGIN
from vectorface.backends.elasticsearch.server import time_of
from vectorface.errors import (
    ConfigurationError,
    DeploymentExistsError,
    InferenceTimeoutError,
    ModelError,
    ModelNotFoundError,
    ModelNotReadyError,
    NoCapacityError,
    TransientError,
)

#: Seconds in which a start should be accepted.
_START_PATIENCE: Final = 30.0
_NO_REASON: Final = "the server gives no reason"


class DeployedModel(Model):
    """A model with deployments; :class:`ElserModel` adds what they do."""

    def start(
        self,
        deployment_id: str | None = None,
        *,
        allocations: int = 1,
        threads: int = 1,
        queue_capacity: int = 1024,
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
        wanted = Start(
            allocations=allocations,
            threads=threads,
            queue_capacity=queue_capacity,
            priority=priority,
            adaptive=adaptive,
            cache_size=cache_size,
        )
        check_wait_for(wait_for)
        check_seconds("timeout", timeout)
        self._start(name, wanted, wait_for, timeout)
        return self._running(name)

    def _start(self, name: str, wanted: Start, wait_for: WaitFor, timeout: float) -> None:
        waiting = {"deployment_id": name, "wait_for": wait_for, "timeout": time_of(timeout)}
        try:
            self._server.request(
                "POST",
                self._path("deployment", "_start"),
                params={**wanted.params(), **waiting},
                body=wanted.body(),
                timeout=timeout + MARGIN,
                doing=f"starting deployment {name!r} of {self.model_id!r}",
            )
        except ModelNotFoundError as error:
            raise ModelNotFoundError(f"{error} {self._what_is(self.model_id)}") from error
        except InferenceTimeoutError as error:
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
        why = (found.why or _NO_REASON).rstrip(".")
        said = (
            f"Deployment {name!r} of {self.model_id!r} is {found.allocation_state!r} after {timeout:g} "
            f"seconds, with {found.allocated} of {found.allocations} allocations: {why}."
        )
        if found.lacks_room:
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
        timeout: float = PATIENCE,
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
        check_wait_for(wait_for)
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
                    f"Deployment {name!r} of {self.model_id!r} failed: {found.why or _NO_REASON}. "
                    f"stop({name!r}) it, and start it again when the cause is gone."
                )
            tell(progress, found.allocation_state, found.done)
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
        timeout: float = PATIENCE,
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
            **fixed,
            "allocations": allocations,
            "cache_size": cache_size,
            "adaptive": adaptive,
        }
        wanted = Start(**{option: value for option, value in given.items() if value is not None})
        check_wait_for(wait_for)
        check_seconds("timeout", timeout)
        deadline = Deadline(timeout)
        self.put()
        self._download(deadline, timeout, progress)
        found = self._settled(name, deadline, timeout)
        if found is None:
            self._start_unless_there(name, wanted, deadline)
        else:
            _check_same(found, fixed)
            found = self._await(name, "started", deadline, timeout, progress)  # else it cannot be changed
            self._resize(found, allocations, adaptive)
        return self._await(name, wait_for, deadline, timeout, progress)

    def _settled(self, name: str, deadline: Deadline, timeout: float) -> Deployment | None:
        """Return the deployment, if it is there to stay: one that is being stopped has to go first."""

        def look() -> tuple[Deployment | None] | None:
            found = self._found(name)
            return None if found is not None and found.state == "stopping" else (found,)

        return until(look, timeout=deadline.left, late=lambda: self._pending(name, timeout))[0]

    def _start_unless_there(self, name: str, wanted: Start, deadline: Deadline) -> None:
        try:
            self._start(name, wanted, "starting", max(1.0, min(_START_PATIENCE, deadline.left)))
        except (DeploymentExistsError, TransientError):
            if self._found(name) is None:
                raise  # it is not there: the id is taken by something else, or the start never arrived

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
        check_adaptive(adaptive or None)
        if allocations is not None:
            check_count("allocations", allocations)
        if (allocations is None) == (adaptive is None) and adaptive is not False:
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

    # -- async twins --------------------------------------------------------------------------------------

    astart = twin_of(start)
    await_until_started = twin_of(wait_until_started)
    aensure = twin_of(ensure)
    aupdate = twin_of(update)
    astop = twin_of(stop)


def _check_same(found: Deployment, fixed: Mapping[str, Any]) -> None:
    if differing := differences(found, fixed):
        raise DeploymentExistsError(
            f"Deployment {found.id!r} of {found.model_id!r} runs with {'; '.join(differing)}, which cannot "
            f"be changed while it runs: stop({found.id!r}) first, or choose another deployment_id."
        )
