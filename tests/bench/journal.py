"""What the journal costs: transactions, room, and the time of the commands that read it.

`python -m tests.bench.journal` prints a table. Instances, their ids, results and evidence are as different as a real
fleet's; seconds are this machine's processor's, with the start of Python. What a run of 5,000 may cost at most stands
below it; a Python that only starts, with the packages that every command loads, says how fast the machine is.
"""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from msgspec import structs
from tabulate import tabulate

from orchestrator.core.events import Entry, Event, Reported, RunStarted
from orchestrator.core.model import Planned
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.journal.sqlite import SqliteJournal
from tests.fake_fleet import Host, roll
from tests.journal_runs import digest

LARGEST = 5_000
ALLOWED = {"MB": 20.0, "status s": 0.3}
"""What a run of that many instances may cost (issue 6)."""

_HEADERS = ("instances", "entries", "txns", "MB", "ms a txn", "runs s", "status s", "report s")
_ARN = "arn:aws:ecs:eu-central-1:123456789012:container-instance/production"


def batches_of(count: int) -> list[list[Entry]]:
    """Roll `count` instances; give what was appended together, with evidence as long as a real one's."""
    hosts = [Host(f"i-{digest(number)[:17]}", zone="abc"[number % 3]) for number in range(count)]
    _, _, journal = roll(hosts, Policy(waves=(EVERYTHING,), max_failures=(EVERYTHING,)))
    return [[Entry(entry.at, varied(entry.event)) for entry in batch] for batch in journal.batches]


def varied(event: Event) -> Event:
    """Make an event's evidence differ from every other's."""
    match event:
        case RunStarted(planned=planned):
            return structs.replace(event, planned=tuple(_planned(each) for each in planned))
        case Reported(key=key, report=report):
            arn = f"{_ARN}/{digest(hash(key))[:32]}"
            return structs.replace(
                event,
                report=replace(
                    report, arn=arn, arn_before=arn, agent_version="1.105.1", tasks_before=9, tasks_after=9,
                    restart_ms=len(key) * 977, warnings=("stale_copy:/etc/ecs/ecs.config.bak",),
                ),
            )  # fmt: skip
        case _:
            return event


def _planned(planned: Planned) -> Planned:
    arn = f"{_ARN}/{digest(hash(planned.key))[:32]}"
    facts = planned.facts and replace(
        planned.facts, arn=arn, generation=digest(1)[:32], run="20261124-013006-d617fabc",
        registries=("registry.example.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com"), registries_total=2,
    )  # fmt: skip
    return replace(planned, instance=replace(planned.instance, arn=arn, ami="ami-0123456789abcdef0"), facts=facts)


def seconds_of(*arguments: str) -> float:
    """Give the processor's time of a Python in a process of its own, which others blur little; the best of ten."""
    tried = []
    for _ in range(10):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        tried.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(tried)


def measured(count: int, folder: Path) -> tuple[object, ...]:
    """Write a whole run; give the row of the table."""
    batches = batches_of(count)
    path = folder / f"{count}.db"
    journal = SqliteJournal(path)
    began = time.perf_counter()
    for batch in batches:
        journal.append("run-1", 1, batch)
    spent = time.perf_counter() - began
    journal.close()
    return (
        count,
        sum(len(batch) for batch in batches),
        len(batches),
        f"{path.stat().st_size / 1e6:.2f}",
        f"{1000 * spent / len(batches):.2f}",
        *(
            f"{seconds_of('-m', 'orchestrator.cli.main', *command, '--journal', str(path)):.2f}"
            for command in (("runs",), ("status",), ("report", "run-1"))
        ),
    )


def main() -> int:
    """Print the table, and how the largest run keeps to what it may cost; 1 where it does not."""
    sizes = [int(argument) for argument in sys.argv[1:]] or [100, LARGEST]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(count, Path(folder)) for count in sizes]
    sys.stdout.write(tabulate(rows, headers=_HEADERS) + "\n")
    floor = seconds_of("-c", "import click, msgspec, sqlite3")
    sys.stdout.write(f"a Python that only starts, with click, msgspec and sqlite3: {floor:.2f} s\n")
    missed = False
    for row in rows:
        found = dict(zip(_HEADERS, row, strict=True))
        for name, allowed in ALLOWED.items() if found["instances"] == LARGEST else ():
            kept = float(str(found[name])) < allowed
            missed = missed or not kept
            word = "kept" if kept else "MISSED"
            sys.stdout.write(f"{LARGEST} instances: {name} {found[name]}, under {allowed} wanted: {word}\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
