"""Checks AWS Signature Version 4 as the service does: what an instance's curl signs must really be right (F77, F79)."""

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import botocore.session

from orchestrator.lab.messages import PlainRequest
from orchestrator.lab.wire import AwsError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<scope>[^,\s]+),\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_TOKEN = "x-amz-security-token"  # noqa: S105 - a header's name
_DIGEST = "x-amz-content-sha256"
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What belongs to an access key; `token` is "" for a long-lived one."""

    secret_access_key: str
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    key: str
    scope: str
    headers: tuple[str, ...]
    signature: str

    @property
    def service(self) -> str:
        return self.scope.split("/")[2] if self.scope.count("/") >= 2 else ""  # noqa: PLR2004 - date/region/service


def access_key_of(request: PlainRequest) -> str:
    """Return the access key that the request names, "" for none."""
    found = re.search(r"Credential=([^/,\s%]+)", _values(request).get("authorization", "") or request.raw_path)
    return found[1] if found else ""


def signed_for(request: PlainRequest) -> tuple[str, str]:
    """Return the service and the Region that the request was signed for, "" for none."""
    found = re.search(r"Credential=[^/,\s]+/\d+/([^/,\s]+)/([^/,\s]+)/", _values(request).get("authorization", ""))
    return (found[2], found[1]) if found else ("", "")


def check_region(request: PlainRequest) -> None:
    """Raise AwsError, as an endpoint does, for a request that was signed for a Region that AWS does not have."""
    _, region = signed_for(request)
    if region and region not in _regions():
        raise AwsError("InvalidSignatureException", f"Credential should be scoped to a valid Region, not '{region}'.")


@cache
def _regions() -> frozenset[str]:
    """List the Regions that botocore knows."""
    session = botocore.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(region for each in partitions for region in session.get_available_regions("ec2", each))


def verify(request: PlainRequest, secret: Secret) -> None:
    """Raise AwsError unless the request's signature was made with `secret` over just this request."""
    values = _values(request)
    signed = _parse(values.get("authorization", ""))
    if secret.token and values.get(_TOKEN) != secret.token:
        raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
    unsigned = [name for name in values if name.startswith("x-amz-") and name not in signed.headers]
    if "host" not in signed.headers or unsigned:
        raise _mismatch(f"Headers must be signed: {', '.join(unsigned) or 'host'}.")
    digest = hashlib.sha256(request.body).hexdigest()
    claimed = values.get(_DIGEST, "")
    if signed.service == "s3" and not claimed:
        raise AwsError("InvalidRequest", f"Missing required header for this request: {_DIGEST}")
    if _HEX.fullmatch(claimed) and claimed != digest:
        raise AwsError("XAmzContentSHA256Mismatch", "The provided digest does not match what was computed.")
    canonical = _canonical(request, values, signed, claimed or digest)
    if not hmac.compare_digest(_sign(canonical, values.get("x-amz-date", ""), signed.scope, secret), signed.signature):
        raise _mismatch("The request signature we calculated does not match the signature you provided.")


def _parse(authorization: str) -> _Signed:
    found = _AUTHORIZATION.fullmatch(authorization.strip())
    if found is None:
        raise AwsError("IncompleteSignatureException", "The Authorization header is not a complete signature.")
    return _Signed(
        key=found["key"],
        scope=found["scope"],
        headers=tuple(found["headers"].split(";")),
        signature=found["signature"],
    )


def _mismatch(message: str) -> AwsError:
    return AwsError("InvalidSignatureException", message)


def _values(request: PlainRequest) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in request.headers:
        lower, text = name.lower(), " ".join(value.split())
        values[lower] = f"{values[lower]},{text}" if lower in values else text
    return values


def _canonical(request: PlainRequest, values: Mapping[str, str], signed: _Signed, digest: str) -> str:
    path, _, query = request.raw_path.partition("?")
    # S3 signs the path as it is sent; everyone else signs it encoded once more.
    uri = path if signed.service == "s3" else urllib.parse.quote(path, safe="/~")
    pairs = sorted(tuple(part.partition("=")[::2]) for part in query.split("&") if part)
    lines = [
        request.method,
        uri,
        "&".join(f"{name}={value}" for name, value in pairs),
        *(f"{name}:{values.get(name, '')}" for name in signed.headers),
        "",
        ";".join(signed.headers),
        digest,
    ]
    return "\n".join(lines)


def _sign(canonical: str, date: str, scope: str, secret: Secret) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}".encode(), hashlib.sha256).hexdigest()
