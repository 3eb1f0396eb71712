"""A run for machines: JSON lines; and for a log that people read: one line per wave and per problem."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum

from orchestrator.core.events import (
    Admitted,
    ApprovalAwaited,
    Concluded,
    Draining,
    Entry,
    Event,
    GateAnswered,
    Halted,
    Lost,
    NotSent,
    Promoted,
    Promoting,
    Reported,
    Resumed,
    RunEnded,
    RunStarted,
    Sent,
    WaveOpened,
)
from orchestrator.core.model import Outcome, Plan
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.settings import Word, typed
from orchestrator.core.state import RunState
from orchestrator.report.times import moment
from orchestrator.report.waits import before, by_then


class Level(StrEnum):
    """How much a line matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_LEVELS = tuple(Level)


def json_line(at: float, level: Level, event: str, message: str, **more: str | int) -> str:
    """Write one line. `time`, `level`, `event` and `message` stand in every line; the rest where it applies."""
    return json.dumps({"time": moment(at), "level": level, "event": event, "message": message, **more})


class LogLines:
    """A listener that writes JSON lines: one per event, or per instance of it. `write` takes a whole line.

    `least`: lines that matter less are left out.
    """

    def __init__(self, write: Callable[[str], None], least: Level = Level.INFO) -> None:
        self._write = write
        self._least = least

    def told(self, entry: Entry, state: RunState) -> None:
        """Write the lines of one entry."""
        name = snake(type(entry.event).__name__)
        level, message, more = _worded(entry.event, state)
        if _LEVELS.index(level) < _LEVELS.index(self._least):
            return
        where: dict[str, str | int] = {"run": state.run.run, "cluster": state.run.cluster, **more}
        keys = keys_of(entry.event)
        if not keys:
            self._write(json_line(entry.at, level, name, message, **where))
        for key in keys:
            progress = state.instances[key]
            instance = progress.planned.instance.instance_id
            phase = progress.phase.value if progress.phase else "done"
            self._write(json_line(entry.at, level, name, message, **where, instance=instance, phase=phase))


