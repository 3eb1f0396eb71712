"""The result line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.model import Facts
from orchestrator.core.reasons import Reason
from orchestrator.core.result import LIMIT, Claim, Op, parse_facts, parse_report

GOOD = {"v": 1, "op": "apply", "outcome": "updated", "reason": "verified", "changed": True, "arn": "arn:x", "tasks": 3}


def line(**changes: object) -> str:
    return json.dumps(GOOD | changes) + "\nsecond line\n"


def test_a_good_line_is_read() -> None:
    """Claim, reason and evidence come out of the first line."""
    report = parse_report(line(restart_ms=1200, warnings=["commented_auth"]), Op.APPLY)
    assert report is not None
    assert (report.claim, report.reason, report.tasks_after) == (Claim.UPDATED, Reason.VERIFIED, 3)
    assert (report.restart_ms, report.warnings) == (1200, ("commented_auth",))


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "\n" + line(),
        "garbage",
        "null",
        "[]",
        line()[: len(line()) // 3],
        line(v=2),
        line(op="restore"),
        line(outcome="splendid"),
        line(outcome="inspected"),
        line(reason="because"),
        line(evidence={"nested": 1}),
        line(evidence=[1]),
        line(evidence=None),
        line(detail="ü").replace("\\u00fc", "ü"),
        line(detail="x" * LIMIT),
        "warning: something\n" + line(),
    ],
)
def test_what_is_not_exactly_a_result_line_is_no_result(stdout: str) -> None:
    """Nothing is guessed from a line that is cut, nested, not ASCII, too long or of another document."""
    assert parse_report(stdout, Op.APPLY) is None


@given(st.text())
def test_no_text_breaks_the_parser(stdout: str) -> None:
    """Whatever an instance prints, parsing it raises nothing."""
    assert parse_report(stdout, Op.APPLY) is None or stdout.startswith("{")
    assert isinstance(parse_facts(stdout), Facts | Reason)


def test_evidence_of_the_wrong_type_is_not_believed() -> None:
    """A number where a text belongs reads as unknown."""
    report = parse_report(line(arn=5, tasks="many", restart_ms=True), Op.APPLY)
    assert report is not None
    assert (report.arn, report.tasks_after, report.restart_ms) == ("", -1, -1)


def test_an_inspection_that_failed_gives_its_reason() -> None:
    """inspect's own failure is a reason, not facts."""
    stdout = line(op="inspect", outcome="failed", reason="tool_missing")
    assert parse_facts(stdout) is Reason.TOOL_MISSING


def test_an_unknown_armed_state_reads_as_living() -> None:
    """What cannot be understood about a watchdog counts as one that lives: nothing is touched then."""
    facts = parse_facts(line(op="inspect", outcome="inspected", armed="perhaps"))
    assert isinstance(facts, Facts)
    assert facts.armed == "living"
