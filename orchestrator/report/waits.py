"""What a run waits for before it begins with anybody else, in words."""

from collections.abc import Sequence

from orchestrator.core.settings import Word, typed
from orchestrator.core.state import RunState
from orchestrator.report.times import duration


def holds(state: RunState, now: float, store: Sequence[str]) -> tuple[str, ...]:
    """List what holds instances back that could be admitted otherwise, until somebody or something says go."""
    if state.halted is not None or not state.roster.queue:
        return ()
    gates = [f"gate {each.gate}: {each.reason}" for each in state.gates.last.values() if each.word is not Word.GO]
    return (*gates, *wanting(state, now, store))


def wanting(state: RunState, now: float, store: Sequence[str] = ()) -> tuple[str, ...]:
    """List what is wanted beside the gates' word: somebody's approval, and room for the tasks of the drained."""
    if state.halted is not None or not state.roster.queue:
        return ()
    found = []
    if state.awaiting is not None and state.awaiting[0] not in state.approved:
        wave, since = state.awaiting
        left = duration(max(since + state.run.policy.approve_timeout - now, 0.0))
        command = typed("approve", state.run.run, *store)
        found.append(f"approval of wave {wave}: `{command}` within {left}")
    crowded = [each.held for key in state.roster.queue if (each := state.instances[key]).held and now < each.again_at]
    if crowded:
        found.append(f"room for the tasks of {len(crowded)} to be drained: {crowded[0]}")
    return tuple(found)


def baking(state: RunState, now: float) -> tuple[str, ...]:
    """Count bake time down, between two waves."""
    between = (
        bool(state.wave and state.roster.queue)
        and not state.roster.in_flight
        and not state.roster.waiting.get(state.wave)
    )
    left = state.last_end + state.run.policy.bake - now
    if state.halted is not None or not between or left <= 0:
        return ()
    return (f"bake time: the next wave opens in {duration(left)}",)
