"""Fixtures: a farm of simulated hosts, and a bench of one host with its store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab.host_farm import HostFarm
from tests.documents.support import Bench, store_at_work
from tests.lab.host_support import spec

MakeBench = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakeBench]:
    """Build a bench around a host with the given trouble."""
    async with HostFarm(tmp_path) as farm, store_at_work() as store:

        async def build(**changes: Any) -> Bench:
            host = await farm.add(spec(**changes))
            store.instance_ids.add(host.instance_id)
            return Bench(host, farm, store)

        yield build


@pytest.fixture
async def bench(make: MakeBench) -> Bench:
    """Build a bench around a healthy host."""
    return await make()
