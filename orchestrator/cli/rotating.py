"""`ecs-rollout rotate`: a secret's pending version for the whole fleet, then AWSCURRENT, with nobody watching."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import approvals, flags, options, reporting, requests, store
from orchestrator.cli.parameter_types import DurationType, ShareType
from orchestrator.cli.rollout_options import rollout_options
from orchestrator.cli.speech import say
from orchestrator.cli.unattended import telling_options
from orchestrator.errors import UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.core.amount import Amount

OWN = frozenset({"promote_at", "max_duration", "wait_for_lock", "jitter", "canary"})
"""Flags of `rotate` alone: they say nothing about its run, so `resume` need not know them."""


@click.command(cls=flags.RememberingCommand)
@options.credential_options
@rollout_options
@click.option(
    "--promote-at",
    type=ShareType(),
    metavar="P%",
    help="Move AWSCURRENT once so many of the instances in scope run the version: a weaker promise. [default: all]",
)
@click.option("--canary", is_flag=True, help="Let one instance try the version, if none runs it; move no label.")
@click.option(
    "--max-duration",
    type=DurationType(),
    help="Admit nothing more so early that all is at rest after this time, as before a platform's limit.",
)
@click.option(
    "--wait-for-lock",
    type=DurationType(),
    default="0s",
    show_default=True,
    help="Wait so long for a cluster that another run holds, instead of ending with 5.",
)
@click.option(
    "--jitter", type=DurationType(), default="0s", show_default=True, help="Start after a random part of this time."
)
@options.roll_options
@telling_options
def rotate(  # noqa: PLR0913 - the flags, each by name
    *,
    output: str,
    out: Path | None,
    journal: JournalPlace,
    yes: bool,
    take_over: bool,
    promote_at: "Amount | None",
    canary: bool,
    max_duration: int | None,
    wait_for_lock: int,
    jitter: int,
    **given: Any,  # noqa: ANN401 - see requests.rules_of
) -> int:
    """Roll a secret's pending version, then move AWSCURRENT to it. Nobody is asked anything.

    Without a pending version the current one is rolled, where the fleet lacks it. What an earlier run has left is
    finished first. AWSCURRENT moves only once every ACTIVE, connected instance runs the version.

    \b
      ecs-rollout rotate --cluster web --credential secretsmanager:registry
      ecs-rollout rotate --config web.toml --max-duration 4h --wait-for-lock 30m
    """
    from orchestrator.cli import carrying
    from orchestrator.cli.crew import FleetCrew, stages_of
    from orchestrator.cli.turns import Limit, Patience
    from orchestrator.clock import SystemClock
    from orchestrator.rotation import Terms
    from orchestrator.rotation import rotate as one_night

    del yes  # nobody is ever asked
    told = carrying.told_of(given, nobody=True)
    clock = SystemClock()
    with ExitStack() as night:
        # Flags that do not fit each other, and a journal that cannot be opened, are told of as well.
        with carrying.watching(told, journal, **{name: given[name] for name in carrying.WATCHED}):
            secret = _secret(given["credential"])
            rolls = carrying.Rolls(
                report=reporting.wanted(output, out, journal),
                told=told,
                journal=journal,
                yes=True,
                take_over=take_over,
                alone=True,
                options=flags.given(click.get_current_context(), without=approvals.NOT_PART | OWN),
            )
            request = requests.request_of(**given)
            if max_duration is not None:
                rolls = replace(rolls, limit=Limit.of(max_duration, request.policy.deadlines, clock))
            crew = FleetCrew(
                request=request,
                secret=secret,
                journal=night.enter_context(store.opened(journal)),
                rolls=rolls,
                patience=Patience(jitter=jitter, wait_for_lock=wait_for_lock),
                clock=clock,
                canary=canary,
            )
        return one_night(stages_of(request, secret), crew, Terms(promote_at=promote_at, canary=canary), say)


def _secret(text: str) -> str:
    """Name the secret. Raises UsageError for another source, or a version: the labels tell which one."""
    from orchestrator.core.source import DEFAULT_STAGE, SecretsManagerSource, parse_source

    source = parse_source(text)
    if not isinstance(source, SecretsManagerSource) or str(source).partition("#")[2] != DEFAULT_STAGE:
        raise UsageError(
            "`rotate` follows the staging labels of a secret in Secrets Manager.",
            hint="Write --credential secretsmanager:NAME, without a stage or version; `run` takes every source.",
        )
    return source.name
