"""What is told of an instance whose change was taken back: how it stood afterwards, as far as it was seen."""

import json
import re
from dataclasses import replace

import pytest

from orchestrator.core.model import AgentState
from orchestrator.core.result import Claim
from orchestrator.core.state import RunState
from orchestrator.errors import ExitCode
from orchestrator.report.afterwards import afterwards
from orchestrator.report.following import Follower
from orchestrator.report.problem_lines import ProblemLines
from orchestrator.report.render import render_report
from orchestrator.report.story import story, story_text
from tests.fake_fleet import Host, MemoryJournal, roll

NAME = "i-00000000000000001"
BACK = "the old state was put back and the agent answered with it"


def ended(behaviour: str, *, persistence: str = "persistent") -> tuple[RunState, MemoryJournal]:
    state, _, journal = roll([Host(NAME, behaviour=behaviour, persistence=persistence)])
    return state, journal


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ("rolled_back", BACK),
        ("lost_restored", BACK),
        ("lost_armed", "the old state was put back, the agent answered with it and ECS saw it connected"),
        ("updated", ""),
        ("failed", ""),
        ("refused", ""),
    ],
)
def test_no_more_is_told_than_was_seen(behaviour: str, told: str) -> None:
    """ECS is named only where it was asked; who was not taken back has no such line."""
    assert afterwards(ended(behaviour)[0].instances[NAME]) == told


def test_what_was_not_seen_is_not_told() -> None:
    """A watchdog's word without an agent that answers says so; a restore that came too late proves no answer itself."""
    (looked,) = ended("lost_restored")[0].instances.values()
    assert looked.seen is not None
    looked.seen = replace(looked.seen, agent=AgentState.DOWN)
    assert afterwards(looked) == "the old state was put back; the agent did not answer when it was looked at"
    (mended,) = ended("lost_armed")[0].instances.values()
    assert mended.report is not None
    mended.report = replace(mended.report, claim=Claim.CURRENT)
    assert afterwards(mended) == "the old state was put back and ECS saw the agent connected"


@pytest.mark.parametrize("flaw", ["auth_warning", "identity_changed", "tasks_lost"])
def test_an_old_state_that_is_not_well_is_not_called_so(flaw: str) -> None:
    """What apply warns of, once the old state is back, stands beside it; other warnings do not."""
    (progress,) = ended("rolled_back")[0].instances.values()
    assert progress.report is not None
    progress.report = replace(progress.report, warnings=("config_world_readable", flaw))
    assert re.fullmatch(re.escape(BACK) + "; but it[^;]+", afterwards(progress))


def test_a_restore_that_went_well_needs_no_such_line() -> None:
    """`restored` is what was asked for."""
    host = Host(NAME)
    roll([host])
    (progress,) = roll([host], fence=2, run="run-2", restores="run-1")[0].instances.values()
    assert progress.outcome is not None
    assert (progress.outcome.reason, afterwards(progress)) == ("restored", "")


def test_every_report_tells_it() -> None:
    """Table, HTML, JUnit, JSON, `why` and the lines of a run under way say it beside what failed."""
    state, journal = ended("rolled_back")
    line = f"afterwards: {BACK}"
    said: list[str] = []
    Follower((ProblemLines(said.append),)).saw(journal.entries)
    texts = [
        *(render_report(state, form, ExitCode.NOT_ALL_UPDATED) for form in ("table", "html", "junit")),
        story_text(story(journal.entries, NAME)),
        "\n".join(said),
    ]
    assert [line in " ".join(text.lower().split()) for text in texts] == [True] * 5
    (told,) = json.loads(render_report(state, "json", ExitCode.NOT_ALL_UPDATED))["instances"]
    assert told["afterwards"] == BACK


def test_why_tells_that_a_change_was_made_and_taken_back() -> None:
    """The document says how it left the instance; a person reads what was done there."""
    assert "changed anything: yes, and taken back" in story_text(story(ended("rolled_back")[1].entries, NAME))
    assert "changed anything: no" in story_text(story(ended("refused")[1].entries, NAME))
