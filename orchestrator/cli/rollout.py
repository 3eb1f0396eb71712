"""`ecs-rollout plan` and `run`."""

import sys
from pathlib import Path
from typing import Any

import click

from orchestrator.cli import options, store
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
)


def _request(*, instance: tuple[str, ...], poll_seconds: float, **flags: Any) -> Any:  # noqa: ANN401 - click's keyword arguments go on by name, and compose is imported late for a quick --help
    from orchestrator.cli.compose import Request
    from orchestrator.engine import Pace

    deadlines = Deadlines(
        **{name: flags.pop(f"{name}_seconds") for name in ("delivery", "verify", "restore", "watchdog", "step")}
    )
    problem = deadlines.problem()
    if problem:
        raise UsageError(f"Not possible: {problem}.", hint="Mend the --*-seconds flags, or leave them out.")
    return Request(
        policy=Policy(
            deadlines=deadlines,
            zones=ZoneOrder(flags.pop("zones")),
            verify_login=_verify_login(always=flags.pop("verify_login"), no_probe=flags["no_probe"]),
            **{name: flags.pop(name) for name in _POLICY},
        ),
        pace=Pace(shortest=poll_seconds, longest=max(poll_seconds * 5, poll_seconds)),
        instances=instance,
        probe=not flags.pop("no_probe"),
        probe_images=flags.pop("probe_image"),
        **flags,
    )


def _verify_login(*, always: bool, no_probe: bool) -> VerifyLogin:
    """Without a probe from here the canary must prove the login, whatever else was said (promise 4)."""
    if always:
        return VerifyLogin.ALWAYS
    return VerifyLogin.CANARY if no_probe else VerifyLogin.NEVER


@click.command()
@options.rollout_options
@options.plan_output
@click.option("--detailed-exitcode", is_flag=True, help="End with 6 when changes are pending.")
def plan(*, output: str, detailed_exitcode: bool, **flags: Any) -> int:  # noqa: ANN401 - see _request
    """Show what would happen to each instance, and why.

    Reads only: it sends the inspect document, which changes nothing on an instance.

    \b
      ecs-rollout plan --cluster web --credential secretsmanager:registry
    """
    from orchestrator.cli import compose, loading, rolling
    from orchestrator.clock import SystemClock

    parts = compose.build(_request(**flags), clock=SystemClock(), say=say)
    planned = rolling.plan(parts, fence=0, key=loading.existing_key(parts), say=say)
    click.echo(_show(planned, parts, output))
    return ExitCode.CHANGES_PENDING if detailed_exitcode and planned.changes else ExitCode.OK


def _show(planned: Plan, parts: Any, output: str) -> str:  # noqa: ANN401 - see _request
    from orchestrator.report.plans import plan_json, plan_text

    window = parts.request.policy.max_unavailable.of(planned.in_scope, at_least=1)
    return (plan_json if output == "json" else plan_text)(planned, window=window, credential=parts.loaded.describe())


@click.command()
@options.rollout_options
@options.output
@options.journal
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody watches.")
@click.option("--take-over", is_flag=True, help="Take the cluster from a dead run that holds its lock.")
def run(*, output: str, journal: Path | None, yes: bool, take_over: bool, **flags: Any) -> int:  # noqa: ANN401 - see _request
    """Plan, confirm, roll, report.

    \b
      ecs-rollout run --cluster web --credential secretsmanager:registry --yes
    """
    from orchestrator.cli import compose, rolling
    from orchestrator.cli.signals import stopping
    from orchestrator.clock import SystemClock
    from orchestrator.report.progress import PlainProgress
    from orchestrator.report.render import exit_code_of, render_report

    clock = SystemClock()
    if not yes and not sys.stdin.isatty():
        raise UsageError("There is nobody to confirm the plan.", hint="Look at `ecs-rollout plan`, then say --yes.")
    parts = compose.build(_request(**flags), clock=clock, say=say)

    def confirm(planned: Plan) -> None:
        say(_show(planned, parts, "table"))
        if planned.changes and not yes and not click.confirm("\nRoll?", err=True):
            raise RefusedError("Not confirmed.", hint="Nothing was touched.")

    with store.opened(journal) as found, stopping(clock, say) as stop:
        state = rolling.conduct(
            parts,
            found,
            take_over=take_over,
            confirm=confirm,
            observers=(PlainProgress(say),),
            stop_requested=lambda: bool(stop),
            say=say,
        )
    say("")
    code = exit_code_of(state, stop.exit_code)
    click.echo(render_report(state, output, code))
    return code
