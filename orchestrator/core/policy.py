"""Decide what to do next: who is admitted, when the run halts, when it ends. Pure."""

from dataclasses import dataclass

from orchestrator.core.model import OutcomeKind
from orchestrator.core.state import RunState

BATCH = 50
"""Instance ids that one SendCommand takes (F70)."""

FAILURES = (OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK, OutcomeKind.UNVERIFIED)
"""What counts against --max-failures. Refusals are reported, they do not halt."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Send apply to these instances: at most BATCH, in one command."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Send inspect to instances whose result was lost: at most BATCH."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Halt:
    """Admit nothing more, and say why."""

    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Conclude these as not attempted: the run is halted."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Every instance has its outcome."""


Action = Apply | LookAgain | Halt | GiveUp | End


def window(state: RunState) -> int:
    """How many instances may be in flight at once; at least one."""
    return state.run.policy.max_unavailable.of(state.in_scope, at_least=1)


def failures(state: RunState) -> int:
    """How many instances count against the failure budget."""
    return sum(state.counts[kind] for kind in FAILURES)


def exceeded(state: RunState) -> str | None:
    """Name the budget that is exceeded, if one is."""
    policy = state.run.policy
    failed, allowed = failures(state), policy.max_failures.of(state.in_scope, at_least=0)
    if failed > allowed:
        return f"{failed} failed, --max-failures {policy.max_failures} allows {allowed} of {state.in_scope}"
    missed = state.counts[OutcomeKind.UNREACHABLE]
    allowed = policy.max_unreachable.of(state.in_scope, at_least=0)
    if missed > allowed:
        return f"{missed} unreachable, --max-unreachable {policy.max_unreachable} allows {allowed} of {state.in_scope}"
    return None


def decide(state: RunState, now: float) -> tuple[Action, ...]:
    """Say what is to be done now. Instances in flight come before new ones; nothing is admitted after a halt."""
    if state.ended is not None:
        return ()
    actions: list[Action] = [LookAgain(chunk) for chunk in _chunks(_due_for_a_look(state, now))]
    why = None if state.halted else exceeded(state)
    if state.halted or why:
        if why:
            actions.append(Halt(why))
        if state.queue:
            actions.append(GiveUp(tuple(state.queue)))
        elif not state.in_flight:
            actions.append(End())
        return tuple(actions)
    actions.extend(Apply(chunk) for chunk in _chunks(_admissible(state)))
    if not state.queue and not state.in_flight:
        actions.append(End())
    return tuple(actions)


def _due_for_a_look(state: RunState, now: float) -> list[str]:
    return [
        key
        for key in state.in_flight
        if (progress := state.instances[key]).look_at is not None and not progress.looking and now >= progress.look_at
    ]


def _admissible(state: RunState) -> list[str]:
    free = window(state) - len(state.in_flight)
    return [key for key, _ in zip(state.queue, range(max(free, 0)), strict=False)]


def _chunks(keys: list[str]) -> list[tuple[str, ...]]:
    return [tuple(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH)]
