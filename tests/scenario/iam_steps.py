"""What the scenarios of the policies prepare and do."""

import contextlib
import json
import secrets
import socket
import sys
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import boto3
import pytest

from orchestrator.aws.ecs import MARK
from orchestrator.aws.rotation import handler
from orchestrator.aws.secrets import KEY_BYTES, cluster_key
from orchestrator.cli import store
from orchestrator.cli.compose import rendered
from orchestrator.errors import RolloutError
from orchestrator.journal.place import JournalPlace
from orchestrator.lab.wire import AwsError
from tests.journal_runs import large_run
from tests.receiver import receiver
from tests.scenario.conftest import QUICK, Answer, Workplace
from tests.scenario.secrets_manager import STEPS, Context, announce

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEALTHY = "i-00000000000000001"
CROWDED = "i-00000000000000002"
DEAD = "i-00000000000000003"
STATELESS = "i-00000000000000005"
STATELESS_TOO = "i-00000000000000006"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
_LOCK = "/ecs-rollout/demo/lock"


def login(place: Workplace, *, size: int = 20) -> str:
    """Make a login that no instance has yet and the lab's registry accepts, as it does those of before."""
    password = secrets.token_hex(size)
    place.lab.registry.logins["puller"] += (password,)
    return json.dumps({place.lab.registry_name: {"username": "puller", "password": password}})


def renew(place: Workplace, *, size: int = 20) -> None:
    """Give the secret a new login, so that there is something to do."""
    boto3.client("secretsmanager").put_secret_value(SecretId="registry", SecretString=login(place, size=size))


def largest_lock() -> tuple[int, dict[str, object]]:
    """Find the lock's largest number and what it holds."""
    client = boto3.client("ssm")
    pages = client.get_paginator("get_parameters_by_path").paginate(Path=_LOCK)
    found = {int(each["Name"].rsplit("/", 1)[1]): each["Value"] for page in pages for each in page["Parameters"]}
    return (max(found), json.loads(found[max(found)])) if found else (0, {})


def hold(number: int, **changes: object) -> None:
    owner = {"holder": "anna@bastion", "run": "gone", "since": 1.0, "heartbeat": 2.0, **changes}
    boto3.client("ssm").put_parameter(Name=f"{_LOCK}/{number}", Value=json.dumps(owner), Type="String", Overwrite=True)


def payloads() -> list[str]:
    """Name what lies delivered in Parameter Store."""
    found = boto3.client("ssm").get_parameters_by_path(Path="/ecs-rollout/demo/payload")["Parameters"]
    return [each["Name"] for each in found]


def unmark() -> None:
    """Give back what a run that was denied something has left marked: every later run would mend it first."""
    ecs = boto3.client("ecs")
    arns = ecs.list_container_instances(cluster="demo")["containerInstanceArns"]
    found = ecs.describe_container_instances(cluster="demo", containerInstances=arns, include=["TAGS"])
    for each in found["containerInstances"]:
        arn = each["containerInstanceArn"]
        if MARK in {one["name"] for one in each["attributes"]} | {one["key"] for one in each["tags"]}:
            ecs.update_container_instances_state(cluster="demo", containerInstances=[arn], status="ACTIVE")
            ecs.delete_attributes(cluster="demo", attributes=[{"name": MARK, "targetId": arn}])
            ecs.untag_resource(resourceArn=arn, tagKeys=[MARK])


def tidy() -> None:
    """Free the lock, unmark, remove deliveries and make our documents the default, whatever a scenario left."""
    unmark()
    client = boto3.client("ssm")
    if client.describe_document(Name="ecs-rollout-inspect")["Document"]["DocumentVersion"] != "1":
        for op in _OPS:
            client.update_document_default_version(Name=f"ecs-rollout-{op}", DocumentVersion="1")
    for name in payloads():
        boto3.client("ssm").delete_parameter(Name=name)
    number, owner = largest_lock()
    if owner and not owner.get("released"):
        hold(number, released=True)


def held_by_another(_place: Workplace) -> None:
    hold(largest_lock()[0] + 1)


def locked_before(place: Workplace) -> None:
    renew(place)
    hold(largest_lock()[0] + 1, released=True)


def no_key_yet(place: Workplace) -> None:
    renew(place)
    client = boto3.client("ssm")
    name = "/ecs-rollout/demo/key"
    if client.get_parameters(Names=[name])["Parameters"]:
        client.delete_parameter(Name=name)


