"""The single looks that `ecs-rollout doctor` takes: each at one thing, as checks. A look raises what ends it."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.aws import checks, secrets
from orchestrator.aws.boot_config import BootConfigs
from orchestrator.aws.documents import Pin
from orchestrator.aws.ecs import EcsFleet
from orchestrator.aws.lock import ClusterLock
from orchestrator.aws.owner import held_by
from orchestrator.aws.session import Session, UnreachableFault
from orchestrator.aws.ssm import SsmCommands
from orchestrator.cli import compose, loading, store
from orchestrator.cli.compose import Request
from orchestrator.connections import Network
from orchestrator.core.checkup import Check, Level, clock_check, doubtful, failed, good, not_tried
from orchestrator.core.credential import normalise
from orchestrator.core.credential_lint import Report
from orchestrator.core.deciding import Look, exclude_early
from orchestrator.core.findings import Finding, Severity
from orchestrator.core.model import Instance
from orchestrator.core.orders import Context, HostPaths
from orchestrator.core.payload import Store
from orchestrator.core.planning import find_ghosts
from orchestrator.core.readiness import ANY_CREDENTIAL, instance_checks
from orchestrator.core.result import Op
from orchestrator.core.source import S3Source
from orchestrator.errors import EnvironmentFault, ExitCode, JournalFault
from orchestrator.inspection import Inspection
from orchestrator.journal.place import JournalPlace
from orchestrator.ports import Clock
from orchestrator.registry.client import ProbeOutcome
from orchestrator.registry.probe import Probe, probe

_PROBED = {
    ProbeOutcome.ACCEPTED: Level.OK,
    ProbeOutcome.UNSUPPORTED: Level.WARN,
    ProbeOutcome.REFUSED: Level.FAIL,
    ProbeOutcome.UNREACHABLE: Level.FAIL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where doctor looks: one cluster, as a run of `request` would see it. `say` tells progress."""

    session: Session
    request: Request
    clock: Clock
    cluster: str
    say: Callable[[str], None]


def identity(session: Session, clock: Clock) -> Iterator[Check]:
    """Who are we, and what time is it at AWS?"""
    greeting = checks.greet(session, clock)
    if greeting.skew is not None:
        yield clock_check(greeting.skew)
    if isinstance(greeting.fault, UnreachableFault):  # a private network may lack this way alone
        yield doubtful("credentials", greeting.fault.message, "A run does without STS; see what the other checks say.")
    elif greeting.fault is not None:
        raise greeting.fault
    else:
        yield good("credentials", f"{greeting.arn}.")


def permissions(session: Session) -> Iterator[Check]:
    """May we make the calls that no other look makes?"""
    allowed = []
    for action, fault in checks.reads(session.ssm()):
        if fault is None:
            allowed.append(action)
        else:
            yield failed("permissions", fault)
    if allowed:
        yield good("permissions", f"Allowed beside what the other checks ask: {', '.join(allowed)}.")


def lock(place: Place) -> Iterator[Check]:
    """Who holds the cluster?"""
    path = f"{place.request.parameter_prefix}/{place.cluster}"
    owner = ClusterLock(client=place.session.ssm(), clock=place.clock, path=path, holder="", run="").owner()
    yield failed("lock", held_by(owner, place.clock.now())) if owner else good("lock", "Nobody holds the cluster.")


def key(place: Place) -> Iterator[Check]:
    """Can the key be read that names generations?"""
    found = secrets.existing_key(place.session.ssm(), place.cluster, prefix=place.request.parameter_prefix)
    yield good("key", "The cluster's key is there." if found else "None yet: the first run makes the cluster's key.")


def delivery(session: Session, request: Request) -> Iterator[Check]:
    """Where would the credential be delivered, and who could read it there?"""
    if request.delivery == Store.S3:
        checks.require_bucket(session.s3(), request.delivery_bucket or "")
    warnings = loading.delivery_warnings(request)
    for warning in warnings:
        yield doubtful("delivery", _sentence(warning), "`ecs-rollout iam key` prints such a key's policy.")
    if not warnings:
        under = request.kms_key or "the store's own key"
        # Nothing is written here, and rights to write cannot be read.
        yield good("delivery", f"By {request.delivery}, under {under}; only a run can try to write there.")


def read_credential(session: Session, request: Request) -> tuple[Report | None, tuple[Check, ...]]:
    """Read the credential and judge it: give the judgement where it can be used, and what there is to be said."""
    reading = loading.Reading(
        source=request.credential, registry=request.registry, readable_file=request.allow_readable_file
    )
    report, read = loading.judge(session, reading, images=request.probe_images)
    found = [doubtful("credential", f"{_sentence(note)}.", "") for note in read.notes]
    found += [_of_finding(finding) for finding in report.findings]
    if report.refused:
        return None, tuple(found)
    names = ", ".join(report.credential.names)
    found.append(good("credential", f"{request.credential} ({report.format}), for {names}."))
    return report, tuple(found)


