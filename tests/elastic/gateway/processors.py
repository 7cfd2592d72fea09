"""Ingest processors.

Source: ``modules/ingest-common/.../*Processor.java``, ``server/.../ingest/ConfigurationUtils.java`` (the
words of a bad configuration), ``x-pack/plugin/ml/.../inference/ingest/InferenceProcessor.java``. Of the
others that Elasticsearch has, and of the condition ``if``, the gateway says that it does not implement them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from tests.elastic.gateway.documents import Document, java_type
from tests.elastic.gateway.encoder import Expansion
from tests.elastic.gateway.errors import ElasticError, bad_request, illegal_argument, unsupported

_MISSING: Final = object()
#: What a real cluster also has.
_ELSEWHERE: Final = frozenset(
    "append attachment bytes circle community_id convert csv date date_index_name dissect dot_expander "
    "enrich fingerprint foreach geo_grid geoip grok gsub html_strip ip_location join json kv "
    "network_direction redact registered_domain reroute script set_security_user sort split terminate "
    "uri_parts urldecode user_agent".split()
)


class Inference(Protocol):
    """What the inference processor needs of the rest of the gateway."""

    async def texts(self, model_id: str, texts: list[str]) -> tuple[str, list[Expansion]]: ...

    async def fields(
        self, model_id: str, fields: Mapping[str, Any], config: Mapping[str, Any] | None
    ) -> tuple[str, dict[str, Any]]: ...


@dataclass
class Environment:
    """What processors reach beyond their document: inference, and other pipelines by name."""

    inference: Inference
    pipeline: Callable[[str, Document], Awaitable[None]]
    has_pipeline: Callable[[str], bool]


class Config:
    """A processor's configuration; what nobody reads is an error (``ConfigurationUtils``)."""

    def __init__(self, kind: str, given: Mapping[str, Any]) -> None:
        self.kind = kind
        self.tag = given.get("tag")
        self._given = {key: value for key, value in given.items() if key != "tag"}

    def error(self, reason: str, name: str | None = None) -> ElasticError:
        more = {"processor_type": self.kind}
        if self.tag is not None:
            more["processor_tag"] = self.tag
        if name is not None:
            more["property_name"] = name
            reason = f"[{name}] {reason}"
        return ElasticError(400, "parse_exception", reason, more=more)

    def take(self, name: str, default: Any = _MISSING) -> Any:
        value = self._given.pop(name, None)
        if value is None:
            if default is _MISSING:
                raise self.error("required property is missing", name)
            return default
        return value

    def text(self, name: str, default: Any = _MISSING) -> Any:
        value = self.take(name, default)
        if value is not default and not isinstance(value, str):
            raise self.error(f"property isn't a string, but of type [{java_type(value)}]", name)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise self.error(f"property isn't a boolean, but of type [{java_type(value)}]", name)
        return value

    def finish(self) -> None:
        if self._given:
            names = ", ".join(sorted(self._given))
            raise self.error(
                f"processor [{self.kind}] doesn't support one or more provided configuration parameters "
                f"[{names}]"
            )


class Processor(Protocol):
    """One step of a pipeline."""

    async def run(self, document: Document, environment: Environment, /) -> None: ...


@dataclass
class Step:
    """A processor with what every processor has."""

    kind: str
    tag: str | None
    processor: Processor
    ignore_failure: bool
    on_failure: list[Step]
    count: int = 0
    failed: int = 0
    current: int = 0
    seconds: float = 0.0

    def stats(self) -> dict[str, Any]:
        stats = {
            "count": self.count,
            "time_in_millis": round(self.seconds * 1000),
            "current": self.current,
            "failed": self.failed,
        }
        return {f"{self.kind}:{self.tag}" if self.tag else self.kind: {"type": self.kind, "stats": stats}}


def steps(given: object) -> list[Step]:
    """Return the processors of a pipeline's definition."""
    if not isinstance(given, list):
        raise ElasticError(
            400,
            "parse_exception",
            f"[processors] property isn't a list, but of type [{java_type(given)}]",
            more={"property_name": "processors"},
        )
    return [_step(kind, config) for one in given for kind, config in one.items()]


