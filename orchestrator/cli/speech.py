"""What commands say on stderr: lines for a person, or JSON lines for a machine (`--log-format`)."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

import click


class LogFormat(StrEnum):
    """The two forms of stderr."""

    TEXT = "text"
    JSON = "json"


_FORM: ContextVar[LogFormat] = ContextVar("log_format", default=LogFormat.TEXT)
"""Set by the flag: errors are printed after the command's own context is gone."""


_THROUGH: ContextVar[Callable[[str], None] | None] = ContextVar("through", default=None)
"""Who writes to the terminal in our place: a live display, whose lines others must not break."""


def choose(_ctx: click.Context, _param: click.Parameter, value: str) -> LogFormat:
    """Take the flag's value for everything that is said from now on."""
    form = LogFormat(value)
    _FORM.set(form)
    return form


def reset() -> None:
    """Speak to a person again: at the beginning of every command."""
    _FORM.set(LogFormat.TEXT)


@contextmanager
def through(write: Callable[[str], None]) -> Iterator[None]:
    """Let somebody else write the lines meanwhile."""
    token = _THROUGH.set(write)
    try:
        yield
    finally:
        _THROUGH.reset(token)


def at_terminal() -> bool:
    """Say whether stderr is a terminal; one that was closed is none."""
    return sys.stderr is not None and sys.stderr.isatty()


def terminal_is_able() -> bool:
    """Say whether the terminal may be drawn on: not in a pipeline's job, nor where plain lines are wanted."""
    plain = any(os.environ.get(name) for name in ("CI", "NO_COLOR"))
    return not plain and os.environ.get("TERM", "dumb") != "dumb"


def form() -> LogFormat:
    """Say which form was chosen."""
    return _FORM.get()


def say(line: str) -> None:
    """Say a line of progress, a warning, or a table; for a machine, blank lines and tables are left out."""
    if form() is LogFormat.TEXT:
        write_line(line)
        return
    text = line.strip()
    if text and "\n\n" not in text:
        warning = text.startswith("warning: ")
        _json("warning" if warning else "info", "note", " ".join(text.removeprefix("warning: ").split()))


def say_error(message: str, hint: str) -> None:
    """Say what went wrong and what to do."""
    if form() is LogFormat.TEXT:
        write_line(f"error: {message}")
        write_line(f"hint: {hint}")
        return
    _json("error", "error", message, hint=hint)


def write_line(line: str) -> None:
    """Write a line as it is: of a log, or a metric."""
    (_THROUGH.get() or _echo)(line)


def _echo(line: str) -> None:
    click.echo(line, err=True)


def _json(level: str, event: str, message: str, **more: Any) -> None:  # noqa: ANN401 - fields of a log line
    from orchestrator.clock import SystemClock
    from orchestrator.report.log_lines import Level, json_line

    write_line(json_line(SystemClock().now(), Level(level), event, message, **more))
