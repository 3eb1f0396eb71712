"""The text that is delivered and fetched, its digest, and the generation that names its content."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.credential import EnvLines

_NONCE = re.compile(r"[0-9a-f]{64}")
_HEADER = "ecs-rollout-payload 1"


class Store(StrEnum):
    """Where the payload is delivered to (design.md, section 5)."""

    SSM = "ssm"
    SECRETSMANAGER = "secretsmanager"
    S3 = "s3"


@dataclass(frozen=True, slots=True)
class Depot:
    """Where a run delivers to; `bucket` for S3 alone."""

    store: Store
    bucket: str = ""

    def __str__(self) -> str:
        return f"{self.store}:{self.bucket}" if self.bucket else self.store.value

    @classmethod
    def read(cls, text: str) -> "Depot | None":
        """Read what `str` wrote; None where a run said nothing, or what this version does not know."""
        store, _, bucket = text.partition(":")
        return cls(Store(store), bucket) if store in set(Store) else None

    @property
    def words(self) -> str:
        """Name it for people."""
        names = {Store.SSM: "Parameter Store", Store.SECRETSMANAGER: "Secrets Manager"}
        return names.get(self.store, f"the bucket {self.bucket}")

    @property
    def flags(self) -> tuple[str, ...]:
        """Give the flags that name it."""
        return ("--delivery", self.store.value, *(("--delivery-bucket", self.bucket) if self.bucket else ()))


def encode_payload(lines: EnvLines, nonce: str) -> str:
    """Encode the two values for delivery: base64 of header, nonce, type and data, a line each.

    `nonce` is 64 hex digits, fresh for every run: it keeps the payload's digest, which every command carries
    in the open, from being a digest of the secret.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce is 64 lower-case hex digits")
    text = f"{_HEADER}\n{nonce}\n{lines.auth_type}\n{lines.data}\n"
    return base64.b64encode(text.encode()).decode("ascii")


def payload_digest(payload: str) -> str:
    """Return the SHA-256 of the delivered text, in hex: what an instance checks after its fetch."""
    return hashlib.sha256(payload.encode("ascii")).hexdigest()


def generation(key: bytes, content: bytes) -> str:
    """Name a credential's content: 32 hex digits of its HMAC under the cluster's key.

    Equal on every machine that holds the key, and without the key no help to guess the content.
    """
    return hmac.new(key, content, hashlib.sha256).hexdigest()[:32]
