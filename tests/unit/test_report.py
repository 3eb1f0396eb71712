"""What a person and a pipeline read."""

import csv
import io
import json
import re

import pytest
from msgspec import structs

from orchestrator.core.amount import Amount
from orchestrator.core.events import Admitted, ApprovalAwaited, Approved, Entry, Resumed, RunStarted, WaveOpened
from orchestrator.core.model import OutcomeKind, Ping, Plan, Platform, Status
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.core.state import RunState, replay
from orchestrator.errors import ExitCode
from orchestrator.report.estimates import Places
from orchestrator.report.following import Follower
from orchestrator.report.layout import FIRM, columns, wrap
from orchestrator.report.plans import Wish, plan_json, plan_text
from orchestrator.report.progress import PlainProgress
from orchestrator.report.render import exit_code_of, render_report
from tests.fake_fleet import Host, MemoryJournal, fleet_of, roll

LENIENT = Policy(max_failures=(Amount.parse("3"),), max_unreachable=(EVERYTHING,))


def troubled() -> tuple[RunState, MemoryJournal]:
    hosts = [
        *fleet_of(6),
        Host("i-0000000000000a001", behaviour="rolled_back", zone="eu-central-1a"),
        Host("i-0000000000000a002", behaviour="failed", reason="container_not_replaced"),
        Host("i-0000000000000a003", behaviour="lost_restored"),
        Host("i-0000000000000a004", ping=Ping.CONNECTION_LOST),
        Host("i-0000000000000a005", persistence="ephemeral"),
        Host("i-0000000000000a006", platform=Platform.BOTTLEROCKET),
        Host("i-0000000000000a007", status=Status.DRAINING),
    ]
    state, _, journal = roll(hosts, LENIENT)
    return state, journal


@pytest.mark.parametrize("columns", [80])
def test_no_line_of_the_table_is_wider_than_a_terminal(columns: int) -> None:
    """Report and plan fit 80 columns, whatever the reason is called."""
    state, _ = troubled()
    plan = Plan(cluster="c", generation="g", planned=state.run.planned)
    for text in (
        render_report(state, "table", ExitCode.NOT_ALL_UPDATED),
        plan_text(plan, Wish(words="secretsmanager:registry", credential=None, places=Places(window=1))),
    ):
        assert max(len(line) for line in text.splitlines()) <= columns


def test_the_worst_comes_first_with_what_to_do() -> None:
    """Failures stand above successes; each problem has its meaning, what was seen, and what to do."""
    state, _ = troubled()
    text = render_report(state, "table", ExitCode.NOT_ALL_UPDATED)
    outcomes = [line.split()[2] for line in text.splitlines() if line.startswith("i-")]
    assert outcomes.index("failed") < outcomes.index("rolled_back") < outcomes.index("unreachable")
    assert outcomes.index("refused") < outcomes.index("updated")
    assert "failed(container_not_replaced): i-0000000000000a002" in text
    assert text.count("    do: ") == 8  # the worst one's stands at the end, too
    assert "6 of 13 instances run the credential" in text
    assert "(exit code 1).\n" in text


def test_a_small_terminal_ends_with_the_worst_and_with_what_comes_next() -> None:
    """What is longer than a terminal is read from its end: there stand the worst, its meaning and the next command."""
    state, _ = troubled()
    text = render_report(state, "table", ExitCode.NOT_ALL_UPDATED)
    worst, following = text.splitlines()[-6:-3], text.splitlines()[-2:]
    assert worst == [
        "Look first at i-0000000000000a002: failed(container_not_replaced). The old agent",
        "  kept running; the new one never started.",
        "    do: Look at `journalctl -u ecs` there.",
    ]
    assert following == [
        "Mend what is named here, then see to what is left:",
        "  ecs-rollout plan --cluster c --region us-east-1 --credential SOURCE",
    ]
    short = roll(fleet_of(2, behaviour="rolled_back"))[0]
    assert "Look first" not in render_report(short, "table", ExitCode.NOT_ALL_UPDATED)


