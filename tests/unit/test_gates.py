"""Gates that need nothing but the time."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.gates import GateAnswer, TimeWindow, Word, ask_windows, strictest

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        ("Mon-Fri 02:00-05:00 Europe/Berlin", "2026-11-24T02:00", True),  # a Tuesday
        ("Mon-Fri 02:00-05:00 Europe/Berlin", "2026-11-24T04:59:59", True),
        ("Mon-Fri 02:00-05:00 Europe/Berlin", "2026-11-24T05:00", False),
        ("Mon-Fri 02:00-05:00 Europe/Berlin", "2026-11-24T01:59:59", False),
        ("Mon-Fri 02:00-05:00 Europe/Berlin", "2026-11-28T03:00", False),  # a Saturday
        ("Fri 22:00-04:00 Europe/Berlin", "2026-11-27T23:00", True),  # over midnight
        ("Fri 22:00-04:00 Europe/Berlin", "2026-11-28T03:59", True),
        ("Fri 22:00-04:00 Europe/Berlin", "2026-11-27T03:00", False),  # Friday's small hours are Thursday's night
        ("Sat-Sun 00:00-23:59 Europe/Berlin", "2026-11-29T12:00", True),
        ("Sat-Mon 08:00-09:00 Europe/Berlin", "2026-11-30T08:30", True),  # over the week's end
        ("Mon,Wed 08:00-09:00 Europe/Berlin", "2026-11-25T08:30", True),
        ("Mon,Wed 08:00-09:00 Europe/Berlin", "2026-11-24T08:30", False),
        ("daily 02:00-03:30 UTC", "2026-11-24T03:30", True),  # Berlin is an hour ahead
        ("Sun 01:30-03:30 Europe/Berlin", "2026-03-29T03:15", True),  # 02:00 to 03:00 does not exist that night
        ("Sun 01:30-03:30 Europe/Berlin", "2026-10-25T03:15", True),  # and is there twice that night
        ("Sun 01:30-03:30 Europe/Berlin", "2026-10-25T03:45", False),
    ],
)
def test_windows(window: str, moment: str, *, is_open: bool) -> None:
    """A window is open from its first minute to before its last, on its days, in its time zone."""
    assert (TimeWindow.parse(window).closes_at(at(moment)) is not None) == is_open


@pytest.mark.parametrize(
    "text",
    ["", "02:00-05:00", "Mon 2:00-5:00 UTC", "Xyz 02:00-05:00 UTC", "Mon 02:00-25:00 UTC", "Mon 02:00-02:00 UTC",
     "Mon 02:00-05:00", "Mon 02:00-05:00 Nowhere/Town", "Mon-Xyz 02:00-05:00 UTC"],
)  # fmt: skip
def test_what_is_no_window_is_refused(text: str) -> None:
    """Anything but days, hours and a known time zone is an error that shows how to write it."""
    with pytest.raises(ValueError, match=r".+"):
        TimeWindow.parse(text)


def test_admission_stops_before_the_window_ends() -> None:
    """When what remains of the window is shorter than an instance usually needs, nobody is admitted any more."""
    windows = [TimeWindow.parse("daily 02:00-05:00 Europe/Berlin")]
    early, late = at("2026-11-24T04:00"), at("2026-11-24T04:59")
    assert ask_windows(windows, early, needed=120, deadline=None).word is Word.GO
    answer = ask_windows(windows, late, needed=120, deadline=None)
    assert (answer.word, "closes in 60 s" in answer.reason) == (Word.HOLD, True)


def test_the_deadline_beats_the_window() -> None:
    """From the deadline on no window holds the run back, and the answer says so."""
    windows = [TimeWindow.parse("daily 02:00-05:00 Europe/Berlin")]
    noon = at("2026-11-24T12:00")
    assert ask_windows(windows, noon, needed=0, deadline=noon + 1).word is Word.HOLD
    answer = ask_windows(windows, noon, needed=0, deadline=noon)
    assert (answer.word, "deadline" in answer.reason) == (Word.GO, True)


@given(st.lists(st.builds(GateAnswer, gate=st.just("g"), word=st.sampled_from(Word), reason=st.text())))
def test_the_strictest_counts(answers: list[GateAnswer]) -> None:
    """One stop stops, one hold holds, whatever the others say."""
    words = {answer.word for answer in answers}
    found = strictest(answers)
    expected = Word.STOP if Word.STOP in words else Word.HOLD if Word.HOLD in words else None
    assert (found.word if found else None) == expected


@given(st.floats(at("2026-01-01T00:00"), at("2027-01-01T00:00")))
def test_a_window_closes_after_now_and_within_a_day(now: float) -> None:
    """An open window's end lies ahead, at most 25 hours away: the longest night of the year."""
    closes = TimeWindow.parse("daily 22:00-21:59 Europe/Berlin").closes_at(now)
    assert closes is None or now < closes <= now + 25 * 3600
