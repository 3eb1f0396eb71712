"""Signatures are really checked, and an instance's role may do little."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.lab.access import ACCESS_KEY, SECRET_KEY
from tests.lab.bench import Bench, bench, instance_id, refused

FIRST = instance_id(0)


@pytest.fixture
def lab() -> Iterator[Bench]:
    with bench(1) as running:
        running.ssm_client.put_parameter(Name="/payload", Value="the payload", Type="SecureString")
        s3 = running.client("s3")
        s3.create_bucket(Bucket="payloads")
        s3.put_object(Bucket="payloads", Key="a b/ü", Body=b"the object")
        running.client("secretsmanager").create_secret(Name="payload", SecretString="the secret")
        yield running


def role(lab: Bench, service: str, *, secret: str | None = None, token: str | None = "") -> Any:
    given = lab.access.admit(FIRST)
    return lab.client(
        service,
        keys=(
            given.access_key_id,
            given.secret_access_key if secret is None else secret,
            given.token if token == "" else token,
        ),
    )


def curl(lab: Bench, scope: str, *arguments: str, secret: str | None = None) -> tuple[int, str]:
    """Sign with curl as an instance's script does: user and token on stdin."""
    given = lab.access.admit(FIRST)
    config = (
        f'user = "{given.access_key_id}:{secret or given.secret_access_key}"\n'
        f'header = "x-amz-security-token: {given.token}"\n'
    )
    done = subprocess.run(
        ["curl", "-q", "--noproxy", "*", "-sS", "-K", "-", "--aws-sigv4", scope, "-w", "\n%{http_code}", *arguments],
        input=config,
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, code = done.stdout.rpartition("\n")
    return int(code), body


def json_call(lab: Bench, target: str, body: dict[str, Any]) -> tuple[str, ...]:
    return (
        *("-H", "Content-Type: application/x-amz-json-1.1", "-H", f"X-Amz-Target: {target}"),
        *("--data-binary", json.dumps(body), f"http://127.0.0.1:{lab.server.port}/"),
    )


def test_curls_own_signatures_are_accepted(lab: Bench) -> None:
    """What a script signs with `curl --aws-sigv4` passes for both JSON stores and for S3 (F79)."""
    asked = json_call(lab, "AmazonSSM.GetParameter", {"Name": "/payload:1", "WithDecryption": True})
    status, body = curl(lab, "aws:amz:us-east-1:ssm", *asked)
    assert (status, json.loads(body)["Parameter"]["Value"]) == (200, "the payload")
    asked = json_call(lab, "secretsmanager.GetSecretValue", {"SecretId": "payload"})
    status, body = curl(lab, "aws:amz:us-east-1:secretsmanager", *asked)
    assert (status, json.loads(body)["SecretString"]) == (200, "the secret")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    url = f"http://127.0.0.1:{lab.server.port}/payloads/a%20b/%C3%BC"
    signed = curl(lab, "aws:amz:us-east-1:s3", "-H", f"x-amz-content-sha256: {empty}", url)
    assert signed == (200, "the object")


def test_a_wrong_secret_is_noticed(lab: Bench) -> None:
    """A signature made with anything but the key's secret is refused, by boto3 and by curl."""
    with refused("InvalidSignatureException"):
        lab.client("ssm", keys=(ACCESS_KEY, "wrong", None)).list_commands()
    with refused("SignatureDoesNotMatch"):
        lab.client("s3", keys=(ACCESS_KEY, "wrong", None)).list_objects_v2(Bucket="payloads")
    asked = json_call(lab, "AmazonSSM.GetParameter", {"Name": "/payload"})
    status, body = curl(lab, "aws:amz:us-east-1:ssm", *asked, secret="wrong")
    assert (status, json.loads(body)["__type"]) == (400, "InvalidSignatureException")


def test_role_credentials_need_their_token(lab: Bench) -> None:
    """Temporary keys are worth nothing without the session token."""
    with refused("UnrecognizedClientException"):
        role(lab, "ssm", token=None).get_parameter(Name="/payload")
    with refused("InvalidToken"):
        role(lab, "s3", token="other").get_object(Bucket="payloads", Key="a b/ü")


def test_a_role_reads_payloads_and_nothing_else(lab: Bench) -> None:
    """An instance cannot write a parameter or send a command (F78)."""
    own = role(lab, "ssm")
    assert own.get_parameter(Name="/payload", WithDecryption=True)["Parameter"]["Value"] == "the payload"
    assert role(lab, "s3").get_object(Bucket="payloads", Key="a b/ü")["Body"].read() == b"the object"
    with refused("AccessDeniedException", saying=FIRST):
        own.put_parameter(Name="/payload", Value="x", Type="String", Overwrite=True)
    with refused("AccessDenied"):
        role(lab, "s3").put_object(Bucket="payloads", Key="x", Body=b"")
    with refused("AccessDenied"):
        role(lab, "sns").create_topic(Name="x")


def test_an_instance_can_be_denied_its_payload(lab: Bench) -> None:
    """A role without the permission is refused by name (F78)."""
    lab.access.denied.add(FIRST)
    with refused("AccessDeniedException"):
        role(lab, "ssm").get_parameter(Name="/payload")


def test_an_unsigned_amazon_header_is_noticed(lab: Bench) -> None:
    """Every x-amz header must be under the signature."""
    client = lab.client("ssm")

    def add(request: Any, **_more: Any) -> None:
        request.headers["x-amz-extra"] = "1"

    client.meta.events.register("before-send.ssm", add)
    with refused("InvalidSignatureException", saying="x-amz-extra"):
        client.list_commands()


def test_odd_characters_in_queries_are_signed_alike(lab: Bench) -> None:
    """The canonical query is built from what was sent, whatever it holds (F79)."""
    s3 = lab.client("s3")
    prefix = "a b/ü&=+~"
    s3.put_object(Bucket="payloads", Key=f"{prefix}/x", Body=b"")
    assert s3.list_objects_v2(Bucket="payloads", Prefix=prefix, Delimiter="|")["KeyCount"] == 1


def test_a_changed_body_is_noticed(lab: Bench) -> None:
    """The digest in the header must be the body's."""
    url = f"http://127.0.0.1:{lab.server.port}/payloads/new"
    status, body = curl(
        lab, "aws:amz:us-east-1:s3", "-X", "PUT", "-H", "x-amz-content-sha256: " + "0" * 64, "--data", "x", url
    )
    assert status == 403
    assert "XAmzContentSHA256Mismatch" in body


def test_other_keys_are_nobodys_business(lab: Bench) -> None:
    """A key that the lab did not hand out passes, and what moto issued acts in its own account."""
    assert lab.client("ssm", keys=("AKIAOTHER", "x", None)).list_commands()["Commands"] == []
    assumed = lab.client("sts").assume_role(RoleArn="arn:aws:iam::222222222222:role/other", RoleSessionName="session")[
        "Credentials"
    ]
    keys = (assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    assert lab.client("sts", keys=keys).get_caller_identity()["Account"] == "222222222222"
    assert lab.client("sts", keys=(ACCESS_KEY, SECRET_KEY, None)).get_caller_identity()["Account"] == "123456789012"


@pytest.mark.parametrize(("service", "code"), [("ssm", "InvalidSignatureException"), ("sts", "SignatureDoesNotMatch")])
def test_a_region_that_aws_does_not_have(lab: Bench, service: str, code: str) -> None:
    """It is refused by name, as at an endpoint of AWS, and is no fault of the lab."""
    caller = lab.client(service, region="eu-nowhere-1")
    with refused(code, saying="'eu-nowhere-1'"):
        caller.list_commands() if service == "ssm" else caller.get_caller_identity()
    assert lab.server.slips == []
