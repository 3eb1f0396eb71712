"""Where a run stands at a moment, as one frozen value: what a live display shows, without how. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import WORST_FIRST, OutcomeKind
from orchestrator.core.progress import Progress
from orchestrator.core.settings import allowed
from orchestrator.core.state import RunState
from orchestrator.report.remaining import Left, remaining
from orchestrator.report.waits import baking, doing, holds


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
    held = holds(state, now, store)
    sizes = Counter(each.planned.wave for each in state.instances.values() if each.planned.wave)
    done = Counter(each.planned.wave for each in state.instances.values() if each.planned.wave and _ended(each))
    flights = sorted(
        (_flight(state.instances[key], now) for key in state.roster.in_flight), key=lambda each: -each.total
    )
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
        in_flight=len(state.roster.in_flight),
        window=state.window,
        counts=tuple((kind, state.counts[kind]) for kind in reversed(WORST_FIRST) if state.counts[kind]),
        budgets=_budgets(state),
        waits=(*held, *baking(state, now)),
        held=bool(held),
        later=len(state.roster.phases[Phase.LAGGING]),
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
        Used(what=what, count=count, allowed=allowed(budget, state.roster.in_scope))
        for what, count, budget in (
            ("failed", state.failed, rules.max_failures),
            ("unreachable", state.unreachable, rules.max_unreachable),
            ("refused", state.counts[OutcomeKind.REFUSED], rules.max_refused),
        )
    )


def _flight(progress: Progress, now: float) -> Flight:
    span = progress.spans[-1]
    return Flight(
        key=progress.planned.key,
        zone=progress.planned.instance.zone,
        doing=doing(progress, now),
        seconds=max(now - span.started_at, 0.0),
        total=max(now - progress.begun_at, 0.0),
    )
