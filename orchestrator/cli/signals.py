"""Ctrl-C and SIGTERM: while a fleet is rolled the first stops safely, the second leaves at once."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from orchestrator.clock import SystemClock
from orchestrator.errors import ExitCode, RolloutError


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
        return "stopped by a signal" if self else ""

    @property
    def exit_code(self) -> ExitCode:
        """130 or 143, as shells know it."""
        return ExitCode.TERMINATED if self.signal == signal.SIGTERM else ExitCode.INTERRUPTED


@contextmanager
def stopping(clock: SystemClock, say: Callable[[str], None]) -> Iterator[Stop]:
    """Listen for the two signals while the command lasts."""
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        again = bool(stop)
        stop.signal = number
        if again or not stop.rolling:
            raise LeftError
        clock.interrupt()
        say("stopping: what is in flight is seen through (again: leave at once)")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
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
        except LeftError as error:
            if stop.rolling:
                raise BrokenOffError(run, stop.exit_code, store) from error
            raise StoppedError(stop.exit_code) from error
