"""Gates that ask: AWS, and a command of the user's own."""

import sys
from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_cloudwatch import CloudWatchClient

from orchestrator.aws.gates import AlarmGate, CalendarGate
from orchestrator.core.gates import Word
from orchestrator.errors import EnvironmentFault
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
    with pytest.raises(EnvironmentFault, match="no alarm nobody"):
        AlarmGate(client=cloudwatch, alarms=("errors", "nobody")).ask(0)


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
    answer = CommandGate(command=(sys.executable, "-c", program)).ask(0)
    assert (answer.word, answer.reason) == (word, reason)


@pytest.mark.parametrize(
    "command",
    [
        ("/nowhere/at/all",),
        (sys.executable, "-c", "import sys; sys.stdin.read(); import threading; threading.Event().wait(9)"),
    ],
)
def test_a_command_that_cannot_be_asked_is_trouble(command: tuple[str, ...]) -> None:
    """A command that is not there, or does not end, is no answer."""
    with pytest.raises(EnvironmentFault, match="the command"):
        CommandGate(command=command, seconds=0.3).ask(0)


def test_without_windows_there_is_no_way_in() -> None:
    """A window gate without an open window holds."""
    assert WindowGate(windows=(), needed=0).ask(0).word is Word.HOLD
