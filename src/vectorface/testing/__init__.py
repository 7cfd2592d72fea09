"""The conformance kit: a backend proves itself with a six-line test class.

::

    from vectorface.testing import DenseContract, StoreContract


    class TestMyDB(StoreContract, DenseContract):
        def make(self, embeddings):
            return MyDB(embeddings)

        def connect(self, store, index, **options):
            return store.connect(index=index, **options)

============================  ==============================================================================
:class:`StoreContract`        what every store promises: opening, indexes, writing, ids, metadata, filters,
                              reading, deleting, searching, bulk writes, async twins, threads, wrong input
:class:`DenseContract`        for stores that embed: vectors in and out, metrics and scores, mmr
:class:`DurableContract`      for stores whose documents outlive the object: seen again, and by others
:class:`FingerprintContract`  for stores that are both: an index made otherwise is refused
============================  ==============================================================================

No promise is skipped or softened for one backend: what a store cannot keep is a mixin it does not take.
:mod:`vectorface.testing.strategies` holds the hypothesis strategies behind it, for tests of your own.
"""

from __future__ import annotations

from importlib.util import find_spec

from vectorface.errors import MissingExtraError

if find_spec("pytest") is None or find_spec("hypothesis") is None:
    raise MissingExtraError(
        "vectorface.testing needs the packages of an extra: pip install 'vectorface[testing]'."
    )

import pytest

# Before they are imported, so that a broken promise is shown with its values.
pytest.register_assert_rewrite("vectorface.testing.contract")

from vectorface.testing.contract import (  # noqa: E402 - see above
    DenseContract,
    DurableContract,
    FingerprintContract,
    StoreContract,
)
from vectorface.testing.embeddings import WordEmbeddings  # noqa: E402 - see above

__all__ = ["DenseContract", "DurableContract", "FingerprintContract", "StoreContract", "WordEmbeddings"]
