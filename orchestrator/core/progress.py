"""Where one instance is in a run, and one SendCommand: what the fold of the journal keeps of each."""

from dataclasses import dataclass, field

from orchestrator.core.events import (
    Admitted,
    Concluded,
    Deferred,
    Disproven,
    Drained,
    Draining,
    Held,
    Kept,
    Looked,
    Looking,
    Lost,
    NotSent,
    Reported,
    Settled,
    TakingBack,
)
from orchestrator.core.lifecycle import AT_WORK, Phase
from orchestrator.core.model import DecisionKind, Facts, Outcome, OutcomeKind, Planned
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op, Report

One = Reported | Looked | Drained | Held | Disproven | Settled | Kept | Deferred | Concluded
"""What happens to one instance at a time."""

Several = Admitted | Looking | NotSent | Lost | TakingBack | Draining
"""What happens to several instances at once."""

LOOK_AGAIN_AFTER = 30.0
"""Seconds between two looks at an instance that did not answer the first."""

PAUSE = 60.0
"""Seconds between two tries of which no more count: what may be given up has been tried in vain all the while."""


@dataclass(slots=True)
class Span:
    """One stay in a phase, in epoch seconds; `ended_at` is None while it lasts."""

    phase: Phase
    started_at: float
    ended_at: float | None = None


