"""Trained models: their configurations, definitions and aliases.

Source: ``rest-api-spec/.../api/ml.put_trained_model.json`` and its siblings,
``x-pack/plugin/ml/.../action/TransportPutTrainedModelAction.java``,
``TransportDeleteTrainedModelAction.java``, ``TransportPutTrainedModelAliasAction.java``,
``TransportDeleteTrainedModelAliasAction.java``, ``x-pack/plugin/core/.../ml/job/messages/Messages.java``,
``x-pack/plugin/ml-package-loader`` (packaged models).
"""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.elastic.gateway.errors import (
    ElasticError,
    bad_request,
    conflict,
    not_found,
    request_timeout,
    validation,
)
from tests.elastic.gateway.settings import Settings
from tests.elastic.gateway.values import flag, integer, now_millis
from tests.elastic.gateway.wire import Call

#: Elastic's own packages: bytes of the definition and description.
PACKAGES: Final[Mapping[str, tuple[int, str]]] = {
    ".elser_model_1": (438_123_914, "Elastic Learned Sparse EncodeR v1 (Tech Preview)"),
    ".elser_model_2": (438_123_914, "Elastic Learned Sparse EncodeR v2"),
    ".elser_model_2_linux-x86_64": (
        274_756_282,
        "Elastic Learned Sparse EncodeR v2, optimized for linux-x86_64",
    ),
}
_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9_\-.]*[a-z0-9])?")
_ALIAS: Final = re.compile(r"[a-z0-9](?:[a-z0-9_\-]*[a-z_\-])?")
_INDEX: Final = ".ml-inference-native-000002"
_PAGE: Final = 100
#: What ``exclude_generated`` leaves out.
_GENERATED: Final = frozenset(
    "created_by version create_time estimated_heap_memory_usage_bytes estimated_operations license_level "
    "model_size_bytes model_package location".split()
)


@dataclass
class Model:
    """A trained model."""

    id: str
    config: dict[str, Any]
    #: Bytes of its definition; None until the first part is there.
    size: int | None = None
    stored: int = 0
    vocabulary: list[str] | None = None
    #: When the download of a package is complete, on the monotonic clock.
    ready_at: float = 0.0
    definition: dict[str, Any] | None = None
    inference_counts: dict[str, int] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """The kind of inference: ``text_expansion`` and so on."""
        return str(next(iter(self.config.get("inference_config") or {"text_expansion": {}})))

    @property
    def downloading(self) -> bool:
        return time.monotonic() < self.ready_at

    @property
    def fully_defined(self) -> bool:
        return not self.downloading and self.size is not None and self.stored >= self.size

    @property
    def tags(self) -> list[str]:
        return list(self.config.get("tags") or [])

    def check_definition(self) -> None:
        """Refuse to be deployed without a definition (``checkFullModelDefinitionIsPresent``)."""
        if self.downloading or (self.size is not None and self.stored < self.size):
            raise bad_request(
                f"Model definition truncated. Unable to deserialize trained model definition [{self.id}]"
            )
        if self.size is None:
            raise not_found(f"Could not find trained model definition [{self.id}]")

    async def downloaded(self, within: float) -> None:
        """Wait for the task that downloads it."""
        left = self.ready_at - time.monotonic()
        await asyncio.sleep(min(left, within))
        if left > within:
            raise request_timeout(
                f"Model download task is currently running. Wait for trained model [{self.id}] download task "
                "to complete then try again"
            )


