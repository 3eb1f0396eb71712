"""`ecs-rollout credential lint`."""

import json

import click

from orchestrator.cli import groups, options, speech
from orchestrator.errors import ExitCode


@click.group(name="credential", cls=groups.Group)
def credential() -> None:
    """Judge a credential by the ECS agent's own rules.

    \b
      ecs-rollout credential lint secretsmanager:registry
    """


@credential.command()
@click.argument("source")
@options.registry
@options.readable_file
@click.option("--image", multiple=True, metavar="REF", help="Show which login this image would use; may be repeated.")
@click.option("--fix", is_flag=True, help="Mend what leaves no doubt first, and say what was mended.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@options.aws_options
def lint(  # noqa: PLR0913 - the flags, each by name
    *,
    source: str,
    registry: str | None,
    allow_readable_file: bool,
    image: tuple[str, ...],
    fix: bool,
    output: str,
    region: str | None,
    profile: str | None,
) -> int:
    """Say what the agent would make of SOURCE. Ends with 3 when it would be refused.

    \b
      ecs-rollout credential lint ssm:/registry --image reg.example.com/app:1
    """
    from orchestrator.aws.session import Session
    from orchestrator.cli.loading import Reading, judge
    from orchestrator.core.source import FileSource, StdinSource, parse_source
    from orchestrator.report.findings import lint_json, lint_text

    needs_aws = not isinstance(parse_source(source), FileSource | StdinSource)
    session = Session(region=region, profile=profile, needed=needs_aws)
    reading = Reading(source=source, registry=registry, readable_file=allow_readable_file)
    report, read = judge(session, reading, images=image, fix=fix)
    for note in read.notes:
        speech.say(f"note: {note}")
    speech.show(json.dumps(lint_json(report), indent=2) if output == "json" else lint_text(report))
    return ExitCode.REFUSED if report.refused else ExitCode.OK
