"""Draining, giving back, taking back, healing and resuming, by whole runs in memory: one promise each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.capacity import Capacity
from orchestrator.core.deciding import adopted
from orchestrator.core.events import Admitted, Drained, Draining, Entry, Kept, Resumed, WaveOpened
from orchestrator.core.gates import GateAnswer
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import Decision, DecisionKind, OutcomeKind, Ping, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op
from orchestrator.core.settings import OnEphemeral, Policy, Word
from orchestrator.core.state import RunState
from orchestrator.engine import Engine, result_of
from orchestrator.errors import EnvironmentFault, JournalFault, LockedError
from orchestrator.ports import Doubtful
from tests.fake_fleet import NEVER, Host, Registration, Rollout, VirtualClock, World, fleet_of, plenty, roll
from tests.property.mortal import Died, Fate

EVERYTHING = Amount(100, percent=True)
WIDE = Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING)
DRAINING = replace(WIDE, on_ephemeral=OnEphemeral.DRAIN)
FIRST = "i-00000000000000000"


def ending(state: RunState, key: str = FIRST) -> tuple[str, str]:
    outcome = state.instances[key].outcome
    return (outcome.kind, outcome.reason) if outcome else ("none", "none")


def message(state: RunState, key: str = FIRST) -> str:
    outcome = state.instances[key].outcome
    return outcome.message if outcome else ""


def is_given_back(host: Host) -> bool:
    ghosts = [each for each in host.ghosts if each.status is not None]
    return host.status is Status.ACTIVE and not host.mark and not ghosts and host.attributes == {"team"}


def ticked(rollout: Rollout, until: Callable[[RunState], bool]) -> Engine:
    """Begin a run and tick until something is so: there its controller dies."""
    engine = rollout.engine(1)
    engine.begin(rollout.started(1, rollout.plan(1)))
    for _ in range(1000):
        engine.tick()
        if until(engine.state):
            return engine
        rollout.world.clock.wait(2)
    raise AssertionError("it never came to that")


def resumed(rollout: Rollout) -> RunState:
    entries = tuple(rollout.world.journal.entries)
    return rollout.engine(2).resume(entries, Resumed(fence=2, holder="berta"))


def rollout_of(hosts: list[Host], policy: Policy) -> Rollout:
    return Rollout(World(hosts, VirtualClock()), policy)


def later(world: World, seconds: float, change: Callable[[], None]) -> None:
    world.clock.at(world.clock.now() + seconds, change)


def test_an_agent_that_keeps_no_state_is_drained_changed_and_given_back() -> None:
    """It ends updated under its new registration: ACTIVE, unmarked, with its attributes, and without a ghost."""
    state, world, _ = roll(fleet_of(3, persistence="ephemeral"), DRAINING)
    assert {ending(state, key) for key in world.hosts} == {("updated", "verified")}
    assert all(map(is_given_back, world.hosts.values()))
    assert len(world.drained) == len(world.deregistered) == 3


def test_a_resumed_run_waits_for_a_second_read() -> None:
    """One that settled when the controller died long ago is not failed at the first read: it is connected."""
    rollout = rollout_of(fleet_of(1), WIDE)
    ticked(rollout, lambda state: bool(state.roster.phases[Phase.SETTLING]))
    rollout.world.clock.wait(3600)
    assert ending(resumed(rollout)) == ("updated", "verified")


def test_a_halted_run_gives_back_what_a_dead_one_had_drained() -> None:
    """An instance that a dead run drained is ACTIVE again even where this run halts before its turn."""
    hosts = fleet_of(4)
    hosts[0].behaviour = "failed"
    hosts[3].status, hosts[3].mark = Status.DRAINING, "run-0"
    state, _, _ = roll(hosts, replace(DRAINING, waves=(Amount(1, percent=False), EVERYTHING)))
    assert ending(state, hosts[3].instance_id) == ("not_attempted", "halted")
    assert is_given_back(hosts[3])


def test_a_late_joiners_old_registration_is_left_alone() -> None:
    """What somebody's agent left behind before this run is no ghost of ours, however late its instance joins."""
    hosts = fleet_of(2, persistence="ephemeral")
    hosts[1].joins_at = 1_000_010.0
    hosts[1].ghosts.append(Registration("arn:old", Status.ACTIVE, ""))
    state, world, _ = roll(hosts, DRAINING)
    assert ending(state, hosts[1].instance_id) == ("updated", "verified")
    assert "arn:old" not in world.deregistered


