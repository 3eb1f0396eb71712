"""What a controller has of its own, in memory: a clock, a journal, a lock."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from orchestrator.core.asks import Ask
from orchestrator.core.events import Entry
from orchestrator.errors import JournalFault, LockedError


class VirtualClock:
    """Time that passes only when somebody waits; what is due by then happens, in order."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.time = start
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def now(self) -> float:
        return self.time

    def at(self, time: float, happening: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time, next(self._number), happening))

    def wait(self, seconds: float) -> None:
        end = self.time + seconds
        while self._due and self._due[0][0] <= end:
            time, _, happening = heapq.heappop(self._due)
            self.time = max(self.time, time)
            happening()
        self.time = end


@dataclass
class MemoryJournal:
    """Keeps what it was given, and what came together in `batches`; can be told to fail."""

    entries: list[Entry] = field(default_factory=list)
    batches: list[Sequence[Entry]] = field(default_factory=list)
    fail_after: int | None = None
    full: bool = False
    asks: list[Ask] = field(default_factory=list)
    claimed: int = 0

    def append(self, entries: Sequence[Entry]) -> None:
        if self.full or (self.fail_after is not None and len(self.batches) >= self.fail_after):
            raise JournalFault("disk full", hint="make room")
        self.batches.append(entries)
        self.entries.extend(entries)

    def asked(self) -> Sequence[Ask]:
        if self.full:
            raise JournalFault("disk full", hint="make room")
        return self.asks


@dataclass
class Claim:
    """The journal for the owner of one fence: whoever has a smaller one than the largest cannot write any more."""

    journal: MemoryJournal
    fence: int

    def append(self, entries: Sequence[Entry]) -> None:
        if self.fence < self.journal.claimed:
            raise LockedError("somebody else goes on with the run", hint="leave it")
        self.journal.claimed = self.fence
        self.journal.append(entries)

    def asked(self) -> Sequence[Ask]:
        return self.journal.asked()


@dataclass
class OpenLock:
    """A lock that is held until told otherwise."""

    check: Callable[[], None] = lambda: None
    heartbeat: Callable[[], None] = lambda: None

    def keep(self) -> None:
        self.heartbeat()

    def confirm(self) -> None:
        self.check()
