"""Time windows against an oracle that reads the wall clock minute by minute, over the days on which clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.settings import Word
from orchestrator.core.windows import Deadline, TimeWindow, ask_windows

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MINUTE = 60
# Around the spring's and the autumn's change of the clocks; Lord Howe's is of half an hour.
CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "Australia/Lord_Howe": ("2026-10-03T15:30", "2026-04-04T15:00"),
    "America/St_Johns": ("2026-03-08T05:30", "2026-11-01T04:30"),
    "Asia/Kathmandu": ("2026-03-29T01:00",),
}

minutes_of_day = st.one_of(st.integers(0, 4 * 60), st.integers(0, 24 * 60 - 1))


@st.composite
def windows(draw: st.DrawFn, zone: str) -> TimeWindow:
    start, end = draw(st.lists(minutes_of_day, min_size=2, max_size=2, unique=True))
    days = draw(st.one_of(st.just("daily"), st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(",".join)))
    return TimeWindow.parse(f"{days} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02} {zone}")


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, float]:
    """A zone, and a whole minute within a day and a half of a change of its clocks."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    change = datetime.fromisoformat(draw(st.sampled_from(CHANGES[zone]))).replace(tzinfo=UTC).timestamp()
    return zone, change + MINUTE * draw(st.one_of(st.integers(-240, 240), st.integers(-2160, 2160)))


def shows_a_time_inside(window: TimeWindow, at: float) -> bool:
    """Read the wall clock: the hours belong to the day on which they began."""
    wall = datetime.fromtimestamp(at, window.zone).replace(tzinfo=None)
    began = wall if wall.time() >= window.start else wall - timedelta(days=1)
    if window.start < window.end:
        return wall.weekday() in window.days and window.start <= wall.time() < window.end
    return began.weekday() in window.days and (wall.time() >= window.start or wall.time() < window.end)


@given(st.data())
def test_a_window_is_open_while_the_wall_clock_shows_a_time_in_it(data: st.DataObject) -> None:
    """closes_at agrees with the oracle on whether it is open, and gives the first minute that it calls closed."""
    zone, now = data.draw(moments())
    window = data.draw(windows(zone))
    closes = window.closes_at(now)
    assert (closes is not None) == shows_a_time_inside(window, now)
    if closes is not None:
        minute = now
        while shows_a_time_inside(window, minute):
            minute += MINUTE
        assert closes == minute


@given(st.data(), st.floats(0, MINUTE - 1))
def test_seconds_make_no_difference(data: st.DataObject, seconds: float) -> None:
    """Within a minute a window neither opens nor closes."""
    zone, now = data.draw(moments())
    window = data.draw(windows(zone))
    whole, part = window.closes_at(now), window.closes_at(now + seconds)
    assert (whole is None) == (part is None)
    assert whole is None or part is None or abs(whole - part) < 1


@given(st.data(), st.integers(0, 180).map(lambda minutes: MINUTE * minutes))
def test_nobody_is_admitted_whom_a_window_would_close_on(data: st.DataObject, needed: int) -> None:
    """Go is said exactly where, for as long as an instance takes, some window is open in every minute."""
    zone, now = data.draw(moments())
    chosen = data.draw(st.lists(windows(zone), min_size=1, max_size=3))
    minutes = range(0, max(needed, MINUTE), MINUTE)
    covered = all(any(shows_a_time_inside(window, now + minute) for window in chosen) for minute in minutes)
    assert (ask_windows(chosen, now, needed=needed, deadline=None).word is Word.GO) == covered


@given(st.data(), st.integers(-300, 300), st.integers(0, 300))
def test_the_deadline_only_ever_lets_go(data: st.DataObject, after: int, lead: int) -> None:
    """With a deadline the answer differs from the one without only in its lead and after it, and then says so."""
    zone, now = data.draw(moments())
    chosen = [data.draw(windows(zone))]
    deadline = Deadline(at=now + MINUTE * after, lead=MINUTE * lead)
    without = ask_windows(chosen, now, needed=120, deadline=None)
    answer = ask_windows(chosen, now, needed=120, deadline=deadline)
    overruled = without.word is Word.HOLD and lead >= after
    assert answer.overruled is overruled
    assert overruled or answer == without
    assert not overruled or (answer.word is Word.GO and without.reason in answer.reason)


def test_the_changes_are_those_of_the_zones() -> None:
    """Each moment that these tests look around is one at which the clocks of its zone change, but for Kathmandu's."""
    for zone, changes in CHANGES.items():
        for change in changes:
            at = datetime.fromisoformat(change).replace(tzinfo=UTC).timestamp()
            before, after = (datetime.fromtimestamp(each, ZoneInfo(zone)).utcoffset() for each in (at - 1, at))
            assert (before != after) == (zone != "Asia/Kathmandu")
