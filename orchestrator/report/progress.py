"""Progress in plain lines on stderr: one per thing that somebody would want to know while it runs."""

from collections.abc import Callable, Sequence

from orchestrator.core.events import (
    Admitted,
    Concluded,
    Entry,
    Event,
    GateAnswered,
    Halted,
    Looking,
    Lost,
    Reported,
    Resumed,
    RunEnded,
    RunStarted,
    WaveOpened,
)
from orchestrator.core.model import OutcomeKind, Plan
from orchestrator.core.state import RunState
from orchestrator.report.times import elapsed
from orchestrator.report.waits import before


class PlainProgress:
    """A listener that says what happens, a line each."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._to_change = 0
        self._changed = 0

    def told(self, entry: Entry, state: RunState) -> None:
        """Write the line of an entry, if it is worth one."""
        line = self._line(entry.event, state)
        if line:
            self._write(f"{elapsed(entry.at - state.started_at)}  {line}")

    def _line(self, event: Event, state: RunState) -> str:
        match event:
            case RunStarted(run=run, planned=planned):
                self._count(state)
                return f"run {run}: {self._to_change} of {len(planned)} instances to change"
            case Resumed():
                self._count(state)
                return before(state)
            case Admitted(keys=keys):
                verb = "restoring" if state.run.restores else "applying"
                return f"{verb:<11} {_all(keys)}"
            case Concluded(key=key, outcome=outcome):
                if not state.instances[key].attempts:
                    return ""  # decided before anything began: the plan and the report say so
                self._changed += 1
                done = f"{self._changed}/{self._to_change}"
                reason = "" if outcome.kind is OutcomeKind.UPDATED else f"  {outcome.reason}"
                return f"{outcome.kind.value:<11} {key}  {done}{reason}"
            case _:
                return _told(event)

    def _count(self, state: RunState) -> None:
        run = state.run
        self._to_change = Plan(cluster=run.cluster, generation=run.generation, planned=run.planned).changes
        self._changed = sum(each.outcome is not None and each.attempts > 0 for each in state.instances.values())


def _all(keys: Sequence[str]) -> str:
    """Name everybody: in a pipeline's log this is the only record of who was at work. A terminal folds the line."""
    return ", ".join(keys)


def _told(event: Event) -> str:
    """Word an event that changes nothing about what is counted here."""
    match event:
        case WaveOpened(wave=wave):
            return f"wave {wave}"
        case GateAnswered(answer=answer):
            return f"gate {answer.gate}: {answer.word}: {answer.reason}"
        case Reported(key=key, report=report) if report.changed:
            return f"restarted   {key} in {report.restart_ms / 1000:.1f} s; asking ECS"
        case Lost(keys=keys, detail=detail):
            return f"no result   {_all(keys)}\n       {detail}\n       the watchdog has its time, then it is inspected"
        case Looking(keys=keys):
            return f"looking     {_all(keys)}"
        case Halted(why=why):
            return f"HALTED      {why}\n       nothing more is admitted; what is in flight is seen through"
        case RunEnded(result=result):
            return f"ended       {result}"
        case _:
            return ""
