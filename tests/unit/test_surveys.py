"""The look around after the last wave, by whole runs in memory: laggards, those that are gone, those that joined."""

import json
from dataclasses import replace
from html import unescape

import pytest

from orchestrator.cli import planning
from orchestrator.core.amount import Amount
from orchestrator.core.model import OutcomeKind, Ping, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.selection import EVERYBODY, Exclusion, Filter, Selection
from orchestrator.core.settings import Policy
from orchestrator.engine import result_of
from orchestrator.errors import ExitCode
from orchestrator.report.render import render_report
from tests.fake_fleet import GENERATION, NEVER, Host, VirtualClock, World, fleet_of, roll
from tests.unit.test_rolling import GOAL, RecordingLock, parts_of

EVERYTHING = Amount(100, percent=True)
TOLERANT = Policy(waves=(EVERYTHING,), max_unreachable=(EVERYTHING,))


@pytest.mark.parametrize("status", [None, Status.INACTIVE])
def test_a_laggard_that_is_gone_at_the_look_around_was_terminated(status: Status | None) -> None:
    """An instance that was not reached and that ECS knows no more is skipped(terminated), and the run is ok."""
    hosts = [*fleet_of(3), Host("i-gone", ping=Ping.CONNECTION_LOST)]

    def go(world: World) -> None:
        world.clock.at(world.clock.now() + 30, lambda: setattr(hosts[-1], "status", status))

    state, world, _ = roll(hosts, TOLERANT, prepare=go)
    outcome = state.instances["i-gone"].outcome
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == ("skipped", "terminated")
    assert result_of(state) == "ok"
    assert world.surveys == 1


def test_a_laggard_that_a_list_leaves_out_is_not_gone() -> None:
    """What ECS says of the instance itself counts, not that it is missing from one list: it stays unreachable."""
    hosts = [*fleet_of(3), Host("i-late", ping=Ping.CONNECTION_LOST)]

    def leave_out(world: World) -> None:
        world.clock.at(world.clock.now() + 30, lambda: setattr(hosts[-1], "joins_at", world.clock.now() + 10_000))

    state, _, _ = roll(hosts, TOLERANT, prepare=leave_out)
    outcome = state.instances["i-late"].outcome
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == ("unreachable", "ssm_offline")
    assert result_of(state) == "incomplete"


HAS_OLD = ("reg.example.com",)
LATE = 1_000_030.0


@pytest.mark.parametrize("form", ["table", "markdown", "html"])
@pytest.mark.parametrize(
    ("joiner", "drifted"),
    [
        (Host("i-late", joins_at=LATE, registries=HAS_OLD), True),
        (Host("i-late", joins_at=LATE, registries=HAS_OLD, generation="older"), True),
        (Host("i-late", joins_at=LATE, registries=HAS_OLD, persistence="ephemeral"), True),
        (Host("i-late", joins_at=LATE, registries=HAS_OLD, generation=GENERATION), False),
        (Host("i-late", joins_at=LATE), False),
        (Host("i-late", registries=HAS_OLD), False),
    ],
)
def test_a_joiner_with_another_credential_is_said(form: str, joiner: Host, *, drifted: bool) -> None:
    """Who joined with another credential is named in every report, rolled or not: what it boots from still has it."""
    state, _, _ = roll([*fleet_of(3), joiner.copy()], TOLERANT)
    said = " ".join(unescape(render_report(state, form, ExitCode.OK)).split())
    assert ("Joined during the run with another credential (template drift): i-late." in said) is drifted
    report = json.loads(render_report(state, "json", ExitCode.OK))
    warned = [each["instance_id"] for each in report["instances"] if "template_drift" in each["warnings"]]
    assert warned == (["i-late"] if drifted else [])


