"""`generations` in the lab: who runs what, and everything that can bring the old credential back."""

import base64
import json
from collections.abc import Callable
from typing import Any

import boto3

from orchestrator.lab.scenario import InstanceSpec, Ssm
from tests.scenario.conftest import Answer, Workplace, fleet

Start = Callable[..., Workplace]


def look(place: Workplace, *more: str) -> Answer:
    quick = ("--poll-seconds=0.2", "--delivery-seconds=30")
    return place.cli("generations", "--cluster", place.lab.scenario.cluster, *quick, *more)


def renew(place: Workplace, password: str) -> None:
    """Give the secret another login that the registry takes."""
    place.lab.registry.logins["puller"] = (*place.lab.registry.logins["puller"], password)
    login = {place.lab.registry_name: {"username": "puller", "password": password}}
    boto3.client("secretsmanager").put_secret_value(SecretId="registry", SecretString=json.dumps(login))


def remedy(answer: Answer) -> str:
    return str(next(each["remedy"] for each in answer.report["doubts"] if each["doubt"] == "not_ours"))


def doubts(answer: Answer) -> set[tuple[str, str]]:
    return {(each["doubt"], each["what"]) for each in answer.report["doubts"]}


def test_a_rotation_seen_from_outside(workplace: Start) -> None:
    """Before, half-way and after: unknown, in use by whom, then no longer used since the run that left nobody."""
    place = workplace(*fleet(2))
    source = place.put_secret()
    before = look(place, "--check")
    assert before.code == 1
    assert "unknown(not_ours): i-00000000000000000, i-00000000000000001" in before.out
    assert "ecs-rollout plan --cluster demo --credential SOURCE\n" in before.out  # nobody has said which
    assert remedy(look(place, "--credential", source, "--output", "json")).endswith(f"--credential {source}`.")
    assert place.rollout("run").code == 0
    renew(place, "the-next-one")
    one = fleet(2)[0].instance_id
    assert place.rollout("run", f"--instance={one}").code == 0
    half = look(place, "--credential", source, "--output", "json")
    assert half.report["verdict"] == "in_use"
    assert [each["credential"] for each in half.report["generations"]] == ["as given, AWSCURRENT", "AWSPREVIOUS"]
    assert half.report["summary"] == f"The previous credential is still used by {fleet(2)[1].instance_id}."
    done = place.rollout("run", "--output", "json")
    after = look(place, "--credential", source, "--check", "--output", "json")
    assert after.code == 0, after.out
    assert after.report["verdict"] == "unused"
    assert after.report["since"] == done.report["run"]["ended_at"]
    calls = {each.operation for each in place.lab.recorder.exchanges}
    assert place.touched() == [each.instance_id for each in fleet(2)]
    assert "the-next-one" not in "".join(place.said)
    assert not calls & {"UpdateContainerInstancesState", "PutAttributes"}


def test_everything_that_could_bring_it_back_is_named(workplace: Start) -> None:
    """An offline instance, a member that never joined, user data with the old login, an object that was not read."""
    workplace(publish=False)  # the first lab only prepares the AWS that both share
    coded = base64.b64encode(
        b"#!/bin/bash\naws s3 cp s3://conf/ecs.config /etc/ecs/ecs.config\n"
        b"echo ECS_ENGINE_AUTH_TYPE=docker >> f\necho 'ECS_ENGINE_AUTH_DATA={\"r\":{}}' >> f\n"
    ).decode()
    data: Any = {"UserData": coded, "ImageId": "ami-12345678", "InstanceType": "t3.micro"}
    boto3.client("ec2").create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    scaling = boto3.client("autoscaling")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=0, MaxSize=3, DesiredCapacity=2, AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
    )  # fmt: skip
    members = scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"]
    joined, beside = (each["InstanceId"] for each in members)
    place = workplace(
        InstanceSpec(instance_id=joined), InstanceSpec(instance_id="i-0ff00000000000000", ssm=Ssm.CONNECTION_LOST)
    )
    source = place.put_secret()
    assert place.rollout("run", "--max-unreachable=100%").code == 1
    template = "launch template web (version $Latest)"
    everything = {
        ("not_inspected", "i-0ff00000000000000"),
        ("not_in_cluster", beside),
        ("boot_credential", template),
        ("boot_unread", "s3://conf/ecs.config"),
    }
    found = look(place, "--credential", source, "--output", "json")
    assert found.report["verdict"] == "unknown"
    assert doubts(found) == everything

    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="conf")
    lines = f"ECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={json.dumps(place.login)}\n"
    s3.put_object(Bucket="conf", Key="ecs.config", Body=lines)
    told = look(place, "--credential", source, "--boot-config", "s3://conf/ecs.config", "--output", "json")
    assert doubts(told) == everything - {("boot_unread", "s3://conf/ecs.config")}
    assert "new-password" not in "".join(place.said)


def test_a_draining_instance_is_looked_at_too(workplace: Start) -> None:
    """Looking changes nothing, so an instance that somebody drains is asked as well."""
    place = workplace(*fleet(1))
    place.put_secret()
    assert place.rollout("run").code == 0
    ecs = boto3.client("ecs")
    arns = ecs.list_container_instances(cluster="demo")["containerInstanceArns"]
    ecs.update_container_instances_state(cluster="demo", containerInstances=arns, status="DRAINING")
    assert look(place, "--output", "json").report["verdict"] == "unused"


def test_what_is_not_allowed_is_a_doubt_and_no_error(workplace: Start) -> None:
    """Who may not look at Auto Scaling groups gets the rest, with the missing permission as the doubt."""
    place = workplace(*fleet(1))
    place.put_secret()
    assert place.rollout("run").code == 0
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "autoscaling:*", "Resource": "*"}
    place.lab.access.enforce({"Version": "2012-10-17", "Statement": [everything, denied]})
    found = look(place, "--output", "json")
    assert found.code == 0
    assert found.report["doubts"][0]["seen"] == "Not allowed: autoscaling:DescribeAutoScalingInstances."
    assert found.report["verdict"] == "unknown"
