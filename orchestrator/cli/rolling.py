"""The procedure behind `run`: what is done in which order, and what is put away afterwards."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.cli import healing, loading, planning, showing
from orchestrator.cli.compose import Parts, holder
from orchestrator.cli.holding import Hold, kept, locked
from orchestrator.core.deciding import Goal, Heal, TakeBack, Wanted
from orchestrator.core.events import Resumed, RunStarted
from orchestrator.core.model import Plan
from orchestrator.core.orders import PayloadReference
from orchestrator.core.settings import OptionValue
from orchestrator.core.state import RunState, replay
from orchestrator.engine import Engine
from orchestrator.errors import RefusedError
from orchestrator.journal.store import RunJournal, Store
from orchestrator.ports import Observer
from orchestrator.report.estimates import expect

Options = Mapping[str, OptionValue]
NO_OPTIONS: Options = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who takes note of a run, how it is asked to stop, and what is done after its end, while the cluster is ours.

    `store`: the flags that name its journal; `swept` is given the delivered copies that healing has removed, by name;
    `tells`: somebody is to be told how it ends.
    """

    journal: Store
    store: Sequence[str] = ()
    say: Callable[[str], None]
    observers: Sequence[Observer] = ()
    stop_requested: Callable[[], str] = lambda: ""
    swept: Callable[[Sequence[str]], None] = lambda _names: None
    afterwards: Callable[[RunState], None] = lambda _state: None
    tells: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mission:
    """What a new run is for. `restores`: the run to take back; `heals`: to mend what dead runs left; else it applies.

    `options`: the flags that it is started with, kept for `resume`. `looked`: what its plan says was said just now, of
    a look without the lock.
    """

    take_over: bool = False
    restores: str = ""
    heals: bool = False
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    looked: bool = False


def _engine(parts: Parts, hold: Hold, watch: Watch, goal: Wanted, planned: Plan) -> Engine:
    expected = expect(planned, parts.request.policy, showing.earlier(watch.journal, parts.cluster).experience)

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
        survey=planning.survey(parts, goal, parts.lock.fence),
        pace=parts.request.pace,
        gates=parts.gates(expected),
        observers=watch.observers,
        stop_requested=watch.stop_requested,
        begun=hold.begin,
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
        tells=watch.tells,
        holder=holder(),
        registries=tuple(sorted(goal.registries)) if isinstance(goal, Goal) else (),
    )
    parts.lock.confirm()  # the plan may have waited for its confirmation for hours
    try:
        return engine.run(started)
    finally:
        hold.at_work = _left_open(hold, engine)


def _left_open(hold: Hold, engine: Engine) -> bool:
    """Say whether somebody must go on with the run; one that took another over owes the end of that one, too."""
    return engine.unfinished or (hold.inherits and engine.state.ended is None)


def conduct(
    parts: Parts,
    watch: Watch,
    mission: Mission,
    *,
    confirm: Callable[[Plan], Plan],
) -> RunState:
    """Do a whole run: lock, plan, confirm, roll. `confirm` gives the plan to roll, or raises where none is wanted."""
    parts.fleet.require_instances()  # before the lock: an empty cluster is not even locked
    planning.try_gates(parts)
    with locked(parts, take_over=mission.take_over, say=watch.say, store=watch.store) as hold:
        goal = _goal(parts, hold, mission)
        heard = _unheard if mission.looked else watch.say
        planned = planning.plan(parts, goal, fence=parts.lock.fence, say=heard)
        with kept(parts.lock):
            planned = confirm(planned)
        with _sweeping(hold, watch, heals=mission.heals):
            state = roll(parts, hold, planned, watch, goal, mission.options)
        watch.afterwards(state)
        return state


def _sweeping(hold: Hold, watch: Watch, *, heals: bool) -> AbstractContextManager[None]:
    return healing.sweeping(hold, watch.swept) if heals else nullcontext()


def _unheard(_words: str) -> None:
    """Say nothing."""


def _goal(parts: Parts, hold: Hold, mission: Mission) -> Wanted:
    if mission.heals:
        return Heal()
    return TakeBack(run=mission.restores) if mission.restores else planning.apply_goal(parts, hold.key)


def resume(parts: Parts, watch: Watch, *, take_over: bool) -> RunState:
    """Go on with a run that broke off: take its lock over, keep its old controller out of the journal, continue.

    Raises RefusedError where another run has been at the cluster since, or the credential is not the run's any more.
    """
    with locked(parts, take_over=take_over, say=watch.say, resumes=True, store=watch.store) as hold:
        # Before it is read: nothing is written to it behind our back any more.
        watch.journal.claim(parts.run_id, parts.lock.fence)
        entries = watch.journal.entries(parts.run_id)
        before = replay(entries)
        hold.payload, hold.at_work = before.payload, True
        left = tuple(before.instances[key].planned for key in (*before.roster.queue, *before.roster.in_flight))
        planned = Plan(cluster=parts.cluster, generation=before.run.generation, planned=left)
        engine = _engine(parts, hold, watch, _goal_again(parts, hold, before), planned)
        for observer in watch.observers:
            observer.remember(entries)
        with _sweeping(hold, watch, heals=before.run.heals):
            try:
                state = engine.resume(entries, Resumed(fence=parts.lock.fence, holder=holder()))
            finally:
                hold.at_work = _left_open(hold, engine)
        watch.afterwards(state)
        return state


def finish(parts: Parts, watch: Watch, ended: RunState, *, take_over: bool) -> bool:
    """Do what comes after a run's end, where its controller died before that: put away, and let the cluster go.

    Says whether anything was left: the lock is let go of last. Raises LockedError while that controller may be alive.
    """
    owner = parts.lock.owner()
    if owner is None or owner.last_begun.run != parts.run_id:
        return False
    with locked(parts, take_over=take_over, say=watch.say, resumes=True, store=watch.store) as hold:
        watch.journal.claim(parts.run_id, parts.lock.fence)
        with _sweeping(hold, watch, heals=ended.run.heals):
            hold.begin()
            hold.payload, hold.at_work = ended.payload, False
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
            hint=f"Take the cluster over with a new run: `{planning.command_about(parts, 'run')} --take-over`.",
        )
    return Goal(
        generation=started.generation,
        registries=frozenset(started.registries),
        allow_removal=parts.request.allow_removal,
    )