@dataclass(slots=True)
class Progress:
    """Where one instance is.

    `look_at` is set while its result is lost and it was not seen since; `proof_from` is when its change became known,
    from which on ECS has its time to see the agent connected; `fence`: that of its last command, `acknowledged`
    whether SSM said that it took it. `drained`: we have set it DRAINING; `idle`: nothing runs on it any more.
    `pending`: how it will end, once all is given back; `deferred`: how it ends if it stays unreachable; `disproven`:
    why its change is taken back, `to_take_back` while that is still to be begun. `held_at`: when its tasks were last
    found to have no place elsewhere, `held_seconds` for how long by then; `again_at`: when what could not be done is
    tried again.
    """

    planned: Planned
    phase: Phase | None = Phase.QUEUED
    outcome: Outcome | None = None
    batch: str = ""
    attempts: int = 0
    fence: int = 0
    acknowledged: bool = False
    look_at: float | None = None
    looking: bool = False
    looks: int = 0
    lost: str = ""
    report: Report | None = None
    seen: Facts | None = None
    proof_from: float = 0.0
    drained: bool = False
    idle: bool = False
    held: str = ""
    held_at: float | None = None
    held_seconds: float = 0.0
    disproven: Reason | None = None
    to_take_back: bool = False
    takebacks: int = 0
    pending: Outcome | None = None
    kept: int = 0
    again_at: float = 0.0
    deferred: Outcome | None = None
    joined: bool = False
    spans: list[Span] = field(default_factory=list)
    command_ids: list[str] = field(default_factory=list)

    @property
    def arn(self) -> str:
        """The registration under which the instance was seen last: a restart may have given it a new one (F33)."""
        if self.seen is not None and self.seen.arn:
            return self.seen.arn
        return self.report.arn if self.report is not None and self.report.arn else self.planned.instance.arn

    @property
    def moved(self) -> bool:
        """Whether its agent has come back under another registration than the one it was planned with."""
        return self.arn != self.planned.instance.arn

    def anew(self, planned: Planned) -> "Progress":
        """Begin again with an instance that was not reached; what is known of the first time stays in the report."""
        return Progress(
            planned,
            attempts=self.attempts,
            fence=self.fence,
            deferred=self.deferred,
            joined=self.joined,
            spans=self.spans,
            command_ids=self.command_ids,
        )

    def owes(self, arn: str = "") -> bool:
        """Say whether something must be given back before the lifecycle may end: its status, or its identity.

        `arn`: the registration that an observation shows which is not folded yet.
        """
        marked = bool(self.planned.instance.mark) and self.planned.decision.changes
        return self.drained or marked or (arn or self.arn) != self.planned.instance.arn

    @property
    def mends(self) -> bool:
        """Whether what is sent to it takes back what a dead run had left half-way, whatever its run is for."""
        return self.planned.decision.reason is Reason.NEEDS_HEALING

    @property
    def holds_change(self) -> bool:
        """Whether it ended with what the run has sent to it, proven or not: nothing has taken that back."""
        if self.outcome is None or self.disproven is not None or self.mends:
            return False
        unproven = self.outcome.kind is OutcomeKind.UNVERIFIED or self.outcome.reason is Reason.NOT_CONNECTED
        return unproven or self.outcome.kind is OutcomeKind.UPDATED

    @property
    def is_new(self) -> bool:
        """Whether it has joined during the run, and could not be reached to be asked anything so far."""
        unreached = self.outcome.kind is OutcomeKind.UNREACHABLE if self.outcome else self.phase is Phase.LAGGING
        return self.joined and not self.attempts and unreached

    def held_for(self, now: float) -> float:
        """Say for how many seconds a place for its tasks was looked for in vain."""
        return self.held_seconds + (min(now - self.held_at, PAUSE) if self.held_at is not None else 0.0)

    @property
    def begun_at(self) -> float:
        """When it came to be at work as it is now (epoch seconds): what it did before it waited is over."""
        begun = self.spans[-1].started_at
        for span in reversed(self.spans):
            if span.phase not in AT_WORK:
                break
            begun = span.started_at
        return begun

    @property
    def sound(self) -> bool:
        """Whether the pending outcome leaves a host that may take tasks: what is not proven stays DRAINING."""
        if self.pending is None:
            return False
        report = self.report if self.disproven is None else None
        untouched = report is not None and not report.changed and self.pending.reason is report.reason
        return untouched or self.pending.kind not in {OutcomeKind.FAILED, OutcomeKind.UNVERIFIED}

    @property
    def drains(self) -> bool:
        """Whether it is to be drained before anything is sent to it."""
        return self.planned.decision.kind is DecisionKind.DRAIN

    def among(self, event: Several, fence: int) -> None:
        """Take in what happened to this instance together with others. `fence`: the present owner's."""
        match event:
            case Admitted() | TakingBack():
                self.attempts += 1
                self.fence, self.acknowledged = fence, False
                if isinstance(event, TakingBack):  # what was known of its effect is over
                    self.drained = self.drained or self.moved
                    self.takebacks += 1
                    self.to_take_back = False
                    self.look_at = None
            case Looking():
                self.looking = True
            case Lost():
                self.look_at, self.lost = event.look_at, event.detail
            case Draining():
                self.drained, self.idle = True, False
            case NotSent():
                pass

    def accepted(self, op: Op, command_id: str) -> None:
        """Take in that SSM has taken a command for this instance."""
        self.acknowledged = self.acknowledged or op is not Op.INSPECT
        self.command_ids.append(command_id)

    def take(self, event: One, at: float) -> None:
        """Take in what happened to this instance."""
        match event:
            case Concluded():
                self.outcome = event.outcome
            case Reported():
                self.report, self.seen, self.proof_from = event.report, None, at
            case Looked():
                self.looking, self.looks = False, self.looks + 1
                self.seen, self.proof_from = event.facts, at
                self.look_at = None if event.facts else at + LOOK_AGAIN_AFTER
            case Drained():
                self.idle = True
            case Held():
                self.held, self.again_at = event.why, event.again_at
                self.held_seconds, self.held_at = self.held_for(at), at
            case Disproven():
                self.disproven, self.to_take_back = event.reason, True
            case Kept():
                self.kept, self.again_at = self.kept + 1, event.again_at
            case Settled():
                self.pending, self.again_at = event.outcome, at
            case Deferred():
                self.deferred = event.outcome


@dataclass(slots=True)
class Batch:
    """One SendCommand, from its intent on. `open` holds the instances whose invocation has not ended for us."""

    op: Op
    open: dict[str, None]
    not_after: int
    sent_at: float
    command_id: str = ""
