"""Hear what other shells ask of a run: to go on with a wave, or to stop."""

from dataclasses import dataclass

from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import Approved, Halted
from orchestrator.core.state import RunState
from orchestrator.ledger import Ledger
from orchestrator.ports import Journal


@dataclass(slots=True)
class Audience:
    """Grants what was asked, each thing once. Who asked a run to stop while nobody drove it is heard, too."""

    journal: Journal
    state: RunState
    ledger: Ledger

    def listen(self) -> None:
        """Take in what has been asked so far."""
        for ask in self.journal.asked():
            self._heed(ask)

    def _heed(self, ask: Ask) -> None:
        """Do what another shell asks, once."""
        match ask.kind:
            case AskKind.ABORT:
                if self.state.halted is None:
                    when = "" if ask.at > self.state.resumed_at else ", before it was resumed"
                    self.ledger.observe(Halted(why=f"stopped by {ask.by}{when}", interrupted=True))
            case AskKind.APPROVE:
                wave, since = self.state.awaiting or (0, 0.0)
                fits = ask.wave == wave or (ask.wave == 0 and ask.at >= since)
                if wave and fits and wave not in self.state.approved:
                    self.ledger.observe(Approved(wave=wave, by=ask.by))