def _of_finding(finding: Finding) -> Check:
    error = finding.severity is Severity.ERROR
    return Check(
        name="credential",
        level=Level.FAIL if error else Level.WARN,
        seen=f"{loading.worded(finding)}.",
        todo=f"{_sentence(finding.hint)}.",
        code=ExitCode.REFUSED if error else ExitCode.OK,
    )


def registries(request: Request, report: Report | None) -> Iterator[Check]:
    """Do the registries accept the logins, and may they pull the images?"""
    if report is None:
        yield not_tried("registry", "there is no credential that could be used")
    elif not request.probe:
        yield not_tried("registry", "--no-probe; the canary's own login is then mandatory")
    else:
        network = Network(ca_bundle=request.ca_bundle, environment=os.environ)
        yield from map(_probed, probe(report.credential, request.probe_images, network=network))


def _probed(found: Probe) -> Check:
    level = _PROBED[found.outcome]
    return Check(
        name="registry",
        level=level,
        seen=f"{found.target}: {found.message}.",
        todo=_sentence(found.hint),
        code=ExitCode.REFUSED if level is Level.FAIL else ExitCode.OK,
    )


def instances(place: Place, pins: Mapping[Op, Pin] | None, report: Report | None) -> Iterator[Check]:
    """Is every instance ready? They are inspected by the documents that `pins` names; None: they are not.

    `report`: the credential's; None where none is known.
    """
    ssm, once = place.session.ssm(), place.session.ssm_once()
    commands = SsmCommands(client=ssm, once=once, pins=pins or {}, clock=place.clock)
    registered = EcsFleet(client=place.session.ecs(), commands=commands, cluster=place.cluster)
    registered.require_instances()
    fleet = registered.discover()
    looks: Mapping[str, Look] | None = None
    if pins is not None:
        try:
            looks = _inspected(place, commands, fleet)
        except EnvironmentFault as fault:
            yield failed("inspection", fault)
    names = frozenset(report.credential.names) if report else frozenset()
    goal = replace(ANY_CREDENTIAL, registries=names, allow_removal=report is None or place.request.allow_removal)
    yield from instance_checks(fleet, looks, goal, place.request.policy.on_ephemeral)


def _inspected(place: Place, commands: SsmCommands, fleet: Sequence[Instance]) -> Mapping[str, Look]:
    ghosts = find_ghosts(fleet)
    wanted = [each.instance_id for each in fleet if exclude_early(each, ghost=each.arn in ghosts) is None]
    place.say(f"{len(fleet)} container instances in {place.cluster}; inspecting {len(wanted)} of them\n")
    context = Context(
        run=compose.new_run_id(place.clock.now()),
        cluster=place.cluster,
        fence=0,
        deadlines=place.request.policy.deadlines,
        paths=HostPaths(),
    )
    every = place.request.pace.shortest
    return Inspection(commands=commands, clock=place.clock, context=context, every=every).look(wanted)


def boot(place: Place, source: S3Source, report: Report | None) -> Iterator[Check]:
    """Is what new instances boot with there, does it hold this credential, and is it a safe place for one?"""
    reader = BootConfigs(client=place.session.s3(), source=source, wait=place.clock.wait)
    if report is None:
        reader.read()
        yield good("boot", f"{source} is there.")
        return
    change = reader.plan(normalise(report.credential, report.auth_type))
    for warning in change.warnings:
        yield doubtful("boot", _sentence(f"{warning}."), "Mend the bucket before a credential is put there.")
    if change.changed:
        other = f"{source} does not hold this credential: instances that boot from it get another, or none."
        yield doubtful("boot", other, "A run with the same --boot-config puts it there.")
    else:
        yield good("boot", f"{source} holds this credential.")


def journal(place: JournalPlace) -> Iterator[Check]:
    """Can the journal be read, and a file be written? Nothing is made."""
    if not place.table:
        _require_writable(place.path or store.default_path())
    where = f"table {place.table}" if place.table else str(place.path or store.default_path())
    with store.opened(place, read_only=True) as found:
        yield good("journal", f"{where} (runs: {len(found.runs())}).")


def _require_writable(file: Path) -> None:
    nearest = next(each for each in (file, *file.parents) if each.exists())
    if (nearest.is_dir() == (nearest == file)) or not os.access(nearest, os.W_OK):
        raise JournalFault(f"The journal {file} cannot be written.", hint="Mend its directory, or say --journal.")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
