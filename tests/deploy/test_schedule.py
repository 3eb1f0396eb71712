"""The schedule and what it starts, the alarms and whom they tell: with everything that the stack's names stand for.

moto's CloudFormation knows neither schedules, alarms nor subscriptions, but it has their APIs: what CloudFormation
would do, property by property, is done here. Then the task's own command line is run against the lab.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from orchestrator.lab.permissions import Need, Permissions
from tests.deploy.support import DEPLOY, resources, substituted, template
from tests.deploy.test_stack import PARAMETERS, deploy, instance_policy, publish_as_the_stack_does, role_policies
from tests.scenario.conftest import QUICK, Answer, Workplace, fleet, workplace
from tests.scenario.test_rotate import labels, passwords, pend

__all__ = ["workplace"]

Start = Callable[..., Workplace]

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto:UserWarning")


def names_of(place: Workplace, **parameters: str) -> dict[str, Any]:
    """Deploy, and say what every name in the template stands for then."""
    outputs = deploy(**parameters)
    client, iam = boto3.client("cloudformation"), boto3.client("iam")
    made = client.list_stack_resources(StackName="rotation")["StackResourceSummaries"]
    known = template((DEPLOY / "template.yaml").read_text())["Parameters"]
    given = {**{name: each.get("Default", "") for name, each in known.items()}, **PARAMETERS, **parameters}
    names: dict[str, Any] = {**given, **outputs, "AWS::Partition": "aws", "AWS::Region": "us-east-1"}
    names |= {"AWS::AccountId": place.lab.scenario.account, "HasMail": True, "HasBootConfig": True}
    # One that moto does not know has no name there.
    names |= {
        each["LogicalResourceId"]: each["PhysicalResourceId"] for each in made if each["LogicalResourceId"].strip()
    }
    for name in ("Subnets", "SecurityGroups"):
        names[name] = given[name].split(",")
    for name in ("ControllerRole", "ExecutionRole", "ScheduleRole"):
        names[f"{name}.Arn"] = iam.get_role(RoleName=names[name])["Role"]["Arn"]
    return names


def properties(name: str, names: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = substituted(resources()[name]["Properties"], names)
    return found


def make_the_rest(names: dict[str, Any]) -> None:
    """Create what moto's CloudFormation leaves out; botocore refuses what these APIs would not take."""
    night = properties("Night", names)
    network = night["Target"]["EcsParameters"]["NetworkConfiguration"]
    network["awsvpcConfiguration"] = network.pop("AwsvpcConfiguration")  # as the API writes it
    boto3.client("scheduler").create_schedule(Name="night", **night)
    for alarm in ("FailedNight", "MissedNight"):
        boto3.client("cloudwatch").put_metric_alarm(AlarmName=alarm, **properties(alarm, names))
    boto3.client("sns").subscribe(**properties("MailSubscription", names))


