"""What Secrets Manager does around a rotation function: it announces a version, and calls step after step."""

from dataclasses import dataclass

import boto3
from moto.secretsmanager.models import secretsmanager_backends

from orchestrator.clock import SystemClock

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@dataclass(frozen=True)
class Context:
    """Lambda's context, with so many seconds left."""

    seconds: int

    def get_remaining_time_in_millis(self) -> int:
        return self.seconds * 1000


def announce(token: str) -> None:
    """Begin a rotation: a version without a value is AWSPENDING. moto does so only where it can start a Lambda."""
    account, region = boto3.client("sts").get_caller_identity()["Account"], boto3.client("sts").meta.region_name
    secret = secretsmanager_backends[account][region].secrets["registry"]
    for each in secret.versions.values():
        each["version_stages"] = [label for label in each["version_stages"] if label != "AWSPENDING"]
    version = {"createdate": int(SystemClock().now()), "version_id": token, "version_stages": ["AWSPENDING"]}
    secret.versions.setdefault(token, version)
