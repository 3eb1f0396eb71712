"""Notices to SNS and EventBridge: what is asked of AWS, and what it may answer."""

import json

import boto3
import pytest
from botocore.stub import ANY, Stubber

from orchestrator.aws.notices import BusChannel, TopicChannel
from orchestrator.core.model import OutcomeKind
from orchestrator.core.notices import BusTarget, Moment, Notice, Problem, TopicTarget
from orchestrator.core.reasons import Reason
from orchestrator.errors import EnvironmentFault

NOTICE = Notice(
    moment=Moment.ENDED,
    cluster="web",
    account="123456789012",
    region="eu-central-1",
    run="run-1",
    at=7.0,
    subject="a subject",
    text="a text",
    counts=(("failed", 1),),
    problems=(Problem(outcome=OutcomeKind.FAILED, reason=Reason.AUTH_WARNING, instances=("i-1",)),),
    next="ecs-rollout report run-1",
)
TOPIC = "arn:aws:sns:eu-central-1:123456789012:night"
KEYS = {"region_name": "eu-central-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.mark.parametrize("fifo", [False, True])
def test_a_topic_gets_subject_text_and_attributes(*, fifo: bool) -> None:
    """Subscribers can filter by moment and cluster; a FIFO topic gets its group and its id against doubles."""
    client = boto3.client("sns", **KEYS)  # type: ignore[call-overload]  # the same keys for every client
    arn = f"{TOPIC}.fifo" if fifo else TOPIC
    expected = {
        "TopicArn": arn,
        "Subject": "a subject",
        "Message": "a text",
        "MessageAttributes": {
            "moment": {"DataType": "String", "StringValue": "ended"},
            "cluster": {"DataType": "String", "StringValue": "web"},
        },
        **({"MessageGroupId": "web", "MessageDeduplicationId": "run-1-ended-7"} if fifo else {}),
    }
    with Stubber(client) as stubber:
        stubber.add_response("publish", {"MessageId": "1"}, expected)
        TopicChannel(client, TopicTarget(arn=arn)).send(NOTICE)
        stubber.assert_no_pending_responses()


def test_an_event_says_what_the_text_says() -> None:
    """A rule can match source, kind, outcome counts and reasons; the text is there for whoever only passes it on."""
    client = boto3.client("events", **KEYS)  # type: ignore[call-overload]  # the same keys for every client
    sent: list[dict[str, str]] = []
    client.meta.events.register(
        "provide-client-params.events.PutEvents", lambda params, **_: sent.extend(params["Entries"])
    )
    with Stubber(client) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": ANY})
        BusChannel(client, BusTarget(bus="ops")).send(NOTICE)
    (entry,) = sent
    assert (entry["Source"], entry["DetailType"], entry["EventBusName"]) == (
        "ecs-rollout",
        "ECS Rollout Ended",
        "ops",
    )
    detail = json.loads(entry["Detail"])
    assert detail["schema"] == 1
    assert detail["counts"] == {"failed": 1}
    assert [(each["reason"], each["count"]) for each in detail["problems"]] == [("auth_warning", 1)]
    assert all(each["meaning"] and each["remedy"] for each in detail["problems"])
    assert detail["text"] == "a text"


def test_an_event_that_the_bus_does_not_take_is_an_error() -> None:
    """PutEvents answers 200 and counts what it did not take: that is told, not believed."""
    client = boto3.client("events", **KEYS)  # type: ignore[call-overload]  # the same keys for every client
    failed = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
    with Stubber(client) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [failed]}, {"Entries": ANY})
        with pytest.raises(EnvironmentFault, match="ThrottlingException: Rate exceeded"):
            BusChannel(client, BusTarget(bus="ops")).send(NOTICE)
