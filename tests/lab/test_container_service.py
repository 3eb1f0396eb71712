"""The lab's ECS has the real limits, pages, errors and statuses, and draining moves what it should."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator.core.capacity import Capacity, Load, Room, ServiceLoad, obstacle
from orchestrator.lab.container_service import ContainerService
from orchestrator.lab.ecs_agent import Registration, TaskToRun
from orchestrator.lab.scenario import InstanceSpec, Platform, Scenario, ServiceSpec
from orchestrator.lab.shapes import shapes_of
from orchestrator.lab.wire import AwsError, SystemClock
from tests.lab.host_support import eventually

QUICK = ServiceSpec(start_seconds=0.0, stop_seconds=0.0)


class Runner:
    """Remembers what ECS asked of an instance."""

    def __init__(self) -> None:
        self.tasks: set[str] = set()

    def run_task(self, task: TaskToRun) -> None:
        self.tasks.add(task.arn)

    def stop_task(self, arn: str) -> None:
        self.tasks.discard(arn)


class Ecs:
    """An engine behind the checks of botocore's own shapes."""

    def __init__(self, **scenario: Any) -> None:
        self.engine = ContainerService(Scenario(**({"service": QUICK} | scenario)), SystemClock())
        self.runners: dict[str, Runner] = {}

    async def __call__(self, operation: str, **params: Any) -> Any:
        shapes = shapes_of("ecs")
        params = {"cluster": "demo"} | params
        for name in ({"cluster"} & set(params)) - _TAKES_CLUSTER.get(operation, {"cluster"}):
            del params[name]
        shapes.check_input(operation, params)
        reply = await self.engine.handle(operation, params)
        shapes.check_output(operation, reply)
        return reply

    async def join(self, spec: InstanceSpec, *, arn: str = "", cluster: str = "demo") -> str:
        runner = Runner()
        found = await self.engine.register(Registration(cluster=cluster, arn=arn, spec=spec), runner)
        self.engine.set_connected(found, True)
        self.runners[found] = runner
        return found

    async def fleet(self, count: int, **fields: Any) -> list[str]:
        return [await self.join(InstanceSpec(instance_id=f"i-{n:017x}", **fields)) for n in range(count)]

    async def shown(self, arn: str) -> Any:
        reply = await self("DescribeContainerInstances", containerInstances=[arn])
        return reply["containerInstances"][0]

    async def drain(self, *arns: str, status: str = "DRAINING") -> Any:
        return await self("UpdateContainerInstancesState", containerInstances=list(arns), status=status)


_NONE: set[str] = set()
_TAKES_CLUSTER = dict.fromkeys(
    (
        "CreateCluster",
        "DescribeClusters",
        "ListClusters",
        "TagResource",
        "UntagResource",
        "ListTagsForResource",
        "RegisterTaskDefinition",
        "DescribeTaskDefinition",
        "DescribeCapacityProviders",
        "ListAccountSettings",
    ),
    _NONE,
)


@pytest.fixture
async def ecs() -> AsyncIterator[Ecs]:
    found = Ecs()
    yield found
    await found.engine.stop()


async def code_of(awaitable: Any) -> str:
    with pytest.raises(AwsError) as caught:
        await awaitable
    return caught.value.code


async def test_a_registered_instance_is_described(ecs: Ecs) -> None:
    """Attributes, versions, resources and counts are there, in botocore's own shape."""
    arn = (await ecs.fleet(1, zone="us-east-1b", attributes=(("rack", "7"),)))[0]
    shown = await ecs.shown(arn)
    assert (shown["status"], shown["agentConnected"], shown["runningTasksCount"]) == ("ACTIVE", True, 2)
    assert shown["versionInfo"]["agentVersion"] == "1.105.1"
    attributes = {each["name"]: each.get("value", "") for each in shown["attributes"]}
    assert attributes["ecs.availability-zone"] == "us-east-1b"
    assert attributes["ecs.os-type"] == "linux"
    assert attributes["ecs.instance-type"] == "m5.large"
    assert attributes["rack"] == "7"
    memory = {each["name"]: each["integerValue"] for each in shown["remainingResources"]}["MEMORY"]
    assert memory == 7680 - 2 * 64
    assert "capacityProviderName" not in shown


