"""`ecs-rollout plan` and `run`."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import approvals, files, flags, options, reporting, speech, store
from orchestrator.cli.speech import say
from orchestrator.cli.unattended import TELLING, Told, telling_options
from orchestrator.core.gates import Word
from orchestrator.core.selection import Filter, Selection
from orchestrator.core.settings import (
    Deadlines,
    OnEphemeral,
    OnHalt,
    Policy,
    StandaloneTasks,
    VerifyLogin,
    ZoneOrder,
)
from orchestrator.errors import ExitCode, RefusedError, UsageError
from orchestrator.journal.place import JournalPlace

if TYPE_CHECKING:
    from orchestrator.core.approved import ApprovedPlan
    from orchestrator.core.model import Plan
    from orchestrator.core.source import S3Source

_POLICY = (
    "waves",
    "bake",
    "approve",
    "approve_timeout",
    "drain_timeout",
    "max_unavailable",
    "max_unavailable_per_zone",
    "max_failures",
    "max_unreachable",
    "max_refused",
    "gate_timeout",
    "limit",
    "seed",
)


def _rules(
    *,
    poll_seconds: float,
    verify_login: VerifyLogin,
    **flags: Any,  # noqa: ANN401 - click's keyword arguments go on by name
) -> dict[str, Any]:
    """Turn the flags of `options.rollout_options` into a request's fields."""
    from orchestrator.engine import Pace

    deadlines = Deadlines(
        **{name: flags.pop(f"{name}_seconds") for name in ("delivery", "verify", "restore", "watchdog", "step")}
    )
    problem = deadlines.problem()
    if problem:
        raise UsageError(f"Not possible: {problem}.", hint="Mend the --*-seconds flags, or leave them out.")
    policy = Policy(
        deadlines=deadlines,
        zones=ZoneOrder(flags.pop("zones")),
        on_ephemeral=OnEphemeral(flags.pop("on_ephemeral")),
        standalone_tasks=StandaloneTasks(flags.pop("standalone_tasks")),
        on_halt=OnHalt(flags.pop("on_halt")),
        verify_login=verify_login,
        **{name: flags.pop(name) for name in _POLICY},
    )
    gates, selection = _gates(flags), _selection(flags)
    return {
        **flags,
        "gates": gates,
        "policy": policy,
        "pace": Pace(shortest=poll_seconds, longest=poll_seconds * 5),
        "selection": selection,
    }


def _selection(flags: dict[str, Any]) -> Selection:
    """Take the flags out that say whom the run is about."""
    wanted = Filter(
        instances=flags.pop("instance"),
        zones=flags.pop("zone"),
        attributes=flags.pop("attribute"),
        tags=flags.pop("tag"),
    )
    return Selection(wanted=wanted, excluded=flags.pop("exclude"))


def _gates(flags: dict[str, Any]) -> Any:  # noqa: ANN401 - compose is imported late
    """Take the gates' flags out."""
    from orchestrator.cli.compose import Gates

    if flags["deadline"] is not None and not flags["window"]:
        raise UsageError("--deadline without --window does nothing.", hint="It says when no window counts any more.")
    return Gates(
        windows=flags.pop("window"),
        deadline=flags.pop("deadline"),
        deadline_lead=flags.pop("deadline_lead"),
        alarms=flags.pop("alarm"),
        alarm_missing_data=Word(flags.pop("alarm_missing_data")),
        calendars=flags.pop("change_calendar"),
        command=flags.pop("gate_command"),
    )


def _request(
    *,
    verify_login: bool,
    no_probe: bool,
    probe_image: tuple[str, ...],
    boot_config: "tuple[S3Source, ...]",
    **flags: Any,  # noqa: ANN401 - click's keyword arguments go on by name
) -> Any:  # noqa: ANN401 - compose is imported late, for a quick --help
    from orchestrator.cli.compose import Request

    # Without a probe from here the canary must prove the login, whatever else was said (promise 4).
    canary = VerifyLogin.CANARY if no_probe else VerifyLogin.NEVER
    rules = _rules(verify_login=VerifyLogin.ALWAYS if verify_login else canary, **flags)
    return Request(probe=not no_probe, probe_images=probe_image, boot_configs=boot_config, **rules)