@pytest.mark.parametrize("persistence", ["persistent", "ephemeral"])
def test_a_host_that_was_rebooted_half_way_is_taken_back(persistence: str) -> None:
    """What apply left armed without a watchdog is restored by the run itself; nobody is drained for that."""
    host = Host(FIRST, behaviour="lost_armed", persistence=persistence)
    state, world, _ = roll([host], replace(WIDE, on_ephemeral=OnEphemeral.FORCE))
    assert ending(state) == ("rolled_back", "interrupted")
    assert host.armed == "no"
    assert (world.drained == []) == (persistence == "persistent")
    assert state.instances[FIRST].drained == (persistence == "ephemeral")
    assert host.status is Status.ACTIVE


def test_a_canary_that_is_terminated_proves_nothing() -> None:
    """When the first instance goes away instead of succeeding, the next one goes alone."""
    hosts = fleet_of(5)

    def prepare(world: World) -> None:
        later(world, 44, lambda: setattr(hosts[0], "status", None))

    hosts[0].reconnect_seconds = NEVER
    _, _, journal = roll(hosts, replace(WIDE, waves=(Amount(1, percent=False), EVERYTHING)), prepare=prepare)
    assert [len(entry.event.keys) for entry in journal.entries if isinstance(entry.event, Admitted)] == [1, 1, 3]


def test_an_instance_whose_old_registration_is_gone_is_not_gone() -> None:
    """While a result is lost, a deregistered old ARN says nothing of an instance that has a new one."""
    host = Host(FIRST, behaviour="lost_updated", persistence="ephemeral")

    def prepare(world: World) -> None:
        later(world, 100, lambda: world.deregister(host.ghosts[0].arn))

    state, _, _ = roll([host], DRAINING, prepare=prepare)
    assert ending(state) == ("updated", "verified")
    assert is_given_back(host)


def test_an_instance_that_is_terminated_while_its_result_is_lost_is_gone() -> None:
    """Without any registration left it was terminated, which is no failure."""
    host = Host(FIRST, behaviour="lost_updated")
    state, _, _ = roll([host], WIDE, prepare=lambda world: later(world, 100, lambda: setattr(host, "status", None)))
    assert ending(state) == ("skipped", "terminated")


def test_healing_sweeps_the_ghosts_of_every_dead_run() -> None:
    """Registrations that two dead runs left of one instance are both deregistered, nobody else's is."""
    host = Host(FIRST, persistence="ephemeral", attributes=frozenset())
    for name, mark in (("one", "run-1"), ("two", "run-2"), ("other", "")):
        host.ghosts.append(Registration(name, Status.DRAINING, mark, frozenset({"team"})))
    state, world, _ = roll([host], DRAINING, run="heal-1", heals=True)
    assert ending(state) == ("skipped", "released")
    assert world.deregistered == ["one", "two"]
    assert host.attributes == {"team"}


def test_an_abort_of_a_dead_run_is_heard_when_it_is_resumed() -> None:
    """Asked while nobody drove the run, it counts: resume admits nobody more, sees its instances to their end, ends."""
    rollout = rollout_of(fleet_of(6), replace(WIDE, max_unavailable=Amount(1, percent=False)))
    world = rollout.world
    ticked(rollout, lambda state: bool(state.roster.in_flight))
    world.journal.asks.append(Ask(kind=AskKind.ABORT, wave=0, by="anna", at=world.clock.now()))
    world.clock.wait(60)
    state = resumed(rollout)
    assert state.halted is not None
    assert state.halted.why == "stopped by anna, before it was resumed"
    assert state.counts == {OutcomeKind.UPDATED: 1, OutcomeKind.NOT_ATTEMPTED: 5}
    assert result_of(state) == "interrupted"


def test_an_abort_of_a_run_that_had_delivered_nothing_delivers_nothing() -> None:
    """What died before its delivery and was asked to stop puts no credential anywhere when it is resumed."""
    rollout = rollout_of(fleet_of(2), WIDE)
    fate = Fate()
    engine = rollout.engine(1, fate.wrap)
    fate.at = len(fate.names) + 2  # after the run's first entry, before the lock is looked at for the delivery
    with pytest.raises(Died):
        engine.begin(rollout.started(1, rollout.plan(1)))
    assert engine.state.payload is None
    rollout.world.journal.asks.append(Ask(kind=AskKind.ABORT, wave=0, by="anna", at=rollout.world.clock.now()))
    state = resumed(rollout)
    assert state.payload is None
    assert state.counts == {OutcomeKind.NOT_ATTEMPTED: 2}


