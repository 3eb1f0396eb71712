"""`ecs-rollout plan` and `run`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import approvals, files, flags, options, reporting, requests, speech, store
from orchestrator.cli.rollout_options import rollout_options
from orchestrator.cli.speech import say
from orchestrator.cli.unattended import telling_options
from orchestrator.errors import ExitCode
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.core.model import Plan


@click.command(cls=flags.RememberingCommand)
@options.credential_options
@rollout_options
@options.plan_output
@options.journal
@click.option("--full", is_flag=True, help="A row for each instance, however many there are.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan: `run --plan FILE` does just that."
)
@click.option(
    "--detailed-exitcode", is_flag=True, help="End with 6 when changes are pending, else with 1 when not all run it."
)
def plan(
    *,
    output: str,
    journal: JournalPlace,
    full: bool,
    out: Path | None,
    detailed_exitcode: bool,
    **given: Any,  # noqa: ANN401 - see requests.rules_of
) -> int:
    """Show what would happen to each instance, and why.

    Reads only: it sends the inspect document, which changes nothing on an instance.

    \b
      ecs-rollout plan --cluster web --credential secretsmanager:registry
      ecs-rollout plan --cluster web --credential ssm:/registry --out web.plan
    """
    from orchestrator.cli import boot, compose, loading, planning, showing
    from orchestrator.clock import SystemClock
    from orchestrator.report.plans import plan_json, plan_text

    if out is not None:
        files.check_place(out, "plan")
    request = requests.request_of(**given)
    parts = compose.build(request, clock=SystemClock(), say=say)
    planning.try_gates(parts)
    boot.Boots(parts=parts, sources=request.boot_configs, say=say).announce()
    goal = planning.apply_goal(parts, loading.existing_key(parts))
    planned = planning.plan(parts, goal, fence=0, say=say)
    if out is not None:
        options_given = flags.given(click.get_current_context(), without=approvals.NOT_PART)
        approvals.save(out, parts, planned, options_given)
    memory = showing.earlier_in(journal, parts.cluster)
    wish = showing.wish_of(parts, planned, memory, store=journal.words)
    notes = (*wish.notes, *showing.held(parts))
    place = showing.place_of(parts, planned)
    wish = replace(wish, full=full, place=place, notes=notes, next_command=_next_command(out))
    speech.show(plan_json(planned, wish) if output == "json" else plan_text(planned, wish))
    return _detailed(planned) if detailed_exitcode else ExitCode.OK


def _detailed(planned: "Plan") -> ExitCode:
    """Say by the exit code what is to be done; where nobody can be changed it is the one that `run` would end with."""
    from orchestrator.core.deciding import unserved

    if planned.changes:
        return ExitCode.CHANGES_PENDING
    return ExitCode.NOT_ALL_UPDATED if unserved(planned.planned) else ExitCode.OK


def _next_command(out: Path | None) -> tuple[str, ...]:
    """Name the command that carries this plan out, with the flags that were given."""
    context = click.get_current_context()
    if out is None:
        again = flags.words(context, without=approvals.NOT_PART - {"journal", "state"})
        return ("ecs-rollout", "run", *again)
    kept = {param.name for param in context.command.params if param.name} - {"journal", "state"}
    return ("ecs-rollout", "run", "--plan", str(out), *flags.words(context, without=kept))


@click.command(cls=flags.RememberingCommand)
@options.credential_options
@rollout_options
@options.roll_options
@telling_options
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    callback=approvals.from_plan,
    help="Do what `plan --out FILE` saved, with its cluster, credential and flags: at once, without a question, or "
    "nothing where the fleet has changed since.",
)
def run(
    *,
    output: str,
    out: Path | None,
    journal: JournalPlace,
    yes: bool,
    take_over: bool,
    plan_file: Path | None,
    **given: Any,  # noqa: ANN401 - see requests.rules_of
) -> int:
    """Plan, confirm, roll, report.

    \b
      ecs-rollout run --cluster web --credential secretsmanager:registry --yes
      ecs-rollout run --plan web.plan
    """
    from orchestrator.cli import carrying

    context = click.get_current_context()
    approved = approvals.approved_in(context)
    nobody = yes or plan_file is not None
    look = ("ecs-rollout", "plan", *flags.words(context, without=approvals.NOT_PART))
    carrying.somebody_to_ask(look, yes=nobody)
    rolls = carrying.Rolls(
        report=reporting.wanted(output, out, journal),
        told=carrying.told_of(given, nobody=nobody),
        journal=journal,
        yes=yes,
        take_over=take_over,
        approved=approved,
        options=flags.given(context, without=approvals.NOT_PART),
    )
    request = requests.request_of(**given)
    with store.opened(journal) as found:
        return carrying.begin(request, found, rolls)
