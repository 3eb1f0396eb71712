"""The demo's twelve instances through the endpoint: commands, container instances and agents tell one story."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import AfterRestart, InstanceSpec, Scenario, Ssm
from orchestrator.lab.scenario_file import packaged

TASK_ARNS = "docker ps --no-trunc --filter label=com.amazonaws.ecs.task-arn --format {{.ID}}"


def demo() -> Scenario:
    """The demo's fleet; its instances restart faster."""
    scenario = packaged("demo")
    quick = tuple(replace(spec, restart_seconds=(0.05, 0.1)) for spec in scenario.instances)
    return replace(scenario, instances=quick)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with LabThread(Lab(demo(), tmp_path)) as running:
        yield running
        assert running.server.slips == []


class Operator:
    """Somebody with boto3 and the lab's exports."""

    def __init__(self, lab: Lab) -> None:
        exports = lab.exports()
        session = boto3.Session(
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
            region_name=exports["AWS_DEFAULT_REGION"],
        )
        self.ssm: Any = session.client("ssm", endpoint_url=exports["AWS_ENDPOINT_URL"])
        self.ecs: Any = session.client("ecs", endpoint_url=exports["AWS_ENDPOINT_URL"])
        self.cluster = lab.scenario.cluster

    def shell(self, instances: Sequence[str], *commands: str) -> dict[str, str]:
        """Run shell lines on instances; return each one's first line of output."""
        sent = self.ssm.send_command(
            InstanceIds=list(instances), DocumentName="AWS-RunShellScript", Parameters={"commands": list(commands)}
        )
        command = sent["Command"]["CommandId"]

        def invocations() -> list[Any]:
            pages = self.ssm.get_paginator("list_command_invocations").paginate(CommandId=command, Details=True)
            return [each for page in pages for each in page["CommandInvocations"]]

        until(lambda: len(done := invocations()) == len(instances) and all(each["Status"] in ENDED for each in done))
        found = invocations()
        assert {each["StatusDetails"] for each in found} == {"Success"}, found
        return {each["InstanceId"]: each["CommandPlugins"][0]["Output"].partition("\n")[0] for each in found}

    def described(self) -> dict[str, Any]:
        """All registrations by ARN."""
        pages = self.ecs.get_paginator("list_container_instances").paginate(cluster=self.cluster)
        arns = [arn for page in pages for arn in page["containerInstanceArns"]]
        reply = self.ecs.describe_container_instances(cluster=self.cluster, containerInstances=arns)
        return {each["containerInstanceArn"]: each for each in reply["containerInstances"]}

    def connected(self, instance_id: str) -> list[str]:
        """The instance's registrations whose agent is connected."""
        seen = self.described()
        return [arn for arn, each in seen.items() if each["ec2InstanceId"] == instance_id and each["agentConnected"]]


ENDED = {"Success", "Failed", "TimedOut", "Cancelled"}


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again; the test's own timeout is the limit."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.05)


def the(lab: Lab, chosen: Callable[[InstanceSpec], bool]) -> str:
    return next(spec.instance_id for spec in lab.scenario.instances if chosen(spec))


def test_a_fleet_is_listed_described_and_commanded(lab: Lab) -> None:
    """Twelve instances in three zones; a shell line runs on each that is online, each with its own tasks."""
    operator = Operator(lab)
    seen = operator.described()
    assert len(seen) == 12
    attributes = [each for row in seen.values() for each in row["attributes"]]
    zones = {each["value"] for each in attributes if each["name"] == "ecs.availability-zone"}
    assert zones == {"us-east-1a", "us-east-1b", "us-east-1c"}
    rows = operator.ssm.describe_instance_information(MaxResults=50)["InstanceInformationList"]
    online = [row["InstanceId"] for row in rows if row["PingStatus"] == "Online"]
    assert set(lab.hosts) - set(online) == {the(lab, lambda spec: spec.ssm is Ssm.CONNECTION_LOST)}
    counted = operator.shell(online, f"{TASK_ARNS} | wc -l")
    assert counted == {
        row["ec2InstanceId"]: str(row["runningTasksCount"]) for row in seen.values() if row["ec2InstanceId"] in online
    }


def test_a_restart_on_the_instance_is_seen_in_ecs(lab: Lab) -> None:
    """A persistent agent returns under its ARN, an ephemeral one leaves a ghost with its tasks (F31, F33)."""
    operator = Operator(lab)
    kept = the(lab, lambda spec: not spec.troubled)
    lost = the(lab, lambda spec: not spec.persistent)
    before = {each: operator.connected(each) for each in (kept, lost)}
    operator.shell([kept, lost], "systemctl restart ecs")
    until(lambda: all(operator.connected(each) for each in (kept, lost)))
    assert operator.connected(kept) == before[kept]
    (fresh,) = operator.connected(lost)
    assert [fresh] != before[lost]
    ghost = operator.described()[before[lost][0]]
    assert (ghost["agentConnected"], ghost["runningTasksCount"]) == (False, 3)
    assert operator.described()[fresh]["runningTasksCount"] == 0
    assert operator.shell([lost], f"{TASK_ARNS} | wc -l") == {lost: "3"}


def test_draining_moves_tasks_between_real_instances(lab: Lab) -> None:
    """Service tasks leave the instance and run elsewhere; the standalone one stays until it is stopped (F81)."""
    operator = Operator(lab)
    instance = the(lab, lambda spec: not spec.persistent)
    (arn,) = operator.connected(instance)
    total = sum(row["runningTasksCount"] for row in operator.described().values())
    operator.ecs.update_container_instances_state(cluster=operator.cluster, containerInstances=[arn], status="DRAINING")
    until(lambda: operator.shell([instance], f"{TASK_ARNS} | wc -l") == {instance: "1"})
    seen = operator.described()
    assert (seen[arn]["status"], seen[arn]["runningTasksCount"]) == ("DRAINING", 1)
    until(lambda: sum(row["runningTasksCount"] for row in operator.described().values()) == total)
    (left,) = operator.ecs.list_tasks(cluster=operator.cluster, containerInstance=arn)["taskArns"]
    operator.ecs.stop_task(cluster=operator.cluster, task=left)
    until(lambda: operator.shell([instance], f"{TASK_ARNS} | wc -l") == {instance: "0"})


def test_a_broken_agent_is_healed_by_the_old_file(lab: Lab) -> None:
    """The agent that does not take the new credential is gone for ECS, and back with the old file."""
    operator = Operator(lab)
    instance = the(lab, lambda spec: spec.after_restart is AfterRestart.STAYS_DOWN)
    (arn,) = operator.connected(instance)
    file = lab.hosts[instance].config_file
    edit = f"cp {file} {file}.old; sed -i 's/^ECS_ENGINE_AUTH_DATA=.*/ECS_ENGINE_AUTH_DATA={{}}/' {file}"
    operator.shell([instance], edit, "systemctl restart ecs")
    until(lambda: operator.connected(instance) == [])
    assert operator.shell([instance], "systemctl is-active ecs") == {instance: "active"}
    operator.shell([instance], f"mv {file}.old {file}; systemctl restart ecs")
    until(lambda: operator.connected(instance) == [arn])
