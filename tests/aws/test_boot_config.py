"""The boot configuration in S3: two lines change, everything else about the object stays, and no race is lost."""

import traceback
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from orchestrator.aws.boot_config import BootConfigs
from orchestrator.core.credential import AuthType, EnvLines
from orchestrator.core.source import S3Source
from orchestrator.errors import EnvironmentFault, RefusedError, RolloutError, UsageError

SECRET = '{"reg.io":{"auth":"dTpzM2NyM3QtY2FuYXJ5"}}'
LINES = EnvLines(auth_type=AuthType.DOCKERCFG, data=SECRET)
PAIR = f"ECS_ENGINE_AUTH_TYPE=dockercfg\nECS_ENGINE_AUTH_DATA={SECRET}\n"
OLD = "# ours\nECS_CLUSTER=web\nECS_ENGINE_AUTH_TYPE=docker\nECS_ENGINE_AUTH_DATA={}\n#ECS_ENGINE_AUTH_DATA=old\nA=1\n"
NEW = f"# ours\nECS_CLUSTER=web\n{PAIR}A=1\n"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def bucket() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="conf")
        client.put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Enabled"})
        yield client


def put(client: Any, text: str | bytes = OLD, **more: Any) -> None:
    client.put_object(Bucket="conf", Key="ecs.config", Body=text, **more)


def text(client: Any) -> str:
    found: bytes = client.get_object(Bucket="conf", Key="ecs.config")["Body"].read()
    return found.decode()


class Between:
    """A client that lets somebody else write between our read and our write."""

    def __init__(self, client: Any, act: Callable[[], None]) -> None:
        self._client = client
        self._act = act

    def put_object(self, **request: Any) -> Any:
        self._act()
        return self._client.put_object(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def configs(client: Any, waits: list[float] | None = None) -> BootConfigs:
    source = S3Source(bucket="conf", key="ecs.config")
    return BootConfigs(client=client, source=source, wait=([] if waits is None else waits).append)


def test_only_the_two_lines_change(bucket: Any) -> None:
    """The pair stands in the old one's place, dead copies are gone, every other byte stays; the old version is kept."""
    put(bucket)
    assert configs(bucket).plan(LINES).changed
    assert text(bucket) == OLD
    assert configs(bucket).write(LINES).changed
    assert text(bucket) == NEW
    assert len(bucket.list_object_versions(Bucket="conf")["Versions"]) == 2


def test_a_second_time_nothing_is_written(bucket: Any) -> None:
    """Where the lines are there already no new version is made."""
    put(bucket, NEW)
    assert not configs(bucket).plan(LINES).changed
    assert configs(bucket).write(LINES).warnings == ()
    assert len(bucket.list_object_versions(Bucket="conf")["Versions"]) == 1


def test_everything_about_the_object_stays(bucket: Any) -> None:
    """Metadata, types, encryption with its key and tags are as before."""
    about: dict[str, Any] = {
        "ContentType": "text/x-env", "Metadata": {"team": "web"}, "CacheControl": "no-store", "ContentLanguage": "en",
        "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "BucketKeyEnabled": True,
    }  # fmt: skip
    put(bucket, **about, Tagging="owner=team%20a&cost=1")
    configs(bucket).write(LINES)
    found = bucket.get_object(Bucket="conf", Key="ecs.config")
    assert {name: found[name] for name in about} == about
    tags = bucket.get_object_tagging(Bucket="conf", Key="ecs.config")["TagSet"]
    assert {each["Key"]: each["Value"] for each in tags} == {"owner": "team a", "cost": "1"}


def test_a_lost_race_is_run_again(bucket: Any) -> None:
    """Somebody else's change is read anew and kept, not overwritten."""
    put(bucket)
    others = iter([f"{OLD}B=2\n"])

    def act() -> None:
        for each in others:
            put(bucket, each)

    waits: list[float] = []
    assert configs(Between(bucket, act), waits).write(LINES).changed
    assert text(bucket) == f"{NEW}B=2\n"
    assert len(waits) == 1


def test_a_race_that_is_always_lost_is_reported(bucket: Any) -> None:
    """After a few attempts it is an error, and what the other one wrote stands."""
    put(bucket)
    counted = iter(range(100))
    waits: list[float] = []
    with pytest.raises(EnvironmentFault, match="changed by somebody else at each of 4 attempts"):
        configs(Between(bucket, lambda: put(bucket, f"{OLD}N={next(counted)}\n")), waits).write(LINES)
    assert text(bucket).endswith("N=3\n")
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (None, UsageError, "There is no s3://conf/ecs.config"),
        (b"A" * (1024 * 1024 + 1), RefusedError, "more than 1 MiB"),
        (b"A=\xff\n", RefusedError, "not a text file"),
        (b"A=\0\n", RefusedError, "not a text file"),
        (b"A=x\\\nECS_ENGINE_AUTH_DATA=1\nB=2\n", RefusedError, "no place is safe"),
    ],
)
def test_what_is_no_env_file_is_refused(
    bucket: Any, body: bytes | None, kind: type[RolloutError], message: str
) -> None:
    """Missing, too large, not text, or a file whose values would swallow ours: said, and nothing is written."""
    if body is not None:
        put(bucket, body)
    with pytest.raises(kind, match=message):
        configs(bucket).write(LINES)
    assert len(bucket.list_object_versions(Bucket="conf").get("Versions", [])) == (0 if body is None else 1)


def test_a_public_object_and_one_without_versions_are_warned_about(bucket: Any) -> None:
    """Who can read the secret there, and that no old version is kept, is said."""
    bucket.put_bucket_versioning(Bucket="conf", VersioningConfiguration={"Status": "Suspended"})
    put(bucket, ACL="public-read")
    warnings = configs(bucket).plan(LINES).warnings
    assert [each.split(":", 1)[0] for each in warnings] == ["the bucket conf keeps no versions", "s3"]
    assert "can be read by everybody" in warnings[1]


def test_no_error_holds_the_secret(bucket: Any) -> None:
    """A refused write says its code; AWS's own message, which may repeat the request, is not passed on."""
    put(bucket)

    def refuse() -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": f"no {SECRET}"}}, "PutObject")

    with pytest.raises(EnvironmentFault) as caught:
        configs(Between(bucket, refuse)).write(LINES)
    shown = "".join(traceback.format_exception(caught.value)) + repr(configs(bucket).read())
    assert "dTpzM2" not in shown
    assert caught.value.message == "Not allowed: s3:PutObject."
