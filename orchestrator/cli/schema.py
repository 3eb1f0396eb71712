"""`ecs-rollout schema`: print the JSON Schema of what this tool writes or reads."""

import json

import click


@click.group(name="schema")
def schema() -> None:
    """Print the JSON Schema of what this tool writes or reads."""


@schema.command()
def report() -> None:
    """Print the schema of the JSON report, `--output json`.

    \b
      ecs-rollout schema report > report.schema.json
    """
    from orchestrator.report.json_report import report_schema

    click.echo(json.dumps(report_schema(), indent=2))
