"""The watchdog, and what a script that was killed leaves behind."""

import asyncio
import fcntl
import os
import signal
from pathlib import Path

import pytest

from orchestrator.core.documents import Kind
from orchestrator.lab.instance import ScriptJob
from orchestrator.lab.scenario import AfterRestart
from tests.documents.conftest import MakeBench
from tests.documents.support import Bench, result_of

# The watchdog's time is short here; the agent never returns, so that there is time to kill.
TIMES = {"VerifySeconds": "3", "RestoreSeconds": "4", "WatchdogSeconds": "8", "StepSeconds": "60"}


async def seen(path: Path, *, there: bool = True) -> None:
    while os.path.exists(path) is not there:  # noqa: ASYNC110, ASYNC240, PTH110 - files raise no events
        await asyncio.sleep(0.02)


def watchdogs(bench: Bench) -> list[int]:
    """Find this host's watchdogs, by their command line."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[1:3] == [os.fsencode(bench.state("script")), b"watchdog"]:
                found.append(int(process.name))
    return found


async def kill_half_way(bench: Bench) -> None:
    """Cancel an apply once the new bytes stand in the file: SIGKILL to the whole process group (F56)."""
    step = bench.prepare(Kind.APPLY, bench.apply_values(**TIMES))
    job = ScriptJob(command_id="killed", step=step.name, script=step.script, timeout=60)
    before = bench.config.read_bytes()
    running = asyncio.create_task(bench.host.execute(job))
    while bench.config.read_bytes() == before:  # noqa: ASYNC110 - files raise no events
        await asyncio.sleep(0.02)
    job.cancel.set()
    assert (await running).ended == "cancelled"


@pytest.fixture
async def stuck(make: MakeBench) -> Bench:
    return await make(after_restart=AfterRestart.STAYS_DOWN)


async def test_it_takes_back_what_nobody_finished(stuck: Bench) -> None:
    """A killed script's change is taken back in time, reported by the next inspect, and nothing stays armed."""
    before = stuck.config.read_bytes()
    await kill_half_way(stuck)
    assert watchdogs(stuck)
    assert (await stuck.inspect())["armed"] == "living"
    refused = await stuck.apply(RunId="run-2", Fence="2")
    assert (refused["outcome"], refused["reason"]) == ("refused", "watchdog_armed")
    await seen(stuck.state("last"))
    await seen(stuck.state("restoring"), there=False)
    assert stuck.config.read_bytes() == before
    result = await stuck.inspect()
    assert (result["armed"], result["last"], result["last_run"]) == ("no", "watchdog_restored", "run-1")
    assert (result["agent"], result["generation"]) == ("up", "")
    while watchdogs(stuck):  # noqa: ASYNC110 - processes raise no events here
        await asyncio.sleep(0.05)


async def test_after_a_reboot_the_next_document_takes_back(make: MakeBench) -> None:
    """Script and watchdog gone at once: inspect says so, the next apply restores first and then goes on."""
    bench = await make(slow_registration=2.0)
    await kill_half_way(bench)
    for process in watchdogs(bench):
        os.kill(process, signal.SIGKILL)
    while watchdogs(bench):  # noqa: ASYNC110 - processes raise no events here
        await asyncio.sleep(0.02)
    assert (await bench.inspect())["armed"] == "dead"
    result = await bench.apply(RunId="run-2", Fence="2")
    assert (result["outcome"], result["reason"]) == ("updated", "verified")
    after = await bench.inspect()
    assert (after["armed"], after["run"], after["last_run"]) == ("no", "run-2", "run-1")


async def test_restore_finishes_a_dead_run(stuck: Bench) -> None:
    """restore for the very run that died brings the old state back, while tasks run and no agent answers."""
    stuck.farm.plain.run_tasks(next(iter(stuck.farm.plain.instances)), 2)
    before = stuck.config.read_bytes()
    await kill_half_way(stuck)
    for process in watchdogs(stuck):
        os.kill(process, signal.SIGKILL)
    while watchdogs(stuck):  # noqa: ASYNC110 - processes raise no events here
        await asyncio.sleep(0.02)
    result = await stuck.restore()
    assert (result["outcome"], result["reason"]) == ("rolled_back", "restored")
    assert stuck.config.read_bytes() == before


async def test_without_systemd_run_it_stands_in_a_session_of_its_own(stuck: Bench) -> None:
    """Where systemd cannot start it, setsid does, and the kill of the group still does not reach it."""
    (stuck.host.root / "bin/systemd-run").write_text("#!/bin/sh\nexit 1\n")
    await kill_half_way(stuck)
    (process,) = watchdogs(stuck)
    assert os.getsid(process) == os.getpgid(process)
    await seen(stuck.state("last"))
    await seen(stuck.state("restoring"), there=False)
    assert (await stuck.inspect())["last"] == "watchdog_restored"


@pytest.mark.parametrize("winner", ["script", "watchdog"])
async def test_one_side_wins(make: MakeBench, winner: str) -> None:
    """Whoever renames the armed state away owns the change; the other reports what the winner did."""
    bench = await make()
    before = bench.config.read_bytes()
    # The script is held between its proof and its disarming, until the watchdog has won; or not at all.
    hold = 'while [ -d "$state_directory/armed" ]; do nap 2; done; disarm keep || after_watchdog'

    def change(script: str) -> str:
        assert "disarm keep || after_watchdog" in script
        return script.replace("disarm keep || after_watchdog", hold) if winner == "watchdog" else script

    result = result_of(await bench.send(Kind.APPLY, bench.apply_values(**TIMES), change=change))
    if winner == "script":
        assert (result["outcome"], result["reason"]) == ("updated", "verified")
    else:
        assert (result["outcome"], result["reason"], result["changed"]) == ("rolled_back", "watchdog_restored", False)
        assert bench.config.read_bytes() == before
    assert (await bench.inspect())["armed"] == "no"


async def test_who_looks_whether_it_lives_does_not_keep_it_from_living(bench: Bench) -> None:
    """A document that looks at the watchdog's lock just when the watchdog takes it is waited for."""
    running = asyncio.create_task(bench.apply())
    alive = bench.state("armed/alive")
    await seen(alive)
    with alive.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        await asyncio.sleep(2.2)
    assert (await running)["outcome"] == "updated"
