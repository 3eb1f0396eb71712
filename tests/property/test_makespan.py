"""How close the sliding window comes to list scheduling, and what strict batches would have cost."""

import heapq
import sys
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.amount import Amount
from orchestrator.core.lifecycle import AT_WORK
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.core.state import RunState
from tests.fake_fleet import Host, roll

TICK = 2.0
LEAST = 20 * TICK


def listed(seconds: Sequence[float], window: int) -> float:
    """Schedule jobs in their order on `window` machines, each as soon as one is free; give when the last one ends."""
    free = [0.0] * window
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def batched(seconds: Sequence[float], window: int) -> float:
    """Schedule strict batches: each waits for the slowest of the one before."""
    return sum(max(seconds[start : start + window]) for start in range(0, len(seconds), window))


def at_work(state: RunState) -> list[tuple[float, float]]:
    """Give when each instance was taken into the window and when it left it, in the order of admission."""
    found = []
    for progress in state.instances.values():
        spans = [span for span in progress.spans if span.phase in AT_WORK]
        found.append((spans[0].started_at, spans[-1].ended_at or 0.0))
    return sorted(found)


@given(st.lists(st.floats(LEAST, 10 * LEAST), min_size=20, max_size=100), st.integers(2, 10))
@settings(max_examples=40, deadline=None)
def test_the_window_is_nearly_list_scheduling(seconds: list[float], window: int) -> None:
    """With a fixed tick and instances of at least 20 ticks, a rollout takes no more than 5 % over list scheduling."""
    hosts = [Host(f"i-{number:017x}", apply_seconds=each) for number, each in enumerate(seconds)]
    policy = Policy(waves=(EVERYTHING,), max_unavailable=Amount(window, percent=False))
    state, world, _ = roll(hosts, policy)
    stays = at_work(state)
    taken = [end - begin for begin, end in stays]
    whole = max(end for _, end in stays) - min(begin for begin, _ in stays)
    ideal, strict = listed(taken, window), batched(taken, window)
    sys.stdout.write(
        f"{len(seconds)} instances, window {window}: {whole:.0f} s, list scheduling {ideal:.0f} s, "
        f"strict batches {strict:.0f} s, {len(world.sends)} commands\n"
    )
    assert whole <= 1.05 * ideal + TICK
