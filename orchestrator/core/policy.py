"""Decide what to do next: who is admitted, when a wave opens, when the run halts, when it ends. Pure."""

from collections.abc import Iterable, Iterator
from itertools import islice

from orchestrator.core.actions import (
    Action,
    Apply,
    AwaitApproval,
    Drain,
    End,
    GiveBack,
    GiveUp,
    Halt,
    LookAgain,
    OpenWave,
    Release,
    Survey,
    TakeBack,
)
from orchestrator.core.gates import strictest
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import DecisionKind, OutcomeKind
from orchestrator.core.settings import Budget, Word, ZoneOrder
from orchestrator.core.state import RunState

BATCH = 50
"""Instance ids that one SendCommand takes (F70)."""

SURVEYS = 2
"""Times that the cluster is listed again after the last wave, as long as each finds somebody to change."""


def exceeded(state: RunState) -> str | None:
    """Name the budget that is exceeded, if one is."""
    policy, counts = state.run.policy, state.counts
    for count, what, flag, budget in (
        (state.failed, "failed", "--max-failures", policy.max_failures),
        (state.unreachable, "unreachable", "--max-unreachable", policy.max_unreachable),
        (counts[OutcomeKind.REFUSED], "refused", "--max-refused", policy.max_refused),
    ):
        why = _over(budget, count, state.roster.in_scope)
        if why:
            return f"{count} {what}, {flag} {why} of {state.roster.in_scope}"
    return None


def _over(budget: Budget, count: int, in_scope: int) -> str | None:
    """Say which amount is exceeded: where several are given, the first one that is."""
    for amount in budget:
        allowed = amount.of(in_scope, at_least=0)
        if count > allowed:
            return f"{amount} allows {allowed}"
    return None


def decide(state: RunState, now: float) -> tuple[Action, ...]:
    """Say what is to be done now. Instances at work come before new ones; nothing is admitted after a halt."""
    if state.ended is not None:
        return ()
    first = tuple(_at_work(state, now))
    why = None if state.halted else exceeded(state) or _stopped(state, now)
    halt = (Halt(why),) if why else ()
    if state.halted or why:
        return (*first, *halt, *_wind_down(state, now))
    return (*first, *_go_on(state, now))


def _at_work(state: RunState, now: float) -> Iterator[Action]:
    """Advance who is at work already: give back what is due, take back what is disproven, look at what was lost."""
    due = [key for key in state.roster.phases[Phase.ACTIVATING] if now >= state.instances[key].again_at]
    if due:
        yield GiveBack(tuple(due))
    settling = [state.instances[key] for key in state.roster.phases[Phase.SETTLING]]
    for chunk in _chunks([each.planned.key for each in settling if each.to_take_back]):
        yield TakeBack(chunk)
    lost = [each for each in settling if each.look_at is not None and not each.looking and now >= each.look_at]
    for chunk in _chunks([each.planned.key for each in lost]):
        yield LookAgain(chunk)


def _stopped(state: RunState, now: float) -> str | None:
    """Say what stops the run, while there is somebody left to be stopped: a gate, or nobody's approval."""
    if not state.roster.queue:
        return None
    if state.awaiting is not None and state.awaiting[0] not in state.approved:
        wave, since = state.awaiting[0], max(state.awaiting[1], state.resumed_at)
        if now - since > state.run.policy.approve_timeout:
            return f"nobody has approved wave {wave} for {now - since:.0f} s (--approve-timeout)"
    for name, began in state.gates.trouble_since.items():
        since = max(began, state.resumed_at)
        if now - since > state.run.policy.gate_timeout:
            return f"gate {name} cannot be asked for {now - since:.0f} s: {state.gates.last[name].reason}"
    answer = strictest(state.gates.last.values())
    return f"gate {answer.gate}: {answer.reason}" if answer and answer.word is Word.STOP else None


def _wind_down(state: RunState, now: float) -> Iterator[Action]:
    """End whoever is not at work, and give back who is drained: by this run, or by a dead one whose mark we found."""
    owed = {key: None for key in state.roster.queue if _is_marked(state, key)}
    idle = tuple(key for key in (*state.roster.queue, *state.roster.phases[Phase.LAGGING]) if key not in owed)
    if idle:
        yield GiveUp(idle)
    release = (*state.roster.phases[Phase.DRAINING], *_admissible(state, owed, now))
    if release:
        yield Release(release)
    if not (idle or owed or state.roster.in_flight):
        yield End()


