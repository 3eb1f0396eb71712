"""The one loop, against a fleet in memory on a virtual clock."""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from orchestrator.aws.owner import HEARTBEAT_SECONDS
from orchestrator.core.amount import Amount
from orchestrator.core.events import (
    Admitted,
    Concluded,
    Delivered,
    Halted,
    Lost,
    NotSent,
    Sent,
    WaveOpened,
)
from orchestrator.core.gates import GateAnswer
from orchestrator.core.model import DecisionKind, OutcomeKind, Ping, Platform, Status
from orchestrator.core.result import Op
from orchestrator.core.settings import Deadlines, OnEphemeral, Policy, VerifyLogin, Word
from orchestrator.core.state import RunState, replay
from orchestrator.engine import Pace, result_of
from orchestrator.errors import EnvironmentFault, LockedError
from orchestrator.gatekeeper import ANEW, EVERY
from orchestrator.ports import Answer, Doubtful, Order, Rejected
from tests.fake_fleet import GENERATION, Host, OpenLock, Rollout, VirtualClock, World, fleet_of, roll

EVERYTHING = Amount(100, percent=True)
ONE_WAVE = (EVERYTHING,)
WIDE = Policy(waves=ONE_WAVE, max_unavailable=EVERYTHING)


def outcomes(state: RunState) -> dict[str, tuple[str, str]]:
    return {
        key: (each.outcome.kind, each.outcome.reason) if each.outcome else ("none", "none")
        for key, each in state.instances.items()
    }


def applies(world: World) -> int:
    return sum(host.applies for host in world.hosts.values())


def test_a_healthy_fleet_is_updated() -> None:
    """Every instance of a healthy fleet ends updated, and the run is ok."""
    state, world, _ = roll(fleet_of(25))
    assert set(outcomes(state).values()) == {("updated", "verified")}
    assert applies(world) == 25
    assert result_of(state) == "ok"


def test_running_it_twice_changes_nothing() -> None:
    """A second run over an updated fleet sends no apply at all."""
    hosts = fleet_of(7)
    roll(hosts)
    state, world, _ = roll(hosts, fence=2, run="run-2")
    assert set(outcomes(state).values()) == {("current", "already_current")}
    assert [order.op for order in world.sends] == [Op.INSPECT]
    assert result_of(state) == "ok"


@pytest.mark.parametrize(("amount", "expected"), [("10%", 2), ("3", 3), ("1%", 1), ("100%", 25)])
def test_the_window_is_never_exceeded(amount: str, expected: int) -> None:
    """No more instances than the window are ever at work; percentages round down, to at least one."""
    _, world, _ = roll(fleet_of(25), Policy(waves=ONE_WAVE, max_unavailable=Amount.parse(amount)))
    assert world.most_in_flight == expected


def test_commands_are_batched_by_fifty() -> None:
    """A window that allows it is filled with as few SendCommand calls as fit."""
    _, world, _ = roll(fleet_of(120), WIDE)
    assert [len(order.instance_ids) for order in world.sends if order.op is Op.APPLY] == [50, 50, 20]


