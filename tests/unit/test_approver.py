"""A person at the terminal approves a wave, while the run keeps its heartbeat."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.cli.approver import Approver, made
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import ApprovalAwaited, Entry, WaveOpened
from orchestrator.journal.place import JournalPlace
from orchestrator.journal.sqlite import SqliteJournal
from tests.fake_fleet import VirtualClock, fleet_of, roll

Answer = Callable[[str], tuple[Ask, ...]]


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Let wave 2 wait for approval, type something, and give what the journal holds afterwards."""

    def typed(text: str) -> tuple[Ask, ...]:
        path = tmp_path / "journal.db"
        journal = SqliteJournal(path)
        journal.append("run-1", 1, roll(fleet_of(1))[2].entries[:1])
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        approver = Approver(JournalPlace(path=path), "run-1", VirtualClock())
        approver.saw([Entry(0.0, WaveOpened(wave=1)), Entry(0.0, ApprovalAwaited(wave=2))])
        assert approver.reader is not None
        approver.reader.join(10)
        asked = tuple(journal.asked("run-1"))
        journal.close()
        return asked

    return typed


@pytest.mark.parametrize(
    ("text", "kind", "wave"),
    [
        ("y\n", AskKind.APPROVE, 2),
        ("perhaps\nYES\n", AskKind.APPROVE, 2),
        ("y\ny\n", AskKind.APPROVE, 2),
        ("n\n", AskKind.ABORT, 0),
    ],
)
def test_the_answer_goes_through_the_journal(answer: Answer, text: str, kind: AskKind, wave: int) -> None:
    """Yes approves the wave that waits, no stops the run; anything else is asked again."""
    (ask,) = answer(text)
    assert (ask.kind, ask.wave) == (kind, wave)
    assert ask.by


_JOB = """
import sys
from orchestrator.cli.approver import _line, made
assert len(made(None, "run-1", None)) == 1
print(repr(_line()), file=sys.stderr)
"""
_SHELL = """
import os, subprocess, sys
job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=0, stderr=subprocess.PIPE, process_group=0, text=True)
_, status = os.waitpid(job.pid, os.WUNTRACED)
print("stopped" if os.WIFSTOPPED(status) else job.stderr.read().strip())
job.kill()
"""


def test_a_job_in_the_background_is_not_stopped_by_its_question() -> None:
    """It reads that nobody is there, instead of being stopped with the cluster's lock in its hand."""
    ours, terminal = pty.openpty()
    shell = subprocess.run(
        [sys.executable, "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{_SHELL}", _JOB],
        stdin=terminal, capture_output=True, text=True, check=False, start_new_session=True, timeout=60,
    )  # fmt: skip
    for number in (ours, terminal):
        os.close(number)
    assert shell.stdout == "''\n", shell.stderr


def test_a_terminal_that_has_gone_says_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it fails; that is no defect, and another shell can still approve."""

    def gone() -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("sys.stdin", SimpleNamespace(readline=gone))
    approver = Approver(JournalPlace(path=Path("nowhere")), "run-1", VirtualClock())
    approver.saw([awaited(2)])
    assert approver.reader is not None
    approver.reader.join(10)  # what escapes a thread fails the test: warnings are errors
    assert not approver.reader.is_alive()


def awaited(wave: int) -> Entry:
    return Entry(0.0, ApprovalAwaited(wave=wave))


def test_a_decision_of_the_past_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was resumed shows its whole journal: only what waits now is asked for, by one reader."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    approver = Approver(JournalPlace(), "run-1", VirtualClock())
    past = [awaited(2), Entry(0.0, WaveOpened(wave=2))]
    readers = []
    for entries in (past, [awaited(3)], [Entry(0.0, WaveOpened(wave=3)), awaited(4)]):
        approver.saw(entries)
        readers.append(approver.reader)
    assert readers[0] is None
    assert readers[1] is readers[2] is not None


def test_nobody_at_the_terminal_answers_nothing(answer: Answer) -> None:
    """When the terminal is gone nothing is approved: another shell still can."""
    assert answer("") == ()


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is no person."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert made(JournalPlace(), "run-1", VirtualClock()) == ()
