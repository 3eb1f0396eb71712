"""Manners that every command has: help with examples, -q, -v, --debug, completion, pages that are true."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from orchestrator.cli import manners, speech
from orchestrator.cli.main import COMMANDS, invoke
from orchestrator.errors import ExitCode, RefusedError
from tests.commands import MAN, PAGE, Page, man_text, page_text, pages

PAGES = list(pages())
SECRET = "hunter2-never-print-me"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_each_help_has_an_example_and_fits(page: Page) -> None:
    """--help of each command shows how it is called, and no line of it is wider than a terminal."""
    lines = page.help.splitlines()
    shown = any(line.startswith(f"    {page.path} ") or line == f"    {page.path}" for line in lines)
    assert shown or page.is_group, page.help
    assert max(map(len, lines)) <= 80
    for flag in ("-q, --quiet", "-v, --verbose", "--debug"):
        assert any(line.startswith(f"  {flag} ") for line in lines)


def test_the_pages_are_true() -> None:
    """docs/commands.md and the manual page say what --help says, of every command."""
    assert PAGE.read_text(encoding="utf-8") == page_text(), "run `make readme`"
    assert MAN.read_text(encoding="utf-8") == man_text(), "run `make readme`"
    assert {page.path.split()[1] for page in PAGES[1:]} == set(COMMANDS)


HEAVY = (
    *("boto3", "botocore", "rich", "jinja2", "pydantic", "moto", "aiohttp", "msgspec", "sqlite3", "tabulate", "yaml"),
    *("urllib3", "orchestrator.core.events", "orchestrator.core.state", "orchestrator.report.text"),
    *("orchestrator.core.model", "orchestrator.core.gates", "orchestrator.core.selection", "orchestrator.core.source"),
)
"""What takes long to import: packages of others, and modules of ours with many values or what these bring."""


def imported(program: str, **environment: str) -> list[str]:
    """Run a program in a Python of its own; give those of the heavy modules that it imports."""
    check = (
        f"{program}\n"
        "found = set(sys.modules) | {name.partition('.')[0] for name in sys.modules}\n"
        f"print('imported:', *sorted(found & set({HEAVY!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{check}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.splitlines()[-1].split()[1:]


def test_no_help_needs_what_is_slow_to_import() -> None:
    """--help of all commands together imports nothing that only running one needs: no clock is asked to know it."""
    calls = [[*page.path.split()[1:], "--help"] for page in PAGES if page.path != "ecs-rollout config show"]
    program = f"from orchestrator.cli.main import invoke\nfor each in {calls!r}: assert invoke(each) == 0"
    assert imported(program) == []


def test_completion_needs_what_is_slow_to_import_neither() -> None:
    """Completing a command, a flag and a flag's value loads no AWS, no report, no lab."""
    for words in ("ecs-rollout ", "ecs-rollout run --", "ecs-rollout report --output "):
        program = "from orchestrator.cli.main import invoke\ntry: invoke([])\nexcept SystemExit: pass"
        found = imported(
            program, _ECS_ROLLOUT_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1)
        )
        assert found == []