async def test_lists_come_in_pages_of_a_hundred(ecs: Ecs) -> None:
    """100 at most to a page, a token while more follow, a foreign token refused (F80)."""
    arns = await ecs.fleet(205, service_tasks=0)
    first = await ecs("ListContainerInstances")
    second = await ecs("ListContainerInstances", nextToken=first["nextToken"])
    third = await ecs("ListContainerInstances", nextToken=second["nextToken"])
    assert [*first["containerInstanceArns"], *second["containerInstanceArns"], *third["containerInstanceArns"]] == arns
    assert "nextToken" not in third
    assert len((await ecs("ListContainerInstances", maxResults=7))["containerInstanceArns"]) == 7
    assert await code_of(ecs("ListContainerInstances", nextToken="zzz")) == "InvalidParameterException"
    assert await code_of(ecs("ListContainerInstances", maxResults=101)) == "InvalidParameterException"


async def test_limits_are_the_real_ones(ecs: Ecs) -> None:
    """100 to a describe, 10 to a change of state, none not at all (F80)."""
    arns = await ecs.fleet(101, service_tasks=0)
    described = await ecs("DescribeContainerInstances", containerInstances=arns[:100])
    assert len(described["containerInstances"]) == 100
    for call in (
        ecs("DescribeContainerInstances", containerInstances=arns),
        ecs("DescribeContainerInstances", containerInstances=[]),
        ecs.drain(*arns[:11]),
        ecs.drain(arns[0], status="REGISTERING"),
        ecs("DescribeTasks", tasks=["x"] * 101),
        ecs.engine.handle("ListContainerInstances", {"cluster": "demo", "status": "INACTIVE"}),
    ):
        assert await code_of(call) == "InvalidParameterException"


async def test_what_is_unknown_has_its_own_error(ecs: Ecs) -> None:
    """Clusters, instances, tasks, services and operations that are not there are told apart."""
    assert await code_of(ecs("ListContainerInstances", cluster="nope")) == "ClusterNotFoundException"
    missing = await ecs("DescribeContainerInstances", containerInstances=["00ff"])
    assert missing["failures"] == [
        {"arn": "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/00ff", "reason": "MISSING"}
    ]
    assert (await ecs("DescribeTasks", tasks=["00ff"]))["failures"][0]["reason"] == "MISSING"
    assert await code_of(ecs("StopTask", task="00ff")) == "InvalidParameterException"
    assert await code_of(ecs("DeregisterContainerInstance", containerInstance="x")) == "InvalidParameterException"
    assert await code_of(ecs("UpdateService", service="nope", desiredCount=1)) == "ServiceNotFoundException"
    assert await code_of(ecs("DescribeTaskDefinition", taskDefinition="nope")) == "ClientException"
    unsupported = ecs("ListAccountSettings")
    with pytest.raises(AwsError, match="does not simulate ecs:ListAccountSettings"):
        await unsupported
    clusters = await ecs("DescribeClusters", clusters=["demo", "nope"])
    assert [each["clusterName"] for each in clusters["clusters"]] == ["demo"]
    assert clusters["failures"][0]["reason"] == "MISSING"


