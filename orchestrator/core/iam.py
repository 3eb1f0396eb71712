"""Least-privilege IAM policies, made from what the code calls: each resource is as narrow as its API allows.

What an action can be narrowed by is in AWS's Service Authorization Reference: Run Command's lists take no resource,
SendCommand takes documents and instances, container instances are told apart by the condition key `ecs:cluster`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from orchestrator.core.document_parameters import Kind
from orchestrator.core.iam_document import IamPolicy, Statement
from orchestrator.core.payload import Store
from orchestrator.core.source import FileSource, S3Source, SecretsManagerSource, Source, SsmSource, StdinSource

ANY = "*"
_WILDCARDS = str.maketrans({"*": "${*}", "?": "${?}", "$": "${$}"})
_OFFSET = re.compile(r"(?<=[A-Za-z0-9_.-]):[A-Za-z0-9_.-]+$")
_ADMINISTRATION = (
    *("kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*"),
    *("kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource"),
    *("kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the policies are about. `cluster` may be `*`; `kms_key` is an ARN, or empty for the stores' default keys.

    `bucket` is needed for the delivery over S3 alone.
    """

    partition: str = "aws"
    account: str
    region: str
    cluster: str = ANY
    document_prefix: str = "ecs-rollout"
    parameter_prefix: str = "/ecs-rollout"
    delivery: Store = Store.SSM
    bucket: str = ""
    kms_key: str = ""

    def arn(self, service: str, resource: str) -> str:
        """Name a resource of this account and Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def path(self) -> str:
        """Where the cluster's parameters live, and its payloads in every store."""
        return f"{self.parameter_prefix.rstrip('/')}/{self.cluster}"

    def parameter(self, name: str) -> str:
        """Name a parameter; its ARN has one slash between `parameter` and the name, whatever the name begins with."""
        return self.arn("ssm", f"parameter/{name.removeprefix('/')}")

    @property
    def documents(self) -> tuple[str, ...]:
        """Our documents."""
        return tuple(self.arn("ssm", f"document/{self.document_prefix}-{kind}") for kind in Kind)

    @property
    def payloads(self) -> str:
        """Every payload that is delivered for the cluster."""
        match self.delivery:
            case Store.SSM:
                return self.parameter(f"{self.path}/payload/*")
            case Store.SECRETSMANAGER:
                return self.arn("secretsmanager", f"secret:{self.path}/payload/*")
            case Store.S3:
                return f"arn:{self.partition}:s3:::{self.bucket}/{self.path.removeprefix('/')}/payload/*"
            case _:
                assert_never(self.delivery)

    def only_through(self, store: Store) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Condition on a key's use: by the store, and for this cluster's payloads, which it names as the context."""
        domain = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        context, values = {
            Store.SSM: ("PARAMETER_ARN", (self.payloads,)),
            Store.SECRETSMANAGER: ("SecretARN", (self.payloads,)),
            # With an S3 bucket key the context is the bucket, not the object.
            Store.S3: ("aws:s3:arn", (self.payloads, f"arn:{self.partition}:s3:::{self.bucket}")),
        }[store]
        return {
            "StringEquals": {"kms:ViaService": (f"{store}.{self.region}.{domain}",)},
            "StringLike": {f"kms:EncryptionContext:{context}": values},
        }


def controller_policy(
    place: Place,
    *,
    source: Source | None = None,
    source_key: str = "",
    tag: tuple[str, str] | None = None,
    anywhere: bool = False,
    gates: bool = False,
) -> IamPolicy:
    """Allow what plan and run call, and no more: the documents are only read.

    `source`: where the credential comes from; `source_key`: the ARN of the customer key it is encrypted with.
    `tag`: commands go only to instances with this tag. `anywhere`: the cluster has ECS Anywhere instances, too (F82).
    `gates`: runs ask CloudWatch alarms or change calendars.
    """
    return IamPolicy(
        statements=(
            *_commands(place, tag, anywhere=anywhere),
            *_cluster(place),
            *_state(place),
            *_delivers(place),
            *(reads_source(place, source, source_key) if source else ()),
            *(_asks_gates(place) if gates else ()),
        )
    )


def _asks_gates(place: Place) -> tuple[Statement, ...]:
    """Allow the gates' questions: which alarms and calendars, the operator says at every run."""
    alarms, calendars = place.arn("cloudwatch", "alarm:*"), place.arn("ssm", "document/*")
    return (
        Statement(sid="AskAlarms", actions=("cloudwatch:DescribeAlarms",), resources=(alarms,)),
        Statement(sid="AskCalendars", actions=("ssm:GetCalendarState",), resources=(calendars,)),
    )


