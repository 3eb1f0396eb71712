"""The lab's change calendars: closed until a moment that a test or a user of the lab sets, open otherwise."""

from datetime import UTC, datetime
from typing import Any

from orchestrator.lab.wire import AwsError, Clock


class Calendars:
    """GetCalendarState. `closed_until`: each calendar that there is, and until when it is closed (epoch seconds)."""

    OPERATIONS = frozenset({"GetCalendarState"})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.closed_until: dict[str, float] = {}

    async def handle(self, _operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer OPEN only where all of the calendars that are named are open."""
        unknown = [name for name in params["CalendarNames"] if name not in self.closed_until]
        if unknown:
            raise AwsError("InvalidDocument", f"Document {unknown[0]} does not exist.")
        now = self._clock.now()
        until = max(self.closed_until[name] for name in params["CalendarNames"])
        answer = {"State": "CLOSED" if now < until else "OPEN", "AtTime": _text(now)}
        return answer | ({"NextTransitionTime": _text(until)} if now < until else {})


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
