"""SIGKILL from outside, after every rename, unlink, fsync and execve of apply: nothing is ever half done.

strace stops each process of the script after each such call; at the chosen one the whole process group is killed,
as the SSM agent does (F56). Then only the watchdog and the next document are left to put things right.
"""

import asyncio
import json
import os
import random
import re
import signal
from typing import Any

import pytest

from orchestrator.core.documents import Kind
from orchestrator.lab.instance import ScriptJob
from tests.documents.conftest import MakeBench
from tests.documents.support import DATA, Bench, needs, until
from tests.documents.test_watchdog import watchdogs

TIMES = {"VerifySeconds": "3", "RestoreSeconds": "4", "WatchdogSeconds": "8", "StepSeconds": "60"}
CALLS = "rename,renameat,renameat2,unlink,unlinkat,fsync,execve"
# `make soak` tries every point; a run of the tests takes a sample, another one for each seed.
SAMPLE = 10_000 if os.environ.get("SOAK") else 8
SEED = int(os.environ.get("PYTEST_SEED", "1"))
_STOP = re.compile(r"^(\d+) +--- stopped by SIGSTOP ---$", re.MULTILINE)


class Tracer:
    """Runs apply under strace and counts its stops; at stop number `kill_at` it kills the group."""

    def __init__(self, bench: Bench, kill_at: int) -> None:
        self.bench = bench
        self.kill_at = kill_at
        self.points: list[str] = []
        self.log = bench.host.root / "strace.log"

    async def run(self) -> str:
        step = self.bench.prepare(Kind.APPLY, self.bench.apply_values(**TIMES))
        script = self.bench.host.root / "apply.sh"
        script.write_text(step.script)
        self.log.write_text("")
        wrapper = (
            f"#!/bin/bash\nexec strace -f -qq -o '{self.log}' -e trace={CALLS} -e inject={CALLS}:signal=SIGSTOP "
            f"/bin/bash '{script}'\n"
        )
        job = ScriptJob(command_id="traced", step=step.name, script=wrapper, timeout=60)
        running = asyncio.create_task(self.bench.host.execute(job))
        answered = 0
        while not running.done():
            text = self.log.read_text(errors="replace")
            for match in list(_STOP.finditer(text))[answered:]:
                answered += 1
                self.points.append(self._call_before(text, match))
                if answered == self.kill_at:
                    job.cancel.set()
                    break
                os.kill(int(match[1]), signal.SIGCONT)
            await asyncio.sleep(0.002)
        return (await running).stdout

    def _call_before(self, text: str, stop: re.Match[str]) -> str:
        lines = [line for line in text[: stop.start()].splitlines() if line.startswith(f"{stop[1]} ") and "(" in line]
        return lines[-1] if lines else ""


async def settle(bench: Bench) -> str:
    """Wait until the watchdog is done, then say which state the instance is in: old or new, both proven by reading."""
    await until(lambda: not watchdogs(bench))
    seen: dict[str, Any] = {}
    for _ in range(20):
        seen = await bench.inspect()
        if seen["agent"] == "up":
            break
        await asyncio.sleep(0.3)
    text = bench.config.read_text()
    state = "new" if DATA in text else "old"
    running = json.loads((bench.host.root / "run/lab/docker/names/ecs-agent/inspect.json").read_text())
    assert (f"ECS_ENGINE_AUTH_DATA={DATA}" in running["Config"]["Env"]) == (state == "new")
    assert seen["agent"] == "up"
    assert seen["armed"] in {"no", "dead"}
    if state == "old":
        assert text == OLD
    return state


OLD = 'ECS_CLUSTER=demo\nECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={"old.example":{"auth":"dTpw"}}\nA=1'


async def prepared(make: MakeBench, number: int) -> Bench:
    bench = await make(instance_id=f"i-{number:017x}", auth_data='{"old.example":{"auth":"dTpw"}}')
    bench.config.write_text(OLD)
    return bench


async def count(make: MakeBench) -> list[str]:
    tracer = Tracer(await prepared(make, 1), kill_at=-1)
    assert '"outcome":"updated"' in await tracer.run()
    return tracer.points


@needs("strace")
async def test_no_kill_leaves_it_half_done(make: MakeBench, request: pytest.FixtureRequest) -> None:
    """After a kill at any moment there are the old bytes and the old agent, or the new bytes and the new agent."""
    points = await count(make)
    heavy = [number for number, call in enumerate(points, 1) if "execve(" not in call]
    light = [number for number in range(1, len(points) + 1) if number not in set(heavy)]
    rng = random.Random(SEED)
    chosen = sorted(rng.sample(heavy, min(SAMPLE, len(heavy))) + rng.sample(light, min(SAMPLE // 2, len(light))))
    states = []
    for number in chosen:
        bench = await prepared(make, 100 + number)
        await Tracer(bench, kill_at=number).run()
        states.append((bench, number))
    for bench, number in states:
        state = await settle(bench)
        again = await bench.apply(RunId="run-2", Fence="2")
        assert again["outcome"] in {"updated", "current"}, (number, points[number - 1], state, again)
        assert not list(bench.config.parent.glob(".ecs-rollout*"))
        assert (await bench.inspect())["armed"] == "no"
    request.node.user_properties.append(("kills", f"{len(chosen)} of {len(points)} points, nothing lost"))
