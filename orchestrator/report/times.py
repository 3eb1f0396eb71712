"""How a moment and a duration are written, in every report and display."""

from datetime import UTC, datetime

_MINUTE, _HOUR = 60, 3600
_EXACT_UP_TO, _TENS_UP_TO = 120, 600


def moment(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """Word a time as exactly as somebody who waits wants it: `45 s`, `3 min 20 s`, `25 min`, `2 h 5 min`."""
    if seconds < _EXACT_UP_TO:
        return f"{max(round(seconds), 0)} s"
    if seconds < _TENS_UP_TO:
        tens = round(seconds / 10) * 10
        return f"{tens // _MINUTE} min" + (f" {tens % _MINUTE} s" if tens % _MINUTE else "")
    minutes = round(seconds / _MINUTE)
    if minutes < _HOUR // _MINUTE * 2:
        return f"{minutes} min"
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def clock(seconds: float) -> str:
    """Day and time in UTC, to the second, for a person; the zone is for the caller to say."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def time_of_day(seconds: float) -> str:
    """Hours, minutes and seconds in UTC, of a moment that is not far away."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def elapsed(seconds: float) -> str:
    """How far into a run something happened, as minutes and seconds: what a line of progress begins with."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
