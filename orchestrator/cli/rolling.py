"""The procedures behind `plan` and `run`: what is done in which order, and what is put away afterwards."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from orchestrator.cli import healing, loading, showing
from orchestrator.cli.compose import Parts, holder
from orchestrator.cli.holding import Hold, kept, locked
from orchestrator.core.events import Resumed, RunStarted
from orchestrator.core.model import DecisionKind, Instance, Plan, Planned
from orchestrator.core.orders import PayloadReference
from orchestrator.core.planning import (
    Goal,
    Heal,
    Shape,
    TakeBack,
    Wanted,
    exclude_early,
    find_ghosts,
    left_for_later,
    make_plan,
    without_standalone,
)
from orchestrator.core.reasons import Reason
from orchestrator.core.selection import NO_LABELS, Labels
from orchestrator.core.settings import EVERYTHING, OptionValue, StandaloneTasks, spelled
from orchestrator.core.state import RunState, replay
from orchestrator.engine import Engine
from orchestrator.errors import RefusedError, RolloutError, UsageError
from orchestrator.gates import CommandGate
from orchestrator.inspection import EVERY, Inspection
from orchestrator.journal.store import RunJournal, Store
from orchestrator.ports import Observer, Survey
from orchestrator.report.estimates import Expected, expect

Options = Mapping[str, OptionValue]
NO_OPTIONS: Options = MappingProxyType({})


def plan(parts: Parts, goal: Wanted, *, fence: int, say: Callable[[str], None]) -> Plan:
    """Discover, inspect, decide. Reads only."""
    fleet = parts.fleet.discover()
    if not fleet:
        parts.fleet.require_instances()
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
        planned = _decided(parts, fleet, _to_inspect(living, shape), goal, shape, fence).planned
        return planned if parts.request.policy.limit is None else left_for_later(planned)

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
    inspection = Inspection(
        commands=parts.commands,
        clock=parts.clock,
        context=parts.context(fence),
        every=every,
        keep=parts.lock.keep if fence else lambda: None,  # a plan holds no lock
    )
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
            f"Not in the cluster: {', '.join(missing)}.",
            hint=f"`{_command(parts, 'plan')}` lists the instances there are.",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who takes note of a run, how it is asked to stop, and what is done after its end, while the cluster is ours."""

    journal: Store
    say: Callable[[str], None]
    observers: Sequence[Observer] = ()
    stop_requested: Callable[[], str] = lambda: ""
    afterwards: Callable[[RunState], None] = lambda _state: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mission:
    """What a new run is for. `restores`: the run to take back; `heals`: to mend what dead runs left; else it applies.

    `options`: the flags that it is started with, kept for `resume`.
    """

    take_over: bool = False
    restores: str = ""
    heals: bool = False
    options: Mapping[str, OptionValue] = field(default_factory=dict)


def _engine(parts: Parts, hold: Hold, watch: Watch, goal: Wanted, planned: Plan) -> Engine:
    expected = expect(planned, parts.request.policy, showing.earlier(watch.journal, parts.cluster))

    def deliver() -> PayloadReference:
        hold.payload = loading.deliver(parts)
        return hold.payload

    return Engine(
        commands=parts.commands,
        fleet=parts.fleet,
        drains=parts.drains,
        journal=RunJournal(watch.journal, parts.run_id, parts.lock.fence),
        lock=parts.lock,
        clock=parts.clock,
        context=parts.context(parts.lock.fence),
        deliver=deliver if isinstance(goal, Goal) else None,
        survey=survey(parts, goal, parts.lock.fence),
        pace=parts.request.pace,
        gates=parts.gates(expected),
        observers=watch.observers,
        stop_requested=watch.stop_requested,
    )


def roll(
    parts: Parts, hold: Hold, planned: Plan, watch: Watch, goal: Wanted, options: Options = NO_OPTIONS
) -> RunState:
    """Carry a plan out."""
    engine = _engine(parts, hold, watch, goal, planned)
    started = RunStarted(
        run=parts.run_id,
        cluster=parts.cluster,
        region=parts.session.region,
        generation=planned.generation,
        fence=parts.lock.fence,
        restores=goal.run if isinstance(goal, TakeBack) else "",
        heals=isinstance(goal, Heal),
        policy=parts.request.policy,
        planned=planned.planned,
        options=options,
        registries=tuple(sorted(goal.registries)) if isinstance(goal, Goal) else (),
    )
    parts.lock.confirm()  # the plan may have waited for its confirmation for hours
    try:
        return engine.run(started)
    finally:
        hold.at_work = engine.unfinished


