"""The credential's road in the controller: source, lint, normalise, name, deliver, take away."""

import secrets as randomness
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from orchestrator.aws import secrets
from orchestrator.aws.session import Session
from orchestrator.aws.sources import read_source
from orchestrator.core.credential import Credential, EnvLines, canonical, normalise
from orchestrator.core.credential_formats import recognise
from orchestrator.core.credential_lint import Report, lint
from orchestrator.core.findings import Finding, Severity
from orchestrator.core.orders import PayloadReference
from orchestrator.core.payload import Store, encode_payload, generation
from orchestrator.core.source import parse_source
from orchestrator.errors import RefusedError

if TYPE_CHECKING:
    from orchestrator.cli.compose import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A credential that passed its lint. `warnings` are to be shown."""

    source: str
    format: str
    credential: Credential = field(repr=False)
    lines: EnvLines = field(repr=False)
    warnings: tuple[str, ...]

    @property
    def registries(self) -> tuple[str, ...]:
        """The registries' names, as the agent holds them."""
        return self.credential.names

    def describe(self) -> str:
        """Say where it comes from and for which registries, in a line."""
        few = 5
        names = ", ".join(self.registries[:few])
        more = f" and {len(self.registries) - few} more" if len(self.registries) > few else ""
        return f"{self.source} ({self.format}), for {names}{more}"


def judge(session: Session, source: str, *, registry: str | None, images: tuple[str, ...] = (), fix: bool) -> Report:
    """Read the source and judge what it holds."""
    text = read_source(parse_source(source), session, stdin=sys.stdin.buffer)
    return lint(recognise(text.text, registry), images, fix=fix)


def load_credential(session: Session, source: str, *, registry: str | None) -> Loaded:
    """Read, judge and normalise. Raises RefusedError with the first thing that is wrong; nothing is touched."""
    report = judge(session, source, registry=registry, fix=False)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more: `ecs-rollout credential lint` lists them)" if errors[1:] else ""
        raise RefusedError(f"The credential is refused: {worded(errors[0])}{more}.", hint=f"{errors[0].hint}.")
    return Loaded(
        source=source,
        format=report.format,
        credential=report.credential,
        lines=normalise(report.credential, report.auth_type),
        warnings=tuple(f"{worded(finding)}; {finding.hint}" for finding in report.findings),
    )


def worded(finding: Finding) -> str:
    """Say a finding in one line: its rule, its registry, what is wrong."""
    where = f"{finding.registry}: " if finding.registry else ""
    return f"{where}{finding.message} [{finding.rule}]"


def existing_key(parts: "Parts") -> bytes | None:
    """Read the cluster's key for generations; None before the first run."""
    return secrets.existing_key(parts.session.ssm(), parts.cluster, prefix=parts.request.parameter_prefix)


def ensure_key(parts: "Parts") -> bytes:
    """Read the cluster's key, or make it: of two controllers at once both get the same."""
    fresh = randomness.token_bytes(secrets.KEY_BYTES)
    return secrets.cluster_key(parts.session.ssm(), parts.cluster, fresh, prefix=parts.request.parameter_prefix)


def generation_of(loaded: Loaded, key: bytes) -> str:
    """Name the credential's content."""
    return generation(key, canonical(loaded.credential))


def deliver(parts: "Parts") -> PayloadReference:
    """Put the credential where the instances fetch it, under this run's name and with a fresh nonce."""
    payload = encode_payload(parts.loaded.lines, randomness.token_hex(32))
    name = secrets.payload_name(parts.cluster, parts.run_id, prefix=parts.request.parameter_prefix)
    return _delivery(parts).deliver(name, payload)


def take_away(parts: "Parts", payload: PayloadReference) -> None:
    """Remove what was delivered."""
    _delivery(parts).remove(payload)


def _delivery(parts: "Parts") -> secrets.Delivery:
    request, session = parts.request, parts.session
    store = Store(request.delivery)
    match store:
        case Store.SSM:
            return secrets.SsmDelivery(session.ssm(), request.kms_key)
        case Store.SECRETSMANAGER:
            return secrets.SecretsManagerDelivery(session.secretsmanager(), request.kms_key)
        case Store.S3:
            return secrets.S3Delivery(session.s3(), request.delivery_bucket or "", request.kms_key)
        case _:
            assert_never(store)
