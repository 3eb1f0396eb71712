"""What the journal alone tells: `runs`, `status`, `why`, and what other shells ask with `approve` and `abort`."""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import structs

from orchestrator.cli import identity
from orchestrator.cli.main import invoke
from orchestrator.core.amount import Amount
from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import (
    ApprovalAwaited,
    Concluded,
    Deferred,
    Entry,
    Event,
    GateAnswered,
    Halted,
    Held,
    Resumed,
    RunEnded,
    RunStarted,
    Surveyed,
    WaveOpened,
)
from orchestrator.core.gates import GateAnswer
from orchestrator.core.model import Facts, Instance, Outcome, OutcomeKind
from orchestrator.core.orders import PayloadReference
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.result import Report
from orchestrator.core.settings import EVERYTHING, Policy, Word
from orchestrator.core.state import RunState, replay
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.report import sentences
from orchestrator.report.sentences import SENTENCES
from orchestrator.report.status import status_json, status_of, status_text
from orchestrator.report.story import story, story_text
from orchestrator.report.times import moment, time_of_day
from orchestrator.report.wording import NAMES, worded
from tests.fake_fleet import fleet_of, roll
from tests.journal_runs import a_table, troubled_run

AGENT = Path(__file__).parents[2] / "documents" / "src" / "agent.sh"
LOST = "i-00000000000000002"
REFUSED = "i-00000000000000006"


@dataclass
class Shell:
    """The command line, and what it printed."""

    capture: pytest.CaptureFixture[str]
    flags: tuple[str, ...]

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self.capture.readouterr()
        code = invoke((*arguments, *self.flags))
        captured = self.capture.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def run() -> list[Entry]:
    return troubled_run()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], path: Path) -> Shell:
    return Shell(capsys, ("--journal", str(path)))


def kept(path: Path, entries: list[Entry], run: str = "run-1") -> None:
    journal = SqliteJournal(path)
    journal.append(run, 1, entries)
    journal.close()


def asked(path: Path, run: str = "run-1") -> list[Ask]:
    journal = SqliteJournal(path, read_only=True)
    try:
        return list(journal.asked(run))
    finally:
        journal.close()


def middle(run: list[Entry], key: str = LOST) -> int:
    """The number of entries until an instance has been admitted and not concluded."""
    state = replay(run[:1])
    for number, entry in enumerate(run[1:], start=2):
        state.fold(entry)
        if key in state.roster.in_flight:
            return number
    raise AssertionError(key)


# runs


def test_runs_lists_the_newest_first(shell: Shell, path: Path, run: list[Entry]) -> None:
    """Each run has a line with its cluster, result and counts; one that did not end says no more than that."""
    kept(path, run)
    kept(path, [structs.replace(entry, at=entry.at + 90) for entry in run[: middle(run)]], "run-2")
    code, out, _ = shell("runs")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["RUN", "CLUSTER", "RESULT", "INSTANCES"]
    assert lines[1].startswith("run-2  c        not ended")
    assert lines[2].startswith("run-1  c        incomplete")
    assert lines[-1].endswith("9 updated")


def test_runs_keep_a_number_with_what_it_counts(shell: Shell, path: Path, run: list[Entry]) -> None:
    """The outcomes come worst first, and a line that is folded is never folded between a number and its outcome."""
    kept(path, run)
    out = shell("runs")[1]
    parts = [part.strip() for line in out.splitlines()[1:] for part in line[28:].split(",") if part.strip()]
    assert parts == ["1 rolled_back", "1 unreachable", "1 refused", "9 updated"]
    assert max(len(line) for line in out.splitlines()) <= 80


def test_a_run_that_takes_back_is_marked(shell: Shell, path: Path, run: list[Entry]) -> None:
    """`runs` and `status` say which run is taken back, and `status` that a run heals."""
    kept(path, run)
    (started, *rest) = run[: middle(run)]
    begun = started.event
    assert isinstance(begun, RunStarted)
    for name, event in (
        ("run-2", structs.replace(begun, restores="run-1")),
        ("run-3", structs.replace(begun, heals=True)),
    ):
        again = [Entry(started.at, structs.replace(event, run=name)), *rest]
        kept(path, [Entry(entry.at + 90, entry.event) for entry in again], name)
    assert [line for line in shell("runs")[1].splitlines() if "takes back" in line] == ["run-2: takes back run-1"]
    heads = [shell("status", name)[1].splitlines()[1] for name in ("run-1", "run-2", "run-3")]
    assert heads[0].startswith("started ")
    assert heads[1:] == ["takes the run run-1 back", "heals what dead runs have left"]
    assert json.loads(shell("status", "run-2", "--output", "json")[1])["run"]["restores"] == "run-1"


