"""Logs for machines, and for a file that a person reads in the morning."""

import json

from orchestrator.core.events import ApprovalAwaited, Entry
from orchestrator.core.model import Ping
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.report.following import Follower
from orchestrator.report.log_lines import LogLines, QuietLines
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
    """Where nobody watches and nothing goes wrong: start, one line per wave, end."""
    entries = roll(fleet_of(20), Policy(max_unavailable=EVERYTHING))[2].entries
    assert quiet(entries) == [
        "run run-1: 20 of 20 instances to change",
        "wave 1: 1 to change; so far nothing done",
        "wave 2: 1 to change; so far 1 updated",
        "wave 3: 8 to change; so far 2 updated",
        "wave 4: 10 to change; so far 10 updated",
        "ended: ok: 20 updated",
    ]


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
    assert len(lines) == 5
    assert lines[-2].startswith("HALTED: ")
    assert lines[-1] == "ended: halted: 1 failed, 19 not_attempted"


def test_the_line_of_a_wave_that_waits_can_be_pasted() -> None:
    """The command that approves names the run's journal: it is typed in another shell, or on another machine."""
    started = roll(fleet_of(3), TOLERANT)[2].entries[:1]
    for store, flags in (((), ""), (("--journal", "/a b/j.db"), " --journal '/a b/j.db'")):
        written: list[str] = []
        Follower((QuietLines(written.append, store),)).saw([*started, Entry(2.0, ApprovalAwaited(wave=2))])
        assert written[-1].endswith(f"wave 2 waits for approval: ecs-rollout approve run-1 --wave 2{flags}")
