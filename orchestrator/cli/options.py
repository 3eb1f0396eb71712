"""The flags that several commands share, and how they become values."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from orchestrator.cli.parameter_types import BootConfigType, PlaceType
from orchestrator.core.settings import Deadlines
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

F = TypeVar("F", bound=Callable[..., Any])

_ASKED = "ecs_rollout.asked_configuration"
CONFIGURATION = "ecs_rollout.configuration"
"""Where a context's meta keeps the configuration that was read."""


def _configure(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401 - a path, or a name
    """Take --config and --use, in whatever order they come; with the second of them, give the file's defaults."""
    asked = ctx.meta.setdefault(_ASKED, {})
    asked[param.name] = value
    if len(asked) == len(("config", "use")):
        del ctx.meta[_ASKED]
        _read_configuration(ctx, asked["config"], asked["use"])


def _read_configuration(ctx: click.Context, path: Path | None, use: str | None) -> None:
    if path is None:
        if use is not None:
            raise UsageError("--use names a table of a configuration file.", hint="Say --config, too.")
        return
    from orchestrator import config
    from orchestrator.cli import settings

    found = config.read(path, settings.settings(), use or "", only_said=settings.ONLY_SAID)
    for param in ctx.command.params:
        given = found.given.get(settings.flag_of(param))
        if given is not None and param.name:
            _accept(param, given.value, f"{path}:{given.line}: {settings.flag_of(param)}")
            value = [str(given.value)] if param.multiple and not isinstance(given.value, list) else given.value
            ctx.default_map = {**(ctx.default_map or {}), param.name: value}
    ctx.meta[CONFIGURATION] = found


def _accept(param: click.Parameter, value: Any, where: str) -> None:  # noqa: ANN401 - any flag's value
    """Raise UsageError for a choice that other commands know, and this one does not."""
    from orchestrator.cli import settings

    try:
        if isinstance(param.type, click.Choice):
            settings.accept(param, str(value))
    except ValueError as error:
        raise UsageError(f"{where}: {error}", hint="Another command takes it; say the flag here.") from error


def aws_options(function: F) -> F:
    """Say which account and Region: --region, --profile, and the configuration file."""
    for option in (
        click.option("--profile", help="Profile of the AWS configuration."),
        click.option("--region", help="AWS Region; otherwise as the AWS CLI finds it."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            is_eager=True,
            expose_value=False,
            callback=_configure,
            help="TOML file with the flags' names; a flag beats the file.",
        ),
        click.option(
            "--use",
            metavar="NAME",
            is_eager=True,
            expose_value=False,
            callback=_configure,
            help="Take the file's table [use.NAME], which beats its other settings.",
        ),
    ):
        function = option(function)
    return function


document_prefix = click.option(
    "--document-prefix", default="ecs-rollout", show_default=True, help="First part of the SSM documents' names."
)
parameter_prefix = click.option(
    "--parameter-prefix",
    default="/ecs-rollout",
    show_default=True,
    help="Where the lock, the key and the delivered credential live in Parameter Store.",
)
readable_file = click.option("--allow-readable-file", is_flag=True, help="Take file:PATH although others can read it.")
registry = click.option("--registry", help="Registry of a credential that holds only a user and a password.")


def journal(function: F) -> F:
    """Say where the journal is: the command gets one JournalPlace, as `journal`."""
    return _placed(function, ())


def only_journal(function: F) -> F:
    """Say the same for a command that needs nothing else: --region, --profile and the file are for the journal."""
    return aws_options(_placed(function, ("region", "profile")))


def _placed(function: F, kept: tuple[str, ...]) -> F:
    """Make one place of the flags; those `kept` do not reach the command."""

    @wraps(function)
    def placed(*, journal: Path | None, state: JournalPlace | None, **given: Any) -> Any:  # noqa: ANN401 - click's keyword arguments go on by name
        place = replace(_one_of(journal, state), region=given.get("region"), profile=given.get("profile"))
        return function(journal=place, **{name: value for name, value in given.items() if name not in kept})

    file = click.option(
        "--journal",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The journal's file. [default: ecs-rollout/journal.db under the XDG state directory]",
    )
    return cast("F", file(state(placed)))


def _one_of(journal: Path | None, state: JournalPlace | None) -> JournalPlace:
    """Choose between --journal and --state. Raises UsageError for both; the command line beats the file."""
    if journal is None or state is None:
        return state or JournalPlace(path=journal)
    context = click.get_current_context()
    said = {name for name in ("journal", "state") if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if len(said) != 1:
        raise UsageError("--journal and --state name two places for one journal.", hint="Say one of them.")
    return state if "state" in said else JournalPlace(path=journal)


state = click.option(
    "--state",
    type=PlaceType(),
    help="Where the journal is kept: sqlite:PATH, as --journal PATH, or dynamodb:TABLE, which machines share.",
)
boot_config = click.option(
    "--boot-config",
    type=BootConfigType(),
    multiple=True,
    help="The env file that new instances boot with, s3://BUCKET/KEY; may be repeated.",
)
output = click.option(
    "--output",
    type=click.Choice(["table", "json", "csv", "markdown", "junit", "html"]),
    default="table",
    show_default=True,
    help="Form of the report.",
)
report_out = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report to this file, and the table to stdout; without --output its suffix tells the form.",
)
plan_output = click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Form of the result on stdout.",
)


