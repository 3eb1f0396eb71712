"""`ecs-rollout runs` and `report`: from the journal alone, no AWS."""

from pathlib import Path

import click

from orchestrator.cli import options, store
from orchestrator.core.state import replay


@click.command()
@options.journal
def runs(journal: Path | None) -> None:
    """List the runs that the journal knows, newest first."""
    from orchestrator.report.text import columns

    with store.opened(journal) as found:
        rows = []
        for line in found.runs():
            state = replay(found.entries(line.run))
            counts = ", ".join(f"{count} {kind}" for kind, count in state.counts.items())
            result = state.ended.result if state.ended else "not ended"
            rows.append((line.run, line.cluster, result, counts))
    click.echo(columns(("RUN", "CLUSTER", "RESULT", "INSTANCES"), rows))


@click.command()
@click.argument("run")
@options.output
@options.journal
def report(run: str, output: str, journal: Path | None) -> None:
    """Report the run RUN, as it was or as it stands."""
    from orchestrator.report.render import exit_code_of, render_report

    with store.opened(journal) as found:
        state = replay(found.entries(run))
    click.echo(render_report(state, output, exit_code_of(state)))