class Models:
    """All trained models and their aliases."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._models: dict[str, Model] = {}
        self.aliases: dict[str, str] = {}
        self._add(_language_identification())

    def __contains__(self, id: object) -> bool:
        return id in self._models

    def concrete(self, id: str) -> str:
        """Return the model that an alias means, or the id."""
        return self.aliases.get(id, id)

    def aliases_of(self, id: str) -> list[str]:
        return sorted(alias for alias, model in self.aliases.items() if model == id)

    def get(self, id: str) -> Model | None:
        return self._models.get(self.concrete(id))

    def required(self, id: str) -> Model:
        """Return a model, or raise as the actions do that start with its configuration."""
        found = self.get(id)
        if found is None:
            raise not_found(f"No known trained model with model_id [{id}]")
        return found

    def _add(self, model: Model) -> Model:
        self._models[model.id] = model
        return model

    # -- put -----------------------------------------------------------------------------------------------

    def put(self, id: str, body: Mapping[str, Any], *, deployments: Collection[str]) -> Model:
        """Store a configuration; a package of Elastic's begins to download."""
        if id in self._models:
            raise ElasticError(
                400,
                "resource_already_exists_exception",
                f"Trained machine learning model [{id}] already exists",
            )
        if id in self.aliases:
            raise bad_request(
                f"requested model_id [{id}] is the same as an existing model_alias. Model model_aliases and "
                "ids must be unique"
            )
        if id in deployments:
            raise bad_request(f"Cannot create model [{id}] the id is the same as an current model deployment")
        if id in PACKAGES:
            return self._add(self._package(id, body))
        self._check(id, body)
        return self._add(_own(id, body))

    def _package(self, id: str, body: Mapping[str, Any]) -> Model:
        size, description = PACKAGES[id]
        fields = (body.get("input") or {}).get("field_names") or ["text_field"]
        config = {
            **_generated(id, "pytorch"),
            "model_package": {
                "packaged_model_id": id.removeprefix("."),
                "model_repository": "https://ml-models.elastic.co",
                "minimum_version": "11.0.0",
                "size": size,
                "metadata": {},
                "tags": [],
                "vocabulary_file": f"{id.removeprefix('.')}.vocab.json",
            },
            "description": description,
            "tags": ["elastic", *(body.get("tags") or [])],
            "input": {"field_names": fields},
            "inference_config": {
                "text_expansion": {"vocabulary": {"index": _INDEX}, "tokenization": _TOKENIZATION}
            },
            "location": {"index": {"name": _INDEX}},
        }
        return Model(id, config, size, size, ready_at=time.monotonic() + self._settings().download_seconds)

    @staticmethod
    def _check(id: str, body: Mapping[str, Any]) -> None:
        problems = []
        if not _ID.fullmatch(id):
            problems.append(
                f"Invalid model_id; '{id}' can contain lowercase alphanumeric (a-z and 0-9), hyphens or "
                "underscores; must start and end with alphanumeric"
            )
        if (body.get("input") or {}).get("field_names") == []:
            problems.append("[input.field_names] must not be empty")
        if any("vocabulary" in (config or {}) for config in (body.get("inference_config") or {}).values()):
            problems.append("illegal setting [vocabulary] on inference model creation")
        if body.get("inference_config") is None:
            problems.append("[inference_config] must not be null")
        if body.get("model_type") != "pytorch":
            if not body.keys() & {"definition", "compressed_definition", "location"}:
                problems.append("either a model definition or a model location must be provided")
            if body.get("input") is None:
                problems.append("[input] must not be null")
        if problems:
            raise validation(*problems)

    def put_definition(self, id: str, part: str, body: Mapping[str, Any]) -> None:
        """Store one part of a definition."""
        model = self.required(id)
        number, total = integer(part, "part"), integer(body.get("total_parts"), "total_parts")
        if number >= total:
            raise validation("[part] must be less than total_parts")
        model.size = integer(body.get("total_definition_length"), "total_definition_length")
        model.stored += len(base64.b64decode(str(body.get("definition") or "")))
        model.config["model_size_bytes"] = model.stored

    def put_vocabulary(self, id: str, body: Mapping[str, Any]) -> None:
        model = self.required(id)
        if not body.get("vocabulary"):
            raise validation("[vocabulary] must not be empty")
        model.vocabulary = list(body["vocabulary"])

    # -- get -----------------------------------------------------------------------------------------------

    def matching(self, expression: str, params: Mapping[str, str]) -> list[Model]:
        """Return the models of a list of ids, aliases and patterns, by id."""
        wanted = [part.strip() for part in expression.split(",")]
        tags = set(params["tags"].split(",")) if params.get("tags") else set()
        lenient = flag(params, "allow_no_match", default=True)
        chosen: dict[str, Model] = {}
        for pattern in wanted:
            found = [model for model in self._named(pattern) if tags <= set(model.tags)]
            if not found and (not lenient or ("*" not in pattern and pattern != "_all")):
                raise not_found(f"No known trained model with model_id [{pattern}]")
            chosen |= {model.id: model for model in found}
        return [chosen[key] for key in sorted(chosen)]

    def _named(self, pattern: str) -> Iterable[Model]:
        if pattern in {"_all", "*"}:
            return self._models.values()
        names = [*self._models, *self.aliases]
        return [model for name in fnmatch.filter(names, pattern) if (model := self.get(name))]

    def described(self, expression: str, call: Call) -> dict[str, Any]:
        """Return the answer of ``GET _ml/trained_models``."""
        found = self.matching(expression, call.params)
        if "definition_status" in call.params.get("include", ""):
            _check_status(found)
        start = integer(call.params.get("from", 0), "from")
        page = found[start : start + integer(call.params.get("size", _PAGE), "size")]
        return {
            "count": len(found),
            "trained_model_configs": [self._description(model, call.params) for model in page],
        }

    def _description(self, model: Model, params: Mapping[str, str]) -> dict[str, Any]:
        include = set(filter(None, params.get("include", "").split(",")))
        bare = flag(params, "exclude_generated")
        config = {key: value for key, value in model.config.items() if not (bare and key in _GENERATED)}
        if aliases := self.aliases_of(model.id):
            config["metadata"] = {**config.get("metadata", {}), "model_aliases": aliases}
        if "definition_status" in include:
            config["fully_defined"] = model.fully_defined
        if "definition" in include and model.definition is not None:
            decompressed = flag(params, "decompress_definition", default=True)
            config["definition" if decompressed else "compressed_definition"] = (
                model.definition
                if decompressed
                else base64.b64encode(str(model.definition).encode()).decode()
            )
        return config

    # -- delete and aliases --------------------------------------------------------------------------------

    def check_deletion(self, id: str, references: Collection[str], *, deployed: bool) -> None:
        """Refuse to delete what is in use."""
        if id in references:
            raise conflict(
                f"Cannot delete model [{id}] as it is still referenced by ingest processors; use force to "
                "delete the model"
            )
        for alias in self.aliases_of(id):
            if alias in references:
                raise conflict(
                    f"Cannot delete model [{id}] as it has a model_alias [{alias}] that is still referenced "
                    "by ingest processors; use force to delete the model"
                )
        if deployed:
            raise conflict(
                f"Cannot delete model [{id}] as it is currently deployed; use force to delete the model"
            )

    def delete(self, id: str) -> None:
        if id not in self._models:
            raise not_found(f"Could not find trained model [{id}]")
        del self._models[id]
        for alias in self.aliases_of(id):
            del self.aliases[alias]

    def put_alias(
        self, alias: str, id: str, *, reassign: bool, deployed: Callable[[str], str | None]
    ) -> None:
        """Let an alias mean a model; ``deployed`` says the best allocation state of a model's deployments."""
        if not _ALIAS.fullmatch(alias):
            raise validation(
                f"Invalid model_alias; '{alias}' can contain lowercase alphanumeric (a-z and 0-9), hyphens "
                "or underscores; must start with alphanumeric and cannot end with numbers"
            )
        if alias == id:
            raise validation(f"model_alias [{alias}] cannot equal model_id [{id}]")
        old = self.aliases.get(alias)
        if old == id:
            return
        if old is not None and not reassign:
            raise bad_request(
                f"cannot assign model_alias [{alias}] to model_id [{id}] as model_alias already refers to "
                f"[{old}]. Set parameter [reassign] to [true] if model_alias should be reassigned."
            )
        if alias in self._models:
            raise bad_request("model_alias cannot be the same as an existing trained model_id")
        new = self._models.get(id)
        if new is None:
            raise not_found(f"No known trained model with model_id [{id}]")
        if old in self._models:
            _check_reassignment(alias, new, self._models[old], deployed)
        self.aliases[alias] = id

    def delete_alias(self, alias: str, id: str, references: Collection[str]) -> None:
        if alias not in self.aliases:
            raise ElasticError(404, "status_exception", f"model_alias [{alias}] could not be found")
        if self.aliases[alias] != id:
            raise conflict(f"model_alias [{alias}] does not refer to provided model_id [{id}]")
        if alias in references:
            raise conflict(
                f"Cannot delete model_alias [{alias}] as it is still referenced by ingest processors"
            )
        del self.aliases[alias]


