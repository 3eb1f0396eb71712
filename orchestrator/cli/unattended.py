"""The flags of runs that nobody watches: notices, metrics, the log's form. `run` and `restore` take them, too."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from orchestrator.cli import speech
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.core.metrics import MeterTarget
    from orchestrator.core.notices import Target

F = TypeVar("F", bound=Callable[..., Any])

TELLING = frozenset({"notify", "metrics", "log_format"})
"""The parameters of `telling_options`: they say nothing about what happens to an instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Whom a run tells, and how it logs. `attended`: somebody is asked before it, and sees what goes wrong there."""

    notify: "tuple[Target, ...]" = ()
    metrics: "tuple[MeterTarget, ...]" = ()
    log_format: speech.LogFormat = speech.LogFormat.TEXT
    attended: bool = False

    @property
    def json(self) -> bool:
        """Whether stderr is for machines."""
        return self.log_format is speech.LogFormat.JSON

    @property
    def quiet(self) -> bool:
        """Whether nothing but problems is to be said."""
        return speech.loudness() is speech.Loudness.QUIET

    @property
    def watched(self) -> bool:
        """Whether a person watches stderr."""
        return not self.json and speech.at_terminal()

    @property
    def live(self) -> bool:
        """Whether that person's terminal can show lines that change."""
        return self.watched and not self.quiet and speech.terminal_is_able()


class NotifyType(click.ParamType["Target"]):
    """`sns:ARN`, `eventbridge:BUS`, `webhook:SOURCE`."""

    name = "TARGET"
    pattern = "^(sns|eventbridge|webhook):."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Target":  # noqa: ANN401, ARG002 - click's signature
        """Read it. Raises UsageError, which does not repeat it: it may hold a secret by mistake."""
        from orchestrator.core.notices import parse_target

        try:
            return parse_target(value) if isinstance(value, str) else value
        except UsageError as error:
            raise UsageError(f"--notify: {error.message}.", hint=error.hint) from error


class MetricsType(click.ParamType["MeterTarget"]):
    """`cloudwatch:NAMESPACE` or `emf:NAMESPACE`."""

    name = "TARGET"
    pattern = "^(cloudwatch|emf):."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "MeterTarget":  # noqa: ANN401, ARG002 - click's signature
        """Read it. Raises UsageError."""
        from orchestrator.core.metrics import parse_meter

        try:
            return parse_meter(value) if isinstance(value, str) else value
        except UsageError as error:
            raise UsageError(f"--metrics: {error.message}.", hint=error.hint) from error


def notify_option(function: F) -> F:
    """Say who is told."""
    return click.option(
        "--notify",
        type=NotifyType(),
        multiple=True,
        help="Tell this target when the run starts, waits for approval, halts and ends: sns:TOPIC_ARN, "
        "eventbridge:BUS, or a webhook by where its URL is kept: webhook:env:NAME, :file:PATH, :ssm:/NAME, "
        ":secretsmanager:NAME; may be repeated.",
    )(function)


def metrics_option(function: F) -> F:
    """Say where metrics go."""
    return click.option(
        "--metrics",
        type=MetricsType(),
        multiple=True,
        help="Measure the run: cloudwatch:NAMESPACE (PutMetricData) or emf:NAMESPACE (a line of stderr).",
    )(function)


def extra_options(function: F) -> F:
    """Say what a role may do beside rolling: the same flags as the run's."""
    return notify_option(metrics_option(function))


def telling_options(function: F) -> F:
    """Say who is told what, and in which form."""
    log_format = click.option(
        "--log-format",
        type=click.Choice([each.value for each in speech.LogFormat]),
        default=speech.LogFormat.TEXT.value,
        show_default=True,
        is_eager=True,
        callback=speech.choose,
        help="Form of the progress on stderr: lines for a person, or JSON lines for a machine.",
    )
    return extra_options(log_format(function))
