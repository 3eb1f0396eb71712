"""Gates: something that must say go before instances are admitted. Each answers go, hold or stop, with a reason.

Here are the values and the gates that need nothing but the time; those that ask AWS or a command are adapters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class Word(StrEnum):
    """What a gate says."""

    GO = "go"
    HOLD = "hold"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """One gate's word, and why. `trouble`: it could not be asked, which is a hold until it lasts too long."""

    gate: str
    word: Word
    reason: str
    trouble: bool = False


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?P<days>[A-Za-z]{3}(?:-[A-Za-z]{3})?(?:,[A-Za-z]{3}(?:-[A-Za-z]{3})?)*|daily) "
    r"(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<zone>[A-Za-z0-9_+/-]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """Hours on some days of the week, in a time zone. One that ends before it begins runs over midnight.

    `days` are those on which it begins, Monday 0. Where clocks are put forward or back the wall clock counts.
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
        local = datetime.fromtimestamp(now, self.zone)
        for back in (0, 1):
            day = local.date() - timedelta(days=back)
            if day.weekday() not in self.days:
                continue
            begins = datetime.combine(day, self.start, self.zone)
            last = day if self.start < self.end else day + timedelta(days=1)
            ends = datetime.combine(last, self.end, self.zone)
            if begins.timestamp() <= now < ends.timestamp():
                return ends.timestamp()
        return None


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


def ask_windows(windows: Iterable[TimeWindow], now: float, *, needed: float, deadline: float | None) -> GateAnswer:
    """Ask whether any window is open for at least `needed` seconds more, what one instance usually takes.

    From `deadline` on, when the old credential expires, no window holds the run back any more.
    """
    gate = "window"
    if deadline is not None and now >= deadline:
        return GateAnswer(
            gate=gate, word=Word.GO, reason="the deadline has passed: windows no longer hold the run back"
        )
    closing = [at for window in windows if (at := window.closes_at(now)) is not None]
    if not closing:
        return GateAnswer(gate=gate, word=Word.HOLD, reason="no window is open")
    left = max(closing) - now
    if left < needed:
        reason = f"the window closes in {left:.0f} s, and an instance takes about {needed:.0f} s"
        return GateAnswer(gate=gate, word=Word.HOLD, reason=reason)
    return GateAnswer(gate=gate, word=Word.GO, reason="a window is open")


def strictest(answers: Iterable[GateAnswer]) -> GateAnswer | None:
    """Choose the answer that counts: any stop, else any hold, else None."""
    by_word = {answer.word: answer for answer in answers}
    return by_word.get(Word.STOP) or by_word.get(Word.HOLD)
