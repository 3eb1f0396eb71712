"""Ask the person at the terminal to approve a wave: in a thread of its own, so that the run keeps its heartbeat."""

import sys
from collections.abc import Sequence
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING

from orchestrator.cli import identity, store
from orchestrator.cli.speech import say, tell
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import ApprovalAwaited, Entry
from orchestrator.errors import RolloutError

if TYPE_CHECKING:
    from orchestrator.journal.place import JournalPlace
    from orchestrator.ports import Clock


class Approver:
    """Asks as soon as a wave waits. The answer goes through the journal, as one from another shell does.

    `asking`: the threads that have asked.
    """

    def __init__(self, place: "JournalPlace", run: str, clock: "Clock") -> None:
        self._place = place
        self._run = run
        self._clock = clock
        self.asking: list[Thread] = []

    def saw(self, entries: Sequence[Entry]) -> None:
        """Ask where an approval is awaited; never wait for the answer here."""
        for entry in entries:
            if isinstance(entry.event, ApprovalAwaited):
                # In our context: it knows who writes to the terminal, and in which form.
                asking = Thread(target=copy_context().run, args=(self._ask, entry.event.wave), daemon=True)
                self.asking.append(asking)
                self.asking[-1].start()

    def _ask(self, wave: int) -> None:
        tell(f"Wave {wave} waits for approval. Type y and Enter to go on, n to stop here:")
        while True:
            answer = sys.stdin.readline()
            word = answer.strip().lower()
            if not answer:  # nobody is there any more; another shell can still approve
                return
            if word in {"y", "yes", "n", "no"}:
                break
            tell("y or n?")
        kind = AskKind.APPROVE if word.startswith("y") else AskKind.ABORT
        ask = Ask(kind=kind, wave=wave if kind is AskKind.APPROVE else 0, by=identity.who(), at=self._clock.now())
        try:
            with store.opened(self._place) as journal:
                journal.ask(self._run, ask)
        except RolloutError as error:
            say(f"warning: the answer was not taken: {error.message} {error.hint}")


def made(place: "JournalPlace", run: str, clock: "Clock") -> tuple[Approver, ...]:
    """Make one where somebody sits at the terminal."""
    return (Approver(place, run, clock),) if sys.stdin.isatty() else ()
