"""Fixtures: a real Docker engine for the session of each worker, and hosts whose agent runs on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.docker.engine import Engine, new_engine
from tests.docker.support import DockerHost, MakeHost, hosts_at_work


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One dockerd; every test has a container name, a port and files of its own."""
    running = new_engine()
    yield running
    running.stop()


@pytest.fixture
async def make(engine: Engine, tmp_path: Path) -> AsyncIterator[MakeHost]:
    """Make hosts on that engine; their containers go with the test."""
    async with hosts_at_work(engine, tmp_path) as build:
        yield build


@pytest.fixture
async def host(make: MakeHost) -> DockerHost:
    """Make a host whose agent was started by plain `docker run` and keeps its state."""
    return await make()
