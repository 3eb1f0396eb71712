"""Runs that nobody watches tell those who want to know, measure, and log; and none of it can hurt a run."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator.cli import rolling
from orchestrator.lab.scenario import AfterRestart
from tests.leaks import Scanner
from tests.receiver import Received, receiver
from tests.scenario.conftest import Workplace, fleet

Start = Callable[..., Workplace]

HOOK = "services/T0AB12/B0CD34/s3cr3tt0k3nOfTheHook"
PASSWORD = "c4n4ry-Pa55word-of-the-fleet"


class Mailbox:
    """An SQS queue behind a topic and a bus: what arrives there is what a subscriber gets."""

    def __init__(self, place: Workplace) -> None:
        self._sqs = boto3.client("sqs")
        self.url = self._sqs.create_queue(QueueName="night")["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{place.lab.scenario.account}:night"
        sns, events = boto3.client("sns"), boto3.client("events")
        self.topic = sns.create_topic(Name="night")["TopicArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        events.put_rule(Name="night", EventPattern=json.dumps({"source": ["ecs-rollout"]}))
        events.put_targets(Rule="night", Targets=[{"Id": "1", "Arn": arn}])

    def read(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while batch := self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for each in batch:
                found.append(json.loads(each["Body"]))
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"])
        return found


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    with receiver(HOOK) as received:
        monkeypatch.setenv("TEAM_HOOK", received.url)
        yield received


def metric(name: str) -> list[float]:
    """The values that CloudWatch holds for the demo cluster."""
    now = datetime.now(UTC)  # noqa: TID251 - CloudWatch is asked by real time
    answer = boto3.client("cloudwatch").get_metric_statistics(
        Namespace="team/registry", MetricName=name, Dimensions=[{"Name": "Cluster", "Value": "demo"}],
        StartTime=now - timedelta(hours=1), EndTime=now + timedelta(hours=1), Period=3600, Statistics=["Sum"],
    )  # fmt: skip
    return [each["Sum"] for each in answer["Datapoints"]]


def sorted_by_moment(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What came through the topic, and what came through the bus."""
    return [each for each in messages if "Subject" in each], [each for each in messages if "detail" in each]