def test_the_json_has_the_keys_that_were_promised() -> None:
    """The keys of the JSON report are those of its schema; each instance stands in it once."""
    state, _ = troubled()
    report = json.loads(render_report(state, "json", ExitCode.NOT_ALL_UPDATED))
    run = {"id", "cluster", "region", "started_at", "ended_at", "result", "exit_code", "generation", "options"}
    instance = {
        "instance_id", "container_instance_arn", "zone", "wave", "decision", "outcome", "reason", "message",
        "agent_version", "persistence", "restart_method", "tasks_before", "tasks_after", "drained", "duration_s",
        "phases", "command_ids",
    }  # fmt: skip
    assert report["schema"] == 1
    assert run <= set(report["run"])
    assert len(report["instances"]) == len({each["instance_id"] for each in report["instances"]}) == 13
    assert all(instance <= set(each) for each in report["instances"])
    assert sum(report["summary"].values()) == 13
    updated = next(each for each in report["instances"] if each["outcome"] == "updated")
    assert [each["phase"] for each in updated["phases"]] == ["queued", "applying", "settling"]
    assert len(updated["command_ids"]) == 1


def test_csv_and_markdown_list_everybody() -> None:
    """Both other forms have a line for each instance."""
    state, _ = troubled()
    rows = list(csv.DictReader(io.StringIO(render_report(state, "csv", ExitCode.OK))))
    assert len(rows) == 13
    assert {row["outcome"] for row in rows} >= {"updated", "failed", "refused", "unreachable", "skipped"}
    markdown = render_report(state, "markdown", ExitCode.OK).splitlines()
    assert len([line for line in markdown if line.startswith("| i-")]) == 13


def test_a_run_that_has_not_ended_can_be_reported() -> None:
    """Cut at any entry, a journal still gives a report that lists everybody."""
    _, journal = troubled()
    for cut in range(1, len(journal.entries), 5):
        report = json.loads(render_report(replay(journal.entries[:cut]), "json", ExitCode.NOT_ALL_UPDATED))
        assert len(report["instances"]) == 13
        assert report["run"]["result"] == "running"


def test_a_run_that_goes_on_is_no_alarm() -> None:
    """It has no exit code yet and nobody to look at first; whether it broke off is not known, so both are said."""
    _, journal = troubled()
    text = render_report(replay(journal.entries[:-1]), "table", ExitCode.NOT_ALL_UPDATED)
    assert "Run run-1 on cluster c: not ended.\n" in text
    assert "exit code" not in text
    assert "Look first" not in text
    assert text.splitlines()[-2:] == [
        "Wait for it. If its controller has been dead for two minutes, go on with it:",
        "  ecs-rollout resume run-1",
    ]


def test_an_instance_that_was_begun_is_not_called_not_attempted() -> None:
    """Where a run broke off, those in flight are unverified and those in the queue not attempted, by their reasons."""
    _, journal = troubled()
    first = next(index for index, entry in enumerate(journal.entries) if isinstance(entry.event, Admitted))
    report = json.loads(render_report(replay(journal.entries[: first + 1]), "json", ExitCode.NOT_ALL_UPDATED))
    told = {each["instance_id"]: f"{each['outcome']}({each['reason']})" for each in report["instances"]}
    assert [key for key, text in told.items() if text == "unverified(under_way)"] == ["i-00000000000000000"]
    assert list(told.values()).count("not_attempted(not_yet)") == 8


@pytest.mark.parametrize("form", ["table", "html", "markdown"])
def test_who_has_no_end_yet_is_counted_as_that(form: str) -> None:
    """While a run goes on, those in flight are under way and those in the queue not begun: nobody is in trouble."""
    _, _, journal = roll(fleet_of(4))
    first = next(index for index, entry in enumerate(journal.entries) if isinstance(entry.event, Admitted))
    text = render_report(replay(journal.entries[: first + 1]), form, ExitCode.NOT_ALL_UPDATED)
    plain = " ".join(re.sub("<[^>]*>", " ", text).split())
    assert "1 under way" in plain
    assert "3 not begun" in plain
    assert "not ended" in plain
    assert "resume RUN" not in plain
    assert not re.search(r"What needs somebody|not as wanted|do: |unverified\(", plain)