def test_the_intent_is_durable_before_the_command_is_sent() -> None:
    """For every batch the journal holds Admitted before Sent."""
    _, _, journal = roll(fleet_of(30))
    order = [entry.event for entry in journal.entries if isinstance(entry.event, Admitted | Sent)]
    assert [type(event) for event in order] == [Admitted, Sent] * (len(order) // 2)
    assert len(order) >= 20


@pytest.mark.parametrize("persistence", ["persistent", "ephemeral"])
def test_the_journal_takes_a_transaction_per_tick_and_command(persistence: str) -> None:
    """120 instances in three commands: what comes home of one, and what becomes of all, is one transaction each."""
    fleet = [replace(each, persistence=persistence) for each in fleet_of(120)]
    _, _, journal = roll(fleet, replace(WIDE, on_ephemeral=OnEphemeral.DRAIN))
    taken = Counter("+".join({type(entry.event).__name__ for entry in batch}) for batch in journal.batches)
    of_commands = {"Admitted": 3, "Sent": 3, "Reported": 3}
    of_all = dict.fromkeys(("RunStarted", "Delivered", "WaveOpened", "Concluded", "Surveyed", "RunEnded"), 1)
    drained = dict.fromkeys(("Draining", "Drained", "Settled"), 1) if persistence == "ephemeral" else {}
    assert taken == of_commands | of_all | drained


def test_the_journals_fold_is_the_state() -> None:
    """Replaying the journal gives the same outcomes, counts and spans as the run had."""
    hosts = fleet_of(20)
    hosts[3].behaviour = "rolled_back"
    hosts[5].ping = Ping.CONNECTION_LOST
    state, _, journal = roll(hosts, Policy(max_failures=(Amount.parse("1"),)))
    again = replay(journal.entries)
    assert outcomes(again) == outcomes(state)
    assert again.counts == state.counts
    assert {key: each.spans for key, each in again.instances.items()} == {
        key: each.spans for key, each in state.instances.items()
    }


def test_the_failure_budget_halts_and_the_rest_is_not_attempted() -> None:
    """With no failure allowed, the first one halts the run; what was not begun is reported as such."""
    hosts = fleet_of(20)
    hosts[0].behaviour = "rolled_back"
    state, world, journal = roll(hosts)
    kinds = [kind for kind, _ in outcomes(state).values()]
    assert kinds.count("rolled_back") == 1
    assert kinds.count("not_attempted") == 20 - applies(world) > 0
    halted = next(i for i, entry in enumerate(journal.entries) if isinstance(entry.event, Halted))
    assert not any(isinstance(entry.event, Admitted) for entry in journal.entries[halted:])
    assert result_of(state) == "halted"


def test_failures_within_the_budget_do_not_halt() -> None:
    """A budget of one lets one failure pass, and the run ends incomplete."""
    hosts = fleet_of(20)
    hosts[0].behaviour = "failed"
    state, _, _ = roll(hosts, Policy(max_failures=(Amount.parse("1"),)))
    assert state.counts[OutcomeKind.UPDATED] == 19
    assert result_of(state) == "incomplete"


def test_too_many_unreachable_halt_before_anything_is_sent() -> None:
    """When more instances cannot be reached than allowed, no instance is touched, and no credential delivered."""
    hosts = fleet_of(10)
    for host in hosts[:2]:
        host.ping = Ping.CONNECTION_LOST
    state, world, journal = roll(hosts)
    assert applies(world) == 0
    assert not [entry for entry in journal.entries if isinstance(entry.event, Delivered)]
    assert state.counts == {OutcomeKind.UNREACHABLE: 2, OutcomeKind.NOT_ATTEMPTED: 8}


def test_everybody_is_in_the_report_whatever_they_are() -> None:
    """Unsupported, drained, ephemeral, offline and unregistered instances each have their reason."""
    hosts = [
        Host("i-win", platform=Platform.WINDOWS),
        Host("i-rocket", platform=Platform.BOTTLEROCKET),
        Host("i-managed", platform=Platform.MANAGED),
        Host("i-drained", status=Status.DRAINING),
        Host("i-new", status=Status.REGISTERING),
        Host("i-ephemeral", persistence="ephemeral"),
        Host("i-strange", persistence="unknown"),
        Host("i-offline", ping=Ping.CONNECTION_LOST),
        Host("i-unknown", ping=Ping.UNREGISTERED),
        Host("i-mute", mute=True),
        Host("i-good"),
    ]
    state, _, _ = roll(hosts, Policy(max_unreachable=(EVERYTHING,)))
    assert outcomes(state) == {
        "i-win": ("refused", "windows"),
        "i-rocket": ("refused", "bottlerocket"),
        "i-managed": ("refused", "managed_instances"),
        "i-drained": ("skipped", "draining_elsewhere"),
        "i-new": ("skipped", "not_active"),
        "i-ephemeral": ("refused", "ephemeral"),
        "i-strange": ("refused", "persistence_unknown"),
        "i-offline": ("unreachable", "ssm_offline"),
        "i-unknown": ("unreachable", "ssm_not_registered"),
        "i-mute": ("unreachable", "delivery_timed_out"),
        "i-good": ("updated", "verified"),
    }


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("lost_updated", ("updated", "verified")),
        ("lost_restored", ("rolled_back", "watchdog_restored")),
        ("lost", ("failed", "interrupted")),
        ("undelivered", ("unreachable", "delivery_timed_out")),
        ("garbage", ("failed", "interrupted")),
    ],
)
def test_a_lost_result_is_inspected_and_never_assumed(behaviour: str, expected: tuple[str, str]) -> None:
    """What happened on an instance without a result line is read from the instance, after its watchdog's time."""
    state, world, journal = roll([Host("i-1", behaviour=behaviour)], Policy(max_unreachable=(EVERYTHING,)))
    assert outcomes(state)["i-1"] == expected
    lost = next(entry for entry in journal.entries if isinstance(entry.event, Lost))
    looked = [command.sent_at for command in world.commands.values() if command.order.op is Op.INSPECT][-1]
    assert looked - lost.at >= WIDE.deadlines.watchdog
    assert world.hosts["i-1"].applies <= 1


def test_an_instance_that_cannot_be_inspected_afterwards_is_unverified() -> None:
    """A lost result and three looks without an answer end as unverified, which counts as a failure."""

    def go_mute(world: World) -> None:
        world.hosts["i-1"].mute = True

    state, world, _ = roll([Host("i-1", behaviour="lost_updated")], prepare=go_mute)
    assert outcomes(state)["i-1"] == ("unverified", "result_lost")
    assert len([order for order in world.sends if order.op is Op.INSPECT]) == 1 + 3


