"""Run Command's adapter on a real wire: SendCommand is sent once, whatever the wire does."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestrator.aws.documents import Pin
from orchestrator.aws.session import Session
from orchestrator.aws.ssm import SsmCommands, normalised
from orchestrator.core.result import Op
from orchestrator.errors import EnvironmentFault
from orchestrator.ports import Accepted, Answer, Doubtful, Order, Rejected
from tests.fake_fleet import VirtualClock

ORDER = Order(
    op=Op.APPLY,
    instance_ids=("i-1", "i-2"),
    parameters={"RunId": "r"},
    comment="ecs-rollout r apply-1",
    delivery_seconds=60,
)
SENT: "Reply" = (200, {"Command": {"CommandId": "12345678-1234-1234-1234-123456789012"}})

Reply = tuple[int, dict[str, object]] | None


class Wire:
    """An endpoint that answers what it was told to; None cuts the connection after the request was read."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.seen: list[tuple[str, dict[str, object]]] = []
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                wire.seen.append((self.headers["X-Amz-Target"].rpartition(".")[2], body))
                reply = wire.replies.pop(0)
                if reply is None:
                    self.close_connection = True
                    return
                text = json.dumps(reply[1]).encode()
                self.send_response(reply[0])
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    wire = Wire()
    thread = threading.Thread(target=wire.server.serve_forever)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": wire.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    yield wire
    wire.server.shutdown()
    wire.server.server_close()
    thread.join()


@pytest.fixture
def commands(wire: Wire) -> SsmCommands:  # noqa: ARG001 - the environment must be set first
    session = Session(region=None, profile=None)
    pins = {op: Pin(f"ecs-rollout-{op}", "3", "a" * 64) for op in Op}
    return SsmCommands(client=session.ssm(), once=session.ssm_once(), pins=pins, clock=VirtualClock(), attempts=4)


def error(status: int, code: str) -> Reply:
    return status, {"__type": code, "message": "told so"}


@pytest.mark.parametrize(
    ("replies", "check"),
    [
        ([SENT], lambda answer: isinstance(answer, Accepted)),
        ([None], lambda answer: isinstance(answer, Doubtful)),
        ([error(500, "InternalServerError")], lambda answer: isinstance(answer, Doubtful)),
        ([error(503, "ServiceUnavailable")], lambda answer: isinstance(answer, Doubtful)),
        ([error(400, "InvalidInstanceId")], lambda answer: answer == Rejected(answer.detail, instances=True)),
        ([error(400, "InvalidDocumentVersion")], lambda answer: answer == Rejected(answer.detail, instances=False)),
        ([error(400, "AccessDeniedException")], lambda answer: "ssm:SendCommand" in answer.detail),
        ([error(400, "ThrottlingException")] * 3 + [SENT], lambda answer: isinstance(answer, Accepted)),
        ([error(400, "ThrottlingException")] * 4, lambda answer: isinstance(answer, Rejected)),
        ([error(400, "ThrottlingException"), None], lambda answer: isinstance(answer, Doubtful)),
    ],
)
def test_send_command_is_sent_once(
    wire: Wire, commands: SsmCommands, replies: list[Reply], check: Callable[[Answer], bool]
) -> None:
    """Only throttling, by which AWS says that nothing was begun, is tried again; every other trouble is not (F70)."""
    wire.replies = list(replies)
    assert check(commands.send(ORDER))
    assert [name for name, _ in wire.seen] == ["SendCommand"] * len(replies)


def test_a_command_that_cannot_leave_is_surely_not_sent(wire: Wire, commands: SsmCommands) -> None:
    """When no connection comes about at all there is no doubt: nothing was sent."""
    wire.server.shutdown()
    wire.server.server_close()
    assert isinstance(commands.send(ORDER), Rejected)


def test_what_is_sent_is_pinned_and_bounded(wire: Wire, commands: SsmCommands) -> None:
    """The command names the exact version and hash, our comment, our delivery timeout, and no quota of SSM's."""
    wire.replies = [SENT]
    commands.send(ORDER)
    ((_, body),) = wire.seen
    assert body == {
        "DocumentName": "ecs-rollout-apply",
        "DocumentVersion": "3",
        "DocumentHash": "a" * 64,
        "DocumentHashType": "Sha256",
        "InstanceIds": ["i-1", "i-2"],
        "Parameters": {"RunId": ["r"]},
        "Comment": "ecs-rollout r apply-1",
        "TimeoutSeconds": 60,
        "MaxConcurrency": "100%",
        "MaxErrors": "100%",
    }


