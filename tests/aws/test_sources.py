"""Every source is read whole, and every failure of one is an error that holds no piece of it."""

import io
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from orchestrator.aws.sources import SourceText, read_source
from orchestrator.core.source import (
    FileSource,
    S3Source,
    SecretsManagerSource,
    SsmSource,
    StdinSource,
    parse_source,
)
from orchestrator.errors import EnvironmentFault, RefusedError, RolloutError, UsageError

CANARY = '{"reg.io":{"auth":"Y2FuYXJ5OnMzY3IzdC1jYW5hcnk="}}'


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def client(service: str) -> Any:
    return boto3.client(service, region_name="eu-west-1")  # type: ignore[call-overload]


class Clients:
    def secretsmanager(self) -> Any:
        return client("secretsmanager")

    def ssm(self) -> Any:
        return client("ssm")

    def s3(self) -> Any:
        return client("s3")


class OneClient:
    def __init__(self, made: Any) -> None:
        self.made = made

    def secretsmanager(self) -> Any:
        return self.made

    def ssm(self) -> Any:
        return self.made

    def s3(self) -> Any:
        return self.made


def read(text: str, stdin: bytes = b"", *, allowed: bool = False) -> SourceText:
    return read_source(parse_source(text), Clients(), stdin=io.BytesIO(stdin), readable_by_others=allowed)


def test_a_secret_is_read_by_stage_and_by_version() -> None:
    """The current value is the default; a stage or a version id chooses another, string or binary."""
    secrets = client("secretsmanager")
    old = secrets.create_secret(Name="team/reg", SecretString="old")
    new = secrets.put_secret_value(SecretId="team/reg", SecretBinary=CANARY.encode())
    assert read("secretsmanager:team/reg").text == CANARY
    assert read("secretsmanager:team/reg").version == new["VersionId"]
    assert read("secretsmanager:team/reg#AWSPREVIOUS").text == "old"
    assert read(f"secretsmanager:{old['ARN']}#{old['VersionId']}").text == "old"


def test_a_parameter_is_read_decrypted_and_by_version() -> None:
    """A SecureString comes decrypted; a plain String comes with a note."""
    ssm = client("ssm")
    ssm.put_parameter(Name="/reg", Value="old", Type="SecureString")
    ssm.put_parameter(Name="/reg", Value=CANARY, Type="SecureString", Overwrite=True)
    assert read("ssm:/reg") == SourceText(text=CANARY, version="2")
    assert read("ssm:/reg:1").text == "old"
    ssm.put_parameter(Name="/plain", Value=CANARY, Type="String")
    assert "plain text" in read("ssm:/plain").notes[0]


def test_an_object_is_read_by_version() -> None:
    """The latest object is the default, `versionId` chooses another."""
    s3 = client("s3")
    s3.create_bucket(Bucket="creds", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="creds", VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket="creds", Key="a/ecs.config", Body=b"old")["VersionId"]
    s3.put_object(Bucket="creds", Key="a/ecs.config", Body=CANARY.encode())
    assert read("s3://creds/a/ecs.config").text == CANARY
    assert read(f"s3://creds/a/ecs.config?versionId={old}").text == "old"


def test_a_private_file_and_stdin_are_read(tmp_path: Path) -> None:
    """What only its owner can read is taken as it is, byte order mark and line ends included."""
    path = tmp_path / "cred"
    path.write_bytes(b"\xef\xbb\xbf{}\r\n")
    path.chmod(0o600)
    assert read(f"file:{path}").text == "\ufeff{}\r\n"
    assert read("-", b"{}").text == "{}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_that_others_can_reach_is_refused_unless_told(tmp_path: Path, mode: int) -> None:
    """Group or others with any right: refused with the command that mends it; allowed on demand."""
    path = tmp_path / "cred"
    path.write_text(CANARY)
    path.chmod(mode)
    with pytest.raises(RefusedError) as caught:
        read(f"file:{path}")
    assert f"chmod 600 {path}" in caught.value.hint
    assert read(f"file:{path}", allowed=True).text == CANARY


