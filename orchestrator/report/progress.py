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
    RunEnded,
    RunStarted,
    WaveOpened,
)
from orchestrator.core.model import DecisionKind, OutcomeKind
from orchestrator.report.times import elapsed


class PlainProgress:
    """An observer of the event stream that says what happens, a line each."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._started_at = 0.0
        self._to_change = 0
        self._changed = 0
        self._verb = "applying"
        self._running: set[str] = set()

    def saw(self, entries: Sequence[Entry]) -> None:
        """Write the lines of these entries."""
        for entry in entries:
            line = self._line(entry)
            if line:
                self._write(f"{elapsed(entry.at - self._started_at)}  {line}")

    def _line(self, entry: Entry) -> str:
        match entry.event:
            case RunStarted() as started:
                self._started_at = entry.at
                self._to_change = sum(each.decision.kind is DecisionKind.APPLY for each in started.planned)
                self._verb = "restoring" if started.restores else "applying"
                return f"run {started.run}: {self._to_change} of {len(started.planned)} instances to change"
            case Admitted(keys=keys):
                self._running.update(keys)
                return f"{self._verb:<11} {_names(keys)}"
            case Concluded(key=key, outcome=outcome):
                return self._concluded(key, outcome.kind, outcome.reason)
            case event:
                return _told(event)

    def _concluded(self, key: str, kind: OutcomeKind, reason: str) -> str:
        if key not in self._running:
            return ""  # decided before anything began: the plan and the report say so
        self._running.discard(key)
        self._changed += 1
        done = f"{self._changed}/{self._to_change}"
        return f"{kind.value:<11} {key}  {done}" + ("" if kind is OutcomeKind.UPDATED else f"  {reason}")


def _names(keys: Sequence[str]) -> str:
    few = 3
    return ", ".join(keys[:few]) + (f" and {len(keys) - few} more" if len(keys) > few else "")


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
            return (
                f"no result   {_names(keys)}\n       {detail}\n       the watchdog has its time, then it is inspected"
            )
        case Looking(keys=keys):
            return f"looking     {_names(keys)}"
        case Halted(why=why):
            return f"HALTED      {why}\n       nothing more is admitted; what is in flight is seen through"
        case RunEnded(result=result):
            return f"ended       {result}"
        case _:
            return ""
