"""What apply costs a host: `python -m tests.bench.documents`. Printed, never asserted.

CPU is that of the script and everything it started, the lab's docker and systemctl stand-ins included.
"""

import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

from orchestrator.core.documents import Kind
from orchestrator.lab.host_farm import HostFarm
from tests.documents.support import Bench, result_of, store_at_work
from tests.lab.host_support import spec

ROUNDS = 5
AGENT_SECONDS = 1.2  # a real agent's restart takes 1.1 to 1.4 s (F20)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _measure() -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {"apply": [], "repeat": [], "inspect": []}
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            async with HostFarm(Path(folder)) as farm, store_at_work() as store:
                host = await farm.add(
                    spec(instance_id=f"i-{number:017x}", restart_seconds=(AGENT_SECONDS, AGENT_SECONDS))
                )
                store.instance_ids.add(host.instance_id)
                bench = Bench(host, farm, store)
                for name, kind in (("apply", Kind.APPLY), ("repeat", Kind.APPLY), ("inspect", Kind.INSPECT)):
                    values = bench.apply_values() if kind is Kind.APPLY else {}
                    began, cpu = time.perf_counter(), _cpu()
                    result_of(await bench.send(kind, values))
                    found[name].append((time.perf_counter() - began, _cpu() - cpu))
    return found


def main() -> None:
    """Print medians of wall time and CPU."""
    for name, rounds in asyncio.run(_measure()).items():
        wall, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        own = f", {wall - AGENT_SECONDS:.2f} s over the agent's own restart" if name == "apply" else ""
        print(f"{name}: {wall:.2f} s{own}, {cpu:.2f} s CPU")  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
