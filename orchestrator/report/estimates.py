"""How long a rollout takes: from what earlier runs of the cluster took, and said to be a guess where there are none."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from orchestrator.core.lifecycle import AT_WORK
from orchestrator.core.model import Plan
from orchestrator.core.progress import Progress
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState

GUESS = 60.0
"""Seconds that an instance takes where nobody knows: restart, proof, SSM's and ECS's own delays."""

_MINUTE, _HOUR = 60, 3600
_EXACT_UP_TO, _TENS_UP_TO = 120, 600


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


def begun_at(progress: Progress) -> float:
    """Say when an instance came to be at work as it is now (epoch seconds): what it did before it waited is over."""
    begun = progress.spans[-1].started_at
    for span in reversed(progress.spans):
        if span.phase not in AT_WORK:
            break
        begun = span.started_at
    return begun


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


def duration(seconds: float) -> str:
    """Word a time as exactly as somebody who waits wants it: `45 s`, `3 min 20 s`, `25 min`, `2 h 5 min`."""
    if seconds < _EXACT_UP_TO:
        return f"{max(round(seconds), 0)} s"
    if seconds < _TENS_UP_TO:
        tens = round(seconds / 10) * 10
        return f"{tens // _MINUTE} min" + (f" {tens % _MINUTE} s" if tens % _MINUTE else "")
    minutes = round(seconds / _MINUTE)
    if minutes < _HOUR // _MINUTE * 2:
        return f"{minutes} min"
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
