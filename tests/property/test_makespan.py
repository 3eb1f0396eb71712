"""How long a wave takes: the sliding window against list scheduling, with strict batches and the calls beside it."""

import heapq
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.amount import Amount
from orchestrator.core.model import OutcomeKind
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.engine import Pace
from tests.api_calls import Metered
from tests.fake_fleet import fleet_of, roll
from tests.property.strategies import LAW

TICK = 2.0
SHORTEST = 20
"""Ticks that an instance takes at least: below that the tick itself is what is measured."""

WITHIN = 1.05


def listed(times: Sequence[float], window: int) -> float:
    """Give the makespan of list scheduling: whenever a place is free, the next one takes it at once."""
    ends = [0.0] * window
    for time in times:
        heapq.heapreplace(ends, ends[0] + time)
    return max(ends)


def in_batches(times: Sequence[float], window: int) -> float:
    """Give the makespan of strict batches: the next begins when the slowest of the one before has ended."""
    return sum(max(times[start : start + window]) for start in range(0, len(times), window))


def rolled(times: Sequence[float], window: int) -> tuple[float, list[float], int]:
    """Roll instances that take these seconds; give makespan, the times in the order of admission, and API calls.

    The second read of ECS that proves a change belongs to an instance's time: it is one tick.
    """
    hosts = fleet_of(len(times), reconnect_seconds=0.0)
    for host, time in zip(hosts, times, strict=True):
        host.apply_seconds = time - TICK
    meters: list[Metered] = []
    policy = Policy(waves=(EVERYTHING,), max_unavailable=Amount(window, percent=False))
    pace = Pace(shortest=TICK, longest=TICK)
    state, _, _ = roll(hosts, policy, prepare=lambda world: meters.append(Metered(world)), pace=pace)
    assert state.counts[OutcomeKind.UPDATED] == len(times)
    ended = [each.spans[-1].ended_at or 0.0 for each in state.instances.values()]
    by_key = dict(zip((host.instance_id for host in hosts), times, strict=True))
    order = [by_key[each.key] for each in state.run.planned]
    return max(ended) - state.started_at, order, meters[0].calls.total()


def durations(seed: int, count: int, longest: int) -> list[float]:
    """Make times of 20 ticks and more; the same seed gives the same."""
    chance = random.Random(seed)
    return [chance.uniform(SHORTEST * TICK, longest * TICK) for _ in range(count)]


@LAW
@given(st.integers(0, 10**6), st.integers(1, 120), st.integers(1, 60), st.integers(SHORTEST, 120))
def test_the_window_is_as_quick_as_list_scheduling(seed: int, count: int, window: int, longest: int) -> None:
    """The makespan is within 5 % of list scheduling's with that window, and never shorter."""
    makespan, order, _ = rolled(durations(seed, count, longest), window)
    ideal = listed(order, window)
    assert ideal - TICK <= makespan <= WITHIN * ideal


@pytest.mark.parametrize("window", [2, 10, 20, 50])
def test_the_window_beats_strict_batches(window: int, record_property: Callable[[str, object], None]) -> None:
    """On a fleet whose slow hosts take six times what its quick ones do, batches that wait for the last one lose."""
    makespan, order, calls = rolled(durations(window, 200, 6 * SHORTEST), window)
    ideal, batches = listed(order, window), in_batches(order, window)
    record_property(
        "measured",
        f"200 instances, window {window}: {makespan:.0f} s sliding, {ideal:.0f} s list scheduling, "
        f"{batches:.0f} s strict batches; {calls} API calls",
    )
    assert makespan < batches