def conduct(
    parts: Parts,
    watch: Watch,
    mission: Mission,
    *,
    confirm: Callable[[Plan], Plan],
) -> RunState:
    """Do a whole run: lock, plan, confirm, roll. `confirm` gives the plan to roll, or raises where none is wanted."""
    parts.fleet.require_instances()  # before the lock: an empty cluster is not even locked
    try_gates(parts)
    with locked(parts, take_over=mission.take_over, say=watch.say) as hold:
        goal = _goal(parts, hold, mission)
        planned = plan(parts, goal, fence=parts.lock.fence, say=watch.say)
        with kept(parts.lock):
            planned = confirm(planned)
        state = roll(parts, hold, planned, watch, goal, mission.options)
        if mission.heals:
            healing.sweep(parts, watch.say)
        watch.afterwards(state)
        return state


def _goal(parts: Parts, hold: Hold, mission: Mission) -> Wanted:
    if mission.heals:
        return Heal()
    return TakeBack(run=mission.restores) if mission.restores else apply_goal(parts, hold.key)


def resume(parts: Parts, watch: Watch, *, take_over: bool) -> RunState:
    """Go on with a run that broke off: take its lock over, keep its old controller out of the journal, continue.

    Raises RefusedError where another run has been at the cluster since, or the credential is not the run's any more.
    """
    with locked(parts, take_over=take_over, say=watch.say, resumes=True) as hold:
        # Before it is read: nothing is written to it behind our back any more.
        watch.journal.claim(parts.run_id, parts.lock.fence)
        entries = watch.journal.entries(parts.run_id)
        before = replay(entries)
        hold.payload, hold.at_work = before.payload, True
        left = tuple(before.instances[key].planned for key in (*before.queue, *before.in_flight))
        planned = Plan(cluster=parts.cluster, generation=before.run.generation, planned=left)
        engine = _engine(parts, hold, watch, _goal_again(parts, hold, before), planned)
        for observer in watch.observers:
            observer.saw(entries)
        try:
            state = engine.resume(entries, Resumed(fence=parts.lock.fence, holder=holder()))
        finally:
            hold.at_work = engine.unfinished
        if state.run.heals:
            healing.sweep(parts, watch.say)
        watch.afterwards(state)
        return state


def finish(parts: Parts, watch: Watch, ended: RunState, *, take_over: bool) -> bool:
    """Do what comes after a run's end, where its controller died before that: put away, and let the cluster go.

    Says whether anything was left: the lock is let go of last. Raises LockedError while that controller may be alive.
    """
    owner = parts.lock.owner()
    if owner is None or owner.run != parts.run_id:
        return False
    with locked(parts, take_over=take_over, say=watch.say, resumes=True) as hold:
        watch.journal.claim(parts.run_id, parts.lock.fence)
        hold.payload, hold.at_work = ended.payload, False
        if ended.run.heals:
            healing.sweep(parts, watch.say)
        watch.afterwards(ended)
    return True


def _goal_again(parts: Parts, hold: Hold, before: RunState) -> Wanted:
    """Say what a run wanted, from its journal."""
    started = before.run
    if started.heals:
        return Heal()
    if started.restores:
        return TakeBack(run=started.restores)
    if parts.loaded is not None and loading.generation_of(parts.loaded, hold.key) != started.generation:
        raise RefusedError(
            f"The credential of the run {started.run} has another content now.",
            hint=f"Take the cluster over with a new run: `{_command(parts, 'run')} --take-over`.",
        )
    return Goal(
        generation=started.generation,
        registries=frozenset(started.registries),
        allow_removal=parts.request.allow_removal,
    )


def _command(parts: Parts, verb: str) -> str:
    """Write a command about the same cluster and credential, as a hint names it."""
    request = parts.request
    place = {"region": request.region, "profile": request.profile}
    about = spelled({"cluster": request.cluster, "credential": request.credential or "SOURCE", **place})
    return shlex.join(("ecs-rollout", verb, *about))


def try_gates(parts: Parts) -> None:
    """Raise UsageError for a gate that can never be asked, such as an alarm that is not there.

    Any other trouble, and whatever the gates say, is the engine's: it holds and asks again. A command is not run.
    """
    for gate in parts.gates(Expected()):
        try:
            if isinstance(gate, CommandGate):
                gate.require()
            else:
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
