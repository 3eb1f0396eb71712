"""Ask the person at the terminal to approve a wave: in a thread of its own, so that the run keeps its heartbeat."""

import signal
import sys
from collections.abc import Sequence
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING

from orchestrator.cli import identity, store
from orchestrator.cli.speech import say, tell
from orchestrator.core.asks import Ask, AskKind, asked_before
from orchestrator.core.events import ApprovalAwaited, Entry, Halted, RunEnded, WaveOpened
from orchestrator.errors import RolloutError

if TYPE_CHECKING:
    from orchestrator.journal.place import JournalPlace
    from orchestrator.ports import Clock


class Approver:
    """Asks when a wave waits. The answer goes through the journal, as one from another shell does.

    `reader`: the one thread that reads the terminal, once it was needed.
    """

    def __init__(self, place: "JournalPlace", run: str, clock: "Clock") -> None:
        self._place = place
        self._run = run
        self._clock = clock
        self._wave = 0
        self.reader: Thread | None = None

    def remember(self, entries: Sequence[Entry]) -> None:
        """Take in what the run did before: a wave that waited still does."""
        self.saw(entries)

    def saw(self, entries: Sequence[Entry]) -> None:
        """Ask where an approval is awaited after all of these; never wait for the answer here."""
        before = self._wave
        for entry in entries:
            match entry.event:
                case ApprovalAwaited(wave=wave):
                    self._wave = wave
                case WaveOpened() | Halted() | RunEnded():
                    self._wave = 0  # somebody else has decided
                case _:
                    pass
        if self._wave in {0, before}:
            return
        tell(f"Wave {self._wave} waits for approval. Type y and Enter to go on, n to stop here:")
        if self.reader is None:
            # In our context: it knows who writes to the terminal, and in which form.
            self.reader = Thread(target=copy_context().run, args=(self._read,), daemon=True)
            self.reader.start()

    def _read(self) -> None:
        for line in iter(_line, ""):  # when nobody is there any more, another shell can still approve
            word, wave = line.strip().lower(), self._wave
            if not wave:
                continue
            if word in {"y", "yes"}:
                self._answer(AskKind.APPROVE, wave)
            elif word in {"n", "no"}:
                self._answer(AskKind.ABORT, 0)
            else:
                tell("y or n?")

    def _answer(self, kind: AskKind, wave: int) -> None:
        ask = Ask(kind=kind, wave=wave, by=identity.who(), at=self._clock.now())
        try:
            with store.opened(self._place) as journal:
                if asked_before(ask, journal.asked(self._run)) is None:
                    journal.ask(self._run, ask)
        except RolloutError as error:
            say(f"warning: the answer was not taken: {error.message} {error.hint}")


def _line() -> str:
    """Read a line of the terminal; one that has gone, or belongs to another job, says nothing more."""
    try:
        return sys.stdin.readline()
    except OSError:
        return ""


def made(place: "JournalPlace", run: str, clock: "Clock") -> tuple[Approver, ...]:
    """Make one where somebody sits at the terminal.

    From then on a job in the background that reads its terminal is told that nobody is there: it would be stopped
    otherwise, its heartbeat with it, and hold the cluster.
    """
    if not sys.stdin.isatty():
        return ()
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    return (Approver(place, run, clock),)
