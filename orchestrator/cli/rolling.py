"""The procedures behind `plan` and `run`: what is done in which order, and what is put away afterwards."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from orchestrator.aws.lock import Owner
from orchestrator.cli import loading, showing
from orchestrator.cli.compose import Parts
from orchestrator.core.events import RunStarted
from orchestrator.core.model import DecisionKind, Instance, Plan, Planned
from orchestrator.core.orders import PayloadReference
from orchestrator.core.planning import (
    Goal,
    Shape,
    TakeBack,
    Wanted,
    exclude_early,
    find_ghosts,
    make_plan,
    without_standalone,
)
from orchestrator.core.reasons import Reason
from orchestrator.core.selection import NO_LABELS, Labels
from orchestrator.core.settings import EVERYTHING, StandaloneTasks
from orchestrator.core.state import RunState
from orchestrator.engine import Engine
from orchestrator.errors import EnvironmentFault, RolloutError, UsageError
from orchestrator.inspection import EVERY, Inspection
from orchestrator.journal.store import RunJournal, Store
from orchestrator.ports import Observer, Survey
from orchestrator.report.estimates import Expected, expect

PREDECESSOR_EVERY = 5.0
PREDECESSOR_PATIENCE = 1800.0
LIST_LAG = 10.0
"""Seconds for which a list of commands may not know the newest one (F73)."""


def plan(parts: Parts, goal: Wanted, *, fence: int, say: Callable[[str], None]) -> Plan:
    """Discover, inspect, decide. Reads only."""
    fleet = parts.fleet.discover()
    ghosts = find_ghosts(fleet)
    living = [each for each in fleet if each.arn not in ghosts]
    shape = _shape(parts, _left_out(parts, living, say))
    wanted = _to_inspect(living, shape)
    say(f"{len(fleet)} container instances in {parts.cluster}; inspecting {len(wanted)} of them\n")
    return _decided(parts, fleet, wanted, goal, shape, fence)


def survey(parts: Parts, goal: Wanted, fence: int) -> Survey:
    """Look at the cluster again after the last wave: those that have joined, and those that lag."""

    def look(known: frozenset[str], lagging: frozenset[str]) -> tuple[Planned, ...]:
        fleet = [
            each for each in parts.fleet.discover() if each.instance_id not in known or each.instance_id in lagging
        ]
        ghosts = find_ghosts(fleet)
        living = [each for each in fleet if each.arn not in ghosts]
        shape = replace(_shape(parts, _outside(parts, living, _labels(parts, living))), waves=(EVERYTHING,))
        return _decided(parts, fleet, _to_inspect(living, shape), goal, shape, fence).planned

    return look


def _shape(parts: Parts, left_out: Mapping[str, Reason]) -> Shape:
    policy = parts.request.policy
    return Shape(
        left_out=left_out,
        waves=policy.waves,
        zones=policy.zones,
        seed=policy.seed,
        limit=policy.limit,
        on_ephemeral=policy.on_ephemeral,
    )


def _to_inspect(living: Sequence[Instance], shape: Shape) -> list[str]:
    return [
        each.instance_id
        for each in living
        if exclude_early(each, ghost=False, left_out=shape.left_out.get(each.arn)) is None
    ]


def _decided(
    parts: Parts, fleet: Sequence[Instance], wanted: Sequence[str], goal: Wanted, shape: Shape, fence: int
) -> Plan:
    every = min(EVERY, parts.request.pace.shortest)
    inspection = Inspection(commands=parts.commands, clock=parts.clock, context=parts.context(fence), every=every)
    planned = make_plan(parts.cluster, fleet, inspection.look(wanted), goal, shape)
    if parts.request.policy.standalone_tasks is not StandaloneTasks.SKIP:
        return planned
    arns = [each.instance.arn for each in planned.planned if each.decision.kind is DecisionKind.DRAIN]
    alone = {arn for arn, tasks in parts.drains.tasks(arns).items() if any(not each.service for each in tasks)}
    return without_standalone(planned, frozenset(alone), shape) if alone else planned


def _left_out(parts: Parts, living: Sequence[Instance], say: Callable[[str], None]) -> Mapping[str, Reason]:
    """Say whom the selection leaves out, by ARN.

    Raises UsageError for an instance that is not there, and where nobody is left. A zone, attribute or tag that fits
    nobody besides others that do, or an exclusion of somebody who is gone, is a warning: a schedule outlives them.
    """
    selection = parts.request.selection
    labels = _labels(parts, living)
    unmatched = selection.unmatched(living, labels)
    missing = [each.removeprefix("--instance ") for each in unmatched if each.startswith("--instance ")]
    if missing:
        raise UsageError(
            f"Not in the cluster: {', '.join(missing)}.", hint="`ecs-rollout plan` lists the instances there are."
        )
    left_out = _outside(parts, living, labels)
    if len(left_out) == len(living):
        alone = f"Alone already {', '.join(unmatched)} fits none. " if unmatched else "Together they fit none. "
        raise UsageError(
            "The selection fits no instance of the cluster.",
            hint=alone + "`aws ecs describe-container-instances --include TAGS` shows attributes and tags.",
        )
    for each in unmatched:
        say(f"warning: {each} fits no instance of the cluster")
    return left_out


def _labels(parts: Parts, living: Sequence[Instance]) -> Mapping[str, Labels]:
    return parts.fleet.labels([each.arn for each in living]) if parts.request.selection.asks_labels else {}


def _outside(parts: Parts, living: Sequence[Instance], labels: Mapping[str, Labels]) -> dict[str, Reason]:
    selection = parts.request.selection
    reasons = {each.arn: selection.leaves_out(each, labels.get(each.arn, NO_LABELS)) for each in living}
    return {arn: reason for arn, reason in reasons.items() if reason is not None}


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
            parts.lock.resolved()
            for each in predecessor.to_resolve:
                left = partial(loading.forget, parts, each.run)
                _tidy(say, f"what the run {each.run} delivered was not removed", left)
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
    """Wait for the old owners' commands: they may still change instances that have not seen our fence.

    The first lists are not believed: they may not know yet what was sent last (F73).
    """
    began = parts.clock.now()
    told = False
    while True:
        busy = [each for each in predecessor.to_resolve if parts.commands.busy(each.run, each.since)]
        now = parts.clock.now()
        if not busy and now - began >= LIST_LAG:
            return
        if now - began > PREDECESSOR_PATIENCE:
            raise EnvironmentFault(
                f"Commands of the run {busy[0].run} are still under way.",
                hint="Look at them in the Run Command console; cancel or wait, then run again.",
            )
        if not told:
            minutes = PREDECESSOR_PATIENCE / 60
            say(f"waiting until nothing of it is under way (at most {minutes:.0f} minutes; Ctrl-C gives the lock back)")
            told = True
        parts.lock.keep()
        parts.clock.wait(PREDECESSOR_EVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who watches a run, how it is asked to stop, and what is done after its end, while the cluster is still ours."""

    say: Callable[[str], None]
    observers: Sequence[Observer] = ()
    stop_requested: Callable[[], bool] = lambda: False
    afterwards: Callable[[RunState], None] = lambda _state: None


