"""What a report tells, as rows: one per instance of the cluster, read from the run's state alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.core.lifecycle import AT_WORK, Phase
from orchestrator.core.model import (
    NOTHING_TO_DO,
    UNSCOPED,
    WORST_FIRST,
    Outcome,
    OutcomeKind,
    Persistence,
    RestartMethod,
)
from orchestrator.core.progress import Progress, Span
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.result import Op
from orchestrator.core.settings import OptionValue
from orchestrator.core.state import RunState
from orchestrator.report import successor
from orchestrator.report.after import NOTHING, After
from orchestrator.report.afterwards import afterwards
from orchestrator.report.chosen import Chosen, options_of
from orchestrator.report.gating import GateSpan, spans_of
from orchestrator.report.visible import visible
from orchestrator.report.waits import awaited

RUNNING = "running"
"""The result of a run that has not ended, for machines."""

TEMPLATE_DRIFT = "template_drift"
"""The instance joined during the run with another credential: what it boots from still holds it."""

_OPEN = {Reason.UNDER_WAY: "under way", Reason.NOT_YET: "not begun"}
"""What is known of an instance without an end: in the forms for machines it is unverified, or not attempted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One instance's line. Times in epoch seconds, durations in seconds; -1 where a number is not known.

    Every text from elsewhere has gone through `visible`.
    """

    instance_id: str
    container_instance_arn: str
    zone: str
    wave: int
    decision: str
    outcome: OutcomeKind
    reason: Reason
    message: str
    afterwards: str
    agent_version: str
    persistence: Persistence
    restart_method: RestartMethod
    tasks_before: int
    tasks_after: int
    drained: bool
    duration_s: float
    restart_ms: int
    log: str
    warnings: tuple[str, ...]
    phases: tuple[Span, ...]
    command_ids: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return EXPLANATIONS[self.reason].remedy

    @property
    def meaning(self) -> str:
        """What the reason means."""
        return EXPLANATIONS[self.reason].meaning

    @property
    def as_wanted(self) -> bool:
        """Whether nothing is left to do about this instance."""
        return Outcome(self.outcome, self.reason).as_wanted

    @property
    def open(self) -> bool:
        """Whether it has no end yet, in a run that may still go on: nothing is the matter with it so far."""
        return self.reason in _OPEN

    @property
    def needs_somebody(self) -> bool:
        """Whether it did not end as wanted."""
        return not (self.as_wanted or self.open)

    @property
    def word(self) -> str:
        """Say how it ended, or how far it is."""
        return _OPEN.get(self.reason, self.outcome.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRow:
    """Where AWSCURRENT of a secret went after the run; `moved_at` None: the journal does not tell whether it did."""

    secret: str
    version: str
    before: str
    moved_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A whole run. `result`: ok, incomplete, halted, interrupted, or `running` while it has not ended.

    `taken_over_by`: the run that has its cluster since, so that it never will end.
    """

    run: str
    cluster: str
    region: str
    generation: str
    started_at: float
    ended_at: float | None
    result: str
    halted: str
    restores: str
    exit_code: int
    options: dict[str, Chosen]
    rows: tuple[Row, ...]
    heals: bool = False
    taken_over_by: str = ""
    source: str = ""
    """What the credential was read from; empty where the run has none, or its flags are not known."""
    resumed: tuple[tuple[float, str], ...] = ()
    """When it was resumed, and by whom."""
    awaits: int = 0
    """The wave that waits for somebody's approval."""
    stranded: bool = False
    """Whether what a run had taken from somebody is not given back."""
    flags: Mapping[str, OptionValue] = field(default_factory=dict)
    """Those that it was started with."""
    store: tuple[str, ...] = ()
    """The flags that name its journal, word by word."""
    gates: tuple[GateSpan, ...] = ()
    promotion: PromotionRow | None = None
    after: After = NOTHING

    @property
    def standing(self) -> str:
        """How the run stands, for a person."""
        return successor.standing("" if self.running else self.result, self.taken_over_by)

    @property
    def running(self) -> bool:
        """Whether it has not ended, which no later run's taking its cluster changes."""
        return self.result == RUNNING

    @property
    def summary(self) -> dict[str, int]:
        """Count of instances by outcome, worst first; every instance is in exactly one."""
        counts = Counter(row.outcome for row in self.rows)
        return {kind.value: counts[kind] for kind in WORST_FIRST if counts[kind]}

    @property
    def tally(self) -> dict[str, int]:
        """Count them in the words for a person, in the order of the rows."""
        return dict(Counter(row.word for row in self.rows))

    @property
    def drifted(self) -> tuple[str, ...]:
        """Instances that joined during the run with another credential."""
        return tuple(row.instance_id for row in self.rows if TEMPLATE_DRIFT in row.warnings)

    @property
    def converged(self) -> tuple[int, int]:
        """How many instances run this credential, of those in scope: ghosts, terminated and left out are beside it."""
        done = sum(row.outcome in {OutcomeKind.UPDATED, OutcomeKind.CURRENT} for row in self.rows)
        aside = {*UNSCOPED, *NOTHING_TO_DO, Reason.TERMINATED}
        beside = sum(row.outcome is OutcomeKind.SKIPPED and row.reason in aside for row in self.rows)
        return done, len(self.rows) - beside


