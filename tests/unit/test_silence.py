"""Where nothing was said for a while, a line says what the run does, seldomer the longer nothing happens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from orchestrator.core import judging
from orchestrator.core.events import Admitted, ApprovalAwaited, Entry, GateAnswered
from orchestrator.core.gates import GateAnswer
from orchestrator.core.lifecycle import Phase
from orchestrator.core.settings import EVERYTHING, OnEphemeral, Policy, Word
from orchestrator.core.state import RunState, replay
from orchestrator.report.following import Follower
from orchestrator.report.log_lines import QuietLines
from orchestrator.report.silence import Silence
from orchestrator.report.waits import present
from tests.fake_fleet import Host, Rollout, VirtualClock, World, fleet_of, roll


@dataclass
class Listening:
    """Lines that were said, with their times, by the silence and by others."""

    clock: VirtualClock
    lines: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.follower = Follower()
        self.silence = Silence(self.clock, self.follower, self.present, ("--journal", "j.db"))
        self.follower.listeners = (QuietLines(self.silence.heard(self.other)),)

    def other(self, line: str) -> None:
        self.lines.append((self.clock.now(), line.partition(" ")[2]))

    def present(self, at: float, _state: RunState, words: str) -> None:
        self.lines.append((at, words))

    def hear(self, entries: Sequence[Entry]) -> None:
        self.follower.saw(entries)

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.wait(1)
            self.silence.saw(())


@pytest.mark.parametrize("behaviour", ["lost", "rolled_back", "updated"])
def test_while_instances_are_at_work_no_minute_is_silent(behaviour: str) -> None:
    """A canary whose result never comes is at work for long: every line says how long already, and until when."""
    world = World([Host(f"i-0000000000000000{n}", behaviour=behaviour) for n in range(3)], VirtualClock())
    heard = Listening(world.clock)
    rollout = Rollout(world, Policy(), observers=(heard.follower, heard.silence))
    planned = rollout.plan(1)
    began = world.clock.now()
    rollout.engine(1).run(rollout.started(1, planned))
    times = [began, *(at for at, _ in heard.lines)]
    assert max(after - before for before, after in pairwise(times)) <= 60 + 10  # the longest wait between two ticks
    if behaviour == "lost":
        assert any("applying: the document is sent or at work, for " in line for _, line in heard.lines)
        assert any(line.endswith(" UTC at the latest") and "looked at in" in line for _, line in heard.lines)
    assert len(heard.lines) < 12 + (times[-1] - began) / 30


def test_a_long_wait_is_told_seldomer_each_time_and_no_flood() -> None:
    """A gate that holds for a night: half a minute, then twice as long each time, up to ten minutes."""
    heard = Listening(VirtualClock())
    entries = roll(fleet_of(3))[2].entries[:2]
    closed = GateAnswered(answer=GateAnswer(gate="window", word=Word.HOLD, reason="opens at 02:00\x1b[2J"))
    heard.hear([*entries, Entry(entries[-1].at, closed)])
    before = len(heard.lines)
    heard.pass_time(8 * 3600)
    told = heard.lines[before:]
    gaps = [round(after - before) for (before, _), (after, _) in pairwise(told)]
    assert gaps[:6] == [60, 120, 240, 480, 600, 600]
    assert len(told) < 60
    assert told[0][1].startswith("waits for gate window: opens at 02:00")
    assert "\x1b" not in told[0][1]
    heard.hear([Entry(heard.clock.now(), ApprovalAwaited(wave=1))])
    heard.pass_time(31)
    assert "approval of wave 1: `ecs-rollout approve run-1 --journal j.db` within" in heard.lines[-1][1]


def test_nothing_is_said_before_a_run_and_after_its_end() -> None:
    """Only a run can be silent."""
    heard = Listening(VirtualClock())
    heard.pass_time(100)
    assert heard.lines == []
    heard.hear(roll(fleet_of(1))[2].entries)
    before = len(heard.lines)
    heard.pass_time(100)
    assert len(heard.lines) == before


def test_of_many_at_work_the_longest_is_named() -> None:
    """One line, however many there are: counts, and who takes longest."""
    entries = roll(fleet_of(60), Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING))[2].entries
    number = next(n for n, each in enumerate(entries) if isinstance(each.event, Admitted))
    state = replay([*entries[: number + 1]])
    words = present(state, entries[number].at + 70)
    assert re.match(
        r"\d+ at work, \d+ not begun; longest i-\w{17}: applying: .*, for 70 s, by \d\d:\d\d:\d\d UTC", words
    )


def test_nobody_is_at_work_for_longer_than_is_told() -> None:
    """Whatever goes wrong, what an instance waits for has come or is given up by the time that `status` tells."""
    hosts = [
        *fleet_of(4),
        Host("i-0000000000000a001", behaviour="rolled_back"),
        Host("i-0000000000000a002", behaviour="lost"),
        Host("i-0000000000000a003", behaviour="lost_restored"),
        Host("i-0000000000000a004", behaviour="undelivered"),
        Host("i-0000000000000a006", behaviour="unseen"),
        Host("i-0000000000000a007", behaviour="lost_armed"),
        Host("i-0000000000000a005", persistence="ephemeral", tasks=2),
    ]
    policy = Policy(max_failures=(EVERYTHING,), max_unreachable=(EVERYTHING,), on_ephemeral=OnEphemeral.DRAIN)
    entries = roll(hosts, policy)[2].entries
    bounded = set()
    for number, after in enumerate(entries[1:], start=1):
        state = replay(entries[:number])
        for key in state.roster.in_flight:
            until = judging.latest(state, key)
            bounded.add((state.instances[key].phase, until is None))
            assert until is None or after.at <= until + 10, (key, after)
    assert {phase for phase, unbounded in bounded if not unbounded} >= {Phase.DRAINING, Phase.APPLYING, Phase.SETTLING}
