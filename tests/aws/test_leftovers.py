"""What dead runs have delivered and not removed is found in every store, and nothing else."""

from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws

from orchestrator.aws.leftovers import copies_of, leftovers
from orchestrator.aws.secrets import Delivery, S3Delivery, SecretsManagerDelivery, SsmDelivery, payload_name
from orchestrator.errors import EnvironmentFault

PATH = "/ecs-rollout/web/payload"
RUNS = tuple(f"20261124-0130{number:02}-d617fabc" for number in range(12))
"""More than a page of Parameter Store holds."""

BESIDE = ("/ecs-rollout/web/key", "/ecs-rollout/web-2/payload/other", "/team/ecs-rollout/web/payload/other")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield


def ssm() -> Delivery:
    client = boto3.client("ssm")
    for name in BESIDE:
        client.put_parameter(Name=name, Value="x", Type="SecureString")
    return SsmDelivery(client)


def secrets_manager() -> Delivery:
    client = boto3.client("secretsmanager")
    for name in BESIDE:
        client.create_secret(Name=name, SecretString="x")
    return SecretsManagerDelivery(client)


def s3(versioning: str) -> Delivery:
    client = boto3.client("s3")
    client.create_bucket(Bucket="payloads")
    if versioning:
        client.put_bucket_versioning(Bucket="payloads", VersioningConfiguration={"Status": "Enabled"})
    for name in BESIDE:
        client.put_object(Bucket="payloads", Key=name.removeprefix("/"), Body=b"x")
    return S3Delivery(client, "payloads")


STORES: dict[str, Callable[[], Delivery]] = {
    "ssm": ssm,
    "secretsmanager": secrets_manager,
    "s3": lambda: s3(""),
    "s3 with versions": lambda: s3("Enabled"),
}


@pytest.mark.parametrize("store", sorted(STORES))
def test_every_copy_is_found_and_can_be_removed(store: str) -> None:
    """Each run's copy is found, a key, other clusters and other prefixes are not; what is removed is gone for good."""
    delivery = STORES[store]()
    for run in RUNS:
        delivery.deliver(payload_name("web", run), "cGF5bG9hZA==")
    found = leftovers(delivery, PATH)
    names = sorted(each.name.removeprefix("payloads/").removeprefix("/") for each in found)
    assert names == sorted(f"{PATH}/{run}".removeprefix("/") for run in RUNS)
    for each in found:
        delivery.remove(each)
    assert leftovers(delivery, PATH) == ()


def test_each_version_of_an_object_is_a_copy() -> None:
    """A payload that was delivered twice to a bucket with versions leaves two copies, and both are found."""
    delivery = s3("Enabled")
    for _ in range(2):
        delivery.deliver(payload_name("web", RUNS[0]), "cGF5bG9hZA==")
    found = leftovers(delivery, PATH)
    assert len({each.version for each in found}) == 2
    for each in found:
        delivery.remove(each)
    assert leftovers(delivery, PATH) == ()


@pytest.mark.parametrize("store", sorted(STORES))
def test_the_copies_of_one_run_are_removed_alone(store: str) -> None:
    """Also where none lies there any more; in a bucket with versions none is only hidden."""
    delivery = STORES[store]()
    name, other = (payload_name("web", run) for run in RUNS[:2])
    for where in (name, name, other):
        delivery.deliver(where, "cGF5bG9hZA==")
    for _ in range(2):
        for each in copies_of(delivery, name):
            delivery.remove(each)
        assert [left.name.endswith(RUNS[1]) for left in leftovers(delivery, PATH)] == [True]


def test_a_bucket_that_is_not_there_is_named() -> None:
    """What cannot be listed is an error of the environment that names the call, never an empty list."""
    with pytest.raises(EnvironmentFault, match="s3:ListBucketVersions"):
        leftovers(S3Delivery(boto3.client("s3"), "nowhere"), PATH)