def test_time_in_which_nobody_ran_does_not_count_for_approval() -> None:
    """A wave that waited when the controller died can be approved for as long again after it was resumed."""
    policy = replace(WIDE, waves=(Amount(1, percent=False), EVERYTHING), approve=True, approve_timeout=600)
    rollout = rollout_of(fleet_of(3), policy)
    ticked(rollout, lambda state: state.awaiting is not None)
    world = rollout.world
    world.clock.wait(10_000)
    ask = Ask(kind=AskKind.APPROVE, wave=2, by="anna", at=world.clock.now() + 500)
    later(world, 500, lambda: world.journal.asks.append(ask))
    state = resumed(rollout)
    assert state.halted is None
    assert state.counts[OutcomeKind.UPDATED] == 3


@pytest.mark.parametrize("persistence", ["persistent", "ephemeral"])
def test_a_command_that_surely_was_never_sent_is_sent_again(persistence: str) -> None:
    """It is no word about the instances: they keep their turn, and no budget counts them."""
    hosts = fleet_of(3, persistence=persistence)

    def lose(world: World) -> None:
        world.next_answers = [Doubtful("ConnectionClosedError")]

    state, world, _ = roll(hosts, DRAINING, prepare=lose)
    assert state.halted is None
    assert state.counts[OutcomeKind.UPDATED] == 3
    assert [order.op for order in world.sends].count(Op.APPLY) == 2
    assert all(map(is_given_back, hosts))


def test_a_drained_instance_that_is_not_reached_is_tried_again_after_the_last_wave() -> None:
    """It is given back, lags, and is drained and changed once more when it can be reached."""
    host = Host(FIRST, behaviour="undelivered", persistence="ephemeral")
    policy = replace(DRAINING, max_unreachable=(EVERYTHING,))
    state, world, _ = roll(
        [host], policy, prepare=lambda world: later(world, 120, lambda: setattr(host, "behaviour", "updated"))
    )
    assert ending(state) == ("updated", "verified")
    assert world.drained == [FIRST, FIRST]
    assert is_given_back(host)


def test_what_is_kept_draining_carries_our_mark() -> None:
    """Where ECS does not let us mark it at first, a broken instance is marked and drained by a later try."""
    host = Host(FIRST, behaviour="failed", persistence="ephemeral")
    own = f"own {FIRST}"

    def deny(world: World) -> None:
        later(world, 30, lambda: world.refuses.update({own: "AccessDenied"}))
        later(world, 80, world.refuses.clear)

    state, _, journal = roll([host], DRAINING, prepare=deny)
    assert any(isinstance(entry.event, Kept) for entry in journal.entries)
    assert (host.status, host.mark) == (Status.DRAINING, "run-1")
    assert message(state) == "left DRAINING: it is not proven to work"


def test_who_is_drained_by_somebody_while_we_look_for_room_is_left_alone() -> None:
    """Reading what its tasks need takes a while; whoever sets the instance DRAINING meanwhile finds it as it was."""
    hosts = fleet_of(2, persistence="ephemeral")
    world = World(hosts, VirtualClock())

    def look(arns: Sequence[str]) -> Capacity:
        hosts[0].status = Status.DRAINING
        world.foreign.add(hosts[0].arn)
        return plenty(arns)

    world.room = look
    rollout = Rollout(world, DRAINING)
    state = rollout.engine(1).run(rollout.started(1, rollout.plan(1)))
    assert ending(state) == ("skipped", "draining_elsewhere")
    assert ending(state, hosts[1].instance_id) == ("updated", "verified")
    assert (world.trespasses, hosts[0].status, hosts[0].mark) == ([], Status.DRAINING, "")


def test_attributes_that_cannot_be_carried_over_keep_nobody_else_waiting() -> None:
    """One instance that ECS lets inherit nothing is ACTIVE all the same, keeps its ghost, and is named."""
    hosts = fleet_of(2, persistence="ephemeral")
    first = hosts[0].arn

    def refuse(world: World) -> None:
        original = world.carry_over

        def carry_over(old: str, new: str) -> None:
            if old == first:
                raise EnvironmentFault("Not allowed: ecs:PutAttributes.", hint="Allow it.")
            original(old, new)

        world.carry_over = carry_over  # type: ignore[method-assign]  # a change of the world, not a mock

    state, world, _ = roll(hosts, DRAINING, prepare=refuse)
    assert state.halted is None
    assert (hosts[0].status, hosts[0].mark) == (Status.ACTIVE, "")
    assert f"lacks attributes or tags of {first}" in message(state)
    assert first not in world.deregistered
    assert is_given_back(hosts[1])


