"""Ctrl-C and SIGTERM: the first stops safely, the second leaves at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from orchestrator.clock import SystemClock
from orchestrator.errors import ExitCode


@dataclass
class Stop:
    """Which signal asked the run to stop, if one did."""

    signal: int = 0

    def __bool__(self) -> bool:
        return self.signal != 0

    @property
    def exit_code(self) -> ExitCode:
        """130 or 143, as shells know it."""
        return ExitCode.TERMINATED if self.signal == signal.SIGTERM else ExitCode.INTERRUPTED


@contextmanager
def stopping(clock: SystemClock, say: Callable[[str], None]) -> Iterator[Stop]:
    """Listen for the two signals while the run lasts."""
    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.signal = number
        clock.interrupt()
        say("stopping: nothing more is admitted, what is in flight is seen through (again: leave at once)")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
