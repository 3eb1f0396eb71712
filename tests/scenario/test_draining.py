"""Agents that keep no state, in the lab: drained before they are changed, and given back."""

from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest

from orchestrator.lab.scenario import AfterRestart, InstanceSpec, ServiceSpec
from tests.scenario.conftest import Answer, Workplace, fleet

Start = Callable[..., Workplace]

ONE, TWO, THREE = (spec.instance_id for spec in fleet(3))
UPDATED = "updated(verified)"


def standing(place: Workplace) -> dict[str, list[tuple[str, bool, tuple[str, ...]]]]:
    """Give every registration by EC2 instance: status, whether its agent is connected, our marks on it."""
    ecs = boto3.client("ecs")
    cluster = place.lab.scenario.cluster
    arns = ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
    found: dict[str, list[tuple[str, bool, tuple[str, ...]]]] = {}
    for each in ecs.describe_container_instances(cluster=cluster, containerInstances=arns)["containerInstances"]:
        marks = tuple(one["value"] for one in each["attributes"] if one["name"] == "ecs-rollout.run")
        found.setdefault(each["ec2InstanceId"], []).append((each["status"], each["agentConnected"], marks))
    return found


def test_an_ephemeral_instance_is_drained_changed_and_given_back(workplace: Start) -> None:
    """It is updated under a new ARN, ACTIVE and without a mark, with its own attributes; its ghost is gone."""
    specs = fleet(3)
    place = workplace(*specs[:2], replace(specs[2], persistent=False))
    place.put_secret()
    ecs, cluster = boto3.client("ecs"), place.lab.scenario.cluster
    name = specs[2].instance_id
    old = next(
        each["containerInstanceArn"]
        for each in ecs.describe_container_instances(
            cluster=cluster,
            containerInstances=ecs.list_container_instances(cluster=cluster)["containerInstanceArns"],
        )["containerInstances"]
        if each["ec2InstanceId"] == name
    )
    ecs.put_attributes(
        cluster=cluster,
        attributes=[{"name": "team", "value": "blue", "targetType": "container-instance", "targetId": old}],
    )
    plan = place.rollout("plan", "--on-ephemeral=drain").out
    assert "Drained first, since their agents keep no state: 1." in plan
    assert f"{name}: 2 tasks of services; room for" in plan
    assert place.touched() == []
    done = place.rollout("run", "--on-ephemeral=drain", "--max-unavailable=50%", "--output", "json")
    assert done.code == 0, (done.err, done.out)
    assert set(done.outcomes.values()) == {"updated(verified)"}
    row = next(each for each in done.report["instances"] if each["instance_id"] == name)
    assert row["drained"] is True
    assert row["container_instance_arn"] != old
    assert [each["phase"] for each in row["phases"]][:2] == ["queued", "draining"]
    assert standing(place) == {spec.instance_id: [("ACTIVE", True, ())] for spec in specs}
    new = ecs.describe_container_instances(cluster=cluster, containerInstances=[row["container_instance_arn"]])
    attributes = {each["name"]: each.get("value") for each in new["containerInstances"][0]["attributes"]}
    assert attributes["team"] == "blue"


def test_an_ephemeral_agent_that_does_not_return_is_rolled_back_and_given_back(workplace: Start) -> None:
    """Its old credential is back, under one more ARN, ACTIVE and without a mark; no ghost is left."""
    specs = fleet(2)
    place = workplace(specs[0], replace(specs[1], persistent=False, after_restart=AfterRestart.STAYS_DOWN))
    place.put_secret()
    done = place.rollout("run", "--on-ephemeral=drain", "--max-unavailable=50%", "--output", "json")
    assert done.code == 1
    row = next(each for each in done.report["instances"] if each["instance_id"] == specs[1].instance_id)
    assert (row["outcome"], row["reason"]) == ("rolled_back", "agent_did_not_return")
    assert standing(place) == {spec.instance_id: [("ACTIVE", True, ())] for spec in specs}


def stateless(**changes: object) -> tuple[InstanceSpec, ...]:
    """Three instances, the first of which keeps no state."""
    one, *rest = fleet(3)
    return (replace(one, persistent=False, **changes), *rest)  # type: ignore[arg-type]  # fields by name


DRAIN = ("--on-ephemeral=drain", "--waves=100%", "--drain-timeout=20s")


def run(place: Workplace, *flags: str) -> Answer:
    place.put_secret()
    done = place.rollout("run", *DRAIN, *flags, "--output", "json")
    assert place.lab.slips == ()
    assert place.marked() == []
    return done


def told(done: Answer) -> str:
    """What the report says of the first instance."""
    row = next(each for each in done.report["instances"] if each["instance_id"] == ONE)
    return str(row["message"])


def test_a_second_run_drains_nobody(workplace: Start) -> None:
    """What was drained and changed is current to the next run: no drain, no new registration."""
    place = workplace(*stateless())
    first = run(place)
    assert first.outcomes == dict.fromkeys((ONE, TWO, THREE), UPDATED), first.err
    sets = place.calls("UpdateContainerInstancesState")
    second = place.rollout("run", *DRAIN, "--output", "json")
    assert second.outcomes == dict.fromkeys((ONE, TWO, THREE), "current(already_current)"), second.err
    assert [each.status for each in place.registrations(ONE)] == ["INACTIVE", "ACTIVE"]
    assert place.calls("UpdateContainerInstancesState") == sets


def test_tasks_that_stop_slowly_are_waited_for(workplace: Start) -> None:
    """ECS no longer counts what is being stopped; it still serves, and the instance is not changed under it (F81)."""
    place = workplace(*stateless(), service=ServiceSpec(stop_seconds=4))
    done = run(place)
    assert done.outcomes[ONE] == UPDATED, done.err


def test_an_instance_whose_service_cannot_move_is_not_drained(workplace: Start) -> None:
    """At 100/100 percent no task could ever move: the instance stays ACTIVE, and the report names the service."""
    place = workplace(*stateless(), service=ServiceSpec(minimum_healthy_percent=100, maximum_percent=100))
    done = run(place, "--drain-timeout=1s")
    assert done.outcomes == {ONE: "refused(no_capacity)", TWO: UPDATED, THREE: UPDATED}, done.err
    assert "service web can move no task: at least 6 must run" in told(done)
    assert [each.status for each in place.registrations(ONE)] == ["ACTIVE"]
    assert place.calls("UpdateContainerInstancesState") == 0
    assert place.applied(ONE) == 0


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [("skip", "skipped(standalone_tasks)"), ("stop", UPDATED), ("wait", "refused(drain_timed_out)")],
)
def test_standalone_tasks(workplace: Start, policy: str, outcome: str) -> None:
    """Draining moves no standalone task: it is left alone with its instance, stopped, or waited for in vain."""
    place = workplace(*stateless(standalone_tasks=1))
    timeout = "2s" if policy == "wait" else "20s"
    done = run(place, f"--standalone-tasks={policy}", f"--drain-timeout={timeout}")
    assert done.outcomes == {ONE: outcome, TWO: UPDATED, THREE: UPDATED}, done.err
    assert place.registrations(ONE)[-1].status == "ACTIVE"
    assert place.applied(ONE) == (policy == "stop")
