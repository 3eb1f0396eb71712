"""Container instances as ECS shows them, read by the adapter."""

from collections.abc import Callable, Iterable, Mapping

from orchestrator.aws.ecs import MARK, EcsFleet
from orchestrator.core.model import Ping, Status
from orchestrator.lab.scenario import InstanceSpec, ServiceSpec
from tests.aws.conftest import CLUSTER, Place

ONE, OTHER = "i-00000000000000001", "i-00000000000000002"


class Pings:
    """The one thing that the fleet asks of Run Command."""

    def ping(self, instance_ids: Iterable[str]) -> Mapping[str, Ping]:
        return dict.fromkeys(instance_ids, Ping.ONLINE)


def fleet(place: Place) -> EcsFleet:
    return EcsFleet(client=place.client, commands=Pings(), cluster=CLUSTER)  # type: ignore[arg-type]  # see Pings


def test_who_drained_an_instance_is_read_with_it(start: Callable[..., Place]) -> None:
    """The run that owns an instance is read from the attribute, else from the tag; and its image from ECS."""
    specs = [InstanceSpec(instance_id=each, ami_id=f"ami-{each[-8:]}") for each in (ONE, OTHER, "i-00000000000000003")]
    place = start(*specs)
    place.put(place.arn(ONE), **{MARK: "run-1"})
    place.client.tag_resource(resourceArn=place.arn(ONE), tags=[{"key": MARK, "value": "run-0"}])
    place.client.tag_resource(resourceArn=place.arn(OTHER), tags=[{"key": MARK, "value": "run-2"}])
    found = {each.instance_id: each for each in fleet(place).discover()}
    assert [each.mark for each in found.values()] == ["run-1", "run-2", ""]
    assert found[ONE].ami == "ami-00000001"
    seen = fleet(place).describe([place.arn(ONE), place.arn(OTHER)])
    assert [each.mark for each in seen.values()] == ["run-1", "run-2"]


def test_counts_are_read_again(start: Callable[..., Place]) -> None:
    """Running and pending tasks, status and connection are what ECS says now; an unknown one has no status."""
    place = start(InstanceSpec(instance_id=ONE, service_tasks=2), service=ServiceSpec(start_seconds=60))
    arn = place.arn(ONE)
    place.client.run_task(cluster=CLUSTER, taskDefinition="web", count=3)
    place.client.update_container_instances_state(cluster=CLUSTER, containerInstances=[arn], status="DRAINING")
    unknown = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    seen = fleet(place).describe([arn, unknown])
    assert (seen[arn].status, seen[arn].agent_connected) == (Status.DRAINING, True)
    assert (seen[arn].running_tasks, seen[arn].pending_tasks) == (2, 3)
    assert seen[unknown].status is None