async def test_lists_leave_out_only_inactive_ones(ecs: Ecs) -> None:
    """Without a status every status but INACTIVE is listed; with one, only that (F80)."""
    active, draining, gone = await ecs.fleet(3, service_tasks=0)
    await ecs.drain(draining)
    await ecs("DeregisterContainerInstance", containerInstance=gone)
    assert (await ecs("ListContainerInstances"))["containerInstanceArns"] == [active, draining]
    assert (await ecs("ListContainerInstances", status="DRAINING"))["containerInstanceArns"] == [draining]
    assert (await ecs.shown(gone))["status"] == "INACTIVE"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("attribute:ecs.availability-zone == us-east-1b", [1, 3]),
        ("attribute:ecs.availability-zone in [us-east-1b, us-east-1c]", [1, 3]),
        ("attribute:ecs.availability-zone !in ['us-east-1b']", [0, 2]),
        ("agentConnected == false", [2]),
        ("agentConnected==true and attribute:ecs.availability-zone==us-east-1a", [0]),
        ("ec2InstanceId == i-00000000000000003 or ec2InstanceId == i-00000000000000000", [0, 3]),
        ("ec2InstanceId in [i-00000000000000003]", [3]),
        ("not(agentConnected == false) && !(attribute:ecs.availability-zone == us-east-1b)", [0]),
        ("attribute:rack exists", [3]),
        ("attribute:rack !exists", [0, 1, 2]),
        ("attribute:ecs.instance-type =~ m5.*", [0, 1, 2, 3]),
        ("attribute:ecs.instance-type !~ m5.*", []),
        ("agentVersion >= 1.100.0", [0, 1, 2, 3]),
        ("agentVersion less_than 1.9.0", []),
        ("runningTasksCount > 1", [0, 1, 2, 3]),
        ("task:group == service:web", [0, 1, 2, 3]),
    ],
)
async def test_filters_speak_the_cluster_query_language(ecs: Ecs, query: str, expected: list[int]) -> None:
    """Comparisons, sets, patterns, versions, existence, and their combinations."""
    specs = [InstanceSpec(instance_id=f"i-{n:017x}", zone=f"us-east-1{'ab'[n % 2]}") for n in range(4)]
    arns = [await ecs.join(spec) for spec in specs]
    ecs.engine.set_connected(arns[2], False)
    await ecs("PutAttributes", attributes=[{"name": "rack", "value": "7", "targetId": arns[3]}])
    found = (await ecs("ListContainerInstances", filter=query))["containerInstanceArns"]
    assert [arns.index(arn) for arn in found] == expected


