"""The live display of a run, where the terminal is able: made here, and always taken away again."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from orchestrator.cli import speech

if TYPE_CHECKING:
    from orchestrator.ports import Clock
    from orchestrator.report.live import LiveProgress


def make(clock: "Clock", store: Sequence[str] = ()) -> "LiveProgress":
    """Make a display; rich is loaded only now. `store`: the flags that name the run's journal."""
    from orchestrator.report.live import LiveProgress

    return LiveProgress(sys.stderr, clock, store=store)


@contextmanager
def shown(live: "LiveProgress | None") -> Iterator[None]:
    """Let the display write what is said meanwhile, and take it away at the end, whatever that is."""
    if live is None:
        yield
        return
    with speech.through(live.above), closing(live):
        yield