def delivery_options(function: F) -> F:
    """Say where the credential is delivered to, and under which key."""
    for option in (
        click.option("--kms-key", metavar="KEY", help="KMS key of the delivery. [default: the store's own]"),
        click.option("--delivery-bucket", metavar="NAME", help="The bucket of --delivery s3."),
        click.option(
            "--delivery",
            type=click.Choice(["ssm", "secretsmanager", "s3"]),
            default="ssm",
            show_default=True,
            help="Store from which the instances fetch the credential.",
        ),
    ):
        function = option(function)
    return function


def check_delivery(delivery: str, bucket: str | None) -> None:
    """Raise UsageError for S3 without a bucket, and for a bucket without S3."""
    if (delivery == "s3") != bool(bucket):
        raise UsageError(
            "--delivery s3 and --delivery-bucket go together.", hint="Say both, or deliver with ssm or secretsmanager."
        )


def seconds(name: str, default: int, text: str) -> Callable[[F], F]:
    """Offer a deadline in whole seconds."""
    return click.option(f"--{name}-seconds", type=click.IntRange(min=1), default=default, show_default=True, help=text)


delivery_seconds = seconds("delivery", Deadlines().delivery, "Time for SSM to deliver a command.")
poll_seconds = click.option(
    "--poll-seconds",
    type=click.FloatRange(min=0.2),
    default=2.0,
    show_default=True,
    help="Shortest time between two looks at what is under way.",
)


def added(function: F, choices: Sequence[Callable[[F], F]]) -> F:
    """Add flags to a command, in the order of its help."""
    for choice in reversed(choices):
        function = choice(function)
    return function


def probe_options(function: F) -> F:
    """Say how the credential is read, and how its logins are tried from here."""
    choices: tuple[Callable[[F], F], ...] = (
        registry,
        readable_file,
        click.option(
            "--no-probe",
            is_flag=True,
            help="Do not log in at the registries from here; the canary's own login is then mandatory.",
        ),
        click.option(
            "--probe-image", multiple=True, metavar="REF", help="Ask for this image's manifest; may be repeated."
        ),
        click.option("--ca-bundle", type=click.Path(dir_okay=False), help="PEM file with the registries' CA."),
    )
    return added(function, choices)


def credential_options(function: F) -> F:
    """Say which cluster gets which credential, and how it travels."""
    return _credential_options(function, required=True)


def optional_credential_options(function: F) -> F:
    """Say the same where there may be no credential."""
    return _credential_options(function, required=False)


def _credential_options(function: F, *, required: bool) -> F:
    choices: tuple[Callable[[F], F], ...] = (
        click.option("--cluster", required=True, help="Name of the ECS cluster."),
        click.option(
            "--credential",
            required=required,
            metavar="SOURCE",
            help="secretsmanager:NAME[#STAGE|VERSION], ssm:/name[:version], s3://bucket/key, file:PATH or -.",
        ),
        probe_options,
        click.option("--verify-login", is_flag=True, help="Every instance logs in at the registries itself first."),
        boot_config,
        click.option("--allow-removal", is_flag=True, help="Let instances lose logins that the credential lacks."),
        delivery_options,
    )
    return added(function, choices)


def roll_options(function: F) -> F:
    """Say what `run` and `restore` share besides: the journal, the report, and whether anybody is asked."""
    choices: tuple[Callable[[F], F], ...] = (
        output,
        report_out,
        journal,
        click.option("--yes", is_flag=True, help="Do not ask; needed where nobody watches."),
        click.option("--take-over", is_flag=True, help="Take the cluster from a dead run that holds its lock."),
    )
    return added(function, choices)