def test_everybody_is_told_and_nothing_leaks(
    workplace: Start, hook: Received, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Topic, bus and webhook each get start, halt and end; CloudWatch gets the numbers; no secret is in any of it."""
    caplog.set_level(logging.DEBUG)
    place = workplace(*fleet(2, after_restart=AfterRestart.STAYS_DOWN))
    mailbox = Mailbox(place)
    place.lab.registry.logins["puller"] = (PASSWORD,)
    source = place.put_secret({place.lab.registry_name: {"username": "puller", "password": PASSWORD}})
    targets = (f"sns:{mailbox.topic}", "eventbridge:default", "webhook:env:TEAM_HOOK")
    told = [word for target in targets for word in ("--notify", target)]
    measured = ("--metrics", "cloudwatch:team/registry", "--metrics", "emf:team/registry")
    done = place.rollout("run", *told, *measured, "--log-format", "json", "--output", "json", source=source)

    assert done.code == 1, done.err
    assert done.report["run"]["undelivered"] == []
    run = done.report["run"]["id"]
    topic, bus = sorted_by_moment(mailbox.read())
    assert [each["MessageAttributes"]["moment"]["Value"] for each in topic] == ["started", "halted", "ended"]
    assert [each["detail-type"] for each in bus] == [f"ECS Rollout {word}" for word in ("Started", "Halted", "Ended")]
    assert len(hook.bodies) == 3
    for text in (topic[-1]["Message"], bus[-1]["detail"]["text"], hook.texts[-1]):
        assert f"cluster demo (account {place.lab.scenario.account}, us-east-1): HALTED." in text
        assert "1 rolled_back (agent_did_not_return): i-0000000000000000" in text
        assert f"Next: ecs-rollout report {run}" in text
    assert bus[-1]["detail"]["counts"] == {"rolled_back": 1, "not_attempted": 1}
    assert bus[-1]["detail"]["problems"][0]["reason"] == "agent_did_not_return"
    assert {name: metric(name) for name in ("RunFailed", "Failed", "Updated", "Unreachable", "Refused")} == {
        "RunFailed": [1.0], "Failed": [1.0], "Updated": [0.0], "Unreachable": [0.0], "Refused": [0.0],
    }  # fmt: skip
    assert metric("Duration")[0] > 0

    lines = [json.loads(line) for line in done.err.splitlines()]
    embedded = [line for line in lines if "_aws" in line]
    assert [(line["Cluster"], line["Failed"]) for line in embedded] == [("demo", 1.0)]
    assert all({"time", "level", "event", "message"} <= set(line) for line in lines if "_aws" not in line)
    assert {line["run"] for line in lines if "run" in line} == {run}

    scanner = Scanner([HOOK.rpartition("/")[2], PASSWORD])
    assert scanner.scan_files(tmp_path / "state") == []
    shown = [*place.said, caplog.text, *hook.texts, json.dumps(topic), json.dumps(bus)]
    assert scanner.scan_all({f"shown {number}": text.encode() for number, text in enumerate(shown)}) == []
    wire = {
        where: blob for where, blob in place.lab.recorder.chunks() if any(word in where for word in ("Put", "Publish"))
    }
    assert Scanner([HOOK.rpartition("/")[2]]).scan_all(wire) == []
    assert wire
    assert hook.paths == [f"/{HOOK}"] * 3


def test_a_notice_that_cannot_be_sent_is_reported_and_fails_nothing(
    workplace: Start, hook: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topic, webhook and CloudWatch all fail: the run ends as it would; stderr and the result say who was not told."""
    place = workplace(*fleet(1))
    source = place.put_secret()
    hook.status = [500]
    monkeypatch.setenv("GONE_HOOK", "http://127.0.0.1:1/services/s3cr3tt0k3n")
    place.lab.access.enforce(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "cloudwatch:*", "Resource": "*"},
            ],
        }
    )
    missing = f"sns:arn:aws:sns:us-east-1:{place.lab.scenario.account}:nobody"
    targets = (missing, "webhook:env:TEAM_HOOK", "webhook:env:GONE_HOOK", "webhook:ssm:/not/there")
    told = [word for target in targets for word in ("--notify", target)]
    done = place.rollout("run", *told, "--metrics", "cloudwatch:team", "--output", "json", source=source)
    assert done.code == 0, done.err
    troubles = done.report["run"]["undelivered"]
    assert len(troubles) == 9
    assert [each for each in done.err.splitlines() if each.startswith("warning: ")][-9:] == [
        f"warning: {each}" for each in troubles
    ]
    assert troubles[0].startswith("the metrics did not reach cloudwatch:team: Not allowed: cloudwatch:PutMetricData.")
    ended = [each for each in troubles if each.startswith("the notice 'ended' did not reach ")]
    assert [each.split()[6].rstrip(":") for each in ended] == list(targets)
    assert "the webhook answered 500" in ended[1]
    assert "no answer from the webhook" in ended[2]
    assert "There is no ssm:/not/there in us-east-1." in ended[3]
    assert "s3cr3t" not in done.err + done.out
    table = place.rollout("run", *told[:2], source=source)  # nothing to do: nobody is told, so nobody is missed
    assert table.code == 0
    assert "Not everybody" not in table.out


def test_what_keeps_a_run_from_beginning_is_told(workplace: Start, hook: Received) -> None:
    """A login that the registry refuses: no run, one notice that says why, and RunFailed for the alarm."""
    place = workplace(*fleet(1))
    bad = {place.lab.registry_name: {"username": "puller", "password": "revoked-yesterday"}}
    source = place.put_secret(bad)
    done = place.rollout(
        "run", "--notify", "webhook:env:TEAM_HOOK", "--metrics", "cloudwatch:team/registry", source=source
    )
    assert done.code == 3
    assert len(hook.texts) == 1
    text = hook.texts[0]
    assert (
        f"Rollout DID NOT RUN on cluster demo (account {place.lab.scenario.account}, us-east-1) (exit code 3)" in text
    )
    assert "No instance was changed." in text
    assert "Next: ecs-rollout plan --cluster demo --credential secretsmanager:registry" in text
    assert "revoked-yesterday" not in text
    assert metric("RunFailed") == [1.0]
    assert place.touched() == []