def test_a_lost_instance_keeps_its_place_in_the_window() -> None:
    """While it is not known what became of an instance, its place is not given to another."""
    hosts = [Host("i-1", behaviour="lost"), Host("i-2")]
    _, world, _ = roll(hosts, Policy(max_failures=(Amount.parse("1"),)))
    first, second = [c.sent_at for c in world.commands.values() if c.order.op is Op.APPLY]
    assert second - first >= WIDE.deadlines.watchdog


def test_a_lost_answer_to_send_command_is_found_again_and_sent_once() -> None:
    """SendCommand whose answer was lost makes no second command: it is found by its comment."""

    def lose(world: World) -> None:
        world.next_answers = ["accepted, answer lost"]

    state, world, _ = roll([Host("i-1")], prepare=lose)
    assert outcomes(state)["i-1"] == ("updated", "verified")
    assert len([order for order in world.sends if order.op is Op.APPLY]) == 1


def test_a_command_expires_by_the_last_look_at_the_lock() -> None:
    """A controller that slept between its look and SendCommand sends what has expired: the cluster may be another's."""
    expiry = Deadlines().expiry
    looks: list[float] = []
    world = World([Host("i-1")], VirtualClock())

    def look_and_sleep() -> None:
        looks.append(world.clock.now())
        if len(looks) == 2:  # the first look is for the delivery
            world.clock.wait(10 * expiry)

    rollout = Rollout(world, Policy(max_unreachable=(EVERYTHING,)))
    planned = rollout.plan(1)
    rollout.lock = OpenLock(check=look_and_sleep)
    state = rollout.engine(1).run(rollout.started(1, planned))
    late, *again = (order for order in world.sends if order.op is Op.APPLY)
    assert int(late.parameters["NotAfter"]) == int(looks[1]) + expiry
    assert outcomes(state)["i-1"] == ("refused", "expired")
    assert again == []


def test_an_unanswered_send_command_that_is_not_found_is_inspected() -> None:
    """When the command cannot be found either, its instances are inspected before one is sent to them again."""

    def lose(world: World) -> None:
        world.next_answers = [Doubtful("ConnectionClosedError")]

    state, world, _ = roll([Host("i-1")], Policy(max_unreachable=(EVERYTHING,)), prepare=lose)
    assert outcomes(state)["i-1"] == ("updated", "verified")
    assert [order.op for order in world.sends] == [Op.INSPECT, Op.APPLY, Op.INSPECT, Op.APPLY]
    assert world.sends[3].parameters["NotAfter"] > world.sends[1].parameters["NotAfter"]


def test_a_lost_answer_that_may_not_be_looked_for_breaks_nothing() -> None:
    """Without the right to list commands, an unanswered one's instances are inspected like those of a lost one."""

    def lose(world: World) -> None:
        world.next_answers = ["accepted, answer lost"]
        world.may_list = False

    state, world, _ = roll([Host("i-1")], prepare=lose)
    assert outcomes(state)["i-1"] == ("updated", "verified")
    assert len([order for order in world.sends if order.op is Op.APPLY]) == 1


def test_one_unregistered_instance_does_not_take_its_batch_down() -> None:
    """One id that SSM does not know fails the whole call (F71): the others are sent again, that one is reported."""

    def vanish(world: World) -> None:
        world.hosts["i-00000000000000001"].ping = Ping.UNREGISTERED

    state, _, journal = roll(fleet_of(5), WIDE, prepare=vanish)
    assert outcomes(state)["i-00000000000000001"] == ("unreachable", "ssm_not_registered")
    assert any(isinstance(entry.event, NotSent) for entry in journal.entries)


def test_an_instance_that_ssm_always_turns_down_is_given_up() -> None:
    """An endless InvalidInstanceId ends after a few attempts with its reason."""

    def refuse(world: World) -> None:
        world.next_answers = [Rejected("InvalidInstanceId", instances=True)] * 9

    state, world, _ = roll([Host("i-1")], Policy(max_unreachable=(EVERYTHING,)), prepare=refuse)
    assert outcomes(state)["i-1"] == ("unreachable", "ssm_refused")
    assert len([order for order in world.sends if order.op is Op.APPLY]) == 3


def test_a_forbidden_send_command_halts() -> None:
    """When SSM takes no command at all, the run halts and everybody is not attempted."""

    def forbid(world: World) -> None:
        world.next_answers = [Rejected("Not allowed: ssm:SendCommand.", instances=False)]

    state, _, _ = roll(fleet_of(3), prepare=forbid)
    assert set(outcomes(state).values()) == {("not_attempted", "halted")}
    assert state.halted is not None
    assert "ssm:SendCommand" in state.halted.why


def test_an_instance_that_is_terminated_meanwhile_is_no_failure() -> None:
    """An instance that goes away while it settles is skipped(terminated), and the run is ok."""
    host = Host("i-1", reconnect_seconds=1_000)

    def terminate(world: World) -> None:
        original = world.describe

        def describe(arns: object) -> object:
            host.status = None
            return original(arns)  # type: ignore[arg-type]  # passes through

        world.describe = describe  # type: ignore[method-assign, assignment]  # a change of the world, not a mock

    state, _, _ = roll([host], prepare=terminate)
    assert outcomes(state)["i-1"] == ("skipped", "terminated")
    assert result_of(state) == "ok"


