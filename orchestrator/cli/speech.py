"""What commands say on stderr, to a person or a machine (`--log-format`), and the result that they show on stdout."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, TextIO

import click

from orchestrator.errors import EnvironmentFault


class LogFormat(StrEnum):
    """The two forms of stderr."""

    TEXT = "text"
    JSON = "json"


class Loudness(StrEnum):
    """How much is said."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


_LOUDNESS: ContextVar[Loudness] = ContextVar("loudness", default=Loudness.NORMAL)
_DEBUG: ContextVar[bool] = ContextVar("debug", default=False)
_FORM: ContextVar[LogFormat] = ContextVar("log_format", default=LogFormat.TEXT)
"""Set by the flag: errors are printed after the command's own context is gone."""


_WARNING = "warning: "
_THROUGH: ContextVar[Callable[[str], None] | None] = ContextVar("through", default=None)
"""Who writes to the terminal in our place: a live display, whose lines others must not break."""


def choose(_ctx: click.Context, _param: click.Parameter, value: str) -> LogFormat:
    """Take the flag's value for everything that is said from now on."""
    form = LogFormat(value)
    _FORM.set(form)
    return form


def reset() -> None:
    """Speak to a person again, as usual: at the beginning of every command."""
    _FORM.set(LogFormat.TEXT)
    _LOUDNESS.set(Loudness.NORMAL)
    _DEBUG.set(False)


def loudness() -> Loudness:
    """Say how much is wanted."""
    return _LOUDNESS.get()


def set_loudness(wanted: Loudness) -> None:
    """Say more or less until the command ends."""
    _LOUDNESS.set(wanted)


def debugs() -> bool:
    """Say whether it is wanted to know where an error comes from."""
    return _DEBUG.get()


def set_debug() -> None:
    """Show where errors come from until the command ends."""
    _DEBUG.set(True)


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
    """Say a line of progress, a warning, or a table; for a machine, blank lines and tables are left out.

    With -q only warnings are left.
    """
    if loudness() is not Loudness.QUIET or line.startswith(_WARNING):
        tell(line)


def tell(line: str) -> None:
    """Say what is asked about next, and so must be read, even with -q."""
    if form() is LogFormat.TEXT:
        write_line(_fitting(line))
        return
    text = line.strip()
    if text and "\n\n" not in text:
        warning = text.startswith(_WARNING)
        _json("warning" if warning else "info", "note", " ".join(text.removeprefix(_WARNING).split()))


def confirms(question: str) -> bool:
    """Ask for a yes. Raises click.Abort for Ctrl-C, Ctrl-D and a terminal that has gone, as it may under nohup.

    What is said next has a line of its own.
    """
    try:
        return click.confirm(question, err=True)
    except (click.Abort, OSError) as error:
        if form() is LogFormat.TEXT:
            write_line("")
        raise click.Abort from error


def say_error(message: str, hint: str) -> None:
    """Say what went wrong and what to do."""
    if form() is LogFormat.TEXT:
        write_line(_fitting(f"error: {message}"))
        write_line(_fitting(f"hint: {hint}"))
        return
    _json("error", "error", message, hint=hint)


def _fitting(text: str) -> str:
    """Fold a text where a terminal shows it; the lines of a log stay whole, to be searched."""
    if not at_terminal():
        return text
    from orchestrator.cli.folding import fitting

    return fitting(text, sys.stderr)


def write_line(line: str) -> None:
    """Write a line as it is: of a log, or a metric."""
    (_THROUGH.get() or _echo)(line)


def _echo(line: str) -> None:
    """Write to stderr. When nobody reads it any more the command goes on: instances may be at work."""
    try:
        click.echo(line, err=True)
    except OSError:
        _to_nobody(sys.stderr)


def show(result: str) -> None:
    """Show a result on stdout; a reader that has gone has seen enough. Raises EnvironmentFault for a full disk."""
    try:
        click.echo(result)
    except BrokenPipeError:
        _to_nobody(sys.stdout)
    except OSError as error:
        _to_nobody(sys.stdout)
        raise EnvironmentFault(f"The result cannot be written: {error.strerror}.", hint="Look at stdout.") from error


def _to_nobody(stream: TextIO) -> None:
    """Lead a stream that cannot be written to nowhere, or its rest is tried again when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _json(level: str, event: str, message: str, **more: Any) -> None:  # noqa: ANN401 - fields of a log line
    from orchestrator.clock import SystemClock
    from orchestrator.report.log_lines import Level, json_line

    write_line(json_line(SystemClock().now(), Level(level), event, message, **more))