_TOKENIZATION: Final = {
    "bert": {
        "do_lower_case": True,
        "with_special_tokens": True,
        "max_sequence_length": 512,
        "truncate": "first",
        "span": -1,
    }
}


def _check_status(models: list[Model]) -> None:
    if len(models) > 1:
        raise bad_request(
            "Getting the model download status is not supported when getting more than one model"
        )
    if models and models[0].config["model_type"] != "pytorch":
        raise bad_request("Definition status is only relevant to PyTorch model types")


def _check_reassignment(alias: str, new: Model, old: Model, deployed: Callable[[str], str | None]) -> None:
    if new.task != old.task:
        raise bad_request(
            f"cannot reassign model_alias [{alias}] to model [{new.id}] with inference config type "
            f"[{new.task}] from model [{old.id}] with type [{old.task}]"
        )
    before, after = deployed(old.id), deployed(new.id)
    if before is not None and after is None:
        raise bad_request(
            f"cannot reassign model_alias [{alias}] to model [{new.id}] from model [{old.id}] as it is not "
            "yet deployed"
        )
    if before in {"started", "fully_allocated"} and after == "starting":
        raise bad_request(
            f"cannot reassign model_alias [{alias}] to model [{new.id}]  from model [{old.id}] as it is not "
            "yet allocated to any nodes"
        )


