"""What a report says of the gates."""

import pytest

from orchestrator.core.events import Entry, GateAnswered, RunEnded
from orchestrator.core.gates import GateAnswer
from orchestrator.core.settings import Word
from orchestrator.core.state import RunState
from orchestrator.errors import ExitCode
from orchestrator.report.gating import sentences, spans_of
from orchestrator.report.render import render_report
from tests.fake_fleet import fleet_of, roll

HOLD = GateAnswer(gate="window", word=Word.HOLD, reason="no window is open")
GO = GateAnswer(gate="window", word=Word.GO, reason="a window is open")
OVERRULED = GateAnswer(gate="window", word=Word.GO, reason="the deadline overrules it", overruled=True)
OTHER = GateAnswer(gate="command", word=Word.HOLD, reason="busy\nwith\x1b[31m red")


def state_of(*answers: tuple[float, GateAnswer], ended_at: float | None = 500) -> RunState:
    state = RunState()
    for at, answer in answers:
        state.fold(Entry(at, GateAnswered(answer=answer)))
    if ended_at is not None:
        state.fold(Entry(ended_at, RunEnded(result="ok")))
    return state


def test_a_span_lasts_as_long_as_the_word() -> None:
    """Another reason for the same word is the same span with its last reason; other gates do not end it."""
    later = GateAnswer(gate="window", word=Word.HOLD, reason="the window closes soon")
    spans = spans_of(state_of((100, HOLD), (110, OTHER), (130, later), (200, GO)))
    assert [(span.gate, span.word, span.started_at, span.ended_at) for span in spans] == [
        ("window", Word.HOLD, 100, 200),
        ("command", Word.HOLD, 110, 500),
        ("window", Word.GO, 200, 500),
    ]
    assert spans[0].reason == "the window closes soon"
    assert spans[1].reason == "busy with\\x1b[31m red"


@pytest.mark.parametrize(
    ("answers", "ended_at", "said"),
    [
        ([(0, GO)], 500, []),
        ([(0, HOLD), (90, GO)], 500, ["Gate window said hold for 90 s: no window is open."]),
        (
            [(0, HOLD), (30, GO), (60, HOLD), (90, GO)],
            500,
            ["Gate window said hold for 60 s: no window is open."],
        ),
        ([(0, HOLD)], None, ["Gate window says hold: no window is open."]),
        (
            [(0, HOLD), (90, OVERRULED)],
            500,
            [
                "Gate window said hold for 90 s: no window is open.",
                "Gate window did not count any more: the deadline overrules it.",
            ],
        ),
    ],
)
def test_only_what_held_or_was_overruled_is_told(
    answers: list[tuple[float, GateAnswer]], ended_at: float | None, said: list[str]
) -> None:
    """One sentence for each gate that held, with its time in all, and one for a window that the deadline overruled."""
    assert sentences(spans_of(state_of(*answers, ended_at=ended_at))) == said


@pytest.mark.parametrize("form", ["table", "html", "markdown"])
def test_every_form_for_a_person_tells_what_the_gates_said(form: str) -> None:
    """What held a run back stands in the text, on the page and in the ticket."""
    state, _, _ = roll(fleet_of(1))
    for at, answer in ((state.started_at, HOLD), (state.started_at + 90, OVERRULED)):
        state.fold(Entry(at, GateAnswered(answer=answer)))
    text = " ".join(render_report(state, form, ExitCode.OK).split())
    assert "Gate window said hold for 90 s: no window is open." in text
    assert "Gate window did not count any more: the deadline overrules it." in text
