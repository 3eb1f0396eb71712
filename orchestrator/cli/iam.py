"""`ecs-rollout iam`: print the policies that the code needs, as JSON."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from orchestrator.cli import groups, options, speech, unattended
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

F = TypeVar("F", bound=Callable[..., Any])

_CLUSTER = re.compile(r"[A-Za-z0-9_-]{1,255}")
_ACCOUNT = re.compile(r"\d{12}")
_KEY_ID = re.compile(r"(?:mrk-)?[0-9a-f-]{32,36}")
_ROLE = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/.+")
_KEY_HINT = "Give its ARN: `aws kms describe-key` shows it."


def _where(function: F) -> F:
    for option in (
        options.aws_options,
        options.document_prefix,
        options.parameter_prefix,
        options.delivery_options,
        click.option("--account", metavar="ID", help="AWS account. [default: that of your AWS credentials]"),
        click.option("--cluster", metavar="NAME", help="Only for this ECS cluster. [default: every cluster]"),
    ):
        function = option(function)
    return function


@click.group(name="iam", cls=groups.Group)
def iam() -> None:
    """Print least-privilege policies: what ecs-rollout calls and nothing else.

    \b
      ecs-rollout iam controller --cluster web --credential ssm:/registry
      ecs-rollout iam instance --cluster web
    """


@iam.command()
@_where
@click.option("--credential", metavar="SOURCE", help="Where the credential comes from, to allow reading it.")
@click.option("--credential-kms-key", metavar="KEY", help="The customer KMS key that the credential is kept under.")
@click.option("--instance-tag", metavar="KEY=VALUE", help="Send commands only to instances with this tag.")
@click.option("--ecs-anywhere", is_flag=True, help="The cluster has ECS Anywhere instances, too.")
@click.option("--gates", is_flag=True, help="Runs say --alarm or --change-calendar.")
@click.option("--drain", is_flag=True, help="Runs say --on-ephemeral drain or force.")
@click.option("--rotate", is_flag=True, help="`rotate` moves the labels of --credential, a secret, and looks around.")
@click.option(
    "--create-command", is_flag=True, help="With --rotate: a rotation function makes the new versions itself."
)
@click.option("--generations", is_flag=True, help="`generations` looks at Auto Scaling groups and their user data.")
@options.boot_config
@click.option("--boot-config-kms-key", metavar="KEY", help="The customer KMS key of the boot configurations.")
@options.state
@unattended.extra_options
def controller(  # noqa: PLR0913 - the flags, each by name
    *,
    credential: str | None,
    credential_kms_key: str | None,
    instance_tag: str | None,
    ecs_anywhere: bool,
    gates: bool,
    drain: bool,
    rotate: bool,
    create_command: bool,
    generations: bool,
    boot_config: tuple[Any, ...],
    boot_config_kms_key: str | None,
    state: JournalPlace | None,
    notify: tuple[Any, ...],
    metrics: tuple[Any, ...],
    **where: Any,  # noqa: ANN401 - click's keyword arguments go on by name
) -> None:
    """Print the policy of the role that runs `plan` and `run`.

    \b
      ecs-rollout iam controller --cluster web --credential ssm:/registry
    """
    from orchestrator.core.iam import controller_policy
    from orchestrator.core.iam_document import IamPolicy
    from orchestrator.core.iam_draining import drain_statements
    from orchestrator.core.iam_journal import keeps_journal
    from orchestrator.core.iam_unattended import Extras, extra_statements
    from orchestrator.core.source import parse_source

    if create_command and not rotate:
        raise UsageError("--create-command is about a rotation function.", hint="Say --rotate, too.")
    place = _place(**where)
    source = parse_source(credential) if credential else None
    policy = controller_policy(
        place,
        source=source,
        source_key=_key_arn(place, credential_kms_key),
        tag=_tag(instance_tag),
        anywhere=ecs_anywhere,
        gates=gates,
    )
    extras = Extras(
        notify=notify,
        metrics=metrics,
        boot_configs=boot_config,
        boot_key=_key_arn(place, boot_config_kms_key),
        generations=generations,
        rotates=_secret(source) if rotate else None,
        creates=create_command,
    )
    draining = drain_statements(place) if drain else ()
    journal = (keeps_journal(place, state.table),) if state and state.table else ()
    _print(IamPolicy(statements=(*policy.statements, *draining, *journal, *extra_statements(place, extras))))


@iam.command()
@_where
@options.state
def publisher(*, state: JournalPlace | None, **where: Any) -> None:  # noqa: ANN401 - see controller
    """Print the policy of the role that runs `documents publish` and, with --state dynamodb:TABLE, `state init`.

    \b
      ecs-rollout iam publisher
    """
    from orchestrator.core.iam import publisher_policy
    from orchestrator.core.iam_document import IamPolicy
    from orchestrator.core.iam_journal import makes_table

    place = _place(**where)
    table = (makes_table(place, state.table),) if state and state.table else ()
    _print(IamPolicy(statements=(*publisher_policy(place).statements, *table)))


@iam.command()
@_where
def instance(**where: Any) -> None:  # noqa: ANN401 - see controller
    """Print the policy that lets the instances' role fetch the delivered credential.

    It comes on top of what the SSM agent and the ECS agent need.

    \b
      ecs-rollout iam instance --cluster web
    """
    from orchestrator.core.iam import instance_policy

    _print(instance_policy(_place(**where)))


@iam.command()
@_where
@click.option("--controller-role", metavar="ARN", required=True, help="The role that runs ecs-rollout.")
@click.option("--instance-role", metavar="ARN", required=True, help="The role of the cluster's instances.")
def key(*, controller_role: str, instance_role: str, **where: Any) -> None:  # noqa: ANN401 - see controller
    """Print the policy of a KMS key with which only this cluster's instances can read what is delivered.

    \b
      ecs-rollout iam key --cluster web --controller-role ARN --instance-role ARN
    """
    from orchestrator.core.iam import key_policy

    for role in (controller_role, instance_role):
        if not _ROLE.fullmatch(role):
            raise UsageError(f"{role!r} is not a role's ARN.", hint="Write arn:aws:iam::ACCOUNT:role/NAME.")
    _print(key_policy(_place(**where), controller=controller_role, instance=instance_role))


def _place(  # noqa: PLR0913 - the flags, each by name
    *,
    cluster: str | None,
    account: str | None,
    region: str | None,
    profile: str | None,
    delivery: str,
    delivery_bucket: str | None,
    kms_key: str | None,
    document_prefix: str,
    parameter_prefix: str,
) -> Any:  # noqa: ANN401 - core is imported late, for a quick --help
    from dataclasses import replace

    from orchestrator.aws.session import Session
    from orchestrator.core.iam import ANY, Place
    from orchestrator.core.payload import Store

    if cluster and not _CLUSTER.fullmatch(cluster):
        raise UsageError(f"{cluster!r} is not a cluster's name.", hint="Give the name, not the ARN.")
    if account and not _ACCOUNT.fullmatch(account):
        raise UsageError(f"{account!r} is not an account's id.", hint="It has twelve digits.")
    options.check_delivery(delivery, delivery_bucket)
    session = Session(region=region, profile=profile)
    place = Place(
        partition=session.partition(),
        account=account or session.account(),
        region=session.region,
        cluster=cluster or ANY,
        document_prefix=document_prefix,
        parameter_prefix=parameter_prefix,
        delivery=Store(delivery),
        bucket=delivery_bucket or "",
    )
    return replace(place, kms_key=_key_arn(place, kms_key))


def _key_arn(place: Any, key: str | None) -> str:  # noqa: ANN401 - see _place
    """Give the key's ARN: in a policy's resources an alias means nothing."""
    if not key:
        return ""
    if key.startswith("arn:") and ":key/" in key:
        return key
    if not _KEY_ID.fullmatch(key):
        raise UsageError(f"{key!r} is neither the id nor the ARN of a KMS key.", hint=_KEY_HINT)
    return str(place.arn("kms", f"key/{key}"))


def _secret(source: Any) -> Any:  # noqa: ANN401 - see _place
    from orchestrator.core.source import SecretsManagerSource

    if not isinstance(source, SecretsManagerSource):
        raise UsageError("--rotate is about a secret's labels.", hint="Say --credential secretsmanager:NAME, too.")
    return source


def _tag(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise UsageError(f"{text!r} is not a tag.", hint="Write KEY=VALUE.")
    return name, value


def _print(policy: Any) -> None:  # noqa: ANN401 - see _place
    speech.show(json.dumps(policy.document(), indent=2))