def snake(name: str) -> str:
    """Write an event's name as a log does: `WaveOpened` as `wave_opened`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).removeprefix("_")


def keys_of(event: Event) -> Sequence[str]:
    """List the instances that an event is about."""
    key = getattr(event, "key", None)
    found: Sequence[str] = (key,) if key else getattr(event, "keys", ())
    return found


Worded = tuple[Level, str, dict[str, str | int]]
"""A level, a sentence, and what belongs into fields of its own."""


def _worded(event: Event, state: RunState) -> Worded:
    match event:
        case RunStarted(planned=planned):
            return Level.INFO, f"{_changes(event)} of {len(planned)} instances to change", {}
        case Resumed():
            return Level.INFO, before(state), {}
        case WaveOpened(wave=wave):
            return Level.INFO, f"wave {wave} opened", {"wave": wave}
        case ApprovalAwaited(wave=wave):
            return Level.WARNING, f"wave {wave} waits for approval", {"wave": wave}
        case GateAnswered(answer=answer):
            level = Level.INFO if answer.word is Word.GO else Level.WARNING
            return level, f"gate {answer.gate}: {answer.word}: {answer.reason}", {"gate": answer.gate}
        case Halted(why=why):
            return Level.ERROR, f"halted: {why}", {}
        case Promoting(secret=secret, version=version):
            return Level.INFO, f"AWSCURRENT of {secret} is to be moved to {version}", {"version": version}
        case Promoted(secret=secret, version=version):
            return Level.INFO, f"AWSCURRENT of {secret} is at {version}", {"version": version}
        case RunEnded(result=result):
            return (Level.INFO if result == "ok" else Level.ERROR), f"ended: {result}", {"result": result}
        case _:
            return _worded_of_instances(event, state)


def _worded_of_instances(event: Event, state: RunState) -> Worded:
    match event:
        case Admitted(batch=batch):
            return Level.INFO, f"{state.op_of(state.instances[event.keys[0]])} is to be sent", {"batch": batch}
        case Sent(batch=batch, command_id=command):
            return Level.INFO, "SSM accepted the command", {"batch": batch, "command_id": command}
        case NotSent(detail=detail):
            return Level.WARNING, f"SSM did not accept the command: {detail}", {}
        case Reported(report=report):
            return Level.INFO, f"the instance reported {report.reason}", {}
        case Lost(detail=detail):
            return Level.WARNING, f"no result: {detail}", {}
        case Concluded(outcome=outcome):
            level = Level.INFO if outcome.as_wanted else Level.ERROR
            return level, _sentence(outcome), {"outcome": outcome.kind.value, "reason": outcome.reason.value}
        case other:
            return Level.INFO, snake(type(other).__name__).replace("_", " "), {}


def _changes(started: RunStarted) -> int:
    return Plan(cluster=started.cluster, generation=started.generation, planned=started.planned).changes


def _sentence(outcome: Outcome) -> str:
    seen = f" Seen: {outcome.message}" if outcome.message else ""
    return f"{EXPLANATIONS[outcome.reason].meaning}{seen}"


class QuietLines:
    """A listener for where nobody watches: a line when the run starts, two per wave, per problem, and at the end.

    Those about whom the plan has decided already are told in one line for each reason. `store`: the flags that name
    the run's journal.
    """

    def __init__(self, write: Callable[[str], None], store: Sequence[str] = ()) -> None:
        self._write = write
        self._store = store
        self._decided: Counter[Outcome] = Counter()
        self._begun = 0

    def told(self, entry: Entry, state: RunState) -> None:
        """Write the lines of one entry, if it is worth any."""
        match entry.event:
            case Concluded(key=key, outcome=outcome) if not state.instances[key].attempts:
                kept = Outcome(outcome.kind, outcome.reason)
                self._decided[kept] += not outcome.as_wanted and outcome.reason is not Reason.HALTED
                return
            case Admitted() | Draining() if self._begun == state.wave:
                return  # the wave's first ones were named
            case event:
                if isinstance(event, Admitted | Draining):
                    self._begun = state.wave
                lines = [
                    f"{count} {outcome.kind} ({outcome.reason}): {EXPLANATIONS[outcome.reason].meaning}"
                    for outcome, count in self._decided.items()
                    if count
                ]
                self._decided.clear()
                line = _quiet(event, state, self._store)
        for each in (*lines, *([line] if line else ())):
            self._write(f"{moment(entry.at)} {each}")


def _quiet(event: Event, state: RunState, store: Sequence[str]) -> str:
    match event:
        case RunStarted(run=run, planned=planned):
            return f"run {run}: {_changes(event)} of {len(planned)} instances to change"
        case Resumed():
            return before(state)
        case WaveOpened(wave=wave):
            return f"wave {wave}: {len(state.roster.waiting.get(wave, ()))} to change; so far {_counts(state)}"
        case ApprovalAwaited(wave=wave):
            command = typed("approve", state.run.run, "--wave", str(wave), *store)
            return f"wave {wave} waits for approval: {command}"
        case GateAnswered(answer=answer):
            return f"gate {answer.gate}: {answer.word}: {answer.reason}"
        case Halted(why=why):
            return f"HALTED: {why}"
        case RunEnded(result=result):
            return f"ended: {result}: {_counts(state)}"
        case Promoted(secret=secret, version=version):
            return f"AWSCURRENT of {secret} is at {version}"
        case _:
            return _quiet_of_instances(event, state)


def _quiet_of_instances(event: Event, state: RunState) -> str:
    match event:
        case Admitted(keys=keys) | Draining(keys=keys):
            verb = "draining" if isinstance(event, Draining) else "restoring" if state.run.restores else "applying"
            return f"wave {state.wave}: {verb} {', '.join(keys)}: {by_then(state, keys[0])}"
        case Lost(keys=keys, detail=detail):
            return f"no result: {', '.join(keys)}: {detail}"
        case Concluded(key=key, outcome=outcome) if not outcome.as_wanted:
            return f"{outcome.kind} ({outcome.reason}): {key}: {_sentence(outcome)}"
        case _:
            return ""


def _counts(state: RunState) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in state.counts.items() if count) or "nothing done"
