"""Where a run stands at a moment, as one frozen value: what a live display shows, without how. Pure."""

from collections import Counter
from dataclasses import dataclass

from orchestrator.core import policy
from orchestrator.core.gates import Word
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import OutcomeKind
from orchestrator.core.progress import Progress
from orchestrator.core.settings import Budget
from orchestrator.core.state import RunState
from orchestrator.report.estimates import duration
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

    `flights`: longest at work first. `waits`: what the run waits for, one line each. `verb`: what it does to instances.
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
    flights: tuple[Flight, ...]
    left: Left | None
    halted: str


def standing(state: RunState, now: float) -> Standing:
    """Say where the run stands at `now` (epoch seconds)."""
    sizes = Counter(each.planned.wave for each in state.instances.values() if each.planned.wave)
    done = Counter(each.planned.wave for each in state.instances.values() if each.planned.wave and each.outcome)
    flights = sorted((_flight(state.instances[key], now) for key in state.in_flight), key=lambda each: -each.total)
    return Standing(
        run=state.run.run,
        cluster=state.run.cluster,
        verb="taking back" if state.run.restores else "rolling",
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
        waits=_waits(state, now),
        flights=tuple(flights),
        left=remaining(state, now),
        halted=state.halted.why if state.halted else "",
    )


def _budgets(state: RunState) -> tuple[Used, ...]:
    rules, counts = state.run.policy, state.counts
    return tuple(
        Used(what=what, count=count, allowed=_allowed(budget, state.in_scope))
        for what, count, budget in (
            ("failed", state.failed, rules.max_failures),
            ("unreachable", counts[OutcomeKind.UNREACHABLE], rules.max_unreachable),
            ("refused", counts[OutcomeKind.REFUSED], rules.max_refused),
        )
    )


def _allowed(budget: Budget, in_scope: int) -> int | None:
    return min((amount.of(in_scope, at_least=0) for amount in budget), default=None)


def _waits(state: RunState, now: float) -> tuple[str, ...]:
    """List what holds instances back that could be admitted otherwise."""
    if state.halted is not None or not state.queue:
        return ()
    found = [f"gate {each.gate}: {each.reason}" for each in state.gates.values() if each.word is not Word.GO]
    rules = state.run.policy
    between = not state.in_flight and not state.waiting.get(state.wave) and state.wave > 0
    until_open = state.last_end + rules.bake - now
    if between and until_open > 0:
        found.append(f"bake time: the next wave opens in {duration(until_open)}")
    return tuple(found)


def _flight(progress: Progress, now: float) -> Flight:
    span = progress.spans[-1]
    begun = next((each.started_at for each in progress.spans if each.phase is not Phase.QUEUED), span.started_at)
    return Flight(
        key=progress.planned.key,
        zone=progress.planned.instance.zone,
        doing=_doing(progress, now),
        seconds=max(now - span.started_at, 0.0),
        total=max(now - begun, 0.0),
    )


def _doing(progress: Progress, now: float) -> str:
    """Word what an instance does, or what is waited for about it."""
    if progress.looking:
        return "no result came; looking what became of it"
    if progress.look_at is not None:
        return f"no result came; looked at in {duration(max(progress.look_at - now, 0.0))}"
    match progress.phase:
        case Phase.APPLYING:
            return "applying: the document is sent or at work"
        case Phase.SETTLING:
            return "settling: ECS must see the agent connected"
        case _:
            return str(progress.phase)
