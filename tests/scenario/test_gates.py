"""Each gate in the lab: what it says is what the run does, and the report says why."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from tests.scenario.conftest import Answer, Workplace, fleet

Start = Callable[..., Workplace]


@pytest.fixture
def place(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """Two instances, and gates that are asked twice a second."""
    monkeypatch.setattr("orchestrator.gatekeeper.EVERY", 0.5)
    place = workplace(*fleet(2))
    place.put_secret()
    return place


def run(place: Workplace, *flags: str) -> Answer:
    return place.rollout("run", "--max-unavailable=100%", "--output", "json", *flags)


def said(answer: Answer) -> list[tuple[str, str]]:
    """What the gates said, in the order in which they said it."""
    return [(each["gate"], each["word"]) for each in answer.report["gates"]]


def alarm(state: str) -> None:
    client = boto3.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="errors", MetricName="errors", Namespace="web", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    client.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")  # type: ignore[arg-type]  # a state by name


@pytest.mark.parametrize(
    ("state", "flags", "halted"),
    [
        ("ALARM", (), "gate alarm: in ALARM: errors"),
        ("INSUFFICIENT_DATA", ("--alarm-missing-data", "stop"), "gate alarm: no data: errors"),
        ("INSUFFICIENT_DATA", ("--alarm-missing-data", "go"), ""),
        ("OK", (), ""),
    ],
)
def test_alarms(place: Workplace, state: str, flags: tuple[str, ...], halted: str) -> None:
    """An alarm that rings stops the run before anything is touched, and the report says which."""
    alarm(state)
    done = run(place, "--alarm", "errors", *flags)
    assert (done.code, done.report["run"]["halted"]) == (1 if halted else 0, halted)
    assert said(done) == [("alarm", "stop" if halted else "go")]
    assert len(place.touched()) == (0 if halted else 2)


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--alarm", "nobody"), "There is no alarm nobody."),
        (("--gate-command", "/no/such --flag"), "There is no command /no/such that could be run."),
    ],
)
def test_a_gate_that_is_not_there_is_an_error_at_once(
    place: Workplace, command: str, flags: tuple[str, ...], said: str
) -> None:
    """What can never be asked ends plan and run with 2, before the cluster is locked or anybody looked at."""
    answer = place.rollout(command, *flags)
    assert (answer.code, answer.out) == (2, "")
    assert f"error: {said}" in answer.err
    assert (place.calls("SendCommand"), place.calls("PutParameter")) == (0, 0)


def test_a_plan_does_not_run_the_gates_command(place: Workplace) -> None:
    """Planning reads only: what the command would do is not done."""
    trace = place.directory / "asked"
    answer = place.rollout("plan", "--gate-command", f"touch {trace}")
    assert (answer.code, trace.exists()) == (0, False)


class OpensAfter(dict[str, float]):
    """Calendars that are all closed until far in the future, and open once they were asked for often enough."""

    UNTIL = 4_000_000_000.0

    def __init__(self, asked: int) -> None:
        super().__init__(freeze=self.UNTIL, other=0.0)
        self.left = asked

    def __getitem__(self, name: str) -> float:
        self.left -= name == "freeze"
        return super().__getitem__(name) if self.left > 0 else 0.0


def test_a_closed_calendar_holds_until_it_opens(place: Workplace) -> None:
    """While the calendar is closed nobody is admitted; the report says for how long and until when it was."""
    calendar = OpensAfter(asked=4)
    place.lab.ssm.calendars.closed_until = calendar
    done = run(place, "--change-calendar", "freeze", "--change-calendar", "other")
    assert done.code == 0, done.err
    assert said(done) == [("calendar", "hold"), ("calendar", "go")]
    hold, _ = done.report["gates"]
    moment = datetime.fromtimestamp(OpensAfter.UNTIL, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert hold["reason"] == f"the change calendar is closed until {moment}"
    begun = [each["phases"][1]["started_at"] for each in done.report["instances"]]
    assert min(begun) >= hold["ended_at"]
    text = place.cli("report", done.report["run"]["id"]).out
    assert "Gate calendar said hold for" in text


def test_a_calendar_that_is_not_there_fails_closed(place: Workplace) -> None:
    """A gate that cannot be asked holds, and after --gate-timeout it halts the run: nobody was touched."""
    done = run(place, "--change-calendar", "nobody", "--gate-timeout", "2s")
    assert done.code == 1
    assert said(done) == [("calendar", "hold")]
    assert done.report["run"]["halted"].startswith("gate calendar cannot be asked for ")
    assert "nobody" in done.report["run"]["halted"]
    assert place.touched() == []


def closed_window() -> str:
    """A window that is closed now and for hours."""
    begins = datetime.now(UTC) + timedelta(hours=6)  # noqa: TID251 - the lab's clock is the real one
    return f"daily {begins:%H}:00-{begins:%H}:30 UTC"


def test_a_closed_window_holds(place: Workplace) -> None:
    """While no window is open nobody is admitted, until another gate ends the wait."""
    asked = place.directory / "asked"
    script = f"echo x >> {asked}; if [ $(wc -l < {asked}) -gt 3 ]; then echo enough; exit 1; fi"
    window = closed_window()
    done = run(place, "--window", window, "--gate-command", f"sh -c '{script}'")
    assert done.code == 1
    assert done.report["run"]["halted"] == "gate command: enough"
    assert [each["reason"] for each in done.report["gates"] if each["gate"] == "window"] == [
        f"no window is open ({window})"
    ]
    assert place.touched() == []


def test_the_deadline_lets_a_run_go_on_outside_its_window(place: Workplace) -> None:
    """Close to the deadline the run goes on although no window is open, and JSON and text say so."""
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()  # noqa: TID251 - the lab's clock is the real one
    window = closed_window()
    done = run(place, "--window", window, "--deadline", soon, "--deadline-lead", "2h")
    assert done.code == 0, done.err
    (go,) = done.report["gates"]
    assert (go["overruled"], "the deadline" in go["reason"], window in go["reason"]) == (True, True, True)
    text = " ".join(place.cli("report", done.report["run"]["id"]).out.split())
    assert "Gate window did not count any more: the deadline 20" in text


def test_a_command_of_ones_own_goes_holds_and_stops(place: Workplace) -> None:
    """The command is asked again and again, with the run and the cluster in its environment; its last word counts."""
    asked = place.directory / "asked"
    program = (
        "import os, pathlib, sys; file = pathlib.Path(sys.argv[1]); "
        "count = len(file.read_text().splitlines()) if file.exists() else 0; "
        "file.open('a').write(os.environ['ECS_ROLLOUT_RUN'] + ' ' + os.environ['ECS_ROLLOUT_CLUSTER'] + chr(10)); "
        "print('busy' if count < 3 else 'quiet'); sys.exit(75 if count < 3 else int(sys.argv[2]))"
    )
    command = f"{sys.executable} -c '{program.replace(chr(39), chr(34))}' {asked}"
    done = run(place, "--gate-command", f"{command} 0")
    assert done.code == 0, done.err
    assert said(done) == [("command", "hold"), ("command", "go")]
    assert [each["reason"] for each in done.report["gates"]] == ["busy", "quiet"]
    assert set(asked.read_text().splitlines()) == {f"{done.report['run']['id']} demo"}
    asked.unlink()
    place.put_secret({**place.login, "other.example.com": {"username": "a", "password": "b"}}, name="second")
    stopped = place.rollout(
        "run", "--gate-command", f"{command} 1", "--no-probe", "--output", "json", source="secretsmanager:second"
    )
    assert stopped.report["run"]["halted"] == "gate command: quiet"
    assert {host.agent.starts for host in place.lab.hosts.values()} == {2}


def test_several_gates_must_all_say_go(place: Workplace) -> None:
    """One hold among go's holds; the report names each gate."""
    alarm("OK")
    place.lab.ssm.calendars.closed_until = OpensAfter(asked=4)
    flags = ("--window", "daily 00:00-23:59 UTC", "--window", "daily 12:00-11:59 UTC", "--gate-command", "true")
    done = run(place, "--alarm", "errors", "--change-calendar", "freeze", *flags)
    assert done.code == 0, done.err
    assert sorted(said(done)) == [
        ("alarm", "go"), ("calendar", "go"), ("calendar", "hold"), ("command", "go"), ("window", "go"),
    ]  # fmt: skip
