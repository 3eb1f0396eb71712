"""How long a run goes on while AWS or its journal does not let it work."""

from dataclasses import dataclass

from orchestrator.core.state import RunState
from orchestrator.errors import EnvironmentFault, JournalFault

DEAF_TICKS = 30
"""Ticks in a row that are cut short before the engine gives up (it has stopped admitting at the first)."""


@dataclass(slots=True)
class Patience:
    """Counts the ticks that were cut short.

    A journal that takes nothing ends the run only when all that is left at work needs an intent: everybody else can be
    seen through without one.
    """

    deaf: int = 0
    stuck: int = 0
    by_aws: EnvironmentFault | None = None
    by_journal: JournalFault | None = None

    def note(self, fault: EnvironmentFault) -> str:
        """Note what has cut a step short; say it and what to do about it: a denial is no silence."""
        words = f"{fault.message.rstrip('.')}. {fault.hint.rstrip('.')}"
        if isinstance(fault, JournalFault):
            self.by_journal = fault
            return f"trouble with the journal: {words}"
        self.by_aws = fault
        return words

    def tick(self, state: RunState) -> None:
        """End a tick. Raises what was noted when it has lasted for too long."""
        waiting = all(state.instances[key].to_take_back for key in state.roster.in_flight)
        self.deaf = self.deaf + 1 if self.by_aws else 0
        self.stuck = self.stuck + 1 if self.by_journal and waiting else 0
        for ticks, fault in ((self.deaf, self.by_aws), (self.stuck, self.by_journal)):
            if fault is not None and ticks >= DEAF_TICKS:
                raise fault
        self.by_aws = self.by_journal = None
