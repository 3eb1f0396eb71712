"""The flags that say how a fleet is rolled: whom, in which waves, within which budgets, times and gates."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

import click

from orchestrator.cli import options
from orchestrator.cli.parameter_types import (
    AmountType,
    CommandType,
    DurationType,
    ExclusionType,
    MarkType,
    MomentType,
    WavesType,
    WindowType,
)
from orchestrator.core.settings import Budget, Deadlines, Policy, Word, ZoneOrder

F = TypeVar("F", bound=Callable[..., Any])


def _budget(name: str, default: Budget, what: str) -> Callable[[F], F]:
    text = ", ".join(str(amount) for amount in default) or "no limit"
    return click.option(
        f"--max-{name}",
        type=AmountType(),
        multiple=True,
        default=[str(amount) for amount in default],
        help=f"More that are {what} halt the run; a count and a percentage may both be given. [default: {text}]",
    )


def rollout_options(function: F) -> F:
    """Say how a fleet is rolled: whom, in which waves, within which budgets and times."""
    defaults, policy = Deadlines(), Policy()
    choices: tuple[Callable[[F], F], ...] = (
        *_selection(),
        click.option(
            "--waves",
            type=WavesType(),
            default=",".join(str(wave) for wave in policy.waves),
            show_default=True,
            help="Cumulative counts or percentages of what is to change; the last wave is always everything.",
        ),
        click.option(
            "--bake",
            type=DurationType(),
            default="0s",
            show_default=True,
            help="Time between two waves: 90s, 5m, 1h.",
        ),
        click.option(
            "--zones",
            type=click.Choice([order.value for order in ZoneOrder]),
            default=policy.zones.value,
            show_default=True,
            help="Take the zones in turn, or finish one before the next is begun.",
        ),
        click.option(
            "--max-unavailable",
            type=AmountType(),
            default=str(policy.max_unavailable),
            show_default=True,
            help="How many instances may be at work at once; percentages round down, to at least one.",
        ),
        click.option(
            "--max-unavailable-per-zone",
            type=AmountType(),
            help="The same for each availability zone. [default: no limit]",
        ),
        _budget("failures", policy.max_failures, "failed, rolled back or unverified"),
        _budget("unreachable", policy.max_unreachable, "unreachable"),
        _budget("refused", policy.max_refused, "refused"),
        options.delivery_seconds,
        options.seconds("verify", defaults.verify, "Time for the agent to be proven after its restart."),
        options.seconds("restore", defaults.restore, "Time for the old state to be proven after a restore."),
        options.seconds("watchdog", defaults.watchdog, "After this the instance restores by itself."),
        options.seconds("step", defaults.step, "After this SSM kills the script."),
        options.poll_seconds,
        *_draining(policy),
        *_gates(),
        options.parameter_prefix,
        options.document_prefix,
        options.aws_options,
    )
    return options.added(function, choices)


def _selection() -> tuple[Callable[[F], F], ...]:
    return (
        click.option("--instance", multiple=True, metavar="ID", help="Only this instance; may be repeated."),
        click.option(
            "--attribute",
            type=MarkType(),
            multiple=True,
            help="Only instances with this ECS attribute, of any value or exactly this one; repeated: with all.",
        ),
        click.option("--tag", type=MarkType(), multiple=True, help="The same for the tags of container instances."),
        click.option("--zone", multiple=True, metavar="NAME", help="Only this availability zone; may be repeated."),
        click.option(
            "--exclude",
            type=ExclusionType(),
            multiple=True,
            help="Never this instance: its id, zone:NAME, attribute:NAME[=VALUE] or tag:KEY[=VALUE]; may be repeated.",
        ),
        click.option(
            "--limit",
            type=AmountType(at_least=1),
            help="Change at most so many; the others are left for the next run. [default: no limit]",
        ),
        click.option(
            "--seed",
            default="",
            metavar="TEXT",
            help="Decides the order among equal instances, the canary too. [default: the cluster's name]",
        ),
    )


def _choice(name: str, default: StrEnum, text: str) -> Callable[[F], F]:
    """Offer the members of an enum."""
    choices = click.Choice([member.value for member in type(default)])
    return click.option(f"--{name}", type=choices, default=default.value, show_default=True, help=text)


on_ephemeral = _choice(
    "on-ephemeral",
    Policy().on_ephemeral,
    "What to do where the agent keeps no state: leave it, drain it first, or change it and orphan its tasks.",
)


def _draining(policy: Policy) -> tuple[Callable[[F], F], ...]:
    """Say what becomes of instances whose agent keeps no state, and what needs a person or comes after a halt."""
    return (
        on_ephemeral,
        _choice(
            "standalone-tasks",
            policy.standalone_tasks,
            "What to do with tasks that draining does not move: they belong to no service.",
        ),
        click.option(
            "--drain-timeout",
            type=DurationType(),
            default="30m",
            show_default=True,
            help="After this an instance that still has tasks is set ACTIVE again, and refused.",
        ),
        click.option("--approve", is_flag=True, help="Every wave after the canary waits until somebody approves it."),
        click.option(
            "--approve-timeout",
            type=DurationType(),
            default="24h",
            show_default=True,
            help="A wave that nobody approves for so long halts the run.",
        ),
        _choice("on-halt", policy.on_halt, "After a halt, keep what was updated, or take it all back."),
    )


def _gates() -> tuple[Callable[[F], F], ...]:
    return (
        click.option(
            "--window",
            type=WindowType(),
            multiple=True,
            help="Admit only then, e.g. 'Mon-Fri 02:00-05:00 Europe/Berlin'; may be repeated.",
        ),
        click.option(
            "--deadline",
            type=MomentType(),
            help="When the old credential expires, e.g. 2026-12-01T06:00+01:00: near it no window holds back.",
        ),
        click.option(
            "--deadline-lead",
            type=DurationType(),
            help="How long before it windows stop to count. [default: as long as the whole run may take]",
        ),
        click.option("--alarm", multiple=True, metavar="NAME", help="Stop while this CloudWatch alarm rings."),
        click.option(
            "--alarm-missing-data",
            type=click.Choice([word.value for word in Word]),
            default=Word.HOLD.value,
            show_default=True,
            help="What an alarm without data says.",
        ),
        click.option(
            "--change-calendar", multiple=True, metavar="NAME", help="Hold while this SSM change calendar is closed."
        ),
        click.option(
            "--gate-command",
            type=CommandType(),
            default="",
            help="Ask this command, without a shell: exit 0 is go, 75 hold, everything else stop.",
        ),
        click.option(
            "--gate-timeout",
            type=DurationType(),
            default="30m",
            show_default=True,
            help="A gate that cannot be asked holds; after this it halts the run.",
        ),
    )
