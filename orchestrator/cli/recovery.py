"""`ecs-rollout restore`, `resume` and `heal`: what is done after a run, or after its controller has died."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import approvals, flags, options, reporting, requests, speech, store
from orchestrator.cli.rollout_options import rollout_options
from orchestrator.cli.unattended import telling_options
from orchestrator.core.settings import VerifyLogin, typed
from orchestrator.errors import EnvironmentFault, ExitCode, UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.cli.carrying import Rolls
    from orchestrator.cli.compose import Parts, Request
    from orchestrator.cli.rolling import Watch
    from orchestrator.core.events import RunStarted
    from orchestrator.core.model import Plan
    from orchestrator.core.payload import Depot
    from orchestrator.core.state import RunState
    from orchestrator.journal.store import Store
    from orchestrator.report.remnants import Copies


@click.command(cls=flags.RememberingCommand)
@click.argument("run")
@rollout_options
@click.option(
    "--no-probe-old",
    is_flag=True,
    help="Do not let instances try their old login first; one that its registry refuses is brought back, too.",
)
@options.roll_options
@telling_options
def restore(
    *,
    run: str,
    output: str,
    out: Path | None,
    journal: JournalPlace,
    yes: bool,
    take_over: bool,
    **given: Any,  # noqa: ANN401 - see requests.rules_of
) -> int:
    """Take the run RUN back: every instance that still runs its credential gets its old one again.

    It uses the backups on the instances, in waves and within budgets as `run` does. An instance tries its old login
    first, and is refused, untouched, where a registry does not take it any more.

    \b
      ecs-rollout restore 20261124-013006-d617fabc
    """
    from orchestrator.cli import carrying
    from orchestrator.core.state import replay

    rolls = carrying.Rolls(
        report=reporting.wanted(output, out, journal),
        told=carrying.told_of(given, nobody=yes),
        journal=journal,
        yes=yes,
        take_over=take_over,
        restores=run,
        options=flags.given(click.get_current_context(), without=approvals.NOT_PART | {"run"}),
    )
    with store.opened(journal) as found:
        return carrying.begin(_restoring(replay(found.entries(run)).run, given), found, rolls)


def _restoring(started: "RunStarted", given: dict[str, Any]) -> "Request":
    from orchestrator.cli.compose import Request

    verify_login = VerifyLogin.NEVER if given.pop("no_probe_old") else VerifyLogin.ALWAYS
    rules = requests.rules_of(verify_login=verify_login, **given)
    rules["region"] = rules["region"] or started.region
    return Request(cluster=started.cluster, **rules)


@click.command(cls=flags.RememberingCommand)
@click.option("--cluster", required=True, help="Name of the ECS cluster.")
@options.delivery_options
@rollout_options
@options.roll_options
@telling_options
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
def heal(
    *,
    output: str,
    out: Path | None,
    journal: JournalPlace,
    yes: bool,
    take_over: bool,
    dry_run: bool,
    **given: Any,  # noqa: ANN401 - see requests.rules_of
) -> int:
    """Mend what dead runs have left in a cluster, without their journal.

    Instances that they drained are set ACTIVE again, half-way changes are taken back after a look at them, delivered
    copies of the credential and old locks are removed. What somebody else has drained is listed and left.

    \b
      ecs-rollout heal --cluster web --dry-run
      ecs-rollout heal --cluster web --take-over
    """
    from orchestrator.cli import carrying
    from orchestrator.cli.compose import Request

    told = carrying.told_of(given, nobody=yes)
    request = Request(**requests.rules_of(verify_login=VerifyLogin.NEVER, **given))
    context = click.get_current_context()
    if dry_run:
        again = flags.words(context, without=(approvals.NOT_PART - {"journal", "state"}) | {"dry_run"})
        return _show_remnants(request, ("ecs-rollout", "heal", *again))
    look = ("ecs-rollout", "heal", *flags.words(context, without=approvals.NOT_PART), "--dry-run")
    carrying.somebody_to_ask(look, yes=yes)
    rolls = carrying.Rolls(
        report=reporting.wanted(output, out, journal),
        told=told,
        journal=journal,
        yes=yes,
        take_over=take_over,
        heals=True,
        options=flags.given(context, without=approvals.NOT_PART),
    )
    with store.opened(journal) as found:
        return carrying.begin(request, found, rolls)


def _show_remnants(request: "Request", again: tuple[str, ...]) -> int:
    """Show what dead runs have left, and who holds the cluster; `again`: the command that mends it."""
    from orchestrator.aws.owner import ALIVE_SECONDS, held_by
    from orchestrator.cli import compose, loading, planning, showing
    from orchestrator.clock import SystemClock
    from orchestrator.core.deciding import Heal
    from orchestrator.report.remnants import Remnants, remnants_text

    clock = SystemClock()
    parts = compose.build(request, clock=clock, say=speech.say)
    planned = planning.plan(parts, Heal(), fence=0, say=speech.say)
    owner = parts.lock.owner()
    left = Remnants(
        copies=tuple(
            _seen_in(parts, depot) for depot in loading.depots(parts, owner.last_begun.to_resolve if owner else ())
        ),
        lock=held_by(owner, clock.now()).message if owner else "",
        alive=owner is not None and clock.now() - owner.heartbeat < ALIVE_SECONDS,
    )
    wish = replace(showing.wish_of(parts, planned), next_command=again)
    speech.show(remnants_text(planned, wish, left))
    return ExitCode.OK


def _seen_in(parts: "Parts", depot: "Depot") -> "Copies":
    from orchestrator.cli import loading
    from orchestrator.report.remnants import Copies

    try:
        return Copies(place=depot.words, names=tuple(copy.name for copy in loading.leftovers(parts, depot)))
    except EnvironmentFault as fault:
        return Copies(place=depot.words, unseen=f"{fault.message} {fault.hint}")


@click.command(cls=flags.RememberingCommand)
@click.argument("run")
@options.aws_options
@options.roll_options
@telling_options
def resume(
    *,
    run: str,
    output: str,
    out: Path | None,
    journal: JournalPlace,
    take_over: bool,
    **given: Any,  # noqa: ANN401 - see carrying.told_of
) -> int:
    """Go on with the run RUN, whose controller has died or was left.

    Its commands under way are found again, instances whose result is lost are looked at, and its waves go on under the
    same policy. It needs the run's journal; without one see `heal`.

    \b
      ecs-rollout resume 20261124-013006-d617fabc
      ecs-rollout resume 20261124-013006-d617fabc --state dynamodb:ecs-rollout
    """
    from orchestrator.cli import carrying
    from orchestrator.core.state import replay

    told = carrying.told_of(given, nobody=True)
    report = reporting.wanted(output, out, journal)
    with store.opened(journal) as found:
        state = replay(found.entries(run))
        rolls = carrying.Rolls(
            report=report, told=told, journal=journal, yes=True, take_over=take_over, restores=state.run.restores
        )
        return go_on(found, state, rolls, region=given["region"], profile=given["profile"])


def go_on(journal: "Store", state: "RunState", rolls: "Rolls", *, region: str | None, profile: str | None) -> int:
    """Resume a run; give its exit code. Raises UsageError for one that has ended and of which nothing is left to do."""
    from orchestrator.cli import carrying, rolling

    def roll(parts: "Parts", watch: "Watch", confirm: Callable[["Plan"], "Plan"]) -> "RunState":
        del confirm  # the run was confirmed when it began
        if state.ended is None:
            return rolling.resume(parts, watch, take_over=rolls.take_over)
        if not rolling.finish(parts, watch, state, take_over=rolls.take_over) and not carrying.owes_take_back(
            state, journal
        ):
            raise _nothing_left(state, state.ended.result, journal, rolls.journal.words)
        return state

    rolls = replace(rolls, stopped=state.halted is not None)
    request = _request_again(state, region=region, profile=profile)
    return carrying.carry_out(request, journal, rolls, roll, run=state.run.run)


def _nothing_left(state: "RunState", result: str, journal: "Store", store: tuple[str, ...]) -> UsageError:
    """Say that a run has ended, and what may come next. `store`: the flags that name the journal."""
    run = state.run.run
    back = next((head.run for head in journal.runs() if head.summary.restores == run and not head.summary.result), "")
    report, resume = (typed(*words, *store) for words in (("report", run), ("resume", back)))
    return UsageError(
        f"The run {run} has ended ({result}): there is nothing to resume.",
        hint=f"It is being taken back by the run {back}: `{resume}`."
        if back
        else f"`{report}` shows what became of it; a new run does the rest.",
    )


def _request_again(state: "RunState", *, region: str | None, profile: str | None) -> "Request":
    """Build the run's request as it was started; its credential is read again only if it was not delivered yet."""
    from orchestrator.cli.compose import Request
    from orchestrator.cli.rollout import run as run_command

    started = state.run
    if started.restores:
        flags_given = requests.again(started, restore, (started.restores,))
    elif started.heals:
        flags_given = requests.again(started, heal)
    else:
        flags_given = requests.again(started, run_command)
    without = approvals.NOT_PART | {"run", "dry_run", "no_probe_old"}
    kept = {name: value for name, value in flags_given.items() if name not in without}
    kept |= {"region": region or started.region, "profile": profile or kept.get("profile")}
    if "credential" not in kept:
        cluster = kept.pop("cluster", started.cluster)
        rules = requests.rules_of(verify_login=VerifyLogin.NEVER, **kept)
        return Request(cluster=cluster, **rules | {"policy": started.policy})
    request = replace(requests.request_of(**kept), policy=started.policy)
    needed = request.boot_configs or (state.payload is None and state.roster.queue)
    return request if needed else replace(request, credential="")