def test_no_word_of_a_long_row_of_runs_is_broken(shell: Shell, path: Path) -> None:
    """The longest result beside the longest outcome: both stay whole within 80 columns."""
    entries = roll(fleet_of(12), stop_requested=lambda: "Ctrl-C")[2].entries
    kept(path, entries, "20261124-013006-d617fabc")
    out = shell("runs")[1]
    assert "interrupted  12 not_attempted\n" in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_runs_of_no_journal_are_none(shell: Shell, path: Path) -> None:
    """Where there is no journal there are no runs, which is said, and none is made by looking."""
    code, out, err = shell("runs")
    assert (code, err) == (0, "The journal knows no run yet.\n")
    assert len(out.splitlines()) == 1
    assert not path.exists()


# status


def test_status_counts_laggards_as_the_budget_does() -> None:
    """Who is to be tried once more counts as unreachable by now, as it does where the run decides whether to halt."""
    _, _, made = roll(fleet_of(3, behaviour="undelivered"))
    lagging = next(number for number, each in enumerate(made.entries) if isinstance(each.event, Deferred))
    state = replay(made.entries[: lagging + 1])
    assert state.counts[OutcomeKind.UNREACHABLE] == 0
    spent = {each.name: each.used for each in status_of(state, last_at=1.0, asked=(), now=2.0).budgets}
    assert spent["unreachable"] == state.unreachable == 1


def test_status_tells_how_a_run_stands(shell: Shell, path: Path, run: list[Entry]) -> None:
    """In the middle of a run: wave, window, counts, budgets, who is at work in which phase, and what was asked."""
    kept(path, run[: middle(run)])
    shell("abort", "run-1")
    code, out, _ = shell("status")
    assert code == 0
    assert out.startswith("Run run-1 on cluster c (us-east-1): not ended\n")
    assert "wave 2 of 3; 1 of at most 1 at work, 6 not begun" in out
    assert "outcomes: 3 updated, 1 refused" in out
    gone = replay(run[: middle(run)]).unreachable
    assert f"budgets: failures 0, at most 1; unreachable {gone}, at most 12; refused 1, no limit" in out
    assert f"refused(ephemeral): {REFUSED}\n" in out
    assert re.search(r"what that means and what to do: `ecs-rollout report run-1 --journal ", " ".join(out.split()))
    assert f"asked: abort by {identity.who()} at 20" in out
    heading, row, *_ = out.partition("\nAT WORK")[2].splitlines()
    assert heading.split() == ["SEC", "UNTIL", "UTC", "DOING"]
    key, _, until, doing, *_ = row.split()
    sent = replay(run[: middle(run)]).instances[LOST].spans[-1].started_at
    assert (key, until, doing) == (LOST, time_of_day(sent + 60 + 600 + 120), "applying:")
    told = " ".join(out.split())  # however a long path is folded
    assert re.search(r"is its controller gone\? `ecs-rollout resume run-1 --journal [^`]+` sees to it", told)
    assert max(len(line) for line in out.splitlines()) <= 80


def test_status_names_the_command_that_a_wave_waits_for() -> None:
    """A run that waits for a person is no dead one: the status tells which command lets it go on, and until when."""
    policy = Policy(approve=True, approve_timeout=600)
    entries = roll(fleet_of(6), policy)[2].entries
    until = next(n for n, entry in enumerate(entries) if isinstance(entry.event, ApprovalAwaited)) + 1
    now = entries[until - 1].at + 300
    state, store = replay(entries[:until]), ("--state", "dynamodb:runs")
    status = status_of(state, last_at=now - 300, asked=(), now=now, store=store)
    text = " ".join(status_text(status).split())
    assert "waits for approval of wave 2: `ecs-rollout approve run-1 --state dynamodb:runs` within 5 min" in text
    assert "controller" not in text
    assert json.loads(status_json(status))["waits_for"] == list(status.waits)


def test_status_asks_for_the_controller_when_a_time_has_passed(run: list[Entry]) -> None:
    """Minutes without an entry are usual while an instance verifies: until its time is over that is said, too."""
    entries = run[: middle(run)]
    last = entries[-1].at
    for waited, words in ((300, "those at work are in time; if its controller is gone, `ecs"), (900, "gone? `ecs")):
        text = status_text(status_of(replay(entries), last_at=last, asked=(), now=last + waited))
        assert f"{words}-rollout resume run-1` sees to it" in " ".join(text.split())


