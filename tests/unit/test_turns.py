"""A late start, waiting for the cluster, and an end before the platform's: on a virtual clock."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.aws.owner import ALIVE_SECONDS, Owner
from orchestrator.cli.turns import POLL, Limit, Patience, await_turn, start_late
from orchestrator.core.settings import Deadlines
from orchestrator.errors import LockedError, UsageError
from tests.fake_fleet import VirtualClock

OWNER = Owner(holder="anna", run="run-1", since=1.0, heartbeat=1_000_000.0)


def most(seconds: float) -> float:
    return seconds


def none(_seconds: float) -> float:
    return 0.0


def test_a_start_is_late_by_chance() -> None:
    """The jitter is the most that the start is late by; without one nothing is waited for, nor said."""
    clock, said = VirtualClock(), list[str]()
    start_late(Patience(jitter=300), clock, lambda seconds: seconds / 2, said.append)
    assert clock.now() == 1_000_150
    assert said == ["starting in 150 s (--jitter)"]
    start_late(Patience(), clock, most, said.append)
    assert (clock.now(), len(said)) == (1_000_150, 1)


def living(clock: VirtualClock, until: float) -> Callable[[], Owner | None]:
    """Somebody who writes heartbeats until then, and lets go."""
    return lambda: replace(OWNER, heartbeat=clock.now()) if clock.now() < until else None


def test_a_living_owner_is_waited_for_as_long_as_it_was_said() -> None:
    """It is asked again within seconds, named once, and no longer waited for than --wait-for-lock."""
    clock, said = VirtualClock(), list[str]()
    assert await_turn(living(clock, 1_000_100), Patience(wait_for_lock=1800), clock, none, said.append) is None
    assert 1_000_100 <= clock.now() <= 1_000_100 + POLL
    assert said == ["waiting until anna lets go of the cluster (run run-1; for at most 30 min, --wait-for-lock)"]
    clock = VirtualClock()
    with pytest.raises(LockedError, match="anna holds this cluster"):
        await_turn(living(clock, 2e9), Patience(wait_for_lock=60), clock, most, said.append)
    assert clock.now() == 1_000_060


def test_nobody_waits_who_did_not_say_so() -> None:
    """Without --wait-for-lock the answer comes at once."""
    clock = VirtualClock()
    with pytest.raises(LockedError):
        await_turn(living(clock, 2e9), Patience(), clock, most, print)
    assert clock.now() == 1_000_000


def test_a_dead_owner_is_given_back() -> None:
    """An owner whose heartbeat is old, or grows old meanwhile, is dead."""
    clock = VirtualClock()
    old = replace(OWNER, heartbeat=clock.now() - ALIVE_SECONDS)
    assert await_turn(lambda: old, Patience(), clock, none, print) == old
    said: list[str] = []
    assert await_turn(lambda: OWNER, Patience(wait_for_lock=600), clock, none, said.append) == OWNER
    assert ALIVE_SECONDS <= clock.now() - 1_000_000 <= ALIVE_SECONDS + POLL


def test_admission_ends_before_time_does() -> None:
    """Nothing is admitted in the time that one instance may need; the reason is its own, and remembered."""
    clock, deadlines = VirtualClock(), Deadlines()
    limit = Limit.of(14 * 60, deadlines, clock)
    clock.wait(14 * 60 - deadlines.delivery - deadlines.watchdog - 1)
    assert (limit.why(), limit.reached) == ("", False)
    clock.wait(1)
    assert limit.why() == "out of time: --max-duration 840s would not last for another instance"
    assert limit.reached


def test_a_time_in_which_nothing_fits_is_refused() -> None:
    """A limit that leaves no time for a single instance is an error at once."""
    with pytest.raises(UsageError, match="--max-duration 480s leaves no time: one instance alone may take 480 s"):
        Limit.of(480, Deadlines(), VirtualClock())
