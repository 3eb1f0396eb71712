"""The port `Drains` against the lab's ECS: each verb, its limits and pages, its failures, and doing it twice."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from orchestrator.aws.draining import EcsDrains
from orchestrator.aws.ecs import MARK
from orchestrator.aws.tasks import read_capacity
from orchestrator.core.capacity import Load, Room, ServiceLoad
from orchestrator.core.iam import Place as Where
from orchestrator.core.iam import controller_policy
from orchestrator.core.iam_document import IamPolicy
from orchestrator.core.iam_draining import drain_statements
from orchestrator.errors import EnvironmentFault, RefusedError
from orchestrator.lab.scenario import InstanceSpec, Platform, ServiceSpec
from orchestrator.lab.wire import AwsError
from tests.aws.conftest import CLUSTER, Place, eventually

Start = Callable[..., Place]
UNKNOWN = f"arn:aws:ecs:us-east-1:123456789012:container-instance/{CLUSTER}/{'0' * 32}"
SLOW = ServiceSpec(stop_seconds=600)


def drains(place: Place) -> EcsDrains:
    return EcsDrains(client=place.client, cluster=CLUSTER)


def join(place: Place, instance_id: str) -> str:
    """Register an instance that has no host: the API alone."""
    identity = json.dumps({"instanceId": instance_id, "availabilityZone": "us-east-1a", "instanceType": "m5.large"})
    made = place.client.register_container_instance(cluster=CLUSTER, instanceIdentityDocument=identity)
    return made["containerInstance"]["containerInstanceArn"]


def crowd(place: Place, count: int) -> list[str]:
    return [join(place, f"i-{number:08x}") for number in range(count)]


def statuses(place: Place, arns: Sequence[str]) -> set[str]:
    return {place.shown(arn)["status"] for arn in arns}


def marks(place: Place, arns: Sequence[str]) -> list[str]:
    return [place.attributes(arn).get(MARK) or place.tags(arn).get(MARK, "") for arn in arns]


def start_tasks(place: Place, arn: str, count: int, family: str = "web", **more: Any) -> list[str]:
    started: list[str] = []
    for _ in range(count):
        answer = place.client.start_task(cluster=CLUSTER, taskDefinition=family, containerInstances=[arn], **more)
        started += [each["taskArn"] for each in answer["tasks"]]
    return started


def test_marks_come_and_go_ten_in_a_call(start: Start) -> None:
    """23 instances are marked in three calls and freed in three; whoever has attributes of its own keeps them."""
    place = start()
    arns = crowd(place, 23)
    place.put(arns[4], rack="7")
    for _ in range(2):
        assert drains(place).own(arns, "run-1") == {}
    assert marks(place, arns) == ["run-1"] * 23
    assert [len(each["attributes"]) for each in place.calls("PutAttributes")[1:]] == [10, 10, 3] * 2
    for _ in range(2):
        assert drains(place).disown(arns) == {}
    assert marks(place, arns) == [""] * 23
    assert [len(each["attributes"]) for each in place.calls("DeleteAttributes")] == [10, 10, 3]
    assert place.attributes(arns[4]) == {"rack": "7"}


def test_an_instance_without_room_for_an_attribute_is_tagged(start: Start) -> None:
    """Where all ten attributes are taken the mark is a tag of the same name; the others of its ten keep attributes."""
    place = start()
    arns = crowd(place, 3)
    place.put(arns[1], **{f"team{number}": "x" for number in range(10)})
    assert drains(place).own(arns, "run-1") == {}
    assert [place.attributes(arn).get(MARK) for arn in arns] == ["run-1", None, "run-1"]
    assert place.tags(arns[1]) == {MARK: "run-1"}
    assert drains(place).disown(arns) == {}
    assert place.tags(arns[1]) == {}
    assert len(place.attributes(arns[1])) == 10


def test_a_mark_is_replaced(start: Start) -> None:
    """Who takes an instance over marks it as its own, and takes off whatever form of mark there is."""
    place = start()
    arn = join(place, "i-0000000a")
    place.client.tag_resource(resourceArn=arn, tags=[{"key": MARK, "value": "run-0"}])
    assert drains(place).own([arn], "run-1") == {}
    assert drains(place).own([arn], "run-2") == {}
    assert drains(place).registrations(["i-0000000a"])["i-0000000a"][0].mark == "run-2"
    assert drains(place).disown([arn]) == {}
    assert marks(place, [arn]) == [""]


def test_one_that_is_gone_fails_alone(start: Start) -> None:
    """An instance that ECS does not know fails by name and the rest of its ten is done, with every verb."""
    place = start()
    arns = [*crowd(place, 4), UNKNOWN]
    gone = arns.pop(2)
    place.client.deregister_container_instance(cluster=CLUSTER, containerInstance=gone)
    failed = drains(place).own([*arns, gone], "run-1")
    assert set(failed) == {gone, UNKNOWN}
    assert failed[gone] == "TargetNotFoundException: The specified target wasn't found."
    assert drains(place).drain([*arns, gone]) == {gone: "INACTIVE", UNKNOWN: "MISSING"}
    assert statuses(place, arns[:3]) == {"DRAINING"}
    assert marks(place, arns[:3]) == ["run-1"] * 3
    assert drains(place).activate([*arns, gone]) == {gone: "INACTIVE", UNKNOWN: "MISSING"}
    assert statuses(place, arns[:3]) == {"ACTIVE"}
    # There is nothing left that could be marked.
    assert drains(place).disown([*arns, gone]) == {}


def test_a_tag_that_cannot_be_put_is_a_failure(start: Start) -> None:
    """An instance that takes neither attribute nor tag is not ours: its failure says so in AWS's words."""
    place = start()
    arn = join(place, "i-0000000a")
    place.put(arn, **{f"team{number}": "x" for number in range(10)})
    place.lab.faults.fail("TagResource", AwsError("InvalidParameterException", "Too many tags."))
    assert drains(place).own([arn], "run-1") == {arn: "InvalidParameterException: Too many tags."}
    assert marks(place, [arn]) == [""]