def test_errors_are_json_lines_where_logs_are(workplace: Start) -> None:
    """With --log-format json every line of stderr is one JSON object, the error with its hint, too."""
    place = workplace(*fleet(1))
    for arguments in (("--max-unavailable", "lots"), ()):
        done = place.rollout("run", "--log-format", "json", *arguments, source="secretsmanager:nothing")
        lines = [json.loads(line) for line in done.err.splitlines()]
        assert done.code == 2
        assert [(line["level"], line["event"]) for line in lines] == [("error", "error")]
        assert lines[0]["hint"]
    plain = place.rollout("run", source="secretsmanager:nothing")
    assert plain.err.startswith("error: ")


def test_without_a_terminal_a_good_run_is_a_line_per_wave(workplace: Start) -> None:
    """Nobody watches: the log holds what the run began with, its waves and its end; the plan's table is not in it."""
    place = workplace(*fleet(6))
    source = place.put_secret()
    done = place.rollout("run", "--max-unavailable=100%", source=source)
    assert done.code == 0
    lines = [line.partition("Z ")[2] for line in done.err.splitlines() if line[:2] == "20"]
    opened, begun = lines[1:-1:2], lines[2:-1:2]
    assert [line.partition(" to change")[0] for line in opened] == ["wave 1: 1", "wave 2: 2", "wave 3: 3"]
    assert all(re.match(r"wave \d: applying i-\w{17}.*: by \d\d:\d\d:\d\d UTC at the latest", line) for line in begun)
    assert lines[-1] == "ended: ok: 6 updated"
    assert "DECISION" not in done.err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--notify", "webhook:https://hooks.example.com/s3cr3t"), "--notify: a webhook's URL is a secret"),
        (("--notify", "sns:night"), "--notify: sns: is not followed by a topic's ARN."),
        (("--notify", "webhook:env:NOT_SET"), "--notify webhook:env:NOT_SET: there is no such environment variable."),
        (("--metrics", "cloudwatch:AWS/ECS"), "--metrics: 'cloudwatch:AWS/ECS' is no place for metrics."),
    ],
)
def test_bad_targets_are_refused_early(workplace: Start, flags: tuple[str, ...], expected: str) -> None:
    """What is no target is one error with its hint, before AWS is asked anything, and no URL is repeated."""
    place = workplace(*fleet(1), publish=False)
    done = place.rollout("run", *flags)
    assert done.code == 2
    assert done.err.startswith(f"error: {expected}")
    assert "s3cr3t" not in done.err
    assert len(place.lab.recorder.exchanges) == 0
    assert done.err.count("\n") == 2


def test_the_configuration_file_holds_them_too(workplace: Start, hook: Received, tmp_path: Path) -> None:
    """`notify` and `metrics` may stand in the file, as one text or as a list."""
    place = workplace(*fleet(1))
    source = place.put_secret()
    file = tmp_path / "web.toml"
    file.write_text('notify = ["webhook:env:TEAM_HOOK"]\nmetrics = "cloudwatch:team/registry"\nlog-format = "json"\n')
    done = place.rollout("run", "--config", str(file), source=source)
    assert done.code == 0, done.err
    assert len(hook.bodies) == 2
    assert metric("Updated") == [1.0]
    assert json.loads(done.err.splitlines()[0])


def test_a_defect_is_told_and_measured_too(workplace: Start, hook: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody expected must not be silent at night: who is told learns where it was, not what it said."""
    place = workplace(*fleet(1))
    source = place.put_secret()

    def fail(*_arguments: object, **_more: object) -> None:
        raise RuntimeError("s3cr3t")

    monkeypatch.setattr(rolling, "conduct", fail)
    done = place.rollout(
        "run", "--notify", "webhook:env:TEAM_HOOK", "--metrics", "cloudwatch:team/registry", source=source
    )
    assert done.code == 70
    (text,) = hook.texts
    assert "Rollout DID NOT RUN" in text
    assert "A defect of ecs-rollout: RuntimeError" in text
    assert "s3cr3t" not in text + done.err
    assert metric("RunFailed") == [1.0]
