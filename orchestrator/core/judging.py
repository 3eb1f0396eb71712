"""Say what an observation means for a run: pure functions from what was seen to events."""

from orchestrator.core.events import Concluded, Event, Looked, Lost, Reported
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import AgentState, Armed, Facts, Outcome, OutcomeKind, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Claim, Op, Report, parse_facts, parse_report
from orchestrator.core.state import Batch, Progress, RunState

READS = 2
"""Reads of ECS in a row that must see the agent connected: the first may be from before the restart."""

LOOKS = 3
"""Looks at an instance with a lost result before it is given up as unverified."""

_SUCCESS = {
    Op.APPLY: (OutcomeKind.UPDATED, Reason.VERIFIED),
    Op.RESTORE: (OutcomeKind.ROLLED_BACK, Reason.RESTORED),
}
_KINDS = {
    Claim.UPDATED: OutcomeKind.UPDATED,
    Claim.CURRENT: OutcomeKind.CURRENT,
    Claim.REFUSED: OutcomeKind.REFUSED,
    Claim.ROLLED_BACK: OutcomeKind.ROLLED_BACK,
    Claim.FAILED: OutcomeKind.FAILED,
}


def look_time(state: RunState, batch: Batch, now: float) -> int:
    """Say when an instance of a lost result can be looked at: its watchdog must have had its time (F61)."""
    deadlines = state.run.policy.deadlines
    return int(max(now, batch.not_after)) + deadlines.watchdog + deadlines.restore


def overdue(state: RunState, batch: Batch, now: float) -> bool:
    """Say whether a command is so late that nothing will come: the service's own total time is over (F70)."""
    deadlines = state.run.policy.deadlines
    return now > batch.sent_at + deadlines.delivery + deadlines.step + 2 * deadlines.skew


def judge_overdue(state: RunState, batch: Batch, now: float) -> tuple[Event, ...]:
    """Judge every invocation of a command that will tell nothing any more."""
    return tuple(
        event
        for key in tuple(batch.open)
        for event in judge_end(state, key, batch, "nothing, and its time is over", "", now)
    )


def judge_end(state: RunState, key: str, batch: Batch, status: str, stdout: str, now: float) -> tuple[Event, ...]:
    """Judge an invocation that has ended, by its result line alone.

    A status proves neither that the script ran nor that it did not (F61, F75).
    """
    if batch.op is Op.INSPECT:
        facts = parse_facts(stdout)
        if isinstance(facts, Facts):
            return (Looked(key=key, facts=facts, reason=Reason.VERIFIED), *judge_look(state, key, facts))
        return judge_blind(state, key, facts)
    report = parse_report(stdout, batch.op)
    if report is None:
        return (Lost(keys=(key,), look_at=look_time(state, batch, now), detail=f"no result line; SSM says {status}"),)
    return (Reported(key=key, report=report), *judge_report(key, report, batch.op))


def judge_report(key: str, report: Report, op: Op) -> tuple[Event, ...]:
    """End the instance where its own report is the last word; success must still be proven from ECS."""
    if report.claim is (Claim.ROLLED_BACK if op is Op.RESTORE else Claim.UPDATED):
        return ()
    if op is Op.RESTORE and report.reason is Reason.NOTHING_TO_RESTORE:
        return (Concluded(key=key, outcome=Outcome(OutcomeKind.SKIPPED, Reason.NOTHING_TO_RESTORE)),)
    return (Concluded(key=key, outcome=Outcome(_KINDS[report.claim], report.reason, report.detail)),)


def judge_look(state: RunState, key: str, facts: Facts) -> tuple[Event, ...]:
    """Judge the second look at an instance whose result was lost."""
    run = state.run
    if run.restores:
        return _judge_restored(state, key, facts)
    if facts.agrees and facts.generation == run.generation:
        return ()  # it did run; what remains is to see it in ECS
    lost = state.instances[key].lost
    if facts.last_run == run.run and facts.last == Reason.WATCHDOG_RESTORED:
        outcome = Outcome(OutcomeKind.ROLLED_BACK, Reason.WATCHDOG_RESTORED, lost)
    elif facts.last_run == run.run and facts.last:
        outcome = Outcome(OutcomeKind.FAILED, Reason.RESTORE_FAILED, lost)
    elif facts.fence < run.fence:
        outcome = Outcome(OutcomeKind.UNREACHABLE, Reason.DELIVERY_TIMED_OUT, lost)
    else:
        outcome = Outcome(OutcomeKind.FAILED, Reason.INTERRUPTED, lost)
    return (Concluded(key=key, outcome=outcome),)


def _judge_restored(state: RunState, key: str, facts: Facts) -> tuple[Event, ...]:
    """Judge the second look at an instance whose restore was lost."""
    if facts.run != state.run.restores and facts.armed is Armed.NO and facts.agent is AgentState.UP:
        return ()  # the old state is back; what remains is to see it in ECS
    lost = state.instances[key].lost
    if facts.fence < state.run.fence:
        return (Concluded(key=key, outcome=Outcome(OutcomeKind.UNREACHABLE, Reason.DELIVERY_TIMED_OUT, lost)),)
    return (Concluded(key=key, outcome=Outcome(OutcomeKind.FAILED, Reason.RESTORE_FAILED, lost)),)


def judge_blind(state: RunState, key: str, reason: Reason) -> tuple[Event, ...]:
    """Look again a few times when a look saw nothing, then say honestly that it is not known."""
    looked = Looked(key=key, facts=None, reason=reason)
    progress = state.instances[key]
    if progress.looks + 1 < LOOKS:
        return (looked,)
    return (
        looked,
        Concluded(key=key, outcome=Outcome(OutcomeKind.UNVERIFIED, Reason.RESULT_LOST, progress.lost)),
    )


def settling(progress: Progress) -> bool:
    """Say whether an instance waits for nothing but ECS's own word."""
    return progress.phase is Phase.SETTLING and progress.look_at is None


def judge_sighting(
    state: RunState, key: str, *, status: Status | None, agent_connected: bool, reads: int, now: float
) -> tuple[Event, ...]:
    """Judge what ECS says of an instance that settles.

    `reads`: how often in a row it was seen connected, this read included. One read alone may be older than the
    restart, so it proves nothing.
    """
    progress = state.instances[key]
    if status in {None, Status.INACTIVE}:
        outcome = Outcome(OutcomeKind.SKIPPED, Reason.TERMINATED)
    elif agent_connected and reads >= READS:
        kind, reason = _SUCCESS[state.op]
        outcome = Outcome(kind, reason, progress.report.detail if progress.report else "")
    elif now - progress.proof_from > state.run.policy.deadlines.connect:
        outcome = Outcome(OutcomeKind.FAILED, Reason.NOT_CONNECTED)
    else:
        return ()
    return (Concluded(key=key, outcome=outcome),)
