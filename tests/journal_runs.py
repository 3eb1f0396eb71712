"""Runs to put into journals."""

from orchestrator.core.amount import Amount
from orchestrator.core.events import Entry
from orchestrator.core.model import Ping
from orchestrator.core.settings import EVERYTHING, Policy
from tests.fake_fleet import fleet_of, roll


def troubled_run() -> list[Entry]:
    """A run of 12 instances with a lost result, one that is not reached and one that is refused."""
    hosts = fleet_of(12)
    hosts[2].behaviour = "lost_restored"
    hosts[4].ping = Ping.CONNECTION_LOST
    hosts[6].persistence = "ephemeral"
    return roll(hosts, Policy(max_failures=(Amount.parse("1"),), max_unreachable=(EVERYTHING,)))[2].entries


def large_run(count: int) -> list[Entry]:
    """A whole run of `count` healthy instances, all at once."""
    return roll(fleet_of(count), Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING))[2].entries