def _step(kind: str, given: Mapping[str, Any]) -> Step:
    if kind in _ELSEWHERE:
        raise unsupported(f"the processor [{kind}]")
    if kind not in _KINDS:
        more = {"processor_type": kind}
        raise ElasticError(400, "parse_exception", f"No processor type exists with name [{kind}]", more=more)
    config = Config(kind, given)
    if config.take("if", None) is not None:
        raise unsupported("conditional processors [if]: it has no scripts")
    config.text("description", None)
    ignore_failure = config.flag("ignore_failure")
    handlers = config.take("on_failure", None)
    if handlers == []:
        raise config.error("processors list cannot be empty", "on_failure")
    processor = _KINDS[kind](config)
    config.finish()
    return Step(kind, config.tag, processor, ignore_failure, steps(handlers or []))


# -- the processors ----------------------------------------------------------------------------------------


class _Text:
    """``lowercase``, ``uppercase``, ``trim`` (``AbstractStringProcessor``)."""

    def __init__(self, config: Config, change: Callable[[str], str]) -> None:
        self._field = config.text("field")
        self._target = config.text("target_field", self._field)
        self._ignore_missing = config.flag("ignore_missing")
        self._change = change

    async def run(self, document: Document, _environment: Environment) -> None:
        name = document.rendered(self._field)
        value = document.get(name) if document.has(name) or not self._ignore_missing else None
        if value is None:
            if self._ignore_missing:
                return
            raise illegal_argument(f"field [{name}] is null, cannot process it.")
        document.set(
            self._target,
            [self._changed(name, one) for one in value]
            if isinstance(value, list)
            else self._changed(name, value),
        )

    def _changed(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise illegal_argument(
                f"field [{name}] of type [{java_type(value)}] cannot be cast to [java.lang.String]"
            )
        return self._change(value)


class _Set:
    def __init__(self, config: Config) -> None:
        self._field = config.text("field")
        self._copy_from = config.text("copy_from", None)
        self._value = config.take("value", None if self._copy_from else _MISSING)
        if self._copy_from and self._value is not None:
            raise config.error("cannot set both `copy_from` and `value` in the same processor", "copy_from")
        self._override = config.flag("override", default=True)
        self._ignore_empty = config.flag("ignore_empty_value")
        config.text("media_type", None)

    async def run(self, document: Document, _environment: Environment) -> None:
        name = document.rendered(self._field)
        if not self._override and document.has(name) and document.get(name) is not None:
            return
        value = document.get(self._copy_from) if self._copy_from else document.rendered(self._value)
        if self._ignore_empty and value in (None, ""):
            return
        document.set(name, value)


class _Remove:
    def __init__(self, config: Config) -> None:
        fields = config.take("field")
        self._fields = fields if isinstance(fields, list) else [fields]
        self._ignore_missing = config.flag("ignore_missing")

    async def run(self, document: Document, _environment: Environment) -> None:
        for template in self._fields:
            name = document.rendered(template)
            if not self._ignore_missing or document.has(name):
                document.remove(name)


class _Rename:
    def __init__(self, config: Config) -> None:
        self._field = config.text("field")
        self._target = config.text("target_field")
        self._ignore_missing = config.flag("ignore_missing")
        self._override = config.flag("override")

    async def run(self, document: Document, _environment: Environment) -> None:
        name, target = document.rendered(self._field), document.rendered(self._target)
        if not document.has(name):
            if self._ignore_missing:
                return
            raise illegal_argument(f"field [{name}] doesn't exist")
        if document.has(target) and not self._override:
            raise illegal_argument(f"field [{target}] already exists")
        value = document.get(name)
        document.remove(name)
        document.set(target, value)


class _Fail:
    def __init__(self, config: Config) -> None:
        self._message = config.text("message")

    async def run(self, document: Document, _environment: Environment) -> None:
        raise ElasticError(500, "fail_processor_exception", document.rendered(self._message))


class _Drop:
    def __init__(self, config: Config) -> None:
        del config  # has nothing of its own

    async def run(self, document: Document, _environment: Environment) -> None:
        document.dropped = True


class _Pipeline:
    def __init__(self, config: Config) -> None:
        self._name = config.text("name")
        self._ignore_missing = config.flag("ignore_missing_pipeline")

    async def run(self, document: Document, environment: Environment) -> None:
        name = document.rendered(self._name)
        if environment.has_pipeline(name):
            await environment.pipeline(name, document)
        elif not self._ignore_missing:
            raise ElasticError(
                500,
                "illegal_state_exception",
                f"Pipeline processor configured for non-existent pipeline [{name}]",
            )


@dataclass
class InferenceProcessor:
    """Inference with inputs and outputs, or with a map of fields and a target."""

    config: Config
    model_id: str = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.model_id = config.text("model_id")
        self._inference_config = config.take("inference_config", None)
        self._inputs = self._input_output(config.take("input_output", None))
        self._ignore_missing = config.flag("ignore_missing")
        default = f"ml.inference.{config.tag}" if config.tag else "ml.inference"
        self._target = config.text("target_field", None if self._inputs else default)
        self._field_map = config.take("field_map", {})
        self._check()

    def _check(self) -> None:
        config = self._inference_config
        if config is not None and (not isinstance(config, dict) or len(config) != 1):
            raise bad_request(
                "inference_config must be an object with one inference type mapped to an object."
            )
        if self._inputs is None:
            return
        if self._target is not None:
            raise self.config.error(
                "option is incompatible with [input_output]. Use the [output_field] option to specify where "
                "to write the inference results to.",
                "target_field",
            )
        if config is not None and "results_field" in next(iter(config.values())):
            raise self.config.error(
                "The [inference_config.results_field] setting is incompatible with using [input_output]. "
                "Prefer to use the [input_output.output_field] option to specify where to write the "
                "inference results to."
            )

    def _input_output(self, given: Any) -> list[tuple[str, str]] | None:
        if given is None:
            return None
        rows = given if isinstance(given, list) else [given]
        if not rows:
            raise self.config.error("property cannot be empty at least one is required", "input_output")
        if not all(isinstance(row, dict) for row in rows):
            raise self.config.error("property isn't a list of maps", "input_output")
        for name in ("input_field", "output_field"):
            seen = [Config("inference", row).text(name) for row in rows]
            for repeated in {one for one in seen if seen.count(one) > 1}:
                raise self.config.error(f"names must be unique but [{repeated}] is repeated", name)
        return [(row["input_field"], row["output_field"]) for row in rows]

    async def run(self, document: Document, environment: Environment) -> None:
        if self._inputs is None:
            await self._infer_fields(document, environment)
        else:
            await self._infer_inputs(document, environment, self._inputs)

    async def _infer_inputs(
        self, document: Document, environment: Environment, inputs: list[tuple[str, str]]
    ) -> None:
        texts: list[str] = []
        present = False
        for name, _ in inputs:
            text = self._text(document, name)
            present = present or text is not None
            if not present:
                return
            texts.append(text or "")
        model_id, results = await environment.inference.texts(self.model_id, texts)
        for number, ((_, output), expansion) in enumerate(zip(inputs, results, strict=True)):
            base = output.rpartition(".")[0]
            written: dict[str, Any] = {output.rpartition(".")[2]: expansion.tokens}
            if expansion.truncated:
                written["is_truncated"] = True
            if number == 0:
                written["model_id"] = model_id
            for key, value in written.items():
                document.add(f"{base}.{key}" if base else key, value)

    def _text(self, document: Document, name: str) -> str | None:
        try:
            return document.text(name, ignore_missing=self._ignore_missing)
        except ElasticError as problem:
            if document.has(name):
                raise illegal_argument(
                    f"input field [{name}] cannot be processed because it is not a text field"
                ) from problem
            raise

    async def _infer_fields(self, document: Document, environment: Environment) -> None:
        fields = {**document.source, **document.metadata}
        for source, target in self._field_map.items():
            if document.has(source):
                fields[target] = document.get(source)
        model_id, found = await environment.inference.fields(self.model_id, fields, self._inference_config)
        document.add(self._target, {**found, "model_id": model_id})


_KINDS: Final[Mapping[str, Callable[[Config], Processor]]] = {
    "drop": _Drop,
    "fail": _Fail,
    "inference": InferenceProcessor,
    "lowercase": lambda config: _Text(config, str.lower),
    "pipeline": _Pipeline,
    "remove": _Remove,
    "rename": _Rename,
    "set": _Set,
    "trim": lambda config: _Text(config, str.strip),
    "uppercase": lambda config: _Text(config, str.upper),
}
