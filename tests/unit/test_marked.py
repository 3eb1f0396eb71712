"""What dead runs have left on those whom a run is not about: given back all the same, and changed no further."""

from dataclasses import replace

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.events import Admitted, RunEnded
from orchestrator.core.model import OutcomeKind, Ping, Status
from orchestrator.core.result import Op
from orchestrator.core.selection import Exclusion, Selection
from orchestrator.core.settings import Policy
from orchestrator.ports import Answer, Order
from orchestrator.report.advice import advise
from orchestrator.report.rows import build
from tests.fake_fleet import Host, Registration, World, fleet_of, roll
from tests.unit.test_giving_back import DRAINING, EVERYTHING, FIRST, WIDE, ending, is_given_back, message


def left_behind(**changes: object) -> Host:
    return Host(FIRST, status=Status.DRAINING, mark="run-0", **changes)  # type: ignore[arg-type]  # by keyword


OTHERS = Selection(excluded=(Exclusion.parse(FIRST),))


@pytest.mark.parametrize("about", [{}, {"restores": "run-1"}, {"heals": True}])
def test_whom_a_dead_run_drained_is_given_back_though_it_is_excluded(about: dict[str, object]) -> None:
    """A run, a restore and a heal set it ACTIVE again, and change nothing on it."""
    host = left_behind(persistence="ephemeral")
    state, world, _ = roll([host, *fleet_of(3)[1:]], DRAINING, run="run-2", selection=OTHERS, **about)  # type: ignore[arg-type]  # by keyword
    assert ending(state) == ("skipped", "released")
    assert is_given_back(host)
    assert [each.op for each in world.sends if FIRST in each.instance_ids] == [Op.INSPECT]


@pytest.mark.parametrize("about", [{}, {"restores": "run-1"}, {"heals": True}])
def test_what_a_dead_run_left_half_way_is_taken_back_though_it_is_excluded(about: dict[str, object]) -> None:
    """It gets restore for the half-way change alone, whatever the run sends to others, and is given back after it."""
    host = left_behind(armed="dead", armed_run="run-0")
    state, world, _ = roll([host, *fleet_of(3)[1:]], WIDE, run="run-2", selection=OTHERS, **about)  # type: ignore[arg-type]  # by keyword
    assert ending(state) == ("skipped", "taken_back")
    assert is_given_back(host)
    assert host.armed == "no"
    sent = [each for each in world.sends if FIRST in each.instance_ids and each.op is not Op.INSPECT]
    assert [(each.op, each.instance_ids, each.parameters["RestoreRun"]) for each in sent] == [
        (Op.RESTORE, (FIRST,), "run-2")
    ]
    assert sent[0].parameters["VerifyLogin"] == "no"


@pytest.mark.parametrize("lost", ["lost_restored", "lost"])
def test_a_lost_result_of_what_is_mended_beside_a_run_is_looked_at(lost: str) -> None:
    """What it then shows is judged as a restore's end, not as the credential's."""
    host = left_behind(armed="dead", armed_run="run-0", behaviour=lost)

    def prepare(world: World) -> None:
        send = world.send

        def without_answer(order: Order) -> Answer:
            answer = send(order)
            if order.op is Op.RESTORE:
                for command in world.commands.values():
                    if command.order is order:
                        command.ended = {key: (end, "Failed", "") for key, (end, _, _) in command.ended.items()}
            return answer

        world.send = without_answer  # type: ignore[method-assign]  # a change of the world, not a mock

    state, _, _ = roll([host, *fleet_of(3)[1:]], WIDE, selection=OTHERS, prepare=prepare)
    assert ending(state) == ("skipped", "taken_back")
    assert is_given_back(host)


def test_what_is_mended_beside_a_run_is_no_canary() -> None:
    """The credential is proven by an instance that got it, before the window opens: what is taken back proves nothing.

    Those that are given back come last.
    """
    hosts = fleet_of(6)
    hosts[0].mark, hosts[0].armed, hosts[0].armed_run = "run-0", "dead", "run-0"
    policy = replace(WIDE, waves=(Amount(1, percent=False), EVERYTHING))
    state, world, journal = roll(hosts, policy, selection=OTHERS)
    assert [len(entry.event.keys) for entry in journal.entries if isinstance(entry.event, Admitted)] == [1, 1, 4]
    assert FIRST not in next(each for each in world.sends if each.op is not Op.INSPECT).instance_ids
    assert state.counts == {OutcomeKind.UPDATED: 5, OutcomeKind.SKIPPED: 1}


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"ping": Ping.CONNECTION_LOST}, "Systems Manager says ConnectionLost"),
        ({"mute": True}, "it did not answer the inspection"),
        ({"armed": "living"}, "a watchdog is armed there"),
    ],
)
def test_whom_a_dead_run_drained_and_who_cannot_be_given_back_is_no_good_end(
    changes: dict[str, object], seen: str
) -> None:
    """It is called stranded though it is excluded; the others are changed, whatever --max-unreachable allows."""
    state, _, _ = roll([left_behind(**changes), *fleet_of(3)[1:]], Policy(), selection=OTHERS)
    assert ending(state) == ("skipped", "stranded")
    assert message(state) == f"left DRAINING by the run run-0; {seen}"
    assert state.counts == {OutcomeKind.SKIPPED: 1, OutcomeKind.UPDATED: 2}
    assert state.ended == RunEnded(result="incomplete")
    report = build(state, exit_code=1)
    assert advise(report).command == ("ecs-rollout", "heal", "--cluster", "c", "--region", "us-east-1")


def test_a_ghost_of_ours_is_paired_with_its_successor_though_that_is_excluded() -> None:
    """The old registration is deregistered, and what it had is carried over."""
    host = Host(FIRST, attributes=frozenset())
    host.ghosts.append(Registration("old", Status.DRAINING, "run-0", frozenset({"team"})))
    state, world, _ = roll([host, *fleet_of(3)[1:]], WIDE, selection=OTHERS)
    assert ending(state) == ("skipped", "released")
    assert (world.deregistered, host.attributes, host.applies) == (["old"], frozenset({"team"}), 0)


def test_an_instance_that_was_updated_and_cannot_be_given_back_is_no_good_end() -> None:
    """ECS refuses to set it ACTIVE: it is updated, stands as stranded, and heal is what comes next."""
    host = Host(FIRST, persistence="ephemeral", behaviour="current", status=Status.DRAINING, mark="run-0")
    state, _, _ = roll([host], DRAINING, prepare=lambda world: world.refuses.update({f"activate {FIRST}": "Denied"}))
    assert ending(state) == ("current", "stranded")
    assert message(state) == "left DRAINING: Denied"
    assert state.ended == RunEnded(result="incomplete")
    assert advise(build(state, exit_code=1)).command[1] == "heal"


def test_heal_says_of_the_excluded_that_they_are() -> None:
    """Nobody has looked at them: that nothing is to be mended there is not known."""
    state, _, _ = roll(fleet_of(2), WIDE, heals=True, selection=OTHERS)
    assert ending(state) == ("skipped", "excluded")