def test_a_run_that_waits_for_approval_says_how_to_give_it() -> None:
    """The command that it waits for is the one that is named; `resume` stands beside it."""
    _, _, journal = roll(fleet_of(4))
    opened = next(index for index, entry in enumerate(journal.entries) if entry.event == WaveOpened(wave=2))
    asked = Entry(journal.entries[opened].at, ApprovalAwaited(wave=2))
    text = render_report(replay([*journal.entries[:opened], asked]), "table", ExitCode.NOT_ALL_UPDATED)
    assert text.endswith("\n  ecs-rollout approve run-1")
    assert "It waits for approval of wave 2 (if its controller is gone: `ecs-rollout resume run-1`)" in flat(text)
    given = Entry(asked.at, Approved(wave=2, by="anna"))
    text = render_report(replay([*journal.entries[:opened], asked, given]), "table", ExitCode.NOT_ALL_UPDATED)
    assert text.endswith("\n  ecs-rollout resume run-1")


def test_a_restore_lists_its_problems_first() -> None:
    """Who was rolled back as was asked stands below who needs somebody."""
    hosts = fleet_of(5)
    roll(hosts)
    hosts[4].ping = Ping.CONNECTION_LOST
    policy = Policy(max_unreachable=(EVERYTHING,))
    state, _, _ = roll(hosts, policy, fence=2, run="run-2", restores="run-1")
    rows = json.loads(render_report(state, "json", ExitCode.NOT_ALL_UPDATED))["instances"]
    assert [row["outcome"] for row in rows] == ["unreachable", *["rolled_back"] * 4]
    assert ": 1 unreachable, 4 rolled_back." in flat(render_report(state, "table", ExitCode.NOT_ALL_UPDATED))


def flat(text: str) -> str:
    return " ".join(text.split())


def test_exit_codes_follow_the_result() -> None:
    """0 only when nothing is left to do; 1 otherwise; a signal has its own."""
    good, _, _ = roll(fleet_of(2))
    assert exit_code_of(good) is ExitCode.OK
    assert exit_code_of(troubled()[0]) is ExitCode.NOT_ALL_UPDATED
    stopped, _, _ = roll(fleet_of(2), stop_requested=lambda: "stopped by a signal")
    assert exit_code_of(stopped, ExitCode.TERMINATED) is ExitCode.TERMINATED


def test_progress_says_each_thing_once() -> None:
    """Every instance that was changed has one line with its outcome; no line is wider than a terminal."""
    state, journal = troubled()
    said: list[str] = []
    progress = Follower((PlainProgress(said.append),))
    for entry in journal.entries:
        progress.saw([entry])
    lines = "\n".join(said).splitlines()
    changed = [each.planned.key for each in state.instances.values() if each.attempts]
    for key in changed:
        ended = [line for line in lines if key in line and f"/{len(changed)}" in line]
        assert len(ended) == 1, key
    assert max(map(len, lines)) <= 80
    assert lines[-1].endswith("incomplete")


def test_progress_names_everybody_who_is_begun() -> None:
    """In a pipeline's log these lines are the only record of who was being restarted."""
    _, _, journal = roll(fleet_of(9), Policy(max_unavailable=EVERYTHING, waves=(EVERYTHING,)))
    (keys,) = [entry.event.keys for entry in journal.entries if isinstance(entry.event, Admitted)]
    said: list[str] = []
    Follower((PlainProgress(said.append),)).saw(journal.entries)
    assert f"applying    {', '.join(keys)}" in "\n".join(said)
    assert len(keys) == 9


def test_whom_a_stop_spared_is_nobody_to_look_at_first() -> None:
    """After Ctrl-C there is nothing to mend; where something failed that is named, however many were spared."""
    stopped = roll(fleet_of(30), stop_requested=lambda: "stopped by a signal")[0]
    assert "Look first" not in render_report(stopped, "table", ExitCode.INTERRUPTED)
    failed = roll(fleet_of(30, behaviour="rolled_back"))[0]
    assert "Look first at i-00000000000000000: rolled_back" in render_report(failed, "table", ExitCode.NOT_ALL_UPDATED)


