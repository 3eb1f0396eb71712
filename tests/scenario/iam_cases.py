"""Named scenarios for the policies: each with what `iam` is told for it, and the permissions that it cannot do without.

A permission is an action in a statement, by the statement's Sid. What it ends with when that is taken away: an error
that names the action, a warning where the action only tidies up, or a refusal of the instance.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import boto3

from orchestrator.lab.wire import AwsError
from tests.scenario.conftest import QUICK, Answer, Workplace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

HEALTHY = "i-00000000000000001"
CROWDED = "i-00000000000000002"
DEAD = "i-00000000000000003"
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
_LOCK = "/ecs-rollout/demo/lock"

Permission = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scenario. `told` and `delivery`: what `iam` is told, the second for the instances' policy, too.

    `policy` is the caller's: `controller` or `publisher`. `refusals` are permissions of the instances.
    """

    act: Callable[[Workplace], Answer]
    prepare: Callable[[Workplace], object] = lambda _place: None
    policy: str = "controller"
    told: tuple[str, ...] = ("--credential", "secretsmanager:registry")
    delivery: tuple[str, ...] = ()
    errors: tuple[Permission, ...] = ()
    warnings: tuple[Permission, ...] = ()
    refusals: tuple[Permission, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """Everything that the caller's policy is printed with."""
        return (*(self.told if self.policy == "controller" else ()), *self.delivery)


def login(place: Workplace, *, size: int = 20) -> str:
    """Make a login that no instance has yet and the lab's registry accepts."""
    password = secrets.token_hex(size)
    place.lab.registry.logins["puller"] = (password,)
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


def _hold(number: int, **changes: object) -> None:
    owner = {"holder": "anna@bastion", "run": "gone", "since": 1.0, "heartbeat": 2.0, **changes}
    boto3.client("ssm").put_parameter(Name=f"{_LOCK}/{number}", Value=json.dumps(owner), Type="String", Overwrite=True)


def payloads() -> list[str]:
    """Name what lies delivered in Parameter Store."""
    found = boto3.client("ssm").get_parameters_by_path(Path="/ecs-rollout/demo/payload")["Parameters"]
    return [each["Name"] for each in found]


def tidy() -> None:
    """Free the lock and remove deliveries, whatever a scenario left."""
    for name in payloads():
        boto3.client("ssm").delete_parameter(Name=name)
    number, owner = largest_lock()
    if owner and not owner.get("released"):
        _hold(number, released=True)


def _held_by_another(_place: Workplace) -> None:
    _hold(largest_lock()[0] + 1)


def _locked_before(place: Workplace) -> None:
    renew(place)
    _hold(largest_lock()[0] + 1, released=True)


def _no_key_yet(place: Workplace) -> None:
    renew(place)
    client = boto3.client("ssm")
    name = "/ecs-rollout/demo/key"
    if client.get_parameters(Names=[name])["Parameters"]:
        client.delete_parameter(Name=name)


def _kept_in_parameter_store(place: Workplace) -> None:
    boto3.client("ssm").put_parameter(
        Name="/team/login", Value=login(place), Type="SecureString", KeyId=KEY, Overwrite=True
    )


def _kept_under_a_key(place: Workplace) -> None:
    client = boto3.client("secretsmanager")
    if any(each["Name"] == "guarded" for each in client.list_secrets()["SecretList"]):
        client.put_secret_value(SecretId="guarded", SecretString=login(place))
    else:
        client.create_secret(Name="guarded", SecretString=login(place), KmsKeyId=KEY)


def _kept_in_a_bucket(place: Workplace) -> None:
    answer = _bucket("team", "Enabled").put_object(
        Bucket="team", Key="a*b.json", Body=login(place), ServerSideEncryption="aws:kms", SSEKMSKeyId=KEY
    )
    (place.directory / "version").write_text(answer["VersionId"])


def _plan_at_a_version(place: Workplace) -> Answer:
    version = (place.directory / "version").read_text()
    return place.rollout("plan", source=f"s3://team/a*b.json?versionId={version}")


def _bucket(name: str, versioning: Literal["Enabled", "Suspended"]) -> "S3Client":
    client = boto3.client("s3")
    if not any(each["Name"] == name for each in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
    return client


def _delivered_with_versions(place: Workplace) -> None:
    renew(place)
    _bucket("payloads", "Enabled")


def _delivered_without_versions(place: Workplace) -> None:
    renew(place)
    _bucket("payloads", "Suspended")


def _rollout(command: str, *flags: str, source: str = "secretsmanager:registry") -> Callable[[Workplace], Answer]:
    def act(place: Workplace) -> Answer:
        form = () if command == "plan" else ("--output", "json")
        return place.rollout(command, f"--instance={HEALTHY}", *flags, *form, source=source)

    return act


def _rolled(place: Workplace) -> None:
    renew(place)
    done = place.rollout("run", f"--instance={HEALTHY}", "--output", "json")
    (place.directory / "run").write_text(done.report["run"]["id"])


def _restore(place: Workplace) -> Answer:
    run = (place.directory / "run").read_text()
    return place.cli("restore", run, f"--instance={HEALTHY}", "--yes", *QUICK, "--output", "json")


def _cut_creation(place: Workplace) -> None:
    renew(place)
    place.lab.faults.cut("CreateSecret")
    place.lab.faults.fail("CreateSecret", AwsError("ResourceExistsException", "It exists already."), call=2)


def _publish(place: Workplace) -> Answer:
    return place.cli("documents", "publish", "--document-prefix", _PREFIX)


_PREFIX = "team-rollout"


_OPS = ("inspect", "apply", "restore")


def _other_content(op: str) -> str:
    step = {"name": "other", "action": "aws:runShellScript", "inputs": {"runCommand": ["true"]}}
    return json.dumps({"schemaVersion": "2.2", "description": op, "mainSteps": [step]})


def _unpublished(_place: Workplace) -> None:
    client = boto3.client("ssm")
    found = client.list_documents(Filters=[{"Key": "Name", "Values": [_PREFIX]}])["DocumentIdentifiers"]
    for each in found:
        client.delete_document(Name=each["Name"])


def _published(place: Workplace) -> None:
    _unpublished(place)
    assert _publish(place).code == 0


def _published_by_another(place: Workplace) -> None:
    _unpublished(place)
    for op in _OPS:
        boto3.client("ssm").create_document(Name=f"{_PREFIX}-{op}", Content=_other_content(op), DocumentType="Command")


def _published_and_replaced(place: Workplace) -> None:
    """Make ours an older version, and another the default."""
    _published(place)
    client = boto3.client("ssm")
    for op in _OPS:
        client.update_document(Name=f"{_PREFIX}-{op}", Content=_other_content(op), DocumentVersion="$LATEST")
        client.update_document_default_version(Name=f"{_PREFIX}-{op}", DocumentVersion="2")


_OVER_S3 = ("--delivery", "s3", "--delivery-bucket", "payloads", "--kms-key", KEY)
_OVER_SECRETS = ("--delivery", "secretsmanager", "--kms-key", KEY)
_LARGE = 1800
"""Bytes of a password, in hex digits twice as many: its payload needs the advanced tier."""

CASES: dict[str, Case] = {
    "plan": Case(
        act=_rollout("plan"),
        errors=(
            ("SendOurDocuments", "ssm:SendCommand"),
            ("SendToInstances", "ssm:SendCommand"),
            ("FollowCommands", "ssm:ListCommandInvocations"),
            ("FollowCommands", "ssm:DescribeInstanceInformation"),
            ("CheckOurDocuments", "ssm:GetDocument"),
            ("CheckOurDocuments", "ssm:DescribeDocument"),
            ("ReadCluster", "ecs:DescribeClusters"),
            ("ReadCluster", "ecs:ListContainerInstances"),
            ("ReadContainerInstances", "ecs:DescribeContainerInstances"),
            ("ReadGenerationKey", "ssm:GetParameter"),
            ("ReadCredential", "secretsmanager:GetSecretValue"),
        ),
    ),
    "plan of a fleet with managed instances": Case(
        act=_rollout("plan"), errors=(("RecognizeManagedInstances", "ecs:DescribeCapacityProviders"),)
    ),
    "plan of an instance with more registries than a line holds": Case(
        act=lambda place: place.rollout("plan", f"--instance={CROWDED}"),
        errors=(("FollowCommands", "ssm:GetCommandInvocation"),),
    ),
    "plan only for instances with a tag": Case(
        act=_rollout("plan"),
        told=("--credential", "secretsmanager:registry", "--instance-tag", "Name=healthy"),
        errors=(("SendToInstances", "ssm:SendCommand"),),
    ),
    "plan from Parameter Store": Case(
        act=_rollout("plan", source="ssm:/team/login"),
        prepare=_kept_in_parameter_store,
        told=("--credential", "ssm:/team/login", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "ssm:GetParameter"), ("DecryptCredential", "kms:Decrypt")),
    ),
    "plan from a secret under a customer key": Case(
        act=_rollout("plan", source="secretsmanager:guarded"),
        prepare=_kept_under_a_key,
        told=("--credential", "secretsmanager:guarded", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "secretsmanager:GetSecretValue"), ("DecryptCredential", "kms:Decrypt")),
    ),
    "plan from S3": Case(
        act=_rollout("plan", source="s3://team/a*b.json"),
        prepare=_kept_in_a_bucket,
        told=("--credential", "s3://team/a*b.json", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "s3:GetObject"), ("DecryptCredential", "kms:Decrypt")),
    ),
    "plan from S3 at a version": Case(
        act=_plan_at_a_version,
        prepare=_kept_in_a_bucket,
        told=("--credential", "s3://team/a*b.json?versionId=1", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "s3:GetObjectVersion"),),
    ),
    "run": Case(
        act=_rollout("run"),
        prepare=_locked_before,
        errors=(
            ("FindLock", "ssm:GetParametersByPath"),
            ("HoldLock", "ssm:GetParameter"),
            ("HoldLock", "ssm:PutParameter"),
            ("DeliverPayload", "ssm:PutParameter"),
        ),
        warnings=(("HoldLock", "ssm:DeleteParameters"), ("DeliverPayload", "ssm:DeleteParameter")),
        refusals=(("FetchPayload", "ssm:GetParameter"),),
    ),
    "first run of a cluster": Case(
        act=_rollout("run"),
        prepare=_no_key_yet,
        errors=(("MakeGenerationKeyOnce", "ssm:PutParameter"),),
    ),
    # What it needs is in `run` and `plan`, all but the right to send the third document.
    "restore": Case(act=_restore, prepare=_rolled, told=()),
    "take-over": Case(
        act=_rollout("run", "--take-over"),
        prepare=_held_by_another,
        errors=(("FollowCommands", "ssm:ListCommands"),),
    ),
    "run with a customer key": Case(
        act=_rollout("run", "--kms-key", KEY),
        prepare=renew,
        delivery=("--kms-key", KEY),
        errors=(("EncryptPayload", "kms:Encrypt"),),
        refusals=(("FetchPayload", "ssm:GetParameter"), ("DecryptPayload", "kms:Decrypt")),
    ),
    "run with a customer key and a large credential": Case(
        act=_rollout("run", "--kms-key", KEY),
        prepare=lambda place: renew(place, size=_LARGE),
        delivery=("--kms-key", KEY),
        errors=(("EncryptPayload", "kms:GenerateDataKey"),),
    ),
    "run over Secrets Manager": Case(
        act=_rollout("run", *_OVER_SECRETS),
        prepare=renew,
        delivery=_OVER_SECRETS,
        errors=(
            ("DeliverPayload", "secretsmanager:CreateSecret"),
            ("EncryptPayload", "kms:GenerateDataKey"),
            ("EncryptPayload", "kms:Decrypt"),
        ),
        warnings=(("DeliverPayload", "secretsmanager:DeleteSecret"),),
        refusals=(("FetchPayload", "secretsmanager:GetSecretValue"), ("DecryptPayload", "kms:Decrypt")),
    ),
    "run over Secrets Manager whose first answer is lost": Case(
        act=_rollout("run", *_OVER_SECRETS),
        prepare=_cut_creation,
        delivery=_OVER_SECRETS,
        errors=(("DeliverPayload", "secretsmanager:PutSecretValue"),),
    ),
    "run over S3": Case(
        act=_rollout("run", *_OVER_S3),
        prepare=_delivered_without_versions,
        delivery=_OVER_S3,
        errors=(("DeliverPayload", "s3:PutObject"), ("EncryptPayload", "kms:GenerateDataKey")),
        warnings=(("DeliverPayload", "s3:DeleteObject"),),
        refusals=(("FetchPayload", "s3:GetObject"), ("DecryptPayload", "kms:Decrypt")),
    ),
    "run over S3 with versions": Case(
        act=_rollout("run", *_OVER_S3),
        prepare=_delivered_with_versions,
        delivery=_OVER_S3,
        warnings=(("DeliverPayload", "s3:DeleteObjectVersion"),),
        refusals=(("FetchPayload", "s3:GetObjectVersion"),),
    ),
    "publish for the first time": Case(
        act=_publish,
        prepare=_unpublished,
        policy="publisher",
        delivery=("--document-prefix", _PREFIX),
        errors=(("Documents", "ssm:GetDocument"), ("Documents", "ssm:CreateDocument")),
    ),
    "publish again": Case(
        act=_publish,
        prepare=_published,
        policy="publisher",
        delivery=("--document-prefix", _PREFIX),
        errors=(("Documents", "ssm:DescribeDocument"),),
    ),
    "publish over other content": Case(
        act=_publish,
        prepare=_published_by_another,
        policy="publisher",
        delivery=("--document-prefix", _PREFIX),
        errors=(("Documents", "ssm:UpdateDocument"), ("Documents", "ssm:UpdateDocumentDefaultVersion")),
    ),
    "publish what is an older version": Case(
        act=_publish,
        prepare=_published_and_replaced,
        policy="publisher",
        delivery=("--document-prefix", _PREFIX),
        errors=(("Documents", "ssm:ListDocumentVersions"),),
    ),
}