@click.command(cls=flags.RememberingCommand)
@options.credential_options
@options.rollout_options
@options.plan_output
@options.journal
@click.option("--full", is_flag=True, help="A row for each instance, however many there are.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan: `run --plan FILE` does just that."
)
@click.option("--detailed-exitcode", is_flag=True, help="End with 6 when changes are pending.")
def plan(
    *,
    output: str,
    journal: JournalPlace,
    full: bool,
    out: Path | None,
    detailed_exitcode: bool,
    **given: Any,  # noqa: ANN401 - see _rules
) -> int:
    """Show what would happen to each instance, and why.

    Reads only: it sends the inspect document, which changes nothing on an instance.

    \b
      ecs-rollout plan --cluster web --credential secretsmanager:registry
      ecs-rollout plan --cluster web --credential ssm:/registry --out web.plan
    """
    from orchestrator.cli import boot, compose, loading, rolling, showing
    from orchestrator.clock import SystemClock
    from orchestrator.report.plans import plan_json, plan_text

    if out is not None:
        files.check_place(out, "plan")
    request = _request(**given)
    parts = compose.build(request, clock=SystemClock(), say=say)
    boot.Boots(parts=parts, sources=request.boot_configs, say=say).announce()
    goal = rolling.apply_goal(parts, loading.existing_key(parts))
    planned = rolling.plan(parts, goal, fence=0, say=say)
    if out is not None:
        options_given = flags.given(click.get_current_context(), without=approvals.NOT_PART)
        approvals.save(out, parts, planned, options_given)
    wish = showing.wish_of(parts, planned, showing.earlier_in(journal, parts.cluster))
    wish = replace(wish, full=full, next_command=_next_command(out))
    speech.show(plan_json(planned, wish) if output == "json" else plan_text(planned, wish))
    return ExitCode.CHANGES_PENDING if detailed_exitcode and planned.changes else ExitCode.OK


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
@options.rollout_options
@options.roll_options
@telling_options
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    callback=approvals.from_plan,
    help="Do what `plan --out FILE` saved, without asking, or nothing where the fleet has changed since.",
)
def run(
    *,
    output: str,
    out: Path | None,
    journal: JournalPlace,
    yes: bool,
    take_over: bool,
    plan_file: Path | None,
    **given: Any,  # noqa: ANN401 - see _rules
) -> int:
    """Plan, confirm, roll, report.

    \b
      ecs-rollout run --cluster web --credential secretsmanager:registry --yes
      ecs-rollout run --plan web.plan
    """
    approved = approvals.approved_in(click.get_current_context())
    nobody = yes or plan_file is not None
    _somebody_to_ask(yes=nobody)
    told = _told(given, nobody=nobody)
    report = reporting.wanted(output, out)
    rolls = Rolls(report=report, yes=yes, take_over=take_over, approved=approved)
    with store.opened(journal) as found, _watched(told, request := _request(**given), journal) as tell:
        return _roll(request, found, rolls, tell)


@click.command()
@click.argument("run")
@options.rollout_options
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
    **flags: Any,  # noqa: ANN401 - see _rules
) -> int:
    """Take the run RUN back: every instance that still runs its credential gets its old one again.

    It uses the backups on the instances, in waves and within budgets as `run` does.

    \b
      ecs-rollout restore 20261124-013006-d617fabc
    """
    from orchestrator.cli.compose import Request
    from orchestrator.core.state import replay

    _somebody_to_ask(yes=yes)
    told = _told(flags, nobody=yes)
    report = reporting.wanted(output, out)
    with store.opened(journal) as found:
        started = replay(found.entries(run)).run
        flags["region"] = flags["region"] or started.region
        request = Request(cluster=started.cluster, **_rules(verify_login=VerifyLogin.NEVER, **flags))
        rolls = Rolls(report=report, yes=yes, take_over=take_over, restores=run)
        with _watched(told, request, journal) as tell:
            return _roll(request, found, rolls, tell)


