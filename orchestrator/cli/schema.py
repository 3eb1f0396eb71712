"""`ecs-rollout schema`: print the JSON Schema of what this tool writes or reads."""

import json

import click

from orchestrator.cli import groups, speech


@click.group(name="schema", cls=groups.Group)
def schema() -> None:
    """Print the JSON Schema of what this tool writes or reads."""


@schema.command()
def report() -> None:
    """Print the schema of the JSON report, `--output json`.

    \b
      ecs-rollout schema report > report.schema.json
    """
    from orchestrator.report.json_report import report_schema

    speech.show(json.dumps(report_schema(), indent=2))


@schema.command()
def config() -> None:
    """Print the schema of the configuration file.

    \b
      ecs-rollout schema config > ecs-rollout.schema.json
    and as the file's first line, for editors that know Taplo:
      #:schema ./ecs-rollout.schema.json
    """
    from orchestrator.cli.settings import settings
    from orchestrator.config_model import schema_of

    speech.show(json.dumps(schema_of(settings()), indent=2))
