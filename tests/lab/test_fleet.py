"""What happens to the fleet while somebody rolls it: each deed, on each kind of occasion, as a scenario's data."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import Deed, Event, InstanceSpec, Scenario, ServiceSpec
from tests.lab.bench import instance_id
from tests.lab.test_lab import Caller

FIRST, SECOND, LATE = instance_id(0), instance_id(1), "i-00000000000000fff"
SCRIPT = "AWS-RunShellScript"
OLD_LOGIN = '{"old.example.com":{"auth":"YTpi"}}'


class World:
    """A lab with events, and somebody who asks it things."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.caller = Caller(lab)
        self.ecs: Any = self.caller.client("ecs")

    def registrations(self, name: str) -> list[dict[str, Any]]:
        """Every registration of an instance, INACTIVE ones too, oldest first."""
        known = self.lab.ecs.state.clusters["demo"].instances.values()
        arns = [each.arn for each in known if each.spec.instance_id == name]
        if not arns:
            return []
        shown: list[dict[str, Any]] = self.ecs.describe_container_instances(cluster="demo", containerInstances=arns)[
            "containerInstances"
        ]
        return shown

    def eventually(self, condition: Callable[[], bool]) -> None:
        """Ask until it holds; the test's own timeout is the only clock."""
        while not condition():
            self.ecs.list_clusters()

    def status(self, name: str) -> str:
        return str(self.registrations(name)[-1]["status"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    with ExitStack() as stack:

        def start(*events: Event, **fields: Any) -> World:
            specs = tuple(InstanceSpec(instance_id=name, **fields) for name in (FIRST, SECOND))
            quick = ServiceSpec(start_seconds=0, stop_seconds=0)
            scenario = Scenario(instances=specs, events=events, service=quick)
            lab = stack.enter_context(LabThread(Lab(scenario, tmp_path)))
            stack.callback(lambda: pytest.fail(str(lab.slips)) if lab.slips else None)
            return World(lab)

        yield start


def test_an_instance_is_terminated_while_its_script_runs(world: Callable[..., World]) -> None:
    """The machine dies under the script; ECS deregisters it, and its tasks are replaced elsewhere."""
    there = world(Event(what=Deed.TERMINATE, instance_id=FIRST, when=f"begun:{SCRIPT}", after=0.1))
    mark = there.lab.directory / FIRST / "mark"
    there.caller.send(f"echo on > {mark}; sleep 60; echo off > {mark}", TimeoutSeconds=30)
    there.eventually(lambda: there.status(FIRST) == "INACTIVE")
    assert mark.read_text() == "on\n"
    assert there.registrations(FIRST)[-1]["agentConnected"] is False
    there.eventually(lambda: there.registrations(SECOND)[-1]["runningTasksCount"] == 4)


@pytest.mark.parametrize("login", [OLD_LOGIN, ""])
def test_an_instance_is_replaced(world: Callable[..., World], login: str) -> None:
    """Auto Scaling's newcomer has its own id and what its boot configuration says: an old login, or none."""
    joins = InstanceSpec(instance_id=LATE, auth_data=login, auth_type="dockercfg" if login else "")
    there = world(Event(what=Deed.REPLACE, instance_id=FIRST, when=f"sent:{SCRIPT}", of=SECOND, joins=joins))
    there.caller.ssm.send_command(
        DocumentName=SCRIPT, InstanceIds=[FIRST, SECOND], Parameters={"commands": ["sleep 1"]}
    )
    there.eventually(lambda: bool(there.registrations(LATE)) and there.registrations(LATE)[-1]["agentConnected"])
    assert there.status(FIRST) == "INACTIVE"
    text = there.lab.hosts[LATE].config_file.read_text()
    assert [line for line in text.splitlines() if "AUTH_DATA" in line] == (
        [f"ECS_ENGINE_AUTH_DATA={login}"] if login else []
    )
    known = there.caller.ssm.describe_instance_information()["InstanceInformationList"]
    assert LATE in {each["InstanceId"] for each in known}


def test_an_instance_joins_late_and_runs_commands(world: Callable[..., World]) -> None:
    """Without an occasion an event counts from the lab's start; who joined is like any other."""
    there = world(Event(what=Deed.JOIN, joins=InstanceSpec(instance_id=LATE, service_tasks=0), after=0.2))
    there.eventually(lambda: bool(there.registrations(LATE)) and there.registrations(LATE)[-1]["agentConnected"])
    command = there.caller.ssm.send_command(
        DocumentName=SCRIPT, InstanceIds=[LATE], Parameters={"commands": ["echo $AWS_SSM_INSTANCE_ID"]}
    )["Command"]["CommandId"]

    def output() -> str:
        found = there.caller.ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"]
        return str(found[0]["CommandPlugins"][0]["Output"]) if found and found[0]["CommandPlugins"] else ""

    there.eventually(lambda: output() == f"{LATE}\n")


def test_somebody_else_drains_and_activates(world: Callable[..., World]) -> None:
    """Somebody drains an instance at the second command to another one, and activates it once it is drained."""
    there = world(
        Event(what=Deed.DRAIN, instance_id=FIRST, when=f"ended:{SCRIPT}", of=SECOND, nth=2),
        Event(what=Deed.ACTIVATE, instance_id=FIRST, when="drained", after=0.2),
        Event(what=Deed.DRAIN, instance_id=SECOND, when="active", of=FIRST),
    )
    for expected in ("ACTIVE", "DRAINING"):
        command = there.caller.ssm.send_command(
            DocumentName=SCRIPT, InstanceIds=[SECOND], Parameters={"commands": ["true"]}
        )["Command"]["CommandId"]
        there.eventually(
            lambda command=command: (  # type: ignore[misc]  # bound now
                there.caller.ssm.list_commands(CommandId=command)["Commands"][0]["Status"] == "Success"
            )
        )
        there.eventually(lambda expected=expected: there.status(FIRST) == expected)  # type: ignore[misc]  # bound now
    there.eventually(lambda: there.status(FIRST) == "ACTIVE" and there.status(SECOND) == "DRAINING")


def test_managed_scaling_takes_a_drained_instance_away(world: Callable[..., World]) -> None:
    """An instance that has been drained is terminated; one with a standalone task is not drained."""
    there = world(
        Event(what=Deed.TERMINATE, instance_id=FIRST, when="drained"),
        Event(what=Deed.TERMINATE, instance_id=SECOND, when="drained"),
    )
    there.ecs.start_task(
        cluster="demo",
        taskDefinition="web",
        containerInstances=[there.registrations(SECOND)[-1]["containerInstanceArn"]],
    )
    for name in (FIRST, SECOND):
        arn = there.registrations(name)[-1]["containerInstanceArn"]
        there.ecs.update_container_instances_state(cluster="demo", containerInstances=[arn], status="DRAINING")
        if name == FIRST:
            there.eventually(lambda: there.status(FIRST) == "INACTIVE")
    assert there.status(SECOND) == "DRAINING"


def test_an_agent_updates_itself(world: Callable[..., World]) -> None:
    """A new version in a new container, the same registration, its tasks kept; the environment is read again (F18)."""
    there = world(Event(what=Deed.UPDATE_AGENT, instance_id=FIRST, when="draining", of=SECOND, version="1.107.0"))
    before = there.registrations(FIRST)
    there.ecs.update_container_instances_state(
        cluster="demo", containerInstances=[there.registrations(SECOND)[-1]["containerInstanceArn"]], status="DRAINING"
    )

    def updated() -> bool:
        now = there.registrations(FIRST)[-1]
        return bool(now["agentConnected"]) and now["versionInfo"]["agentVersion"] == "1.107.0"

    there.eventually(updated)
    after = there.registrations(FIRST)
    assert [each["containerInstanceArn"] for each in after] == [each["containerInstanceArn"] for each in before]
    assert there.lab.hosts[FIRST].agent.starts == 2


def test_an_ssm_agent_restarts(world: Callable[..., World]) -> None:
    """The script goes on and its result comes when the agent is back; the inventory says Online all the while (F61)."""
    there = world(Event(what=Deed.RESTART_SSM, instance_id=FIRST, when=f"begun:{SCRIPT}", away=1.5))
    mark = there.lab.directory / FIRST / "mark"
    command = there.caller.send(f"sleep 0.2; echo done > {mark}; echo result")
    there.eventually(mark.exists)
    information = there.caller.ssm.describe_instance_information()["InstanceInformationList"]
    assert {each["PingStatus"] for each in information} == {"Online"}
    got = there.caller.ssm.get_command_invocation(CommandId=command, InstanceId=FIRST)
    assert got["Status"] == "InProgress"
    assert there.caller.wait(command)["StandardOutputContent"] == "result\n"


def test_an_event_that_fails_is_a_fault_of_the_lab(tmp_path: Path) -> None:
    """What an event raised is raised at the lab's end, not passed over."""
    event = Event(what=Deed.TERMINATE, instance_id=LATE)
    with pytest.raises(KeyError), LabThread(Lab(Scenario(events=(event,)), tmp_path)) as lab:
        Caller(lab).client("ecs").list_clusters()