def test_a_pipe_is_read() -> None:
    """file: takes what a shell's process substitution gives, whose mode says nothing."""
    reader, writer = os.pipe()
    os.write(writer, CANARY.encode())
    os.close(writer)
    assert read(f"file:/dev/fd/{reader}").text == CANARY
    os.close(reader)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("secretsmanager:none", UsageError),
        ("secretsmanager:none#AWSPENDING", UsageError),
        ("ssm:/none", UsageError),
        ("ssm:/none:7", UsageError),
        ("s3://no-such-bucket/key", UsageError),
        ("file:/no/such/file", UsageError),
        ("file:/", UsageError),
    ],
)
def test_what_is_not_there_is_said_by_name(text: str, kind: type[RolloutError]) -> None:
    """One line names the source, one says what to do."""
    with pytest.raises(kind) as caught:
        read(text)
    assert text.partition("#")[0] in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "operation", "action"),
    [
        ("secretsmanager:a", "get_secret_value", "secretsmanager:GetSecretValue"),
        ("ssm:/a", "get_parameter", "ssm:GetParameter"),
        ("s3://bucket/a", "get_object", "s3:GetObject"),
    ],
)
def test_a_denied_source_names_the_missing_right(text: str, operation: str, action: str) -> None:
    """The action that IAM must allow stands in the error."""
    service = text.partition(":")[0]
    stubbed = client(service)
    with Stubber(stubbed) as stub:
        stub.add_client_error(operation, "AccessDeniedException")
        with pytest.raises(EnvironmentFault, match=action):
            read_source(parse_source(text), OneClient(stubbed), stdin=io.BytesIO())


def test_a_secret_under_deletion_is_said_to_be() -> None:
    """A secret that is scheduled for deletion is named so, with the way back."""
    secrets = client("secretsmanager")
    secrets.create_secret(Name="reg", SecretString=CANARY)
    secrets.delete_secret(SecretId="reg")
    with pytest.raises(UsageError, match="scheduled for deletion"):
        read("secretsmanager:reg")


@pytest.mark.parametrize("raw", [CANARY.encode() + b"\xff", b"x" * (1024 * 1024 + 1)], ids=["bytes", "size"])
def test_what_is_no_text_is_refused_without_a_trace(raw: bytes) -> None:
    """Bytes that are no UTF-8, or more than a mebibyte, end in an error that shows none of them."""
    with pytest.raises(RefusedError) as caught:
        read("-", raw)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    assert "canary" not in shown
    assert "Y2FuYXJ5" not in shown


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("-", StdinSource()),
        ("file:/a b", FileSource(path="/a b")),
        ("file:rel", FileSource(path="rel")),
        ("ssm:/a/b:3", SsmSource(name="/a/b:3")),
        ("ssm:arn:aws:ssm:eu-west-1:1:parameter/a", SsmSource(name="arn:aws:ssm:eu-west-1:1:parameter/a")),
        ("secretsmanager:a/b", SecretsManagerSource(name="a/b")),
        ("secretsmanager:a#AWSPENDING", SecretsManagerSource(name="a", stage="AWSPENDING")),
        (
            "secretsmanager:a#00000000-1111-2222-3333-444444444444",
            SecretsManagerSource(name="a", stage="", version="00000000-1111-2222-3333-444444444444"),
        ),
        ("s3://b-b/k/l", S3Source(bucket="b-b", key="k/l")),
        ("s3://b-b/k?versionId=v.1", S3Source(bucket="b-b", key="k", version="v.1")),
    ],
)
def test_sources_are_parsed(text: str, source: object) -> None:
    """Each form is its own type, with the stage or version apart."""
    assert parse_source(text) == source


@pytest.mark.parametrize(
    "text",
    [
        "",
        CANARY,
        f"secretsmanager:{CANARY}",
        f"ssm:{CANARY}",
        f"s3:{CANARY}",
        "secretsmanager:",
        "secretsmanager:#AWSCURRENT",
        "secretsmanager:a#",
        "ssm:",
        "s3:bucket/key",
        "s3://bucket",
        "s3://bucket/",
        "s3://b ucket/x",
        "s3://bucket/x?version=1",
        "s3://[bad/x",
        "file:",
        "/etc/passwd",
        "http://example.com/x",
        "vault:x",
    ],
)
def test_what_is_no_source_is_refused_without_repeating_it(text: str) -> None:
    """A secret that was given in the place of its source does not come back in the error."""
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert caught.value.hint
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert "Y2FuYXJ5" not in shown
