"""Say what is seen of a draining instance means, and what is to be given back at the end. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.core.counting import counted
from orchestrator.core.deciding import ending_of
from orchestrator.core.events import Concluded, Drained, Event, Held, Settled
from orchestrator.core.judging import READS, ending
from orchestrator.core.model import DecisionKind, Outcome, OutcomeKind, Sighting, Status
from orchestrator.core.progress import Progress
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import StandaloneTasks
from orchestrator.core.state import RunState

TRIES = 5
"""Times that something is tried to be given back."""

AGAIN = 15
"""Seconds until what could not be done is tried again."""

TERMINATED = Outcome(OutcomeKind.SKIPPED, Reason.TERMINATED)

_GONE = frozenset({None, Status.INACTIVE, Status.DEREGISTERING})


def ours(state: RunState, progress: Progress) -> frozenset[str]:
    """Name the runs whose mark on this instance is ours: this run, and the dead one that had drained it before."""
    return frozenset({state.run.run, progress.planned.instance.mark}) - {""}


def judge_before(state: RunState, key: str, seen: Sighting) -> Event | None:
    """Say why an instance that is about to be changed must be left alone; None where nothing is in the way."""
    if seen.status in _GONE:
        return ending(state.instances[key], TERMINATED)
    if seen.status is Status.DRAINING and seen.mark not in ours(state, state.instances[key]):
        return Concluded(key=key, outcome=Outcome(OutcomeKind.SKIPPED, Reason.DRAINING_ELSEWHERE))
    return None


def judge_room(state: RunState, key: str, why: str, now: float) -> Event:
    """Hold an instance whose tasks would find no place; give it up when that has lasted too long."""
    if state.instances[key].held_for(now) > state.run.policy.drain_timeout:
        return Concluded(key=key, outcome=Outcome(OutcomeKind.REFUSED, Reason.NO_CAPACITY, why))
    return Held(key=key, why=why, again_at=int(now) + AGAIN)


def judge_draining(
    state: RunState, key: str, seen: Sighting, *, standalone: int, strange: int, now: float
) -> tuple[Event, ...]:
    """Judge what ECS says of an instance that we drain.

    `standalone`: tasks there that belong to no service, 0 where nobody asked; `strange`: how often in a row it was
    seen in a state that we did not leave it in, this read included.
    """
    progress, policy = state.instances[key], state.run.policy
    tasks = seen.running_tasks + seen.pending_tasks
    if seen.status in _GONE:
        return (ending(progress, TERMINATED),)
    if seen.status is not Status.DRAINING or seen.mark not in ours(state, progress):
        if strange < READS:
            return ()
        if seen.status is Status.DRAINING:
            return (Concluded(key=key, outcome=Outcome(OutcomeKind.SKIPPED, Reason.DRAINING_ELSEWHERE)),)
        return (Settled(key=key, outcome=Outcome(OutcomeKind.SKIPPED, Reason.REACTIVATED_ELSEWHERE)),)
    if tasks == 0:
        return () if progress.idle else (Drained(key=key),)
    if standalone and policy.standalone_tasks is StandaloneTasks.SKIP:
        outcome = Outcome(OutcomeKind.SKIPPED, Reason.STANDALONE_TASKS, counted(standalone, "standalone task"))
    elif now - progress.spans[-1].started_at > policy.drain_timeout:
        outcome = Outcome(OutcomeKind.REFUSED, Reason.DRAIN_TIMED_OUT, f"{counted(tasks, 'task')} still there")
    else:
        return ()
    return (Settled(key=key, outcome=outcome),)


def is_strange(state: RunState, key: str, seen: Sighting) -> bool:
    """Say whether an instance is not in the state in which we left it."""
    return seen.status is not Status.DRAINING or seen.mark not in ours(state, state.instances[key])


def release(state: RunState, key: str) -> Event:
    """End an instance to which nothing is sent any more: what a dead run had drained, or what a halt has stopped."""
    planned = state.instances[key].planned
    if planned.decision.kind is DecisionKind.RELEASE:
        return Settled(key=key, outcome=ending_of(planned))
    why = state.halted.why if state.halted else ""
    return Settled(key=key, outcome=Outcome(OutcomeKind.NOT_ATTEMPTED, Reason.HALTED, why))


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBackPlan:
    """What is to be given back to one instance. ARNs; `living` is empty where no registration is left.

    `inherit`: the old registration whose attributes and tags the living one lacks; `activate`, `withhold`: whether
    the living one is set ACTIVE, or kept DRAINING under our mark; `ghosts`: what is deregistered. `waits`: why ghosts
    cannot be told from the living one yet. `note`: what is left.
    """

    living: str = ""
    inherit: str = ""
    activate: bool = False
    withhold: bool = False
    disown: bool = False
    ghosts: tuple[str, ...] = ()
    waits: str = ""
    note: str = ""


def plan_give_back(state: RunState, key: str, registrations: Iterable[Sighting]) -> GiveBackPlan:
    """Pair old and new registrations of one EC2 instance (F33), and say what each is owed.

    Of the registrations that were there before it was changed, only the instance's own may be a ghost of ours.
    """
    progress = state.instances[key]
    there = [each for each in registrations if each.status not in _GONE]
    gone = progress.pending is not None and progress.pending.reason is Reason.TERMINATED
    living = None if gone or not there else _living(progress, there)
    marks = ours(state, progress)
    original = progress.planned.instance.arn
    # The agent has come back under another registration: those that it had in this run, or in dead ones, are gone.
    ghosts = tuple(
        each.arn
        for each in there
        if each is not living
        and not each.agent_connected
        and (each.mark or each.arn not in state.listed or each.arn == original)
    )
    if living is None:
        return GiveBackPlan(ghosts=ghosts)
    left = next((arn for arn in ghosts if arn in state.listed), original)
    drained = living.status is Status.DRAINING
    foreign = drained and living.mark not in marks
    return GiveBackPlan(
        living=living.arn,
        inherit=left if living.arn != left else "",
        activate=drained and not foreign and progress.sound,
        withhold=not progress.sound and not foreign,
        disown=not foreign and progress.sound and living.mark in marks,
        ghosts=ghosts if living.agent_connected else (),
        waits="its agent is not connected: the old registration stays" if ghosts and not living.agent_connected else "",
        note=_note(progress, foreign=foreign),
    )


def _living(progress: Progress, there: Iterable[Sighting]) -> Sighting:
    return max(there, key=lambda each: (each.agent_connected, each.arn == progress.arn, each.status is Status.ACTIVE))


def _note(progress: Progress, *, foreign: bool) -> str:
    if foreign:
        return "left DRAINING: somebody else has set it so"
    return "" if progress.sound else "left DRAINING: it is not proven to work"