def test_an_agent_that_ecs_never_sees_again_is_a_failure() -> None:
    """`updated` is not claimed while ECS does not see the agent connected; one that kept its identity keeps the change.

    The credential has no part in that connection, and the agent was proven on the instance: --on-halt restore decides.
    """
    state, world, _ = roll([Host("i-1", reconnect_seconds=10_000)])
    assert outcomes(state)["i-1"] == ("failed", "not_connected")
    assert world.hosts["i-1"].generation == GENERATION
    assert not [order for order in world.sends if order.op is Op.RESTORE]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (Host("i-1"), True),
        (Host("i-1", reconnect_seconds=10_000), True),
        (Host("i-1", behaviour="lost"), False),
        (Host("i-1", behaviour="rolled_back"), False),
        (Host("i-1", behaviour="refused"), False),
        (Host("i-1", behaviour="unseen", persistence="ephemeral"), False),
        (Host("i-1", generation=GENERATION), False),
    ],
)
def test_who_ends_with_the_runs_change(host: Host, *, expected: bool) -> None:
    """Exactly those on which nothing has taken the change back are to be taken back after a halt."""
    state, _, _ = roll([host.copy()], Policy(on_ephemeral=OnEphemeral.FORCE))
    assert state.instances["i-1"].holds_change is expected


def test_an_instance_that_was_never_seen_again_may_hold_the_change() -> None:
    """Where it is not known what became of a change, taking back asks the instance."""
    state, _, _ = roll(
        [Host("i-1", behaviour="lost")],
        prepare=lambda world: world.clock.at(world.clock.now() + 10, lambda: setattr(world.hosts["i-1"], "mute", True)),
    )
    assert outcomes(state)["i-1"] == ("unverified", "result_lost")
    assert state.instances["i-1"].holds_change


def test_one_read_of_connected_proves_nothing() -> None:
    """The agent must be seen connected twice in a row: one read may be older than the restart."""
    state, world, journal = roll([Host("i-1", reconnect_seconds=0)])
    concluded = next(entry.at for entry in journal.entries if isinstance(entry.event, Concluded))
    settled = state.instances["i-1"].spans[-1].started_at
    assert concluded - settled >= 2
    assert world.hosts["i-1"].generation


def test_a_stop_is_safe() -> None:
    """A stop admits nobody any more, sees those in flight through, and reports the rest as not attempted."""
    asked = {"count": 0}

    def stop() -> str:
        asked["count"] += 1
        return "stopped by a signal" if asked["count"] > 3 else ""

    state, world, _ = roll(fleet_of(10), stop_requested=stop)
    assert applies(world) == 1
    assert state.counts == {OutcomeKind.UPDATED: 1, OutcomeKind.NOT_ATTEMPTED: 9}
    assert result_of(state) == "interrupted"


def test_a_lost_lock_stops_before_the_next_command() -> None:
    """Once another owner has won the cluster, not one more command is sent."""

    def taken() -> None:
        raise LockedError("taken over", hint="wait")

    with pytest.raises(LockedError):
        roll(fleet_of(3), lock=OpenLock(check=taken))


def test_deaf_aws_stops_admission_and_is_not_taken_for_success() -> None:
    """While AWS does not answer nothing is admitted; when it is back, what was in flight is seen through."""

    def deafen(world: World) -> None:
        world.deaf_until = world.clock.now() + 30

    state, world, _ = roll(fleet_of(10), prepare=deafen)
    assert applies(world) == 1
    assert state.counts == {OutcomeKind.UPDATED: 1, OutcomeKind.NOT_ATTEMPTED: 9}
    assert state.halted is not None
    assert state.halted.why == "no answer. wait"


def test_aws_that_never_comes_back_ends_the_run_with_an_error() -> None:
    """An AWS that stays away is an environment fault, not an endless loop."""

    def deafen(world: World) -> None:
        world.deaf_until = float("inf")

    with pytest.raises(EnvironmentFault):
        roll(fleet_of(2), prepare=deafen)


@pytest.mark.parametrize("claim", ["refused", "failed", "rolled_back", "current"])
def test_an_instances_own_word_ends_it(claim: str) -> None:
    """Refusals, failures and restores that an instance reports are its outcome, with its reason."""
    host = Host("i-1", behaviour=claim, reason="disk_full")
    state, _, _ = roll([host])
    assert outcomes(state)["i-1"] == (claim, "disk_full")


