"""What a run, and each instance at work in it, waits for, in words."""

from collections.abc import Sequence

from orchestrator.core import judging
from orchestrator.core.lifecycle import Phase
from orchestrator.core.progress import Progress
from orchestrator.core.result import Op
from orchestrator.core.settings import Word, typed
from orchestrator.core.state import RunState
from orchestrator.report.times import duration, time_of_day


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
    if state.awaiting is not None and awaited(state):
        wave, since = state.awaiting
        left = duration(max(since + state.run.policy.approve_timeout - now, 0.0))
        command = typed("approve", state.run.run, *store)
        found.append(f"approval of wave {wave}: `{command}` within {left}")
    crowded = [each.held for key in state.roster.queue if (each := state.instances[key]).held and now < each.again_at]
    if crowded:
        found.append(f"room for the tasks of {len(crowded)} to be drained: {crowded[0]}")
    return tuple(found)


def awaited(state: RunState) -> int:
    """Say which wave waits for somebody's approval; 0 where none does."""
    wave = state.awaiting[0] if state.awaiting else 0
    over = wave in state.approved or state.halted is not None or state.ended is not None or not state.roster.queue
    return 0 if over else wave


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


def doing(progress: Progress, now: float) -> str:
    """Word what an instance at work does, or what is waited for about it."""
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


def by_then(state: RunState, key: str) -> str:
    """Say until when that may take, and what of it the instance itself may; empty where no time bounds it."""
    until = judging.latest(state, key)
    if until is None:
        return ""
    progress = state.instances[key]
    applies = progress.phase is Phase.APPLYING and state.op_of(progress) is Op.APPLY
    deadlines = state.run.policy.deadlines
    own = f" (--verify-seconds {deadlines.verify}, then --restore-seconds {deadlines.restore})" if applies else ""
    return f"by {time_of_day(until)} UTC at the latest{own}"


def present(state: RunState, now: float, store: Sequence[str] = ()) -> str:
    """Say in one line what the run does at present: who is at work for longest, or what is waited for."""
    waits = (*holds(state, now, store), *baking(state, now))
    at_work, left = list(state.roster.in_flight), len(state.roster.queue)
    if not at_work:
        return f"waits for {'; '.join(waits)}" if waits else f"nobody is at work, {left} not begun"
    key = min(at_work, key=lambda each: state.instances[each].begun_at)
    progress = state.instances[key]
    until = by_then(state, key)
    words = f"{key}: {doing(progress, now)}, for {duration(now - progress.spans[-1].started_at)}"
    many = f"{len(at_work)} at work, {left} not begun; longest " if len(at_work) > 1 else ""
    return f"{many}{words}" + (f", {until}" if until else "")


def before(state: RunState) -> str:
    """Sum up what a run that goes on has done before, in one line, and what it waits for."""
    ended = sum(state.counts.values())
    counts = ", ".join(f"{count} {kind}" for kind, count in state.counts.items() if count)
    halted = f"; halted: {state.halted.why}" if state.halted else ""
    return (
        f"run {state.run.run} goes on: {ended} of {len(state.instances)} had ended before"
        f"{f' ({counts})' if counts else ''}, {len(state.roster.in_flight)} at work, "
        f"{len(state.roster.queue)} not begun{halted}"
    )