def build(state: RunState, *, exit_code: int, taken_over_by: str = "") -> RunReport:
    """Read the report out of a run's state: what needs somebody first, worst of all, then in the order of admission."""
    run = state.run
    rows = [_row(progress, state.op, taken_over_by) for progress in state.instances.values()]
    rows.sort(key=lambda row: (row.as_wanted, row.open, WORST_FIRST.index(row.outcome)))
    return RunReport(
        run=run.run,
        cluster=visible(run.cluster),
        region=visible(run.region),
        generation=run.generation,
        started_at=state.started_at,
        ended_at=state.ended_at,
        result=state.ended.result if state.ended else RUNNING,
        source=visible(str(run.options.get("credential") or "")),
        resumed=tuple((at, visible(by)) for at, by in state.resumed),
        awaits=awaited(state),
        halted=visible(state.halted.why) if state.halted else "",
        restores=run.restores,
        exit_code=exit_code,
        options=options_of(run.policy),
        heals=run.heals,
        taken_over_by=visible(taken_over_by),
        stranded=any(map(_stranded, state.instances.values())),
        flags=run.options,
        rows=tuple(rows),
        gates=spans_of(state),
        promotion=promotion_of(state),
    )


def _stranded(progress: Progress) -> bool:
    outcome, planned = progress.outcome, progress.planned
    if outcome is None or outcome.as_wanted:
        return False
    left = bool(planned.instance.mark) and not planned.decision.changes
    return left or outcome.reason is Reason.STRANDED


def promotion_of(state: RunState) -> PromotionRow | None:
    """Read from a run's state where AWSCURRENT went; None where it was never to move."""
    intent = state.promoting
    if intent is None:
        return None
    return PromotionRow(
        secret=visible(intent.secret),
        version=visible(intent.version),
        before=visible(intent.before),
        moved_at=state.promoted_at,
    )


def _so_far(progress: Progress, taken_over_by: str) -> Outcome:
    """Say what is known of an instance while its run has not ended, or broke off: it may have been begun."""
    if progress.phase is Phase.QUEUED:
        return Outcome(OutcomeKind.NOT_ATTEMPTED, Reason.TAKEN_OVER if taken_over_by else Reason.NOT_YET)
    if progress.deferred is not None and progress.phase is Phase.LAGGING:
        return progress.deferred
    if progress.pending is not None:
        return progress.pending
    if taken_over_by:
        return Outcome(OutcomeKind.UNVERIFIED, Reason.TAKEN_OVER, f"{progress.phase} when the run broke off")
    return Outcome(OutcomeKind.UNVERIFIED, Reason.UNDER_WAY, f"{progress.phase} when the journal was read")


def _row(progress: Progress, op: Op, taken_over_by: str) -> Row:
    planned, report = progress.planned, progress.report
    instance, facts = planned.instance, planned.facts
    outcome = progress.outcome or _so_far(progress, taken_over_by)
    spans = tuple(span for span in progress.spans if span.phase in AT_WORK)
    begun = [span.started_at for span in spans]
    ended = [span.ended_at for span in spans if span.ended_at is not None]
    return Row(
        instance_id=visible(instance.instance_id),
        container_instance_arn=visible(progress.arn),
        zone=visible(instance.zone),
        wave=planned.wave,
        decision=f"{planned.decision.kind}({planned.decision.reason})",
        outcome=outcome.kind,
        reason=outcome.reason,
        message=visible(outcome.message),
        afterwards=afterwards(progress),
        agent_version=visible(instance.agent_version),
        persistence=facts.persistence if facts else Persistence.UNKNOWN,
        restart_method=facts.method if facts else RestartMethod.NONE,
        tasks_before=report.tasks_before if report else instance.running_tasks,
        tasks_after=report.tasks_after if report else instance.running_tasks,
        drained=progress.drained,
        duration_s=round(max(ended) - min(begun), 3) if begun and ended else 0.0,
        restart_ms=report.restart_ms if report else -1,
        log=visible(report.log) if report else "",
        warnings=tuple(map(visible, _warnings(progress, op))),
        phases=tuple(progress.spans),
        command_ids=tuple(map(visible, progress.command_ids)),
    )


def _warnings(progress: Progress, op: Op) -> tuple[str, ...]:
    """Collect what inspect, the report and the run itself warn of, by name."""
    report, facts = progress.report, progress.planned.facts
    found = {*(report.warnings if report else ()), *(facts.warnings if facts else ())}
    current = progress.planned.decision.reason is Reason.ALREADY_CURRENT
    if op is Op.APPLY and progress.joined and facts is not None and facts.registries and not current:
        found.add(TEMPLATE_DRIFT)
    return tuple(sorted(found))
