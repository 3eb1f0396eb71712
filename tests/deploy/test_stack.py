"""The stack, deployed into the lab: a rollout uses its table, its topic, its documents and its permissions alone."""

import ast
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.deploy.support import DEPLOY, substituted, template
from tests.scenario.conftest import Workplace, fleet, workplace

__all__ = ["workplace"]

Start = Callable[..., Workplace]

PARAMETERS = {
    "Cluster": "demo", "Secret": "registry", "Image": "registry.example.com/ecs-rollout:1", "Mail": "night@example.com",
    "Subnets": "subnet-11111111,subnet-22222222", "SecurityGroups": "sg-11111111", "BootBucket": "conf",
}  # fmt: skip


def deploy(**changes: str) -> dict[str, str]:
    """Deploy the template; return its outputs."""
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName="rotation",
        TemplateBody=(DEPLOY / "template.yaml").read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": text} for key, text in {**PARAMETERS, **changes}.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    stack = client.describe_stacks(StackName="rotation")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def publish_as_the_stack_does(place: Workplace) -> None:
    """Create the documents of the second template as CloudFormation does: property by property."""
    found = template(place.cli("documents", "template").out)
    for each in found["Resources"].values():
        properties = substituted(each["Properties"], {"DocumentPrefix": "ecs-rollout"})
        properties.pop("UpdateMethod")  # CloudFormation's own
        boto3.client("ssm").create_document(**properties)


def read(document: Any) -> dict[str, Any]:
    """A policy of a stack: moto keeps the text of its own value, where AWS gives JSON."""
    found: dict[str, Any] = ast.literal_eval(document) if isinstance(document, str) else document
    return found


def role_policies(role: str) -> dict[str, Any]:
    """Everything that the controller's role may do."""
    client = boto3.client("iam")
    names = client.list_role_policies(RoleName=role)["PolicyNames"]
    documents = [client.get_role_policy(RoleName=role, PolicyName=each)["PolicyDocument"] for each in names]
    statements = [statement for each in documents for statement in read(each)["Statement"]]
    return {"Version": "2012-10-17", "Statement": statements}


def instance_policy(outputs: dict[str, str]) -> dict[str, Any]:
    client = boto3.client("iam")
    version = client.get_policy(PolicyArn=outputs["InstancePolicy"])["Policy"]["DefaultVersionId"]
    found = client.get_policy_version(PolicyArn=outputs["InstancePolicy"], VersionId=version)
    return read(found["PolicyVersion"]["Document"])


# moto deploys what it knows; test_schedule makes the rest.
@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*not supported by moto:UserWarning")
def test_a_rollout_uses_the_stack_and_nothing_else(workplace: Start) -> None:
    """With the stack's table, topic and roles, and the documents of the other stack, a fleet is rolled and told of."""
    place = workplace(*fleet(2), publish=False)
    source = place.put_secret()
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="conf")
    s3.put_object(Bucket="conf", Key="ecs.config", Body="ECS_CLUSTER=demo\n", Tagging="team=web")
    outputs = deploy()
    publish_as_the_stack_does(place)
    assert place.cli("documents", "check").code == 0
    state = ("--state", f"dynamodb:{outputs['StateTable']}")
    told = ("--notify", f"sns:{outputs['Topic']}", "--metrics", "cloudwatch:ecs-rollout", "--log-format", "json")
    controller, instance = role_policies(outputs["ControllerRole"]), instance_policy(outputs)
    place.lab.access.enforce(controller)
    place.lab.access.enforce_instances(instance)
    done = place.rollout(
        "run", *state, *told, "--boot-config", "s3://conf/ecs.config", "--output", "json", source=source
    )
    assert done.code == 0, done.err
    assert place.lab.access.refusals == []
    assert done.report["summary"] == {"updated": 2}
    assert done.report["run"]["undelivered"] == []
    assert done.report["run"]["boot_configs"][0]["result"] == "updated"
    looked = place.cli(
        "generations",
        "--cluster",
        "demo",
        "--boot-config",
        "s3://conf/ecs.config",
        "--check",
        "--poll-seconds=0.2",
        *state,
    )
    assert (looked.code, place.lab.access.refusals) == (0, []), looked.out
    place.lab.access.enforce(None)
    assert place.cli("state", "init", *state).code == 0, "the table has the journal's keys"
    assert done.report["run"]["id"] in place.cli("runs", *state).out
