"""`ecs-rollout state init`: make the table of a journal that machines share."""

from dataclasses import replace

import click

from orchestrator.cli import groups, options, speech, store
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace


@click.group(name="state", cls=groups.Group)
def state() -> None:
    """Keep the journal where several machines find it."""


@state.command()
@options.state
@options.aws_options
def init(*, state: JournalPlace | None, region: str | None, profile: str | None) -> None:
    """Make the journal's DynamoDB table, on-demand, and wait until it can be used. Done again, it changes nothing.

    \b
      ecs-rollout state init --state dynamodb:rollouts
    """
    if state is None or not state.table:
        raise UsageError("Only a DynamoDB table needs to be made.", hint="Say --state dynamodb:TABLE.")
    place = replace(state, region=region, profile=profile)
    made = store.table_of(place).make()
    speech.show(f"The table {place.table} {'is ready' if made else 'was there already, and is ready'}.")
