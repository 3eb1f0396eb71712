"""Who we are and what time it is, from one answer of STS."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from orchestrator.aws.checks import greet
from orchestrator.aws.session import CredentialsFault
from tests.fake_fleet import VirtualClock

AT = 1_000_000.0


class OneClient:
    """A session that has STS."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def sts_brief(self) -> Any:
        return self._client


def stubbed() -> tuple[Any, Stubber]:
    session = botocore.session.Session()
    session.set_credentials("AKIA", "secret")
    client = session.create_client("sts", region_name="us-east-1")
    return OneClient(client), Stubber(client)


def dated(seconds: float) -> dict[str, Any]:
    """The metadata of an answer of that time."""
    return {"HTTPHeaders": {"date": format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)}}


def test_an_answer_names_us_and_the_time() -> None:
    """The skew is ours minus theirs, to the half second that the header leaves open."""
    session, stubber = stubbed()
    answer = {"Arn": "arn:aws:iam::1:user/anna", "Account": "1", "UserId": "x", "ResponseMetadata": dated(AT - 90)}
    stubber.add_response("get_caller_identity", answer)
    with stubber:
        greeting = greet(session, VirtualClock(AT))
    assert greeting.arn == "arn:aws:iam::1:user/anna"
    assert greeting.fault is None
    assert greeting.skew == pytest.approx(90, abs=0.5)


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredToken", "RequestExpired"])
def test_a_refusal_tells_the_time_too(code: str) -> None:
    """A clock that is so wrong that AWS refuses every signature is found by the refusal itself."""
    session, stubber = stubbed()
    stubber.add_client_error("get_caller_identity", code, "Signature expired", 403, response_meta=dated(AT + 7200))
    with stubber:
        greeting = greet(session, VirtualClock(AT))
    assert isinstance(greeting.fault, CredentialsFault)
    assert code in greeting.fault.message
    assert greeting.skew == pytest.approx(-7200, abs=0.5)


def test_an_answer_without_a_date_has_no_time() -> None:
    """A proxy may take the header away: then the clock is not judged."""
    session, stubber = stubbed()
    stubber.add_response("get_caller_identity", {"Arn": "arn:aws:iam::1:user/anna", "Account": "1", "UserId": "x"})
    with stubber:
        assert greet(session, VirtualClock(AT)).skew is None