def test_reading_is_retried(wire: Wire, commands: SsmCommands) -> None:
    """A cut connection while polling is tried again by botocore: reading twice does no harm."""
    wire.replies = [None, (200, {"CommandInvocations": []})]
    assert commands.poll("12345678-1234-1234-1234-123456789012") == []


def test_a_denied_read_names_the_action(wire: Wire, commands: SsmCommands) -> None:
    """A missing permission is one error that names the action to allow."""
    wire.replies = [error(400, "AccessDeniedException")]
    with pytest.raises(EnvironmentFault, match="ssm:ListCommandInvocations") as caught:
        commands.poll("12345678-1234-1234-1234-123456789012")
    assert "ssm:ListCommandInvocations" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "details", "busy"),
    [
        ("Pending", "Pending", True),
        ("InProgress", "InProgress", True),
        ("Cancelling", "Cancelling", True),
        ("Success", "Success", False),
        ("Success", "NoInstancesInTag", False),
        ("Failed", "Failed", False),
        ("Failed", "Incomplete", False),
        ("TimedOut", "TimedOut", False),
        ("Cancelled", "Cancelled", False),
    ],
)
def test_a_command_is_under_way_until_its_status_says_otherwise(
    wire: Wire, commands: SsmCommands, status: str, details: str, *, busy: bool
) -> None:
    """A predecessor's command that ended, in whatever way, is not waited for; one of another run never is."""
    ours = {"Comment": "ecs-rollout old apply-1", "Status": status, "StatusDetails": details}
    other = {"Comment": "ecs-rollout older apply-1", "Status": "InProgress", "StatusDetails": "InProgress"}
    wire.replies = [(200, {"Commands": [ours, other]})]
    assert commands.busy("old", 0) is busy


def test_one_call_counts_what_has_ended_of_every_command(wire: Wire, commands: SsmCommands) -> None:
    """The overview lists the commands of one document since then, 50 on a page, and nobody else's."""
    wire.replies = [
        (200, {"Commands": [{"CommandId": "a", "CompletedCount": 49}, {"CommandId": "b"}], "NextToken": "more"}),
        (200, {"Commands": [{"CommandId": "c", "CompletedCount": 0}]}),
    ]
    assert commands.ended(Op.APPLY, 1_764_160_060.0) == {"a": 49, "b": 0, "c": 0}
    operation, asked = wire.seen[0]
    assert operation.endswith("ListCommands")
    assert asked == {
        "Filters": [
            {"key": "InvokedAfter", "value": "2025-11-26T12:26:40Z"},
            {"key": "DocumentName", "value": "ecs-rollout-apply"},
        ],
        "MaxResults": 50,
    }


@pytest.mark.parametrize(
    ("details", "ended"),
    [
        ("Success", True),
        ("Undeliverable", True),
        ("Delivery Timed Out", True),
        ("Execution Timed Out", True),
        ("Terminated", True),
        ("Access Denied", True),
        ("Invalid Platform", True),
        ("Cancelled", True),
        ("InProgress", False),
        ("Pending", False),
        ("Delayed", False),
        ("Cancelling", False),
    ],
)
def test_an_invocation_has_ended_when_its_details_say_so(
    wire: Wire, commands: SsmCommands, details: str, *, ended: bool
) -> None:
    """Decided on StatusDetails, in either spelling (F74)."""
    invocation = {"InstanceId": "i-1", "Status": "Failed", "StatusDetails": details, "CommandPlugins": []}
    wire.replies = [(200, {"CommandInvocations": [invocation]})]
    (seen,) = commands.poll("12345678-1234-1234-1234-123456789012")
    assert (seen.ended, seen.stdout) == (ended, "")


@pytest.mark.parametrize("spelling", ["Delivery Timed Out", "DeliveryTimedOut"])
def test_both_spellings_of_a_status_are_one(spelling: str) -> None:
    """AWS writes status details with and without spaces (F74)."""
    assert normalised(spelling) == "deliverytimedout"
