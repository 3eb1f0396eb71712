"""Every store that a payload can be delivered over: fetched by curl, signed with the instance's own role (F77, F79)."""

import json
import shutil
from collections.abc import Callable

import boto3
import pytest

from orchestrator.lab.faults import Verdict
from orchestrator.lab.wire import AwsError
from tests.scenario.conftest import Answer, Workplace, fleet
from tests.scenario.iam_steps import bucket
from tests.support import tool

Start = Callable[..., Workplace]
FLAGS = {
    "ssm": (),
    "secretsmanager": ("--delivery", "secretsmanager"),
    "s3": ("--delivery", "s3", "--delivery-bucket", "payloads"),
}
# What AWS says to a clock that is wrong, to a role that is no longer valid, to too many, and of what is gone.
SAYS = {
    "payload_clock_skew": (
        AwsError(
            "InvalidSignatureException", "Signature expired: 20261124T000000Z is now earlier than 20261124T001000Z"
        ),
        AwsError("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
    ),
    "payload_denied": (
        AwsError("ExpiredTokenException", "The security token included in the request is expired"),
        AwsError("ExpiredToken", "The provided token has expired."),
    ),
    "payload_missing": (
        AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
        AwsError("NoSuchKey", "The specified key does not exist."),
    ),
}
THROTTLES = (AwsError("ThrottlingException", "Rate exceeded"), AwsError("SlowDown", "Please reduce your request rate."))


def ready(workplace: Start, count: int = 1) -> Workplace:
    """Start a lab with a bucket for payloads, and a credential in a file."""
    place = workplace(*fleet(count))
    bucket("payloads", "Enabled")
    path = place.directory / "credential.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(place.login))
    return place


def run(place: Workplace, store: str) -> Answer:
    source = f"file:{place.directory / 'credential.json'}"
    return place.rollout("run", "--max-unavailable=100%", *FLAGS[store], "--output", "json", source=source)


def fetches(place: Workplace) -> list[tuple[str, int]]:
    """Who asked a store for a payload, and with what status: instances only."""
    instances = place.lab.access.instances
    found = [each for each in place.lab.recorder.exchanges if each.caller in instances]
    return [(instances[each.caller], each.status) for each in found]


def answer_with(place: Workplace, monkeypatch: pytest.MonkeyPatch, *errors: AwsError) -> None:
    """Let the next fetches of a payload end with these errors; nobody but the instances asks for one."""
    left, verdict = list(errors), place.lab.faults.verdict

    def decide(operation: str) -> Verdict:
        is_fetch = operation == "GetSecretValue" or operation.startswith("GET /payloads/")
        return Verdict(error=left.pop(0)) if is_fetch and left else verdict(operation)

    monkeypatch.setattr(place.lab.faults, "verdict", decide)


@pytest.mark.parametrize(
    ("store", "versioning"), [("secretsmanager", "Enabled"), ("s3", "Enabled"), ("s3", "Suspended")]
)
def test_a_rollout_over_another_store(workplace: Start, store: str, versioning: str) -> None:
    """Each instance fetches once, with its own role and a signature that holds; nothing stays behind in the store."""
    place = ready(workplace, 2)
    client = bucket("payloads", "Enabled" if versioning == "Enabled" else "Suspended")
    done = run(place, store)
    assert done.code == 0, done.err
    assert set(done.outcomes.values()) == {"updated(verified)"}
    assert sorted(fetches(place)) == [(name, 200) for name in sorted(place.lab.hosts)]
    for host in place.lab.hosts.values():
        assert "new-password" in (host.root / "etc/ecs/ecs.config").read_text()
    assert "Versions" not in client.list_object_versions(Bucket="payloads")
    assert boto3.client("secretsmanager").list_secrets()["SecretList"] == []
    assert place.lab.slips == ()


@pytest.mark.parametrize("store", ["secretsmanager", "s3"])
def test_what_a_store_says_is_the_reason(workplace: Start, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    """A wrong clock, expired rights, a missing payload and a denied action each have their reason; nothing changes."""
    place = ready(workplace)
    (host,) = place.lab.hosts.values()
    before = (host.root / "etc/ecs/ecs.config").read_bytes()
    for reason, says in SAYS.items():
        answer_with(place, monkeypatch, says[store == "s3"])
        assert list(run(place, store).outcomes.values()) == [f"failed({reason})"]
    place.lab.access.denied.add(host.instance_id)
    done = run(place, store)
    assert list(done.outcomes.values()) == ["failed(payload_denied)"]
    assert ("s3:GetObject" if store == "s3" else "secretsmanager:GetSecretValue") in done.out
    place.lab.access.denied.clear()
    assert host.agent.starts == 1
    assert (host.root / "etc/ecs/ecs.config").read_bytes() == before
    answer_with(place, monkeypatch, THROTTLES[store == "s3"], THROTTLES[store == "s3"])
    assert list(run(place, store).outcomes.values()) == ["updated(verified)"]


def test_a_store_that_throttles_for_good(workplace: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttling that does not end is the reason, after five tries."""
    place = ready(workplace)
    answer_with(place, monkeypatch, *THROTTLES[:1] * 9)
    assert list(run(place, "secretsmanager").outcomes.values()) == ["failed(payload_throttled)"]
    assert len(fetches(place)) == 5


# A curl that cannot sign, and the real AWS CLI, as an instance's own folder of tools has them.
OLD_CURL = """#!/bin/sh
case "$*" in *--version) echo "curl 7.61.1 (x86_64)" && exit ;; *--aws-sigv4*) exit 2 ;; esac
exec {curl} "$@"
"""


@pytest.mark.parametrize("store", FLAGS)
def test_the_aws_cli_stands_in_for_an_old_curl(workplace: Start, store: str) -> None:
    """Where curl cannot sign, the real AWS CLI fetches from every store, with the instance's role and no other key."""
    aws = tool("aws", package="awscli")
    place = ready(workplace)
    (host,) = place.lab.hosts.values()
    for name, text in (("curl", OLD_CURL.format(curl=shutil.which("curl"))), ("aws", f'#!/bin/sh\nexec {aws} "$@"\n')):
        (host.root / "bin" / name).write_text(text)
        (host.root / "bin" / name).chmod(0o755)
    keys = host.root / "root/.aws/credentials"
    keys.parent.mkdir(parents=True)
    keys.write_text("[default]\naws_access_key_id = AKIASOMEBODY\naws_secret_access_key = x\n")
    place.lab.access.denied.add(host.instance_id)
    assert list(run(place, store).outcomes.values()) == ["failed(payload_denied)"]
    place.lab.access.denied.clear()
    done = run(place, store)
    assert list(done.outcomes.values()) == ["updated(verified)"], done.out
    assert {name for name, _ in fetches(place)} == {host.instance_id}