def test_status_says_whose_process_carries_the_run(run: list[Entry]) -> None:
    """Whoever has resumed it last, or began it: there one looks whether it lives; an older journal does not tell."""
    entries = run[: middle(run)]
    begun = entries[0].event
    assert isinstance(begun, RunStarted)
    first = [Entry(entries[0].at, structs.replace(begun, holder="anna@a (pid 1)")), *entries[1:]]
    resumed = [*first, Entry(entries[-1].at, Resumed(fence=2, holder="ben@b (pid 2)"))]
    for told, by in ((first, "anna@a (pid 1)"), (resumed, "ben@b (pid 2)")):
        last = told[-1].at
        status = status_of(replay(told), last_at=last, asked=(), now=last + 900)
        assert f"\nby {by}\nstarted " in status_text(status)
        assert f"is its controller, {by}, gone? `ecs" in " ".join(status_text(status).split())
        assert json.loads(status_json(status))["run"]["holder"] == by
    old = status_text(status_of(replay(entries), last_at=entries[-1].at, asked=(), now=entries[-1].at))
    assert "\nby " not in old


def test_status_json_has_it_all(shell: Shell, path: Path, run: list[Entry]) -> None:
    """The JSON agrees with the fold of the entries."""
    entries = run[: middle(run)]
    kept(path, entries)
    code, out, _ = shell("status", "run-1", "--output", "json")
    found: dict[str, Any] = json.loads(out)
    state = replay(entries)
    assert code == 0
    assert found["schema"] == 1
    assert found["summary"] == {kind.value: count for kind, count in state.counts.items() if count}
    assert found["problems"] == [{"outcome": "refused", "reason": "ephemeral", "instances": [REFUSED]}]
    assert found["not_begun"] == len(state.roster.queue)
    assert [each["instance"] for each in found["at_work"]] == list(state.roster.in_flight)
    (lost,) = found["at_work"]
    assert lost["waits_for"] == "applying: the document is sent or at work"
    assert lost["until"] == moment(state.instances[LOST].spans[-1].started_at + 60 + 600 + 120)
    assert found["wave"] == {"now": 2, "of": 3}
    assert found["run"]["result"] == "running"
    assert found["run"]["last_entry_at"].startswith("1970-01-12T13:4")


def test_status_says_why_a_run_waits(run: list[Entry]) -> None:
    """A gate that holds is told with its reason, one that says go is not; a halt is told with its why."""
    answers = [
        GateAnswer(gate="window", word=Word.HOLD, reason="no window is open"),
        GateAnswer(gate="alarm", word=Word.GO, reason="quiet"),
    ]
    entries = [run[0], *(Entry(run[0].at + 1, GateAnswered(answer=each)) for each in answers)]
    entries.append(Entry(run[0].at + 2, Halted(why="2 failed, --max-failures 1 allows 1 of 12")))
    seen = status_of(replay(entries), last_at=entries[-1].at, asked=(), now=entries[-1].at + 3725)
    text = status_text(seen)
    assert "gate window: hold: no window is open" in text
    assert "alarm" not in text
    assert "HALTED, nothing more is admitted: 2 failed, --max-failures 1 allows 1 of 12" in text
    assert "last entry 1 h 2 min ago" in text
    found = json.loads(status_json(seen))
    assert [each["gate"] for each in found["gates"]] == ["window", "alarm"]
    assert found["run"]["last_entry_age_s"] == 3725.0


def test_status_of_a_run_that_has_ended_tells_one_story() -> None:
    """Those that a halt left have their outcome: nobody is counted as not begun, or at work, any more."""
    hosts = fleet_of(10)
    for each in hosts:
        each.behaviour = "rolled_back"
    state = roll(hosts)[0]
    text = status_text(status_of(state, last_at=1.0, asked=(), now=2.0))
    assert "ended in wave 1 of 3\noutcomes: 1 rolled_back, 9 not_attempted\n" in text
    assert "not begun" not in text
    assert "at work" not in text


def test_status_of_a_run_that_is_halted_counts_nobody_twice() -> None:
    """While those in flight are seen through, whom the halt left stands among the outcomes alone."""
    hosts = fleet_of(10, apply_seconds=60)
    hosts[0].behaviour, hosts[0].apply_seconds = "rolled_back", 5
    entries = roll(hosts, Policy(waves=(EVERYTHING,), max_unavailable=Amount.parse("4")))[2].entries
    state = replay(entries[:1])
    for entry in entries[1:]:
        state.fold(entry)
        if state.counts[OutcomeKind.NOT_ATTEMPTED] == 6:
            break
    assert state.roster.in_flight
    text = status_text(status_of(state, last_at=1.0, asked=(), now=2.0))
    assert f"wave 1 of 1; {len(state.roster.in_flight)} of at most 4 at work\noutcomes:" in text
    assert "not begun" not in text


def test_status_shows_who_takes_longest() -> None:
    """In a large window the table shows those that are at work for longest, and how many more there are."""
    entries = roll(fleet_of(60), Policy(waves=(Amount.parse("100%"),), max_unavailable=Amount.parse("100%")))[2].entries
    state = replay(entries[:1])
    for entry in entries[1:]:
        state.fold(entry)
        if len(state.roster.in_flight) == 60:
            break
    text = status_text(status_of(state, last_at=0, asked=(), now=2_000_000.0))
    assert text.splitlines()[-1] == "and 40 more"


