"""The Auto Scaling groups around a cluster: their members, their warm pools, and the user data they launch with."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.aws.session import translated

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef, LaunchTemplateSpecificationTypeDef
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import DescribeLaunchTemplateVersionsRequestTypeDef
    from mypy_boto3_ecs import ECSClient

_MANY = 50
_GROUP_NAME = "autoScalingGroupName/"


@dataclass(frozen=True, slots=True, order=True)
class Launch:
    """What a group launches with: a template at a version (`$Latest`, `$Default`, a number), or a configuration."""

    name: str
    version: str = ""
    template_id: str = ""

    def __str__(self) -> str:
        if not self.version:
            return f"launch configuration {self.name}"
        return f"launch template {self.name} (version {self.version})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One Auto Scaling group. `warm`: it keeps a warm pool."""

    name: str
    members: frozenset[str]
    launches: tuple[Launch, ...]
    warm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingGroups:
    """Reads the groups. Every method raises EnvironmentFault."""

    autoscaling: "AutoScalingClient"
    ec2: "EC2Client"
    ecs: "ECSClient"

    def around(self, providers: Sequence[str], instance_ids: Iterable[str]) -> tuple[Group, ...]:
        """Find the groups of these instances and of a cluster's capacity `providers`, which may have none yet."""
        return self._describe(sorted(self._of_instances(instance_ids) | self._of_providers(providers)))

    def _of_instances(self, instance_ids: Iterable[str]) -> set[str]:
        # Instances of ECS Anywhere are nobody's (F82), and an id of theirs fails the call.
        wanted = sorted(each for each in instance_ids if each.startswith("i-"))
        found: set[str] = set()
        for start in range(0, len(wanted), _MANY):
            with translated("autoscaling:DescribeAutoScalingInstances"):
                answer = self.autoscaling.describe_auto_scaling_instances(InstanceIds=wanted[start : start + _MANY])
            found |= {each["AutoScalingGroupName"] for each in answer["AutoScalingInstances"]}
        return found

    def _of_providers(self, providers: Sequence[str]) -> set[str]:
        if not providers:
            return set()
        with translated("ecs:DescribeCapacityProviders"):
            answer = self.ecs.describe_capacity_providers(capacityProviders=list(providers))
        arns = [
            each["autoScalingGroupProvider"]["autoScalingGroupArn"]
            for each in answer["capacityProviders"]
            if "autoScalingGroupProvider" in each
        ]
        return {arn.partition(_GROUP_NAME)[2] for arn in arns}

    def _describe(self, names: list[str]) -> tuple[Group, ...]:
        found: list[Group] = []
        for start in range(0, len(names), _MANY):
            with translated("autoscaling:DescribeAutoScalingGroups"):
                pages = self.autoscaling.get_paginator("describe_auto_scaling_groups").paginate(
                    AutoScalingGroupNames=names[start : start + _MANY]
                )
                found += [_group(each) for page in pages for each in page["AutoScalingGroups"]]
        return tuple(found)

    def warm_pool(self, group: str) -> frozenset[str]:
        """List the instances that wait in a group's warm pool."""
        with translated("autoscaling:DescribeWarmPool"):
            pages = self.autoscaling.get_paginator("describe_warm_pool").paginate(AutoScalingGroupName=group)
            return frozenset(each["InstanceId"] for page in pages for each in page["Instances"])

    def user_data(self, launch: Launch) -> bytes:
        """Read the user data of a launch, decoded; empty where it has none. The caller must not show it."""
        text = self._of_template(launch) if launch.version else self._of_configuration(launch)
        try:
            return base64.b64decode(text, validate=False)
        except (binascii.Error, ValueError):
            return text.encode()

    def _of_template(self, launch: Launch) -> str:
        request: DescribeLaunchTemplateVersionsRequestTypeDef = {"Versions": [launch.version]}
        if launch.template_id:
            request["LaunchTemplateId"] = launch.template_id
        else:
            request["LaunchTemplateName"] = launch.name
        with translated("ec2:DescribeLaunchTemplateVersions"):
            versions = self.ec2.describe_launch_template_versions(**request)["LaunchTemplateVersions"]
        return next((each["LaunchTemplateData"].get("UserData", "") for each in versions), "")

    def _of_configuration(self, launch: Launch) -> str:
        with translated("autoscaling:DescribeLaunchConfigurations"):
            answer = self.autoscaling.describe_launch_configurations(LaunchConfigurationNames=[launch.name])
        return next((each.get("UserData", "") for each in answer["LaunchConfigurations"]), "")


def _group(raw: "AutoScalingGroupTypeDef") -> Group:
    return Group(
        name=raw["AutoScalingGroupName"],
        members=frozenset(each["InstanceId"] for each in raw.get("Instances", [])),
        launches=tuple(sorted(set(_launches(raw)))),
        warm="WarmPoolConfiguration" in raw,
    )


def _launches(raw: "AutoScalingGroupTypeDef") -> Iterator[Launch]:
    """Name everything that the group launches with: its template or configuration, and each override's own."""
    if raw.get("LaunchConfigurationName"):
        yield Launch(raw["LaunchConfigurationName"])
    if "LaunchTemplate" in raw:
        yield _template(raw["LaunchTemplate"])
    mixed = raw.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    if "LaunchTemplateSpecification" in mixed:
        yield _template(mixed["LaunchTemplateSpecification"])
    for each in mixed.get("Overrides", []):
        if "LaunchTemplateSpecification" in each:
            yield _template(each["LaunchTemplateSpecification"])


def _template(raw: "LaunchTemplateSpecificationTypeDef") -> Launch:
    name, identity = raw.get("LaunchTemplateName", ""), raw.get("LaunchTemplateId", "")
    return Launch(name or identity, raw.get("Version", "$Default"), identity)
