"""`ecs-rollout generations`: which instances run which credential, and whether the previous one may be revoked."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli import options, speech, store
from orchestrator.cli.speech import say
from orchestrator.core.settings import Deadlines, Policy
from orchestrator.errors import ExitCode, RolloutError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.core.source import S3Source
    from orchestrator.core.state import RunState

F = TypeVar("F", bound=Callable[..., Any])

_RUNS = 30
"""How many of a cluster's runs are looked at: 'since T' is no older than they are."""


def _where(function: F) -> F:
    for option in (
        options.aws_options,
        options.document_prefix,
        options.parameter_prefix,
        options.readable_file,
        options.registry,
        click.option(
            "--credential",
            default="",
            metavar="SOURCE",
            help="Compare with this credential. [default: with the newest that an instance runs]",
        ),
        click.option("--cluster", required=True, help="Name of the ECS cluster."),
    ):
        function = option(function)
    return function


@click.command()
@_where
@options.boot_config
@options.journal
@options.plan_output
@click.option("--check", is_flag=True, help="End with 1 unless it is certain that no instance uses another credential.")
@options.delivery_seconds
@options.poll_seconds
def generations(
    *,
    boot_config: "tuple[S3Source, ...]",
    journal: JournalPlace,
    output: str,
    check: bool,
    delivery_seconds: int,
    poll_seconds: float,
    **given: Any,  # noqa: ANN401 - click's keyword arguments go on by name
) -> int:
    """Show which instances run which generation of the credential, and whether the previous one is still used.

    Reads only: it sends the inspect document, which changes nothing on an instance.

    \b
      ecs-rollout generations --cluster web --credential secretsmanager:registry
    """
    from orchestrator.cli import compose, loading, overlap
    from orchestrator.clock import SystemClock
    from orchestrator.core.overlap import Verdict
    from orchestrator.engine import Pace
    from orchestrator.report.last_time import taken_back
    from orchestrator.report.overlaps import Scene, overlap_json, overlap_text

    policy = Policy(deadlines=Deadlines(delivery=delivery_seconds))
    pace = Pace(shortest=poll_seconds, longest=poll_seconds * 5)
    clock = SystemClock()
    request = compose.Request(policy=policy, pace=pace, probe=False, **given)
    parts = compose.build(request, clock=clock, say=lambda _warning: None)
    key = loading.existing_key(parts)
    runs = earlier_runs(journal, parts.cluster)
    asked = overlap.Asked(key=key, boot_configs=boot_config, runs=runs)
    found = overlap.look(parts, asked, say=say)
    names = overlap.names_of(parts, key, found.generations)
    command = overlap.command_of(parts, runs)
    last = taken_back(runs)
    scene = Scene(cluster=parts.cluster, at=clock.now(), names=names, command=command, known=bool(runs), last=last)
    speech.show(overlap_json(found, scene) if output == "json" else overlap_text(found, scene))
    return ExitCode.NOT_ALL_UPDATED if check and found.verdict is not Verdict.UNUSED else ExitCode.OK


def earlier_runs(place: JournalPlace, cluster: str) -> "list[RunState]":
    """Read the cluster's last runs, newest first; none where there is no journal, which is not made for this."""
    from orchestrator.core.state import replay

    try:
        with store.opened(place, read_only=True) as journal:
            names = [head.run for head in journal.runs() if head.summary.cluster == cluster][:_RUNS]
            return [replay(journal.entries(run)) for run in names]
    except RolloutError:
        return []
