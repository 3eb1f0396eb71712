"""The state of a run: the fold of its events and nothing else.

`RunState.fold` is the only thing that changes it, so the same events always give the same state. It is kept in
indexes (queue, in flight, counts) so that a tick costs what is in flight, not what is in the fleet.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.core.events import (
    Admitted,
    Concluded,
    Entry,
    GateAnswered,
    Halted,
    Looked,
    Looking,
    Lost,
    NotSent,
    Reported,
    RunEnded,
    RunStarted,
    Sent,
    WaveOpened,
)
from orchestrator.core.gates import GateAnswer
from orchestrator.core.lifecycle import Phase, Step, advance
from orchestrator.core.model import UNSCOPED, Facts, Outcome, OutcomeKind, Planned
from orchestrator.core.result import Op, Report

_ABSENT = object()

FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK, OutcomeKind.UNVERIFIED})
"""What counts against --max-failures, unless it was wanted."""

LOOK_AGAIN_AFTER = 30.0
"""Seconds between two looks at an instance that did not answer the first."""


@dataclass(slots=True)
class Span:
    """One stay in a phase, in epoch seconds; `ended_at` is None while it lasts."""

    phase: Phase
    started_at: float
    ended_at: float | None = None


@dataclass(slots=True)
class Progress:
    """Where one instance is.

    `look_at` is set while its result is lost and it was not seen since; `proof_from` is when its change became
    known, from which on ECS has its time to see the agent connected.
    """

    planned: Planned
    phase: Phase | None = Phase.QUEUED
    outcome: Outcome | None = None
    batch: str = ""
    attempts: int = 0
    look_at: float | None = None
    looking: bool = False
    looks: int = 0
    lost: str = ""
    report: Report | None = None
    seen: Facts | None = None
    proof_from: float = 0.0
    spans: list[Span] = field(default_factory=list)
    command_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """One SendCommand, from its intent on. `open` holds the instances whose invocation has not ended for us."""

    op: Op
    open: dict[str, None]
    not_after: int
    sent_at: float
    command_id: str = ""


class RunState:
    """Everything that is known about a run. Change it only with `fold`.

    `queue` holds who was not begun, `waiting` the same by wave, `zones` how many are in flight in
    each, `zone_sizes` how many there are, `gates` what each gate said last.
    """

    def __init__(self) -> None:
        self.started: RunStarted | None = None
        self.started_at = 0.0
        self.ended: RunEnded | None = None
        self.ended_at: float | None = None
        self.halted: Halted | None = None
        self.instances: dict[str, Progress] = {}
        self.queue: dict[str, None] = {}
        self.waiting: dict[int, dict[str, None]] = {}
        self.wave = 0
        self.last_end = 0.0
        self.gates: dict[str, GateAnswer] = {}
        self.trouble_since: dict[str, float] = {}
        self.zones: Counter[str] = Counter()
        self.zone_sizes: Counter[str] = Counter()
        self.in_flight: dict[str, None] = {}
        self.batches: dict[str, Batch] = {}
        self.counts: Counter[OutcomeKind] = Counter()
        self.failed = 0
        self.in_scope = 0
        self.batches_made = 0

    @property
    def run(self) -> RunStarted:
        """The run's first event. Raises RuntimeError before it."""
        if self.started is None:
            raise RuntimeError("the run has not started")
        return self.started

    @property
    def op(self) -> Op:
        """The document that changes instances in this run."""
        return Op.RESTORE if self.run.restores else Op.APPLY

    def open_batches(self) -> list[tuple[str, Batch]]:
        """Commands that may still tell something."""
        return [(name, batch) for name, batch in self.batches.items() if batch.open]

    def fold(self, entry: Entry) -> None:
        """Take one event in. Raises UnknownTransitionError for one that the lifecycle does not know."""
        event, at = entry.event, entry.at
        match event:
            case RunStarted():
                self._start(event, at)
            case Halted():
                self.halted = self.halted or event
            case RunEnded():
                self.ended, self.ended_at = event, at
            case WaveOpened():
                self.wave = event.wave
            case GateAnswered():
                self._gate(event.answer, at)
            case Sent():
                self._sent(event)
            case Admitted() | Looking() | NotSent() | Lost():
                for key in event.keys:
                    self._step(key, event.step, at)
                self._batch(event, at)
            case Reported() | Looked() | Concluded():
                self._step(event.key, event.step, at)
                self._one(event, at)

    def _start(self, event: RunStarted, at: float) -> None:
        self.started, self.started_at = event, at
        for planned in event.planned:
            self.instances[planned.key] = Progress(planned, spans=[Span(Phase.QUEUED, at)])
            self._wait(planned)
            if planned.decision.reason not in UNSCOPED:
                self.zone_sizes[planned.instance.zone] += 1
            self.in_scope += planned.decision.reason not in UNSCOPED

    def _gate(self, answer: GateAnswer, at: float) -> None:
        self.gates[answer.gate] = answer
        if answer.trouble:
            self.trouble_since.setdefault(answer.gate, at)
        else:
            self.trouble_since.pop(answer.gate, None)

    def _step(self, key: str, step: Step, at: float) -> None:
        progress = self.instances[key]
        target = advance(progress.phase, step)
        if target is not progress.phase:
            progress.spans[-1].ended_at = at
            if target is not None:
                progress.spans.append(Span(target, at))
        progress.phase = target
        planned = progress.planned
        self.queue.pop(key, None)
        self.waiting.get(planned.wave, {}).pop(key, None)
        if self.in_flight.pop(key, _ABSENT) is None:
            self.zones[planned.instance.zone] -= 1
        if target is Phase.QUEUED:
            self._wait(planned)
        elif target is not None:
            self.in_flight[key] = None
            self.zones[planned.instance.zone] += 1

    def _wait(self, planned: Planned) -> None:
        self.queue[planned.key] = None
        self.waiting.setdefault(planned.wave, {})[planned.key] = None

    def _sent(self, event: Sent) -> None:
        batch = self.batches[event.batch]
        batch.command_id = event.command_id
        for key in batch.open:
            self.instances[key].command_ids.append(event.command_id)

    def _batch(self, event: Admitted | Looking | NotSent | Lost, at: float) -> None:
        match event:
            case Admitted():
                self.batches_made += 1
                opened = dict.fromkeys(event.keys)
                self.batches[event.batch] = Batch(self.op, opened, event.not_after, at)
                for key in event.keys:
                    self.instances[key].batch = event.batch
                    self.instances[key].attempts += 1
            case Looking():
                self.batches_made += 1
                self.batches[event.batch] = Batch(Op.INSPECT, dict.fromkeys(event.keys), 0, at)
                for key in event.keys:
                    self.instances[key].batch = event.batch
                    self.instances[key].looking = True
            case NotSent():
                self.batches.pop(event.batch, None)
            case Lost():
                for key in event.keys:
                    self._close(key)
                    self.instances[key].look_at = event.look_at
                    self.instances[key].lost = event.detail

    def _one(self, event: Reported | Looked | Concluded, at: float) -> None:
        progress = self.instances[event.key]
        self._close(event.key)
        match event:
            case Reported():
                progress.report = event.report
                progress.proof_from = at
            case Looked():
                progress.looking = False
                progress.looks += 1
                progress.seen = event.facts
                progress.proof_from = at
                progress.look_at = None if event.facts else at + LOOK_AGAIN_AFTER
            case Concluded():
                progress.outcome = event.outcome
                self.counts[event.outcome.kind] += 1
                self.failed += event.outcome.kind in FAILURES and not event.outcome.as_wanted
                self.last_end = at

    def _close(self, key: str) -> None:
        """Close the instance's present command, and forget a batch that has no open ones left."""
        name = self.instances[key].batch
        batch = self.batches.get(name)
        if batch is not None:
            batch.open.pop(key, None)
            if not batch.open:
                del self.batches[name]


def replay(entries: Iterable[Entry]) -> RunState:
    """Fold a whole journal."""
    state = RunState()
    for entry in entries:
        state.fold(entry)
    return state
