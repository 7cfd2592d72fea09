"""The code in the README and in docs/ runs as tests."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection


def _in_empty_folder(namespace: dict[str, Any]) -> None:
    namespace["_home"] = os.getcwd()  # noqa: PTH109 - remembered as it is
    namespace["_folder"] = tempfile.TemporaryDirectory()
    os.chdir(namespace["_folder"].name)


def _back(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["_home"])
    namespace["_folder"].cleanup()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the examples of a page in one worker: later ones go on where earlier ones ended."""
    for item in items:
        if isinstance(item, SybilItem):
            item.add_marker(pytest.mark.xdist_group(item.path.name))


#: Fixtures that pages of docs need, too.
pytest_plugins = ["tests.elastic.fixtures"]

_ON_ELASTICSEARCH = ["docs/elasticsearch.md", "docs/elser.md"]

pytest_collect_file = SybilCollection(
    Sybil(
        parsers=[PythonCodeBlockParser(), SkipParser()],
        patterns=patterns,
        excludes=excludes,
        setup=_in_empty_folder,
        teardown=_back,
        fixtures=fixtures,
    )
    for patterns, excludes, fixtures in (
        (["README.md", "docs/*.md"], _ON_ELASTICSEARCH, []),
        (_ON_ELASTICSEARCH, [], ["elasticsearch_in_environment"]),
    )
).pytest()
