"""The instance metadata service, version 2 only, with credentials that belong to one instance."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from orchestrator.lab.scenario import InstanceSpec
from orchestrator.lab.wire import Clock

ROLE = "ecsInstanceRole"
_LONGEST_TTL = 21_600
_TOKEN = "x-aws-ec2-metadata-token"  # noqa: S105 - a header's name
_TTL = "x-aws-ec2-metadata-token-ttl-seconds"
_CREDENTIAL_LIFE = 6 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the instance's role gives; the access key tells the lab which instance signed a request."""

    access_key_id: str
    secret_access_key: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def credentials_of(instance_id: str, seed: int = 0) -> Credentials:
    """Return the role credentials of one instance, the same every time."""
    digest = hashlib.sha256(f"{seed}:{instance_id}".encode())
    text = digest.hexdigest()
    return Credentials(
        access_key_id=f"ASIA{text[:16].upper()}", secret_access_key=text[16:56], token=f"lab-session-{text}"
    )


class InstanceMetadata:
    """Answers one instance's metadata requests; without a token of its own making it answers 401."""

    def __init__(self, spec: InstanceSpec, clock: Clock, *, account: str = "123456789012", seed: int = 0) -> None:
        self._spec = spec
        self._clock = clock
        self._account = account
        self._seed = seed
        self._tokens: dict[str, float] = {}

    def become(self, spec: InstanceSpec) -> None:
        """Answer as that from now on."""
        self._spec = spec

    def handle(self, method: str, path: str, headers: dict[str, str]) -> Reply:
        """Answer a request; `path` begins with /latest, header names are lower case."""
        if path == "/latest/api/token":
            return self._token(method, headers)
        if method != "GET":
            return Reply(status=405)
        if self._tokens.get(headers.get(_TOKEN, ""), 0.0) <= self._clock.now():
            return Reply(status=401)
        body = self._content().get(path.rstrip("/"))
        return Reply(status=404) if body is None else Reply(status=200, body=body)

    def _token(self, method: str, headers: dict[str, str]) -> Reply:
        if "x-forwarded-for" in headers:
            return Reply(status=403)
        if method != "PUT":
            return Reply(status=405)
        ttl = headers.get(_TTL, "")
        if not ttl.isdecimal() or not 1 <= int(ttl) <= _LONGEST_TTL:
            return Reply(status=400)
        about = f"{self._seed}:{self._spec.instance_id}:{len(self._tokens)}"
        token = hashlib.sha256(about.encode()).hexdigest()[:56]
        self._tokens[token] = self._clock.now() + int(ttl)
        return Reply(status=200, body=token, headers=((_TTL, ttl),))

    def _content(self) -> dict[str, str]:
        spec = self._spec
        region = spec.zone.rstrip("abcdef")
        found = {
            "/latest/meta-data/instance-id": spec.instance_id,
            "/latest/meta-data/instance-type": spec.instance_type,
            "/latest/meta-data/ami-id": spec.ami_id,
            "/latest/meta-data/placement/region": region,
            "/latest/meta-data/placement/availability-zone": spec.zone,
            "/latest/meta-data/services/partition": "aws",
            "/latest/meta-data/services/domain": "amazonaws.com",
            "/latest/dynamic/instance-identity/document": json.dumps(
                {
                    "accountId": self._account,
                    "availabilityZone": spec.zone,
                    "imageId": spec.ami_id,
                    "instanceId": spec.instance_id,
                    "instanceType": spec.instance_type,
                    "region": region,
                    "version": "2017-09-30",
                }
            ),
        }
        if spec.role:
            found["/latest/meta-data/iam/security-credentials"] = ROLE
            found[f"/latest/meta-data/iam/security-credentials/{ROLE}"] = self._role()
        return found

    def _role(self) -> str:
        given = credentials_of(self._spec.instance_id, self._seed)
        now = self._clock.now()
        document = {
            "Code": "Success",
            "LastUpdated": _time(now),
            "Type": "AWS-HMAC",
            "AccessKeyId": given.access_key_id,
            "SecretAccessKey": given.secret_access_key,
            "Token": given.token,
            "Expiration": _time(now + _CREDENTIAL_LIFE),
        }
        # The real service answers indented, one member on a line; scripts should cope with either.
        return json.dumps(document, indent=2)


async def answer(metadata: InstanceMetadata, request: web.BaseRequest, path: str) -> web.Response:
    """Answer an HTTP request for `path`."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    reply = metadata.handle(request.method, path, headers)
    return web.Response(status=reply.status, text=reply.body, headers=dict(reply.headers))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