def test_status_without_a_run_says_so(shell: Shell) -> None:
    """No run, and none of that name, are one error line and one hint line."""
    for arguments, message in ((("status",), "knows no run yet"), (("status", "x"), "knows no run 'x'")):
        code, out, err = shell(*arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert "hint:" in err


# why


def test_why_tells_every_decision(shell: Shell, path: Path, run: list[Entry]) -> None:
    """What was seen, decided, sent, lost, looked at and concluded, in order and with times; nothing of the others."""
    kept(path, run)
    code, out, _ = shell("why", "run-1", LOST)
    assert code == 0
    first = out.partition("\n\n")[0].splitlines()
    assert first[0].startswith(f"{LOST} in the run run-1 on cluster c: rolled_back")
    known = EXPLANATIONS[Reason.WATCHDOG_RESTORED]
    assert any(known.meaning.startswith(line.strip()) for line in first[1:])
    assert any(line.startswith(f"    do: {known.remedy[:30]}") for line in first)
    order = [
        "ECS and Systems Manager say:",
        "its SSM agent: Online",
        "inspect saw:",
        "restarted by: systemd",
        "decided: apply in wave 2 (needs_update)",
        "wave 2 opened",
        "admitted: the command apply-4",
        "SSM accepted apply-4 as cmd-5",
        "no result came: no result line",
        "looked at again: the inspection inspect-5",
        "the second look saw:",
        "its watchdog did last: brought the old state back",
        "outcome rolled_back (watchdog_restored)",
        f"do: {EXPLANATIONS[Reason.WATCHDOG_RESTORED].remedy[:30]}",
    ]
    places = [out.partition("\n\n")[2].find(each) for each in order]
    assert places == sorted(places)
    assert -1 not in places
    assert "apply-1 " not in out
    assert REFUSED not in out
    assert all(line.startswith(("    ", "  ", "1970-01-12T", "i-")) for line in out.splitlines() if line)
    assert all(len(line) <= 80 or "arn:" in line for line in out.splitlines())


def test_why_has_words_for_all_that_it_shows() -> None:
    """No field of what is shown as evidence, and no event, is told by its bare name in the code."""
    shown = (Instance, Facts, Report, PayloadReference, Outcome, *SENTENCES)
    missing = {
        name for kind in shown for name in kind.__annotations__ if name not in {"key", "keys", "step"}
    } - NAMES.keys()
    assert missing == {"payload", "outcome"}  # their own fields are told
    handled = set(re.findall(r"case (\w+)\(", inspect.getsource(sentences)))
    named = {kind.__name__ for kind in get_args(Event)}
    assert named - handled - {kind.__name__ for kind in SENTENCES} == {"RunStarted", "Surveyed"}  # told as plans


def test_why_tells_facts_in_words() -> None:
    """What inspect saw can be read by who does not know its keys; a time is a time."""
    told = {name: worded(name, text) for name, text in [("armed", "dead"), ("agrees", "no"), ("again_at", "0")]}
    assert told == {
        "armed": "half-way change: left behind, its watchdog is dead",
        "agrees": "file and agent hold what a run applied: no",
        "again_at": "looked at again: 1970-01-01T00:00:00.000Z",
    }
    assert worded("why", "datadir_set, agent_db") == "known by: ECS_DATADIR is set, agent.db is there"
    assert "Everybody on the instance can read" in worded("warnings", "config_world_readable, new_one")
    reasons = set(re.findall(r"why\+?=\((\w+)\)", AGENT.read_text(encoding="utf-8")))
    assert {each for each in reasons if worded("why", each).endswith(each)} == set()


def test_why_tells_where_the_credential_was_delivered(run: list[Entry]) -> None:
    """What an event holds is told field by field: no text of Python's own."""
    told = story(run, LOST)
    found = next(dict(each.evidence) for each in told.chapters if each.event == "delivered")
    assert {"store": "ssm", "name": "/p"}.items() <= found.items()
    assert not any("(" in text and "=" in text for each in told.chapters for _, text in each.evidence)


def test_why_json_has_the_same(shell: Shell, path: Path, run: list[Entry]) -> None:
    """Each entry as JSON with its time, its event's name and its evidence."""
    kept(path, run)
    code, out, _ = shell("why", "run-1", REFUSED, "--output", "json")
    found: dict[str, Any] = json.loads(out)
    assert code == 0
    assert found["outcomes"] == [{"key": REFUSED, "outcome": "refused", "reason": "ephemeral", "afterwards": ""}]
    assert [each["event"] for each in found["entries"]] == ["discovered", "inspected", "decided", "concluded"]
    assert found["entries"][1]["evidence"]["persistence"] == "ephemeral"
    assert found["entries"][3]["evidence"]["do"] == EXPLANATIONS[Reason.EPHEMERAL].remedy


def test_an_instance_is_found_by_any_of_its_names(run: list[Entry]) -> None:
    """The EC2 id, the container instance's ARN and its id lead to the same story."""
    started = run[0].event
    assert isinstance(started, RunStarted)
    arn = next(each.instance.arn for each in started.planned if each.key == LOST)
    stories = [story(run, name).chapters for name in (LOST, arn, arn.rpartition("/")[2])]
    assert stories[0] == stories[1] == stories[2]


OLDER, NEWER = "20261123-013006-d617fabc", "20261124-013006-0a0b0c0d"


@pytest.fixture
def two_runs(path: Path, run: list[Entry]) -> None:
    """A journal with an older run of 12 instances, and a newer one of the first two of them."""
    kept(path, run, OLDER)
    kept(path, [structs.replace(each, at=each.at + 90) for each in roll(fleet_of(2), Policy())[2].entries], NEWER)


@pytest.mark.usefixtures("two_runs")
def test_why_without_a_run_takes_the_newest_that_knows_the_instance(shell: Shell) -> None:
    """Which one that is stands on stderr; stdout is as if it had been named."""
    for instance, run, said in (("i-00000000000000001", NEWER, ""), (LOST, OLDER, " that knows it")):
        code, out, err = shell("why", instance)
        assert (code, err) == (0, f"the newest run{said}: {run}\n")
        assert out == shell("why", run, instance)[1]
    code, out, err = shell("why", "i-nobody")
    assert (code, out) == (2, "")
    assert "None of the last 30 runs knows an instance 'i-nobody'" in err
    assert f"`ecs-rollout report {NEWER} {' '.join(shell.flags)}`" in err


def test_why_names_the_newest_run_that_began_something_with_the_instance(
    shell: Shell, path: Path, run: list[Entry]
) -> None:
    """Where the newest run only left an instance out; not where a run was named, and not where none began anything."""
    kept(path, run, OLDER)
    started = run[0].event
    assert isinstance(started, RunStarted)
    kept(path, [Entry(run[0].at + 90, structs.replace(started, run=NEWER))], NEWER)
    code, _, err = shell("why", LOST)
    command = f"`ecs-rollout why {OLDER} {LOST} {' '.join(shell.flags)}`"
    told = f"That run began nothing with it; the newest that did: rolled_back (watchdog_restored): {command}"
    assert (code, err) == (0, f"the newest run: {NEWER}\n{told}\n")
    assert shell("why", NEWER, LOST)[2] == ""
    assert shell("why", REFUSED)[2] == f"the newest run: {NEWER}\n"


@pytest.mark.usefixtures("two_runs")
def test_why_understands_its_words_in_either_order(shell: Shell) -> None:
    """RUN and INSTANCE may change places; a run alone is asked for its instance; three words are one too many."""
    assert shell("why", LOST, OLDER) == shell("why", OLDER, LOST)
    alone = f"`ecs-rollout why {OLDER} INSTANCE {' '.join(shell.flags)}`"
    for words, said in (((OLDER,), alone), ((OLDER, LOST, LOST), "one instance")):
        code, out, err = shell("why", *words)
        assert (code, out) == (2, "")
        assert said in err


@pytest.mark.usefixtures("two_runs")
def test_report_without_a_run_takes_the_newest(shell: Shell) -> None:
    """As status does; which one that is stands on stderr."""
    code, out, err = shell("report", "--output", "json")
    assert (code, err) == (0, f"the newest run: {NEWER}\n")
    assert len(json.loads(out)["instances"]) == 2


def test_what_a_survey_decided_is_told(run: list[Entry]) -> None:
    """An instance that joined late has its decision in the story, with nothing of the time before it was there."""
    started = run[0].event
    assert isinstance(started, RunStarted)
    late = next(each for each in started.planned if each.key == REFUSED)
    without = structs.replace(started, planned=tuple(each for each in started.planned if each is not late))
    middle = next(number for number, each in enumerate(run) if isinstance(each.event, Halted | RunEnded))
    rest = [each for each in run[1:] if getattr(each.event, "key", "") != REFUSED]
    joined = structs.replace(run[middle - 1], event=Surveyed(planned=(late,)))
    told = story([structs.replace(run[0], event=without), *rest[: middle - 1], joined], REFUSED)
    assert [each.event for each in told.chapters] == ["discovered", "inspected", "decided"]
    assert told.chapters[0].at == joined.at
    assert told.outcomes == ((REFUSED, None),)


def test_why_of_an_unknown_instance_says_so(shell: Shell, path: Path, run: list[Entry]) -> None:
    """An instance that the run does not know is one error line and one hint line."""
    kept(path, run)
    code, out, err = shell("why", "run-1", "i-nobody")
    assert (code, out) == (2, "")
    assert "knows no instance 'i-nobody'" in err
    assert f"`ecs-rollout report run-1 {' '.join(shell.flags)}`" in err


def test_every_entry_about_an_instance_is_in_its_story(run: list[Entry]) -> None:
    """Whatever names an instance, or a command that it was sent, stands in its story, once each."""
    started = run[0].event
    assert isinstance(started, RunStarted)
    for planned in started.planned:
        told = [(each.at, each.event) for each in story(run, planned.key).chapters]
        batches = {
            batch
            for entry in run
            if (batch := getattr(entry.event, "batch", "")) and planned.key in getattr(entry.event, "keys", ())
        }
        for entry in run[1:]:
            named = planned.key in (*getattr(entry.event, "keys", ()), getattr(entry.event, "key", ""))
            if named or getattr(entry.event, "batch", "") in batches:
                name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(entry.event).__name__)[1:]
                told.remove((entry.at, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Undrained:
    """An event that the story has no sentence for."""

    keys: tuple[str, ...]
    by: str
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blessed:
    """One that names no instance."""

    wave: int


def test_an_event_without_a_sentence_is_told_by_its_fields(run: list[Entry]) -> None:
    """A new kind of event shows up with its name and what it holds, if it names the instance or nobody."""
    at = run[0].at + 1
    events: list[Any] = [
        Undrained(keys=(LOST, REFUSED), by="anna", tasks=("a", "b")),
        Undrained(keys=(REFUSED,), by="bob", tasks=()),
        Blessed(wave=2),
    ]
    told = story([run[0], *(Entry(at, event) for event in events)], LOST).chapters[-2:]
    assert [(each.text, each.evidence) for each in told] == [
        ("undrained", (("by", "anna"), ("tasks", "a, b"))),
        ("blessed", (("wave", "2"),)),
    ]


def test_what_concerns_all_is_told_until_the_outcome(run: list[Entry]) -> None:
    """Gates, halts and the wave of an instance stand in its story while it is open; other waves and later ones not."""
    answer = GateAnswer(gate="window", word=Word.HOLD, reason="closed")
    outcome = next(entry.event for entry in run if isinstance(entry.event, Concluded))
    events: list[Any] = [
        WaveOpened(wave=1),
        GateAnswered(answer=answer),
        WaveOpened(wave=2),
        Halted(why="enough"),
        Held(key=LOST, why="no room", again_at=0),
        structs.replace(outcome, key=LOST),
        GateAnswered(answer=answer),
        RunEnded(result="halted"),
    ]
    told = story([run[0], *(Entry(run[0].at + 1, event) for event in events)], LOST)
    assert [each.event for each in told.chapters[3:]] == [
        *("gate_answered", "wave_opened", "halted", "held", "concluded")
    ]
    assert told.chapters[5].text == "the run stopped admitting instances: enough"


def test_words_of_others_cannot_steer_a_terminal(run: list[Entry]) -> None:
    """What AWS, a gate or an instance said is shown without control characters."""
    answer = GateAnswer(gate="window", word=Word.HOLD, reason="\x1b[2Jclosed")
    entries = [
        run[0],
        *(Entry(run[0].at + 1, each) for each in (GateAnswered(answer=answer), Halted(why="\x1b[31mno"))),
    ]
    shown = story_text(story(entries, LOST)) + status_text(status_of(replay(entries), last_at=0, asked=(), now=0))
    assert "\x1b" not in shown
    assert shown.count("\\x1b[2Jclosed") == shown.count("\\x1b[31mno") == 2


# approve and abort


def test_approve_asks_for_the_next_wave(shell: Shell, path: Path, run: list[Entry]) -> None:
    """Without a number it is the next wave that has not opened; who asks, and when, is written down."""
    kept(path, run[: middle(run)])
    code, out, err = shell("approve", "run-1")
    assert (code, out) == (0, "")
    assert "Wave 3 of the run run-1 is approved" in err
    found = asked(path)
    assert [(each.kind, each.wave, each.by) for each in found] == [(AskKind.APPROVE, 3, identity.who())]
    assert found[0].at > 1.7e9


def test_a_run_that_has_not_opened_a_wave_waits_for_the_first(shell: Shell, path: Path, run: list[Entry]) -> None:
    """Before any wave has opened it is the canary's that is approved."""
    kept(path, run[:1])
    shell("approve", "run-1")
    assert [each.wave for each in asked(path)] == [1]
    code, _, _ = shell("approve", "run-1", "--wave", "2")
    assert code == 0
    assert [each.wave for each in asked(path)] == [1, 2]


@pytest.mark.parametrize("wave", ["1", "2", "4"])
def test_only_a_wave_that_is_still_to_open_can_be_approved(
    shell: Shell, path: Path, run: list[Entry], wave: str
) -> None:
    """A wave that is over, is open or does not exist is an error, and nothing is asked."""
    kept(path, run[: middle(run)])
    code, _, err = shell("approve", "run-1", "--wave", wave)
    assert code == 2
    assert f"no wave {wave} that is still to open" in err
    assert f"`ecs-rollout status run-1 --journal {path}`" in err
    assert asked(path) == []


def test_abort_asks_the_run_to_stop(shell: Shell, path: Path, run: list[Entry]) -> None:
    """The ask is in the journal, and the shell is told what happens next and how to see it."""
    kept(path, run[: middle(run)])
    code, out, err = shell("abort", "run-1")
    assert (code, out) == (0, "")
    assert f"`ecs-rollout status run-1 --journal {path}`" in err
    assert [(each.kind, each.wave) for each in asked(path)] == [(AskKind.ABORT, 0)]


def test_what_was_asked_already_is_not_asked_again(shell: Shell, path: Path, run: list[Entry]) -> None:
    """The second shell hears who was first, and when; the journal holds one ask. Another wave is another matter."""
    kept(path, run[: middle(run)])
    kept(path, run[:1], "run-2")
    for command, about in (("approve", "Wave 3 of the run run-1 was approved"), ("abort", "was asked to stop")):
        shell(command, "run-1")
        first = asked(path)[-1]
        code, out, err = shell(command, "run-1")
        assert (code, out) == (0, "")
        assert f"{about} already, at {moment(first.at)} by {identity.who()}" in err
    assert [each.kind for each in asked(path)] == [AskKind.APPROVE, AskKind.ABORT]
    for wave in ("1", "2", "1"):
        shell("approve", "run-2", "--wave", wave)
    assert [each.wave for each in asked(path, "run-2")] == [1, 2]


@pytest.mark.parametrize("command", ["approve", "abort"])
def test_nothing_is_asked_of_a_run_that_has_ended(shell: Shell, path: Path, run: list[Entry], command: str) -> None:
    """A run that has ended, or that nobody knows, is one error line with a hint; nothing is written."""
    kept(path, run)
    code, _, err = shell(command, "run-1")
    assert code == 2
    assert f"The run run-1 has ended (incomplete): there is nothing to {command}." in err
    assert f"`ecs-rollout report run-1 --journal {path}`" in err
    code, _, err = shell(command, "run-9")
    assert code == 2
    assert "knows no run 'run-9'" in err
    assert asked(path) == []


# Places


def test_the_same_commands_read_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run: list[Entry]
) -> None:
    """With --state dynamodb:TABLE everything is read from and asked through the table."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with a_table(monkeypatch) as client:
        del client
        shell = Shell(capsys, ("--state", "dynamodb:other"))
        assert shell("runs")[0] == 4
        code, out, _ = shell("state", "init")
        assert (code, out) == (0, "The table other is ready.\n")
        assert shell("state", "init")[1] == "The table other was there already, and is ready.\n"
        in_table(run[: middle(run)])
        assert "run-1" in shell("runs")[1]
        assert "wave 2 of 3" in shell("status")[1]
        assert "admitted" in shell("why", "run-1", LOST)[1]
        code, _, err = shell("abort", "run-1")
        assert code == 0
        assert "ecs-rollout status run-1 --state dynamodb:other" in err
        assert "was asked to stop already" in shell("abort", "run-1")[2]
        assert "asked: abort by" in shell("status")[1]


def in_table(entries: list[Entry]) -> None:
    from orchestrator.cli import store  # noqa: PLC0415 - after moto has begun
    from orchestrator.journal.place import JournalPlace  # noqa: PLC0415

    with store.opened(JournalPlace(table="other")) as journal:
        journal.append("run-1", 1, entries)


def test_sqlite_can_be_named_as_a_state(shell: Shell, path: Path, run: list[Entry]) -> None:
    """`--state sqlite:PATH` is the file that `--journal PATH` is."""
    kept(path, run)
    named = replace(shell, flags=("--state", f"sqlite:{path}"))
    assert named("runs") == shell("runs")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--state", "dynamodb:t1x", "--journal", "j"), "--journal and --state name two places"),
        (("--state", "postgres:x"), "write sqlite:PATH or dynamodb:TABLE"),
        (("--state", "dynamodb:a b"), "'a b' is no name of a DynamoDB table"),
        (("--state", "sqlite:"), "write sqlite:PATH or dynamodb:TABLE"),
    ],
)
def test_a_place_that_is_none_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    """Two places at once, and places that are not known, are said so."""
    code, out, err = Shell(capsys, flags)("runs")
    assert (code, out) == (2, "")
    assert message in err


def test_the_command_line_beats_the_file(shell: Shell, path: Path, run: list[Entry], tmp_path: Path) -> None:
    """--journal beats a configuration file's state; a file that holds both is a usage error."""
    kept(path, run)
    file = tmp_path / "config.toml"
    file.write_text('state = "sqlite:/nowhere/journal.db"\n')
    assert "run-1" in shell("runs", "--config", str(file))[1]
    file.write_text('state = "sqlite:/nowhere/journal.db"\njournal = "x.db"\n')
    code, _, err = replace(shell, flags=())("runs", "--config", str(file))
    assert code == 2
    assert "two places" in err


def test_only_a_table_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    """`state init` of a file, or of nothing, is a usage error."""
    for flags in ((), ("--state", "sqlite:x")):
        code, _, err = Shell(capsys, flags)("state", "init")
        assert code == 2
        assert "--state dynamodb:TABLE" in err


_IMPORTS = """
import sys
from orchestrator.cli.main import invoke
code = invoke(sys.argv[1:])
print(code, sorted({"boto3", "botocore", "moto"} & set(sys.modules)), sorted(sys.modules))
"""


@pytest.mark.parametrize(
    "command", [("runs",), ("status",), ("why", "run-1", LOST), ("report", "run-1"), ("abort", "run-2")]
)
def test_a_file_is_read_without_boto3(path: Path, run: list[Entry], command: tuple[str, ...]) -> None:
    """Whoever only reads a SQLite journal, or asks through it, does not wait for boto3."""
    kept(path, run)
    kept(path, run[:4], "run-2")
    arguments = [sys.executable, "-c", _IMPORTS, *command, "--journal", str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.splitlines()[-1].startswith("0 [] ")


@pytest.mark.parametrize("command", [("runs",), ("status",), ("status", "--output", "json")])
def test_a_glance_loads_little(path: Path, run: list[Entry], command: tuple[str, ...]) -> None:
    """What is typed again and again while a run runs loads nothing that only plans and reports are made with."""
    kept(path, run)
    arguments = [sys.executable, "-c", _IMPORTS, *command, "--journal", str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    loaded = set(re.findall(r"'([\w.]+)'", done.stdout.splitlines()[-1]))
    assert {"orchestrator.journal.codec", "orchestrator.core.events"} <= loaded
    packages = {name.partition(".")[0] for name in loaded}
    assert not packages & {"rich", "pydantic", "jinja2", "tenacity", "statistics", "asyncio", "ssl", "zoneinfo"}
    ours = {name for name in loaded if name.startswith(("orchestrator.core", "orchestrator.report"))}
    assert not ours & {
        f"orchestrator.{name}"
        for name in ("core.planning", "core.policy", "core.overlap", "report.rows", "report.text")
    }


def test_status_takes_each_entry_once(
    shell: Shell, path: Path, run: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of thousands is read and folded in one pass."""
    folded: list[Entry] = []
    fold = RunState.fold

    def counted(state: RunState, entry: Entry) -> None:
        folded.append(entry)
        fold(state, entry)

    kept(path, run)
    monkeypatch.setattr(RunState, "fold", counted)
    assert shell("status")[0] == 0
    assert folded == run


def calls_of(path: Path, instances: int, shell: Shell) -> int:
    """Count the functions that `status` calls for a run over so many instances."""
    _, _, journal = roll(fleet_of(instances), Policy(waves=(EVERYTHING,)))
    kept(path, journal.entries, f"run-{instances}")
    found = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal found
        found += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        code, _, _ = shell("status", f"run-{instances}")
    finally:
        sys.setprofile(None)
    assert code == 0
    return found


def test_status_costs_the_same_for_each_instance(shell: Shell, path: Path) -> None:
    """Twice the instances cost twice the work at most: nothing looks through all of them for each."""
    calls_of(path, 10, shell)  # what is loaded and made once
    few, some, many = (calls_of(path, number, shell) for number in (100, 200, 400))
    assert many - some <= 2.1 * (some - few)


READERS: list[Callable[[Shell], object]] = [
    lambda shell: shell("runs"),
    lambda shell: shell("status"),
    lambda shell: shell("why", "run-1", LOST),
    lambda shell: shell("report", "run-1"),
]


@pytest.mark.parametrize("read", READERS)
def test_readers_change_no_byte(shell: Shell, path: Path, run: list[Entry], read: Callable[[Shell], object]) -> None:
    """A command that reads leaves the journal's file as it was."""
    kept(path, run)
    before = path.read_bytes()
    read(shell)
    assert path.read_bytes() == before