@pytest.mark.parametrize("verb", ["drain", "activate"])
def test_statuses_are_set_ten_in_a_call(start: Start, verb: str) -> None:
    """25 instances in three calls; twice is as once."""
    place = start()
    arns = crowd(place, 25)
    for _ in range(2):
        assert getattr(drains(place), verb)(arns) == {}
    sizes = [len(each["containerInstances"]) for each in place.calls("UpdateContainerInstancesState")]
    assert sizes == [10, 10, 5] * 2
    assert statuses(place, arns) == {"DRAINING" if verb == "drain" else "ACTIVE"}


def test_a_call_that_fails_for_one_is_made_for_each(start: Start) -> None:
    """Where ECS refuses a whole call because of one instance, the others of its ten are drained all the same."""
    place = start()
    arns = crowd(place, 3)
    refusal = AwsError("ClientException", "The instance is not ACTIVE.")
    place.lab.faults.fail("UpdateContainerInstancesState", refusal)
    place.lab.faults.fail("UpdateContainerInstancesState", refusal, call=3)
    assert drains(place).drain(arns) == {arns[1]: "ClientException: The instance is not ACTIVE."}
    assert statuses(place, [arns[0], arns[2]]) == {"DRAINING"}


def test_a_call_that_fails_by_itself_is_an_error(start: Start) -> None:
    """What is not about one of the instances is no instance's failure."""
    place = start()
    arn = join(place, "i-0000000a")
    nowhere = EcsDrains(client=place.client, cluster="nowhere")
    for call in (nowhere.drain, nowhere.disown, nowhere.tasks, nowhere.capacity, nowhere.registrations):
        with pytest.raises(EnvironmentFault, match="ClusterNotFoundException"):
            call([arn])


def test_tasks_that_are_being_stopped_are_still_there(start: Start) -> None:
    """Service tasks and standalone ones are told apart; one that stops counts until it has stopped (F81)."""
    place = start(InstanceSpec(instance_id="i-0000000a", service_tasks=1), service=SLOW)
    arn, other = place.arn("i-0000000a"), join(place, "i-0000000b")
    standalone = start_tasks(place, arn, 2)
    place.client.stop_task(cluster=CLUSTER, task=standalone[0])
    found = drains(place).tasks([arn, other, UNKNOWN])
    assert sorted(each.service for each in found[arn]) == ["", "", "web"]
    assert {each.arn for each in found[arn] if not each.service} == set(standalone)
    assert (found[other], found[UNKNOWN]) == ([], [])


def test_tasks_that_stopped_are_gone(start: Start) -> None:
    """ECS lists stopped tasks for an hour; they are not on the instance any more."""
    place = start(service=ServiceSpec(start_seconds=0, stop_seconds=0))
    arn = join(place, "i-0000000a")
    task = start_tasks(place, arn, 1)[0]
    drains(place).stop([task], "making room")
    eventually(lambda: drains(place).tasks([arn])[arn] == [])
    assert place.client.list_tasks(cluster=CLUSTER, containerInstance=arn, desiredStatus="STOPPED")["taskArns"]


