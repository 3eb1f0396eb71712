"""Killed, and rebooted, at every change to a real engine: never two agents, never none for good (F32, F56)."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.docker.engine import Engine, new_engine
from tests.docker.support import OLD_DATA, POLICY, DockerHost, MakeHost, hosts_at_work
from tests.documents.support import DATA

POISON = '{"poison.example":{"auth":"dTpw"}}'
# Changes of a good apply (nine), and of one that fails and is taken back (fifteen). What lies before a change lies
# after the one before it, but for what the script itself does between: `make soak` tries both, and every point.
SOAK = bool(os.environ.get("SOAK"))
GOOD_POINTS = tuple((number, when) for number in range(1, 10) for when in ("after", "before")[: 1 + SOAK])
BAD_POINTS = tuple((number, when) for number in range(9, 16) for when in ("after", "before")[: 1 + SOAK])
SHORT = {"VerifySeconds": "3", "RestoreSeconds": "8", "WatchdogSeconds": "12", "StepSeconds": "60"}
LONG = {"VerifySeconds": "3", "RestoreSeconds": "8", "WatchdogSeconds": "500", "StepSeconds": "600"}


T = TypeVar("T")


def state_of(host: DockerHost) -> str:
    """Say which state the host is in, old or new, when file and container agree; fail otherwise."""
    container = host.inspect_container()
    assert container["State"]["Running"] is True
    data = host.pair()["ECS_ENGINE_AUTH_DATA"]
    assert f"ECS_ENGINE_AUTH_DATA={data}\n" in host.config.read_text()
    return {OLD_DATA: "old", DATA: "new"}[data]


async def few_at_once(doings: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await them all, four at a time: the deadlines inside are short, and machines are small."""
    turns = asyncio.Semaphore(4)

    async def in_turn(doing: Coroutine[Any, Any, T]) -> T:
        async with turns:
            return await doing

    return await asyncio.gather(*map(in_turn, doings))


async def quiet(host: DockerHost) -> None:
    while host.watchdogs():  # noqa: ASYNC110 - processes that are not ours raise no events
        await asyncio.sleep(0.1)


async def test_no_kill_leaves_a_host_without_its_agent(make: MakeHost, request: pytest.FixtureRequest) -> None:
    """SIGKILL before or after any change: the watchdog brings the old container back with its policy and its name."""
    hosts = [await make() for _ in GOOD_POINTS]
    before = [host.inspect_container() for host in hosts]
    points = zip(hosts, GOOD_POINTS, strict=True)
    changes = await asyncio.gather(*(host.kill_at(*point, DATA, SHORT) for host, point in points))
    assert {"rm", "update", "stop", "rename", "start"} == set(changes)
    await asyncio.gather(*map(quiet, hosts))
    for host, was, point in zip(hosts, before, GOOD_POINTS, strict=True):
        state = state_of(host)
        now = host.inspect_container()
        assert now["HostConfig"]["RestartPolicy"] == was["HostConfig"]["RestartPolicy"], point
        if state == "old":
            assert (now["Id"], now["Name"], now["HostConfig"]) == (was["Id"], was["Name"], was["HostConfig"])
            assert host.agents("-a") == [was["Id"]]
    again = await few_at_once(host.apply(DATA, RunId="run-2", Fence="2") for host in hosts)
    assert {each["outcome"] for each in again} <= {"updated", "current"}, again
    for host in hosts:
        assert state_of(host) == "new"
        assert len(host.agents("-a")) == 1
        assert not host.two_agents()
    request.node.user_properties.append(("kills", f"{len(changes)} changes of a real Docker engine, nothing lost"))


@pytest.fixture
async def make_frail(tmp_path: Path) -> AsyncIterator[tuple[Engine, MakeHost]]:
    """Make hosts on an engine of their own, which a test may crash."""
    engine = new_engine()
    try:
        async with hosts_at_work(engine, tmp_path) as build:
            yield engine, build
    finally:
        engine.stop()


async def test_a_reboot_never_starts_two_agents(make_frail: tuple[Engine, MakeHost]) -> None:
    """After a reboot at any change at most one agent runs, and the next document takes the change back first."""
    engine, build = make_frail
    points = (*((number, when, DATA) for number, when in GOOD_POINTS), *((*each, POISON) for each in BAD_POINTS))
    points = points[:: 1 if SOAK else 2]
    hosts = [await build(start=False) for _ in points]
    for host in hosts:
        host.run_agent(policy="always")
    pairs = zip(hosts, points, strict=True)
    await few_at_once(host.kill_at(*point, LONG) for host, point in pairs)
    for host in hosts:
        for pid in host.watchdogs():
            os.kill(pid, signal.SIGKILL)
    engine.crash()
    engine.start()
    await asyncio.sleep(2)  # dockerd starts what has a policy, by and by
    for host, point in zip(hosts, points, strict=True):
        assert len(host.agents()) <= 1, point
    again = await few_at_once(host.apply(DATA, RunId="run-2", Fence="2") for host in hosts)
    for host, point, result in zip(hosts, points, again, strict=True):
        assert result["outcome"] in {"updated", "current"}, (point, result)
        assert state_of(host) == "new"
        assert host.inspect_container()["HostConfig"]["RestartPolicy"]["Name"] == "always"
        assert len(host.agents("-a")) == 1
        assert not host.two_agents(), point


def test_the_policy_is_worth_testing() -> None:
    """The hosts above do have a policy that could be lost."""
    assert POLICY != "no"
