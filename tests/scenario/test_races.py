"""Races with the world: what somebody or something does to an instance while a run is about to change it.

Each is an event of the lab's scenario, set off by what the run itself does, so that it comes at the same moment
every time. The command line is the real one, and the instances run the real documents.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest

from orchestrator.clock import SystemClock
from orchestrator.core.result import Op
from orchestrator.dispatch import Dispatch
from orchestrator.lab.scenario import Deed, Event, ServiceSpec, Ssm
from tests.scenario.conftest import Answer, Workplace, fleet

Start = Callable[..., Workplace]

APPLY = "ecs-rollout-apply"
ALL = "--max-unavailable=100%"
ONE, TWO, THREE = (spec.instance_id for spec in fleet(3))
NEW = "i-00000000000000fff"
ALLOWED = {"Effect": "Allow", "Action": "*", "Resource": "*"}
UPDATED = "updated(verified)"
STATELESS = (replace(fleet(1)[0], persistent=False), *fleet(3)[1:])
DRAIN = ("--on-ephemeral=drain", "--waves=100%", "--drain-timeout=20s")


def run(place: Workplace, *flags: str) -> Answer:
    place.put_secret()
    done = place.rollout("run", *flags, "--output", "json")
    assert place.lab.slips == ()
    return done


def test_an_instance_is_terminated_before_its_turn(workplace: Start) -> None:
    """It is skipped as terminated, no failure, and nothing is sent to it."""
    event = Event(what=Deed.TERMINATE, instance_id=THREE, when=f"begun:{APPLY}", of=ONE)
    place = workplace(*fleet(3), events=(event,))
    done = run(place, "--waves=1,100%")
    assert done.outcomes == {ONE: UPDATED, TWO: UPDATED, THREE: "skipped(terminated)"}, done.err
    assert done.code == 0
    assert place.applied(THREE) == 0


def test_an_instance_is_terminated_while_it_is_changed(workplace: Start) -> None:
    """It is skipped as terminated, soon, though nobody will ever hear of its command; the rest is rolled."""
    event = Event(what=Deed.TERMINATE, instance_id=TWO, when=f"begun:{APPLY}", after=0.2)
    place = workplace(*fleet(3), events=(event,))
    done = run(place, ALL, "--waves=100%")
    assert done.outcomes == {ONE: UPDATED, TWO: "skipped(terminated)", THREE: UPDATED}, done.err
    assert done.code == 0


def test_a_laggard_is_terminated_before_it_is_tried_again(workplace: Start) -> None:
    """An instance that could not be reached and is gone after the last wave is skipped as terminated, no failure."""
    specs = (*fleet(2), replace(fleet(3)[2], ssm=Ssm.CONNECTION_LOST))
    event = Event(what=Deed.TERMINATE, instance_id=THREE, when=f"begun:{APPLY}", of=ONE)
    place = workplace(*specs, events=(event,))
    done = run(place, ALL, "--waves=100%", "--max-unreachable=1")
    assert done.outcomes == {ONE: UPDATED, TWO: UPDATED, THREE: "skipped(terminated)"}, done.err
    assert done.code == 0


@pytest.mark.parametrize("waves", ["1,100%", "100%"])
def test_the_whole_cluster_is_terminated(workplace: Start, waves: str) -> None:
    """Everybody, at work or waiting, is skipped as terminated; the run ends well and lets the cluster go."""
    everybody, canary = (ONE, TWO, THREE), TWO  # by the seed, which is the cluster's name
    events = tuple(Event(what=Deed.TERMINATE, instance_id=name, when=f"begun:{APPLY}", of=canary) for name in everybody)
    place = workplace(*fleet(3, service_tasks=0), events=events)
    done = run(place, ALL, f"--waves={waves}")
    assert done.outcomes == dict.fromkeys(everybody, "skipped(terminated)"), done.err
    assert (done.code, done.report["run"]["result"]) == (0, "ok")
    owner = boto3.client("ssm").get_parameter(Name="/ecs-rollout/demo/lock/1")["Parameter"]["Value"]
    assert json.loads(owner)["released"] is True
    empty = place.rollout("run")
    assert (empty.code, empty.out) == (3, "")
    assert "error: The cluster 'demo' has no container instances." in empty.err


@pytest.mark.parametrize("moment", ["begun", "ended"])
def test_an_agent_updates_itself(workplace: Start, moment: str) -> None:
    """A new version in a new container while the change is made, or while it settles, is no failure."""
    event = Event(what=Deed.UPDATE_AGENT, instance_id=TWO, when=f"{moment}:{APPLY}", after=0.1, version="1.107.0")
    place = workplace(*fleet(2), events=(event,))
    done = run(place, ALL, "--waves=100%")
    assert done.outcomes == {ONE: UPDATED, TWO: UPDATED}, done.err
    assert place.lab.hosts[TWO].agent.starts == 3
    assert place.applied(TWO) == 1


def test_somebody_drains_an_instance_before_its_turn(workplace: Start) -> None:
    """Who is drained by somebody else is left alone, and left DRAINING."""
    event = Event(what=Deed.DRAIN, instance_id=THREE, when=f"begun:{APPLY}", of=ONE)
    place = workplace(*fleet(3), events=(event,))
    done = run(place, "--waves=1,100%")
    assert done.outcomes == {ONE: UPDATED, TWO: UPDATED, THREE: "skipped(draining_elsewhere)"}, done.err
    assert [each.status for each in place.registrations(THREE)] == ["DRAINING"]
    assert place.applied(THREE) == 0


def test_somebody_drains_an_instance_while_it_is_changed(workplace: Start) -> None:
    """The change is carried through and proven; that somebody drains the instance stays as it is."""
    event = Event(what=Deed.DRAIN, instance_id=TWO, when=f"begun:{APPLY}")
    place = workplace(*fleet(2), events=(event,))
    done = run(place, ALL, "--waves=100%")
    assert done.outcomes == {ONE: UPDATED, TWO: UPDATED}, done.err
    assert [each.status for each in place.registrations(TWO)] == ["DRAINING"]


@pytest.mark.parametrize("login", ["old", "none"])
def test_auto_scaling_replaces_an_instance(workplace: Start, login: str) -> None:
    """The old one is skipped as terminated, and who came in its place is rolled in the same run."""
    specs = fleet(3)
    boot = specs[0].auth_data if login == "old" else ""
    joins = replace(specs[2], instance_id=NEW, auth_data=boot, auth_type=specs[0].auth_type if boot else "")
    event = Event(what=Deed.REPLACE, instance_id=THREE, when=f"begun:{APPLY}", of=ONE, joins=joins)
    place = workplace(*specs, events=(event,))
    done = run(place, "--waves=1,100%")
    assert done.outcomes == {ONE: UPDATED, TWO: UPDATED, THREE: "skipped(terminated)", NEW: UPDATED}, done.err
    assert done.code == 0


def test_an_ssm_agent_restarts(workplace: Start) -> None:
    """Its result is late, not lost: one apply, proven (F61)."""
    event = Event(what=Deed.RESTART_SSM, instance_id=TWO, when=f"begun:{APPLY}", away=6)
    place = workplace(*fleet(2), events=(event,))
    done = run(place, ALL, "--waves=100%")
    assert done.outcomes == {ONE: UPDATED, TWO: UPDATED}, done.err
    assert place.applied(TWO) == 1
    assert place.lab.hosts[TWO].agent.starts == 2


def test_a_permission_is_taken_away(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A denial halts by the action's name and what to do; once it is allowed again, the run can be resumed."""
    place = workplace(*fleet(3))
    place.put_secret()
    send = Dispatch.send
    denied = {"Effect": "Deny", "Action": "ecs:DescribeContainerInstances", "Resource": "*"}

    def deny(dispatch: Dispatch, op: Op, keys: tuple[str, ...], *, taking_back: bool = False) -> None:
        place.lab.access.enforce({"Version": "2012-10-17", "Statement": [ALLOWED, denied]})
        send(dispatch, op, keys, taking_back=taking_back)

    monkeypatch.setattr(Dispatch, "send", deny)
    monkeypatch.setattr("orchestrator.patience.DEAF_TICKS", 3)
    broken = place.rollout("run", "--waves=1,100%")
    assert broken.code == 4
    action = "ecs:DescribeContainerInstances"
    assert f"HALTED: Not allowed: {action}. Allow {action} to the role that runs ecs-rollout; " in broken.err
    assert "does not answer" not in broken.err
    assert f"\nerror: Not allowed: {action}.\nhint: Allow {action} to the role" in broken.err
    place.lab.access.enforce(None)
    monkeypatch.setattr(Dispatch, "send", send)
    (begun,) = place.touched()
    command = re.search(r"`ecs-rollout (resume \S+ --take-over)`", broken.err)
    assert command is not None
    done = place.cli(*command[1].split(), "--output", "json")
    assert done.code == 1
    left = "not_attempted(halted)"
    assert done.outcomes == {each: UPDATED if each == begun else left for each in (ONE, TWO, THREE)}, done.err


