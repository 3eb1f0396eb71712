"""`ecs-rollout plan` and `run`."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from orchestrator.cli import options, store
from orchestrator.core.gates import Word
from orchestrator.core.model import Plan
from orchestrator.core.settings import Deadlines, Policy, VerifyLogin, ZoneOrder
from orchestrator.errors import ExitCode, RefusedError, UsageError


def say(line: str) -> None:
    """Write a line of progress."""
    click.echo(line, err=True)


_POLICY = (
    "waves",
    "bake",
    "max_unavailable",
    "max_unavailable_per_zone",
    "max_failures",
    "max_unreachable",
    "max_refused",
    "gate_timeout",
)


def _rules(
    *,
    instance: tuple[str, ...],
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
        verify_login=verify_login,
        **{name: flags.pop(name) for name in _POLICY},
    )
    gates = _gates(flags)
    return {
        **flags,
        "gates": gates,
        "policy": policy,
        "pace": Pace(shortest=poll_seconds, longest=poll_seconds * 5),
        "instances": instance,
    }


def _gates(flags: dict[str, Any]) -> Any:  # noqa: ANN401 - compose is imported late
    """Take the gates' flags out."""
    from orchestrator.cli.compose import Gates

    return Gates(
        windows=flags.pop("window"),
        deadline=flags.pop("deadline"),
        alarms=flags.pop("alarm"),
        alarm_missing_data=Word(flags.pop("alarm_missing_data")),
        calendars=flags.pop("change_calendar"),
        command=tuple(shlex.split(flags.pop("gate_command") or "")),
    )


def _request(*, verify_login: bool, no_probe: bool, probe_image: tuple[str, ...], **flags: Any) -> Any:  # noqa: ANN401 - compose is imported late, for a quick --help
    from orchestrator.cli.compose import Request

    # Without a probe from here the canary must prove the login, whatever else was said (promise 4).
    canary = VerifyLogin.CANARY if no_probe else VerifyLogin.NEVER
    rules = _rules(verify_login=VerifyLogin.ALWAYS if verify_login else canary, **flags)
    return Request(probe=not no_probe, probe_images=probe_image, **rules)


@click.command()
@options.credential_options
@options.rollout_options
@options.plan_output
@click.option("--detailed-exitcode", is_flag=True, help="End with 6 when changes are pending.")
def plan(*, output: str, detailed_exitcode: bool, **flags: Any) -> int:  # noqa: ANN401 - see _rules
    """Show what would happen to each instance, and why.

    Reads only: it sends the inspect document, which changes nothing on an instance.

    \b
      ecs-rollout plan --cluster web --credential secretsmanager:registry
    """
    from orchestrator.cli import compose, loading, rolling
    from orchestrator.clock import SystemClock

    parts = compose.build(_request(**flags), clock=SystemClock(), say=say)
    goal = rolling.apply_goal(parts, loading.existing_key(parts))
    planned = rolling.plan(parts, goal, fence=0, say=say)
    click.echo(_show(planned, parts, output, parts.credential.describe()))
    return ExitCode.CHANGES_PENDING if detailed_exitcode and planned.changes else ExitCode.OK


def _show(planned: Plan, parts: Any, output: str, wish: str) -> str:  # noqa: ANN401 - compose is imported late
    from orchestrator.report.plans import Wish, plan_json, plan_text

    window = parts.request.policy.max_unavailable.of(planned.in_scope, at_least=1)
    credential = parts.loaded.credential if parts.loaded else None
    wanted = Wish(words=wish, credential=credential, window=window)
    return plan_json(planned, wanted) if output == "json" else plan_text(planned, wanted)


@click.command()
@options.credential_options
@options.rollout_options
@options.roll_options
def run(*, output: str, journal: Path | None, yes: bool, take_over: bool, **flags: Any) -> int:  # noqa: ANN401 - see _rules
    """Plan, confirm, roll, report.

    \b
      ecs-rollout run --cluster web --credential secretsmanager:registry --yes
    """
    _somebody_to_ask(yes=yes)
    with store.opened(journal) as found:
        return _roll(_request(**flags), found, output=output, yes=yes, take_over=take_over, restores="")


@click.command()
@click.argument("run")
@options.rollout_options
@options.roll_options
def restore(*, run: str, output: str, journal: Path | None, yes: bool, take_over: bool, **flags: Any) -> int:  # noqa: ANN401 - see _rules
    """Take the run RUN back: every instance that still runs its credential gets its old one again.

    It uses the backups on the instances, in waves and within budgets as `run` does.

    \b
      ecs-rollout restore 20261124-013006-d617fabc
    """
    from orchestrator.cli.compose import Request
    from orchestrator.core.state import replay

    _somebody_to_ask(yes=yes)
    with store.opened(journal) as found:
        started = replay(found.entries(run)).run
        flags["region"] = flags["region"] or started.region
        request = Request(cluster=started.cluster, **_rules(verify_login=VerifyLogin.NEVER, **flags))
        return _roll(request, found, output=output, yes=yes, take_over=take_over, restores=run)


def _somebody_to_ask(*, yes: bool) -> None:
    if not yes and not sys.stdin.isatty():
        raise UsageError("There is nobody to confirm the plan.", hint="Look at `ecs-rollout plan`, then say --yes.")


def _roll(request: Any, journal: Any, *, output: str, yes: bool, take_over: bool, restores: str) -> int:  # noqa: ANN401 - see _request
    from orchestrator.cli import compose, rolling
    from orchestrator.cli.signals import BrokenOffError, LeftError, StoppedError, stopping
    from orchestrator.clock import SystemClock
    from orchestrator.report.progress import PlainProgress
    from orchestrator.report.render import exit_code_of, render_report

    clock = SystemClock()
    parts = compose.build(request, clock=clock, say=say)
    wish = f"the old one, from before the run {restores}" if restores else parts.credential.describe()

    def confirm(planned: Plan) -> None:
        say(_show(planned, parts, "table", wish))
        if planned.changes and not yes and not click.confirm("\nRoll?", err=True):
            raise RefusedError("Not confirmed.", hint="Nothing was touched.")
        stop.rolling = planned.changes > 0

    with stopping(clock, say) as stop:
        watch = rolling.Watch(say=say, observers=(PlainProgress(say),), stop_requested=lambda: bool(stop))
        try:
            state = rolling.conduct(parts, journal, watch, take_over=take_over, restores=restores, confirm=confirm)
        except LeftError as error:
            if stop.rolling:
                raise BrokenOffError(parts.run_id, stop.exit_code) from error
            raise StoppedError(stop.exit_code) from error
    say("")
    code = exit_code_of(state, stop.exit_code)
    click.echo(render_report(state, output, code))
    return code