def test_what_is_not_live_needs_no_rich() -> None:
    """Without a terminal that can show it, nothing of a run loads rich."""
    assert "rich" not in imported("import orchestrator.cli.telling, orchestrator.cli.rolling, orchestrator.cli.compose")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect whose exceptions, causes and locals hold a secret."""

    def replay(_entries: object) -> None:
        password = SECRET
        try:
            dig(password)
        except RefusedError as ours:
            raise ValueError(f"cannot use {password}") from ours

    def dig(password: str) -> None:
        try:
            os.environ[password]
        except KeyError as error:
            error.add_note(password)
            raise RefusedError("Ours to tell.", hint="") from error

    monkeypatch.setattr("orchestrator.core.state.replay", replay)
    monkeypatch.setattr("orchestrator.journal.sqlite.SqliteJournal.entries", lambda *_: ())
    monkeypatch.setattr("orchestrator.journal.sqlite.SqliteJournal.__init__", lambda *_, **__: None)
    monkeypatch.setattr("orchestrator.journal.sqlite.SqliteJournal.close", lambda _: None)


@pytest.mark.usefixtures("broken")
def test_a_defect_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --debug there is no traceback; it is said that this is a defect, of which kind, where, and what to do."""
    assert invoke(["report", "some-run"]) == ExitCode.DEFECT
    error, hint = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"error: A defect of ecs-rollout: ValueError at \w+\.py:\d+ in \w+\.", error)
    assert hint.startswith("hint: Report it")
    assert "--debug" in hint


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("words", [["--debug", "report", "some-run"], ["report", "--debug", "some-run"]])
def test_a_traceback_holds_no_secret(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug every place and every type is told, and of texts only those of our own errors."""
    assert invoke(words) == ExitCode.DEFECT
    err = capsys.readouterr().err
    assert SECRET not in err
    assert "builtins.ValueError: (its text may hold a secret)" in err
    assert "orchestrator.errors.RefusedError: Ours to tell." in err
    assert "builtins.KeyError" in err
    assert re.search(r"  orchestrator/cli/history\.py:\d+ in report", err)
    assert err.splitlines()[-2].startswith("error: ")


def test_an_expected_error_can_be_traced_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    """--debug shows where an error of ours was raised; the two lines still stand at the end."""
    assert invoke(["demo", "--debug", "--scenario", "/nowhere.toml"]) == ExitCode.USAGE
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("orchestrator.errors.UsageError: ")
    assert any(line.startswith("  orchestrator/cli/lab.py:") for line in lines)
    assert lines[-1].startswith("hint: ")


@pytest.mark.parametrize("words", [["-q", "runs", "-v"], ["-v", "-q", "runs"], ["runs", "-qv"]])
def test_quiet_and_verbose_contradict(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Both together are no wish, wherever they stand."""
    assert invoke(words) == ExitCode.USAGE
    assert "contradict" in capsys.readouterr().err


def test_manners_end_with_their_command(capsys: pytest.CaptureFixture[str]) -> None:
    """What was said of one command does not count for the next one in the same process."""
    assert invoke(["-v", "schema", "report"]) == 0
    assert capsys.readouterr().err == "asked of AWS: nothing\n"
    assert invoke(["schema", "report"]) == 0
    assert capsys.readouterr().err == ""


def test_equipping_twice_changes_nothing() -> None:
    """A command has each of the flags once, however often it is loaded."""
    for page in PAGES:
        flags = [flag for flag, _ in page.options]
        assert len(flags) == len(set(flags))
    assert {"quiet", "verbose", "debug"} == manners.NAMES


def ours(*words: str) -> str:
    return f"{sys.executable} -m orchestrator.cli.main {' '.join(words)}"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`| head` ends a result early, and says nothing about it; the command keeps its own exit code."""
    done = shell(f"{ours('schema', 'report')} | head -c 2; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("{\n0\n", "")
    done = shell(f"{ours('--help')} | true")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told() -> None:
    """A result that cannot be written is an error, not a success."""
    done = shell(f"{ours('schema', 'report')} >/dev/full")
    assert done.returncode == ExitCode.ENVIRONMENT
    assert done.stderr.startswith("error: The result cannot be written: ")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "2>&- <&-"])
def test_closed_streams_change_nothing(closed: str) -> None:
    """Without stderr or stdin a result is the same, and no file takes the closed one's number."""
    done = shell(f"{ours('schema', 'report')} {closed}")
    assert done.returncode == 0
    assert json.loads(done.stdout)
    assert shell(f"{ours('report', 'no-such-run')} {closed}").returncode == ExitCode.USAGE
    assert shell(f"{ours('schema', 'report')} >&-").returncode == 0


def test_what_is_said_after_ctrl_c_at_a_question_has_its_own_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal has written ^C beside the question; a plain answer leaves no empty line."""

    def left(_question: str, **_options: object) -> bool:
        raise click.Abort

    monkeypatch.setattr(click, "confirm", left)
    with pytest.raises(click.Abort):
        speech.confirms("Roll?")
    assert capsys.readouterr() == ("", "\n")
    monkeypatch.setattr(click, "confirm", lambda _question, **_options: True)
    assert speech.confirms("Roll?")
    assert capsys.readouterr() == ("", "")
