"""Gates that ask: AWS, and a command of the user's own."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_cloudwatch import CloudWatchClient

from orchestrator.aws.gates import AlarmGate, CalendarGate
from orchestrator.core.settings import Word
from orchestrator.errors import EnvironmentFault, UsageError
from orchestrator.gates import CommandGate, WindowGate


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudWatchClient]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("cloudwatch", region_name="us-east-1")
        for name in ("errors", "latency"):
            client.put_metric_alarm(
                AlarmName=name, MetricName=name, Namespace="web", Statistic="Sum", Period=60, EvaluationPeriods=1,
                Threshold=1, ComparisonOperator="GreaterThanThreshold",
            )  # fmt: skip
            client.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
        yield client


@pytest.mark.parametrize(
    ("state", "missing", "expected"),
    [
        ("OK", Word.HOLD, Word.GO),
        ("ALARM", Word.GO, Word.STOP),
        ("INSUFFICIENT_DATA", Word.HOLD, Word.HOLD),
        ("INSUFFICIENT_DATA", Word.GO, Word.GO),
        ("INSUFFICIENT_DATA", Word.STOP, Word.STOP),
    ],
)
def test_alarms(cloudwatch: CloudWatchClient, state: str, missing: Word, expected: Word) -> None:
    """A ringing alarm stops; one without data says what it was told to; the reason names the alarm."""
    cloudwatch.set_alarm_state(AlarmName="latency", StateValue=state, StateReason="test")  # type: ignore[arg-type]  # a state by name
    answer = AlarmGate(client=cloudwatch, alarms=("errors", "latency"), missing_data=missing).ask(0)
    assert answer.word is expected
    assert state == "OK" or "latency" in answer.reason


def test_an_alarm_that_is_not_there_is_no_go(cloudwatch: CloudWatchClient) -> None:
    """A misspelt alarm is an error, not silence."""
    with pytest.raises(UsageError, match="no alarm nobody"):
        AlarmGate(client=cloudwatch, alarms=("errors", "nobody")).ask(0)


@pytest.mark.parametrize(
    ("state", "expected"), [("OK", Word.GO), ("ALARM", Word.STOP), ("INSUFFICIENT_DATA", Word.HOLD)]
)
def test_composite_alarms(state: str, expected: Word) -> None:
    """A composite alarm counts like any other, also beside others: both types are asked for, on every page."""
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    asked = {"AlarmNames": ["errors", "all"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
    with Stubber(client) as stub:
        first = {"MetricAlarms": [{"AlarmName": "errors", "StateValue": "OK"}], "NextToken": "more"}
        stub.add_response("describe_alarms", first, asked)
        second = {"CompositeAlarms": [{"AlarmName": "all", "StateValue": state}]}
        stub.add_response("describe_alarms", second, {**asked, "NextToken": "more"})
        answer = AlarmGate(client=client, alarms=("errors", "all")).ask(0)
    assert (answer.word, "all" in answer.reason) == (expected, expected is not Word.GO)


def test_more_alarms_than_one_call_takes(cloudwatch: CloudWatchClient) -> None:
    """DescribeAlarms takes a hundred names: the hundred and first is asked for, too."""
    names = [f"alarm-{number:03}" for number in range(101)]
    for name in names:
        cloudwatch.put_metric_alarm(
            AlarmName=name, MetricName=name, Namespace="web", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    assert AlarmGate(client=cloudwatch, alarms=names).ask(0).word is Word.GO
    cloudwatch.set_alarm_state(AlarmName=names[-1], StateValue="ALARM", StateReason="test")
    assert AlarmGate(client=cloudwatch, alarms=names).ask(0).reason == "in ALARM: alarm-100"


@pytest.mark.parametrize(("state", "expected"), [("OPEN", Word.GO), ("CLOSED", Word.HOLD)])
def test_change_calendars(state: str, expected: Word) -> None:
    """A closed calendar holds, and says until when."""
    client = boto3.client("ssm", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    with Stubber(client) as stub:
        reply = {"State": state, "AtTime": "2026-11-24T00:00:00Z", "NextTransitionTime": "2026-11-25T00:00:00Z"}
        stub.add_response("get_calendar_state", reply, {"CalendarNames": ["freeze"]})
        answer = CalendarGate(client=client, calendars=("freeze",)).ask(0)
    assert answer.word is expected
    assert (state == "CLOSED") == ("2026-11-25" in answer.reason)


@pytest.mark.parametrize(
    ("program", "word", "reason"),
    [
        ("print('fine')", Word.GO, "fine"),
        ("print('first'); print('busy'); raise SystemExit(75)", Word.HOLD, "busy"),
        ("raise SystemExit('broken')", Word.STOP, "broken"),
        ("raise SystemExit(3)", Word.STOP, "the command ended with 3"),
        ("print('x' * 5000)", Word.GO, "x" * 200),
    ],
)
def test_a_command_of_ones_own(program: str, word: Word, reason: str) -> None:
    """Exit 0 is go, 75 hold, everything else stop; the last line that it prints is the reason."""
    answer = gate_of(sys.executable, "-c", program).ask(0)
    assert (answer.word, answer.reason) == (word, reason)


def test_a_command_knows_what_it_is_asked_for() -> None:
    """The command has our environment, and in it the run and the cluster."""
    program = "import os; print(os.environ['ECS_ROLLOUT_RUN'], os.environ['ECS_ROLLOUT_CLUSTER'], 'PATH' in os.environ)"
    assert gate_of(sys.executable, "-c", program).ask(0).reason == "run-1 web True"


def test_a_command_that_does_not_end_is_trouble(tmp_path: Path) -> None:
    """After its time it is killed with all that it has started, and that is no answer."""
    left = tmp_path / "left"
    script = f"(trap '' HUP; while [ -e {left} ]; do :; done; echo gone > {left}.gone) & wait"
    left.touch()
    with pytest.raises(EnvironmentFault, match="did not end in 0 s"):
        replace(gate_of("sh", "-c", script), seconds=0.3).ask(0)
    left.unlink()
    threading.Event().wait(0.3)
    assert not (tmp_path / "left.gone").exists()


def test_a_command_that_cannot_be_run_is_an_error() -> None:
    """A command that is not there will never answer: that is a wrong flag."""
    with pytest.raises(UsageError, match="cannot be run: No such file"):
        gate_of("/nowhere/at/all").ask(0)


def gate_of(*command: str) -> CommandGate:
    return CommandGate(command=command, run="run-1", cluster="web")


def test_without_windows_there_is_no_way_in() -> None:
    """A window gate without an open window holds."""
    assert WindowGate(windows=(), needed=0).ask(0).word is Word.HOLD
