"""The state of a run: the fold of its events and nothing else.

`RunState.fold` is the only thing that changes it, so the same events always give the same state. A journal of
thousands is folded where somebody waits: what happens most often is asked for first.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from orchestrator.core.events import (
    Admitted,
    ApprovalAwaited,
    Approved,
    Concluded,
    Deferred,
    Delivered,
    Disproven,
    Drained,
    Draining,
    EndTold,
    Entry,
    GateAnswered,
    Halted,
    Held,
    Kept,
    Looked,
    Looking,
    Lost,
    NotSent,
    Promoted,
    Promoting,
    Reported,
    Resumed,
    RunEnded,
    RunStarted,
    Sent,
    Settled,
    Surveyed,
    TakingBack,
    WaveOpened,
)
from orchestrator.core.gates import Answers
from orchestrator.core.lifecycle import Phase, Step, advance
from orchestrator.core.model import Outcome, OutcomeKind, Planned
from orchestrator.core.orders import PayloadReference  # noqa: TC001 - a field of the state
from orchestrator.core.progress import Batch, One, Progress, Several, Span
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op
from orchestrator.core.roster import Roster

_AtTheEnd = RunEnded | Promoting | Promoted | EndTold

FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.ROLLED_BACK, OutcomeKind.UNVERIFIED})
"""What counts against --max-failures, unless it was wanted."""


class RunState:
    """Everything that is known about a run. Change it only with `fold`.

    `approved` holds the waves that somebody let go on, `awaiting` the wave that waits for it and since when, `surveys`
    how often the cluster was listed again, `surveyed_wave` the wave that the last of them added, `joined` who was not
    there before them and `listed` the ARNs that plan and surveys have found, `succeeded` on how many the change has
    worked, `fence` the present owner's number and `resumed_at` since when it owns the run, `resumed` when
    and by whom it was resumed, `promoting` where AWSCURRENT
    is to go after the run's end and `promoted_at` since when it is there.
    """

    def __init__(self) -> None:
        self.started: RunStarted | None = None
        self.started_at = 0.0
        self.ended: RunEnded | None = None
        self.ended_at: float | None = None
        self.halted: Halted | None = None
        self.promoting: Promoting | None = None
        self.promoted_at: float | None = None
        self.instances: dict[str, Progress] = {}
        self.roster = Roster()
        self.wave = 0
        self.last_end = 0.0
        self.fence = 0
        self.resumed_at = 0.0
        self.resumed: list[tuple[float, str]] = []
        self.payload: PayloadReference | None = None
        self.approved: set[int] = set()
        self.awaiting: tuple[int, float] | None = None
        self.surveys = 0
        self.surveyed_wave = 0
        self.joined: list[str] = []
        self.listed: set[str] = set()
        self.gates = Answers()
        self.batches: dict[str, Batch] = {}
        self.counts: Counter[OutcomeKind] = Counter()
        self.failed = 0
        self.succeeded = 0
        self.batches_made = 0

    @property
    def run(self) -> RunStarted:
        """The run's first event. Raises RuntimeError before it."""
        if self.started is None:
            raise RuntimeError("the run has not started")
        return self.started

    @property
    def op(self) -> Op:
        """The document that changes instances in this run, but for those that it mends (`op_of`)."""
        return Op.RESTORE if self.run.restores or self.run.heals else Op.APPLY

    def op_of(self, progress: Progress) -> Op:
        """Name the document that changes this instance."""
        return Op.RESTORE if progress.mends else self.op

    @property
    def window(self) -> int:
        """How many instances may be in flight at once; at least one."""
        return self.run.policy.max_unavailable.of(self.roster.in_scope, at_least=1)

    @property
    def unreachable(self) -> int:
        """How many could not be reached: by now, or at the end.

        Who has joined and cannot be asked anything yet is still booting, as a rule: no reason to stop the others.
        """
        every = len(self.roster.phases[Phase.LAGGING]) + self.counts[OutcomeKind.UNREACHABLE]
        return every - sum(self.instances[key].is_new for key in self.joined)

    def open_batches(self) -> list[tuple[str, Batch]]:
        """Commands that may still tell something."""
        return [(name, batch) for name, batch in self.batches.items() if batch.open]

    def fold(self, entry: Entry) -> None:
        """Take one event in. Raises UnknownTransitionError for one that the lifecycle does not know."""
        event, at = entry.event, entry.at
        match event:
            case (
                Concluded() | Reported() | Settled() | Drained() | Looked() | Held() | Disproven() | Kept() | Deferred()
            ):
                progress = self.instances[event.key]
                _step(progress, event.step, at, self.roster)
                self._one(progress, event, at)
            case Admitted() | Looking() | NotSent() | Lost() | TakingBack() | Draining():
                self._several([self.instances[key] for key in event.keys], event, at)
            case Sent():
                self._sent(event)
            case GateAnswered():
                self.gates.hear(event.answer, at, event.unasked)
            case RunStarted():
                self.started, self.started_at, self.fence = event, at, event.fence
                for planned in event.planned:
                    self._join(planned, at)
            case Surveyed():
                self.surveys += 1
                self.surveyed_wave = max((each.wave for each in event.planned), default=0)
                for planned in event.planned:
                    self._revisit(planned, at)
            case _:
                self._of_the_run(event, at)

    def _of_the_run(
        self,
        event: Resumed | Delivered | WaveOpened | ApprovalAwaited | Approved | Halted | _AtTheEnd,
        at: float,
    ) -> None:
        match event:
            case Resumed():
                self.fence, self.resumed_at = event.fence, at
                self.resumed.append((at, event.holder))
            case Delivered():
                self.payload = event.payload
            case WaveOpened():
                self.wave, self.awaiting = event.wave, None
            case ApprovalAwaited():
                self.awaiting = (event.wave, at)
            case Approved():
                self.approved.add(event.wave)
            case Halted():
                self.halted = self.halted or event
            case _:
                self._at_the_end(event, at)

    def _at_the_end(self, event: _AtTheEnd, at: float) -> None:
        match event:
            case RunEnded():
                self.ended, self.ended_at = event, at
            case Promoting():
                self.promoting = event
            case Promoted():
                self.promoted_at = at
            case EndTold():
                pass  # whoever starts next asks the head of the run

    def _join(self, planned: Planned, at: float) -> Progress:
        progress = Progress(planned, spans=[Span(Phase.QUEUED, at)])
        self.instances[planned.key] = progress
        self.roster.join(planned)
        self.listed.add(planned.instance.arn)
        return progress

    def _revisit(self, planned: Planned, at: float) -> None:
        """Take in an instance that a survey saw: one that has joined, or a laggard."""
        known = self.instances.get(planned.key)
        if known is None:
            self._join(planned, at).joined = True
            self.joined.append(planned.key)
            return
        _step(known, Step.REVISITED, at, self.roster)
        self.roster.replan(known.planned, planned)
        self.instances[planned.key] = known.anew(planned)

    def _sent(self, event: Sent) -> None:
        batch = self.batches[event.batch]
        batch.command_id = event.command_id
        for key in batch.open:
            self.instances[key].accepted(batch.op, event.command_id)

    def _several(self, members: Sequence[Progress], event: Several, at: float) -> None:
        for progress in members:
            _step(progress, event.step, at, self.roster)
        match event:
            case Admitted() | TakingBack():
                op = self.op_of(members[0]) if isinstance(event, Admitted) else Op.RESTORE
                self._open(event.batch, Batch(op, dict.fromkeys(event.keys), event.not_after, at))
            case Looking():
                self._open(event.batch, Batch(Op.INSPECT, dict.fromkeys(event.keys), 0, at))
            case NotSent() | Lost():
                for progress in members:
                    self._close(progress)
            case Draining():
                pass
        for progress in members:
            progress.among(event, self.fence)

    def _open(self, name: str, batch: Batch) -> None:
        self.batches_made += 1
        self.batches[name] = batch
        for key in batch.open:
            self.instances[key].batch = name

    def _one(self, progress: Progress, event: One, at: float) -> None:
        match event:
            case Concluded():
                self._close(progress)
                if progress.pending is None:
                    self._judged(event.outcome)
                self.succeeded += self._proves(progress, event.outcome)
                self.counts[event.outcome.kind] += 1
                self.last_end = at
            case Reported() | Looked() | Deferred():
                self._close(progress)
            case Settled():
                self._close(progress)
                self._judged(event.outcome)
            case Drained() | Held() | Disproven() | Kept():
                pass
        progress.take(event, at)

    def _proves(self, progress: Progress, outcome: Outcome) -> bool:
        """Say whether an end shows that what this run does works: healing proves itself without a command.

        What is mended beside it proves nothing of the credential.
        """
        tried = (bool(progress.attempts) and not progress.mends) or self.run.heals
        return tried and outcome.as_wanted and outcome.reason is not Reason.TERMINATED

    def _judged(self, outcome: Outcome) -> None:
        """Count a failure as soon as it is known, not when all has been given back."""
        self.failed += outcome.kind in FAILURES and not outcome.as_wanted

    def _close(self, progress: Progress) -> None:
        """Close the instance's present command, and forget a batch that has no open ones left."""
        batch = self.batches.get(progress.batch)
        if batch is not None:
            batch.open.pop(progress.planned.key, None)
            if not batch.open:
                del self.batches[progress.batch]


def _step(progress: Progress, step: Step, at: float, roster: Roster) -> None:
    source = progress.phase
    target = advance(source, step)
    if source is None or target is source:
        return
    progress.spans[-1].ended_at = at
    if target is not None:
        progress.spans.append(Span(target, at))
    roster.move(progress.planned, source, target)
    progress.phase = target


def replay(entries: Iterable[Entry]) -> RunState:
    """Fold a whole journal."""
    state = RunState()
    for entry in entries:
        state.fold(entry)
    return state
