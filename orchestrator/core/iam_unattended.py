"""What may be done beside the rollout itself: tell, measure, look at and keep what new instances boot with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.core.iam import ANY, Place, object_arn, reads_source, secret_arns
from orchestrator.core.iam_document import Statement
from orchestrator.core.metrics import MeterKind, MeterTarget
from orchestrator.core.notices import BusTarget, Target, TopicTarget, WebhookTarget
from orchestrator.core.payload import Store
from orchestrator.core.source import S3Source, SecretsManagerSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is asked for beside the rollout: `--notify`, `--metrics`, `--boot-config`, and the command `generations`.

    `boot_key`: the ARN of the customer key that the boot configurations are encrypted with, empty for none. `rotates`:
    the secret whose labels `rotate` follows and moves; it looks around at its end, as `generations` does. `creates`: a
    rotation function stores its new versions, too.
    """

    notify: Sequence[Target] = ()
    metrics: Sequence[MeterTarget] = ()
    boot_configs: Sequence[S3Source] = ()
    boot_key: str = ""
    generations: bool = False
    rotates: SecretsManagerSource | None = None
    creates: bool = False


def extra_statements(place: Place, extras: Extras) -> tuple[Statement, ...]:
    """Allow just these targets."""
    return (
        *_tells(place, extras.notify),
        *_measures(extras.metrics),
        *_boots(place, extras),
        *(_moves_labels(place, extras.rotates, creates=extras.creates) if extras.rotates else ()),
        *(_looks_around() if extras.generations or extras.rotates else ()),
    )


def _tells(place: Place, targets: Sequence[Target]) -> Iterator[Statement]:
    topics = tuple(each.arn for each in targets if isinstance(each, TopicTarget))
    buses = tuple(_bus_arn(place, each) for each in targets if isinstance(each, BusTarget))
    if topics:
        yield Statement(sid="PublishNotices", actions=("sns:Publish",), resources=topics)
    if buses:
        yield Statement(sid="PutNotices", actions=("events:PutEvents",), resources=buses)
    for number, each in enumerate(targets):
        if isinstance(each, WebhookTarget) and each.source is not None:
            yield from reads_source(place, each.source, "", f"Webhook{number or ''}")


def _bus_arn(place: Place, target: BusTarget) -> str:
    return target.bus if target.bus.startswith("arn:") else place.arn("events", f"event-bus/{target.bus}")


def _measures(targets: Sequence[MeterTarget]) -> Iterator[Statement]:
    spaces = tuple(each.namespace for each in targets if each.kind is MeterKind.CLOUDWATCH)
    if spaces:
        # CloudWatch knows no resource for it; the namespace is what it can be narrowed by.
        only = {"StringEquals": {"cloudwatch:namespace": spaces}}
        yield Statement(sid="PutMetrics", actions=("cloudwatch:PutMetricData",), resources=(ANY,), conditions=only)


def _boots(place: Place, extras: Extras) -> Iterator[Statement]:
    objects = tuple(object_arn(place, each) for each in extras.boot_configs)
    if not objects:
        return
    # Whoever writes an object with its tags needs a right of its own for them.
    writes = ("s3:GetObject", "s3:PutObject", "s3:GetObjectTagging", "s3:PutObjectTagging", "s3:GetObjectAcl")
    yield Statement(sid="KeepBootConfig", actions=writes, resources=objects)
    buckets = tuple(sorted({f"arn:{place.partition}:s3:::{each.bucket}" for each in extras.boot_configs}))
    yield Statement(sid="CheckBootBucket", actions=("s3:GetBucketPolicyStatus",), resources=buckets)
    if extras.boot_key:
        via = {"StringEquals": place.only_through(Store.S3)["StringEquals"]}
        actions = ("kms:Decrypt", "kms:GenerateDataKey")
        yield Statement(sid="UseBootKey", actions=actions, resources=(extras.boot_key,), conditions=via)


def _moves_labels(place: Place, secret: SecretsManagerSource, *, creates: bool) -> Iterator[Statement]:
    """Allow reading a secret's labels and moving them: IAM cannot tell AWSCURRENT from the others."""
    labels = ("secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds")
    resources = secret_arns(place, secret.name)
    yield Statement(sid="ReadLabels", actions=labels, resources=resources)
    yield Statement(sid="MoveLabels", actions=("secretsmanager:UpdateSecretVersionStage",), resources=resources)
    if creates:
        yield Statement(sid="StoreVersions", actions=("secretsmanager:PutSecretValue",), resources=resources)


def _looks_around() -> Iterator[Statement]:
    """Allow looking at groups and their user data: none of these calls knows resources."""
    groups = (
        *("autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeAutoScalingGroups"),
        *("autoscaling:DescribeWarmPool", "autoscaling:DescribeLaunchConfigurations"),
    )
    yield Statement(sid="LookAtGroups", actions=groups, resources=(ANY,))
    yield Statement(sid="ReadUserData", actions=("ec2:DescribeLaunchTemplateVersions",), resources=(ANY,))