def kept_in_parameter_store(place: Workplace) -> None:
    boto3.client("ssm").put_parameter(
        Name="/team/login", Value=login(place), Type="SecureString", KeyId=KEY, Overwrite=True
    )


def kept_under_a_key(place: Workplace) -> None:
    client = boto3.client("secretsmanager")
    if any(each["Name"] == "guarded" for each in client.list_secrets()["SecretList"]):
        client.put_secret_value(SecretId="guarded", SecretString=login(place))
    else:
        client.create_secret(Name="guarded", SecretString=login(place), KmsKeyId=KEY)


def kept_in_a_bucket(place: Workplace) -> None:
    answer = bucket("team", "Enabled").put_object(
        Bucket="team", Key="a*b.json", Body=login(place), ServerSideEncryption="aws:kms", SSEKMSKeyId=KEY
    )
    (place.directory / "version").write_text(answer["VersionId"])


def plan_at_a_version(place: Workplace) -> Answer:
    version = (place.directory / "version").read_text()
    return place.rollout("plan", source=f"s3://team/a*b.json?versionId={version}")


def bucket(name: str, versioning: Literal["Enabled", "Suspended"]) -> "S3Client":
    client = boto3.client("s3")
    if not any(each["Name"] == name for each in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    return client


def delivered_with_versions(place: Workplace) -> None:
    renew(place)
    bucket("payloads", "Enabled")


def delivered_without_versions(place: Workplace) -> None:
    renew(place)
    bucket("payloads", "Suspended")


def rollout(command: str, *flags: str, source: str = "secretsmanager:registry") -> Callable[[Workplace], Answer]:
    def act(place: Workplace) -> Answer:
        form = () if command == "plan" else ("--output", "json")
        return place.rollout(command, f"--instance={HEALTHY}", *flags, *form, source=source)

    return act


TOPIC = "arn:aws:sns:us-east-1:123456789012:night"
TOLD = (
    *("--notify", f"sns:{TOPIC}", "--notify", "eventbridge:default", "--notify", "webhook:ssm:/team/hook"),
    *("--metrics", "cloudwatch:team/registry"),
)


def somebody_to_tell(place: Workplace) -> None:
    renew(place)
    boto3.client("sns").create_topic(Name="night")
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/hook"
    boto3.client("ssm").put_parameter(Name="/team/hook", Value=url, Type="SecureString", Overwrite=True)
    (place.directory / "hook").write_text(url)


def tell(place: Workplace) -> Answer:
    """Roll, with somebody behind the webhook."""
    with receiver(port=int((place.directory / "hook").read_text().split(":")[2].partition("/")[0])):
        return rollout("run", *TOLD)(place)


def groups_around(_place: Workplace) -> None:
    """Make the cluster's groups: one of a template, with a warm pool, and one of a launch configuration."""
    scaling, image = boto3.client("autoscaling"), "ami-12345678"
    if scaling.describe_auto_scaling_groups()["AutoScalingGroups"]:
        return
    data: Any = {"ImageId": image, "InstanceType": "t3.micro"}
    boto3.client("ec2").create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    scaling.create_launch_configuration(LaunchConfigurationName="old", ImageId=image, InstanceType="t3.micro")
    launches: tuple[Any, ...] = ({"LaunchTemplate": {"LaunchTemplateName": "web"}}, {"LaunchConfigurationName": "old"})
    for name, launch in zip(("web", "old"), launches, strict=True):
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name, MinSize=0, MaxSize=1, AvailabilityZones=["us-east-1a"], **launch
        )
    scaling.put_warm_pool(AutoScalingGroupName="web", MinSize=1)


def look_around(place: Workplace) -> Answer:
    quick = ("--poll-seconds=0.2", "--delivery-seconds=30")
    source = ("--credential", "secretsmanager:registry")
    return place.cli("generations", "--cluster", "demo", *source, *quick, "--output", "json")


def pending(place: Workplace) -> None:
    """Store the next login as a pending version."""
    boto3.client("secretsmanager").put_secret_value(
        SecretId="registry", SecretString=login(place), VersionStages=["AWSPENDING"]
    )


def rotate(place: Workplace) -> Answer:
    """Rotate the healthy instance; one that is not selected would hold AWSCURRENT, one that is excluded does not."""
    others = [f"--exclude={each}" for each in place.lab.hosts if each != HEALTHY]
    words = ("--cluster", "demo", "--credential", "secretsmanager:registry", "--allow-removal", "--output", "json")
    return place.cli("rotate", *words, *QUICK, *others)