def _somebody_to_ask(*, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise UsageError("There is nobody to confirm the plan.", hint="Look at `ecs-rollout plan`, then say --yes.")


def _told(flags: dict[str, Any], *, nobody: bool) -> Told:
    """Take the flags out that say who is told. `nobody` is asked before the run."""
    return Told(**{name: flags.pop(name) for name in TELLING}, attended=not nobody)


def _watched(told: Told, request: Any, journal: JournalPlace) -> Any:  # noqa: ANN401 - see _request
    """Watch the command: whatever ends it, those who want to know are told."""
    from orchestrator.aws.session import Session
    from orchestrator.cli.telling import telling
    from orchestrator.clock import SystemClock
    from orchestrator.report.notices import Origin

    session = Session(region=request.region, profile=request.profile)
    plan = ("ecs-rollout", "plan", "--cluster", request.cluster, "--credential", request.credential)
    origin = Origin(
        cluster=request.cluster,
        region=session.region,
        store=journal.words,
        again=plan if request.credential else (),
    )
    return telling(told, session, origin, SystemClock())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolls:
    """How a fleet is rolled beside its policy. `restores`: the run that is taken back; `approved`: the saved plan."""

    report: reporting.Wanted
    yes: bool
    take_over: bool
    restores: str = ""
    approved: "ApprovedPlan | None" = None


def _roll(request: Any, journal: Any, rolls: Rolls, tell: Any) -> int:  # noqa: ANN401 - see _request
    from orchestrator.cli import boot, compose, rolling, showing
    from orchestrator.cli.signals import BrokenOffError, LeftError, StoppedError, stopping
    from orchestrator.clock import SystemClock
    from orchestrator.report.plans import plan_text
    from orchestrator.report.render import exit_code_of
    from orchestrator.report.rows import After

    clock = SystemClock()
    parts = compose.build(request, clock=clock, say=say)
    keeper = boot.Boots(parts=parts, sources=request.boot_configs, say=say)
    keeper.announce()

    def confirm(planned: "Plan") -> "Plan":
        if rolls.approved is not None:
            planned = approvals.fitted(rolls.approved, parts, planned, say)
        if tell.shows_plans:
            experience = showing.earlier(journal, parts.cluster)
            speech.tell(plan_text(planned, showing.wish_of(parts, planned, experience, restores=rolls.restores)))
        asks = planned.changes and not rolls.yes and rolls.approved is None
        if asks and not click.confirm("\nRoll?", err=True):
            raise RefusedError("Not confirmed.", hint="Nothing was touched.")
        stop.rolling = planned.changes > 0
        return planned

    with stopping(clock, say) as stop:
        watch = rolling.Watch(
            say=say,
            observers=tell.observers,
            stop_requested=lambda: bool(stop),
            afterwards=keeper.keep,
        )
        try:
            state = rolling.conduct(
                parts, journal, watch, take_over=rolls.take_over, restores=rolls.restores, confirm=confirm
            )
        except LeftError as error:
            if stop.rolling:
                raise BrokenOffError(parts.run_id, stop.exit_code) from error
            raise StoppedError(stop.exit_code) from error
    say("")
    code = exit_code_of(state, stop.exit_code)
    for trouble in keeper.errors:
        tell.troubled(trouble)
        code = code or ExitCode.NOT_ALL_UPDATED
    reporting.conclude(rolls.report, state, code, After(undelivered=tell.ended(state, code), boots=tuple(keeper.rows)))
    return code
