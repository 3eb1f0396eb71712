"""Every reason is explained, once, for all who show it; and none is kept that nothing gives."""

import re
from functools import cache
from pathlib import Path

import pytest

from orchestrator.core.events import Entry
from orchestrator.core.model import Outcome, OutcomeKind
from orchestrator.core.notices import Moment
from orchestrator.core.reasons import EXPLANATIONS, Explanation, Reason
from orchestrator.core.state import RunState, replay
from orchestrator.errors import ExitCode
from orchestrator.report import notices, rows
from orchestrator.report.render import render_report
from orchestrator.report.troubles import troubles
from tests.fake_fleet import Host, roll
from tests.readme import README, blocks

ROOT = Path(__file__).parents[2]
SENTENCE = re.compile(r"[A-Z`][^\n]*\.")
ANOTHER = re.compile(r"[.!?] [A-Z]")


def unlike(explanation: Explanation | None) -> str:
    """Say what is wrong with an explanation: each of its parts is one sentence, and short enough for two lines."""
    if explanation is None:
        return "has no sentences in EXPLANATIONS"
    for text in (explanation.meaning, explanation.remedy):
        if not SENTENCE.fullmatch(text) or ANOTHER.search(text):
            return f"is not explained by one sentence: {text!r}"
        if len(text) > 150:
            return f"takes too many words: {text!r}"
    return ""


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    """A reason without both of its sentences is no reason."""
    assert not unlike(EXPLANATIONS.get(reason)), f"{reason} {unlike(EXPLANATIONS.get(reason))}"


@pytest.mark.parametrize(
    "broken",
    [
        None,
        Explanation("", "Run again."),
        Explanation("it broke", "Run again."),
        Explanation("It broke.", "Wait. Then run again."),
    ],
)
def test_what_is_missing_is_noticed(broken: Explanation | None) -> None:
    """The check above finds a reason without sentences, and what is less or more than one."""
    assert unlike(broken)


def given_by_code() -> set[str]:
    """Name the reasons that the controller's code or the documents' sources give."""
    python = (path for path in (ROOT / "orchestrator").rglob("*.py") if path.name != "reasons.py")
    named = {name for path in python for name in re.findall(r"\bReason\.([A-Z_]+)\b", path.read_text("utf-8"))}
    words = {
        word for path in (ROOT / "documents/src").glob("*.sh") for word in re.findall(r"\w+", path.read_text("utf-8"))
    }
    return {reason.value for reason in Reason if reason.name in named or reason.value in words}


def test_no_reason_is_kept_that_nothing_gives() -> None:
    """Each reason is named by the controller's code or by a document."""
    assert {reason.value for reason in Reason} - given_by_code() == set()


def test_the_readme_answers_for_every_reason() -> None:
    """'Why was my instance skipped?' has a line for each reason, with the same sentences."""
    text = README.read_text(encoding="utf-8")
    assert blocks()["reasons"] in text
    for reason in Reason:
        line = next(line for line in text.splitlines() if line.startswith(f"| `{reason}` "))
        assert EXPLANATIONS[reason].meaning in line
        assert EXPLANATIONS[reason].remedy in line


@cache
def entries() -> tuple[Entry, ...]:
    """Roll a large fleet, once."""
    _, _, journal = roll([Host(f"i-{number:017x}") for number in range(80)])
    return tuple(journal.entries)


OPEN = {Reason.NOT_YET, Reason.UNDER_WAY}
"""What is said of an instance that has no end yet: no trouble so far."""


def ended_with(reason: Reason) -> RunState:
    """Give the run with its last instance failed for this reason."""
    state = replay(entries())
    last = list(state.instances.values())[-1]
    last.outcome = Outcome(OutcomeKind.FAILED, reason)
    return state


@pytest.mark.parametrize(
    "reason",
    [each for each in Reason if not Outcome(OutcomeKind.FAILED, each).as_wanted and each not in OPEN],
)
def test_everybody_tells_the_same(reason: Reason) -> None:
    """Table, notice and rows take both sentences from the one place; the table does it on the first screen."""
    state, explained = ended_with(reason), EXPLANATIONS[reason]
    table = render_report(state, "table", ExitCode.NOT_ALL_UPDATED).splitlines()
    first_screen = " ".join(line.strip() for line in table[:24])
    assert max(map(len, table)) <= 80
    assert f"failed({reason}): i-0000000000000004f" in first_screen
    assert explained.meaning in first_screen
    assert f"do: {explained.remedy}" in first_screen
    (trouble,) = troubles(rows.build(state, exit_code=1))
    assert trouble.explained is explained
    notice = notices.ended(state, notices.Origin(cluster="c", region="eu-central-1"))
    assert notice.moment is Moment.ENDED
    assert explained.meaning in notice.text
    assert explained.remedy in notice.text


def test_what_has_no_end_yet_is_no_trouble() -> None:
    """It stands in the table, and asks nobody for anything."""
    for reason in OPEN:
        assert troubles(rows.build(ended_with(reason), exit_code=1)) == ()
