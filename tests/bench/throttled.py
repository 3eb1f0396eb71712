"""A large fleet against an SSM that throttles: `python -m tests.bench.throttled [COUNT ...]` prints a table.

The controller is the real engine with the real adapter of Run Command, over HTTP against the lab's own engine, in real
time; instances are functions that answer at once, and ECS is in memory. What counts: no call is given up.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from orchestrator.aws.documents import Documents
from orchestrator.aws.ssm import SsmCommands
from orchestrator.cli.compose import rendered
from orchestrator.clock import SystemClock
from orchestrator.core.model import OutcomeKind
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.core.state import RunState
from orchestrator.engine import Engine, Pace
from orchestrator.lab.faults import ApiFaults, Rate
from orchestrator.lab.processes import ScriptJob, ScriptResult
from orchestrator.lab.scenario import InstanceSpec
from orchestrator.lab.wire import SystemClock as LabClock
from tests.fake_fleet import PAYLOAD, Host, OpenLock, Rollout, VirtualClock, World
from tests.fake_host import apply_line, inspect_line
from tests.lab.bench import Bench, ended, instance_id

THROTTLE = {
    "SendCommand": Rate(rate=5, burst=5),
    "ListCommandInvocations": Rate(rate=10, burst=10),
    "ListCommands": Rate(rate=10, burst=10),
}
POLICY = Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: how it ended, how many calls were answered by operation and status, and its seconds."""

    state: RunState
    calls: Counter[tuple[str, int]]
    seconds: float

    @property
    def throttled(self) -> int:
        """How many calls were turned down; each was made again."""
        return sum(count for (_, status), count in self.calls.items() if status >= 400)


def measured(count: int) -> Measured:
    """Roll `count` instances in one wave under the throttle. Raises what the engine raises when it gives up."""
    world = World([Host(instance_id(number)) for number in range(count)], VirtualClock())
    rollout = Rollout(world, POLICY)
    planned = rollout.plan(1)
    specs = tuple(InstanceSpec(instance_id=name) for name in world.hosts)
    with Bench(specs, ApiFaults(seed=7, throttle=THROTTLE, list_lag=(0.1, 1.0)), clock=LabClock()) as bench:
        for name, host in bench.hosts.items():
            host.script = _script(world.hosts[name])
        documents = Documents(client=bench.ssm_client, prefix="ecs-rollout", texts=rendered())
        documents.publish()
        clock = SystemClock()
        commands = SsmCommands(
            client=bench.client("ssm", retries=10, mode="adaptive"),
            once=bench.client("ssm"),
            pins=documents.pins(),
            clock=clock,
        )
        began = time.monotonic()
        state = _engine(rollout, commands, clock).run(rollout.started(1, planned))
        return Measured(state=state, calls=_calls(bench), seconds=time.monotonic() - began)


def _script(host: Host) -> Any:
    def answer(job: ScriptJob) -> ScriptResult:
        if "op=apply" in job.script:
            return ended(apply_line("updated", "verified", changed=True, arn=host.arn))
        return ended(inspect_line(host))

    return answer


def _engine(rollout: Rollout, commands: SsmCommands, clock: SystemClock) -> Engine:
    world = rollout.world
    return Engine(
        commands=commands,
        fleet=world,
        drains=world,
        journal=world.journal,
        lock=OpenLock(),
        clock=clock,
        context=rollout.context(1),
        deliver=lambda: PAYLOAD,
        survey=world.survey,
        pace=Pace(),
    )


def _calls(bench: Bench) -> Counter[tuple[str, int]]:
    return Counter((each.operation, each.status) for each in bench.server.recorder.exchanges)


def main(counts: list[int]) -> None:
    """Print the table."""
    rows = []
    for count in counts:
        found = measured(count)
        rows.append(
            (
                count,
                found.state.counts[OutcomeKind.UPDATED],
                found.calls["SendCommand", 200],
                found.calls["ListCommandInvocations", 200],
                found.throttled,
                f"{found.seconds:.0f}",
            )
        )
    print(tabulate(rows, headers=("instances", "updated", "SendCommand", "list pages", "throttled", "seconds")))  # noqa: T201 - its result


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [500, 5000])
