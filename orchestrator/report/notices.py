"""The words of notices: one message that a person can act on at night, without looking anywhere else first."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.core.model import WORST_FIRST, OutcomeKind, Plan
from orchestrator.core.notices import Moment, Notice, Problem
from orchestrator.core.reasons import EXPLANATIONS
from orchestrator.core.settings import spelled, typed
from orchestrator.core.state import RunState
from orchestrator.errors import RolloutError, UnsavedFault
from orchestrator.report.layout import names
from orchestrator.report.mending import mended
from orchestrator.report.remarks import remarks
from orchestrator.report.rows import RunReport, build
from orchestrator.report.times import moment
from orchestrator.report.troubles import troubles

SUBJECT = 100
"""Characters that SNS takes as a subject."""

LATE = "This comes late: the controller of that run died before it could tell."

_PROBLEMS = 5
_NAMED = 8
_SEEN = 3
_WHY = 1000
_ACCOUNT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a run takes place, and how its commands are written. `store`: flags that name the run's journal."""

    cluster: str
    region: str
    account: str = ""
    store: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    """What shows the present state when no run had begun, word by word."""

    @property
    def words(self) -> str:
        """Say where, for the first line."""
        where = ", ".join(part for part in (f"account {self.account}" if self.account else "", self.region) if part)
        return f"cluster {self.cluster}" + (f" ({where})" if where else "")

    def command(self, name: str, run: str, *more: str) -> str:
        """Write a command about a run."""
        return typed(name, run, *more, *self._where)

    @property
    def _where(self) -> tuple[str, ...]:
        """Name the journal so that it is found from another machine, whose usual Region may be another."""
        return (*self.store, *(("--region", self.region) if "--state" in self.store else ()))


def plan_words(cluster: str, credential: str) -> tuple[str, ...]:
    """Write the command that shows what there is to do."""
    return ("ecs-rollout", "plan", *spelled({"cluster": cluster, "credential": credential}))


def worth_starting(state: RunState) -> bool:
    """Say whether the run has anything to do."""
    return _plan(state).changes > 0


def waiting(state: RunState, origin: Origin, *, at: float) -> Notice:
    """Tell that a wave waits for somebody's approval: which, until when, and how to give it or to refuse."""
    told = _told(state, origin)
    wave = state.awaiting[0] if state.awaiting else 0
    count = sum(each.planned.wave == wave for each in state.instances.values())
    until = moment(at + state.run.policy.approve_timeout)
    lines = (
        f"{told.what} WAITS for approval on {told.origin.words}.",
        f"Wave {wave} has {count} instance{_s(count)}. Not approved until {until}, it does not open, and the run ends.",
        f"So far: {told.so_far}.",
        f"To stop here: {told.origin.command('abort', state.run.run)}",
    )
    following = told.origin.command("approve", state.run.run, "--wave", str(wave))
    notice = told.notice(Moment.WAITING, f"WAITS for approval of wave {wave}, {told.so_far}", lines, next=following)
    return replace(notice, at=at)


def worth_ending(state: RunState) -> bool:
    """Say whether anything was done or went wrong: nobody wants to be told every night that all is as it was."""
    touched = any(state.counts[kind] for kind in (OutcomeKind.UPDATED, OutcomeKind.ROLLED_BACK))
    return touched or state.ended is None or state.ended.result != "ok"


def started(state: RunState, origin: Origin) -> Notice:
    """Tell that a run begins."""
    told = _told(state, origin)
    plan = _plan(state)
    waves = len({each.wave for each in plan.planned if each.wave})
    window = state.run.policy.max_unavailable.of(plan.in_scope, at_least=1)
    todo = f"{plan.changes} of {len(plan.planned)} instance{_s(len(plan.planned))} to change"
    lines = (
        f"{told.what} started on {told.origin.words}.",
        f"{todo}, in {waves} wave{_s(waves)}, at most {window} at a time.",
    )
    following = origin.command("status", state.run.run)
    notice = told.notice(Moment.STARTED, f"started, {todo}", lines, next=following)
    return replace(notice, counts=(), at=state.started_at)


def halted(state: RunState, origin: Origin, *, at: float) -> Notice:
    """Tell that nothing more is admitted, and why."""
    told = _told(state, origin)
    flying = len(state.roster.in_flight)
    at_work = f"the {flying} instance{_s(flying)} at work {'is' if flying == 1 else 'are'} seen through"
    lines = (
        f"{told.what} HALTED on {told.origin.words}.",
        f"Why: {told.why}",
        f"Nothing more is admitted; {at_work if flying else 'nobody is at work'}. A message follows at the end.",
        f"So far: {told.so_far}.",
    )
    return replace(told.notice(Moment.HALTED, f"HALTED, {told.so_far}", lines), at=at)


def ended(
    state: RunState, origin: Origin, followed: Sequence[str] = (), *, well: bool = True, look: Sequence[str] = ()
) -> Notice:
    """Tell how a run ended. `followed`: what came after it; `well`: whether that went well, too.

    `look`: the command that says more where the run's report does not, word by word.
    """
    told = _told(state, origin)
    report = told.report
    done, total = report.converged
    good = report.result == "ok" and well
    ended_at = state.ended_at or state.started_at
    result = report.result if report.result == "ok" else report.result.upper()
    shares = f"{done} of {total} instances run the credential ({told.summary})"
    if report.heals:
        shares = mended(report)
    lines = (
        f"{told.what} ended on {told.origin.words}: {result}.",
        f"{told.summary if state.run.restores else shares}, after {_time(ended_at - state.started_at)}.",
        *((f"Why: {told.why}",) if told.why else ()),
        *map(_line, followed),
        *(f"{each.words} {each.explained.remedy}" for each in remarks(report)),
        *(("Nothing to do.",) if good and not state.run.restores and not remarks(report) else ()),
    )
    # A run that takes another back is for that one's sake: why it had to be stands in the other's report.
    following = origin.command("report", state.run.restores or report.run) if state.run.restores or not good else ""
    following = shlex.join((*look, *origin.store)) if look else following
    notice = told.notice(Moment.ENDED, f"ended {result}, {told.summary}", lines, next=following)
    return replace(notice, at=ended_at)


