"""Agents that keep no state, in the lab: drained before they are changed, and given back."""

from collections.abc import Callable
from dataclasses import replace

import boto3

from orchestrator.lab.scenario import AfterRestart
from tests.scenario.conftest import Workplace, fleet

Start = Callable[..., Workplace]


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
