"""Named scenarios for the policies: each with what `iam` is told for it, and the permissions that it cannot do without.

A permission is an action in a statement, by the statement's Sid. What it ends with when that is taken away: an error
that names the action, a halt that does, a warning where the action only tidies up, or a refusal of the instance.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.scenario.conftest import Answer, Workplace
from tests.scenario.iam_steps import (
    BOOT,
    CROWDED,
    KEY,
    PREFIX,
    SHARED,
    TOLD,
    abort,
    announced,
    begun_and_shared,
    booted_from_a_bucket,
    broken_off_and_shared,
    cut_creation,
    delivered_with_versions,
    delivered_without_versions,
    drain,
    drain_in_vain,
    function,
    groups_around,
    heal,
    held_by_another,
    kept_in_a_bucket,
    kept_in_parameter_store,
    kept_under_a_key,
    locked_before,
    look_around,
    make_table,
    no_key_yet,
    no_table,
    pending,
    plan_at_a_version,
    publish,
    published,
    published_and_replaced,
    published_by_another,
    published_in_another_form,
    renew,
    report,
    restore,
    resume,
    rolled,
    rollout,
    rotate,
    shared,
    somebody_to_tell,
    stateless,
    tell,
    unpublished,
)

Permission = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scenario. `told` and `delivery`: what `iam` is told, the second for the instances' policy, too.

    `policy` is the caller's: `controller` or `publisher`. `code` is how the command ends. `refusals` are permissions of
    the instances. Without one of the `sweeps` healing warns of what it could not look for; without one of
    the `doubts` a look around names something that is not known; without one of the
    `failures` something beside the fleet is not done, once the whole fleet is (test_boot_config tries that); without
    one of the `halts` the run stops under way.
    `publishes`: what `iam publisher` is told.
    """

    act: Callable[[Workplace], Answer]
    prepare: Callable[[Workplace], object] = lambda _place: None
    policy: str = "controller"
    told: tuple[str, ...] = ("--credential", "secretsmanager:registry")
    delivery: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    code: int = 0
    errors: tuple[Permission, ...] = ()
    warnings: tuple[Permission, ...] = ()
    sweeps: tuple[Permission, ...] = ()
    doubts: tuple[Permission, ...] = ()
    failures: tuple[Permission, ...] = ()
    halts: tuple[Permission, ...] = ()
    refusals: tuple[Permission, ...] = ()

    @property
    def of_the_caller(self) -> tuple[Permission, ...]:
        """Every permission of the caller's that this scenario proves to be needed."""
        return (*self.errors, *self.warnings, *self.sweeps, *self.doubts, *self.failures, *self.halts)

    @property
    def terms(self) -> tuple[str, ...]:
        """Everything that the caller's policy is printed with."""
        return (*(self.told if self.policy == "controller" else self.publishes), *self.delivery)


_OVER_S3 = ("--delivery", "s3", "--delivery-bucket", "payloads", "--kms-key", KEY)
_OVER_SECRETS = ("--delivery", "secretsmanager", "--kms-key", KEY)
_LARGE = 1800
"""Bytes of a password, in hex digits twice as many: its payload needs the advanced tier."""