def test_waves_are_cumulative_and_the_canary_is_first() -> None:
    """With the defaults one canary goes first, then a tenth, half and everything, each after the one before it."""
    state, _, journal = roll(fleet_of(40), Policy(max_unavailable=EVERYTHING))
    admitted = [len(entry.event.keys) for entry in journal.entries if isinstance(entry.event, Admitted)]
    assert admitted == [1, 3, 16, 20]
    assert result_of(state) == "ok"


def test_between_waves_there_is_bake_time() -> None:
    """The next wave begins only when the bake time has passed since the last outcome."""
    policy = Policy(waves=(Amount.parse("1"), EVERYTHING), bake=600, max_unavailable=EVERYTHING)
    _, _, journal = roll(fleet_of(3), policy)
    first, second = [entry.at for entry in journal.entries if isinstance(entry.event, Admitted)]
    assert second - first >= 600


def test_a_failing_canary_leaves_everybody_else_alone() -> None:
    """When the canary fails, nobody else is touched."""
    hosts = fleet_of(30)
    for host in hosts:
        host.behaviour = "rolled_back"
    state, world, _ = roll(hosts, Policy(max_unavailable=EVERYTHING))
    assert applies(world) == 1
    assert state.counts == {OutcomeKind.ROLLED_BACK: 1, OutcomeKind.NOT_ATTEMPTED: 29}


@pytest.mark.parametrize(
    ("budget", "halts"),
    [
        (("2",), False),
        (("1",), True),
        (("10%",), False),
        (("9%",), True),
        (("2", "5%"), True),
        (("1", "50%"), True),
        (("2", "10%"), False),
        ((), False),
    ],
)
def test_of_two_budgets_the_first_exceeded_halts(budget: tuple[str, ...], *, halts: bool) -> None:
    """A count and a percentage may both be given; either one halts. Two of 20 fail here."""
    hosts = fleet_of(20)
    for host in hosts[5:7]:
        host.behaviour = "failed"
    state, _, _ = roll(hosts, Policy(max_failures=tuple(map(Amount.parse, budget))))
    assert (state.halted is not None) == halts


def test_refusals_can_halt() -> None:
    """--max-refused counts what instances refuse, at planning and on the instance."""
    hosts = fleet_of(10)
    for host in hosts[:2]:
        host.persistence = "ephemeral"
    state, world, _ = roll(hosts, Policy(max_refused=(Amount.parse("1"),)))
    assert state.halted is not None
    assert "--max-refused" in state.halted.why
    assert applies(world) == 0


def test_a_zone_is_not_emptied() -> None:
    """--max-unavailable-per-zone bounds each zone, whatever the window allows."""
    policy = Policy(waves=ONE_WAVE, max_unavailable=EVERYTHING, max_unavailable_per_zone=Amount.parse("1"))
    _, world, _ = roll(fleet_of(30), policy)
    assert world.most_in_flight == 3


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(VerifyLogin.NEVER, ["no", "no"]), (VerifyLogin.CANARY, ["yes", "no"]), (VerifyLogin.ALWAYS, ["yes", "yes"])],
)
def test_who_tries_the_login(mode: VerifyLogin, expected: list[str]) -> None:
    """The canary, or everybody, is told to try the new login itself."""
    policy = Policy(waves=(Amount.parse("1"), EVERYTHING), max_unavailable=EVERYTHING, verify_login=mode)
    _, world, _ = roll(fleet_of(5), policy)
    assert [order.parameters["VerifyLogin"] for order in world.sends if order.op is Op.APPLY] == expected


@pytest.mark.parametrize(("mode", "expected"), [(VerifyLogin.NEVER, "no"), (VerifyLogin.ALWAYS, "yes")])
def test_who_tries_the_old_login(mode: VerifyLogin, expected: str) -> None:
    """A restore lets instances try their old login where that is wanted; healing, and a change undone, never do."""
    hosts = fleet_of(2)
    roll(hosts)
    _, world, _ = roll(hosts, replace(WIDE, verify_login=mode), fence=2, run="run-2", restores="run-1")
    assert {order.parameters["VerifyLogin"] for order in world.sends if order.op is Op.RESTORE} == {expected}
    half = Host("i-1", behaviour="lost_armed")
    _, world, _ = roll([half], replace(WIDE, verify_login=mode))
    assert {order.parameters["VerifyLogin"] for order in world.sends if order.op is Op.RESTORE} == {"no"}


def test_a_run_can_be_taken_back() -> None:
    """restore brings the old generation back wherever the run had changed it, touches nobody else, and is ok."""
    hosts = fleet_of(6)
    hosts[4].persistence = "ephemeral"
    roll(hosts[:5])
    state, world, _ = roll(hosts, WIDE, fence=2, run="run-2", restores="run-1")
    assert all(host.generation == "" for host in hosts)
    assert [outcome for _, outcome in sorted(outcomes(state).items())] == [
        *[("rolled_back", "restored")] * 4,
        *[("skipped", "nothing_to_restore")] * 2,
    ]
    assert state.failed == 0
    assert result_of(state) == "ok"
    assert Op.APPLY not in [order.op for order in world.sends]


