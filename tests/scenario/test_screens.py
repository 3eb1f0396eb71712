"""What an operator sees on a real terminal (tmux): at 80 and 200 columns, through a resize and a Ctrl-C."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import pytest

from orchestrator.lab.scenario import AfterRestart
from orchestrator.report.live_frame import CTRL_C, STOPPING
from tests.scenario.conftest import QUICK, Workplace, fleet
from tests.support import tool
from tests.terminal import Terminal, terminal

OURS = (sys.executable, "-m", "orchestrator.cli.main")


@pytest.fixture(autouse=True)
def tmux() -> None:
    tool("tmux", package="tmux")


def rolling(place: Workplace, *more: str) -> tuple[str, ...]:
    """Write the command that rolls the lab's fleet."""
    place.put_secret()
    command = ("run", "--cluster", place.lab.scenario.cluster, "--credential", "secretsmanager:registry")
    return (*OURS, *command, "--allow-removal", *QUICK, *more)


def inspected(screen: str, columns: int) -> str:
    """Check that a screen with a live part is in order: one live part, at the bottom, nothing folded."""
    lines = screen.splitlines()
    assert sum(line.startswith("in flight") for line in lines) <= 1, screen
    assert sum("time left" in line for line in lines) <= 1, screen
    assert sum(line.startswith("Ctrl-C: stop") for line in lines) <= 1, screen
    assert all(len(line) <= columns for line in lines)
    return screen


def moving(screen: str) -> bool:
    """Say whether somebody is at work on the screen."""
    return re.search(r"in flight [1-9]", screen) is not None


def ended(seen: Terminal, code: int) -> str:
    """Wait for the end of the command; give everything that it wrote."""
    seen.wait(lambda screen: "[ended with" in screen)
    everything = seen.everything()
    assert f"[ended with {code}]" in everything, everything
    return everything


@pytest.mark.parametrize("columns", [80, 200])
def test_a_run_with_a_failing_canary(columns: int, workplace: Callable[..., Workplace]) -> None:
    """First the plan and the question, then the live part, then the failure and what to do: on the last screen, too."""
    place = workplace(*fleet(4, after_restart=AfterRestart.STAYS_DOWN))
    with terminal(place.directory, *rolling(place), columns=columns, lines=24) as seen:
        asked = seen.wait(lambda screen: "Roll 4 instances of demo in us-east-1, account 123456789012? [y/N]" in screen)
        assert "in flight" not in asked
        seen.type("y")
        live = inspected(seen.wait(moving), columns)
        assert CTRL_C in live
        assert "time left not known yet" in live
        assert re.search(r"i-\w{17}  [abc]  applying: the document is sent or at work +\d+ s", live)
        everything = ended(seen, 1)
        assert not re.search(r"in flight \d", everything)
        assert everything.count("rolled_back(agent_did_not_return): ") == 2
        assert "HALTED: 1 failed, --max-failures 0 allows 0 of 4" in everything
        assert "0 of 4 instances run the credential" in everything
        last = seen.screen()
        assert "do: Look at /var/log/ecs/ecs-agent.log there before you try again." in last


def test_a_resize_leaves_no_trace(workplace: Callable[..., Workplace]) -> None:
    """Dragged narrower, wider and lower, the terminal shows one live part that fits; the scrollback holds none."""
    place = workplace(*fleet(8))
    with terminal(place.directory, *rolling(place, "--yes"), columns=100, lines=30) as seen:
        seen.wait(moving)
        for columns, lines in ((60, 30), (120, 30), (50, 20), (100, 30)):
            seen.resize(columns, lines)
            seen.wait(lambda screen: moving(screen) or "[ended with" in screen)
            before = seen.screen()
            inspected(seen.wait(lambda screen, before=before: screen != before), columns)  # type: ignore[misc]  # bound early
        everything = ended(seen, 0)
        assert not re.search(r"in flight \d", everything)
        assert CTRL_C not in everything
        assert "8 of 8 instances run the credential" in everything


def test_ctrl_c_is_explained_and_does_what_it_says(workplace: Callable[..., Workplace]) -> None:
    """The first Ctrl-C stops admission, which the live part then says; the report follows, and the exit code is 130."""
    place = workplace(*fleet(6, restart_seconds=(3.0, 4.0)))
    with terminal(place.directory, *rolling(place, "--yes"), columns=80, lines=24) as seen:
        seen.wait(moving)
        seen.keys("C-c")
        seen.wait(lambda screen: STOPPING in screen or "[ended with" in screen)
        everything = ended(seen, 130)
        assert re.search(r"^\d\d:\d\d  stopping: what is in flight is seen through", everything, re.MULTILINE)
        assert "HALTED: stopped by a signal" in everything
        assert "interrupted (exit code 130)" in everything


def test_an_approval_is_typed_into_the_live_part(workplace: Callable[..., Workplace]) -> None:
    """What is typed leaves no trace on the screen; y and Enter approve the wave; the echo is back at the end."""
    place = workplace(*fleet(3))
    with terminal(place.directory, *rolling(place, "--yes", "--approve"), columns=80, lines=24) as seen:
        seen.wait(moving)
        seen.keys("Enter", "Enter", "x", "Enter")
        waiting = inspected(seen.wait(lambda screen: "y or n?" in screen), 80)
        assert "Wave 2 waits for approval. Type y and Enter to go on, n to stop here:" in waiting
        assert "waiting for approval of wave 2: `ecs-rollout approve" in waiting
        seen.type("y")
        everything = ended(seen, 0)
        assert re.search(r"^wave 2 approved by \S+", everything, re.MULTILINE)
        assert not re.search(r"in flight \d", everything)
        assert "3 of 3 instances run the credential" in everything
        seen.type("echoed again")
        seen.wait(lambda screen: screen.count("echoed again") == 2)  # once by the terminal, once by cat


@pytest.mark.parametrize("variable", ["CI", "NO_COLOR", "TERM"])
def test_plain_lines_where_they_are_wanted(variable: str, workplace: Callable[..., Workplace]) -> None:
    """With CI, NO_COLOR or a dumb terminal there is no escape sequence and no live part: a line for each thing."""
    place = workplace(*fleet(2))
    environment = {**os.environ, "TERM": "xterm", variable: "dumb" if variable == "TERM" else "1"}
    code, seen = on_a_pty(rolling(place, "--yes"), environment)
    assert code == 0, seen
    assert "\x1b" not in seen
    assert "in flight" not in seen
    assert re.search(r"00:\d\d  updated     i-\w+  2/2", seen)
    assert "2 of 2 instances run the credential" in seen


def on_a_pty(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command whose output is a terminal; give its exit code and every byte that the terminal got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while chunk := os.read(ours, 65536):
            seen += chunk
    os.close(ours)
    return process.wait(), seen.decode()