CASES: dict[str, Case] = {
    "plan": Case(
        act=rollout("plan"),
        errors=(
            ("SendOurDocuments", "ssm:SendCommand"),
            ("SendToInstances", "ssm:SendCommand"),
            ("FollowCommands", "ssm:ListCommandInvocations"),
            ("FollowCommands", "ssm:DescribeInstanceInformation"),
            ("CheckOurDocuments", "ssm:DescribeDocument"),
            ("ReadCluster", "ecs:DescribeClusters"),
            ("ReadCluster", "ecs:ListContainerInstances"),
            ("ReadContainerInstances", "ecs:DescribeContainerInstances"),
            ("ReadGenerationKey", "ssm:GetParameter"),
            ("ReadCredential", "secretsmanager:GetSecretValue"),
        ),
    ),
    "plan with documents that are ours in another form": Case(
        act=rollout("plan"), prepare=published_in_another_form, errors=(("CheckOurDocuments", "ssm:GetDocument"),)
    ),
    "plan of a fleet with managed instances": Case(
        act=rollout("plan"), errors=(("RecognizeManagedInstances", "ecs:DescribeCapacityProviders"),)
    ),
    "plan of an instance with more registries than a line holds": Case(
        act=lambda place: place.rollout("plan", f"--instance={CROWDED}"),
        errors=(("FollowCommands", "ssm:GetCommandInvocation"),),
    ),
    "plan only for instances with a tag": Case(
        act=rollout("plan"),
        told=("--credential", "secretsmanager:registry", "--instance-tag", "Name=healthy"),
        errors=(("SendToInstances", "ssm:SendCommand"),),
    ),
    "plan from Parameter Store": Case(
        act=rollout("plan", source="ssm:/team/login"),
        prepare=kept_in_parameter_store,
        told=("--credential", "ssm:/team/login", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "ssm:GetParameter"), ("DecryptCredential", "kms:Decrypt")),
    ),
    "plan from a secret under a customer key": Case(
        act=rollout("plan", source="secretsmanager:guarded"),
        prepare=kept_under_a_key,
        told=("--credential", "secretsmanager:guarded", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "secretsmanager:GetSecretValue"), ("DecryptCredential", "kms:Decrypt")),
    ),
    "plan from S3": Case(
        act=rollout("plan", source="s3://team/a*b.json"),
        prepare=kept_in_a_bucket,
        told=("--credential", "s3://team/a*b.json", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "s3:GetObject"), ("DecryptCredential", "kms:Decrypt")),
    ),
    "plan from S3 at a version": Case(
        act=plan_at_a_version,
        prepare=kept_in_a_bucket,
        told=("--credential", "s3://team/a*b.json?versionId=1", "--credential-kms-key", KEY),
        errors=(("ReadCredential", "s3:GetObjectVersion"),),
    ),
    "run": Case(
        act=rollout("run"),
        prepare=locked_before,
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
        act=rollout("run"),
        prepare=no_key_yet,
        errors=(("MakeGenerationKeyOnce", "ssm:PutParameter"),),
    ),
    # What it needs is in `run` and `plan`, all but the right to send the third document.
    "restore": Case(act=restore, prepare=rolled, told=()),
    "run that tells and measures": Case(
        act=tell,
        prepare=somebody_to_tell,
        told=("--credential", "secretsmanager:registry", *TOLD),
        warnings=(
            ("PublishNotices", "sns:Publish"),
            ("PutNotices", "events:PutEvents"),
            ("ReadWebhook2", "ssm:GetParameter"),
            ("PutMetrics", "cloudwatch:PutMetricData"),
        ),
    ),
    "rotate": Case(
        act=rotate,
        prepare=pending,
        told=("--credential", "secretsmanager:registry", "--rotate"),
        errors=(
            ("ReadLabels", "secretsmanager:DescribeSecret"),
            ("ReadLabels", "secretsmanager:ListSecretVersionIds"),
        ),
        failures=(("MoveLabels", "secretsmanager:UpdateSecretVersionStage"),),
    ),
    "function that makes the new versions": Case(
        act=function,
        prepare=announced,
        told=("--credential", "secretsmanager:registry", "--rotate", "--create-command", *SHARED),
        errors=(("StoreVersions", "secretsmanager:PutSecretValue"),),
    ),
    "generations": Case(
        act=look_around,
        prepare=groups_around,
        told=("--credential", "secretsmanager:registry", "--generations"),
        doubts=(
            ("LookAtGroups", "autoscaling:DescribeAutoScalingInstances"),
            ("LookAtGroups", "autoscaling:DescribeAutoScalingGroups"),
            ("LookAtGroups", "autoscaling:DescribeWarmPool"),
            ("LookAtGroups", "autoscaling:DescribeLaunchConfigurations"),
            ("ReadUserData", "ec2:DescribeLaunchTemplateVersions"),
        ),
    ),
    "run that keeps a boot configuration": Case(
        act=rollout("run", *BOOT),
        prepare=booted_from_a_bucket,
        told=("--credential", "secretsmanager:registry", *BOOT, "--boot-config-kms-key", KEY),
        errors=(("KeepBootConfig", "s3:GetObject"), ("UseBootKey", "kms:Decrypt")),
        failures=(
            ("KeepBootConfig", "s3:PutObject"),
            ("KeepBootConfig", "s3:GetObjectTagging"),
            ("KeepBootConfig", "s3:PutObjectTagging"),
            ("UseBootKey", "kms:GenerateDataKey"),
        ),
        warnings=(("KeepBootConfig", "s3:GetObjectAcl"), ("CheckBootBucket", "s3:GetBucketPolicyStatus")),
    ),
    "drain": Case(
        act=drain,
        prepare=stateless,
        told=("--credential", "secretsmanager:registry", "--drain"),
        halts=(
            ("DrainInstances", "ecs:UpdateContainerInstancesState"),
            ("DrainInstances", "ecs:ListTasks"),
            ("DrainInstances", "ecs:PutAttributes"),
            ("TagInstances", "ecs:TagResource"),
            ("MoveTasks", "ecs:DescribeTasks"),
            ("MoveTasks", "ecs:StopTask"),
            ("ReadServices", "ecs:DescribeServices"),
            ("DeregisterGhosts", "ecs:DeregisterContainerInstance"),
        ),
    ),
    # What was drained is given back unchanged, so that it is still marked.
    "drain in vain": Case(
        act=drain_in_vain,
        prepare=stateless,
        told=("--credential", "secretsmanager:registry", "--drain"),
        code=1,
        halts=(("DrainInstances", "ecs:DeleteAttributes"), ("TagInstances", "ecs:UntagResource")),
    ),
    "take-over": Case(
        act=rollout("run", "--take-over"),
        prepare=held_by_another,
        errors=(("FollowCommands", "ssm:ListCommands"),),
    ),
    "run with a journal that machines share": Case(
        act=rollout("run", *SHARED),
        prepare=shared,
        told=("--credential", "secretsmanager:registry", *SHARED),
        errors=(("KeepJournal", "dynamodb:GetItem"), ("KeepJournal", "dynamodb:PutItem")),
    ),
    "report from a journal that machines share": Case(
        act=report,
        prepare=begun_and_shared,
        told=SHARED,
        errors=(("KeepJournal", "dynamodb:Query"), ("KeepJournal", "dynamodb:GetItem")),
    ),
    "abort over a journal that machines share": Case(
        act=abort, prepare=begun_and_shared, told=SHARED, errors=(("KeepJournal", "dynamodb:PutItem"),)
    ),
    "resume over a journal that machines share": Case(
        act=resume,
        prepare=broken_off_and_shared,
        told=("--credential", "secretsmanager:registry", *SHARED),
        errors=(("KeepJournal", "dynamodb:UpdateItem"),),
    ),
    "making a journal that machines share": Case(
        act=make_table,
        prepare=no_table,
        policy="publisher",
        delivery=("--document-prefix", PREFIX),
        publishes=SHARED,
        errors=(("MakeJournal", "dynamodb:CreateTable"), ("MakeJournal", "dynamodb:DescribeTable")),
    ),
    "heal": Case(act=heal(), told=(), sweeps=(("FindCopies", "ssm:GetParametersByPath"),)),
    "heal over Secrets Manager": Case(
        act=heal(*_OVER_SECRETS),
        told=(),
        delivery=_OVER_SECRETS,
        sweeps=(("FindCopies", "secretsmanager:ListSecrets"),),
    ),
    "heal over S3": Case(
        act=heal(*_OVER_S3),
        prepare=delivered_with_versions,
        told=(),
        delivery=_OVER_S3,
        sweeps=(("FindCopies", "s3:ListBucketVersions"),),
    ),
    "run with a customer key": Case(
        act=rollout("run", "--kms-key", KEY),
        prepare=renew,
        delivery=("--kms-key", KEY),
        errors=(("EncryptPayload", "kms:Encrypt"),),
        refusals=(("FetchPayload", "ssm:GetParameter"), ("DecryptPayload", "kms:Decrypt")),
    ),
    "run with a customer key and a large credential": Case(
        act=rollout("run", "--kms-key", KEY),
        prepare=lambda place: renew(place, size=_LARGE),
        delivery=("--kms-key", KEY),
        errors=(("EncryptPayload", "kms:GenerateDataKey"),),
    ),
    "run over Secrets Manager": Case(
        act=rollout("run", *_OVER_SECRETS),
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
        act=rollout("run", *_OVER_SECRETS),
        prepare=cut_creation,
        delivery=_OVER_SECRETS,
        errors=(("DeliverPayload", "secretsmanager:PutSecretValue"),),
    ),
    "run over S3": Case(
        act=rollout("run", *_OVER_S3),
        prepare=delivered_without_versions,
        delivery=_OVER_S3,
        errors=(("DeliverPayload", "s3:PutObject"), ("EncryptPayload", "kms:GenerateDataKey")),
        warnings=(("DeliverPayload", "s3:DeleteObject"),),
        refusals=(("FetchPayload", "s3:GetObject"), ("DecryptPayload", "kms:Decrypt")),
    ),
    "run over S3 with versions": Case(
        act=rollout("run", *_OVER_S3),
        prepare=delivered_with_versions,
        delivery=_OVER_S3,
        warnings=(("DeliverPayload", "s3:DeleteObjectVersion"),),
        refusals=(("FetchPayload", "s3:GetObjectVersion"),),
    ),
    "publish for the first time": Case(
        act=publish,
        prepare=unpublished,
        policy="publisher",
        delivery=("--document-prefix", PREFIX),
        errors=(("Documents", "ssm:DescribeDocument"), ("Documents", "ssm:CreateDocument")),
    ),
    "publish again": Case(
        act=publish,
        prepare=published,
        policy="publisher",
        delivery=("--document-prefix", PREFIX),
        errors=(("Documents", "ssm:GetDocument"),),
    ),
    "publish over other content": Case(
        act=publish,
        prepare=published_by_another,
        policy="publisher",
        delivery=("--document-prefix", PREFIX),
        errors=(("Documents", "ssm:UpdateDocument"), ("Documents", "ssm:UpdateDocumentDefaultVersion")),
    ),
    "publish what is an older version": Case(
        act=publish,
        prepare=published_and_replaced,
        policy="publisher",
        delivery=("--document-prefix", PREFIX),
        errors=(("Documents", "ssm:ListDocumentVersions"),),
    ),
}
