"""ECS container instances behind the port `Fleet`: list, describe, join with Systems Manager."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.aws.session import code_of, translated
from orchestrator.core.model import Instance, Ping, Platform, Sighting, Status
from orchestrator.core.selection import Labels
from orchestrator.errors import RefusedError
from orchestrator.ports import Commands

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ContainerInstanceTypeDef, ListContainerInstancesRequestPaginateTypeDef

MARK = "ecs-rollout.run"
"""The custom attribute or tag that says which run drained an instance."""

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Cluster:
    """An active cluster: its name, and those of its capacity providers."""

    name: str
    providers: tuple[str, ...] = ()


def find_cluster(client: "ECSClient", cluster: str) -> Cluster:
    """Find a cluster by its name or ARN. Raises RefusedError when ECS knows no such active cluster."""
    with translated("ecs:DescribeClusters"):
        clusters = client.describe_clusters(clusters=[cluster])["clusters"]
    if not clusters or clusters[0].get("status") != "ACTIVE":
        raise RefusedError(
            f"There is no active cluster {cluster!r} in this account and Region.",
            hint="`aws ecs list-clusters` shows those there are; check --cluster and --region.",
        )
    return Cluster(clusters[0]["clusterName"], tuple(clusters[0].get("capacityProviders", ())))


def list_arns(client: "ECSClient", cluster: str, query: str = "") -> list[str]:
    """List the registrations in every status but INACTIVE (F80), or those of them that a cluster query finds."""
    wanted: ListContainerInstancesRequestPaginateTypeDef = {"cluster": cluster, "PaginationConfig": {"PageSize": _PAGE}}
    if query:
        wanted["filter"] = query
    with translated("ecs:ListContainerInstances"):
        pages = client.get_paginator("list_container_instances").paginate(**wanted)
        return [arn for page in pages for arn in page["containerInstanceArns"]]


def describe(client: "ECSClient", cluster: str, arns: Sequence[str]) -> "Iterator[ContainerInstanceTypeDef]":
    """Describe container instances with their tags, 100 in a call (F80); those that ECS does not know are left out."""
    for start in range(0, len(arns), _PAGE):
        with translated("ecs:DescribeContainerInstances"):
            answer = client.describe_container_instances(
                cluster=cluster, containerInstances=list(arns[start : start + _PAGE]), include=["TAGS"]
            )
        yield from answer["containerInstances"]


def attributes_of(raw: "ContainerInstanceTypeDef") -> dict[str, str]:
    """Read the attributes, the agent's own and the custom ones; one without a value has an empty one."""
    return {each["name"]: each.get("value", "") for each in raw.get("attributes", [])}


def tags_of(raw: "ContainerInstanceTypeDef") -> dict[str, str]:
    """Read the tags of the container instance; those of its EC2 instance are others."""
    return {each.get("key", ""): each.get("value", "") for each in raw.get("tags", [])}


def sighting(raw: "ContainerInstanceTypeDef") -> Sighting:
    """Say what ECS says of one container instance."""
    return Sighting(
        arn=raw["containerInstanceArn"],
        status=Status(raw["status"]),
        agent_connected=raw.get("agentConnected", False),
        running_tasks=raw.get("runningTasksCount", 0),
        pending_tasks=raw.get("pendingTasksCount", 0),
        mark=_mark(raw),
    )


def _mark(raw: "ContainerInstanceTypeDef") -> str:
    return attributes_of(raw).get(MARK) or tags_of(raw).get(MARK, "")


class EcsFleet:
    """The container instances of one cluster."""

    def __init__(self, *, client: "ECSClient", commands: Commands, cluster: str) -> None:
        self._client = client
        self._commands = commands
        self._cluster = cluster

    def require_instances(self) -> None:
        """Raise RefusedError for a cluster without container instances."""
        with translated("ecs:ListContainerInstances"):
            answer = self._client.list_container_instances(cluster=self._cluster, maxResults=1)
        if not answer["containerInstanceArns"]:
            raise RefusedError(
                f"The cluster {self._cluster!r} has no container instances.",
                hint="On Fargate there is nothing to roll: use `repositoryCredentials` in the task definition.",
            )

    def discover(self) -> Sequence[Instance]:
        """List every registration in every status but INACTIVE (F80), joined with SSM's ping.

        There may be none, during a run too; `require_instances` refuses a cluster without any beforehand.
        """
        described = list(describe(self._client, self._cluster, list_arns(self._client, self._cluster)))
        managed = self._managed_providers(described)
        pings = self._commands.ping(each.get("ec2InstanceId", "") for each in described if each.get("ec2InstanceId"))
        return [_instance(each, managed, pings) for each in described]

    def describe(self, arns: Sequence[str]) -> Mapping[str, Sighting]:
        """Read these again; one that ECS does not know has no status."""
        seen = {each["containerInstanceArn"]: each for each in describe(self._client, self._cluster, arns)}
        gone = Sighting(arn="", status=None, agent_connected=False, running_tasks=0)
        return {arn: sighting(seen[arn]) if arn in seen else gone for arn in arns}

    def labels(self, arns: Sequence[str]) -> Mapping[str, Labels]:
        """Read the attributes and tags of these, for a selection that asks for them; one that is gone has none."""
        return {
            raw["containerInstanceArn"]: Labels(attributes=attributes_of(raw), tags=tags_of(raw))
            for raw in describe(self._client, self._cluster, arns)
        }

    def _managed_providers(self, described: "Sequence[ContainerInstanceTypeDef]") -> frozenset[str]:
        """Find the capacity providers under which AWS runs the hosts itself (ECS Managed Instances)."""
        names = sorted({each["capacityProviderName"] for each in described if each.get("capacityProviderName")})
        found: set[str] = set()
        for start in range(0, len(names), _PAGE):
            with translated("ecs:DescribeCapacityProviders"):
                try:
                    answer = self._client.describe_capacity_providers(capacityProviders=names[start : start + _PAGE])
                except ClientError as error:
                    if code_of(error) == "ClientException":  # one was deleted meanwhile
                        continue
                    raise
            found.update(each["name"] for each in answer["capacityProviders"] if each.get("managedInstancesProvider"))
        return frozenset(found)


def _platform(raw: "ContainerInstanceTypeDef", managed: frozenset[str]) -> Platform:
    attributes = attributes_of(raw)
    if raw.get("capacityProviderName", "") in managed:
        return Platform.MANAGED
    if attributes.get("ecs.os-type", "linux") == "windows":
        return Platform.WINDOWS
    family = attributes.get("ecs.os-family", "").lower()
    if "bottlerocket" in family or any(name.startswith("bottlerocket.") for name in attributes):
        return Platform.BOTTLEROCKET
    return Platform.LINUX


def _instance(raw: "ContainerInstanceTypeDef", managed: frozenset[str], pings: Mapping[str, Ping]) -> Instance:
    instance_id = raw.get("ec2InstanceId", "")
    attributes = attributes_of(raw)
    return Instance(
        instance_id=instance_id,
        arn=raw["containerInstanceArn"],
        zone=attributes.get("ecs.availability-zone", ""),
        status=Status(raw["status"]),
        platform=_platform(raw, managed),
        ping=pings.get(instance_id, Ping.UNREGISTERED),
        agent_connected=raw.get("agentConnected", False),
        agent_version=raw.get("versionInfo", {}).get("agentVersion", ""),
        running_tasks=raw.get("runningTasksCount", 0),
        pending_tasks=raw.get("pendingTasksCount", 0),
        mark=_mark(raw),
        ami=attributes.get("ecs.ami-id", ""),
    )
