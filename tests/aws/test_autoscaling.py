"""Auto Scaling groups are found by their members and by the cluster's capacity providers; user data is read decoded."""

import base64
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from orchestrator.aws.autoscaling import Launch, ScalingGroups

TEXT = "#!/bin/bash\necho ECS_CLUSTER=web >> /etc/ecs/ecs.config\n"
CODED = base64.b64encode(TEXT.encode()).decode()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


class Ecs:
    """Each capacity provider is a group of its name, `FARGATE` is none."""

    def describe_capacity_providers(self, *, capacityProviders: list[str]) -> Any:  # noqa: N803 - boto3's name
        arn = "arn:aws:autoscaling:us-east-1:1:autoScalingGroup:u:autoScalingGroupName/"
        return {
            "capacityProviders": [
                {
                    "name": each,
                    **(
                        {}
                        if each == "FARGATE"
                        else {"autoScalingGroupProvider": {"autoScalingGroupArn": f"{arn}{each}"}}
                    ),
                }
                for each in capacityProviders
            ]
        }


def groups() -> ScalingGroups:
    ecs: Any = Ecs()
    return ScalingGroups(autoscaling=boto3.client("autoscaling"), ec2=boto3.client("ec2"), ecs=ecs)


def template(name: str, user_data: str = CODED) -> str:
    data: Any = {
        "ImageId": "ami-12345678",
        "InstanceType": "t3.micro",
        **({"UserData": user_data} if user_data else {}),
    }
    made = boto3.client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    return made["LaunchTemplate"]["LaunchTemplateId"]


def group(name: str, *, size: int = 0, **launch: Any) -> None:
    boto3.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=9,
        DesiredCapacity=size,
        AvailabilityZones=["us-east-1a"],
        **launch,
    )


def members(name: str) -> list[str]:
    found = boto3.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return [each["InstanceId"] for each in found[0]["Instances"]]


def test_a_group_is_found_by_one_of_its_members() -> None:
    """One instance of the cluster tells of its group, and the group of all its instances and of what it launches."""
    identity = template("web-t")
    group("web", size=2, LaunchTemplate={"LaunchTemplateName": "web-t", "Version": "$Latest"})
    group("other", size=1, LaunchTemplate={"LaunchTemplateName": "web-t"})
    one, two = members("web")
    (found,) = groups().around((), [one, "i-00000000000000009", "mi-0123"])
    assert (found.name, found.members, found.warm) == ("web", frozenset({one, two}), False)
    assert found.launches == (Launch("web-t", "$Latest", identity),)


def test_an_empty_group_is_found_by_its_capacity_provider() -> None:
    """A group that was scaled to nothing still launches the next instances; Fargate is no group."""
    template("web-t")
    group("empty", LaunchTemplate={"LaunchTemplateName": "web-t"})
    assert [each.name for each in groups().around(("FARGATE", "empty", "gone"), [])] == ["empty"]


def test_every_way_to_launch_is_named() -> None:
    """Launch configurations, mixed instances and their overrides, each once."""
    first, second = template("first"), template("second")
    boto3.client("autoscaling").create_launch_configuration(
        LaunchConfigurationName="old", ImageId="ami-12345678", InstanceType="t3.micro", UserData=TEXT
    )
    group("old", LaunchConfigurationName="old")
    specification = {"LaunchTemplateId": first, "Version": "$Default"}
    override = {"InstanceType": "t3.large", "LaunchTemplateSpecification": {"LaunchTemplateId": second, "Version": "1"}}
    policy = {"LaunchTemplate": {"LaunchTemplateSpecification": specification, "Overrides": [override]}}
    group("mixed", MixedInstancesPolicy=policy)
    found = {each.name: each.launches for each in groups().around(("old", "mixed"), [])}
    assert found["old"] == (Launch("old"),)
    assert {each.template_id for each in found["mixed"]} == {first, second}
    assert groups().user_data(Launch("old")) == TEXT.encode()


def test_user_data_is_read_decoded() -> None:
    """A template's user data comes as it was written; one without any is empty."""
    with_it, without = template("web-t"), template("bare", user_data="")
    assert groups().user_data(Launch("web-t", "$Latest", with_it)) == TEXT.encode()
    assert groups().user_data(Launch("web-t", "1")) == TEXT.encode()
    assert groups().user_data(Launch("bare", "$Default", without)) == b""


def test_a_warm_pool_is_listed() -> None:
    """A group with a warm pool says so; what waits in it is listed."""
    template("web-t")
    group("web", LaunchTemplate={"LaunchTemplateName": "web-t"})
    boto3.client("autoscaling").put_warm_pool(AutoScalingGroupName="web", MinSize=1)
    (found,) = groups().around(("web",), [])
    assert found.warm
    assert groups().warm_pool("web") == frozenset()
