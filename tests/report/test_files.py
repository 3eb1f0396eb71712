"""`report RUN --out FILE`: a report in a file, from the journal alone."""

import json
import stat
from pathlib import Path

import pytest

from orchestrator.cli import reporting, store
from orchestrator.cli.main import invoke
from orchestrator.core.state import replay
from orchestrator.errors import ExitCode
from orchestrator.journal.place import JournalPlace
from orchestrator.report.after import NOTHING
from tests.fake_fleet import fleet_of, roll
from tests.report.reports import LENIENT, trouble


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with one run in it, run-1."""
    _, _, made = roll([*fleet_of(2), *trouble()], LENIENT)
    path = tmp_path / "state" / "journal.db"
    with store.opened(JournalPlace(path=path)) as opened:
        opened.append("run-1", 1, made.entries)
    return path


def report(journal: Path, *more: str) -> int:
    return invoke(["report", "run-1", "--journal", str(journal), *more])


@pytest.mark.parametrize("name", ["report.docx", "report"])
def test_a_suffix_that_tells_no_form_is_refused(name: str, journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file with another content than its name promises: the suffixes that are known are named."""
    assert report(journal, "--out", str(journal.parent / name)) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert f"{name} tells no form of a report." in first
    assert ".html, .json, .csv, .md, .xml, .txt" in second
    assert not (journal.parent / name).exists()


@pytest.mark.parametrize(
    ("name", "flags", "begins"),
    [
        ("r.json", (), '{\n  "schema": 1'),
        ("r.XML", (), "<?xml"),
        ("r.csv", (), "instance_id,"),
        ("r.md", (), "**c**"),
        ("r.txt", (), "failed("),
        ("r.docx", ("--output", "junit"), "<?xml"),
        ("r.json", ("--output", "csv"), "instance_id,"),
    ],
)
def test_a_report_is_written_for_its_owner_alone(
    name: str, flags: tuple[str, ...], begins: str, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file has mode 0600 and the form of --output, or of its own suffix; stdout shows the table."""
    assert report(journal) == 0
    table = capsys.readouterr().out
    path = journal.parent.parent / name
    path.write_text("an older report")
    path.chmod(0o644)
    assert report(journal, "--out", str(path), *flags) == 0
    assert path.read_text().startswith(begins)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    captured = capsys.readouterr()
    assert captured.out == table
    assert f"The report is written to {path}." in " ".join(captured.err.split())
    assert [each.name for each in path.parent.iterdir() if each.name != "state"] == [name]


def test_a_place_that_cannot_be_is_refused_first(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory, or one that is not there, is a usage error, before anything is printed."""
    for place in (journal.parent, journal.parent / "nowhere" / "r.json"):
        assert report(journal, "--out", str(place)) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "hint: " in captured.err


def test_a_file_that_cannot_be_written_does_not_change_what_became_of_the_fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that has ended prints its table and says how to get the file; only `report` itself fails (4)."""
    _, _, made = roll(fleet_of(2))
    store = ("--state", "dynamodb:rollouts")
    wish = reporting.Wanted(form="json", out=tmp_path / "gone" / "r.json", store=store)
    reporting.conclude(wish, replay(made.entries), ExitCode.OK, NOTHING)
    captured = capsys.readouterr()
    assert "2 of 2 instances run the credential" in captured.out
    assert "`ecs-rollout report run-1 --out FILE --state dynamodb:rollouts`" in captured.err
    assert not list(tmp_path.iterdir())


def test_what_is_piped_is_the_form_alone(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --out, stdout is the report and nothing else."""
    assert report(journal, "--output", "json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["run"]["id"] == "run-1"
    assert captured.err == ""
