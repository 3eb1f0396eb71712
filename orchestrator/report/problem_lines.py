"""The problems of a run as they happen, each with what it means and what to do: lines that are there to stay."""

from collections.abc import Callable, Sequence

from orchestrator.core.events import Concluded, Deferred, Disproven, Entry, Halted, Kept, Lost, NotSent
from orchestrator.core.model import Outcome, OutcomeKind
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.state import RunState
from orchestrator.report.afterwards import afterwards
from orchestrator.report.layout import names, wrap
from orchestrator.report.remarks import CHANGE_REMARKS, remarked
from orchestrator.report.times import elapsed

_NAMED = 6
_INDENT = " " * 7


class ProblemLines:
    """A listener that writes nothing but problems. A reason is explained once; `write` takes one or several lines.

    Those about whom the plan has decided already are told together, by their reasons.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._explained: set[Reason] = set()
        self._remarked: set[str] = set()
        self._decided: dict[tuple[OutcomeKind, Reason], list[str]] = {}

    def told(self, entry: Entry, state: RunState) -> None:
        """Write the lines of one entry, if it is a problem."""
        match entry.event:
            case Concluded(key=key, outcome=outcome) if not state.instances[key].attempts:
                if not outcome.as_wanted and outcome.reason is not Reason.HALTED:
                    self._decided.setdefault((outcome.kind, outcome.reason), []).append(key)
                return
            case Concluded(key=key, outcome=outcome):
                self._concluded(entry, state, outcome, key)
            case Deferred(key=key, outcome=outcome):
                self._decided.setdefault((outcome.kind, outcome.reason), []).append(key)
            case Disproven(key=key, reason=reason):
                self._say(entry, state, f"taken back: {key}: {EXPLANATIONS[reason].meaning}")
            case Kept(key=key, detail=detail):
                self._say(entry, state, f"not given back yet: {key}: {detail}")
            case Lost(keys=keys, detail=detail):
                self._say(entry, state, f"no result from {names(keys, _NAMED)}: {detail}")
            case NotSent(keys=keys, detail=detail):
                self._say(entry, state, f"not sent to {names(keys, _NAMED)}: {detail}")
            case Halted(why=why):
                self._say(entry, state, f"HALTED: {why}")
                self._write(wrap("Nothing more is admitted; what is in flight is seen through.", _INDENT))
            case _:
                self._flush(entry, state)

    def _say(self, entry: Entry, state: RunState, text: str) -> None:
        self._flush(entry, state)
        self._write(wrap(f"{_clock(entry, state)}  {text}").replace("\n  ", f"\n{_INDENT}"))

    def _concluded(self, entry: Entry, state: RunState, outcome: Outcome, key: str) -> None:
        self._flush(entry, state)
        if not outcome.as_wanted:
            self._problem(entry, state, outcome, (key,))
        self._remark(entry, state, key)

    def _remark(self, entry: Entry, state: RunState, key: str) -> None:
        """Say each remark of the first instance alone: a whole fleet may have it, and the report counts them."""
        for name in remarked(state.instances[key]):
            if name not in self._remarked:
                self._remarked.add(name)
                self._say(entry, state, f"{name}: {key}, maybe others, see the report")
                explained = CHANGE_REMARKS[name]
                lines = (wrap(explained.meaning, _INDENT), wrap(f"do: {explained.remedy}", _INDENT))
                self._write("\n".join(lines))

    def _flush(self, entry: Entry, state: RunState) -> None:
        decided, self._decided = self._decided, {}
        for (kind, reason), keys in decided.items():
            self._problem(entry, state, Outcome(kind, reason), keys)

    def _problem(self, entry: Entry, state: RunState, outcome: Outcome, keys: Sequence[str]) -> None:
        lines = [wrap(f"{_clock(entry, state)}  {outcome.kind}({outcome.reason}): {names(keys, _NAMED)}")]
        if outcome.message:
            lines.append(wrap(f"seen: {outcome.message}", _INDENT))
        lines += [wrap(f"afterwards: {each}", _INDENT) for key in keys if (each := afterwards(state.instances[key]))]
        if outcome.reason not in self._explained:
            explained = EXPLANATIONS[outcome.reason]
            lines += [wrap(explained.meaning, _INDENT), wrap(f"do: {explained.remedy}", _INDENT)]
            self._explained.add(outcome.reason)
        self._write("\n".join(lines))


def _clock(entry: Entry, state: RunState) -> str:
    return elapsed(entry.at - state.started_at)
