"""Time windows: the gate that needs nothing but the time, and the deadline that overrules it."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from orchestrator.core.gates import GateAnswer
from orchestrator.core.settings import Word

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?P<days>[A-Za-z]{3}(?:-[A-Za-z]{3})?(?:,[A-Za-z]{3}(?:-[A-Za-z]{3})?)*|daily) "
    r"(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<zone>[A-Za-z0-9_+/-]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """Hours on some days of the week, in a time zone. One that ends before it begins runs over midnight.

    `days` are those on which it begins, Monday 0. It is open exactly while the wall clock there shows a time inside:
    where clocks are put forward an hour of it may be missing, where they are put back one may come twice.
    """

    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo
    text: str

    @classmethod
    def parse(cls, text: str) -> "TimeWindow":
        """Read `Mon-Fri 02:00-05:00 Europe/Berlin`. Raises ValueError for anything else."""
        found = _WINDOW.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no window: write 'Mon-Fri 02:00-05:00 Europe/Berlin'")
        try:
            zone = ZoneInfo(found["zone"])
            start, end = time.fromisoformat(found["start"]), time.fromisoformat(found["end"])
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{text!r}: {error}") from error
        if start == end:
            raise ValueError(f"{text!r} begins when it ends: for a whole day leave the window out")
        return cls(days=_days(found["days"].lower()), start=start, end=end, zone=zone, text=text)

    def closes_at(self, now: float) -> float | None:
        """Say when the window that is open now will close (epoch seconds); None while it is closed."""
        at = now
        while (end := self._end_at(wall := self._wall(at))) is not None:
            ahead = at + (end - wall).total_seconds()
            jump = self._jump(at, ahead)
            if jump is None:
                return ahead
            at = jump  # the wall clock shows another time from here on: is that one inside?
        return at if at > now else None

    def _wall(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, self.zone).replace(tzinfo=None)

    def _end_at(self, wall: datetime) -> datetime | None:
        """Give the end, on the wall clock, of the hours that it shows a time of."""
        for back in (0, 1):
            day = wall.date() - timedelta(days=back)
            last = day if self.start < self.end else day + timedelta(days=1)
            begins, ends = datetime.combine(day, self.start), datetime.combine(last, self.end)
            if day.weekday() in self.days and begins <= wall < ends:
                return ends
        return None

    def _jump(self, begin: float, end: float) -> float | None:
        """Find the second between `begin` and `end` at which clocks are put forward or back, if there is one."""
        before, after = math.floor(begin), math.ceil(end)
        if self._offset(before) == self._offset(after):
            return None
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if self._offset(middle) == self._offset(before) else (before, middle)
        return float(after)

    def _offset(self, at: float) -> timedelta | None:
        return datetime.fromtimestamp(at, self.zone).utcoffset()


def _days(text: str) -> frozenset[int]:
    if text == "daily":
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"{part!r} is no day of the week: write Mon, Tue, Wed, Thu, Fri, Sat, Sun")
        begin, span = _DAYS.index(first), (_DAYS.index(last or first) - _DAYS.index(first)) % 7
        days.update((begin + step) % 7 for step in range(span + 1))
    return frozenset(days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When the old credential expires (epoch seconds), and how many seconds before it windows stop to count."""

    at: float
    lead: float


def ask_windows(windows: Sequence[TimeWindow], now: float, *, needed: float, deadline: Deadline | None) -> GateAnswer:
    """Ask whether windows are open for at least `needed` seconds more, what one instance usually takes.

    Close to the deadline, so that what is left can still be done before it, no window holds the run back any more.
    """
    closed = _why_closed(windows, now, needed)
    if closed is None:
        return GateAnswer(gate="window", word=Word.GO, reason="a window is open")
    if deadline is None or now < deadline.at - deadline.lead:
        return GateAnswer(gate="window", word=Word.HOLD, reason=closed)
    reason = (
        f"the deadline {_moment(deadline.at)} overrules it from {_moment(deadline.at - deadline.lead)} on: {closed}"
    )
    return GateAnswer(gate="window", word=Word.GO, reason=reason, overruled=True)


def _why_closed(windows: Sequence[TimeWindow], now: float, needed: float) -> str | None:
    until = now
    while until - now < needed or until == now:
        # Where one window begins when another ends, they are one to the run.
        closing = max((at for window in windows if (at := window.closes_at(until)) is not None), default=None)
        if closing is None:
            break
        until = closing
    if until == now:
        return f"no window is open ({'; '.join(window.text for window in windows)})"
    if until - now < needed:
        return f"the window closes at {_moment(until)}, and an instance usually takes {needed:.0f} s"
    return None


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
