"""Taking turns where nobody watches: a late start, waiting for the cluster, and an end before the platform's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.aws.owner import ALIVE_SECONDS, Owner, held_by
from orchestrator.core.settings import Deadlines
from orchestrator.errors import UsageError
from orchestrator.ports import Clock
from orchestrator.report.times import duration

POLL = 15.0
"""Seconds between two looks at the lock of a cluster that is waited for."""

Chance = Callable[[float], float]
"""Gives a number between 0 and the given one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: how late to start at most, and for how long to wait for a cluster that another run holds."""

    jitter: int = 0
    wait_for_lock: int = 0


def reserve(deadlines: Deadlines) -> int:
    """Say how many seconds before an end nothing may be begun: the instance itself has ended or restored it by then."""
    return deadlines.delivery + deadlines.watchdog


@dataclass(slots=True, kw_only=True)
class Limit:
    """--max-duration: nothing is admitted after `until` (epoch seconds), so that what is in flight ends in time.

    `reached`: that is why the run was stopped.
    """

    clock: Clock
    seconds: int
    until: float
    reached: bool = field(default=False, init=False)

    @classmethod
    def of(cls, seconds: int, deadlines: Deadlines, clock: Clock) -> "Limit":
        """Count from now. Raises UsageError for a time in which nothing could be begun."""
        needed = reserve(deadlines)
        if seconds <= needed:
            raise UsageError(
                f"--max-duration {seconds}s leaves no time: one instance alone may take {needed} s.",
                hint="Give it more, or make --delivery-seconds and --watchdog-seconds smaller.",
            )
        return cls(clock=clock, seconds=seconds, until=clock.now() + seconds - needed)

    def why(self) -> str:
        """Say why the run is to stop; empty while there is time."""
        if self.clock.now() < self.until:
            return ""
        self.reached = True
        return f"out of time: --max-duration {self.seconds}s would not last for another instance"


def start_late(patience: Patience, clock: Clock, chance: Chance, say: Callable[[str], None]) -> None:
    """Wait for a random part of the jitter: not every cluster's schedule asks AWS in the same second."""
    seconds = chance(float(patience.jitter)) if patience.jitter else 0.0
    if seconds:
        say(f"starting in {seconds:.0f} s (--jitter)")
        clock.wait(seconds)


def await_turn(
    owner: Callable[[], Owner | None], patience: Patience, clock: Clock, chance: Chance, say: Callable[[str], None]
) -> Owner | None:
    """Wait until nobody who lives holds the cluster; give the dead owner, or None where the cluster is free.

    Raises LockedError, which names the owner, when it is held for longer than somebody wants to wait.
    """
    until = clock.now() + patience.wait_for_lock
    told = False
    while True:
        found = owner()
        now = clock.now()
        if found is None or now - found.heartbeat >= ALIVE_SECONDS:
            return found
        if now >= until:
            raise held_by(found, now)
        if not told:
            left = f"for at most {duration(until - now)}, --wait-for-lock"
            say(f"waiting until {found.holder} lets go of the cluster (run {found.run}; {left})")
            told = True
        # Others may wait as well: they do not all ask, nor begin, at once.
        clock.wait(min(POLL / 2 + chance(POLL), until - now))
