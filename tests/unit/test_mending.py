"""What healing says of itself: before, in its dry run, and afterwards."""

import json
from dataclasses import replace

import pytest

from orchestrator.core.model import Ping, Plan, Status
from orchestrator.core.state import RunState
from orchestrator.errors import ExitCode
from orchestrator.report.advice import advise
from orchestrator.report.after import After
from orchestrator.report.estimates import Places
from orchestrator.report.plans import Wish
from orchestrator.report.remnants import Remnants, remnants_text
from orchestrator.report.render import render_report
from orchestrator.report.rows import build
from tests.fake_fleet import Host, Registration, Rollout, VirtualClock, World, fleet_of
from tests.unit.test_giving_back import DRAINING, EVERYTHING

WISH = Wish(words="heal", credential=None, places=Places(window=2), next_command=("ecs-rollout", "heal"))
NOTHING_ELSE = Remnants(copies=(), lock="", alive=False)
TOLERANT = replace(DRAINING, max_unreachable=(EVERYTHING,))


def left_behind() -> list[Host]:
    """Nine instances: two to give back, one of them with a ghost; one half-changed; two for later; four untouched."""
    hosts = fleet_of(9)
    for host in hosts[:2]:
        host.status, host.mark = Status.DRAINING, "run-0"
    hosts[1].ghosts.append(Registration(f"{hosts[1].arn}-ours", Status.DRAINING, "run-0", frozenset({"team"})))
    hosts[2].armed, hosts[2].armed_run = "dead", "run-0"
    hosts[3].status, hosts[3].mark, hosts[3].ping = Status.DRAINING, "run-0", Ping.CONNECTION_LOST
    hosts[4].armed = "living"
    hosts[5].status = Status.DRAINING
    hosts[6].ghosts.append(Registration(f"{hosts[6].arn}-other", Status.ACTIVE, ""))
    return hosts


def planned(hosts: list[Host]) -> Plan:
    rollout = Rollout(World(hosts, VirtualClock()), TOLERANT, heals=True)
    return Plan(cluster="c", generation="", planned=rollout.plan(0))


def healed(hosts: list[Host]) -> RunState:
    rollout = Rollout(World(hosts, VirtualClock()), TOLERANT, run="heal-1", heals=True)
    return rollout.engine(1).run(rollout.started(1, rollout.plan(1)))


def test_a_dry_run_counts_machines_and_says_what_comes_of_them() -> None:
    """Its numbers add up to the nine machines, of which two have two registrations; who must wait is named with why."""
    text = " ".join(remnants_text(planned(left_behind()), WISH, NOTHING_ELSE).split())
    assert "To mend on instances: 3 of 9, at most 2 at a time. " in text
    counts = "given back: 2; taken back: 1; nothing left on 3; drained by somebody else: 1; not mended: 2."
    assert f"With that, {counts}" in text
    assert "To mend later: i-00000000000000003, once its SSM agent is online (now ConnectionLost)." in text
    assert "To mend later: i-00000000000000004, once its watchdog has ended (7 minutes after the change" in text


def test_who_must_wait_is_something_left() -> None:
    """Where everybody that is left must wait, nothing is to be mended now, and the command is for later."""
    hosts = fleet_of(2)
    hosts[0].status, hosts[0].mark, hosts[0].armed = Status.DRAINING, "run-0", "living"
    text = remnants_text(planned(hosts), WISH, NOTHING_ELSE)
    assert "To mend on instances: nothing now.\n" in text
    assert text.endswith("Next, once that is so:\n  ecs-rollout heal")


def test_a_ghost_that_healing_removes_is_nobodys_task() -> None:
    """Of an old registration that goes with a dead run's mark that is said; of another one, the whole command."""
    text = " ".join(remnants_text(planned(left_behind()), WISH, NOTHING_ELSE).split())
    assert "ghost (i-00000000000000001): " in text
    assert "It is removed when its instance is given back." in text
    other = left_behind()[6].arn.rsplit("/", 1)[-1] + "-other"
    command = f"aws ecs deregister-container-instance --cluster c \\ --container-instance {other} --force"
    assert f"Once nobody needs it: {command}" in text
    assert text.count("deregister-container-instance") == 1


def test_many_ghosts_are_not_listed_one_by_one() -> None:
    """Of more than three the command stands once, with places to fill in."""
    hosts = fleet_of(5)
    for host in hosts:
        host.ghosts.append(Registration(f"{host.arn}-other", Status.ACTIVE, ""))
    text = " ".join(remnants_text(planned(hosts), WISH, NOTHING_ELSE).split())
    assert text.count("deregister-container-instance --cluster C --container-instance ID --force") == 1


def test_a_report_of_healing_says_what_was_mended() -> None:
    """Given back, taken back, nothing left, and the rest: each machine is counted once."""
    state = healed(left_behind())
    counts = "given back: 2; taken back: 1; nothing left on 3; drained by somebody else: 1; not mended: 2"
    sentence = f"What dead runs have left, on 9 instances: {counts}"
    text = " ".join(render_report(state, "table", ExitCode.NOT_ALL_UPDATED).split())
    assert f"{sentence}." in text
    assert advise(build(state, exit_code=1)).headline == sentence
    assert sentence in render_report(state, "markdown", ExitCode.NOT_ALL_UPDATED)


@pytest.mark.parametrize(("count", "words"), [(1, "1 copy"), (3, "3 copies")])
def test_a_report_of_healing_counts_the_copies_that_are_gone(count: int, words: str) -> None:
    """They stand behind the instances; in JSON by name."""
    names = tuple(f"/ecs-rollout/c/payload/run-{number}" for number in range(count))
    state = healed(fleet_of(2))
    text = " ".join(render_report(state, "table", ExitCode.OK, After(removed=names)).split())
    assert f"on 2 instances: nothing left on 2; removed {words} of a credential. Run heal-1" in text
    assert json.loads(render_report(state, "json", ExitCode.OK, After(removed=names)))["run"]["removed_copies"] == list(
        names
    )