def test_taking_back_twice_changes_nothing() -> None:
    """After a restore there is nothing left to restore: no command but inspect is sent."""
    hosts = fleet_of(3)
    roll(hosts)
    roll(hosts, fence=2, run="run-2", restores="run-1")
    state, world, _ = roll(hosts, fence=3, run="run-3", restores="run-1")
    assert set(outcomes(state).values()) == {("skipped", "nothing_to_restore")}
    assert [order.op for order in world.sends] == [Op.INSPECT]
    assert result_of(state) == "ok"


@pytest.mark.parametrize(
    ("behaviour", "expected"), [("failed", ("failed", "no_backup")), ("lost_updated", ("rolled_back", "restored"))]
)
def test_a_restore_that_fails_or_is_lost(behaviour: str, expected: tuple[str, str]) -> None:
    """A failed restore is a failure; one whose result is lost is read from the instance."""
    host = Host("i-1")
    roll([host])
    host.behaviour = behaviour
    state, _, _ = roll([host], fence=2, run="run-2", restores="run-1")
    assert outcomes(state)["i-1"] == expected


def test_the_heartbeat_goes_on_while_a_run_only_waits() -> None:
    """For a gate that holds for an hour, and for somebody's approval: nobody may take the run for dead."""
    beats: list[float] = []
    world = World(fleet_of(3), VirtualClock())
    policy = Policy(waves=(Amount.parse("1"), EVERYTHING), approve=True, approve_timeout=3600)
    rollout = Rollout(
        world, policy, gates=[ScriptedGate([(0, Word.HOLD), (3600, Word.GO)])], pace=Pace(shortest=2, longest=10)
    )
    planned = rollout.plan(1)
    rollout.lock = OpenLock(heartbeat=lambda: beats.append(world.clock.now()))
    state = rollout.engine(1).run(rollout.started(1, planned))
    assert state.halted is not None
    assert "approv" in state.halted.why
    assert beats[-1] - beats[0] > 7200
    assert max(after - before for before, after in pairwise(beats)) <= HEARTBEAT_SECONDS


@dataclass
class ScriptedGate:
    """Says what it was told to say, by the run's time; the last word stays."""

    words: list[tuple[float, Word | None]]
    asked: list[float] = field(default_factory=list)
    name: str = "scripted"

    def ask(self, now: float) -> GateAnswer:
        self.asked.append(now)
        elapsed = now - self.asked[0]
        word = [word for since, word in self.words if elapsed >= since][-1]
        if word is None:
            raise EnvironmentFault("no answer", hint="wait")
        return GateAnswer(gate=self.name, word=word, reason="told so")


def test_a_gate_that_holds_is_waited_for() -> None:
    """While a gate holds nobody is admitted; when it says go the run goes on, and ends well."""
    gate = ScriptedGate([(0, Word.HOLD), (600, Word.GO)])
    state, world, journal = roll(fleet_of(3), gates=[gate])
    first = next(entry.at for entry in journal.entries if isinstance(entry.event, Admitted))
    assert first - gate.asked[0] >= 600
    assert applies(world) == 3
    assert result_of(state) == "ok"


def test_a_gate_that_stops_halts_with_its_reason() -> None:
    """A stop halts: what is in flight is seen through, the rest is not attempted, and the reason is kept."""
    gate = ScriptedGate([(0, Word.GO), (20, Word.STOP)])
    state, world, _ = roll(fleet_of(10), gates=[gate])
    assert applies(world) == 1
    assert state.counts == {OutcomeKind.UPDATED: 1, OutcomeKind.NOT_ATTEMPTED: 9}
    assert state.halted is not None
    assert state.halted.why == "gate scripted: told so"


def test_a_gate_that_cannot_be_asked_fails_closed() -> None:
    """An error while asking holds, and after the gate's timeout halts; nobody is admitted meanwhile."""
    state, world, _ = roll(fleet_of(3), Policy(gate_timeout=300), gates=[ScriptedGate([(0, None)])])
    assert applies(world) == 0
    assert state.halted is not None
    assert "cannot be asked" in state.halted.why
    assert "no answer" in state.halted.why


def test_a_gate_that_recovers_in_time_is_forgiven() -> None:
    """Trouble that ends before the timeout, twice, halts nothing."""
    gate = ScriptedGate([(0, None), (200, Word.GO), (230, None), (420, Word.GO)])
    state, _, _ = roll(fleet_of(9), Policy(gate_timeout=300), gates=[gate])
    assert result_of(state) == "ok"


def test_gates_are_asked_at_a_bounded_rate_and_only_while_somebody_waits() -> None:
    """Within a wave a gate is asked no more often than its interval, and not after the last instance was admitted."""
    gate = ScriptedGate([(0, Word.GO)])
    _, _, journal = roll(fleet_of(20), Policy(waves=ONE_WAVE), gates=[gate])
    last = [entry.at for entry in journal.entries if isinstance(entry.event, Admitted)][-1]
    assert len(gate.asked) > 2
    assert all(later - earlier >= EVERY for earlier, later in pairwise(gate.asked))
    assert gate.asked[-1] <= last


