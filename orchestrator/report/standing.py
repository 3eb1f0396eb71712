"""Where a run stands at a moment, as one frozen value: what a live display shows, without how. Pure."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core import policy
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import OutcomeKind
from orchestrator.core.progress import Progress
from orchestrator.core.settings import Budget, Word
from orchestrator.core.state import RunState
from orchestrator.report.estimates import begun_at, duration
from orchestrator.report.remaining import Left, remaining
from orchestrator.report.rows import WORST_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One budget: how many there are of `what`, and how many may be; None for no limit."""

    what: str
    count: int
    allowed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """One instance at work: what it does, and for how many seconds; `total` since it was begun."""

    key: str
    zone: str
    doing: str
    seconds: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A run at a moment. Waves count from 1; `wave` 0 before the first. `left` None while nobody can tell.

    `flights`: longest at work first. `waits`: what the run waits for, one line each; `held`: for something of which
    nobody knows how long it takes. `later`: how many are tried again after the last wave.
    `verb`: what the run does to instances.
    """

    run: str
    cluster: str
    verb: str
    elapsed: float
    changed: int
    to_change: int
    wave: int
    waves: int
    wave_changed: int
    wave_size: int
    in_flight: int
    window: int
    counts: tuple[tuple[OutcomeKind, int], ...]
    budgets: tuple[Used, ...]
    waits: tuple[str, ...]
    held: bool
    later: int
    flights: tuple[Flight, ...]
    left: Left | None
    halted: str


def standing(state: RunState, now: float, store: Sequence[str] = ()) -> Standing:
    """Say where the run stands at `now` (epoch seconds). `store`: the flags that name its journal."""
    held = _held(state, now, store)
    sizes = Counter(each.planned.wave for each in state.instances.values() if each.planned.wave)
    done = Counter(each.planned.wave for each in state.instances.values() if each.planned.wave and _ended(each))
    flights = sorted((_flight(state.instances[key], now) for key in state.in_flight), key=lambda each: -each.total)
    return Standing(
        run=state.run.run,
        cluster=state.run.cluster,
        verb="healing" if state.run.heals else "taking back" if state.run.restores else "rolling",
        elapsed=max(now - state.started_at, 0.0),
        changed=done.total(),
        to_change=sizes.total(),
        wave=state.wave,
        waves=max(sizes, default=0),
        wave_changed=done[state.wave],
        wave_size=sizes[state.wave],
        in_flight=len(state.in_flight),
        window=policy.window(state),
        counts=tuple((kind, state.counts[kind]) for kind in reversed(WORST_FIRST) if state.counts[kind]),
        budgets=_budgets(state),
        waits=(*held, *_baking(state, now)),
        held=bool(held),
        later=len(state.phases[Phase.LAGGING]),
        flights=tuple(flights),
        left=remaining(state, now),
        halted=state.halted.why if state.halted else "",
    )


def _ended(progress: Progress) -> bool:
    """Say whether the run came to it and is done with it: what it will not attempt is no progress."""
    return progress.outcome is not None and progress.outcome.kind is not OutcomeKind.NOT_ATTEMPTED


def _budgets(state: RunState) -> tuple[Used, ...]:
    rules = state.run.policy
    return tuple(
        Used(what=what, count=count, allowed=_allowed(budget, state.in_scope))
        for what, count, budget in (
            ("failed", state.failed, rules.max_failures),
            ("unreachable", state.unreachable, rules.max_unreachable),
            ("refused", state.counts[OutcomeKind.REFUSED], rules.max_refused),
        )
    )


def _allowed(budget: Budget, in_scope: int) -> int | None:
    return min((amount.of(in_scope, at_least=0) for amount in budget), default=None)


def _held(state: RunState, now: float, store: Sequence[str]) -> tuple[str, ...]:
    """List what holds instances back that could be admitted otherwise, until somebody or something says go."""
    if state.halted is not None or not state.queue:
        return ()
    gates = [f"gate {each.gate}: {each.reason}" for each in state.gates.values() if each.word is not Word.GO]
    return (*gates, *wanting(state, now, store))


def wanting(state: RunState, now: float, store: Sequence[str] = ()) -> tuple[str, ...]:
    """List what is wanted beside the gates' word: somebody's approval, and room for the tasks of the drained."""
    if state.halted is not None or not state.queue:
        return ()
    found = []
    if state.awaiting is not None and state.awaiting[0] not in state.approved:
        wave, since = state.awaiting
        left = duration(max(since + state.run.policy.approve_timeout - now, 0.0))
        command = shlex.join(("ecs-rollout", "approve", state.run.run, *store))
        found.append(f"approval of wave {wave}: `{command}` within {left}")
    crowded = [each.held for key in state.queue if (each := state.instances[key]).held and now < each.again_at]
    if crowded:
        found.append(f"room for the tasks of {len(crowded)} to be drained: {crowded[0]}")
    return tuple(found)


def _baking(state: RunState, now: float) -> tuple[str, ...]:
    """Count bake time down, between two waves."""
    between = bool(state.wave and state.queue) and not state.in_flight and not state.waiting.get(state.wave)
    left = state.last_end + state.run.policy.bake - now
    if state.halted is not None or not between or left <= 0:
        return ()
    return (f"bake time: the next wave opens in {duration(left)}",)


def _flight(progress: Progress, now: float) -> Flight:
    span = progress.spans[-1]
    return Flight(
        key=progress.planned.key,
        zone=progress.planned.instance.zone,
        doing=_doing(progress, now),
        seconds=max(now - span.started_at, 0.0),
        total=max(now - begun_at(progress), 0.0),
    )


def _doing(progress: Progress, now: float) -> str:
    """Word what an instance does, or what is waited for about it."""
    if progress.looking:
        return "no result came; looking what became of it"
    if progress.look_at is not None:
        return f"no result came; looked at in {duration(max(progress.look_at - now, 0.0))}"
    match progress.phase:
        case Phase.DRAINING if progress.idle:
            return "drained: apply comes next"
        case Phase.DRAINING:
            return "draining: ECS moves its tasks away"
        case Phase.APPLYING if progress.disproven is not None:
            return "taking back: ECS did not bear it out"
        case Phase.APPLYING:
            return "applying: the document is sent or at work"
        case Phase.SETTLING:
            return "settling: ECS must see the agent connected"
        case Phase.ACTIVATING:
            return "activating: it is given back to ECS"
        case _:
            return str(progress.phase)
