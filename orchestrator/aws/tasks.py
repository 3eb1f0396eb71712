"""Tasks on container instances: what they are, what they need, and where there is room. Reads only."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.aws.ecs import attributes_of, describe, list_arns
from orchestrator.aws.session import code_of, translated
from orchestrator.core.capacity import Capacity, Load, Room, ServiceLoad

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.literals import DesiredStatusType
    from mypy_boto3_ecs.type_defs import ContainerInstanceTypeDef, ServiceTypeDef, TaskTypeDef

_PAGE = 100
_SERVICES_AT_ONCE = 10


def tasks_on(
    client: "ECSClient", cluster: str, arns: Iterable[str], *, leaving: bool
) -> "Iterator[tuple[str, TaskTypeDef]]":
    """Yield the tasks on these that have not stopped, each with its container instance.

    `leaving`: those that were asked to stop, too. ECS counts them no longer, though they still serve (F81).
    """
    wanted: tuple[DesiredStatusType, ...] = ("RUNNING", "STOPPED") if leaving else ("RUNNING",)
    where = {task: arn for arn in arns for desired in wanted for task in _listed(client, cluster, arn, desired)}
    tasks = list(where)
    for start in range(0, len(tasks), _PAGE):
        with translated("ecs:DescribeTasks"):
            answer = client.describe_tasks(cluster=cluster, tasks=tasks[start : start + _PAGE])
        # ECS lists stopped tasks for an hour.
        yield from ((where[each["taskArn"]], each) for each in answer["tasks"] if each["lastStatus"] != "STOPPED")


def service_of(task: "TaskTypeDef") -> str:
    """Name a task's service; empty for a standalone task."""
    kind, _, name = task.get("group", "").partition(":")
    return name if kind == "service" else ""


def read_capacity(client: "ECSClient", cluster: str, arns: Sequence[str]) -> Capacity:
    """Read what the tasks on these take, their services, and what every ACTIVE, connected instance has left."""
    loads: dict[str, list[Load]] = {arn: [] for arn in arns}
    for arn, task in tasks_on(client, cluster, arns, leaving=False):
        loads[arn].append(_load(task))
    names = sorted({load.service for each in loads.values() for load in each if load.service})
    return Capacity(
        rooms=dict(_rooms(client, cluster)),
        loads=loads,
        services=_services(client, cluster, names),
    )


def _listed(client: "ECSClient", cluster: str, arn: str, desired: "DesiredStatusType") -> list[str]:
    with translated("ecs:ListTasks"):
        try:
            pages = client.get_paginator("list_tasks").paginate(
                cluster=cluster, containerInstance=arn, desiredStatus=desired, PaginationConfig={"PageSize": _PAGE}
            )
            return [task for page in pages for task in page["taskArns"]]
        except ClientError as error:
            if code_of(error) == "InvalidParameterException":  # the instance is gone, and its tasks with it
                return []
            raise


def _rooms(client: "ECSClient", cluster: str) -> Iterator[tuple[str, Room]]:
    for each in describe(client, cluster, list_arns(client, cluster)):
        # Where Linux tasks cannot go is no room for them.
        windows = attributes_of(each).get("ecs.os-type") == "windows"
        if each.get("agentConnected") and each["status"] == "ACTIVE" and not windows:
            yield each["containerInstanceArn"], _room(each)


def _room(raw: "ContainerInstanceTypeDef") -> Room:
    left = {each.get("name"): each.get("integerValue", 0) for each in raw.get("remainingResources", [])}
    return Room(cpu=left.get("CPU", 0), memory=left.get("MEMORY", 0))


def _load(task: "TaskTypeDef") -> Load:
    """Read what ECS reserves for a task: its own size where it has one, else the sum of its containers'.

    Overrides come first; where there is no soft limit of memory, the hard one is reserved.
    """
    overrides = task.get("overrides", {})
    own = (overrides, task)
    named = {each.get("name", ""): each for each in overrides.get("containerOverrides", [])}
    containers = [(named.get(each.get("name", ""), {}), each) for each in task.get("containers", [])]
    return Load(
        service=service_of(task),
        cpu=_first(own, "cpu") or sum(_first(each, "cpu") for each in containers),
        memory=_first(own, "memory") or sum(_first(each, "memoryReservation", "memory") for each in containers),
    )


def _first(sources: Iterable[Mapping[str, object]], *names: str) -> int:
    """Read the first size that is there: ECS writes those of tasks and containers as text, of overrides as numbers."""
    return next((int(str(each[name])) for name in names for each in sources if each.get(name)), 0)


def _services(client: "ECSClient", cluster: str, names: Sequence[str]) -> Mapping[str, ServiceLoad]:
    found: dict[str, ServiceLoad] = {}
    for start in range(0, len(names), _SERVICES_AT_ONCE):
        with translated("ecs:DescribeServices"):
            answer = client.describe_services(cluster=cluster, services=list(names[start : start + _SERVICES_AT_ONCE]))
        found |= {each["serviceName"]: _service(each) for each in answer["services"]}
    return found


def _service(raw: "ServiceTypeDef") -> ServiceLoad:
    """Read a service; the defaults are those of a replica service (blue/green and external deployments say none)."""
    bounds = raw.get("deploymentConfiguration", {})
    return ServiceLoad(
        desired=raw.get("desiredCount", 0),
        running=raw.get("runningCount", 0),
        minimum_percent=bounds.get("minimumHealthyPercent", 100),
        maximum_percent=bounds.get("maximumPercent", 200),
        daemon=raw.get("schedulingStrategy") == "DAEMON",
    )
