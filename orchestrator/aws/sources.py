"""Read the credential's text from where it is kept. What AWS answers never becomes part of an error."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol, assert_never

from botocore.exceptions import ClientError

from orchestrator.aws.session import code_of, translated
from orchestrator.core.source import (
    FileSource,
    S3Source,
    SecretsManagerSource,
    Source,
    SsmSource,
    StdinSource,
)
from orchestrator.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

LONGEST = 1024 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MISSING = frozenset(
    {
        "ResourceNotFoundException",
        "ParameterNotFound",
        "ParameterVersionNotFound",
        "ParameterVersionLabelNotFound",
        "NoSuchKey",
        "NoSuchBucket",
        "NoSuchVersion",
        "404",
    }
)


_NO_VALUE = "secret value"
"""AWS says that it cannot find `the specified secret value` where the secret itself is there, `secret` where not."""


class NoValueError(UsageError):
    """A secret is there, and nothing under the version or stage that was asked for."""


class Clients(Protocol):
    """Makes the one client that a source needs; orchestrator.aws.session.Session is one."""

    def secretsmanager(self) -> "SecretsManagerClient":
        """Secrets Manager."""
        ...

    def ssm(self) -> "SSMClient":
        """Systems Manager."""
        ...

    def s3(self) -> "S3Client":
        """Amazon S3."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """The text of a source. version: its id in the store, or empty. notes: what the user should know.

    stages: the labels that a secret's version had when it was read.
    """

    text: str = field(repr=False)
    version: str = ""
    stages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_source(source: Source, clients: Clients, *, stdin: BinaryIO, readable_by_others: bool = False) -> SourceText:
    """Read a source whole. Raises UsageError, RefusedError or EnvironmentFault; none holds a piece of it.

    A file that its group or others can read is refused, unless `readable_by_others` says that this is wanted.
    """
    match source:
        case SecretsManagerSource():
            return _secret(clients.secretsmanager(), source)
        case SsmSource():
            return _parameter(clients.ssm(), source)
        case S3Source():
            return _object(clients.s3(), source)
        case FileSource():
            return _file(source, readable_by_others=readable_by_others)
        case StdinSource():
            return SourceText(text=_text(stdin.read(LONGEST + 1), source))
        case _:
            assert_never(source)


def _secret(client: "SecretsManagerClient", source: SecretsManagerSource) -> SourceText:
    def call() -> SourceText:
        if source.version:
            found = client.get_secret_value(SecretId=source.name, VersionId=source.version)
        else:
            found = client.get_secret_value(SecretId=source.name, VersionStage=source.stage)
        # One of the two is there, which the stubs cannot say.
        match {**found}:
            case {"SecretString": str(value)}:
                text = _bounded(value, source)
            case {"SecretBinary": bytes(raw)}:
                text = _text(raw, source)
            case _:
                raise RefusedError(f"{source} holds no value.", hint="Store the credential in it first.")
        return SourceText(text=text, version=found["VersionId"], stages=tuple(found.get("VersionStages", ())))

    return _asked("secretsmanager:GetSecretValue", source, call, client.meta.region_name)


def _parameter(client: "SSMClient", source: SsmSource) -> SourceText:
    def call() -> SourceText:
        found = client.get_parameter(Name=source.name, WithDecryption=True)["Parameter"]
        secure = found["Type"] == "SecureString"
        note = f"{source} is a {found['Type']}, kept in plain text: make it a SecureString"
        return SourceText(
            text=_bounded(found["Value"], source),
            version=str(found.get("Version", "")),
            notes=() if secure else (note,),
        )

    return _asked("ssm:GetParameter", source, call, client.meta.region_name)


def _object(client: "S3Client", source: S3Source) -> SourceText:
    def call() -> SourceText:
        if source.version:
            found = client.get_object(Bucket=source.bucket, Key=source.key, VersionId=source.version)
        else:
            found = client.get_object(Bucket=source.bucket, Key=source.key)
        body = found["Body"].read(LONGEST + 1)
        return SourceText(text=_text(body, source), version=found.get("VersionId", ""))

    return _asked("s3:GetObject", source, call)


def _asked(action: str, source: Source, call: Callable[[], SourceText], region: str = "") -> SourceText:
    """Make the call; word the errors that are about this source, and leave the rest to the session's words.

    `region`: where it was looked for, unless its name is known everywhere.
    """
    with translated(action):
        try:
            return call()
        except ClientError as error:
            code = code_of(error)
            if isinstance(source, SecretsManagerSource) and code in _MISSING and _NO_VALUE in str(error):
                listing = f"`aws secretsmanager list-secret-version-ids --secret-id {source.name}`"
                raise NoValueError(
                    f"{source} has no value: nothing was put there yet, or there is no such version or stage.",
                    hint=f"{listing} shows what there is.",
                ) from error
            if code in _MISSING:
                what = f"secretsmanager:{source.name}" if isinstance(source, SecretsManagerSource) else str(source)
                where = f" in {region}" if region else ""
                also = ", the account and --region" if region else " and the account"
                raise UsageError(f"There is no {what}{where}.", hint=f"Check the name, the version{also}.") from error
            if code == "InvalidRequestException":
                raise UsageError(
                    f"{source} cannot be read: it is scheduled for deletion, or has no value in that stage.",
                    hint="Restore the secret (aws secretsmanager restore-secret), or name another stage.",
                ) from error
            raise


def _file(source: FileSource, *, readable_by_others: bool) -> SourceText:
    try:
        # Opened once and asked about afterwards, so that nobody can change the file between the two.
        handle = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{source} cannot be read: {error.strerror}.", hint="Check the path.") from error
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode):
        os.close(handle)
        raise UsageError(f"{source} is a directory.", hint="Name the file in it.")
    with os.fdopen(handle, "rb") as stream:
        if stat.S_ISREG(status.st_mode) and status.st_mode & _OTHERS and not readable_by_others:
            raise RefusedError(
                f"{source} can be read by others (mode {stat.S_IMODE(status.st_mode):04o}).",
                hint=f"`chmod 600 {source.path}`, or say --allow-readable-file.",
            )
        return SourceText(text=_text(stream.read(LONGEST + 1), source))


def _text(raw: bytes, source: Source) -> str:
    try:
        return _bounded(raw.decode("utf-8"), source)
    except UnicodeDecodeError:
        # The decoder's error carries the whole text, so it must not stay chained to ours.
        problem = RefusedError(f"{source} holds bytes that are not UTF-8.", hint="Store the credential as UTF-8 text.")
    raise problem


def _bounded(text: str, source: Source) -> str:
    if len(text) > LONGEST:
        raise RefusedError(f"{source} holds more than 1 MiB.", hint="Is it the right source?")
    return text
