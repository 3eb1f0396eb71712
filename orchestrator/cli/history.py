"""`ecs-rollout runs`, `status`, `report` and `why`: from the journal alone, also while the run runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import options, reporting, speech, store
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.journal.store import Store


@click.command()
@options.only_journal
def runs(journal: JournalPlace) -> None:
    """List the runs that the journal knows, newest first.

    A run that has not ended is under way, or broke off: the journal alone cannot tell; `status` has its last sign.

    \b
      ecs-rollout runs
    """
    from orchestrator.report.layout import columns
    from orchestrator.report.times import moment

    with store.opened(journal, read_only=True) as found:
        heads = found.runs()
    rows = []
    for head in heads:
        summary = head.summary
        counts = ", ".join(f"{count} {kind}" for kind, count in summary.counts.items())
        started = (moment(summary.started_at) or "")[:16].replace("T", " ")
        rows.append((head.run, summary.cluster, started, summary.result or "not ended", counts))
    speech.show(columns(("RUN", "CLUSTER", "STARTED (UTC)", "RESULT", "INSTANCES"), rows))


@click.command()
@click.argument("run", required=False)
@options.plan_output
@options.only_journal
def status(run: str | None, output: str, journal: JournalPlace) -> None:
    """Show how the run RUN stands: by default the newest one.

    \b
      ecs-rollout status
      ecs-rollout status 20261124-013006-d617fabc --output json
    """
    from orchestrator.clock import SystemClock
    from orchestrator.core.state import replay
    from orchestrator.report.status import status_json, status_of, status_text

    with store.opened(journal, read_only=True) as found:
        name = run or _newest(found)
        entries = found.entries(name)
        asked = found.asked(name)
    seen = status_of(replay(entries), last_at=entries[-1].at, asked=asked, now=SystemClock().now(), store=journal.words)
    speech.show(status_json(seen) if output == "json" else status_text(seen))


def _newest(journal: "Store") -> str:
    heads = journal.runs()
    if not heads:
        raise UsageError("The journal knows no run yet.", hint="Name another one with --journal or --state.")
    return heads[0].run


@click.command()
@click.argument("run")
@options.output
@options.report_out
@options.only_journal
def report(run: str, output: str, out: Path | None, journal: JournalPlace) -> None:
    """Report the run RUN, as it was or as it stands.

    \b
      ecs-rollout report 20261124-013006-d617fabc
      ecs-rollout report 20261124-013006-d617fabc --out report.html
    """
    from orchestrator.core.state import replay
    from orchestrator.report.render import exit_code_of

    wish = reporting.wanted(output, out, journal)
    with store.opened(journal, read_only=True) as found:
        state = replay(found.entries(run))
    reporting.show(wish, state, exit_code_of(state))


@click.command()
@click.argument("run")
@click.argument("instance")
@options.plan_output
@options.only_journal
def why(run: str, instance: str, output: str, journal: JournalPlace) -> None:
    """Tell every decision of the run RUN about INSTANCE, with its evidence and time.

    INSTANCE is an EC2 instance id, or the ARN or id of a container instance.

    \b
      ecs-rollout why 20261124-013006-d617fabc i-0123456789abcdef0
    """
    from orchestrator.report.story import story, story_json, story_text

    with store.opened(journal, read_only=True) as found:
        told = story(found.entries(run), instance)
    speech.show(story_json(told) if output == "json" else story_text(told))