def test_managed_scaling_takes_a_drained_instance_away(workplace: Start) -> None:
    """An instance that is gone because it was drained is skipped as terminated, no failure."""
    event = Event(what=Deed.TERMINATE, instance_id=ONE, when="drained")
    place = workplace(*STATELESS, events=(event,))
    done = run(place, *DRAIN)
    assert done.outcomes == {ONE: "skipped(terminated)", TWO: UPDATED, THREE: UPDATED}, done.err
    assert done.code == 0
    assert place.marked() == []


def test_somebody_activates_what_we_drain(workplace: Start) -> None:
    """Somebody who wants the instance back gets it: nothing is sent, and our mark is gone."""
    event = Event(what=Deed.ACTIVATE, instance_id=ONE, when="draining", after=0.1)
    place = workplace(*STATELESS, events=(event,), service=ServiceSpec(start_seconds=3))
    done = run(place, *DRAIN)
    assert done.outcomes[ONE] == "skipped(reactivated_elsewhere)", done.err
    assert place.applied(ONE) == 0
    assert [each.status for each in place.registrations(ONE)] == ["ACTIVE"]
    assert place.marked() == []


def test_an_older_runs_command_comes_after_a_newer_run(workplace: Start) -> None:
    """An instance that a newer run has reached refuses it by its number, though it has not expired: nothing changes."""
    place, clock, ssm = workplace(*fleet(1)), SystemClock(), boto3.client("ssm")
    assert run(place).code == 0
    sent = [json.loads(each.body) for each in place.lab.recorder.of("SendCommand")]
    late = next(each for each in sent if each["DocumentName"] == APPLY)
    login = {place.lab.registry_name: {"username": "puller", "password": "old-password"}}
    assert place.rollout("run", source=place.put_secret(login, name="newer")).code == 0
    host = place.lab.hosts[ONE]
    before, starts = host.config_file.read_bytes(), host.agent.starts
    late["Parameters"] |= {"NotAfter": [str(int(clock.now()) + 300)]}
    command = ssm.send_command(**late)["Command"]["CommandId"]
    outputs: list[str] = []
    for _ in range(200):
        seen = ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
        outputs = [one["Output"] for each in seen for one in each["CommandPlugins"]]
        if any(outputs):
            break
        clock.wait(0.1)
    assert [json.loads(each.splitlines()[0])["reason"] for each in outputs] == ["fence_stale"]
    assert (host.config_file.read_bytes(), host.agent.starts) == (before, starts)