def test_more_tasks_than_a_page(start: Start) -> None:
    """205 tasks on two instances come in pages of 100 and are described by 100 (F80)."""
    place = start(service=ServiceSpec(start_seconds=600))
    arns = crowd(place, 2)
    tiny = [{"name": "app", "image": "x", "cpu": 1, "memory": 6}]
    place.client.register_task_definition(family="tiny", containerDefinitions=tiny)  # type: ignore[arg-type]  # plain dicts
    for arn, count in zip(arns, (150, 55), strict=True):
        start_tasks(place, arn, count, "tiny")
    found = drains(place).tasks(arns)
    assert [len(found[arn]) for arn in arns] == [150, 55]
    assert [len(each["tasks"]) for each in place.calls("DescribeTasks")] == [100, 100, 5]
    assert len(drains(place).capacity(arns).loads[arns[0]]) == 150


def test_stopping_says_why_and_forgives_who_is_gone(start: Start) -> None:
    """The reason is on the task; a task that ECS does not know is no error; another error is one."""
    place = start(service=SLOW)
    arn = join(place, "i-0000000a")
    task = start_tasks(place, arn, 1)[0]
    for _ in range(2):
        drains(place).stop([task.replace(task[-4:], "beef"), task], "ecs-rollout run-1")
    shown = place.client.describe_tasks(cluster=CLUSTER, tasks=[task])["tasks"][0]
    assert (shown["desiredStatus"], shown["stoppedReason"]) == ("STOPPED", "ecs-rollout run-1")
    place.lab.faults.fail("StopTask", AwsError("InvalidParameterException", "reason is too long"))
    with pytest.raises(EnvironmentFault, match="reason is too long"):
        drains(place).stop([task], "x")


def test_every_registration_of_an_instance_is_found(start: Start) -> None:
    """Old and new registrations are paired by EC2 instance id, oldest first; deregistered ones are not there (F33)."""
    place = start()
    crowd(place, 120)
    ghost, new = place.arn("i-00000007"), join(place, "i-00000007")
    dead = join(place, "i-00000008")
    place.client.deregister_container_instance(cluster=CLUSTER, containerInstance=dead, force=True)
    place.lab.ecs.set_connected(ghost, connected=False)
    place.put(ghost, **{MARK: "run-1"})
    wanted = [f"i-{number:08x}" for number in range(60)]
    found = drains(place).registrations([*wanted, "i-0000beef"])
    assert [(each.arn, each.agent_connected, each.mark) for each in found["i-00000007"]] == [
        (ghost, False, "run-1"),
        (new, True, ""),
    ]
    assert [len(found[name]) for name in wanted] == [2 if name == "i-00000007" else 1 for name in wanted]
    assert found["i-0000beef"] == []
    assert len(place.calls("ListContainerInstances")) == 2


def test_what_the_old_registration_had_is_carried_over(start: Start) -> None:
    """Custom attributes and tags go along; what the new one has stays, and neither mark nor AWS's own are copied."""
    place = start()
    old, new = join(place, "i-0000000a"), join(place, "i-0000000a")
    place.put(old, rack="7", stack="blue", **{MARK: "run-1"})
    place.put(new, stack="green")
    place.lab.ecs.state.clusters[CLUSTER].instances[old].tags |= {
        "team": "a", "stage": "old", "aws:autoscaling:groupName": "g", MARK: "run-1",
    }  # fmt: skip
    place.client.tag_resource(resourceArn=new, tags=[{"key": "stage", "value": "new"}])
    for _ in range(2):
        drains(place).carry_over(old, new)
    assert place.attributes(new) == {"rack": "7", "stack": "green"}
    assert place.tags(new) == {"team": "a", "stage": "new"}
    assert len(place.calls("TagResource")) == 2


def test_our_mark_makes_way_for_the_tenth_attribute(start: Start) -> None:
    """Ten attributes fit beside our mark: it becomes a tag and stays ours."""
    place = start()
    old, new = join(place, "i-0000000a"), join(place, "i-0000000a")
    ten = {f"team{number}": str(number) for number in range(10)}
    place.put(old, **ten)
    drains(place).own([new], "run-1")
    drains(place).carry_over(old, new)
    assert place.attributes(new) == ten
    assert place.tags(new) == {MARK: "run-1"}


