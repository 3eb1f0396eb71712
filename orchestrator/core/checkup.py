"""What `doctor` finds, as values: each check's level, what was seen, and what to do about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.settings import Deadlines
from orchestrator.errors import ExitCode, RolloutError

SIGNATURE_SECONDS = 300
"""What AWS lets a request's time be off before it refuses the signature."""

_GRAVEST = (ExitCode.ENVIRONMENT, ExitCode.LOCKED, ExitCode.REFUSED, ExitCode.USAGE, ExitCode.NOT_ALL_UPDATED)


class Level(StrEnum):
    """How a check ended. SKIP: it was not tried, because of another one or of a flag."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `seen` is a sentence; `todo` another, empty where there is nothing to do.

    `code`: how a run would end by a failure. `instances`: the ids of those it is about. No field holds a secret.
    """

    name: str
    level: Level
    seen: str
    todo: str = ""
    code: ExitCode = ExitCode.OK
    instances: tuple[str, ...] = ()


def good(name: str, seen: str) -> Check:
    """Say that nothing is wrong."""
    return Check(name=name, level=Level.OK, seen=seen)


def doubtful(name: str, seen: str, todo: str) -> Check:
    """Say what a run can live with and somebody should know."""
    return Check(name=name, level=Level.WARN, seen=seen, todo=todo)


def failed(name: str, error: RolloutError) -> Check:
    """Say what would end a run, as the run would say it."""
    return Check(name=name, level=Level.FAIL, seen=error.message, todo=error.hint, code=error.exit_code)


def not_tried(name: str, why: str) -> Check:
    """Say why something was left out."""
    return Check(name=name, level=Level.SKIP, seen=f"Not tried: {why}.")


def exit_code_of(checks: Iterable[Check]) -> ExitCode:
    """Give what a run would end with by the gravest failure; 0 where nothing worse than a warning was found."""
    codes = {each.code for each in checks if each.level is Level.FAIL}
    return next((code for code in _GRAVEST if code in codes), ExitCode.OK)


def counts_of(checks: Iterable[Check]) -> Mapping[Level, int]:
    """Count the checks by level."""
    levels = [each.level for each in checks]
    return {level: levels.count(level) for level in Level}


def clock_check(skew: float) -> Check:
    """Judge how far our clock is before (positive) or behind AWS's, in seconds."""
    tolerated = Deadlines().skew
    name, off = "clock", abs(skew)
    seen = f"{off:.0f} s {'before' if skew > 0 else 'behind'} AWS's clock"
    todo = "Set the clock of this machine: `timedatectl set-ntp true` or chrony."
    if off <= tolerated:
        return good(name, f"{off:.0f} s off AWS's clock; {tolerated} s are tolerated.")
    if off < SIGNATURE_SECONDS:
        # NotAfter is made from our clock, and instances compare it with theirs.
        return doubtful(name, f"{seen}: commands expire that much too {'late' if skew > 0 else 'early'}.", todo)
    seen = f"{seen}: AWS refuses requests from {SIGNATURE_SECONDS} s on."
    return Check(name=name, level=Level.FAIL, seen=seen, todo=todo, code=ExitCode.ENVIRONMENT)


def documents_checks(states: Sequence[tuple[str, str]]) -> list[Check]:
    """Judge what `Documents.check` says of each document."""
    by_state: dict[str, list[str]] = {}
    for name, state in states:
        by_state.setdefault(state, []).append(name)
    return [_documents(state, ", ".join(names)) for state, names in by_state.items()]


def _documents(state: str, names: str) -> Check:
    if state == "unchanged":
        return good("documents", f"Published and unchanged: {names}.")
    publish = "un `ecs-rollout documents publish`"
    if state == "missing":
        seen, todo = f"Not published in this account and Region: {names}.", f"R{publish}."
    else:
        seen = f"Other content than this version of ecs-rollout has: {names}."
        todo = f"Find out who changed it, then r{publish}."
    return Check(name="documents", level=Level.FAIL, seen=seen, todo=todo, code=ExitCode.REFUSED)
