"""What ``import vectorface`` costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from benchmarks._timing import Row

_PROBE = """
import time
import langchain_core.documents
start = time.perf_counter()
import vectorface
print(time.perf_counter() - start)
"""


def measure(*, quick: bool = False) -> Iterator[Row]:
    """Time the import in fresh processes."""
    times = [_import_time() for _ in range(5 if quick else 15)]
    yield Row(
        name="`import vectorface`, on top of `langchain_core.documents`",
        value=median(times) * 1000,
        goal=50,
        at_most=True,
        unit=" ms",
    )


def _import_time() -> float:
    result = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True)
    return float(result.stdout)
