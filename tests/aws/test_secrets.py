"""The payload's delivery and the cluster's key, against moto and against scripted answers."""

import base64
import hashlib
import traceback
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from orchestrator.aws.secrets import (
    S3Delivery,
    SecretsManagerDelivery,
    SsmDelivery,
    cluster_key,
    payload_name,
)
from orchestrator.errors import EnvironmentFault, RefusedError, RolloutError

CANARY = "Y2FuYXJ5LXNlY3JldC1wYXlsb2Fk"
NAME = payload_name("web", "20260101-000000-abcd")
FRESH = bytes(range(32))


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def client(service: str) -> Any:
    return boto3.client(service, region_name="eu-west-1")  # type: ignore[call-overload]


def tier_of(name: str) -> str:
    return str(
        client("ssm").describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [name]}])["Parameters"][0]["Tier"]
    )


@pytest.mark.parametrize(
    ("size", "tier"), [(28, "Standard"), (4096, "Standard"), (4097, "Advanced"), (8192, "Advanced")]
)
def test_ssm_holds_the_payload_at_a_pinned_version(size: int, tier: str) -> None:
    """A SecureString in the tier that its size asks for; its version, URL and digest are what instances get."""
    payload = "A" * size
    found = SsmDelivery(client("ssm")).deliver(NAME, payload)
    stored = client("ssm").get_parameter(Name=f"{found.name}:{found.version}", WithDecryption=True)["Parameter"]
    assert (stored["Value"], stored["Type"], tier_of(NAME)) == (payload, "SecureString", tier)
    assert found.url == "https://ssm.eu-west-1.amazonaws.com"
    assert (found.store, found.region) == ("ssm", "eu-west-1")
    assert found.digest == hashlib.sha256(payload.encode()).hexdigest()
    assert found.name == "/ecs-rollout/web/payload/20260101-000000-abcd"


def test_ssm_delivery_again_makes_another_version() -> None:
    """A run that delivers twice pins the second version; nothing is in its way."""
    delivery = SsmDelivery(client("ssm"))
    assert [delivery.deliver(NAME, text).version for text in ("AAAA", "BBBB")] == ["1", "2"]


@pytest.mark.parametrize(
    ("delivery", "size", "alternative"),
    [(SsmDelivery, 8193, "secretsmanager"), (SecretsManagerDelivery, 65537, "s3")],
)
def test_a_payload_too_large_names_the_alternative(delivery: Any, size: int, alternative: str) -> None:
    """The error says how large, how large it may be, and which store takes it."""
    with pytest.raises(RefusedError) as caught:
        delivery(None).deliver(NAME, "A" * size)
    assert alternative in caught.value.hint
    assert str(size) in caught.value.message


def test_secretsmanager_holds_the_payload_at_a_pinned_version() -> None:
    """The version that instances are told is the one that was stored, for a first and a second delivery."""
    delivery = SecretsManagerDelivery(client("secretsmanager"))
    found = delivery.deliver(NAME, "AAAA")
    for payload in (CANARY, CANARY * 400):
        found = delivery.deliver(NAME, payload)
        stored = client("secretsmanager").get_secret_value(SecretId=found.name, VersionId=found.version)
        assert stored["SecretString"] == payload
    assert found.url == "https://secretsmanager.eu-west-1.amazonaws.com"
    delivery.remove(found)
    delivery.remove(found)
    assert client("secretsmanager").list_secrets()["SecretList"] == []