def publisher_policy(place: Place) -> IamPolicy:
    """Allow `documents publish` and `documents check`.

    Apart from the controller's: who can change a document that runs as root should not be who sends it every night.
    """
    actions = (
        *("ssm:CreateDocument", "ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion"),
        *("ssm:GetDocument", "ssm:DescribeDocument", "ssm:ListDocumentVersions"),
    )
    return IamPolicy(statements=(Statement(sid="Documents", actions=actions, resources=place.documents),))


def instance_policy(place: Place) -> IamPolicy:
    """Allow an instance's role to fetch what is delivered for its cluster, beside what its agents need anyway."""
    actions = {
        Store.SSM: ("ssm:GetParameter",),
        Store.SECRETSMANAGER: ("secretsmanager:GetSecretValue",),
        # A pinned version in a versioned bucket, else the object, whose key is unique.
        Store.S3: ("s3:GetObject", "s3:GetObjectVersion"),
    }[place.delivery]
    statements = [Statement(sid="FetchPayload", actions=actions, resources=(place.payloads,))]
    if place.kms_key:
        statements.append(_uses_key(place, "DecryptPayload", ("kms:Decrypt",)))
    return IamPolicy(statements=tuple(statements))


def key_policy(place: Place, *, controller: str, instance: str) -> IamPolicy:
    """Make the policy of the KMS key of a delivery: roles of other clusters read nothing with it (F78).

    `controller` and `instance` are the roles' ARNs. The account may administer the key; its use is not left to IAM
    policies, so a role that may read every parameter still cannot decrypt these.
    """
    root = f"arn:{place.partition}:iam::{place.account}:root"
    only = place.only_through(place.delivery)

    def allow(sid: str, principal: str, actions: tuple[str, ...]) -> Statement:
        return Statement(sid=sid, principal=principal, actions=actions, resources=(ANY,), conditions=only)

    return IamPolicy(
        statements=(
            Statement(sid="Administration", principal=root, actions=_ADMINISTRATION, resources=(ANY,)),
            allow("ControllerDelivers", controller, _encrypting(place.delivery)),
            allow("InstancesFetch", instance, ("kms:Decrypt",)),
        )
    )


def _commands(place: Place, tag: tuple[str, str] | None, *, anywhere: bool) -> Iterator[Statement]:
    send = ("ssm:SendCommand",)
    hosts = (place.arn("ec2", "instance/*"), *((place.arn("ssm", "managed-instance/mi-*"),) if anywhere else ()))
    tagged = {"StringEquals": {f"ssm:resourceTag/{tag[0]}": (tag[1],)}} if tag else {}
    yield Statement(sid="SendOurDocuments", actions=send, resources=place.documents)
    # A statement of its own: the condition would never hold for the documents.
    yield Statement(sid="SendToInstances", actions=send, resources=hosts, conditions=tagged)
    yield Statement(
        sid="FollowCommands",
        actions=(
            *("ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation"),
            "ssm:DescribeInstanceInformation",
        ),
        resources=(ANY,),
    )
    reads = ("ssm:GetDocument", "ssm:DescribeDocument")
    yield Statement(sid="CheckOurDocuments", actions=reads, resources=place.documents)


def _cluster(place: Place) -> Iterator[Statement]:
    cluster = place.arn("ecs", f"cluster/{place.cluster}")
    actions = ("ecs:DescribeClusters", "ecs:ListContainerInstances")
    yield Statement(sid="ReadCluster", actions=actions, resources=(cluster,))
    # The condition tells clusters apart for old registrations, too, whose ARN has no cluster in it.
    yield Statement(
        sid="ReadContainerInstances",
        actions=("ecs:DescribeContainerInstances",),
        resources=(place.arn("ecs", "container-instance/*"),),
        conditions={"ArnLike": {"ecs:cluster": (cluster,)}},
    )
    yield Statement(
        sid="RecognizeManagedInstances",
        actions=("ecs:DescribeCapacityProviders",),
        resources=(place.arn("ecs", "capacity-provider/*"),),
    )