def breaching(alarm: str) -> bool:
    """Ask CloudWatch for exactly what an alarm watches, and say whether its newest period breaches."""
    found: dict[str, Any] = {**boto3.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]}
    now = datetime.now(UTC)  # noqa: TID251 - CloudWatch is asked by real time
    statistic: str = found["Statistic"]
    asked: dict[str, Any] = {name: found[name] for name in ("Namespace", "MetricName", "Dimensions", "Period")}
    asked |= {"Statistics": [statistic], "StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1)}
    answer: dict[str, Any] = {**boto3.client("cloudwatch").get_metric_statistics(**asked)}
    if not answer["Datapoints"]:
        return str(found["TreatMissingData"]) == "breaching"
    newest = float(max(answer["Datapoints"], key=lambda point: point["Timestamp"])[statistic])
    if found["ComparisonOperator"] == "LessThanThreshold":
        return newest < float(found["Threshold"])
    assert found["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    return newest >= float(found["Threshold"])


def test_the_schedule_starts_the_task_and_may(workplace: Start) -> None:
    """Its target is this cluster and this task; its role may run that one alone, and pass on just the task's roles."""
    place = workplace(*fleet(1), publish=False)
    names = names_of(place)
    make_the_rest(names)
    night = boto3.client("scheduler").get_schedule(Name="night")
    assert (night["ScheduleExpression"], night["ScheduleExpressionTimezone"]) == ("cron(30 2 * * ? *)", "UTC")
    target = night["Target"]
    (cluster,) = boto3.client("ecs").describe_clusters(clusters=["demo"])["clusters"]
    assert target["Arn"] == cluster["clusterArn"]
    assert target["EcsParameters"]["TaskDefinitionArn"] == names["Task"]
    role = boto3.client("iam").get_role(RoleName=target["RoleArn"].rpartition("/")[2])["Role"]
    (trusted,) = substituted(resources()["ScheduleRole"]["Properties"]["AssumeRolePolicyDocument"], names)["Statement"]
    assert trusted["Principal"] == {"Service": "scheduler.amazonaws.com"}
    may = Permissions(role_policies(role["RoleName"]))
    here = {"ecs:cluster": target["Arn"]}
    assert may.allow(Need(action="ecs:RunTask", resource=names["Task"], context=here))
    assert not may.allow(Need(action="ecs:RunTask", resource=names["Task"].replace("demo", "other"), context=here))
    assert not may.allow(
        Need(action="ecs:RunTask", resource=names["Task"], context={"ecs:cluster": f"{target['Arn']}2"})
    )
    task = properties("Task", names)
    passed = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    for needed in (task["TaskRoleArn"], task["ExecutionRoleArn"]):
        assert may.allow(Need(action="iam:PassRole", resource=needed, context=passed))
        assert not may.allow(Need(action="iam:PassRole", resource=needed, context={"iam:PassedToService": "ec2"}))
    assert not may.allow(Need(action="iam:PassRole", resource=role["Arn"], context=passed))


def test_the_alarms_tell_the_topic_and_the_topic_tells_by_mail(workplace: Start) -> None:
    """Both alarms act on the stack's topic, which the address from the parameters is subscribed to."""
    place = workplace(*fleet(1), publish=False)
    names = names_of(place)
    make_the_rest(names)
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {each["AlarmName"]: each["AlarmActions"] for each in alarms} == {
        "FailedNight": [names["Topic"]], "MissedNight": [names["Topic"]],
    }  # fmt: skip
    (subscription,) = boto3.client("sns").list_subscriptions_by_topic(TopicArn=names["Topic"])["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", PARAMETERS["Mail"])
    assert breaching("MissedNight"), "nothing has run yet"
    assert not breaching("FailedNight")


def test_nights_as_the_schedule_starts_them(workplace: Start) -> None:
    """The task's own words under its own role: rolled and promoted; a login that nobody takes sets off the alarm.

    A command line that cannot be read counts as no night at all.
    """
    place = workplace(*fleet(2), publish=False)
    place.put_secret()
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="conf")
    s3.put_object(Bucket="conf", Key="ecs.config", Body="ECS_CLUSTER=demo\n", Tagging="team=web")
    flags = ("--max-duration", "4h", "--wait-for-lock", "30m", "--allow-removal", *QUICK)
    names = names_of(place, Flags=",".join(flags))
    make_the_rest(names)
    publish_as_the_stack_does(place)
    place.lab.access.enforce_instances(instance_policy(names))
    controller = role_policies(names["ControllerRole"])
    (container,) = properties("Task", names)["ContainerDefinitions"]
    assert container["Command"][0] == "rotate"

    def night() -> Answer:
        place.lab.access.enforce(controller)
        done = place.cli(*container["Command"])
        place.lab.access.enforce(None)
        assert place.lab.access.refusals == []
        return done

    assert place.cli(*container["Command"], "--max-duratoin", "4h").code == 2
    assert (breaching("MissedNight"), breaching("FailedNight")) == (True, False), "what cannot be read has not run"
    first = night()
    assert first.code == 0, first.err
    assert (breaching("MissedNight"), breaching("FailedNight")) == (False, False)
    version = pend(place, "the-next-one")
    second = night()
    assert second.code == 0, second.err
    pend(place, "another-one", good=False)
    third = night()
    assert third.code == 3, third.err
    assert breaching("FailedNight")
    assert labels()["AWSCURRENT"] == version
    assert passwords(place) == {"the-next-one"}
    assert "the-next-one" in s3.get_object(Bucket="conf", Key="ecs.config")["Body"].read().decode()
    told = [each.body for each in place.lab.recorder.of("Publish")]
    assert [b"DID+NOT+RUN" in each for each in told] == [False, False, False, False, True]
    assert all(names["Topic"].encode().replace(b":", b"%3A") in each for each in told)