def test_a_wave_opens_only_on_new_answers() -> None:
    """Before each wave every gate is asked anew: an answer that was good enough to admit somebody is not."""
    gate = ScriptedGate([(0, Word.GO)])
    _, _, journal = roll(fleet_of(20), gates=[gate])
    opened = [entry.at for entry in journal.entries if isinstance(entry.event, WaveOpened)]
    assert len(opened) == 4
    for at in opened:
        assert any(at - ANEW < asked <= at for asked in gate.asked)


def test_a_gate_that_turns_right_before_a_wave_keeps_it_closed() -> None:
    """What a gate says when the wave is to be opened counts, not what it said a moment before."""
    gate = ScriptedGate([(0, Word.GO), (16, Word.HOLD), (600, Word.GO)])
    _, _, journal = roll(fleet_of(4, apply_seconds=40.0), gates=[gate])
    first, second = [entry.at for entry in journal.entries if isinstance(entry.event, WaveOpened)][:2]
    assert second - first >= 600


def test_nobody_is_admitted_on_an_old_answer() -> None:
    """Where sending takes long, gates are asked again between two commands; a hold there leaves the rest waiting."""
    gate = ScriptedGate([(0, Word.GO), (20, Word.HOLD), (900, Word.GO)])

    def slow(world: World) -> None:
        send = world.send

        def sending(order: Order) -> Answer:
            world.clock.wait(7)
            return send(order)

        world.send = sending  # type: ignore[method-assign]  # a slow one

    state, world, journal = roll(fleet_of(400), WIDE, gates=[gate], prepare=slow)
    admitted = [entry.at for entry in journal.entries if isinstance(entry.event, Admitted)]
    assert len(admitted) == 8
    for at in admitted:
        assert at - max(asked for asked in gate.asked if asked <= at) < EVERY
    assert [at for at in admitted if 30 < at - gate.asked[0] < 900] == []
    assert applies(world) == 400
    assert result_of(state) == "ok"


def test_of_several_gates_the_strictest_counts() -> None:
    """One gate that holds is enough, whatever the others say."""
    go, hold = ScriptedGate([(0, Word.GO)], name="a"), ScriptedGate([(0, Word.HOLD), (100, Word.GO)], name="b")
    _, _, journal = roll(fleet_of(1), gates=[go, hold])
    first = next(entry.at for entry in journal.entries if isinstance(entry.event, Admitted))
    assert first - go.asked[0] >= 100


def test_a_gate_may_hold_for_days() -> None:
    """Waiting for a window over many thousands of ticks ends as it should."""
    state, _, _ = roll([Host("i-1")], gates=[ScriptedGate([(0, Word.HOLD), (200_000, Word.GO)])])
    assert result_of(state) == "ok"


@pytest.mark.parametrize("call", ["keep", "confirm"])
def test_a_lock_that_cannot_be_asked_stops_admission(call: str) -> None:
    """While the lock cannot be confirmed, or its heartbeat written, nobody is admitted."""

    asked: list[str] = []

    def silent() -> None:
        asked.append(call)
        if call == "keep" or len(asked) > 1:  # the first confirmation is for the delivery, without which nothing begins
            raise EnvironmentFault("no answer", hint="wait")

    world = World(fleet_of(3), VirtualClock())
    rollout = Rollout(world, Policy())
    planned = rollout.plan(1)
    rollout.lock = OpenLock(check=silent) if call == "confirm" else OpenLock(heartbeat=silent)
    state = rollout.engine(1).run(rollout.started(1, planned))
    assert applies(world) == 0
    assert state.halted is not None
    assert state.halted.why == "no answer. wait"


def test_what_cannot_be_recorded_did_not_happen() -> None:
    """When the journal takes an event no more, the event does not count either: state never runs ahead of it."""

    def full(world: World) -> None:
        world.journal.fail_after = 3

    with pytest.raises(EnvironmentFault, match="disk full"):
        roll(fleet_of(3), WIDE, prepare=full)


def test_connected_must_be_seen_twice_in_a_row() -> None:
    """An agent that comes and goes is not proven by two reads with a gap between them."""
    host = Host("i-1", reconnect_seconds=0)

    def flap(world: World) -> None:
        original, reads = world.describe, [0]

        def describe(arns: object) -> object:
            reads[0] += 1
            host.connected = reads[0] % 2 == 1
            return original(arns)  # type: ignore[arg-type]  # passes through

        world.describe = describe  # type: ignore[method-assign, assignment]  # a change of the world, not a mock

    state, _, _ = roll([host], prepare=flap)
    assert outcomes(state)["i-1"] == ("failed", "not_connected")