def test_attributes_that_do_not_fit_are_an_error(start: Start) -> None:
    """Somebody else's attributes are not thrown away for those of the old registration."""
    place = start()
    old, new = join(place, "i-0000000a"), join(place, "i-0000000a")
    place.put(old, rack="7")
    place.put(new, **{f"team{number}": "x" for number in range(10)})
    with pytest.raises(EnvironmentFault, match="AttributeLimitExceededException"):
        drains(place).carry_over(old, new)
    assert len(place.attributes(new)) == 10


def test_nothing_is_carried_from_or_to_nowhere(start: Start) -> None:
    """An old registration that ECS has forgotten has nothing to give, a new one that is gone needs nothing."""
    place = start()
    old, new = join(place, "i-0000000a"), join(place, "i-0000000a")
    place.put(old, rack="7")
    drains(place).carry_over(UNKNOWN, new)
    place.client.deregister_container_instance(cluster=CLUSTER, containerInstance=new)
    drains(place).carry_over(old, new)
    assert place.attributes(new) == {}


def test_a_ghost_is_deregistered_and_nothing_else(start: Start) -> None:
    """A connected instance is refused; a ghost goes even where ECS still counts tasks there; twice is as once."""
    place = start(InstanceSpec(instance_id="i-0000000a", service_tasks=2))
    arn = place.arn("i-0000000a")
    with pytest.raises(RefusedError, match="is connected"):
        drains(place).deregister(arn)
    assert place.shown(arn)["status"] == "ACTIVE"
    place.lab.ecs.set_connected(arn, connected=False)
    for _ in range(2):
        drains(place).deregister(arn)
    assert place.shown(arn)["status"] == "INACTIVE"
    assert len(place.calls("DeregisterContainerInstance")) == 1
    drains(place).deregister(UNKNOWN)


def test_room_and_need_are_read(start: Start) -> None:
    """Rooms are what ACTIVE, connected Linux instances have left; needs are what ECS reserves for each task."""
    place = start(
        InstanceSpec(instance_id="i-0000000a", service_tasks=2),
        InstanceSpec(instance_id="i-0000000b", service_tasks=0, platform=Platform.WINDOWS),
        service=ServiceSpec(minimum_healthy_percent=50, maximum_percent=150),
    )
    arn, empty, draining, cut = place.arn("i-0000000a"), *(join(place, f"i-0000000{end}") for end in "cde")
    sized = [{"name": "app", "image": "x", "cpu": 10, "memory": 500, "memoryReservation": 100}]
    place.client.register_task_definition(family="soft", containerDefinitions=sized)  # type: ignore[arg-type]  # plain dicts
    place.client.register_task_definition(
        family="whole",
        containerDefinitions=sized,  # type: ignore[arg-type]  # plain dicts
        cpu="256",
        memory="512",
    )
    start_tasks(place, arn, 1, "soft")
    start_tasks(place, arn, 1, "whole")
    drains(place).drain([draining])
    place.lab.ecs.set_connected(cut, connected=False)
    found = drains(place).capacity([arn, empty])
    assert found.rooms == {
        arn: Room(cpu=2048 - 2 * 64 - 266, memory=7680 - 2 * 64 - 612),
        empty: Room(cpu=2048, memory=7680),
    }
    assert sorted(found.loads[arn], key=lambda each: each.memory) == [
        Load(service="web", cpu=64, memory=64),
        Load(service="web", cpu=64, memory=64),
        Load(service="", cpu=10, memory=100),
        Load(service="", cpu=256, memory=512),
    ]
    assert found.loads[empty] == []
    assert found.services == {"web": ServiceLoad(desired=2, running=2, minimum_percent=50, maximum_percent=150)}


def test_services_are_asked_for_ten_in_a_call(start: Start) -> None:
    """Twelve services, one of them a daemon, take two calls; one that has been deleted since is left out."""
    place = start(service=ServiceSpec(start_seconds=0, stop_seconds=600))
    arn = join(place, "i-0000000a")
    names = [f"s{number:02}" for number in range(12)]
    for name in names:
        more: dict[str, Any] = {"schedulingStrategy": "DAEMON"} if name == "s03" else {"desiredCount": 1}
        place.client.create_service(cluster=CLUSTER, serviceName=name, taskDefinition="web", **more)
    eventually(lambda: len(drains(place).tasks([arn])[arn]) == len(names))
    del place.lab.ecs.state.clusters[CLUSTER].services["s11"]
    found = drains(place).capacity([arn])
    assert sorted(found.services) == names[:11]
    assert [each.daemon for each in found.services.values()] == [name == "s03" for name in names[:11]]
    assert [len(each["services"]) for each in place.calls("DescribeServices")] == [10, 2]


