"""The look around after the last wave, by whole runs in memory: laggards, those that are gone, those that joined."""

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.model import Ping, Status
from orchestrator.core.settings import Policy
from orchestrator.engine import result_of
from tests.fake_fleet import Host, World, fleet_of, roll

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
