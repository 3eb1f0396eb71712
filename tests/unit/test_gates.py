"""Gates that need nothing but the time."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.gates import GateAnswer, strictest
from orchestrator.core.settings import Word
from orchestrator.core.windows import Deadline, TimeWindow, ask_windows

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
        ("Sun 02:30-03:30 Europe/Berlin", "2026-03-29T03:05", True),  # the wall clock goes from 02:00 to 03:00
        ("Sun 02:15-02:45 Europe/Berlin", "2026-03-29T03:05", False),  # and shows no time of this one at all
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
    assert (answer.word, answer.reason) == (
        Word.HOLD,
        "the window closes at 2026-11-24 04:00:00 UTC, and an instance usually takes 120 s",
    )


def test_windows_that_touch_are_one() -> None:
    """Where the next window begins when one ends, nobody has to be done before."""
    windows = [TimeWindow.parse(text) for text in ("Fri 22:00-00:00 UTC", "Sat 00:00-04:00 UTC")]
    late = at("2026-11-27T23:59", ZoneInfo("UTC"))
    assert ask_windows(windows, late, needed=120, deadline=None).word is Word.GO
    assert ask_windows(windows[:1], late, needed=120, deadline=None).word is Word.HOLD


def test_the_deadline_beats_the_window() -> None:
    """From its lead on no window holds the run back, and the answer says so, and why it would have."""
    windows = [TimeWindow.parse("daily 02:00-05:00 Europe/Berlin")]
    noon = at("2026-11-24T12:00")
    early = ask_windows(windows, noon, needed=0, deadline=Deadline(at=noon + 601, lead=600))
    assert (early.word, early.overruled) == (Word.HOLD, False)
    answer = ask_windows(windows, noon, needed=0, deadline=Deadline(at=noon + 600, lead=600))
    assert answer == GateAnswer(
        gate="window",
        word=Word.GO,
        reason="the deadline 2026-11-24 11:10:00 UTC overrules it from 2026-11-24 11:00:00 UTC on: "
        "no window is open (daily 02:00-05:00 Europe/Berlin)",
        overruled=True,
    )
    night = at("2026-11-24T03:00")
    assert not ask_windows(windows, night, needed=0, deadline=Deadline(at=night, lead=0)).overruled


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


def test_hours_that_come_twice_count_twice() -> None:
    """In the night on which clocks are put back from 03:00 to 02:00, a window over 02:30 closes twice."""
    window = TimeWindow.parse("Sun 02:00-02:30 Europe/Berlin")
    first = at("2026-10-25T02:10")
    assert window.closes_at(first) == first + 20 * 60
    assert window.closes_at(first + 30 * 60) is None
    assert window.closes_at(first + 3600) == first + 3600 + 20 * 60
