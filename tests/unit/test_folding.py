"""Long lines on a terminal: folded at blanks, but for the commands in them."""

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.cli.folding import folded

WARNING = (
    "warning: the credential is delivered under the account's default key: while the run lasts, every instance whose "
    "role has AmazonSSMManagedInstanceCore could read it; --kms-key names a key of your own"
)


@pytest.mark.parametrize("width", [40, 80])
def test_a_long_line_is_folded_at_blanks(width: int) -> None:
    """No line is wider than the terminal, what goes on is indented, and no word is lost or parted."""
    lines = folded(WARNING, width).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line.startswith("  ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == WARNING


def test_a_command_stays_in_one_piece() -> None:
    """What is to be copied holds no line break, also where it is longer than the line."""
    command = "`ecs-rollout resume 20261126-220832-50cf90c4 --take-over --region eu-central-1 --journal /srv/run.db`"
    lines = folded(f"hint: {command} sees that through and ends the run.", 80).splitlines()
    assert lines == ["hint:", f"  {command}", "  sees that through and ends the run."]


def test_a_line_of_progress_goes_on_below_its_text() -> None:
    """A line that begins with its time, and lines that have been laid out already, keep their columns."""
    assert folded("00:04  applying    i-1, i-2 and 3 more", 30).splitlines()[1] == "       and 3 more"
    table = "INSTANCE             ZONE  OUTCOME\ni-00000000000000001  a     updated\n  ecs-rollout run --cluster c \\"
    assert folded(table, 20) == table


def said(command: list[str], *, terminal: bool) -> str:
    """Run a command with stderr at a terminal of 80 columns, or at none; give what it says there."""
    if not terminal:
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs):
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # EIO: the other end is closed
            while chunk := os.read(ours, 65536):
                seen += chunk
    os.close(ours)
    return seen.decode().replace("\r\n", "\n")


def test_only_a_terminal_gets_folded_lines(tmp_path: Path) -> None:
    """In a file or a pipeline's log an error is one line and a hint one more, to be searched."""
    command = [sys.executable, "-m", "orchestrator.cli.main", "abort", "no-run", "--journal", str(tmp_path / "j.db")]
    error, hint = said(command, terminal=False).splitlines()
    assert len(hint) > 80
    lines = said(command, terminal=True).splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(line.strip() for line in lines) == f"{error} {hint}"
