"""From flags to what was asked for (compose.Request), and from a run's journal to the same once more."""

from typing import TYPE_CHECKING, Any

import click

from orchestrator.core.settings import (
    Deadlines,
    OnEphemeral,
    OnHalt,
    Policy,
    StandaloneTasks,
    VerifyLogin,
    Word,
    ZoneOrder,
)
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.cli.compose import Gates, Request
    from orchestrator.core.events import RunStarted
    from orchestrator.core.selection import Selection
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

GATES = frozenset(
    {"window", "deadline", "deadline_lead", "alarm", "alarm_missing_data", "change_calendar", "gate_command"}
)
"""The flags that say which gates are asked."""


def rules_of(
    *,
    poll_seconds: float,
    verify_login: VerifyLogin,
    **flags: Any,  # noqa: ANN401 - click's keyword arguments go on by name
) -> dict[str, Any]:
    """Turn the flags of `rollout_options` into a request's fields. Raises UsageError where they do not fit."""
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


def _selection(flags: dict[str, Any]) -> "Selection":
    """Take the flags out that say whom the run is about."""
    from orchestrator.core.selection import Filter, Selection

    wanted = Filter(
        instances=flags.pop("instance"),
        zones=flags.pop("zone"),
        attributes=flags.pop("attribute"),
        tags=flags.pop("tag"),
    )
    return Selection(wanted=wanted, excluded=flags.pop("exclude"))


def _gates(flags: dict[str, Any]) -> "Gates":
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


def request_of(
    *,
    verify_login: bool,
    no_probe: bool,
    probe_image: tuple[str, ...],
    boot_config: "tuple[S3Source, ...]",
    **flags: Any,  # noqa: ANN401 - click's keyword arguments go on by name
) -> "Request":
    """Turn the flags of `run` and `plan` into a request. Raises UsageError where they do not fit."""
    from orchestrator.cli.compose import Request

    # Without a probe from here the canary must prove the login, whatever else was said (promise 4).
    canary = VerifyLogin.CANARY if no_probe else VerifyLogin.NEVER
    rules = rules_of(verify_login=VerifyLogin.ALWAYS if verify_login else canary, **flags)
    return Request(probe=not no_probe, probe_images=probe_image, boot_configs=boot_config, **rules)


def again(started: "RunStarted", command: click.Command, arguments: tuple[str, ...] = ()) -> dict[str, Any]:
    """Give the flags of `command` as the run was started with them. Raises UsageError where they no longer fit it."""
    names = {param.name for param in command.params}
    unknown = sorted(set(started.options) - names)
    if unknown:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in unknown)
        raise UsageError(
            f"The run {started.run} was started with flags that this version does not know: {flags}.",
            hint="Resume it with the version that started it, or take the cluster over with a new run.",
        )
    return command.make_context(str(command.name), list(arguments), default_map=dict(started.options)).params