def test_more_instances_than_a_page(start: Start) -> None:
    """The room of 120 instances is read, not that of the first hundred (F80)."""
    place = start()
    assert len(drains(place).capacity(crowd(place, 120)[:1]).rooms) == 120


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({}, (0, 0)),
        ({"cpu": "512", "memory": "1024", "containers": [{"name": "a", "cpu": "9", "memory": "9"}]}, (512, 1024)),
        ({"containers": [{"name": "a", "cpu": "0", "memory": "300"}, {"name": "b", "memory": "20"}]}, (0, 320)),
        (
            {
                "containers": [{"name": "a", "cpu": "1", "memory": "9", "memoryReservation": "5"}],
                "overrides": {"containerOverrides": [{"name": "a", "cpu": 7}, {"name": "b"}]},
            },
            (7, 5),
        ),
        (
            {
                "containers": [{"name": "a", "cpu": "1", "memory": "9"}],
                "overrides": {"containerOverrides": [{"name": "a", "memoryReservation": 4}]},
            },
            (1, 4),
        ),
        (
            {"cpu": "512", "memory": "1024", "overrides": {"cpu": "1024", "memory": "2048"}},
            (1024, 2048),
        ),
    ],
)
def test_what_ecs_reserves_for_a_task(task: Mapping[str, object], expected: tuple[int, int]) -> None:
    """A task's own size, else its containers': an override first, a soft limit of memory before the hard one."""
    client = boto3.client("ecs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stub:
        stub.add_response("list_tasks", {"taskArns": ["t"]})
        stub.add_response("describe_tasks", {"tasks": [{"taskArn": "t", "lastStatus": "RUNNING", **task}]})
        stub.add_response("list_container_instances", {"containerInstanceArns": []})
        found = read_capacity(client, CLUSTER, ["a"])
    assert found.loads == {"a": [Load(service="", cpu=expected[0], memory=expected[1])]}


def everything(place: Place, arns: Sequence[str], task: str) -> None:
    """Use every verb once; the second instance has room for a tag only, and the last is a ghost."""
    port = drains(place)
    port.capacity(arns)
    port.own(arns, "run-1")
    port.drain(arns)
    port.tasks(arns)
    port.stop([task], "making room")
    port.registrations(["i-00000000"])
    port.carry_over(arns[2], arns[3])
    port.activate(arns)
    port.disown(arns)
    port.deregister(arns[-1])


def prepared(place: Place) -> tuple[list[str], str]:
    arns = crowd(place, 5)
    place.put(arns[1], **{f"team{number}": "x" for number in range(10)})
    place.put(arns[2], rack="7")
    place.client.create_service(cluster=CLUSTER, serviceName="s", taskDefinition="web", desiredCount=5)
    eventually(lambda: any(each.service for each in drains(place).tasks(arns)[arns[0]]))
    place.lab.ecs.set_connected(arns[-1], connected=False)
    return arns, start_tasks(place, arns[0], 1)[0]


def policy(cluster: str = CLUSTER) -> IamPolicy:
    where = Where(account="123456789012", region="us-east-1", cluster=cluster)
    return IamPolicy(statements=(*controller_policy(where).statements, *drain_statements(where)))


def test_the_printed_policy_is_enough(start: Start) -> None:
    """Every verb works under the controller's policy with what draining needs beside it."""
    place = start()
    arns, task = prepared(place)
    place.lab.access.enforce(policy().document())
    everything(place, arns, task)
    assert place.lab.access.refusals == []


@pytest.mark.parametrize(
    "action",
    sorted({action for each in drain_statements(Where(account="1", region="r")) for action in each.actions}),
)
def test_the_printed_policy_is_no_more_than_is_needed(start: Start, action: str) -> None:
    """Without any one of draining's permissions a verb fails with an error that names it."""
    place = start()
    arns, task = prepared(place)
    document = policy().document()
    for each in document["Statement"]:
        actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
        each["Action"] = [name for name in actions if name != action] or ["none:None"]
    place.lab.access.enforce(document)
    with pytest.raises(EnvironmentFault, match=f"Not allowed: {action}"):
        everything(place, arns, task)


def test_the_policy_is_for_one_cluster(start: Start) -> None:
    """The policy of another cluster drains nothing here."""
    place = start()
    arn = join(place, "i-0000000a")
    place.lab.access.enforce(policy("other").document())
    port = drains(place)
    for call in (port.drain, port.tasks, lambda arns: port.own(arns, "r")):
        with pytest.raises(EnvironmentFault, match="Not allowed"):
            call([arn])