def test_a_run_that_takes_back_finds_no_drift() -> None:
    """Where the old credential is what is wanted, whoever boots with it is right."""
    joiner = Host("i-late", joins_at=LATE, registries=HAS_OLD, run="run-0", generation="older", before=("", ""))
    hosts = [*fleet_of(2, run="run-0", generation="older"), joiner]
    state, _, _ = roll(hosts, TOLERANT, restores="run-0")
    assert state.counts == {OutcomeKind.ROLLED_BACK: 3}
    assert "template drift" not in render_report(state, "table", ExitCode.OK)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (EVERYBODY, ("needs_update", "needs_update")),
        (Selection(wanted=Filter(zones=("a",))), ("needs_update", "not_selected")),
        (Selection(wanted=Filter(instances=("i-0",))), ("not_selected", "not_selected")),
        (Selection(excluded=(Exclusion.parse("zone:a"),)), ("excluded", "needs_update")),
    ],
)
def test_a_joiner_is_selected_as_everybody_was(selection: Selection, expected: tuple[str, str]) -> None:
    """Whoever joins is decided about by the selection of the run; who is left out is not even looked at."""
    world = World([Host("i-0"), Host("i-1", zone="a"), Host("i-2", zone="b")], VirtualClock())
    parts = parts_of(world, RecordingLock())
    parts.request.selection = selection
    found = planning.survey(parts, GOAL, 7)(frozenset({"i-0"}), frozenset())
    assert {each.key: each.decision.reason.value for each in found} == {"i-1": expected[0], "i-2": expected[1]}
    looked_at = {each for order in world.sends for each in order.instance_ids}
    left_out = {each.key for each in found if each.decision.reason in {Reason.NOT_SELECTED, Reason.EXCLUDED}}
    assert looked_at == {"i-1", "i-2"} - left_out


@pytest.mark.parametrize(("back_at", "outcome"), [(80, "updated"), (NEVER, "unreachable")])
def test_a_joiner_that_still_boots_does_not_halt_the_run(back_at: float, outcome: str) -> None:
    """Who has joined and is not there for SSM yet is looked at again and reported; those beside it are changed."""
    booting = Host("i-new", joins_at=LATE, ping=Ping.UNREGISTERED)

    def boot(world: World) -> None:
        world.clock.at(world.clock.now() + back_at, lambda: setattr(booting, "ping", Ping.ONLINE))

    hosts = [*fleet_of(3), booting, Host("i-late", joins_at=LATE)]
    state, _, _ = roll(hosts, Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING), prepare=boot)
    ended = {key: each.outcome.kind.value for key, each in state.instances.items() if each.outcome}
    assert ended == dict.fromkeys((*(host.instance_id for host in hosts[:3]), "i-late"), "updated") | {"i-new": outcome}
    assert result_of(state) == ("ok" if outcome == "updated" else "incomplete")


def test_a_joiner_that_was_sent_to_counts_as_everybody_does() -> None:
    """One that was there for the survey and is lost to the command counts for the budget of the unreachable."""
    hosts = [*fleet_of(3), Host("i-new", joins_at=LATE, behaviour="undelivered")]
    state, _, _ = roll(hosts, Policy(waves=(EVERYTHING,)))
    assert state.halted is not None
    assert "1 unreachable" in state.halted.why


def test_a_limit_holds_for_whom_it_had_no_place_at_first() -> None:
    """A laggard of the limited ones is tried again; who was not among them, or has joined, is left for the next run."""
    slow, away = Host("i-slow", behaviour="undelivered"), Host("i-away", ping=Ping.CONNECTION_LOST)
    hosts = [slow, away, Host("i-late", joins_at=LATE)]

    def recover(world: World) -> None:
        world.clock.at(world.clock.now() + 90, lambda: setattr(slow, "behaviour", "updated"))
        world.clock.at(world.clock.now() + 90, lambda: setattr(away, "ping", Ping.ONLINE))

    state, _, _ = roll(hosts, replace(TOLERANT, limit=Amount.parse("1")), prepare=recover)
    assert {key: each.outcome.reason.value for key, each in state.instances.items() if each.outcome} == {
        "i-slow": "verified",
        "i-away": "limited",
        "i-late": "limited",
    }
