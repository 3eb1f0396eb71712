"""Say what an observation means for a run: pure functions from what was seen to events."""

from orchestrator.core.events import Concluded, Deferred, Disproven, Event, Looked, Lost, NotSent, Reported, Settled
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import AgentState, Armed, Facts, Outcome, OutcomeKind, Status
from orchestrator.core.progress import Batch, Progress
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Claim, Op, Report, parse_facts, parse_report
from orchestrator.core.state import RunState

READS = 2
"""Reads of ECS in a row that must agree before they are believed: the first may be older than what we just did."""

LOOKS = 3
"""Looks at an instance with a lost result before it is given up as unverified."""

SENDS = 3
"""Times that an instance is offered to SSM, when its command surely never began."""

TAKEBACKS = 2
"""Times that restore is sent to an instance whose change was disproven."""

GONE = frozenset({None, Status.INACTIVE})
"""What ECS says of an instance that has been terminated."""

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


def ending(progress: Progress, outcome: Outcome, arn: str = "") -> Event:
    """End an instance: at once, or after all is given back, or not yet where it was only unreachable so far.

    `arn`: the registration that the observation shows.
    """
    if progress.owes(arn):
        return Settled(key=progress.planned.key, outcome=outcome)
    if outcome.kind is OutcomeKind.UNREACHABLE and progress.deferred is None:
        return Deferred(key=progress.planned.key, outcome=outcome)
    return Concluded(key=progress.planned.key, outcome=outcome)


def look_time(state: RunState, batch: Batch, now: float) -> int:
    """Say when an instance of a lost result can be looked at: its watchdog must have had its time (F61)."""
    deadlines = state.run.policy.deadlines
    return int(max(now, batch.not_after)) + deadlines.watchdog + deadlines.restore


def overdue(state: RunState, batch: Batch, now: float) -> bool:
    """Say whether a command is so late that nothing will come: the service's own total time is over (F70)."""
    return now > _end_of(state, batch)


def _end_of(state: RunState, batch: Batch) -> float:
    deadlines = state.run.policy.deadlines
    return batch.sent_at + deadlines.delivery + deadlines.step + 2 * deadlines.skew


def latest(state: RunState, key: str) -> float | None:
    """Say until when, at the latest, what an instance at work waits for has come or is given up (epoch seconds).

    None where tries are counted and not their time.
    """
    progress, policy = state.instances[key], state.run.policy
    batch = state.batches.get(progress.batch)
    if batch is not None and key in batch.open:
        return _end_of(state, batch)
    if progress.look_at is not None:
        return progress.look_at
    if progress.phase is Phase.DRAINING and not progress.idle:
        return progress.spans[-1].started_at + policy.drain_timeout
    return progress.proof_from + policy.deadlines.connect if settling(progress) else None


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
    return (Reported(key=key, report=report), *judge_report(state, key, report, batch.op))


def judge_report(state: RunState, key: str, report: Report, op: Op) -> tuple[Event, ...]:
    """End the instance where its own report is the last word; success must still be proven from ECS."""
    progress = state.instances[key]
    if report.claim is (Claim.ROLLED_BACK if op is Op.RESTORE else Claim.UPDATED):
        return ()
    if op is Op.RESTORE and report.reason is Reason.NOTHING_TO_RESTORE:
        if progress.disproven:  # its own script or watchdog was quicker
            return ()
        nothing = Reason.TAKEN_BACK if progress.mends else Reason.NOTHING_TO_RESTORE
        return (ending(progress, Outcome(OutcomeKind.SKIPPED, nothing), report.arn),)
    kind = OutcomeKind.FAILED if progress.disproven else _KINDS[report.claim]  # whatever keeps it from being taken back
    return (ending(progress, Outcome(kind, report.reason, report.detail), report.arn),)


def judge_look(state: RunState, key: str, facts: Facts) -> tuple[Event, ...]:
    """Judge the second look at an instance whose result was lost."""
    run, progress = state.run, state.instances[key]
    if state.op_of(progress) is Op.RESTORE or progress.disproven:
        return _judge_restored(state, progress, facts)
    if facts.armed is Armed.DEAD:  # a reboot took script and watchdog away half-way: this run's, or an older one's
        began = facts.fence >= progress.fence
        return (Disproven(key=key, reason=Reason.INTERRUPTED) if began else _never_began(progress, facts.arn),)
    if facts.agrees and facts.generation == run.generation:
        return ()  # it did run; what remains is to see it in ECS
    lost = progress.lost
    if facts.last_run == run.run and facts.last == Reason.WATCHDOG_RESTORED:
        outcome = Outcome(OutcomeKind.ROLLED_BACK, Reason.WATCHDOG_RESTORED, lost)
    elif facts.last_run == run.run and facts.last:
        outcome = Outcome(OutcomeKind.FAILED, Reason.RESTORE_FAILED, lost)
    elif facts.fence < progress.fence:
        return (_never_began(progress, facts.arn),)
    else:
        outcome = Outcome(OutcomeKind.FAILED, Reason.INTERRUPTED, lost)
    return (ending(progress, outcome, facts.arn),)