@pytest.mark.parametrize("versioned", [True, False])
def test_s3_holds_the_payload_and_gives_it_up_for_good(versioned: bool) -> None:  # noqa: FBT001 - a table's column
    """The object is encrypted with KMS, its URL is botocore's, and a removal leaves no version behind."""
    s3 = client("s3")
    s3.create_bucket(Bucket="creds", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    if versioned:
        s3.put_bucket_versioning(Bucket="creds", VersioningConfiguration={"Status": "Enabled"})
    delivery = S3Delivery(s3, "creds")
    found = delivery.deliver(NAME, CANARY)
    assert found.url == f"https://creds.s3.eu-west-1.amazonaws.com{NAME}"
    assert found.name == f"creds{NAME}"
    assert (found.version != "null") == versioned
    stored = s3.get_object(Bucket="creds", Key=NAME[1:])
    assert stored["Body"].read().decode() == CANARY
    assert stored["ServerSideEncryption"] == "aws:kms"
    delivery.remove(found)
    delivery.remove(found)
    left = s3.list_object_versions(Bucket="creds")
    assert (left.get("Versions", []), left.get("DeleteMarkers", [])) == ([], [])


def test_a_customer_key_is_used_by_every_store() -> None:
    """The key that was asked for is the one that encrypts."""
    key = client("kms").create_key()["KeyMetadata"]["KeyId"]
    s3 = client("s3")
    s3.create_bucket(Bucket="creds", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    SsmDelivery(client("ssm"), kms_key=key).deliver(NAME, CANARY)
    SecretsManagerDelivery(client("secretsmanager"), kms_key=key).deliver(NAME, CANARY)
    S3Delivery(s3, "creds", kms_key=key).deliver(NAME, CANARY)
    filters = [{"Key": "Name", "Values": [NAME]}]
    assert client("ssm").describe_parameters(ParameterFilters=filters)["Parameters"][0]["KeyId"] == key
    assert client("secretsmanager").describe_secret(SecretId=NAME)["KmsKeyId"] == key
    assert s3.head_object(Bucket="creds", Key=NAME[1:])["SSEKMSKeyId"] == key


def test_a_removed_parameter_is_gone_and_may_be_removed_again() -> None:
    """Removal is final and repeatable, as a sweep after a crash needs."""
    delivery = SsmDelivery(client("ssm"))
    found = delivery.deliver(NAME, CANARY)
    delivery.remove(found)
    delivery.remove(found)
    with pytest.raises(ClientError):
        client("ssm").get_parameter(Name=NAME)


def test_the_key_is_made_once() -> None:
    """A second controller gets the first one's key, whatever randomness it brings."""
    assert cluster_key(client("ssm"), "web", FRESH) == FRESH
    assert cluster_key(client("ssm"), "web", bytes(32)) == FRESH
    assert client("ssm").get_parameter(Name="/ecs-rollout/web/key")["Parameter"]["Type"] == "SecureString"


def test_two_controllers_at_once_agree_on_one_key() -> None:
    """Who loses the creation takes the winner's key."""
    ssm = client("ssm")
    winner = base64.b64encode(FRESH).decode()
    with Stubber(ssm) as stub:
        stub.add_client_error("get_parameter", "ParameterNotFound")
        stub.add_client_error("put_parameter", "ParameterAlreadyExists")
        stub.add_response(
            "get_parameter", {"Parameter": {"Value": winner}}, {"Name": "/ecs-rollout/web/key", "WithDecryption": True}
        )
        assert cluster_key(ssm, "web", bytes(32)) == FRESH
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("value", ["", "no base64!", "c2hvcnQ="])
def test_a_key_that_is_no_key_is_not_used(value: str) -> None:
    """Somebody else's parameter under our name is an error that does not show it."""
    client("ssm").put_parameter(Name="/ecs-rollout/web/key", Value=value or " ", Type="SecureString")
    with pytest.raises(EnvironmentFault) as caught:
        cluster_key(client("ssm"), "web", FRESH)
    assert not value or value not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException", "ThrottlingException"])
@pytest.mark.parametrize(
    ("service", "operation", "make"),
    [
        ("ssm", "put_parameter", SsmDelivery),
        ("secretsmanager", "create_secret", SecretsManagerDelivery),
        ("s3", "put_object", lambda s3: S3Delivery(s3, "creds")),
    ],
)
def test_a_failed_delivery_does_not_repeat_what_it_carried(code: str, service: str, operation: str, make: Any) -> None:
    """AWS's validation messages quote the value: neither our error nor its traceback does."""
    stubbed = client(service)
    with Stubber(stubbed) as stub:
        stub.add_client_error(operation, code, service_message=f"Value '{CANARY}' at 'value' failed to satisfy")
        with pytest.raises(RolloutError) as caught:
            make(stubbed).deliver(NAME, CANARY)
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint + repr(caught.value)
    assert CANARY not in shown
    action = {"put_parameter": "ssm:PutParameter", "create_secret": "secretsmanager:CreateSecret"}
    assert action.get(operation, "s3:PutObject") in caught.value.message
