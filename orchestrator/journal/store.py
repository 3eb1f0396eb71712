"""What every store of the journal can do, and one run's part of it as the engine sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.asks import Ask
from orchestrator.core.events import Entry
from orchestrator.journal.head import Head


class Store(Protocol):
    """Every run of one journal. Each method raises JournalFault where the store cannot be used or is damaged."""

    def append(self, run: str, fence: int, entries: Sequence[Entry]) -> None:
        """Make entries durable at once or not at all, and claim the run with `fence`; the first append begins it.

        Raises LockedError, and writes nothing, when a larger fence has claimed the run. After a JournalFault it may
        not be known whether the entries arrived: then the same ones, with others behind them or not, are what the
        store takes next, and those that did arrive are not doubled.
        """
        ...

    def claim(self, run: str, fence: int) -> None:
        """Keep writers with a smaller fence out from now on.

        Raises LockedError when a larger one has claimed the run, UsageError when there is no such run.
        """
        ...

    def entries(self, run: str) -> list[Entry]:
        """Read a whole run. Raises UsageError when there is none of that name."""
        ...

    def head(self, run: str) -> Head:
        """Read how a run stands, without its entries. Raises UsageError when there is none of that name."""
        ...

    def runs(self) -> list[Head]:
        """List the runs, newest first."""
        ...

    def ask(self, run: str, ask: Ask) -> None:
        """Ask something of a run; it is no part of its entries. Raises UsageError when there is no such run."""
        ...

    def asked(self, run: str) -> Sequence[Ask]:
        """Read what was asked of a run, oldest first."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


@dataclass(frozen=True, slots=True)
class RunJournal:
    """One run's part of the journal, as the engine needs it (ports.Journal), for the owner of `fence`."""

    store: Store
    run: str
    fence: int

    def append(self, entries: Sequence[Entry]) -> None:
        """Make these durable, in one transaction, before returning. Raises as `Store.append` does."""
        self.store.append(self.run, self.fence, entries)

    def asked(self) -> Sequence[Ask]:
        """Read what other shells asked of this run, oldest first."""
        return self.store.asked(self.run)