def _state(place: Place) -> Iterator[Statement]:
    lock, key = place.parameter(f"{place.path}/lock"), place.parameter(f"{place.path}/key")
    yield Statement(sid="FindLock", actions=("ssm:GetParametersByPath",), resources=(lock,))
    actions = ("ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameters")
    yield Statement(sid="HoldLock", actions=actions, resources=(f"{lock}/*",))
    yield Statement(sid="ReadGenerationKey", actions=("ssm:GetParameter",), resources=(key,))
    yield Statement(
        sid="MakeGenerationKeyOnce",
        actions=("ssm:PutParameter",),
        resources=(key,),
        conditions={"StringNotEquals": {"ssm:Overwrite": ("true",)}},
    )


def _delivers(place: Place) -> Iterator[Statement]:
    actions = {
        Store.SSM: ("ssm:PutParameter", "ssm:DeleteParameter"),
        Store.SECRETSMANAGER: (
            *("secretsmanager:CreateSecret", "secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret"),
        ),
        Store.S3: ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"),
    }[place.delivery]
    yield Statement(sid="DeliverPayload", actions=actions, resources=(place.payloads,))
    yield _finds_copies(place)
    if place.kms_key:
        yield _uses_key(place, "EncryptPayload", _encrypting(place.delivery))


def _finds_copies(place: Place) -> Statement:
    """Allow listing what dead runs have delivered, which `heal` removes; their content is not read."""
    match place.delivery:
        case Store.SSM:
            action, resource = "ssm:GetParametersByPath", place.parameter(f"{place.path}/payload")
        case Store.SECRETSMANAGER:
            action, resource = "secretsmanager:ListSecrets", "*"  # AWS cannot narrow it
        case Store.S3:
            action, resource = "s3:ListBucketVersions", f"arn:{place.partition}:s3:::{place.bucket}"
        case _:
            assert_never(place.delivery)
    folder = f"{place.path.removeprefix('/')}/payload/"
    only = {"StringLike": {"s3:prefix": (folder,)}} if place.delivery is Store.S3 else {}
    return Statement(sid="FindCopies", actions=(action,), resources=(resource,), conditions=only)


def _encrypting(store: Store) -> tuple[str, ...]:
    return {
        # The standard tier is encrypted by KMS itself, the advanced one with a data key.
        Store.SSM: ("kms:Encrypt", "kms:GenerateDataKey"),
        Store.SECRETSMANAGER: ("kms:GenerateDataKey", "kms:Decrypt"),
        Store.S3: ("kms:GenerateDataKey",),
    }[store]


def _uses_key(place: Place, sid: str, actions: tuple[str, ...]) -> Statement:
    conditions = place.only_through(place.delivery)
    return Statement(sid=sid, actions=actions, resources=(place.kms_key,), conditions=conditions)


def object_arn(place: Place, source: S3Source) -> str:
    """Name an object; what a policy would take for a wildcard in its key is escaped."""
    return f"arn:{place.partition}:s3:::{source.bucket}/{source.key.translate(_WILDCARDS)}"


def secret_arns(place: Place, name: str) -> tuple[str, ...]:
    """Name a secret: Secrets Manager puts a hyphen and six characters behind its name; an ARN may be without them."""
    if name.startswith("arn:"):
        return (name, f"{name}-??????")
    return (f"{place.arn('secretsmanager', f'secret:{name}')}-??????",)


def reads_source(place: Place, source: Source, key: str, what: str = "Credential") -> Iterator[Statement]:
    """Allow reading a source; `key`: the ARN of the customer key it is encrypted with, empty for none."""
    match source:
        case SecretsManagerSource(name=name):
            action, service = "secretsmanager:GetSecretValue", Store.SECRETSMANAGER
            resources = secret_arns(place, name)
        case SsmSource(name=name):
            action, service = "ssm:GetParameter", Store.SSM
            resources = (_OFFSET.sub("", name) if name.startswith("arn:") else place.parameter(_OFFSET.sub("", name)),)
        case S3Source(version=version):
            action, service = f"s3:GetObject{'Version' if version else ''}", Store.S3
            resources = (object_arn(place, source),)
        case FileSource() | StdinSource():
            return
        case _:
            assert_never(source)
    yield Statement(sid=f"Read{what}", actions=(action,), resources=resources)
    if key:
        via = place.only_through(service)["StringEquals"]
        yield Statement(
            sid=f"Decrypt{what}", actions=("kms:Decrypt",), resources=(key,), conditions={"StringEquals": via}
        )
