"""The env file in S3 that new instances boot with: our two lines in it are kept up to date, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from orchestrator.aws.secrets import silent
from orchestrator.aws.session import code_of, translated
from orchestrator.core.credential import EnvLines
from orchestrator.core.env_file import LARGEST, edited
from orchestrator.core.source import S3Source
from orchestrator.errors import EnvironmentFault, RefusedError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 4
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "404"})
_EVERYBODY = "http://acs.amazonaws.com/groups/global/"
_UNVERSIONED = "null"


_KEPT = (
    *("Metadata", "ContentType", "ContentEncoding", "ContentDisposition", "ContentLanguage", "CacheControl", "Expires"),
    *("StorageClass", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "WebsiteRedirectLocation"),
)
"""What an object keeps when it is written anew; GetObject and PutObject have the same words for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootConfig:
    """The object as it was read."""

    text: str = field(repr=False)
    etag: str
    version: str
    kept: Mapping[str, Any]
    tagged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BootChange:
    """What is to be changed, or was. `warnings`: what else is to be known about the object."""

    place: str
    changed: bool
    warnings: tuple[str, ...] = ()


class _ChangedMeanwhileError(Exception):
    """Somebody else wrote the object between our read and our write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootConfigs:
    """One such object. Errors are RolloutErrors and never hold a piece of it."""

    client: "S3Client"
    source: S3Source
    wait: Callable[[float], None]

    def plan(self, lines: EnvLines) -> BootChange:
        """Say whether the two lines would change; reads only."""
        found = self.read()
        changed = self._new_text(found, lines) != found.text
        return BootChange(place=str(self.source), changed=changed, warnings=self._warnings(found))

    def write(self, lines: EnvLines) -> BootChange:
        """Put the two lines in, unless they are there; done again, it changes nothing.

        The write holds only while the object is as it was read. When somebody else was faster it is read anew, a few
        times; then EnvironmentFault is raised, and nothing was written.
        """
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=5),
            retry=retry_if_exception_type(_ChangedMeanwhileError),
            sleep=self.wait,
            reraise=True,
        )
        try:
            return attempts(self._write_once, lines)
        except _ChangedMeanwhileError as error:
            raise EnvironmentFault(
                f"{self.source} was changed by somebody else at each of {_ATTEMPTS} attempts.",
                hint="Find out who writes to it, then run again.",
            ) from error

    def _write_once(self, lines: EnvLines) -> BootChange:
        found = self.read()
        new = self._new_text(found, lines)
        if new != found.text:
            self._put(found, new)
        return BootChange(place=str(self.source), changed=new != found.text, warnings=self._warnings(found))

    def read(self) -> BootConfig:
        """Read the object. Raises UsageError where there is none, RefusedError where it is no env file."""
        with translated("s3:GetObject"):
            try:
                answer = self.client.get_object(Bucket=self.source.bucket, Key=self.source.key)
            except ClientError as error:
                if code_of(error) in _MISSING:
                    raise UsageError(
                        f"There is no {self.source}.",
                        hint="Put the file there first: without it new instances have no configuration at all.",
                    ) from error
                raise
            raw = answer["Body"].read(LARGEST + 1)
        return BootConfig(
            text=self._text(raw),
            etag=answer["ETag"],
            version=answer.get("VersionId", _UNVERSIONED),
            kept={name: value for name, value in answer.items() if name in _KEPT and value},
            tagged=answer.get("TagCount", 0) > 0,
        )

    def _text(self, raw: bytes) -> str:
        if len(raw) > LARGEST:
            raise RefusedError(f"{self.source} holds more than 1 MiB.", hint="Is it the right object?")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:  # outside of the handler: the decoder's error carries the whole file
            raise RefusedError(f"{self.source} is not a text file.", hint="Is it the right object?")
        return text

    def _new_text(self, found: BootConfig, lines: EnvLines) -> str:
        new = edited(found.text, lines)
        if new is None:
            raise RefusedError(
                f"In {self.source} no place is safe for the two lines: a value goes on over several lines.",
                hint="Close its quote or take the backslash from the end of its line.",
            )
        return new

    def _put(self, found: BootConfig, text: str) -> None:
        more = {**found.kept, **({"Tagging": self._tags()} if found.tagged else {})}
        with silent("s3:PutObject"):
            try:
                self.client.put_object(
                    Bucket=self.source.bucket, Key=self.source.key, Body=text.encode(), IfMatch=found.etag, **more
                )
            except ClientError as error:
                if code_of(error) in _CHANGED:
                    raise _ChangedMeanwhileError from None
                raise

    def _tags(self) -> str:
        with translated("s3:GetObjectTagging"):
            found = self.client.get_object_tagging(Bucket=self.source.bucket, Key=self.source.key)["TagSet"]
        return urlencode({each["Key"]: each["Value"] for each in found})

    def _warnings(self, found: BootConfig) -> tuple[str, ...]:
        """Say what is unsafe about the place: no versions to go back to, or readers that nobody wants."""
        warnings = []
        if found.version == _UNVERSIONED:
            warnings.append(f"the bucket {self.source.bucket} keeps no versions: what is overwritten there is gone")
        try:
            if self._is_public():
                warnings.append(f"{self.source} can be read by everybody: take its public access away at once")
        except EnvironmentFault as fault:
            warnings.append(f"whether {self.source} is public was not found out: {fault.message}")
        return tuple(warnings)

    def _is_public(self) -> bool:
        with translated("s3:GetBucketPolicyStatus"):
            try:
                status = self.client.get_bucket_policy_status(Bucket=self.source.bucket)["PolicyStatus"]
            except ClientError as error:
                if code_of(error) != "NoSuchBucketPolicy":
                    raise
                status = {"IsPublic": False}
        with translated("s3:GetObjectAcl"):
            grants = self.client.get_object_acl(Bucket=self.source.bucket, Key=self.source.key)["Grants"]
        open_to = [each.get("Grantee", {}).get("URI", "") for each in grants]
        return status.get("IsPublic", False) or any(uri.startswith(_EVERYBODY) for uri in open_to)
