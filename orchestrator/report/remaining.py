"""How long a run still takes, from what it has measured itself so far: a range that widens rather than lies. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from orchestrator.core.progress import Progress
from orchestrator.core.state import RunState
from orchestrator.report.estimates import times
from orchestrator.report.times import duration

_SPREAD = 0.5
"""How far one single measurement may be off; of n measurements the n-th root of it is left."""

_SOON = 5.0
"""Seconds below which nobody counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Seconds until the run ends: at least, and at most as far as anybody can tell.

    `open_end`: something takes longer than anything that was measured, so `most` is no limit.
    """

    least: float
    most: float
    open_end: bool = False

    def __str__(self) -> str:
        """Word it: `about 3 min`, `2 min to 4 min`, `at least 2 min`, `a few seconds`."""
        least, most = duration(self.least), duration(self.most)
        if self.open_end:
            return f"at least {least}" if self.least >= _SOON else "not known: this takes longer than usual"
        if self.most < _SOON:
            return "a few seconds"
        return f"about {most}" if least == most else f"{least} to {most}"


def remaining(state: RunState, now: float) -> Left | None:
    """Say how much time is left; None before this run has measured one instance, and at the end."""
    if state.ended is not None:
        return None
    measured = sorted(times(state))
    if not measured:
        return None
    quick, slow = _range(measured)
    flights = [_flight(state.instances[key], now) for key in state.roster.in_flight]
    least = _run(state, now, quick, [max(flight.least, quick - flight.taken, 0.0) for flight in flights])
    most = _run(state, now, slow, [max(flight.least, slow - flight.taken, 0.0) for flight in flights])
    return Left(least=least, most=most, open_end=any(flight.taken > slow for flight in flights))


def _range(measured: Sequence[float]) -> tuple[float, float]:
    """Say what one more instance takes, usually: the middle half of what was measured, wider where that was little."""
    spread = 1 + _SPREAD / math.sqrt(len(measured))
    if len(measured) == 1:
        return measured[0] / spread, measured[0] * spread
    first, _, third = quantiles(measured, method="inclusive")
    return first / spread, third * spread


@dataclass(frozen=True, slots=True)
class _Flight:
    """One instance at work: since when, and how many seconds it must still wait at least."""

    taken: float
    least: float


def _flight(progress: Progress, now: float) -> _Flight:
    return _Flight(now - progress.begun_at, max((progress.look_at or now) - now, 0.0))


def _run(state: RunState, now: float, each: float, flights: Sequence[float]) -> float:
    """Play the rest through: the wave that is open, then bake time and turns of the window for each that follows."""
    if state.halted is not None:
        return max(flights, default=0.0)
    window = state.window
    sizes = Counter({wave: len(keys) for wave, keys in state.roster.waiting.items() if keys})
    here = sizes.pop(state.wave, 0)
    seconds = _turns(flights, here, window, each)
    if sizes:
        bake = float(state.run.policy.bake)
        over = not flights and not here
        first = max(state.last_end + bake - now, 0.0) if over and state.wave else bake if state.wave else 0.0
        seconds += first + bake * (len(sizes) - 1) + sum(math.ceil(size / window) * each for size in sizes.values())
    return seconds


def _turns(flights: Sequence[float], waiting: int, window: int, each: float) -> float:
    """Give the seconds until `waiting` more have gone through a window in which these are at work."""
    places = sorted([*flights, *[0.0] * (window - len(flights))])
    rounds, rest = divmod(waiting, window)
    last = rounds * each + places[-1]
    return max(last, (rounds + 1) * each + places[rest - 1]) if rest else last
