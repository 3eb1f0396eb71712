"""A controller that dies at any call, and another one that goes on: nobody is stranded, nobody is changed twice."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings

from orchestrator.core.events import Resumed
from orchestrator.core.model import Ping, Status
from orchestrator.core.result import Op
from orchestrator.core.state import RunState, replay
from orchestrator.errors import EnvironmentFault, JournalFault, LockedError
from tests.fake_fleet import OpenLock, Rollout
from tests.property.aftermath import check, holdings, taken
from tests.property.mortal import Died, Fate
from tests.property.scenarios import PACE, SCENARIOS, Scenario
from tests.property.troubles import Kind, Trouble, schedule

FEW = 36
"""Calls at which each scenario's controller dies in a short run, before and after; the soak tries every one."""


def points(scenario: Scenario, few: int, seed: str) -> list[tuple[int, bool]]:
    """Choose when to die: the number of a call, before it or after it."""
    fate = Fate()
    rollout = scenario.rollout()
    live(rollout, scenario, fate)
    every = [(call, after) for call in range(1, fate.calls + 1) for after in (False, True)]
    if settings().max_examples > settings.get_profile("default").max_examples:
        return every
    return random.Random(seed).sample(every, min(2 * few, len(every)))


def live(rollout: Rollout, scenario: Scenario, fate: Fate) -> RunState | None:
    """Run under a fate; None where the controller died."""
    planned = rollout.plan(1)
    scenario.begin(rollout)
    engine = rollout.engine(1, fate.wrap)
    try:
        return engine.run(rollout.started(1, planned))
    except Died:
        return None
    except EnvironmentFault:
        return go_on(rollout, Fate(), 2)


def go_on(rollout: Rollout, fate: Fate, fence: int) -> RunState | None:
    """Resume from the journal alone, under a fate and as often as AWS is away; None where the controller died."""
    for number in range(fence, fence + 20):
        entries = tuple(rollout.world.journal.entries)
        if not entries or replay(entries).ended is not None:
            return replay(entries)
        engine = rollout.engine(number, fate.wrap)
        try:
            return engine.resume(entries, Resumed(fence=number, holder="berta"))
        except Died:
            return None
        except EnvironmentFault:
            rollout.world.clock.wait(100)
    raise AssertionError("it does not end")


def endings(state: RunState | None) -> dict[str, tuple[str, str] | None]:
    """Say how each instance ended, and why."""
    instances = state.instances if state else {}
    return {key: (each.outcome.kind, each.outcome.reason) if each.outcome else None for key, each in instances.items()}