def announced(place: Workplace) -> None:
    """Let Secrets Manager begin a rotation: its function has a table, and nobody has made the new version yet."""
    shared(place)
    announce(str(uuid.uuid4()))


def function(place: Workplace) -> Answer:
    """Be the rotation function through its four steps; an error that it raises is told as a command's."""
    others = [f"--exclude={each}" for each in place.lab.hosts if each != HEALTHY]
    maker = place.directory / "make.py"
    maker.write_text(f"print({login(place)!r})")
    configured = {
        "ECS_ROLLOUT_CLUSTER": "demo",
        "ECS_ROLLOUT_STATE": "dynamodb:rollouts",
        "ECS_ROLLOUT_FLAGS": " ".join((*QUICK, "--allow-removal", *others)),
        "ECS_ROLLOUT_CREATE_COMMAND": f"{sys.executable} {maker}",
    }
    found = boto3.client("secretsmanager").describe_secret(SecretId="registry")["VersionIdsToStages"]
    token = next(version for version, labels in found.items() if "AWSPENDING" in labels)
    place.capture.readouterr()
    code, error = 0, ""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in configured.items():
            patch.setenv(name, value)
        try:
            for step in STEPS:
                handler({"Step": step, "SecretId": "registry", "ClientRequestToken": token}, Context(600))
        except RolloutError as raised:
            code, error = int(raised.exit_code), f"error: {raised.message}\n"
    captured = place.capture.readouterr()
    return Answer(code, captured.out, captured.err + error)


BOOT = ("--boot-config", "s3://conf/ecs.config")


def booted_from_a_bucket(place: Workplace) -> None:
    """Keep an old credential, with tags and under a key, where new instances boot from."""
    renew(place)
    bucket("conf", "Enabled").put_object(
        Bucket="conf", Key="ecs.config", Body="ECS_CLUSTER=demo\nECS_ENGINE_AUTH_DATA={}\n", Tagging="team=web",
        ServerSideEncryption="aws:kms", SSEKMSKeyId=KEY,
    )  # fmt: skip


def rolled(place: Workplace) -> None:
    renew(place)
    done = place.rollout("run", f"--instance={HEALTHY}", "--output", "json")
    (place.directory / "run").write_text(done.report["run"]["id"])


def heal(*flags: str) -> Callable[[Workplace], Answer]:
    def act(place: Workplace) -> Answer:
        cluster = place.lab.scenario.cluster
        return place.cli("heal", "--cluster", cluster, f"--instance={HEALTHY}", "--yes", *QUICK, *flags)

    return act


def restore(place: Workplace) -> Answer:
    run = (place.directory / "run").read_text()
    return place.cli("restore", run, f"--instance={HEALTHY}", "--yes", *QUICK, "--output", "json")


def cut_creation(place: Workplace) -> None:
    renew(place)
    place.lab.faults.cut("CreateSecret")
    place.lab.faults.fail("CreateSecret", AwsError("ResourceExistsException", "It exists already."), call=2)


SHARED = ("--state", "dynamodb:rollouts")


def shared(place: Workplace) -> None:
    renew(place)
    assert place.cli("state", "init", *SHARED).code == 0


def begun_and_shared(place: Workplace) -> None:
    """Leave a run in the table that has not ended."""
    shared(place)
    with store.opened(JournalPlace(table="rollouts")) as journal:
        started = large_run(3)[0]
        journal.append(f"run-{place.directory.name}", 1, [started])


def report(place: Workplace) -> Answer:
    return place.cli("report", f"run-{place.directory.name}", *SHARED)


def abort(place: Workplace) -> Answer:
    return place.cli("abort", f"run-{place.directory.name}", *SHARED)


def broken_off_and_shared(place: Workplace) -> None:
    """Leave a run in the table that broke off before it had delivered anything."""
    shared(place)
    cluster_key(boto3.client("ssm"), "demo", secrets.token_bytes(KEY_BYTES))  # so that the second PutParameter delivers
    place.lab.faults.fail("PutParameter", AwsError("AccessDeniedException", "Not now."), call=3)
    broken = rollout("run", *SHARED)(place)
    assert broken.code == 4, broken.err
    with store.opened(JournalPlace(table="rollouts")) as journal:
        (place.directory / "run").write_text(journal.runs()[0].run)


def resume(place: Workplace) -> Answer:
    return place.cli("resume", (place.directory / "run").read_text(), *SHARED, "--output", "json")


