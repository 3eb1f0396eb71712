"""Where a credential comes from: the sources that can be named, as one closed union."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from orchestrator.errors import UsageError

_FORMS = (
    "Write secretsmanager:NAME[#STAGE_OR_VERSION], ssm:/NAME[:VERSION], s3://BUCKET/KEY[?versionId=..],"
    " file:PATH, or - for stdin."
)
# Secrets Manager's version ids have 32 to 64 characters; the ones that it makes are UUIDs.
_VERSION_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F-]{32,64}")
# What names and ARNs are made of. Anything else is no name and may be a secret, so it is never shown.
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9/_.:-]{1,2048}")
_BUCKET = re.compile(r"[A-Za-z0-9._:/-]{3,255}")
DEFAULT_STAGE = "AWSCURRENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsManagerSource:
    """A secret at a stage or at a version: one of the two is set."""

    name: str
    stage: str = DEFAULT_STAGE
    version: str = ""

    def __str__(self) -> str:
        return f"secretsmanager:{self.name}#{self.version or self.stage}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SsmSource:
    """A Systems Manager parameter; `name` may be an ARN and may end in `:VERSION` or `:LABEL`."""

    name: str

    def __str__(self) -> str:
        return f"ssm:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Source:
    """An object; `version` is empty for the latest."""

    bucket: str
    key: str
    version: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}" + (f"?versionId={self.version}" if self.version else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file of this machine."""

    path: str

    def __str__(self) -> str:
        return f"file:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StdinSource:
    """Standard input."""

    def __str__(self) -> str:
        return "-"


Source = SecretsManagerSource | SsmSource | S3Source | FileSource | StdinSource


def parse_source(text: str) -> Source:
    """Parse `--credential`. Raises UsageError, which never repeats the text: it may be the secret itself."""
    if text == "-":
        return StdinSource()
    scheme, _, rest = text.partition(":")
    match scheme:
        case "secretsmanager":
            return _secret(rest)
        case "ssm" if _PARAMETER_NAME.fullmatch(rest):
            return SsmSource(name=rest)
        case "ssm":
            raise UsageError(
                "In --credential, ssm: is not followed by a parameter's name.",
                hint="Write ssm:/NAME or ssm:/NAME:VERSION.",
            )
        case "s3":
            return _object(text)
        case "file" if rest and "\0" not in rest:
            return FileSource(path=rest)
        case "file":
            raise UsageError("In --credential, file: is not followed by a path.", hint="Write file:PATH.")
        case _:
            raise UsageError("The credential's source is not one that ecs-rollout knows.", hint=_FORMS)


def _secret(rest: str) -> SecretsManagerSource:
    name, mark, which = rest.partition("#")
    if not _SECRET_NAME.fullmatch(name) or (mark and not _SECRET_NAME.fullmatch(which)):
        raise UsageError(
            "In --credential, secretsmanager: is not followed by a secret's name or ARN.",
            hint="Write secretsmanager:NAME, or NAME#AWSPENDING, or NAME#VERSION_ID.",
        )
    if _VERSION_ID.fullmatch(which):
        return SecretsManagerSource(name=name, stage="", version=which)
    return SecretsManagerSource(name=name, stage=which or DEFAULT_STAGE)


def _object(text: str) -> S3Source:
    hint = "Write s3://BUCKET/KEY or s3://BUCKET/KEY?versionId=ID."
    try:
        parts = urlsplit(text)
        queries = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        raise UsageError("The s3: source is no URL of an object.", hint=hint) from None
    if not _BUCKET.fullmatch(parts.netloc) or len(parts.path) <= 1 or set(queries) - {"versionId"} or parts.fragment:
        raise UsageError("The s3: source is no URL of an object.", hint=hint)
    return S3Source(bucket=parts.netloc, key=parts.path.removeprefix("/"), version=queries.get("versionId", [""])[0])
