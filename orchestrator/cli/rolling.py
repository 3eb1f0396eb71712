"""The procedures behind `plan` and `run`: what is done in which order, and what is put away afterwards."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.aws.lock import Owner
from orchestrator.cli import loading
from orchestrator.cli.compose import Parts
from orchestrator.core.events import RunStarted
from orchestrator.core.model import Instance, Plan
from orchestrator.core.orders import PayloadReference
from orchestrator.core.planning import Goal, exclude_early, find_ghosts, make_plan
from orchestrator.core.state import RunState
from orchestrator.engine import Engine
from orchestrator.errors import EnvironmentFault, UsageError
from orchestrator.inspection import EVERY, Inspection
from orchestrator.journal.sqlite import RunJournal, SqliteJournal
from orchestrator.ports import Observer

PREDECESSOR_EVERY = 5.0
PREDECESSOR_PATIENCE = 1800.0


def plan(parts: Parts, *, fence: int, key: bytes | None, say: Callable[[str], None]) -> Plan:
    """Discover, inspect, decide. Reads only. Without a `key` no instance can be current yet."""
    fleet = parts.fleet.discover()
    selected = _selected(parts.request.instances, fleet)
    ghosts = find_ghosts(fleet)
    wanted = [
        each.instance_id for each in fleet if exclude_early(each, ghost=each.arn in ghosts, selected=selected) is None
    ]
    say(f"{len(fleet)} container instances in {parts.cluster}; inspecting {len(wanted)} of them")
    every = min(EVERY, parts.request.pace.shortest)
    inspection = Inspection(commands=parts.commands, clock=parts.clock, context=parts.context(fence), every=every)
    looks = inspection.look(wanted)
    goal = Goal(
        generation=loading.generation_of(parts.loaded, key) if key else "",
        registries=frozenset(parts.loaded.registries),
        allow_removal=parts.request.allow_removal,
        selected=selected,
    )
    policy = parts.request.policy
    return make_plan(parts.cluster, fleet, looks, goal, waves=policy.waves, zones=policy.zones)


def _selected(wanted: tuple[str, ...], fleet: Sequence[Instance]) -> frozenset[str] | None:
    unknown = sorted(set(wanted) - {each.instance_id for each in fleet})
    if unknown:
        raise UsageError(
            f"Not in the cluster: {', '.join(unknown)}.", hint="`ecs-rollout plan` lists the instances there are."
        )
    return frozenset(wanted) or None


@dataclass
class Hold:
    """The cluster while it is ours.

    `at_work`: commands may be under way, so the lock and the `payload` that was delivered must outlive us.
    """

    key: bytes
    at_work: bool = False
    payload: PayloadReference | None = None


@contextmanager
def locked(parts: Parts, *, take_over: bool, say: Callable[[str], None]) -> Iterator[Hold]:
    """Win the cluster, and let it go afterwards, except where a run broke off with commands under way.

    Where another owner was taken over, its commands are waited for first.
    """
    predecessor = parts.lock.acquire(take_over=take_over)
    unresolved = predecessor
    hold: Hold | None = None
    try:
        if predecessor is not None:
            say(f"took over from {predecessor.holder} (run {predecessor.run})")
            _outwait(parts, predecessor, say)
            unresolved = None
        hold = Hold(loading.ensure_key(parts))
        yield hold
    finally:
        if unresolved is not None:
            say(f"the commands of the run {unresolved.run} are not resolved: the lock is its own again")
            _tidy(say, "the lock was not given back", lambda: parts.lock.hand_back(unresolved))
        elif hold is not None and hold.at_work:
            say(f"the run {parts.run_id} broke off with commands under way: its lock stays; see --take-over")
        else:
            _let_go(parts, hold, say)


def _let_go(parts: Parts, hold: Hold | None, say: Callable[[str], None]) -> None:
    """Take the delivery away and release the lock. What fails here is told, and does not hide how the run ended."""
    payload = hold.payload if hold else None
    if payload is not None:
        _tidy(say, "the delivered credential was not removed", lambda: loading.take_away(parts, payload))
    _tidy(say, "the lock was not released", parts.lock.release)
    _tidy(say, "older locks were not removed", parts.lock.sweep)


def _tidy(say: Callable[[str], None], failure: str, step: Callable[[], None]) -> None:
    try:
        step()
    except EnvironmentFault as fault:
        say(f"warning: {failure}: {fault.message} {fault.hint}")


def _outwait(parts: Parts, predecessor: Owner, say: Callable[[str], None]) -> None:
    """Wait for the old owner's commands: they may still change instances that have not seen our fence."""
    deadline = parts.clock.now() + PREDECESSOR_PATIENCE
    told = False
    while parts.commands.busy(predecessor.run, predecessor.since):
        if parts.clock.now() > deadline:
            raise EnvironmentFault(
                f"Commands of the run {predecessor.run} are still under way.",
                hint="Look at them in the Run Command console; cancel or wait, then run again.",
            )
        if not told:
            say("waiting for the commands that it had sent")
            told = True
        parts.lock.keep()
        parts.clock.wait(PREDECESSOR_EVERY)


def roll(
    parts: Parts,
    hold: Hold,
    planned: Plan,
    journal: SqliteJournal,
    *,
    observers: Sequence[Observer],
    stop_requested: Callable[[], bool],
) -> RunState:
    """Deliver the credential where somebody needs it, roll, and take the delivery away after a run that ended.

    The journal has the run before anything is delivered, so that a crash leaves a trace of it.
    """
    fence = parts.lock.fence
    payload = hold.payload = loading.deliver(parts) if planned.changes else None
    hold.at_work = planned.changes > 0
    engine = Engine(
        commands=parts.commands,
        fleet=parts.fleet,
        journal=RunJournal(journal, parts.run_id),
        lock=parts.lock,
        clock=parts.clock,
        context=parts.context(fence),
        payload=payload,
        pace=parts.request.pace,
        observers=observers,
        stop_requested=stop_requested,
    )
    state = engine.run(
        RunStarted(
            run=parts.run_id,
            cluster=parts.cluster,
            region=parts.session.region,
            generation=planned.generation,
            fence=fence,
            policy=parts.request.policy,
            planned=planned.planned,
        )
    )
    hold.at_work = False
    return state


def conduct(  # noqa: PLR0913 - the run's parts, and who watches
    parts: Parts,
    journal: SqliteJournal,
    *,
    take_over: bool,
    confirm: Callable[[Plan], None],
    observers: Sequence[Observer],
    stop_requested: Callable[[], bool],
    say: Callable[[str], None],
) -> RunState:
    """Do a whole run: lock, plan, confirm, roll. `confirm` raises where the plan is not wanted."""
    with locked(parts, take_over=take_over, say=say) as hold:
        planned = plan(parts, fence=parts.lock.fence, key=hold.key, say=say)
        confirm(planned)
        return roll(parts, hold, planned, journal, observers=observers, stop_requested=stop_requested)