def test_a_lost_instance_is_looked_at_after_everything_that_may_still_happen() -> None:
    """The look comes after NotAfter, the watchdog's time and the time of its restore."""
    host = Host("i-1", behaviour="lost", apply_seconds=5)
    _, world, journal = roll([host])
    admitted = next(entry.event for entry in journal.entries if isinstance(entry.event, Admitted))
    looked = [command.sent_at for command in world.commands.values() if command.order.op is Op.INSPECT][-1]
    deadlines = WIDE.deadlines
    assert looked >= admitted.not_after + deadlines.watchdog + deadlines.restore


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"disagrees": True, "behaviour": "lost_updated"}, ("failed", "interrupted")),
        ({"last": "watchdog_restored", "last_run": "an-older-run", "behaviour": "lost"}, ("failed", "interrupted")),
    ],
)
def test_a_look_is_believed_only_where_everything_fits(facts: dict[str, object], expected: tuple[str, str]) -> None:
    """Neither a marker that file and agent contradict, nor an older run's restore, passes for this run's end."""
    state, _, _ = roll([Host("i-1", **facts)])  # type: ignore[arg-type]  # test data by keyword
    assert outcomes(state)["i-1"] == expected


def test_the_first_reason_to_halt_is_the_one_that_is_told() -> None:
    """A stop that comes after a halt does not hide why the run halted."""
    hosts = fleet_of(12)
    hosts[0].behaviour = "failed"
    asked = {"count": 0}

    def stop() -> str:
        asked["count"] += 1
        return "stopped by a signal" if asked["count"] > 40 else ""

    state, _, _ = roll(hosts, stop_requested=stop)
    assert state.halted is not None
    assert "--max-failures" in state.halted.why
    assert result_of(state) == "halted"


def test_an_interrupted_restore_is_not_taken_for_done() -> None:
    """A restore whose result is lost and whose instance is still armed has not been proven."""
    host = Host("i-1")
    roll([host])
    host.restore_dies = True
    state, _, _ = roll([host], fence=2, run="run-2", restores="run-1")
    assert outcomes(state)["i-1"] == ("failed", "restore_failed")


def test_bystanders_do_not_keep_a_run_from_being_taken_back() -> None:
    """Unreachable instances count as a share of the whole fleet, not of the few that hold something of the run."""
    hosts = fleet_of(60)
    for host in hosts[:3]:
        host.run, host.generation, host.before = "bad", GENERATION, ("older", "before")
    for host in hosts[50:53]:
        host.ping = Ping.CONNECTION_LOST
    state, _, _ = roll(hosts, run="run-2", restores="bad")
    assert [str(outcomes(state)[host.instance_id][1]) for host in hosts[:3]] == ["restored"] * 3


def test_what_halted_a_run_does_not_keep_it_from_being_taken_back() -> None:
    """Who cannot be reached or is refused halts a run, not its taking back, which nobody's bake time delays."""
    hosts = fleet_of(6)
    roll(hosts[:4])
    hosts[4].ping, hosts[5].platform = Ping.CONNECTION_LOST, Platform.WINDOWS
    halting = Policy(waves=(Amount.parse("1"), EVERYTHING), bake=3600, max_refused=(Amount.parse("0"),))
    assert roll(hosts, halting, fence=2, run="run-2", restores="run-1")[0].halted is not None
    back, _, journal = roll(hosts, halting.back(), fence=3, run="run-3", restores="run-1")
    assert back.counts == {OutcomeKind.ROLLED_BACK: 4, OutcomeKind.UNREACHABLE: 1, OutcomeKind.REFUSED: 1}
    assert journal.entries[-1].at - journal.entries[0].at < halting.bake


def test_what_a_dead_run_drained_is_given_back_whatever_the_limit_says() -> None:
    """A limit leaves changes to the next run, never an instance that a dead run has drained; nor is that the canary."""
    hosts = fleet_of(6)
    for host in hosts[4:]:
        host.status, host.mark, host.generation = Status.DRAINING, "dead", GENERATION
    state, _, _ = roll(hosts, Policy(limit=Amount.parse("2"), max_unavailable=EVERYTHING), run="run-2")
    assert all((host.status, host.mark) == (Status.ACTIVE, "") for host in hosts)
    assert state.counts[OutcomeKind.UPDATED] == 2
    canary = next(each for each in state.run.planned if each.wave == 1)
    assert canary.decision.kind is DecisionKind.APPLY


def test_who_was_taken_over_at_the_prompt_delivers_nothing() -> None:
    """A plan may wait for its yes: a controller that is no owner any more puts no copy of the credential anywhere."""

    def lost() -> None:
        raise LockedError("somebody took over", hint="stop")

    rollout = Rollout(World(fleet_of(2), VirtualClock()), Policy(), lock=OpenLock(check=lost))
    with pytest.raises(LockedError):
        rollout.engine(1).run(rollout.started(1, rollout.plan(1)))
    assert not any(isinstance(entry.event, Delivered) for entry in rollout.world.journal.entries)