def test_a_ghost_is_swept_when_the_agent_is_back() -> None:
    """An instance that rolled itself back and reconnects late loses its ghosts then, not never."""
    host = Host(FIRST, behaviour="rolled_back", persistence="ephemeral")

    def prepare(world: World) -> None:
        later(world, 25, lambda: setattr(host, "connects_at", world.clock.now() + 65))

    state, world, _ = roll([host], DRAINING, prepare=prepare)
    assert ending(state) == ("rolled_back", "agent_did_not_return")
    assert len(world.deregistered) == 2
    assert is_given_back(host)


@pytest.mark.parametrize("refuses", [False, True])
def test_what_ecs_does_not_bear_out_is_taken_back_or_stays_drained(*, refuses: bool) -> None:
    """An agent that never connects under its new ARN is restored; where that is refused it takes no tasks."""
    host = Host(FIRST, behaviour="unseen", persistence="ephemeral", restore_refuses=refuses)
    state, _, _ = roll([host], DRAINING)
    if refuses:
        assert ending(state) == ("failed", "tasks_running")
        assert (host.status, host.mark) == (Status.DRAINING, "run-1")
        assert "left DRAINING: it is not proven to work" in message(state)
    else:
        assert ending(state) == ("rolled_back", "not_connected")
        assert is_given_back(host)


def test_a_full_journal_lets_what_is_under_way_end() -> None:
    """Nothing new begins; drained instances are changed no more but given back, and the run can be resumed."""
    hosts = fleet_of(4, persistence="ephemeral", apply_seconds=100.0)
    rollout = rollout_of(hosts, replace(DRAINING, max_unavailable=Amount.parse("2")))
    world = rollout.world
    later(world, 31, lambda: setattr(world.journal, "full", True))
    engine = rollout.engine(1)
    with pytest.raises(JournalFault):
        engine.run(rollout.started(1, rollout.plan(1)))
    assert sum(host.applies for host in world.hosts.values()) == 2
    assert all(map(is_given_back, world.hosts.values()))
    assert engine.unfinished
    world.journal.full = False
    state = resumed(rollout)
    assert sum(host.applies for host in world.hosts.values()) == state.counts[OutcomeKind.UPDATED] == 4


def test_what_needs_an_intent_keeps_nobody_else_waiting() -> None:
    """While the journal is full a change cannot be taken back; a lost result is looked at all the same."""
    hosts = [Host(FIRST, behaviour="unseen", persistence="ephemeral"), *fleet_of(2, persistence="ephemeral")[1:]]
    hosts[1].behaviour = "lost_updated"
    rollout = rollout_of(hosts, DRAINING)
    world = rollout.world
    later(world, 31, lambda: setattr(world.journal, "full", True))
    with pytest.raises(JournalFault):
        rollout.engine(1).run(rollout.started(1, rollout.plan(1)))
    assert is_given_back(hosts[1])
    world.journal.full = False
    assert ending(resumed(rollout)) == ("rolled_back", "not_connected")
    assert is_given_back(hosts[0])


def test_a_new_registration_that_others_have_drained_is_theirs() -> None:
    """What ECS does not bear out is restored, but no mark of ours goes on what somebody else has set DRAINING."""
    host = Host(FIRST, behaviour="unseen", persistence="ephemeral")

    def prepare(world: World) -> None:
        def drain() -> None:
            host.status = Status.DRAINING
            world.foreign.add(host.arn)

        later(world, 100, drain)

    state, world, _ = roll([host], DRAINING, prepare=prepare)
    assert ending(state) == ("rolled_back", "not_connected")
    assert world.trespasses == []


def last_is(state: RunState) -> bool:
    return bool(state.roster.phases[Phase.DRAINING])


