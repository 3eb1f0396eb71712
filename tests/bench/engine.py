"""What a rollout costs the controller: API calls, CPU, memory. `python -m tests.bench.engine` prints a table.

On the virtual clock and the fleet in memory, each row in a process of its own; ratios and counts are what matters,
seconds are this machine's. Seconds and MB are of fleet and engine together.
"""

import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tabulate import tabulate

from orchestrator.core import policy as policies
from orchestrator.core.actions import Action
from orchestrator.core.amount import Amount
from orchestrator.core.events import Entry
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.core.state import RunState
from tests.api_calls import metered
from tests.fake_fleet import MemoryJournal, World, fleet_of

ALL_AT_ONCE = Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING)
SLIDING = Policy(waves=(EVERYTHING,), max_unavailable=Amount.parse("10%"))


class Forgetful(MemoryJournal):
    """Counts transactions and keeps nothing: the journal's own size is another bench's matter."""

    transactions = 0

    def append(self, entries: Sequence[Entry]) -> None:
        del entries
        self.transactions += 1


def measured(count: int, policy: Policy) -> tuple[object, ...]:
    """Roll `count` instances; give the row of the table."""
    decided = {"seconds": 0.0, "ticks": 0}
    original = policies.decide

    def decide(state: RunState, now: float) -> tuple[Action, ...]:
        began = time.process_time()
        actions = original(state, now)
        decided["seconds"] += time.process_time() - began
        decided["ticks"] += 1
        return actions

    kept = Forgetful()

    def forget(world: World) -> None:
        world.journal = kept

    policies.decide = decide
    began = time.process_time()
    _, meter = metered(fleet_of(count), policy, forget)
    calls = meter.calls
    return (
        count,
        str(policy.max_unavailable),
        calls["SendCommand"],
        calls["ListCommandInvocations"],
        calls["ListCommands"],
        calls["DescribeContainerInstances"],
        calls["GetParametersByPath"] + calls["PutParameter"],
        f"{calls.total() / count:.3f}",
        f"{1000 * decided['seconds'] / decided['ticks']:.2f}",
        f"{time.process_time() - began:.1f}",
        kept.transactions,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def main() -> None:
    """Print the table."""
    sizes = [int(argument) for argument in sys.argv[1:]] or [1_000, 10_000]
    rows = []
    for count in sizes:
        for policy in (ALL_AT_ONCE, SLIDING):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                rows.append(alone.submit(measured, count, policy).result())
    calls = ("sends", "pages", "overviews", "describes", "lock", "calls each")
    headers = ("instances", "window", *calls, "ms a tick", "CPU s", "txns", "MB")
    sys.stdout.write(tabulate(rows, headers=headers) + "\n")


if __name__ == "__main__":
    main()