@pytest.mark.parametrize(
    "query",
    [
        "nonsense",
        "agentConnected",
        "agentConnected ==",
        "zone == x",
        "(agentConnected == true",
        "a b c",
        "x in [a",
        "%",
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused(ecs: Ecs, query: str) -> None:
    """A filter is never ignored."""
    await ecs.fleet(1)
    assert await code_of(ecs("ListContainerInstances", filter=query)) == "InvalidParameterException"


async def test_custom_attributes_are_ten_at_most(ecs: Ecs) -> None:
    """Put, list and delete; the eleventh is refused and nothing of that call is applied."""
    arn = (await ecs.fleet(1))[0]
    ten = [{"name": f"a{n}", "value": str(n), "targetId": arn} for n in range(10)]
    await ecs("PutAttributes", attributes=ten)
    one_more = [{"name": "a0", "value": "changed", "targetId": arn}, {"name": "eleven", "targetId": arn}]
    assert await code_of(ecs("PutAttributes", attributes=one_more)) == "AttributeLimitExceededException"
    listed = await ecs("ListAttributes", targetType="container-instance", attributeName="a0")
    assert listed["attributes"] == [{"name": "a0", "value": "0", "targetType": "container-instance", "targetId": arn}]
    await ecs("DeleteAttributes", attributes=[{"name": "a0", "targetId": arn.rpartition("/")[2]}])
    assert not (await ecs("ListAttributes", targetType="container-instance", attributeName="a0"))["attributes"]
    reserved = [{"name": "ecs.ami-id", "value": "x", "targetId": arn}]
    assert await code_of(ecs("PutAttributes", attributes=reserved)) == "InvalidParameterException"
    many = [{"name": "x", "targetId": arn}] * 11
    assert await code_of(ecs("PutAttributes", attributes=many)) == "InvalidParameterException"
    nobody = [{"name": "x", "targetId": "nobody"}]
    assert await code_of(ecs("PutAttributes", attributes=nobody)) == "TargetNotFoundException"


async def test_tags_are_shown_where_they_are_asked_for(ecs: Ecs) -> None:
    """Tags come with include=TAGS and by their own calls."""
    arn = (await ecs.fleet(1))[0]
    await ecs("TagResource", resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
    await ecs("UntagResource", resourceArn=arn, tagKeys=["b"])
    assert (await ecs("ListTagsForResource", resourceArn=arn))["tags"] == [{"key": "a", "value": "1"}]
    assert (await ecs.shown(arn))["tags"] == []
    with_tags = await ecs("DescribeContainerInstances", containerInstances=[arn], include=["TAGS"])
    assert with_tags["containerInstances"][0]["tags"] == [{"key": "a", "value": "1"}]
    assert await code_of(ecs("ListTagsForResource", resourceArn=arn + "x")) == "InvalidParameterException"


async def test_a_known_instance_registers_again_as_itself(ecs: Ecs) -> None:
    """Status, custom attributes and tags survive; what the agent says of itself is renewed (F31)."""
    arn = (await ecs.fleet(1))[0]
    await ecs("PutAttributes", attributes=[{"name": "rack", "value": "7", "targetId": arn}])
    await ecs.drain(arn)
    ecs.engine.set_connected(arn, False)
    newer = InstanceSpec(instance_id="i-00000000000000000", agent_version="1.106.0")
    assert await ecs.join(newer, arn=arn) == arn
    shown = await ecs.shown(arn)
    assert (shown["status"], shown["agentConnected"]) == ("DRAINING", True)
    assert shown["versionInfo"]["agentVersion"] == "1.106.0"
    assert {"name": "rack", "value": "7"} in shown["attributes"]
    await ecs("DeregisterContainerInstance", containerInstance=arn, force=True)
    assert await code_of(ecs.join(newer, arn=arn)) == "InvalidParameterException"


async def test_a_new_arn_leaves_a_ghost(ecs: Ecs) -> None:
    """The old registration stays with tasks and attributes, disconnected; the new one is ACTIVE at once (F33)."""
    spec = InstanceSpec(instance_id="i-0", attributes=(("rack", "7"),))
    old = await ecs.join(spec)
    await ecs.drain(old)
    ecs.engine.set_connected(old, False)
    new = await ecs.join(spec)
    ghost, fresh = await ecs.shown(old), await ecs.shown(new)
    assert (ghost["status"], ghost["agentConnected"]) == ("DRAINING", False)
    assert (fresh["status"], fresh["agentConnected"], fresh["runningTasksCount"]) == ("ACTIVE", True, 0)
    assert "rack" not in {each["name"] for each in fresh["attributes"]}
    assert await code_of(ecs("DeregisterContainerInstance", containerInstance=old)) == "InvalidParameterException"
    await ecs("DeregisterContainerInstance", containerInstance=old, force=True)
    assert (await ecs("ListContainerInstances"))["containerInstanceArns"] == [new]


async def running(ecs: Ecs, arn: str) -> list[Any]:
    arns = (await ecs("ListTasks", containerInstance=arn))["taskArns"]
    tasks: list[Any] = (await ecs("DescribeTasks", tasks=arns))["tasks"] if arns else []
    return [task for task in tasks if task["lastStatus"] == "RUNNING"]


async def test_draining_moves_service_tasks_and_leaves_standalone_ones(ecs: Ecs) -> None:
    """Replacements run elsewhere before anything stops; standalone tasks go on (F81)."""
    first, *_ = await ecs.fleet(3, service_tasks=2, standalone_tasks=1)
    reply = await ecs.drain(first)
    assert [each["status"] for each in reply["containerInstances"]] == ["DRAINING"]

    async def drained() -> bool:
        return len(ecs.runners[first].tasks) == 1

    await eventually(drained)
    left = await running(ecs, first)
    assert [task["group"] for task in left] == ["family:web"]
    shown = await ecs.shown(first)
    assert (shown["runningTasksCount"], shown["pendingTasksCount"]) == (1, 0)
    service = (await ecs("DescribeServices", services=["web"]))["services"][0]
    assert (service["desiredCount"], service["runningCount"]) == (6, 6)
    await ecs("StopTask", task=left[0]["taskArn"])

    async def idle() -> bool:
        return not ecs.runners[first].tasks

    await eventually(idle)
    assert (await ecs.shown(first))["runningTasksCount"] == 0


async def test_a_service_without_room_to_move_never_drains() -> None:
    """At 100/100 nothing may stop before its replacement and nothing may start beside it (F81)."""
    ecs = Ecs(service=ServiceSpec(maximum_percent=100, start_seconds=0, stop_seconds=0))
    first, _ = await ecs.fleet(2)
    await ecs.drain(first)
    await asyncio.sleep(0.2)
    assert len(await running(ecs, first)) == 2
    await ecs("UpdateService", service="web", deploymentConfiguration={"minimumHealthyPercent": 50})

    async def drained() -> bool:
        return not ecs.runners[first].tasks

    await eventually(drained)
    await ecs.engine.stop()


async def test_the_last_instance_keeps_its_tasks(ecs: Ecs) -> None:
    """Without an ACTIVE, connected instance to go to, tasks stay; when one comes back they move."""
    first, second = await ecs.fleet(2)
    ecs.engine.set_connected(second, False)
    await ecs.drain(first)
    await asyncio.sleep(0.1)
    assert len(ecs.runners[first].tasks) == 2
    ecs.engine.set_connected(second, True)

    async def drained() -> bool:
        return not ecs.runners[first].tasks

    await eventually(drained)
    assert len(ecs.runners[second].tasks) == 4


async def test_a_task_waits_for_its_agent() -> None:
    """While the agent is away its tasks neither start nor stop; a stop is counted as wanted at once (F81)."""
    ecs = Ecs(service=ServiceSpec(start_seconds=0.05, stop_seconds=0.05))
    arn = (await ecs.fleet(1, service_tasks=0, standalone_tasks=1))[0]
    task = (await ecs("ListTasks"))["taskArns"][0]
    await ecs("StopTask", task=task)
    ecs.engine.set_connected(arn, False)
    await asyncio.sleep(0.15)
    shown = (await ecs("DescribeTasks", tasks=[task]))["tasks"][0]
    assert (shown["lastStatus"], shown["desiredStatus"], shown["connectivity"]) == (
        "STOPPING",
        "STOPPED",
        "DISCONNECTED",
    )
    assert (await ecs.shown(arn))["runningTasksCount"] == 0
    assert ecs.runners[arn].tasks == {task}, "what is stopping still runs"
    ecs.engine.set_connected(arn, True)
    assert (await ecs("DescribeTasks", tasks=[task]))["tasks"][0]["lastStatus"] == "STOPPED"
    assert ecs.runners[arn].tasks == set()
    await ecs.engine.stop()


async def test_tasks_are_run_started_and_listed(ecs: Ecs) -> None:
    """RunTask places, StartTask obeys, failures name their reason, lists filter."""
    first, second = await ecs.fleet(2, service_tasks=0)
    container = {"name": "c", "image": "r.io/c:1", "cpu": 1024, "memory": 512}
    await ecs("RegisterTaskDefinition", family="big", containerDefinitions=[container])
    ran = await ecs("RunTask", taskDefinition="big", count=3, startedBy="me")
    assert len(ran["tasks"]) == 3
    assert {each["lastStatus"] for each in ran["tasks"]} == {"PENDING"}
    where = [each["containerInstanceArn"] for each in ran["tasks"]]
    assert sorted(where.count(arn) for arn in (first, second)) == [1, 2]
    full = await ecs("RunTask", taskDefinition="big:1", count=2)
    assert len(full["tasks"]) == 1
    assert {each["reason"] for each in full["failures"]} == {"RESOURCE:CPU"}
    assert len((await ecs("ListTasks", startedBy="me"))["taskArns"]) == 3
    assert len((await ecs("ListTasks", family="big"))["taskArns"]) == 4
    ecs.engine.set_connected(second, False)
    refused = await ecs("StartTask", taskDefinition="web", containerInstances=[second, "nobody"])
    assert [each["reason"] for each in refused["failures"]] == ["AGENT", "MISSING"]
    placed = await ecs(
        "RunTask",
        taskDefinition="web",
        placementConstraints=[{"type": "memberOf", "expression": "agentConnected == false"}],
    )
    assert placed["tasks"] == []
    assert await code_of(ecs("RunTask", taskDefinition="web", count=11)) == "InvalidParameterException"


async def test_a_daemon_runs_everywhere_but_on_draining_instances(ecs: Ecs) -> None:
    """A daemon service has one task on each ACTIVE instance; draining stops it, activating brings it back."""
    first, second = await ecs.fleet(2, service_tasks=0)
    await ecs("CreateService", serviceName="d", taskDefinition="web", schedulingStrategy="DAEMON")

    async def one_each() -> bool:
        return [len(ecs.runners[arn].tasks) for arn in (first, second)] == [1, 1]

    async def one_left() -> bool:
        return [len(ecs.runners[arn].tasks) for arn in (first, second)] == [0, 1]

    await eventually(one_each)
    await ecs.drain(first)
    await eventually(one_left)
    await ecs.drain(first, status="ACTIVE")
    await eventually(one_each)


async def test_a_daemon_is_the_last_to_leave() -> None:
    """On a draining instance a daemon's task stays as long as tasks of other services do."""
    ecs = Ecs(service=ServiceSpec(maximum_percent=100, start_seconds=0, stop_seconds=0))
    first, _ = await ecs.fleet(2, service_tasks=1)
    await ecs("CreateService", serviceName="d", taskDefinition="web", schedulingStrategy="DAEMON")

    async def everywhere() -> bool:
        return all(len(runner.tasks) == 2 for runner in ecs.runners.values())

    async def left() -> bool:
        return not ecs.runners[first].tasks

    await eventually(everywhere)
    await ecs.drain(first)
    await asyncio.sleep(0.2)
    assert len(ecs.runners[first].tasks) == 2, "the service cannot move, so the daemon stays"
    await ecs("UpdateService", service="web", deploymentConfiguration={"minimumHealthyPercent": 50})
    await eventually(left)
    await ecs.engine.stop()


async def test_a_size_is_shown_where_it_was_said(ecs: Ecs) -> None:
    """A task has a size of its own only where its definition says one; its containers always have theirs."""
    arn = (await ecs.fleet(1, service_tasks=0))[0]
    for family, more in (("parts", {}), ("whole", {"cpu": "256", "memory": "512"})):
        containers = [{"name": "app", "image": "x", "cpu": 10, "memory": 200, "memoryReservation": 100}]
        await ecs("RegisterTaskDefinition", family=family, containerDefinitions=containers, **more)
        started = (await ecs("StartTask", taskDefinition=family, containerInstances=[arn]))["tasks"][0]
        assert {name: started[name] for name in ("cpu", "memory") if name in started} == more
        container = started["containers"][0]
        assert (container["cpu"], container["memory"], container["memoryReservation"]) == ("10", "200", "100")
    free = {each["name"]: each["integerValue"] for each in (await ecs.shown(arn))["remainingResources"]}
    assert free == {"CPU": 2048 - 10 - 256, "MEMORY": 7680 - 100 - 512}


@pytest.mark.parametrize("desired", [1, 2, 3])
@pytest.mark.parametrize(("minimum", "maximum"), [(0, 100), (50, 100), (67, 100), (100, 100), (100, 150), (100, 200)])
async def test_a_drain_ends_where_the_check_says_so(ecs: Ecs, desired: int, minimum: int, maximum: int) -> None:
    """The lab's scheduler and the controller's capacity check agree on which services can move."""
    first = (await ecs.fleet(1, service_tasks=0))[0]
    limits = {"minimumHealthyPercent": minimum, "maximumPercent": maximum}
    await ecs(
        "CreateService", serviceName="s", taskDefinition="web", desiredCount=desired, deploymentConfiguration=limits
    )

    async def all_there() -> bool:
        service = (await ecs("DescribeServices", services=["s"]))["services"][0]
        return bool(service["runningCount"] == desired)

    async def all_left() -> bool:
        return [len(ecs.runners[arn].tasks) for arn in (first, second)] == [0, desired]

    await eventually(all_there)
    second = await ecs.join(InstanceSpec(instance_id="i-0000000f", service_tasks=0))
    capacity = Capacity(
        rooms={second: Room(cpu=2048, memory=7680)},
        loads={first: [Load(service="s", cpu=64, memory=64)] * desired},
        services={"s": ServiceLoad(desired=desired, running=desired, minimum_percent=minimum, maximum_percent=maximum)},
    )
    await ecs.drain(first)
    if obstacle(capacity, first, unavailable=frozenset()):
        await asyncio.sleep(0.2)
        assert len(ecs.runners[first].tasks) == desired
    else:
        await eventually(all_left)


async def test_services_are_made_scaled_and_deleted(ecs: Ecs) -> None:
    """CreateService, UpdateService, ListServices and DeleteService move tasks."""
    arn = (await ecs.fleet(1, service_tasks=0))[0]
    await ecs("CreateService", serviceName="s", taskDefinition="web", desiredCount=3)

    def has(count: int) -> Any:
        async def counted() -> bool:
            return len(ecs.runners[arn].tasks) == count

        return counted

    await eventually(has(3))
    again = ecs("CreateService", serviceName="s", taskDefinition="web", desiredCount=1)
    assert await code_of(again) == "InvalidParameterException"
    await ecs("UpdateService", service="s", desiredCount=1)
    await eventually(has(1))
    assert (await ecs("ListServices"))["serviceArns"] == ["arn:aws:ecs:us-east-1:123456789012:service/demo/s"]
    await ecs("DeleteService", service="s", force=True)
    await eventually(has(0))
    assert (await ecs("ListServices"))["serviceArns"] == []


async def test_a_failed_change_of_state_names_its_instance(ecs: Ecs) -> None:
    """Failures are per instance, the others change (F80)."""
    good, gone = await ecs.fleet(2, service_tasks=0)
    await ecs("DeregisterContainerInstance", containerInstance=gone)
    reply = await ecs.drain(good, gone, "nobody")
    assert [each["containerInstanceArn"] for each in reply["containerInstances"]] == [good]
    assert [each["reason"] for each in reply["failures"]] == ["INACTIVE", "MISSING"]


async def test_unsupported_platforms_can_be_told(ecs: Ecs) -> None:
    """Windows and Bottlerocket by their attributes, ECS Managed Instances by their capacity provider."""
    windows = await ecs.join(InstanceSpec(instance_id="i-1", platform=Platform.WINDOWS))
    rocket = await ecs.join(InstanceSpec(instance_id="i-2", platform=Platform.BOTTLEROCKET))
    attributes = {each["name"]: each.get("value", "") for each in (await ecs.shown(windows))["attributes"]}
    assert attributes["ecs.os-type"] == "windows"
    assert "bottlerocket.variant" in {each["name"] for each in (await ecs.shown(rocket))["attributes"]}
    spec = InstanceSpec(instance_id="i-3", managed_instances=True)
    managed = Ecs(instances=(spec,))
    name = (await managed.shown(await managed.join(spec)))["capacityProviderName"]
    provider = await managed("DescribeCapacityProviders", capacityProviders=[name, "gone"])
    assert "managedInstancesProvider" in provider["capacityProviders"][0]
    assert provider["failures"][0]["reason"] == "MISSING"
    await managed.engine.stop()


async def test_the_api_can_register_too(ecs: Ecs) -> None:
    """RegisterContainerInstance takes an identity document, as an agent sends it."""
    document = json.dumps({"instanceId": "i-0123456789", "availabilityZone": "us-east-1c"})
    await ecs("CreateCluster", clusterName="other")
    reply = await ecs(
        "RegisterContainerInstance",
        cluster="other",
        instanceIdentityDocument=document,
        tags=[{"key": "a", "value": "b"}],
    )
    assert reply["containerInstance"]["ec2InstanceId"] == "i-0123456789"
    assert reply["containerInstance"]["tags"] == [{"key": "a", "value": "b"}]
    assert len((await ecs("ListClusters"))["clusterArns"]) == 2


async def test_ten_thousand_instances_are_cheap(ecs: Ecs) -> None:
    """A large registry pages, filters and describes like a small one (F92)."""
    arns = await ecs.fleet(10_000, service_tasks=0)
    seen: list[str] = []
    token: dict[str, str] = {}
    while len(seen) < len(arns):
        reply = await ecs("ListContainerInstances", **token)
        seen += reply["containerInstanceArns"]
        token = {"nextToken": reply.get("nextToken", "")}
    assert seen == arns
    last = await ecs("ListContainerInstances", filter=f"ec2InstanceId == i-{9_999:017x}")
    assert last["containerInstanceArns"] == [arns[-1]]
