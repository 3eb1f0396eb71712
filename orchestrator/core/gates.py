"""Gates: something that must say go before instances are admitted. Each answers go, hold or stop, with a reason.

Here are the answers and what a run remembers of them; `core.windows` gives one, the others are adapters'.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.core.settings import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """One gate's word, and why.

    `trouble`: it could not be asked, which is a hold until it lasts too long. `overruled`: it says go because of the
    deadline alone; by itself it would hold.
    """

    gate: str
    word: Word
    reason: str
    trouble: bool = False
    overruled: bool = False


def strictest(answers: Iterable[GateAnswer]) -> GateAnswer | None:
    """Choose the answer that counts: any stop, else any hold, else None."""
    by_word = {answer.word: answer for answer in answers}
    return by_word.get(Word.STOP) or by_word.get(Word.HOLD)


@dataclass(slots=True)
class Answers:
    """What the gates of a run have said: the `last` of each, and `told`, all of it with its time.

    `trouble_since`: from when on a gate cannot be asked, moved by the time in which nobody asked it.
    """

    last: dict[str, GateAnswer] = field(default_factory=dict)
    told: list[tuple[float, GateAnswer]] = field(default_factory=list)
    trouble_since: dict[str, float] = field(default_factory=dict)

    def hear(self, answer: GateAnswer, at: float, unasked: float) -> None:
        """Take in an answer; nobody asked for `unasked` seconds before it."""
        self.last[answer.gate] = answer
        self.told.append((at, answer))
        if answer.trouble:
            self.trouble_since[answer.gate] = self.trouble_since.get(answer.gate, at) + unasked
        else:
            self.trouble_since.pop(answer.gate, None)