def no_table(place: Workplace) -> None:
    published(place)
    client = boto3.client("dynamodb")
    if client.list_tables()["TableNames"]:
        client.delete_table(TableName="rollouts")


def make_table(place: Workplace) -> Answer:
    return place.cli("state", "init", *SHARED)


def publish(place: Workplace) -> Answer:
    return place.cli("documents", "publish", "--document-prefix", PREFIX)


PREFIX = "team-rollout"


_OPS = ("inspect", "apply", "restore")


def other_content(op: str) -> str:
    step = {"name": "other", "action": "aws:runShellScript", "inputs": {"runCommand": ["true"]}}
    return json.dumps({"schemaVersion": "2.2", "description": op, "mainSteps": [step]})


def unpublished(_place: Workplace) -> None:
    client = boto3.client("ssm")
    found = client.list_documents(Filters=[{"Key": "Name", "Values": [PREFIX]}])["DocumentIdentifiers"]
    for each in found:
        client.delete_document(Name=each["Name"])


def published(place: Workplace) -> None:
    unpublished(place)
    assert publish(place).code == 0


def published_in_another_form(_place: Workplace) -> None:
    """Make the default version of each a text that is not ours and means the same."""
    client = boto3.client("ssm")
    for op, text in rendered().items():
        with contextlib.suppress(client.exceptions.DuplicateDocumentContent):  # an earlier test's
            client.update_document(
                Name=f"ecs-rollout-{op}", Content=f"{text}#", DocumentVersion="$LATEST", DocumentFormat="YAML"
            )
        client.update_document_default_version(Name=f"ecs-rollout-{op}", DocumentVersion="2")


def published_by_another(place: Workplace) -> None:
    unpublished(place)
    for op in _OPS:
        boto3.client("ssm").create_document(Name=f"{PREFIX}-{op}", Content=other_content(op), DocumentType="Command")


def published_and_replaced(place: Workplace) -> None:
    """Make ours an older version, and another the default."""
    published(place)
    client = boto3.client("ssm")
    for op in _OPS:
        client.update_document(Name=f"{PREFIX}-{op}", Content=other_content(op), DocumentVersion="$LATEST")
        client.update_document_default_version(Name=f"{PREFIX}-{op}", DocumentVersion="2")


_EVERYWHERE = "everywhere"


def stateless(place: Workplace) -> None:
    """Make two that keep no state as new: ACTIVE, unmarked, a standalone task each; one is full of attributes."""
    renew(place)
    ecs = boto3.client("ecs")
    if not ecs.describe_services(cluster="demo", services=[_EVERYWHERE])["services"]:
        # Draining moves the fleet's own service away for good; a daemon's tasks come back with their instance.
        ecs.create_service(cluster="demo", serviceName=_EVERYWHERE, taskDefinition="web", schedulingStrategy="DAEMON")
    for name in (STATELESS, STATELESS_TOO):
        # What a run that was denied something left behind is for `heal`; here each scenario starts afresh.
        for ghost in place.lab.ecs.registrations(name)[:-1]:
            ecs.deregister_container_instance(cluster="demo", containerInstance=ghost.arn, force=True)
        there = place.lab.ecs.registrations(name)[-1]
        ecs.update_container_instances_state(cluster="demo", containerInstances=[there.arn], status="ACTIVE")
        ecs.untag_resource(resourceArn=there.arn, tagKeys=[MARK])
        wanted = {f"team{number}": "x" for number in range(10)} if name == STATELESS_TOO else {}
        for left in set(there.custom) - set(wanted):
            ecs.delete_attributes(cluster="demo", attributes=[{"name": left, "targetId": there.arn}])
        if wanted:
            attributes = [{"name": each, "value": value, "targetId": there.arn} for each, value in wanted.items()]
            ecs.put_attributes(cluster="demo", attributes=attributes)  # type: ignore[arg-type]  # plain dicts
        ecs.start_task(cluster="demo", taskDefinition="web", containerInstances=[there.arn])


_DRAIN = (
    *(f"--instance={STATELESS}", f"--instance={STATELESS_TOO}", "--waves=100%", "--max-unavailable=2"),
    *("--on-ephemeral=drain", "--output", "json"),
)


def drain(place: Workplace) -> Answer:
    return place.rollout("run", *_DRAIN, "--standalone-tasks=stop", "--drain-timeout=20s")


def drain_in_vain(place: Workplace) -> Answer:
    return place.rollout("run", *_DRAIN, "--standalone-tasks=wait", "--drain-timeout=1s")
