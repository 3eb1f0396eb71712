"""How long `--help` takes, per command: `python -m tests.bench.cli`. Its limit is 0.15 s on a machine at rest."""

import os
import subprocess
import sys
import time

from orchestrator.cli.main import COMMANDS

_TRIES = 7


def measure(*arguments: str) -> tuple[float, float]:
    """Give the least wall time and the least CPU time of several tries, in seconds."""
    walls, works = [], []
    for _ in range(_TRIES):
        before, began = os.times(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "orchestrator.cli.main", *arguments], stdout=subprocess.DEVNULL, check=True
        )
        walls.append(time.perf_counter() - began)
        after = os.times()
        works.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(walls), min(works)


if __name__ == "__main__":
    for name in ("", *COMMANDS):
        wall, work = measure(*([name] if name else []), "--help")
        print(f"{name or 'ecs-rollout':<12} wall {wall:.3f} s  CPU {work:.3f} s")  # noqa: T201 - its result
