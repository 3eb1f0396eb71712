"""Logs for machines, and for a file that a person reads in the morning."""

import json
import re

from orchestrator.core.amount import Amount
from orchestrator.core.events import Admitted, ApprovalAwaited, Entry, Resumed, WaveOpened
from orchestrator.core.model import Ping
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.report.following import Follower
from orchestrator.report.log_lines import LogLines, QuietLines
from orchestrator.report.progress import PlainProgress
from tests.fake_fleet import Host, fleet_of, roll

TOLERANT = Policy(max_unreachable=(EVERYTHING,), max_failures=(EVERYTHING,))


def troubled() -> list[Entry]:
    hosts = [
        *fleet_of(20),
        Host("i-0000000000000a001", behaviour="rolled_back"),
        Host("i-0000000000000a002", behaviour="lost"),
        *(Host(f"i-0000000000000b{number:03}", ping=Ping.CONNECTION_LOST) for number in range(5)),
    ]
    return roll(hosts, TOLERANT)[2].entries


def json_lines(entries: list[Entry]) -> list[dict[str, object]]:
    written: list[str] = []
    Follower((LogLines(written.append),)).saw(entries)
    assert not any("\n" in line for line in written)
    return [json.loads(line) for line in written]


def test_each_line_is_one_object_with_the_same_fields() -> None:
    """Time, level, event, message, run and cluster stand in every line; levels are of one set."""
    lines = json_lines(troubled())
    for line in lines:
        assert {"time", "level", "event", "message", "run", "cluster"} <= set(line)
        assert line["level"] in {"info", "warning", "error"}
        assert line["run"] == "run-1"
        assert str(line["time"]).endswith("Z")
    assert lines[0]["event"] == "run_started"
    assert lines[-1]["event"] == "run_ended"


def test_an_instances_way_can_be_followed() -> None:
    """The lines of one instance tell its phases in order, and its outcome with the reason."""
    lines = [line for line in json_lines(troubled()) if line.get("instance") == "i-0000000000000a001"]
    assert [(line["event"], line["phase"]) for line in lines] == [
        ("admitted", "applying"),
        ("reported", "settling"),
        ("concluded", "done"),
    ]
    assert (lines[-1]["outcome"], lines[-1]["reason"], lines[-1]["level"]) == (
        "rolled_back", "agent_did_not_return", "error",
    )  # fmt: skip


def test_everybody_is_concluded_in_the_log() -> None:
    """Each instance of the fleet has exactly one line with its outcome."""
    concluded = [line["instance"] for line in json_lines(troubled()) if line["event"] == "concluded"]
    assert len(concluded) == len(set(concluded)) == 27


def quiet(entries: list[Entry]) -> list[str]:
    written: list[str] = []
    Follower((QuietLines(written.append),)).saw(entries)
    return [line.partition(" ")[2] for line in written]


def test_a_good_run_is_a_line_per_wave() -> None:
    """Where nobody watches and nothing goes wrong: start, two lines per wave, end."""
    entries = roll(fleet_of(20), Policy(max_unavailable=EVERYTHING))[2].entries
    lines = quiet(entries)
    assert [line for line in lines if " applying " not in line] == [
        "run run-1: 20 of 20 instances to change",
        "wave 1: 1 to change; so far nothing done",
        "wave 2: 1 to change; so far 1 updated",
        "wave 3: 8 to change; so far 2 updated",
        "wave 4: 10 to change; so far 10 updated",
        "ended: ok: 20 updated",
    ]
    begun = [line.partition(": ")[::2] for line in lines if " applying " in line]
    assert [wave for wave, _ in begun] == ["wave 1", "wave 2", "wave 3", "wave 4"]
    until = "by 13:59:42 UTC at the latest (--verify-seconds 180, then --restore-seconds 120)"
    assert begun[0][1] == f"applying i-00000000000000000: {until}"
    assert re.match(
        r"applying i-\w{17}(, i-\w{17}){7}: by ", begun[2][1]
    )  # everybody, for whom the log is all there is


def test_in_a_large_wave_the_first_ones_alone_are_named() -> None:
    """However many commands a sliding window takes, a wave has one line about who is begun."""
    entries = roll(fleet_of(300), Policy(max_unavailable=Amount(5, percent=False)))[2].entries
    assert sum(isinstance(entry.event, Admitted) for entry in entries) > 50
    assert sum(" applying " in line for line in quiet(entries)) == 4


def test_a_run_that_goes_on_is_summed_up_and_not_told_again() -> None:
    """What was done before a resume is one line; then come the lines of what happens now."""
    hosts = [*fleet_of(20), Host("i-0000000000000a001", behaviour="rolled_back")]
    entries = roll(hosts, Policy(max_unavailable=EVERYTHING, max_failures=(EVERYTHING,)))[2].entries
    opened = next(n for n, each in enumerate(entries) if each.event == WaveOpened(wave=3))
    begun = [*entries[:opened], Entry(entries[opened].at, Resumed(fence=2, holder="anna"))]
    for kind in (QuietLines, PlainProgress, LogLines):
        written: list[str] = []
        follower = Follower((kind(written.append),))
        follower.remember(begun[:-1])
        assert written == []
        follower.saw(begun[-1:])
        (line,) = written
        assert "run run-1 goes on: 2 of 21 had ended before (2 updated), 0 at work, 19 not begun" in line
        follower.saw(entries[opened:])
        assert any("wave 3" in each for each in written[1:])
        assert not any("wave 2" in each for each in written)


def test_each_problem_has_one_line() -> None:
    """A failure is one line with its instance and what it means; those the plan left out are one line by reason."""
    lines = quiet(troubled())
    assert [line for line in lines if "i-0000000000000a001" in line] == [
        "rolled_back (agent_did_not_return): i-0000000000000a001: The agent did not answer in time after the restart."
    ]
    assert [line for line in lines if "unreachable" in line and not line.startswith(("wave", "ended"))] == [
        "5 unreachable (ssm_offline): Systems Manager has lost the connection to the instance's SSM agent."
    ]
    assert any(line.startswith("no result: i-0000000000000a002: ") for line in lines)


def test_a_halt_is_a_line_and_not_one_for_each_that_was_not_begun() -> None:
    """A halted run does not list everybody it did not come to."""
    hosts = [Host("i-00000000000000000", behaviour="failed", reason="auth_warning"), *fleet_of(20)[1:]]
    lines = quiet(roll(hosts)[2].entries)
    assert len(lines) == 6
    assert lines[-2].startswith("HALTED: ")
    assert lines[-1] == "ended: halted: 1 failed, 19 not_attempted"


def test_the_line_of_a_wave_that_waits_can_be_pasted() -> None:
    """The command that approves names the run's journal: it is typed in another shell, or on another machine."""
    started = roll(fleet_of(3), TOLERANT)[2].entries[:1]
    for store, flags in (((), ""), (("--journal", "/a b/j.db"), " --journal '/a b/j.db'")):
        written: list[str] = []
        Follower((QuietLines(written.append, store),)).saw([*started, Entry(2.0, ApprovalAwaited(wave=2))])
        assert written[-1].endswith(f"wave 2 waits for approval: ecs-rollout approve run-1 --wave 2{flags}")
