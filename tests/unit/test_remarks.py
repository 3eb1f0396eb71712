"""What apply and restore remark, where all is as wanted otherwise."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.events import Entry, Reported
from orchestrator.core.readiness import REMARKS
from orchestrator.core.state import RunState, replay
from orchestrator.errors import ExitCode
from orchestrator.report.advice import advise
from orchestrator.report.following import Follower
from orchestrator.report.notices import Origin, ended
from orchestrator.report.problem_lines import ProblemLines
from orchestrator.report.remarks import CHANGE_REMARKS, remarks
from orchestrator.report.render import render_report
from orchestrator.report.rows import build
from orchestrator.report.wording import worded
from tests.fake_fleet import fleet_of, roll

SOURCES = Path(__file__).parents[2] / "documents" / "src"
NAME = "old_login_not_proven"
MEANING = CHANGE_REMARKS[NAME].meaning


def restored(*warnings: str) -> tuple[RunState, list[Entry]]:
    """Take a run of five back; three of them warn of something."""
    hosts = fleet_of(5)
    roll(hosts)
    _, _, journal = roll(hosts, fence=2, run="run-2", restores="run-1")
    entries = []
    for entry in journal.entries:
        event = entry.event
        if isinstance(event, Reported) and event.key < hosts[3].instance_id:
            event = Reported(key=event.key, report=replace(event.report, warnings=warnings))
        entries.append(Entry(entry.at, event))
    return replay(entries), entries


def flat(text: str) -> str:
    return " ".join(text.split())


def test_whatever_apply_and_restore_remark_has_its_words() -> None:
    """Every remark in the sources of the documents says what it means and what to do."""
    sources = "".join((SOURCES / name).read_text() for name in ("apply.sh", "restore.sh", "takeback.sh", "restart.sh"))
    (passed_on,) = re.findall(r"(?m)^ +([a-z_| ]+)\) warn \"\$prove_reason\"", sources)
    found = {*re.findall(r"warn ([a-z_]+)", sources), *passed_on.split(" | ")}
    assert found - set(REMARKS) == set(CHANGE_REMARKS)
    assert not CHANGE_REMARKS.keys() & REMARKS.keys()


@pytest.mark.parametrize("form", ["table", "html", "markdown"])
def test_a_restore_to_a_login_that_nobody_proved_says_so(form: str) -> None:
    """It ends ok, and the report tells of whom it is remarked, what it means and what to do."""
    state, _ = restored(NAME, "config_world_readable")
    text = flat(render_report(state, form, ExitCode.OK)).replace("\\", "")
    assert f"{NAME}: i-00000000000000000, i-00000000000000001, i-00000000000000002. {MEANING}" in text
    assert form == "markdown" or CHANGE_REMARKS[NAME].remedy in text
    assert "Nothing to do" not in text
    assert "Nothing to do" in render_report(restored()[0], "html", ExitCode.OK)
    assert advise(build(state, exit_code=0)).command == ()


def test_a_run_under_way_says_it_once() -> None:
    """The first instance is named with the meaning; the others are for the report."""
    said: list[str] = []
    Follower((ProblemLines(said.append),)).saw(restored(NAME)[1])
    text = "\n".join(said)
    assert text.count(NAME) == text.count("\n       do: ") == 1
    assert MEANING in flat(text)
    assert max(map(len, text.splitlines())) <= 80


def test_a_notice_says_it() -> None:
    """Who is told that the restore ended ok is told that, too."""
    assert MEANING in ended(restored(NAME)[0], Origin(cluster="c", region="r")).text
    assert MEANING not in ended(restored()[0], Origin(cluster="c", region="r")).text


def test_why_says_it_in_a_sentence() -> None:
    """No bare name stands among sentences."""
    assert worded("warnings", NAME) == f"remarks: {MEANING}"


def test_what_is_told_of_a_change_taken_back_is_not_told_twice() -> None:
    """Where a change was taken back after a failure, the line on how the instance stood afterwards has it."""
    state, _, _ = roll(fleet_of(1, behaviour="rolled_back"))
    (progress,) = state.instances.values()
    assert progress.report is not None
    progress.report = replace(progress.report, warnings=("tasks_lost",))
    assert remarks(build(state, exit_code=1)) == ()
    assert "its running tasks" in render_report(state, "table", ExitCode.NOT_ALL_UPDATED)