@pytest.mark.parametrize("form", ["table", "html", "json", "junit"])
def test_a_report_tells_when_a_run_began_with_what_and_who_resumed_it(form: str) -> None:
    """Where its flags are not known, or nobody resumed it, nothing is said of that."""
    _, _, journal = roll(fleet_of(3))
    started, *rest = journal.entries
    assert isinstance(started.event, RunStarted)
    event = structs.replace(started.event, options={"credential": "secretsmanager:registry"})
    resumed = Entry(rest[0].at, Resumed(fence=2, holder="anna@vm (pid 7)"))
    told = render_report(replay([Entry(started.at, event), *rest[:1], resumed, *rest[1:]]), form, ExitCode.OK)
    plain = render_report(replay(journal.entries), form, ExitCode.OK)
    for word in ("secretsmanager:registry", "anna@vm (pid 7)"):
        assert (word in told, word in plain) == (True, False)
    if form == "table":
        assert (
            "Began 1970-01-12 13:46:42 UTC, took 2 min 20 s.\nCredential: secretsmanager:registry\nResumed 1970-01-12"
            in told
        )
        assert "took" not in render_report(replay(journal.entries[:-1]), form, ExitCode.OK)


def test_a_plan_tells_how_many_and_in_which_waves() -> None:
    """The plan's closing lines say how many would change, the window, the waves, and what tasks miss."""
    state, _ = troubled()
    plan = Plan(cluster="c", generation="g", planned=state.run.planned)
    text = plan_text(plan, Wish(words="the credential", credential=None, places=Places(window=1)))
    assert "9 of 13 instances would be changed, at most 1 at a time." in text
    assert "Waves: 1, 3, 5; the first is the canary, i-00000000000000000." in text
    assert "no task metadata" in text.replace("\n  ", " ")
    loaded = json.loads(plan_json(plan, Wish(words="the credential", credential=None, places=Places(window=1))))
    assert loaded["plan"]["changes"] == 9
    assert {each["wave"] for each in loaded["instances"]} == {0, 1, 2, 3}


def test_outcomes_are_counted_once() -> None:
    """The counts of a state are those of its instances."""
    state, journal = troubled()
    again = RunState()
    for entry in journal.entries:
        again.fold(Entry(entry.at, entry.event))
    counted = [each.outcome.kind for each in again.instances.values() if each.outcome]
    assert all(again.counts[kind] == counted.count(kind) for kind in OutcomeKind)
    assert again.counts == state.counts


def test_a_restore_is_not_worded_as_a_rollout() -> None:
    """The report of a restore says which run was taken back, not how many run the credential."""
    hosts = fleet_of(2)
    roll(hosts)
    state, _, _ = roll(hosts, fence=2, run="run-2", restores="run-1")
    text = render_report(state, "table", ExitCode.OK)
    assert "Taking back the run run-1: 2 rolled_back." in text
    assert "run the credential" not in text


def test_a_table_folds_its_last_column() -> None:
    """A last column that is too wide for a terminal is folded under its own head; nothing of it is lost."""
    text = columns(
        ("RUN", "INSTANCES"), [("20261126-154202-d501e1a2", "1 rolled_back, 9 not_attempted, " * 3), ("b", "")]
    )
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 4
    assert lines[2].startswith(" " * 26)
    assert " ".join(text.split()).count("9 not_attempted") == 3


def test_a_number_stays_with_what_it_counts() -> None:
    """Where the closing line is folded, no line ends with a bare number, and no firm blank reaches a reader."""
    state, _ = troubled()
    text = render_report(state, "table", ExitCode.NOT_ALL_UPDATED)
    counts = next(part for part in text.split("\n\n") if "instances run the credential" in part)
    assert "\u00a0" not in text
    assert [line for line in counts.splitlines() if line[-1:].isdigit()] == []
    assert wrap(f"{'x' * 75}, 8{FIRM}updated").splitlines()[1] == "  8 updated"