def _generated(id: str, kind: str) -> dict[str, Any]:
    return {
        "model_id": id,
        "model_type": kind,
        "created_by": "api_user",
        "version": "12.0.0",
        "create_time": now_millis(),
        "model_size_bytes": 0,
        "estimated_operations": 0,
        "license_level": "platinum",
    }


def _own(id: str, body: Mapping[str, Any]) -> Model:
    kind = str(body.get("model_type") or "tree_ensemble")
    given = {key: value for key, value in body.items() if key not in {"definition", "compressed_definition"}}
    defaults: dict[str, Any] = {"tags": [], "metadata": {}, "input": {"field_names": ["input"]}}
    config = {**_generated(id, kind), **defaults, **given}
    if kind == "pytorch":
        return Model(id, {**config, "location": {"index": {"name": _INDEX}}})
    definition = dict(body.get("definition") or {})
    return Model(id, {**config, "model_size_bytes": len(str(definition))}, 0, definition=definition)


def _language_identification() -> Model:
    """Return the one model that every cluster has."""
    config = {
        **_generated("lang_ident_model_1", "lang_ident"),
        "created_by": "_xpack",
        "license_level": "basic",
        "tags": ["lang_ident", "prepackaged"],
        "description": "Model used for identifying language from arbitrary input text.",
        "input": {"field_names": ["text"]},
        "inference_config": {"classification": {"num_top_classes": 5}},
    }
    return Model("lang_ident_model_1", config, 0)