def _is_marked(state: RunState, key: str) -> bool:
    planned = state.instances[key].planned
    return bool(planned.instance.mark) and planned.decision.changes


def _go_on(state: RunState, now: float) -> Iterator[Action]:
    for chunk in _chunks([key for key in state.roster.phases[Phase.DRAINING] if state.instances[key].idle]):
        yield Apply(chunk)
    held = strictest(state.gates.last.values()) is not None
    waiting = state.roster.waiting.get(state.wave)
    if waiting:
        if not held:
            yield from _admit(state, waiting, now)
    elif not state.roster.in_flight:
        yield from _next_wave(state, now, held=held)


def _admit(state: RunState, waiting: Iterable[str], now: float) -> Iterator[Action]:
    """Fill the window, each instance by what was decided for it."""
    chosen = _admissible(state, waiting, now)
    kinds: dict[DecisionKind, list[str]] = {}
    for key in chosen:
        kinds.setdefault(state.instances[key].planned.decision.kind, []).append(key)
    if DecisionKind.RELEASE in kinds:
        yield Release(tuple(kinds[DecisionKind.RELEASE]))
    if DecisionKind.DRAIN in kinds:
        yield Drain(tuple(kinds[DecisionKind.DRAIN]))
    for chunk in _chunks(kinds.get(DecisionKind.APPLY, [])):
        yield Apply(chunk)


def _next_wave(state: RunState, now: float, *, held: bool) -> Iterator[Action]:
    """Nobody is at work and the wave is done: bake, ask, open the next; after the last look around, then end."""
    following = min((wave for wave, keys in state.roster.waiting.items() if keys), default=None)
    policy = state.run.policy
    if following is None:
        lagging = tuple(state.roster.phases[Phase.LAGGING])
        if _surveys_again(state):
            yield Survey()
        elif lagging:
            yield GiveUp(lagging)
        else:
            yield End()
    elif state.wave and now < state.last_end + policy.bake:
        return
    elif state.wave and policy.approve and following not in state.approved:
        if state.awaiting is None or state.awaiting[0] != following:
            yield AwaitApproval(following)
    elif not held:
        yield OpenWave(following)


def _surveys_again(state: RunState) -> bool:
    """Say whether to list the cluster again: after the last wave, and after each one that a survey has added."""
    if state.surveys == 0:
        return state.wave > 0
    return state.surveys < SURVEYS and state.surveyed_wave == state.wave


def _admissible(state: RunState, waiting: Iterable[str], now: float) -> list[str]:
    free = max(_places(state) - len(state.roster.in_flight), 0)
    if not free:
        return []
    ready: Iterable[str] = (key for key in waiting if now >= state.instances[key].again_at)
    if state.run.policy.zones is ZoneOrder.ONE_BY_ONE:
        ready = _of_one_zone(state, ready)
    per_zone = state.run.policy.max_unavailable_per_zone
    if per_zone is None:
        return list(islice(ready, free))
    chosen: list[str] = []
    taken = state.roster.zones.copy()
    for key in ready:
        zone = state.instances[key].planned.instance.zone
        if taken[zone] < per_zone.of(state.roster.zone_sizes[zone], at_least=1):
            taken[zone] += 1
            chosen.append(key)
            if len(chosen) == free:
                break
    return chosen


def _of_one_zone(state: RunState, ready: Iterable[str]) -> Iterator[str]:
    """Go on with the zone that is at work: another begins when nobody of that one is."""
    at_work = next((zone for zone, count in state.roster.zones.items() if count), None)
    for key in ready:
        zone = state.instances[key].planned.instance.zone
        at_work = zone if at_work is None else at_work
        if zone == at_work:
            yield key


def _places(state: RunState) -> int:
    """Say how many may be at work. Where no canary has succeeded (they were not reached), one at a time is the next."""
    return state.window if state.succeeded or state.wave == 1 else 1


def _chunks(keys: list[str]) -> list[tuple[str, ...]]:
    return [tuple(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH)]