def test_a_resumed_run_looks_before_it_drains_again() -> None:
    """Who died between the intent and the call leaves to others what they have drained since."""
    host = Host(FIRST, persistence="ephemeral")
    rollout = rollout_of([host], DRAINING)
    ticked(rollout, last_is)
    host.status, host.mark = Status.DRAINING, ""  # as if the call had never been made, and somebody else's had
    rollout.world.foreign = {host.arn}
    state = resumed(rollout)
    assert ending(state) == ("skipped", "draining_elsewhere")
    assert (host.status, host.mark, rollout.world.trespasses) == (Status.DRAINING, "", [])


@pytest.mark.parametrize("last", [Draining, Drained])
def test_a_drained_instance_is_looked_at_again_before_it_is_changed(last: type) -> None:
    """One that somebody set ACTIVE while its controller was dead is drained again, not changed under its tasks."""
    host = Host(FIRST, persistence="ephemeral")
    rollout = rollout_of([host], DRAINING)
    journal = rollout.world.journal
    ticked(rollout, last_is)
    if last is Drained:
        journal.entries.append(Entry(rollout.world.clock.now(), Drained(key=FIRST)))
    host.status = Status.ACTIVE
    state = resumed(rollout)
    assert ending(state) == ("updated", "verified")
    assert rollout.world.drained == [FIRST, FIRST]


def test_whoever_loses_the_lock_while_it_drains_leaves_its_mark() -> None:
    """What an owner that was taken over has set DRAINING can be found by heal: it carries the mark again."""
    host = Host(FIRST, persistence="ephemeral")
    rollout = rollout_of([host], DRAINING)
    world = rollout.world
    original = world.drain

    def drain(arns: list[str]) -> object:
        done = original(arns)
        world.disown(arns)  # by whoever has taken over

        def taken() -> None:
            raise LockedError("taken over", hint="wait")

        rollout.lock.check = taken
        return done

    world.drain = drain  # type: ignore[method-assign, assignment]  # a change of the world, not a mock
    with pytest.raises(LockedError):
        rollout.engine(1).run(rollout.started(1, rollout.plan(1)))
    assert (host.status, host.mark) == (Status.DRAINING, "run-1")


def test_an_unreachable_instance_that_a_dead_run_drained_is_named() -> None:
    """It cannot be looked at, so it stays DRAINING, and the report says by whom."""
    host = Host(FIRST, ping=Ping.CONNECTION_LOST, status=Status.DRAINING, mark="run-0")
    state, _, _ = roll([host, *fleet_of(3)[1:]], replace(DRAINING, max_unreachable=(EVERYTHING,)))
    assert ending(state) == ("unreachable", "ssm_offline")
    assert message(state) == "left DRAINING by the run run-0"


def test_an_instance_whose_watchdog_lives_is_not_given_back() -> None:
    """Its agent may restart at any moment: it stays as the dead run left it."""
    instance = World([Host(FIRST, status=Status.DRAINING, mark="run-0")], VirtualClock()).discover()[0]
    refused = Decision(DecisionKind.REFUSE, Reason.WATCHDOG_ARMED)
    assert adopted(instance, refused) == refused


def test_healing_needs_no_canary_to_go_on() -> None:
    """What dead runs have drained is given back within the window, not one by one."""
    hosts = fleet_of(30, status=Status.DRAINING, mark="run-0")
    policy = replace(WIDE, waves=(Amount(1, percent=False), EVERYTHING))
    state, _, journal = roll(hosts, policy, run="heal-1", heals=True)
    assert state.counts == {OutcomeKind.SKIPPED: 30}
    assert all(map(is_given_back, hosts))
    opened = [entry.at for entry in journal.entries if isinstance(entry.event, WaveOpened)]
    assert journal.entries[-1].at - opened[-1] < 30


@dataclass
class HoldsAfter:
    """Says go until a moment, and holds for an hour from then on."""

    moment: float
    name: str = "holds"

    def ask(self, now: float) -> GateAnswer:
        held = self.moment <= now < self.moment + 3600
        return GateAnswer(gate=self.name, word=Word.HOLD if held else Word.GO, reason="told so")


def test_a_gate_that_holds_does_not_keep_drained_instances_waiting() -> None:
    """Who is drained already is changed and given back; only nobody new is admitted."""
    hosts = fleet_of(3, persistence="ephemeral")
    policy = replace(DRAINING, max_unavailable=Amount(2, percent=False))
    _, _, journal = roll(hosts, policy, gates=[HoldsAfter(1_000_010.0)])
    sent = [entry.at for entry in journal.entries if isinstance(entry.event, Admitted)]
    assert sent[0] < 1_000_060
    assert sent[-1] > 1_003_600
