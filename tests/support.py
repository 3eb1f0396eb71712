"""What many tests need: a tool of the system, or a skip that names it."""

import os
import shutil

import pytest


def tool(name: str, *, package: str) -> str:
    """Return the path of a system's tool; skip the test by name without it, and fail where CI=true."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed (Debian package {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
