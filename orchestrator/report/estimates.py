"""How long a rollout takes: from what earlier runs of the cluster took, and said to be a guess where there are none."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from orchestrator.core.lifecycle import AT_WORK
from orchestrator.core.model import Plan
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState

GUESS = 60.0
"""Seconds that an instance takes where nobody knows: restart, proof, SSM's and ECS's own delays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What earlier runs teach: the median `seconds` that an instance took, among `instances` of `runs` runs.

    `most`: what nine of ten took at most.
    """

    seconds: float
    most: float
    instances: int
    runs: int


def learn(states: Iterable[RunState]) -> Experience | None:
    """Learn from runs how long an instance takes from its admission to its end; None where none was changed."""
    taken: list[float] = []
    runs = 0
    for state in states:
        found = times(state)
        taken += found
        runs += bool(found)
    if not taken:
        return None
    most = sorted(taken)[math.ceil(len(taken) * 0.9) - 1]
    return Experience(seconds=median(taken), most=most, instances=len(taken), runs=runs)


def times(state: RunState) -> list[float]:
    """List the seconds that each instance took which ended as it was meant to."""
    found = []
    for progress in state.instances.values():
        if progress.outcome is None or not progress.outcome.as_wanted or not progress.attempts:
            continue
        ended = [
            span.ended_at - span.started_at
            for span in progress.spans
            if span.phase in AT_WORK and span.ended_at is not None
        ]
        if ended:
            found.append(sum(ended))
    return found


def whole_run(sizes: Sequence[int], window: int, each: float, bake: float) -> float:
    """Give the seconds of a rollout in waves of these sizes: the window's turns in each, and the bake time between."""
    turns = sum(math.ceil(size / window) for size in sizes)
    return turns * each + bake * max(len(sizes) - 1, 0)


USUAL = 120.0
"""Seconds that nine of ten instances take at most where nobody knows, generously: no window may close on one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a run is given room for, in seconds: one instance (nine of ten take less), and the whole run at that."""

    each: float = USUAL
    whole: float = 0.0


def expect(plan: Plan, policy: Policy, experience: Experience | None) -> Expected:
    """Say what a plan needs room for. Waiting for somebody's approval is not known and not counted."""
    each = experience.most if experience else USUAL
    sizes = Counter(planned.wave for planned in plan.planned if planned.wave)
    window = policy.max_unavailable.of(plan.in_scope, at_least=1)
    return Expected(each=each, whole=whole_run(tuple(sizes.values()), window, each, policy.bake))
