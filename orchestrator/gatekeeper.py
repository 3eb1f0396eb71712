"""Ask the gates: at a bounded rate while somebody waits, and so that nobody is admitted on an old answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.core.events import GateAnswered
from orchestrator.core.gates import GateAnswer, strictest
from orchestrator.core.progress import PAUSE
from orchestrator.core.settings import Word
from orchestrator.core.state import RunState
from orchestrator.errors import RolloutError
from orchestrator.ledger import Ledger
from orchestrator.ports import Clock, Gate

EVERY = 15.0
"""Seconds between two rounds of questions; no older answer admits anybody."""

ANEW = 2.0
"""Seconds within which an answer is fresh enough to open a wave on."""


@dataclass(slots=True)
class Gatekeeper:
    """Keeps what the gates say up to date in the state of a run."""

    gates: Sequence[Gate]
    clock: Clock
    state: RunState
    ledger: Ledger
    asked_at: float | None = None
    heard_at: float | None = None

    def lets(self, *, anew: bool = False) -> bool:
        """Say whether all gates say go; ask them where their answers are old, and with `anew` not quite new."""
        self.ask(EVERY if not anew else min(ANEW, EVERY))
        return strictest(self.state.gates.last.values()) is None

    def ask(self, every: float | None = None) -> None:
        """Ask every gate while there is somebody to admit, unless that was done less than `every` seconds ago."""
        now = self.clock.now()
        due = self.asked_at is None or now - self.asked_at >= (EVERY if every is None else every)
        if not (self.gates and due and self.state.roster.queue) or self.state.halted is not None:
            return
        self.asked_at = now  # before they answer: that may take a while, and an answer ages from the question on
        unasked = max(now - self.heard_at - PAUSE, 0.0) if self.heard_at is not None else 0.0
        answers = [_answer(gate, now) for gate in self.gates]
        self.heard_at = self.clock.now()
        self.ledger.observe(*(event for each in answers for event in self._news(each, unasked)))

    def _news(self, answer: GateAnswer, unasked: float) -> Iterator[GateAnswered]:
        """Tell what is new; what is not yet trouble cannot have been trouble while nobody asked."""
        lost = unasked if answer.trouble and answer.gate in self.state.gates.trouble_since else 0.0
        if lost or self.state.gates.last.get(answer.gate) != answer:
            yield GateAnswered(answer=answer, unasked=lost)


def _answer(gate: Gate, now: float) -> GateAnswer:
    try:
        return gate.ask(now)
    except RolloutError as error:
        return GateAnswer(gate=gate.name, word=Word.HOLD, reason=error.message, trouble=True)
