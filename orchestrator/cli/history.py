"""`ecs-rollout runs` and `report`: from the journal alone, no AWS."""

from pathlib import Path

import click

from orchestrator.cli import options, reporting, store
from orchestrator.core.state import replay


@click.command()
@options.journal
def runs(journal: Path | None) -> None:
    """List the runs that the journal knows, newest first."""
    from orchestrator.report.text import columns

    with store.opened(journal, read_only=True) as found:
        rows = []
        for head in found.runs():
            summary = head.summary
            counts = ", ".join(f"{count} {kind}" for kind, count in summary.counts.items())
            rows.append((head.run, summary.cluster, summary.result or "not ended", counts))
    click.echo(columns(("RUN", "CLUSTER", "RESULT", "INSTANCES"), rows))


@click.command()
@click.argument("run")
@options.output
@options.report_out
@options.journal
def report(run: str, output: str, out: Path | None, journal: Path | None) -> None:
    """Report the run RUN, as it was or as it stands.

    \b
      ecs-rollout report 20261124-013006-d617fabc
      ecs-rollout report 20261124-013006-d617fabc --out report.html
    """
    from orchestrator.report.render import exit_code_of

    wish = reporting.wanted(output, out)
    with store.opened(journal, read_only=True) as found:
        state = replay(found.entries(run))
    reporting.show(wish, state, exit_code_of(state))
