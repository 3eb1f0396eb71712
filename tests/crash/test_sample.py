"""A seeded sample of `make crash`: controllers killed with SIGKILL, others go on, and nobody is lost."""

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from orchestrator.clock import SystemClock
from tests.crash.controller import Point
from tests.crash.scenes import State
from tests.crash.trying import Kill, Verdict, attempt, outwait, overtake

SEED = os.environ.get("CRASH_SEED") or str(int(SystemClock().now() // 86400))
"""Other points every day, so that with time all are tried; a failure names the seed that draws them again."""

COUNT = 12

# By name, so that no dry pass is needed: whatever changes AWS or the journal, on both of its sides.
_WRITES = {
    "drain": (
        *("PutParameter 1", "journal:RunStarted 1", "PutParameter 3", "PutParameter 4", "journal:Delivered 1"),
        "journal:WaveOpened 1",
        *("SendCommand 2", "journal:Sent 1", "journal:Reported 1", "journal:Concluded 1", "journal:Draining 1"),
        *("PutAttributes 1", "UpdateContainerInstancesState 1", "journal:Drained 1", "SendCommand 3"),
        *("journal:Settled 1", "DeregisterContainerInstance 1", "journal:Surveyed 1", "journal:RunEnded 1"),
        *("DeleteParameter 1", "PutParameter 5"),
    ),
    "failure": ("SendCommand 3", "journal:Reported 2", "UpdateContainerInstancesState 2", "journal:Concluded 2"),
    "halt": ("journal:Concluded 2", "journal:Halted 1", "journal:RunEnded 1", "SendCommand 5", "DeleteParameter 1"),
    "gates": ("journal:GateAnswered 1", "journal:WaveOpened 2", "SendCommand 3"),
    "lost answers": ("SendCommand 2", "journal:Sent 2"),
    "restore": ("SendCommand 2", "journal:Draining 1", "UpdateContainerInstancesState 1", "SendCommand 3"),
    "resume": ("PutParameter 1", "journal:claim 1", "journal:Resumed 1", "SendCommand 1"),
    "take over": ("PutParameter 1", "journal:RunStarted 1", "DeleteParameter 1", "SendCommand 1", "journal:RunEnded 1"),
    "heal": ("PutParameter 1", "SendCommand 1", "UpdateContainerInstancesState 1", "DeleteParameter 1"),
}
_SHARED = ("drain", "resume")
"""Stories that are also tried with their journal in DynamoDB and another machine that goes on."""


def candidates() -> Iterator[Kill]:
    """Every point that the sample is drawn from."""
    for scene, names in _WRITES.items():
        for name in names:
            call, _, nth = name.rpartition(" ")
            for after in (False, True):
                yield Kill(scene, State.SQLITE, Point(call, int(nth), after))
                if scene in _SHARED and not call.startswith("journal:"):
                    yield Kill(scene, State.DYNAMODB, Point(call, int(nth), after))


def drawn(seed: str) -> list[Kill]:
    """Draw COUNT of them, of every story at least one."""
    kills = sorted(candidates(), key=str)
    random.Random(seed).shuffle(kills)
    first = list({each.scene: each for each in kills}.values())
    return (first + [each for each in kills if each not in first])[:COUNT]


def tried(what: Callable[[Kill], Verdict], kills: list[Kill]) -> list[Verdict]:
    """Try them, four at a time: much of it is waiting."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        return list(pool.map(what, kills))


@pytest.mark.timeout(900)
def test_a_controller_may_die_anywhere(record_property: Callable[[str, object], None]) -> None:
    """Nobody is left drained or half-changed or unreported, no apply is sent twice, no copy and no lock is left."""
    verdicts = tried(attempt, drawn(SEED))
    reached = [each for each in verdicts if each.reached]
    lost = [f"{each.kill}: {each.lost}\n{each.said}" for each in verdicts if each.lost]
    record_property("kills", f"{len(reached)} of {len(verdicts)} controllers (CRASH_SEED={SEED}), {len(lost)} lost")
    assert not lost, "\n\n".join([f"CRASH_SEED={SEED}", *lost])
    assert len(reached) >= COUNT * 3 // 4, [SEED, *(str(each.kill) for each in verdicts if not each.reached)]


STOPS = (
    Point("SendCommand", 2, after=False),
    Point("UpdateContainerInstancesState", 1, after=False),
    Point("journal:Reported", 1, after=False),
    Point("PutParameter", 4, after=False),
)


@pytest.mark.timeout(900)
def test_an_old_controller_that_wakes_up_does_no_harm(record_property: Callable[[str, object], None]) -> None:
    """Stopped, taken over and woken it ends with 5, changes nobody and writes nothing; heal mends its one call."""
    verdicts = tried(overtake, [Kill("drain", State.SQLITE, point) for point in STOPS])
    lost = [f"{each.kill}: {each.lost}\n{each.said}" for each in verdicts if each.lost]
    record_property("kills", f"{len(verdicts)} controllers stopped and taken over, {len(lost)} did harm")
    assert not lost, "\n\n".join(lost)
    assert [each.reached for each in verdicts] == [True] * len(STOPS)


LATE = (Point("SendCommand", 2, after=False), Point("journal:Admitted", 1, after=True))


@pytest.mark.timeout(900)
def test_a_new_run_waits_until_nothing_of_the_old_one_can_begin(
    record_property: Callable[[str, object], None],
) -> None:
    """Stopped right behind its last look at the lock, and woken after a new run: its command has expired everywhere."""
    verdicts = tried(outwait, [Kill("gates", State.SQLITE, point) for point in LATE])
    lost = [f"{each.kill}: {each.lost}\n{each.said}" for each in verdicts if each.lost]
    record_property("kills", f"{len(verdicts)} controllers stopped and replaced by new runs, {len(lost)} did harm")
    assert not lost, "\n\n".join(lost)
    assert [each.reached for each in verdicts] == [True] * len(LATE)
