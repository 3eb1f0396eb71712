"""A command that is left at its question, and one whose terminal closes: the cluster is free, the run is told."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from orchestrator.clock import SystemClock
from orchestrator.core.events import Admitted
from tests.scenario.conftest import Workplace, fleet
from tests.scenario.test_recovery import events_of
from tests.scenario.test_screens import rolling

Start = Callable[..., Workplace]


@dataclass
class Seat:
    """A command that is the leader of a session on a terminal of its own; `screen`: what it wrote so far."""

    process: "subprocess.Popen[bytes]"
    master: int
    screen: str = ""

    def wait(self, words: str) -> None:
        """Read until the terminal shows that."""
        while words not in self.screen:
            self.screen += os.read(self.master, 65536).decode()

    def close(self) -> None:
        """Close the terminal: the kernel tells the leader of its session."""
        os.close(self.master)
        self.master = -1

    def ended(self) -> int:
        """Wait for the end; give the exit code."""
        with suppress(OSError):
            while self.master >= 0 and (chunk := os.read(self.master, 65536)):
                self.screen += chunk.decode()
        return self.process.wait(90)


_HEARING = "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
"""A terminal's programs hear it close, also where the tests themselves run under nohup."""


@contextmanager
def seated(*command: str) -> Iterator[Seat]:
    """Run a command on a terminal of its own; it ends with the block."""
    master, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    leading = (sys.executable, "-c", f"{_HEARING}; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])")
    process = subprocess.Popen((*leading, *command), env=environment | {"TERM": "xterm"}, stdin=theirs)
    os.close(theirs)
    seat = Seat(process, master)
    try:
        yield seat
    finally:
        process.kill()
        process.wait()
        if seat.master >= 0:
            seat.close()


def hung_up_twice(seat: Seat) -> None:
    """Close the terminal, and let the shell on it say so as well, as bash does."""
    seat.close()
    with suppress(ProcessLookupError):
        seat.process.send_signal(signal.SIGHUP)


LEAVING: dict[str, tuple[Callable[[Seat], object], int]] = {
    "closed": (hung_up_twice, 129),
    "Ctrl-C": (lambda seat: os.write(seat.master, b"\x03"), 130),
    "Ctrl-D": (lambda seat: os.write(seat.master, b"\x04"), 130),
    "SIGTERM": (lambda seat: seat.process.send_signal(signal.SIGTERM), 143),
}


@pytest.mark.parametrize("leaving", LEAVING)
def test_who_leaves_at_the_question_lets_the_cluster_go(workplace: Start, leaving: str) -> None:
    """A signal, Ctrl-D or a terminal that closes at the question: nothing is touched, and the next run may begin."""
    place = workplace(*fleet(1))
    leave, code = LEAVING[leaving]
    with seated(*rolling(place)) as seat:
        seat.wait("[y/N]: ")  # the blank is written by what reads the answer
        SystemClock().wait(0.5)  # a signal between that and its read would wait for the answer with it
        leave(seat)
        assert seat.ended() == code, seat.screen
    assert place.touched() == []
    assert place.rollout("run").code == 0


def test_who_is_asked_under_nohup_by_a_terminal_that_goes_begins_nothing(workplace: Start) -> None:
    """Nobody can say yes any more: the command ends, as for Ctrl-D, and the cluster is free."""
    place = workplace(*fleet(1))
    with seated("sh", "-c", 'trap "" HUP; exec "$@"', "sh", *rolling(place)) as seat:
        seat.wait("[y/N]")
        hung_up_twice(seat)
        assert seat.ended() == 130
    assert place.touched() == []
    assert place.rollout("run").code == 0


@pytest.mark.parametrize("stays", [False, True])
def test_a_terminal_that_closes_stops_a_run_safely(workplace: Start, stays: bool) -> None:  # noqa: FBT001 - a case
    """What is in flight is seen through, nobody else begun, and the journal says why; under nohup the run goes on."""
    place = workplace(*(replace(each, restart_seconds=(2.0, 3.0)) for each in fleet(3)))
    words = rolling(place, "--yes", "--approve", "--waves=1,100%") if not stays else rolling(place, "--yes")
    ignoring = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh") if stays else ()
    with seated(*ignoring, *words) as seat:
        seat.wait("in flight 1")
        hung_up_twice(seat)
        assert seat.ended() == (0 if stays else 129)
    run, events = events_of(place)
    assert any(isinstance(event, Admitted) for event in events)
    told = place.cli("report", run)
    if stays:
        assert "3 of 3 instances run the credential" in told.out
    else:
        assert place.cli("report", run, "--output", "json").report["summary"] == {"not_attempted": 2, "updated": 1}
        assert re.search(r"the\s+terminal\s+was\s+closed\s+\(SIGHUP\)", told.out), told.out
    assert place.rollout("run").code == 0
