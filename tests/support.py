"""What many tests need: a tool of the system, or a skip that names it."""

import functools
import os
import shutil
from typing import NoReturn

import pytest

from orchestrator.lab.namespaces import namespaces_missing


def tool(name: str, *, package: str) -> str:
    """Return the path of a system's tool; skip the test by name without it, and fail where CI=true."""
    return shutil.which(name) or lacking(f"{name} is not installed (Debian package {package})")


def root_rights() -> None:
    """Skip the test where it does not run as root, and fail where CI=true."""
    if os.geteuid() != 0:
        lacking("this is not root")


def namespaces() -> None:
    """Skip the test where an instance cannot have namespaces of its own, and fail where CI=true."""
    if missing := _namespaces_missing():
        lacking(f"no network namespaces here: {missing}")


@functools.cache
def _namespaces_missing() -> str:
    return namespaces_missing()


def lacking(reason: str) -> NoReturn:
    """Skip the test with its reason, which in CI is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
