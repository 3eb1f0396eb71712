"""Follow a run's events once for all who want to know the state behind them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from orchestrator.core.events import Entry, RunStarted
from orchestrator.core.state import RunState


class Listener(Protocol):
    """Somebody who is told each entry, and the state of its run right after it."""

    def told(self, entry: Entry, state: RunState) -> None:
        """Take note; must not fail the run."""
        ...


class Follower:
    """An observer that keeps the state of the run it sees. A run that takes another back begins a new state.

    `state` is None until a run has begun; entries of a run whose beginning was not seen are left out.
    """

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self.listeners = listeners
        self.state: RunState | None = None

    def remember(self, entries: Iterable[Entry]) -> None:
        """Take the earlier events of a run that goes on; nobody is told of them."""
        for entry in entries:
            self._fold(entry)

    def saw(self, entries: Sequence[Entry]) -> None:
        """Follow, and tell the listeners."""
        for entry in entries:
            state = self._fold(entry)
            if state is not None:
                for listener in self.listeners:
                    listener.told(entry, state)

    def _fold(self, entry: Entry) -> RunState | None:
        if isinstance(entry.event, RunStarted):
            self.state = RunState()
        if self.state is not None:
            self.state.fold(entry)
        return self.state