def told(at: int, names: list[str], *, after: bool) -> str:
    """Say where a controller died."""
    return f"died {'after' if after else 'before'} call {at} ({names[-1] if names else 'none'})"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_that_died_at_any_call_is_resumed(name: str, record_property: Callable[[str, object], None]) -> None:
    """Whatever the call, before or after it: nobody is stranded or changed twice, and everybody ends as always."""
    scenario = SCENARIOS[name]
    usual = live(scenario.rollout(), scenario, Fate())
    tried = points(scenario, FEW, name)
    for at, after in tried:
        rollout, fate = scenario.rollout(), Fate(at, after)
        state = live(rollout, scenario, fate) or go_on(rollout, Fate(), 2)
        assert state is not None
        try:
            check(rollout, state)
            if not scenario.troubles and state.started is not None:  # those come at their own times
                assert endings(state) == endings(usual)
        except AssertionError as error:
            raise AssertionError(f"{told(at, fate.names, after=after)}: {error}") from error
    record_property("crashes", (len(tried), "crashes of the controller, each resumed"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_that_dies_while_it_is_resumed_is_resumed_again(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """A second death, at any call of the resumed run, strands nobody either."""
    scenario = SCENARIOS[name]
    chance = random.Random(name)
    tried = points(scenario, FEW // 4, name)
    for at, after in tried:
        rollout, second = scenario.rollout(), Fate(chance.randint(1, 40), after=chance.random() < 0.5)
        state = live(rollout, scenario, Fate(at, after)) or go_on(rollout, second, 2) or go_on(rollout, Fate(), 10)
        assert state is not None
        try:
            check(rollout, state)
        except AssertionError as error:
            first = told(at, [], after=after)
            raise AssertionError(f"{first}, {told(second.at, second.names, after=second.after)}: {error}") from error
    record_property("crashes", (len(tried), "crashes of the controller and of the one that resumed"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_a_dead_run_has_left_is_healed_without_its_journal(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """With the journal lost, healing gives back all that is drained by us, and finishes what is half-changed."""
    scenario = SCENARIOS[name]
    tried = points(scenario, FEW // 2, name)
    for at, after in tried:
        rollout, fate = scenario.rollout(), Fate(at, after)
        live(rollout, scenario, fate)
        try:
            heal(rollout)
        except AssertionError as error:
            raise AssertionError(f"{told(at, fate.names, after=after)}: {error}") from error
    record_property("crashes", (len(tried), "crashes of the controller, each healed without its journal"))


def heal(rollout: Rollout) -> None:
    """Forget the journal, wait for what is under way, heal, and hold what is left against the promise."""
    world = rollout.world
    world.clock.wait(4000)  # troubles are over, and no command is under way
    for host in world.hosts.values():
        host.ping = Ping.ONLINE
    world.journal.entries.clear()
    world.journal.claimed, world.next_answers = 0, []
    world.journal.asks.clear()
    before = {key: (host.status, host.mark) for key, host in world.hosts.items() if host.arn in world.foreign}
    policy = replace(rollout.policy, approve=False, max_failures=(), max_unreachable=(), max_refused=())
    healing = Rollout(world, policy, run="heal-1", heals=True, pace=PACE)
    state = healing.engine(30).run(healing.started(30, healing.plan(30)))
    for key, host in world.hosts.items():
        assert not host.mark, (host, state.instances[key].outcome)
        assert host.status is not Status.DRAINING or host.arn in world.foreign, host
        ghosts = [ghost for ghost in host.ghosts if ghost.mark and ghost.status is not None]
        assert not ghosts or world.clock.now() < host.connects_at, host
        assert host.armed == "no" or host.restore_dies, (host, state.instances[key].outcome)
    assert all((world.hosts[key].status, world.hosts[key].mark) == was for key, was in before.items())
    assert world.trespasses == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_controller_that_wakes_after_it_was_taken_over_changes_no_instance(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """It is stopped at its next call: no document of it changes anything, and what ECS let it do is healed."""
    scenario = SCENARIOS[name]
    tried = points(scenario, FEW // 2, f"{name} asleep")
    for at, after in tried:
        rollout = scenario.rollout()
        lock = rollout.lock
        seen: list[dict[str, tuple[str, int]]] = []

        def oversleep(rollout: Rollout = rollout, lock: OpenLock = lock, seen: list[Any] = seen) -> None:
            rollout.lock = OpenLock()
            if rollout.world.journal.entries:
                assert go_on(rollout, Fate(), 2) is not None
            else:
                rollout.world.journal.claimed = 2
            lock.check = lock.heartbeat = taken
            seen.append(holdings(rollout))

        with suppress(LockedError):
            live(rollout, scenario, Fate(at, after, strike=oversleep))
        if seen and rollout.world.journal.entries:
            assert holdings(rollout) == seen[0]
            heal(rollout)
    record_property("crashes", (len(tried), "controllers that woke after another one had taken over"))


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("lasts", [30.0, 600.0, 1e9])
def test_a_full_journal_stops_admission_and_strands_nobody(name: str, lasts: float) -> None:
    """Nothing is admitted while the journal takes no events; what is under way is seen through, or resumed."""
    scenario = SCENARIOS[name]
    for at in (0.0, 20.0, 70.0):
        rollout = scenario.rollout()
        world = rollout.world
        began = world.clock.now()
        planned = rollout.plan(1)
        scenario.begin(rollout)
        schedule(world, [Trouble(Kind.JOURNAL_FULL, at=at, lasts=lasts)])
        engine = rollout.engine(1)
        try:
            state = engine.run(rollout.started(1, planned))
        except EnvironmentFault as fault:
            assert isinstance(fault, JournalFault) or scenario.troubles  # noqa: PT017 - either end is right
            sent = [each.sent_at for each in world.commands.values() if each.order.op is Op.APPLY]
            assert not [each for each in sent if began + at + 60 < each < began + at + lasts]
            world.clock.wait(lasts if lasts < world.clock.now() else 0)
            world.journal.full = False
            again = go_on(rollout, Fate(), 2)
            assert again is not None
            state = again
        check(rollout, state)
