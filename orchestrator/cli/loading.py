"""The credential's road in the controller: source, lint, normalise, name, deliver, take away."""

import os
import secrets as randomness
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from orchestrator.aws import secrets
from orchestrator.aws.leftovers import copies_of
from orchestrator.aws.leftovers import leftovers as find_leftovers
from orchestrator.aws.owner import Predecessor
from orchestrator.aws.session import Session
from orchestrator.aws.sources import SourceText, read_source
from orchestrator.connections import Network
from orchestrator.core.credential import Credential, EnvLines, canonical, normalise
from orchestrator.core.credential_formats import recognise
from orchestrator.core.credential_lint import Report, check, lint
from orchestrator.core.findings import Finding
from orchestrator.core.orders import PayloadReference
from orchestrator.core.payload import Depot, Store, encode_payload, generation
from orchestrator.core.source import parse_source
from orchestrator.errors import RefusedError
from orchestrator.registry.client import ProbeOutcome
from orchestrator.registry.probe import probe

if TYPE_CHECKING:
    from orchestrator.cli.compose import Parts, Request


_DEFAULT_KEY = (
    "the credential is delivered under the account's default key: while the run lasts, every instance whose role "
    "has AmazonSSMManagedInstanceCore could read it; --kms-key names a key of your own"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A credential that passed its lint. `warnings` are to be shown; `stages`: see SourceText."""

    source: str
    format: str
    credential: Credential = field(repr=False)
    lines: EnvLines = field(repr=False)
    warnings: tuple[str, ...]
    stages: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a source is to be read."""

    source: str
    registry: str | None = None
    readable_file: bool = False


def judge(
    session: Session, reading: Reading, *, images: tuple[str, ...] = (), fix: bool = False
) -> tuple[Report, SourceText]:
    """Read the source and judge what it holds; return the judgement and what was read."""
    text = read_source(
        parse_source(reading.source), session, stdin=sys.stdin.buffer, readable_by_others=reading.readable_file
    )
    return lint(recognise(text.text, reading.registry), images, fix=fix), text


def load_credential(session: Session, reading: Reading) -> Loaded:
    """Read, judge and normalise. Raises RefusedError with the first thing that is wrong; nothing is touched."""
    report, read = judge(session, reading)
    check(report)
    return Loaded(
        source=reading.source,
        format=report.format,
        credential=report.credential,
        lines=normalise(report.credential, report.auth_type),
        warnings=(*read.notes, *(f"{worded(finding)}; {finding.hint}" for finding in report.findings)),
        stages=read.stages,
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


def wanted_generation(parts: "Parts", key: bytes | None) -> str:
    """Name the content of the credential that was given; empty without one, and before the first run."""
    return generation_of(parts.loaded, key) if parts.loaded is not None and key else ""


def delivery_warnings(request: "Request") -> tuple[str, ...]:
    """Say what the delivery's key lets others do (F78)."""
    if request.kms_key or request.delivery != Store.SSM:
        return ()
    return (_DEFAULT_KEY,)


def try_logins(loaded: Loaded, request: "Request", *, say: Callable[[str], None]) -> None:
    """Log in at every registry from here, and ask for the images. Raises RefusedError where one turns us down."""
    network = Network(ca_bundle=request.ca_bundle, environment=os.environ)
    for found in probe(loaded.credential, request.probe_images, network=network):
        match found.outcome:
            case ProbeOutcome.ACCEPTED:
                say(f"{found.target}: {found.message}")
            case ProbeOutcome.UNSUPPORTED:
                say(f"warning: {found.target}: {found.message}; {found.hint}")
            case ProbeOutcome.REFUSED | ProbeOutcome.UNREACHABLE:
                hint = found.hint[:1].upper() + found.hint[1:]
                raise RefusedError(f"{found.target}: {found.message}.", hint=f"{hint}.")


def deliver(parts: "Parts") -> PayloadReference:
    """Put the credential where the instances fetch it, under this run's name and with a fresh nonce."""
    payload = encode_payload(parts.credential.lines, randomness.token_hex(32))
    name = secrets.payload_name(parts.cluster, parts.run_id, prefix=parts.request.parameter_prefix)
    return _delivery(parts).deliver(name, payload)


def take_away(parts: "Parts", payload: PayloadReference) -> None:
    """Remove what was delivered."""
    _delivery(parts).remove(payload)


def forget(parts: "Parts", left: Predecessor) -> None:
    """Remove what another run had delivered and did not live to take away."""
    name = secrets.payload_name(parts.cluster, left.run, prefix=parts.request.parameter_prefix)
    delivery = _delivery(parts, depot_of(parts, left))
    for copy in copies_of(delivery, name):
        delivery.remove(copy)


def depot_of(parts: "Parts", left: Predecessor) -> Depot:
    """Say where a run that was taken over delivered to: our own depot where it does not tell."""
    return Depot.read(left.delivery) or parts.request.depot


def depots(parts: "Parts", others: Iterable[Predecessor]) -> tuple[Depot, ...]:
    """Name every depot in which a copy may lie: our own, and those of the runs that were taken over."""
    return tuple(dict.fromkeys((parts.request.depot, *(depot_of(parts, each) for each in others))))


def leftovers(parts: "Parts", depot: Depot) -> tuple[PayloadReference, ...]:
    """List every copy that any run of this cluster has delivered there and not removed."""
    return find_leftovers(_delivery(parts, depot), f"{parts.path}/payload")


def sweep(parts: "Parts", depot: Depot) -> Iterator[str]:
    """Remove every copy that lies there, and name each once it is gone: for an owner of the cluster alone."""
    for copy in leftovers(parts, depot):
        _delivery(parts, depot).remove(copy)
        yield copy.name


def _delivery(parts: "Parts", depot: Depot | None = None) -> secrets.Delivery:
    request, session = parts.request, parts.session
    depot = depot or request.depot
    match depot.store:
        case Store.SSM:
            return secrets.SsmDelivery(session.ssm(), request.kms_key)
        case Store.SECRETSMANAGER:
            return secrets.SecretsManagerDelivery(session.secretsmanager(), request.kms_key)
        case Store.S3:
            return secrets.S3Delivery(session.s3(), depot.bucket, request.kms_key)
        case _:
            assert_never(depot.store)