def _judge_restored(state: RunState, progress: Progress, facts: Facts) -> tuple[Event, ...]:
    """Judge the second look at an instance whose restore was lost."""
    unwanted = state.run.run if progress.disproven else "" if progress.mends else state.run.restores
    if (not unwanted or facts.run != unwanted) and facts.armed is Armed.NO and facts.agent is AgentState.UP:
        return ()  # the old state is back; what remains is to see it in ECS
    if progress.disproven:
        if progress.takebacks < TAKEBACKS:
            return (Disproven(key=progress.planned.key, reason=progress.disproven),)
    elif facts.fence < progress.fence:
        return (_never_began(progress, facts.arn),)
    return (ending(progress, Outcome(OutcomeKind.FAILED, Reason.RESTORE_FAILED, progress.lost), facts.arn),)


def _never_began(progress: Progress, arn: str) -> Event:
    """Judge a command that the instance has never seen, and will not any more: its time is over.

    Where SSM never said that it took it, that is no word about the instance: it waits for its turn as before.
    """
    if progress.acknowledged or progress.attempts >= SENDS:
        return ending(progress, Outcome(OutcomeKind.UNREACHABLE, Reason.DELIVERY_TIMED_OUT, progress.lost), arn)
    keys = (progress.planned.key,)
    return NotSent(batch=progress.batch, keys=keys, detail=progress.lost, drained=progress.drained)


def judge_blind(state: RunState, key: str, reason: Reason) -> tuple[Event, ...]:
    """Look again a few times when a look saw nothing, then say honestly that it is not known."""
    looked = Looked(key=key, facts=None, reason=reason)
    progress = state.instances[key]
    if progress.looks + 1 < LOOKS:
        return (looked,)
    return (
        looked,
        ending(progress, Outcome(OutcomeKind.UNVERIFIED, Reason.RESULT_LOST, progress.lost)),
    )


def settling(progress: Progress) -> bool:
    """Say whether an instance waits for nothing but ECS's own word."""
    return progress.phase is Phase.SETTLING and progress.look_at is None and not progress.to_take_back


def slow(state: RunState, now: float) -> list[str]:
    """Name those whose change takes longer than it should: nobody reports from an instance that is gone (F61)."""
    usual = state.run.policy.deadlines.verify
    late = [batch for _, batch in state.open_batches() if batch.op is not Op.INSPECT and now - batch.sent_at > usual]
    return [key for batch in late for key in batch.open]


def judge_sighting(
    state: RunState, key: str, *, status: Status | None, agent_connected: bool, reads: int, now: float
) -> tuple[Event, ...]:
    """Judge what ECS says of an instance that settles, or that is gone.

    `reads`: how often in a row it was seen connected, this read included. One read alone may be older than the
    restart, so it proves nothing.
    """
    progress = state.instances[key]
    moved = progress.moved
    late = now - progress.proof_from > state.run.policy.deadlines.connect
    gone = status in GONE
    if gone and (late or not moved):  # a new registration may take a moment to be seen
        return (ending(progress, Outcome(OutcomeKind.SKIPPED, Reason.TERMINATED)),)
    if agent_connected and reads >= READS:
        return (ending(progress, _success(state, progress)),)
    if agent_connected or not late:
        return ()
    if moved and progress.disproven is None:  # it has been ACTIVE since it came back (F33)
        return (Disproven(key=key, reason=Reason.NOT_CONNECTED),)
    return (ending(progress, Outcome(OutcomeKind.FAILED, progress.disproven or Reason.NOT_CONNECTED)),)


def _success(state: RunState, progress: Progress) -> Outcome:
    detail = progress.report.detail if progress.report else ""
    if progress.disproven:
        return Outcome(OutcomeKind.ROLLED_BACK, progress.disproven, detail)
    if progress.mends:
        return Outcome(OutcomeKind.SKIPPED, Reason.TAKEN_BACK, detail)
    kind, reason = _SUCCESS[state.op]
    return Outcome(kind, reason, detail)
