"""The one way in which events count: durable first, then folded into the state, then seen by observers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.core.events import Entry, Event
from orchestrator.core.state import RunState
from orchestrator.errors import JournalFault
from orchestrator.ports import Clock, Journal, Observer


@dataclass(slots=True)
class Ledger:
    """Takes the events of one run.

    While the journal is in trouble, what was observed is kept in memory and counts, so that work that is under way can
    be seen through; nothing new can be intended. `unsaved` holds what the journal does not have yet.
    """

    journal: Journal
    clock: Clock
    state: RunState
    observers: Sequence[Observer] = ()
    unsaved: tuple[Entry, ...] = ()
    trouble: JournalFault | None = field(default=None)

    def intend(self, *events: Event) -> None:
        """Make these durable before the effect that they announce. Raises JournalFault, and then nothing counts."""
        entries = self._entries(events)
        self.journal.append((*self.unsaved, *entries))
        self.unsaved = ()
        self._count(entries)

    def observe(self, *events: Event) -> None:
        """Take in what has happened, durable as soon as the journal lets us."""
        if not events:
            return
        entries = self._entries(events)
        self.unsaved = (*self.unsaved, *entries)
        self.save()
        self._count(entries)

    def save(self) -> None:
        """Try to make durable what is not yet."""
        if not self.unsaved:
            return
        try:
            self.journal.append(self.unsaved)
        except JournalFault as fault:
            self.trouble = fault
        else:
            self.unsaved = ()

    def elapse(self) -> None:
        """Let observers notice that time passes, whether anything has happened or not."""
        for observer in self.observers:
            observer.saw(())

    def _entries(self, events: Sequence[Event]) -> tuple[Entry, ...]:
        now = self.clock.now()
        return tuple(Entry(now, event) for event in events)

    def _count(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            self.state.fold(entry)
        for observer in self.observers:
            observer.saw(entries)
