"""Ctrl-C, SIGTERM and a closed terminal: while a fleet is rolled the first stops safely, the second leaves at once."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import click

from orchestrator.clock import SystemClock
from orchestrator.errors import ExitCode, RolloutError

_CODES = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HUNG_UP,
}


class LeftError(KeyboardInterrupt):
    """A signal ends the command now."""


class StoppedError(RolloutError):
    """The command was left before it had changed anything."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__("Stopped.", hint="No instance was changed.")
        self.exit_code = code


class BrokenOffError(RolloutError):
    """The run was left with commands under way. `store`: the flags that name its journal."""

    def __init__(self, run: str, code: ExitCode, store: Sequence[str] = ()) -> None:
        from orchestrator.core.settings import typed

        resume = typed("resume", run, "--take-over", *store)
        super().__init__(
            f"Left at once; what the run {run} had sent may still be at work.",
            # The first signal has halted the run: whom it had not begun with, a new one changes.
            hint=f"`{resume}` sees that through and ends the run; a new run does the rest.",
        )
        self.exit_code = code


@dataclass
class Stop:
    """Which signal asked the run to stop, if one did. `rolling`: instances may be at work, so one is asked to wait."""

    signal: int = 0
    rolling: bool = False

    def __bool__(self) -> bool:
        return self.signal != 0

    @property
    def why(self) -> str:
        """The reason for the run's record; empty while nobody asks."""
        if self.signal == signal.SIGHUP:
            return "the terminal was closed (SIGHUP)"
        return "stopped by a signal" if self else ""

    @property
    def exit_code(self) -> ExitCode:
        """129, 130 or 143, as shells know it."""
        return _CODES[signal.Signals(self.signal)] if self else ExitCode.INTERRUPTED


def ending() -> tuple[signal.Signals, ...]:
    """List the signals that are to end us; SIGHUP is none where it was ignored when we began, as under nohup."""
    unheard = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in _CODES if not (unheard and number == signal.SIGHUP))


@contextmanager
def stopping(clock: SystemClock, say: Callable[[str], None]) -> Iterator[Stop]:
    """Listen for the signals while the command lasts."""
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        again = bool(stop)
        if again and number == signal.SIGHUP:
            return  # a closing terminal says so twice, its shell and the kernel; nobody means by it to leave at once
        stop.signal = number
        if again or not stop.rolling:
            raise LeftError
        clock.interrupt()
        say("stopping: what is in flight is seen through (again: leave at once)")

    before = {number: signal.signal(number, handle) for number in ending()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stopping_run(clock: SystemClock, say: Callable[[str], None], run: str, store: Sequence[str] = ()) -> Iterator[Stop]:
    """Listen while a run lasts; being left at once is an error that says what `run` may still have under way.

    `store`: the flags that name its journal.
    """
    with stopping(clock, say) as stop:
        try:
            yield stop
        except (LeftError, click.Abort) as error:  # click's own: at its prompt it makes one of the other, or of Ctrl-D
            if stop.rolling:
                raise BrokenOffError(run, stop.exit_code, store) from error
            raise StoppedError(stop.exit_code) from error
