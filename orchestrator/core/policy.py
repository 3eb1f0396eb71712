"""Decide what to do next: who is admitted, when a wave opens, when the run halts, when it ends. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from orchestrator.core.gates import Word, strictest
from orchestrator.core.model import OutcomeKind
from orchestrator.core.settings import Budget
from orchestrator.core.state import RunState

BATCH = 50
"""Instance ids that one SendCommand takes (F70)."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Send apply to these instances: at most BATCH, in one command."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Send inspect to instances whose result was lost: at most BATCH."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenWave:
    """Let this wave's instances be admitted; decide again at once."""

    wave: int


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


Action = Apply | LookAgain | OpenWave | Halt | GiveUp | End


def window(state: RunState) -> int:
    """How many instances may be in flight at once; at least one."""
    return state.run.policy.max_unavailable.of(state.in_scope, at_least=1)


def exceeded(state: RunState) -> str | None:
    """Name the budget that is exceeded, if one is."""
    policy, counts = state.run.policy, state.counts
    for count, what, flag, budget in (
        (state.failed, "failed", "--max-failures", policy.max_failures),
        (counts[OutcomeKind.UNREACHABLE], "unreachable", "--max-unreachable", policy.max_unreachable),
        (counts[OutcomeKind.REFUSED], "refused", "--max-refused", policy.max_refused),
    ):
        why = _over(budget, count, state.in_scope)
        if why:
            return f"{count} {what}, {flag} {why} of {state.in_scope}"
    return None


def _over(budget: Budget, count: int, in_scope: int) -> str | None:
    """Say which amount is exceeded: where several are given, the first one that is."""
    for amount in budget:
        allowed = amount.of(in_scope, at_least=0)
        if count > allowed:
            return f"{amount} allows {allowed}"
    return None


def decide(state: RunState, now: float) -> tuple[Action, ...]:
    """Say what is to be done now. Instances in flight come before new ones; nothing is admitted after a halt."""
    if state.ended is not None:
        return ()
    looks: list[Action] = [LookAgain(chunk) for chunk in _chunks(_due_for_a_look(state, now))]
    why = None if state.halted else exceeded(state) or _stopped(state, now)
    if why:
        looks.append(Halt(why))
    if state.halted or why:
        return (*looks, *_wind_down(state))
    return (*looks, *_go_on(state, now))


def _stopped(state: RunState, now: float) -> str | None:
    """Say which gate stops the run, while there is somebody left for it to stop."""
    if not state.queue:
        return None
    for name, since in state.trouble_since.items():
        if now - since > state.run.policy.gate_timeout:
            return f"gate {name} cannot be asked for {now - since:.0f} s: {state.gates[name].reason}"
    answer = strictest(state.gates.values())
    return f"gate {answer.gate}: {answer.reason}" if answer and answer.word is Word.STOP else None


def _wind_down(state: RunState) -> Iterator[Action]:
    if state.queue:
        yield GiveUp(tuple(state.queue))
    elif not state.in_flight:
        yield End()


def _go_on(state: RunState, now: float) -> Iterator[Action]:
    waiting = state.waiting.get(state.wave)
    held = strictest(state.gates.values()) is not None
    if waiting:
        if held:
            return
        for chunk in _chunks(_admissible(state, waiting)):
            yield Apply(chunk)
    elif not state.in_flight:
        following = min((wave for wave, keys in state.waiting.items() if keys), default=None)
        if following is None:
            yield End()
        elif not held and (state.wave == 0 or now >= state.last_end + state.run.policy.bake):
            yield OpenWave(following)


def _due_for_a_look(state: RunState, now: float) -> list[str]:
    return [
        key
        for key in state.in_flight
        if (progress := state.instances[key]).look_at is not None and not progress.looking and now >= progress.look_at
    ]


def _admissible(state: RunState, waiting: Iterable[str]) -> list[str]:
    free = max(window(state) - len(state.in_flight), 0)
    per_zone = state.run.policy.max_unavailable_per_zone
    if per_zone is None or not free:
        return list(islice(waiting, free))
    chosen: list[str] = []
    taken = state.zones.copy()
    for key in waiting:
        zone = state.instances[key].planned.instance.zone
        if taken[zone] < per_zone.of(state.zone_sizes[zone], at_least=1):
            taken[zone] += 1
            chosen.append(key)
            if len(chosen) == free:
                break
    return chosen


def _chunks(keys: list[str]) -> list[tuple[str, ...]]:
    return [tuple(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH)]
