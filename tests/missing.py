"""What to do where a test lacks something."""

from __future__ import annotations

import os

import pytest


def missing(what: str) -> None:
    """Skip a test for want of something; on continuous integration, where all must run, fail it."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(f"CI must have it: {what}")
    pytest.skip(what)