def roll(parts: Parts, hold: Hold, planned: Plan, journal: Store, watch: Watch, goal: Wanted) -> RunState:
    """Carry a plan out."""
    restores = goal.run if isinstance(goal, TakeBack) else ""

    def deliver() -> PayloadReference:
        hold.payload = loading.deliver(parts)
        return hold.payload

    engine = Engine(
        commands=parts.commands,
        fleet=parts.fleet,
        drains=parts.drains,
        journal=RunJournal(journal, parts.run_id, parts.lock.fence),
        lock=parts.lock,
        clock=parts.clock,
        context=parts.context(parts.lock.fence),
        deliver=deliver if isinstance(goal, Goal) else None,
        survey=survey(parts, goal, parts.lock.fence),
        pace=parts.request.pace,
        gates=parts.gates(expect(planned, parts.request.policy, showing.earlier(journal, parts.cluster))),
        observers=watch.observers,
        stop_requested=watch.stop_requested,
    )
    started = RunStarted(
        run=parts.run_id,
        cluster=parts.cluster,
        region=parts.session.region,
        generation=planned.generation,
        fence=parts.lock.fence,
        restores=restores,
        policy=parts.request.policy,
        planned=planned.planned,
    )
    try:
        return engine.run(started)
    finally:
        hold.at_work = bool(engine.state.in_flight)


def _try_gates(parts: Parts) -> None:
    """Raise UsageError for a gate that can never be asked, such as an alarm that is not there.

    Any other trouble, and whatever the gates say, is the engine's: it holds and asks again.
    """
    for gate in parts.gates(Expected()):
        try:
            gate.ask(parts.clock.now())
        except UsageError:
            raise
        except RolloutError:
            continue


def apply_goal(parts: Parts, key: bytes | None) -> Goal:
    """Say what a run wants: this credential everywhere. Without a `key` no instance can be current yet."""
    loaded = parts.credential
    return Goal(
        generation=loading.generation_of(loaded, key) if key else "",
        registries=frozenset(loaded.registries),
        allow_removal=parts.request.allow_removal,
    )


def conduct(
    parts: Parts,
    journal: Store,
    watch: Watch,
    *,
    take_over: bool,
    restores: str,
    confirm: Callable[[Plan], Plan],
) -> RunState:
    """Do a whole run: lock, plan, confirm, roll. `confirm` gives the plan to roll, or raises where none is wanted."""
    parts.fleet.require_instances()  # before the lock: an empty cluster is not even locked
    _try_gates(parts)
    with locked(parts, take_over=take_over, say=watch.say) as hold:
        goal: Wanted = TakeBack(run=restores) if restores else apply_goal(parts, hold.key)
        planned = plan(parts, goal, fence=parts.lock.fence, say=watch.say)
        planned = confirm(planned)
        state = roll(parts, hold, planned, journal, watch, goal)
        watch.afterwards(state)
        return state
