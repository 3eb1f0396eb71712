"""Say what a run does at present, where nothing was said for a while: nobody is to wonder whether it still lives."""

from collections.abc import Callable, Sequence

from orchestrator.core.events import Entry
from orchestrator.core.state import RunState
from orchestrator.ports import Clock
from orchestrator.report.following import Follower
from orchestrator.report.visible import visible
from orchestrator.report.waits import present

FIRST = 30.0
"""Seconds of silence after which a line is said."""

AT_WORK, WAITING = 60.0, 600.0
"""The longest silence while instances are at work, and while the run waits for somebody or something else."""


class Silence:
    """An observer that breaks the silence, seldomer the longer nothing happens.

    `follower`: knows the run, and is told of each entry before; `tell` says a line about it, at a time.
    """

    def __init__(
        self,
        clock: Clock,
        follower: Follower,
        tell: Callable[[float, RunState, str], None],
        store: Sequence[str] = (),
    ) -> None:
        self._clock = clock
        self._follower = follower
        self._tell = tell
        self._store = store
        self._said_at = clock.now()
        self._patience = FIRST

    def heard(self, write: Callable[[str], None]) -> Callable[[str], None]:
        """Give what writes a line, and takes note that something was said."""

        def noted(line: str) -> None:
            self._said_at, self._patience = self._clock.now(), FIRST
            write(line)

        return noted

    def remember(self, entries: Sequence[Entry]) -> None:
        """Nothing to take in: the follower knows."""

    def saw(self, entries: Sequence[Entry]) -> None:  # noqa: ARG002 - any event may come, and be nothing to speak of
        """Say a line if it is time for one."""
        state, now = self._follower.state, self._clock.now()
        if state is None or state.ended is not None or now - self._said_at < self._patience:
            return
        longest = AT_WORK if state.roster.in_flight else WAITING
        self._said_at, self._patience = now, min(self._patience * 2, longest)
        self._tell(now, state, visible(present(state, now, self._store)))
