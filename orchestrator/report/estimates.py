"""How long a rollout takes: from what earlier runs of the cluster took, and said to be a guess where there are none."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType

from orchestrator.core.lifecycle import AT_WORK
from orchestrator.core.model import UNSCOPED, Plan
from orchestrator.core.settings import Policy, ZoneOrder
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many may be at work at once: in all, in each zone that has a limit, and whether in one zone at a time."""

    window: int
    by_zone: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    one_by_one: bool = False

    def turns(self, zones: Mapping[str, int]) -> int:
        """Say how often the places are filled anew for one wave, of which so many are in each zone."""
        alone = [
            math.ceil(size / min(self.by_zone.get(zone, self.window), self.window)) for zone, size in zones.items()
        ]
        return sum(alone) if self.one_by_one else max(math.ceil(sum(zones.values()) / self.window), *alone)


def places_of(plan: Plan, policy: Policy) -> Places:
    """Say how many may be at work at once where a plan is carried out under a policy."""
    limit = policy.max_unavailable_per_zone
    sizes = Counter(each.instance.zone for each in plan.planned if each.decision.reason not in UNSCOPED)
    return Places(
        window=policy.max_unavailable.of(plan.in_scope, at_least=1),
        by_zone={zone: limit.of(size, at_least=1) for zone, size in sizes.items()} if limit else {},
        one_by_one=policy.zones is ZoneOrder.ONE_BY_ONE,
    )


def whole_run(plan: Plan, places: Places, each: float, bake: float) -> float:
    """Give the seconds of a rollout: the turns of each wave, and the bake time between waves."""
    waves: dict[int, Counter[str]] = {}
    for planned in plan.planned:
        if planned.wave:
            waves.setdefault(planned.wave, Counter())[planned.instance.zone] += 1
    return sum(places.turns(zones) for zones in waves.values()) * each + bake * max(len(waves) - 1, 0)


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
    return Expected(each=each, whole=whole_run(plan, places_of(plan, policy), each, policy.bake))
