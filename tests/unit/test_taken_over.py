"""A run that broke off and whose cluster a later run has since: every command that reads the journal says so."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from msgspec import structs

from orchestrator.cli.main import invoke
from orchestrator.core.events import Entry, GateAnswered, RunStarted
from orchestrator.core.gates import GateAnswer
from orchestrator.core.settings import Word
from orchestrator.journal.codec import dump, load
from orchestrator.journal.head import Head, Summary, extended, taken_over_by
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.report.json_report import report_schema
from tests.journal_runs import troubled_run

DEAD, NEWER = "20261127-010000-aaaaaaaa", "20261127-020000-bbbbbbbb"
LOST = "i-00000000000000002"
Said = Callable[..., str]


def named(run: str, entries: list[Entry], *, later: float = 0, **started: object) -> list[Entry]:
    """The same entries as a run of another name, begun so many seconds later."""
    first = entries[0].event
    assert isinstance(first, RunStarted)
    renamed = structs.replace(first, run=run, **started)
    return [structs.replace(each, at=each.at + later) for each in (Entry(entries[0].at, renamed), *entries[1:])]


def broken(entries: list[Entry]) -> list[Entry]:
    """As far as the journal goes when the controller dies while LOST is at work."""
    sent = next(number for number, each in enumerate(entries) if LOST in getattr(each.event, "keys", ()))
    return named(DEAD, entries[: sent + 1])


def head(entries: list[Entry]) -> Head:
    first = entries[0].event
    assert isinstance(first, RunStarted)
    return extended(Head(run=first.run), 1, entries)


@pytest.fixture(scope="module")
def whole() -> list[Entry]:
    return troubled_run()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: list[Entry]) -> Path:
    """A journal in which a run broke off, and another has gone through the same cluster since."""
    monkeypatch.chdir(tmp_path)
    path = Path("j.db")
    journal = SqliteJournal(path)
    journal.append(DEAD, 1, broken(whole))
    journal.append(NEWER, 2, named(NEWER, whole, later=3600))
    journal.close()
    return path


@pytest.fixture
def said(path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """What a command prints, stderr behind stdout, in one line; its exit code must be as given."""

    def say(*words: str, code: int = 0) -> str:
        capsys.readouterr()
        assert invoke((*words, "--journal", str(path))) == code
        captured = capsys.readouterr()
        return " ".join(f"{captured.out}\n{captured.err}".split())

    return say


LOOKS = (
    f"ecs-rollout report {NEWER} --journal j.db",
    "ecs-rollout heal --cluster c --region us-east-1 --dry-run",
)
"""What shows what became of the cluster, and what the dead run has left."""


def test_the_first_later_run_of_the_cluster_took_it_over(whole: list[Entry]) -> None:
    """Only a later run counts, of the cluster of that name in this Region and account; of several it is the first."""
    dead = head(broken(whole))
    later, last, before = (head(named(run, whole, later=at)) for run, at in (("b", 60), ("c", 90), ("a", -60)))
    namesake = head(named("d", whole, later=30, cluster="d"))
    first = whole[0].event
    assert isinstance(first, RunStarted)
    place = first.planned[0].instance.arn
    abroad = tuple(
        head(named("e", whole, later=30, planned=(replace(first.planned[0], instance=moved),)))
        for moved in (
            replace(first.planned[0].instance, arn=place.replace(*names))
            for names in (("us-east-1", "us-east-2"), ("123456789012", "210987654321"))
        )
    )
    assert taken_over_by(dead, (last, later, *abroad, namesake, dead, before)) == "b"
    assert taken_over_by(dead, (*abroad, namesake, dead, before)) == ""
    assert taken_over_by(head(named("f", whole)), (last, later)) == ""  # it has ended


def test_a_head_of_an_earlier_version_names_nobody(whole: list[Entry]) -> None:
    """It does not tell where its cluster is: nothing is claimed of a run that may be alive in another Region."""
    old = json.loads(dump(head(broken(whole)).summary))
    del old["place"]
    summary = load(json.dumps(old).encode(), Summary)
    later = replace(head(named("b", whole, later=60)), summary=replace(summary, started_at=2e9))
    assert taken_over_by(Head(run=DEAD, summary=summary), (later,)) == ""


def test_runs_says_who_took_over(said: Said) -> None:
    """A run that cannot be resumed any more is not listed as one that may be under way."""
    out = said("runs")
    assert re.search(rf"{DEAD} c taken over ", out)
    assert f"{DEAD}: taken over by {NEWER}" in out
    assert "not ended" not in out


def test_status_says_who_took_over(said: Said) -> None:
    """Nobody is at work, nothing is waited for, and the commands named are those that work."""
    out = said("status", DEAD)
    assert out.startswith(f"Run {DEAD} on cluster c (us-east-1): taken over by {NEWER} ")
    assert "broke off in wave 2 of 3; 1 at work, " in out
    assert f"WAS AT WORK PHASE {LOST} applying" in out
    assert all(f"`{look}`" in out for look in LOOKS)
    assert "resume" not in out
    found = json.loads(said("status", DEAD, "--output", "json"))
    assert (found["run"]["taken_over_by"], found["waits_for"]) == (NEWER, [])
    assert json.loads(said("status", NEWER, "--output", "json"))["run"]["taken_over_by"] == ""


def test_status_of_a_run_that_waited_for_approval_waits_no_more(path: Path, said: Said) -> None:
    """What a gate said last holds nobody up any more."""
    journal = SqliteJournal(path)
    held = GateAnswered(answer=GateAnswer(gate="window", word=Word.HOLD, reason="no window is open"))
    journal.append(DEAD, 1, [Entry(1_000_100.0, held)])
    journal.close()
    assert "no window is open" not in said("status", DEAD)


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "junit", "html"])
def test_every_form_of_the_report_says_who_took_over(said: Said, form: str) -> None:
    """Each form for people and pipelines names the later run, or at least why each instance has no end."""
    out = unescape(said("report", DEAD, "--output", form))
    assert "taken_over" in out
    assert not re.search(r"\bresume\b", out)
    if form != "csv":
        assert NEWER in out
    if form == "table":
        assert f"Run {DEAD} on cluster c: taken over by {NEWER}." in out
        assert all(look in out.replace("\\ ", "") for look in LOOKS)
    if form == "json":
        found = json.loads(out)
        Draft202012Validator(report_schema()).validate(found)
        assert found["run"]["taken_over_by"] == NEWER
        ends = {each["outcome"] for each in found["instances"] if each["reason"] == "taken_over"}
        assert ends == {"not_attempted", "unverified"}


def test_why_says_who_took_over(said: Said) -> None:
    """An instance without an outcome never gets one from that run."""
    assert said("why", DEAD, LOST).startswith(
        f"{LOST} in the run {DEAD} on cluster c: no outcome, taken over by {NEWER} "
    )
    assert json.loads(said("why", DEAD, LOST, "--output", "json"))["taken_over_by"] == NEWER


@pytest.mark.parametrize("command", ["abort", "approve"])
def test_nothing_is_asked_of_a_run_that_was_taken_over(path: Path, said: Said, command: str) -> None:
    """Nobody would ever hear it: that is said, with what helps, and nothing is written."""
    out = said(command, DEAD, code=2)
    assert f"error: The run {DEAD} was taken over by {NEWER}: there is nothing to {command}." in out
    assert all(f"`{look}`" in out for look in LOOKS)
    journal = SqliteJournal(path, read_only=True)
    assert journal.asked(DEAD) == ()
    journal.close()