def failed(error: RolloutError, state: RunState | None, origin: Origin, *, at: float) -> Notice:
    """Tell that a command ended with an error: before a run had begun, in the middle of one, or after it."""
    told = _told(state, origin) if state is not None and state.started is not None else None
    # Where the journal did not take its end, a run has one in memory alone.
    open_end = told is not None and (told.state.ended is None or isinstance(error, UnsavedFault))
    how = "DID NOT RUN" if told is None else "BROKE OFF" if open_end else "FAILED AFTER ITS RUN"
    words = (told.origin if told else origin).words
    lines = (
        f"Rollout {how} on {words} (exit code {int(error.exit_code)})." + ("" if told else " No instance was changed."),
        f"Why: {_line(error.message)}",
        f"Do: {_line(error.hint)}",
        *((f"So far: {told.so_far}.",) if told else ()),
    )
    subject = f"{how}, {_line(error.message)}"
    if told is not None:
        going_on = told.origin.command("resume", told.report.run, "--take-over") if open_end else None
        notice = told.notice(Moment.FAILED, subject, lines, next=going_on)
    else:
        following = shlex.join(origin.again)
        notice = Notice(
            moment=Moment.FAILED,
            cluster=origin.cluster,
            account=origin.account,
            region=origin.region,
            run="",
            at=at,
            subject=_subject(origin, subject),
            text="\n".join((*lines, *([f"Next: {following}"] if following else ()))),
            next=following,
        )
    return replace(notice, at=at, result="failed", why=_line(error.message))


def _told(state: RunState, origin: Origin) -> "_Told":
    """Read the state; the account is in every container instance's ARN."""
    arns = [each.instance.arn.split(":") for each in state.run.planned]
    known = next((parts[_ACCOUNT] for parts in arns if len(parts) > _ACCOUNT), "")
    return _Told(state, replace(origin, account=origin.account or known), build(state, exit_code=0))


@dataclass(frozen=True, slots=True)
class _Told:
    """What every notice about a run tells."""

    state: RunState
    origin: Origin
    report: RunReport

    @property
    def what(self) -> str:
        restores = self.state.run.restores
        return f"Taking back the run {restores}" if restores else "Rollout"

    @property
    def why(self) -> str:
        return _line(self.report.halted)

    @property
    def summary(self) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in self.report.summary.items())

    @property
    def so_far(self) -> str:
        counts = [f"{self.state.counts[kind]} {kind}" for kind in WORST_FIRST if self.state.counts[kind]]
        left = len(self.state.instances) - sum(self.state.counts.values())
        return ", ".join([*counts, *([f"{left} without an outcome yet"] if left else [])])

    def notice(self, moment: Moment, subject: str, lines: Sequence[str], *, next: str | None = None) -> Notice:  # noqa: A002 - the field's name
        """Put a notice together. `next`: the command to run next; None for the run's report."""
        report, origin = self.report, self.origin
        problems = problems_of(report)
        following = origin.command("report", report.run) if next is None else next
        text = [*lines]
        for problem in problems[:_PROBLEMS]:
            text += ["", *_problem(problem)]
        if len(problems) > _PROBLEMS:
            text += ["", f"... and {len(problems) - _PROBLEMS} more kinds of problems."]
        text += ["", f"Run {report.run}.", *([f"Next: {following}"] if following else ())]
        return Notice(
            moment=moment,
            cluster=origin.cluster,
            account=origin.account,
            region=origin.region,
            run=report.run,
            at=0.0,
            subject=_subject(origin, subject),
            text="\n".join(text),
            result=report.result,
            why=self.why,
            counts=tuple((kind.value, self.state.counts[kind]) for kind in WORST_FIRST if self.state.counts[kind]),
            problems=problems,
            next=following,
        )


def problems_of(report: RunReport) -> tuple[Problem, ...]:
    """Group the instances that did not end as wanted, worst first."""
    return tuple(
        Problem(
            outcome=each.outcome,
            reason=each.reason,
            instances=each.instances,
            seen=tuple(_line(message) for message in each.seen[:_SEEN]),
        )
        for each in troubles(report)
    )


def _problem(problem: Problem) -> tuple[str, ...]:
    explained = EXPLANATIONS[problem.reason]
    return (
        f"{len(problem.instances)} {problem.outcome} ({problem.reason}): {names(problem.instances, _NAMED)}",
        f"  {explained.meaning}",
        *(f"  Seen: {seen}" for seen in problem.seen),
        f"  Do: {explained.remedy}",
    )


def _plan(state: RunState) -> Plan:
    return Plan(cluster=state.run.cluster, generation=state.run.generation, planned=state.run.planned)


def _subject(origin: Origin, text: str) -> str:
    """Make one short line of ASCII, as SNS wants it."""
    line = _line(f"[ecs-rollout] {origin.cluster}: {text}").encode("ascii", "replace").decode("ascii")
    return line if len(line) <= SUBJECT else f"{line[: SUBJECT - 3]}..."


def _line(text: str) -> str:
    """Make one line of bounded length of what may hold others' words."""
    line = re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", text).strip()
    return line if len(line) <= _WHY else f"{line[: _WHY - 3]}..."


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _time(seconds: float) -> str:
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
