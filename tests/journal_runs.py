"""Runs to put into journals, and a table to put them into."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

from orchestrator.aws.journal import DynamoJournal
from orchestrator.core.amount import Amount
from orchestrator.core.events import Entry
from orchestrator.core.model import Ping
from orchestrator.core.settings import EVERYTHING, Policy
from tests.fake_fleet import Host, VirtualClock, fleet_of, roll

TABLE = "rollouts"


@contextmanager
def a_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    """A journal's table, in moto."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        assert DynamoJournal(client=client, clock=VirtualClock(), table=TABLE).make()
        yield client


def troubled_run() -> list[Entry]:
    """A run of 12 instances with a lost result, one that is not reached and one that is refused."""
    hosts = fleet_of(12)
    hosts[2].behaviour = "lost_restored"
    hosts[4].ping = Ping.CONNECTION_LOST
    hosts[6].persistence = "ephemeral"
    return roll(hosts, Policy(max_failures=(Amount.parse("1"),), max_unreachable=(EVERYTHING,)))[2].entries


def large_run(count: int, *, stopped: bool = False) -> list[Entry]:
    """A run of `count` healthy instances, all at once, or `stopped` before the first; ids are random as AWS's are."""
    hosts = [Host(f"i-{digest(number)[:17]}", zone="abc"[number % 3]) for number in range(count)]
    policy = Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING)
    return roll(hosts, policy, stop_requested=lambda: "stopped by a signal" if stopped else "")[2].entries


def digest(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()
