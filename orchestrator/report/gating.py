"""What the gates of a run said, and for how long: from its answers, each of which is in the journal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.core.gates import GateAnswer
from orchestrator.core.settings import Word
from orchestrator.core.state import RunState
from orchestrator.report.times import duration
from orchestrator.report.visible import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpan:
    """A time in which a gate kept to one word. Epoch seconds; `ended_at` is None while the run has not ended.

    `reason`: the last one that it gave. `overruled`: it said go because of the deadline alone.
    """

    gate: str
    word: Word
    reason: str
    overruled: bool
    started_at: float
    ended_at: float | None


def spans_of(state: RunState) -> tuple[GateSpan, ...]:
    """Read them out of a run's state, in the order in which they began."""
    found: list[GateSpan] = []
    last: dict[str, int] = {}
    for at, answer in state.gates.told:
        number = last.get(answer.gate)
        if number is not None and _same(found[number], answer):
            found[number] = replace(found[number], reason=visible(answer.reason))
            continue
        if number is not None:
            found[number] = replace(found[number], ended_at=at)
        last[answer.gate] = len(found)
        span = GateSpan(
            gate=answer.gate,
            word=answer.word,
            reason=visible(answer.reason),
            overruled=answer.overruled,
            started_at=at,
            ended_at=state.ended_at,
        )
        found.append(span)
    return tuple(found)


def _same(span: GateSpan, answer: GateAnswer) -> bool:
    return (span.word, span.overruled) == (answer.word, answer.overruled)


def sentences(spans: Sequence[GateSpan]) -> list[str]:
    """Say which gates held the run back and for how long, and which were overruled; of those that said go, nothing."""
    told: dict[tuple[str, Word, bool], list[GateSpan]] = {}
    for span in spans:
        if span.word is Word.HOLD or span.overruled:
            told.setdefault((span.gate, span.word, span.overruled), []).append(span)
    return [_sentence(alike) for alike in told.values()]


def _sentence(alike: Sequence[GateSpan]) -> str:
    last = alike[-1]
    if last.overruled:
        return f"Gate {last.gate} did not count any more: {last.reason}."
    if last.ended_at is None:
        return f"Gate {last.gate} says hold: {last.reason}."
    seconds = sum((span.ended_at or span.started_at) - span.started_at for span in alike)
    return f"Gate {last.gate} said hold for {duration(seconds)}: {last.reason}."
