"""The whole lab: real scripts on simulated instances, through the endpoint, with unmodified boto3."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator.lab.faults import ApiFaults
from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import InstanceSpec, Scenario
from orchestrator.lab.wire import SystemClock
from tests.lab.bench import instance_id

FIRST = instance_id(0)

# What an instance's script does to fetch its payload: token, role, credentials, a signed call (F77).
FETCH = r"""#!/bin/bash
imds='{{ MetadataServiceUrl }}'
token=$(curl -qsS --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/latest/api/token")
ask() { curl -qsS --noproxy '*' -H "X-aws-ec2-metadata-token: $token" "$imds/latest/meta-data/$1"; }
given=$(ask "iam/security-credentials/$(ask iam/security-credentials/)")
field() { printf '%s\n' "$given" | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' \
  "$(field AccessKeyId)" "$(field SecretAccessKey)" "$(field Token)" |
curl -qsS --noproxy '*' -K - --aws-sigv4 aws:amz:us-east-1:ssm -H 'Content-Type: application/x-amz-json-1.1' \
  -H 'X-Amz-Target: AmazonSSM.GetParameter' --data '{"Name":"{{ Name }}","WithDecryption":true}' '{{ Url }}/'
"""


def scenario(count: int = 2, **api: Any) -> Scenario:
    return Scenario(
        api=ApiFaults(**api), instances=tuple(InstanceSpec(instance_id=instance_id(n)) for n in range(count))
    )


class Caller:
    """A user of the lab who has nothing but its exports."""

    def __init__(self, lab: Lab) -> None:
        exports = lab.exports()
        self._session = boto3.Session(
            aws_access_key_id=exports["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=exports["AWS_SECRET_ACCESS_KEY"],
            region_name=exports["AWS_DEFAULT_REGION"],
        )
        self._url = exports["AWS_ENDPOINT_URL"]
        self.ssm: Any = self.client("ssm")

    def client(self, service: Any) -> Any:
        return self._session.client(service, endpoint_url=self._url)

    def send(self, script: str, **more: Any) -> str:
        request = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": [script]}} | more
        command: str = self.ssm.send_command(InstanceIds=[FIRST], **request)["Command"]["CommandId"]
        return command

    def wait(self, command: str) -> dict[str, Any]:
        """Ask until the invocation has ended; the test's own timeout is the only clock."""
        while True:
            got: dict[str, Any] = self.ssm.get_command_invocation(CommandId=command, InstanceId=FIRST)
            if got["Status"] not in {"Pending", "InProgress", "Cancelling"}:
                return got


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with LabThread(Lab(scenario(), tmp_path)) as running:
        yield running
        assert running.slips == ()


def test_a_command_really_runs(lab: Lab) -> None:
    """A shell on the instance ran it; code, both texts and times come back."""
    caller = Caller(lab)
    got = caller.wait(caller.send("echo out of $AWS_SSM_INSTANCE_ID; echo err >&2; exit 3"))
    assert (got["Status"], got["ResponseCode"]) == ("Failed", 3)
    assert got["StandardOutputContent"] == f"out of {FIRST}\n"
    assert got["StandardErrorContent"].startswith("err\n")


def test_cancel_kills_a_running_script(lab: Lab) -> None:
    """The script dies without its trap (F56)."""
    caller = Caller(lab)
    mark = lab.hosts[FIRST].root / "mark"
    command = caller.send(f"trap 'echo trapped >> {mark}' EXIT TERM; echo on > {mark}; sleep 60")
    while not mark.exists():
        caller.ssm.list_commands()
    caller.ssm.cancel_command(CommandId=command)
    assert caller.wait(command)["Status"] == "Cancelled"
    assert mark.read_text() == "on\n"


def test_a_script_fetches_its_payload_with_its_instances_own_role(lab: Lab) -> None:
    """From metadata service to signed call: the way of every payload, and the lab knows who asked."""
    caller = Caller(lab)
    caller.ssm.put_parameter(Name="/run/payload", Value="the payload", Type="SecureString")
    parameters = {
        "MetadataServiceUrl": {"type": "String", "default": "http://169.254.169.254"},
        "Name": {"type": "String"},
        "Url": {"type": "String"},
    }
    step = {"name": "fetchIt", "action": "aws:runShellScript", "inputs": {"runCommand": FETCH.splitlines()}}
    content = {"schemaVersion": "2.2", "parameters": parameters, "mainSteps": [step]}
    caller.ssm.create_document(Name="fetch", DocumentType="Command", Content=json.dumps(content))
    given = {"Name": ["/run/payload:1"], "Url": [lab.url]}
    got = caller.wait(caller.send("", DocumentName="fetch", Parameters=given))
    assert json.loads(got["StandardOutputContent"])["Parameter"]["Value"] == "the payload"
    (read,) = lab.recorder.of("GetParameter")
    assert lab.access.instances[read.caller] == FIRST


def test_the_exports_are_enough_for_a_plain_session(lab: Lab, tmp_path: Path) -> None:
    """A process with only the exports in its environment reaches the lab and nothing else."""
    script = "import boto3; print(len(boto3.client('ssm').describe_instance_information()['InstanceInformationList']))"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | lab.exports()
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


def test_container_instances_and_managed_instances_are_the_same_machines(lab: Lab) -> None:
    """ECS and SSM tell of the same fleet."""
    caller = Caller(lab)
    ecs = caller.client("ecs")
    arns = ecs.list_container_instances(cluster="demo")["containerInstanceArns"]
    seen = ecs.describe_container_instances(cluster="demo", containerInstances=arns)["containerInstances"]
    managed = caller.ssm.describe_instance_information()["InstanceInformationList"]
    assert {row["ec2InstanceId"] for row in seen} == {row["InstanceId"] for row in managed} == set(lab.hosts)
    assert all(row["agentConnected"] for row in seen)


def test_a_staging_label_is_on_one_version(lab: Lab) -> None:
    """What moto forgets when AWSCURRENT is moved: a value that is put afterwards takes the label from that version."""
    secrets = Caller(lab).client("secretsmanager")
    first = secrets.create_secret(Name="login", SecretString="1")["VersionId"]
    second = secrets.put_secret_value(SecretId="login", SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    secrets.update_secret_version_stage(
        SecretId="login", VersionStage="AWSCURRENT", RemoveFromVersionId=first, MoveToVersionId=second
    )
    third = secrets.put_secret_value(SecretId="login", SecretString="3")["VersionId"]
    labels = secrets.describe_secret(SecretId="login")["VersionIdsToStages"]
    assert [version for version, stages in labels.items() if "AWSCURRENT" in stages] == [third]
    assert [version for version, stages in labels.items() if "AWSPREVIOUS" in stages] == [second]
    assert secrets.get_secret_value(SecretId="login")["SecretString"] == "3"


def test_a_taken_port_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    """OSError, no thread that stays."""
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"), LabThread(Lab(scenario(), tmp_path, port=port)):
            pass
    assert set(threading.enumerate()) <= before


def test_a_wanted_port_is_used_and_free_again(tmp_path: Path) -> None:
    """One lab after the other may have the same address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for number in range(2):
        with LabThread(Lab(scenario(1), tmp_path / str(number), port=port)) as running:
            assert running.url == f"http://127.0.0.1:{port}"
            assert len(Caller(running).ssm.describe_instance_information()["InstanceInformationList"]) == 1


def _is_alive(pid: int) -> bool:
    """A process that is dead but not collected yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.timeout(30)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see other processes")
def test_a_lab_ends_while_scripts_run(tmp_path: Path) -> None:
    """Leaving the lab kills what still runs on its instances."""
    with LabThread(Lab(scenario(1), tmp_path)) as running:
        mark = running.hosts[FIRST].root / "pid"
        caller = Caller(running)
        caller.send(f"echo $$ > {mark}.new; mv {mark}.new {mark}; sleep 600")
        while not mark.exists():
            caller.ssm.list_commands()
        pid = int(mark.read_text())
    # The kernel may take a moment to deliver the kill; the mark above is the limit.
    while _is_alive(pid):
        pass


async def test_a_lab_runs_in_a_callers_own_loop(tmp_path: Path) -> None:
    """`async with Lab(...)` for asynchronous code."""
    async with Lab(scenario(1), tmp_path) as running:
        reply = await running.ssm.handle("DescribeInstanceInformation", {})
        assert [row["InstanceId"] for row in reply["InstanceInformationList"]] == [FIRST]


def test_the_lab_tells_real_time_by_default(tmp_path: Path) -> None:
    """Without a clock of its own it takes the system's."""
    lab = Lab(scenario(1), tmp_path)
    assert isinstance(lab.clock, SystemClock)
