"""The only place that builds everything: from what was asked for to the parts that carry it out."""

import os
import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from orchestrator.aws.documents import Documents
from orchestrator.aws.draining import EcsDrains
from orchestrator.aws.ecs import Cluster, EcsFleet, find_cluster
from orchestrator.aws.gates import AlarmGate, CalendarGate
from orchestrator.aws.lock import ClusterLock
from orchestrator.aws.session import Session
from orchestrator.aws.ssm import SsmCommands
from orchestrator.cli import identity, options
from orchestrator.cli.loading import Loaded, Reading, delivery_warnings, load_credential, try_logins
from orchestrator.core.documents import lint, render
from orchestrator.core.orders import Context, HostPaths
from orchestrator.core.payload import Depot, Store
from orchestrator.core.result import Op
from orchestrator.core.selection import EVERYBODY, Selection
from orchestrator.core.settings import Policy, Word
from orchestrator.core.source import S3Source, parse_source
from orchestrator.core.windows import Deadline, TimeWindow
from orchestrator.documents_folder import document_sources, shipped_documents
from orchestrator.engine import Pace
from orchestrator.gates import CommandGate, WindowGate
from orchestrator.ports import Clock, Gate
from orchestrator.report.estimates import Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Which gates were asked for.

    `deadline` in epoch seconds; `deadline_lead`: so many before it windows stop to count, None for what the run needs.
    """

    windows: tuple[TimeWindow, ...] = ()
    deadline: float | None = None
    deadline_lead: int | None = None
    alarms: tuple[str, ...] = ()
    alarm_missing_data: Word = Word.HOLD
    calendars: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the operator asked for. `credential`: its source; empty where a run is taken back."""

    cluster: str
    credential: str = ""
    registry: str | None = None
    allow_readable_file: bool = False
    region: str | None = None
    profile: str | None = None
    document_prefix: str = "ecs-rollout"
    parameter_prefix: str = "/ecs-rollout"
    delivery: str = "ssm"
    delivery_bucket: str | None = None
    kms_key: str | None = None
    allow_removal: bool = False
    probe: bool = True
    probe_images: tuple[str, ...] = ()
    ca_bundle: str | None = None
    boot_configs: tuple[S3Source, ...] = ()
    selection: Selection = EVERYBODY
    gates: Gates = field(default_factory=Gates)
    policy: Policy
    pace: Pace

    @property
    def depot(self) -> Depot:
        """Where a credential is delivered to."""
        return Depot(Store(self.delivery), self.delivery_bucket or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a plan or a run works with. `path` is where this cluster's parameters live in SSM.

    `seen`: the cluster as it was when the parts were built.
    """

    request: Request
    clock: Clock
    run_id: str
    seen: Cluster
    path: str
    session: Session
    loaded: Loaded | None
    commands: SsmCommands
    fleet: EcsFleet
    drains: EcsDrains
    lock: ClusterLock

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.seen.name

    def gates(self, expected: Expected) -> tuple[Gate, ...]:
        """Build the gates that were asked for; windows and the deadline leave room for what is expected."""
        wanted = self.request.gates
        made: list[Gate] = []
        if wanted.windows:
            lead = expected.whole if wanted.deadline_lead is None else wanted.deadline_lead
            deadline = Deadline(at=wanted.deadline, lead=lead) if wanted.deadline is not None else None
            made.append(WindowGate(windows=wanted.windows, needed=expected.each, deadline=deadline))
        if wanted.alarms:
            client = self.session.cloudwatch()
            made.append(AlarmGate(client=client, alarms=wanted.alarms, missing_data=wanted.alarm_missing_data))
        if wanted.calendars:
            made.append(CalendarGate(client=self.session.ssm(), calendars=wanted.calendars))
        if wanted.command:
            made.append(CommandGate(command=wanted.command, run=self.run_id, cluster=self.cluster))
        return tuple(made)

    @property
    def credential(self) -> Loaded:
        """The credential that is applied. Raises RuntimeError in a run that takes another back."""
        if self.loaded is None:
            raise RuntimeError("this run applies no credential")
        return self.loaded

    def context(self, fence: int) -> Context:
        """Give what every order of this run has in common."""
        return Context(
            run=self.run_id,
            cluster=self.cluster,
            fence=fence,
            deadlines=self.request.policy.deadlines,
            paths=HostPaths(),
        )


def build(
    request: Request, *, clock: Clock, say: Callable[[str], None], run: str = "", seen: Cluster | None = None
) -> Parts:
    """Build the parts, and refuse early: no such cluster, a bad credential, documents that are not ours.

    `run`: the run that goes on; a new one gets a new id. `seen`: the cluster where somebody has just looked for it.
    """
    options.check_delivery(request.delivery, request.delivery_bucket)
    if request.credential:
        parse_source(request.credential)  # a slip of the pen is told before AWS is looked for
    session = Session(region=request.region, profile=request.profile)
    ecs, ssm = session.ecs(), session.ssm()
    seen = seen or find_cluster(ecs, request.cluster)
    cluster = seen.name
    loaded = _load(session, request) if request.credential else None
    pins = Documents(client=ssm, prefix=request.document_prefix, texts=rendered()).pins()
    if loaded is not None:
        for warning in (*loaded.warnings, *delivery_warnings(request)):
            say(f"warning: {warning}")
        if request.probe:
            try_logins(loaded, request, say=say)
    commands = SsmCommands(client=ssm, once=session.ssm_once(), pins=pins, clock=clock)
    run_id = run or new_run_id(clock.now())
    path = f"{request.parameter_prefix}/{cluster}"
    request = replace(request, policy=replace(request.policy, seed=request.policy.seed or cluster))
    return Parts(
        request=request,
        clock=clock,
        run_id=run_id,
        seen=seen,
        path=path,
        session=session,
        loaded=loaded,
        commands=commands,
        fleet=EcsFleet(client=ecs, commands=commands, cluster=cluster),
        drains=EcsDrains(client=ecs, cluster=cluster),
        lock=ClusterLock(
            client=ssm,
            clock=clock,
            path=path,
            holder=holder(),
            run=run_id,
            reach=request.policy.deadlines.reach,
            delivery=str(request.depot) if request.credential else "",
        ),
    )


def cluster_lock(request: Request, clock: Clock) -> tuple[Cluster, ClusterLock]:
    """Find the cluster, and build its lock alone, to see who holds it; nothing is read of a credential."""
    session = Session(region=request.region, profile=request.profile)
    seen = find_cluster(session.ecs(), request.cluster)
    path = f"{request.parameter_prefix}/{seen.name}"
    return seen, ClusterLock(client=session.ssm(), clock=clock, path=path, holder=holder(), run="")


def _load(session: Session, request: Request) -> Loaded:
    reading = Reading(source=request.credential, registry=request.registry, readable_file=request.allow_readable_file)
    return load_credential(session, reading)


def rendered() -> dict[Op, str]:
    """Render the three documents from their sources."""
    sources = document_sources()
    return {op: render(op.value, sources) for op in Op}


def stale_documents() -> list[str]:
    """Name the documents that are not what their sources render, or that break a rule."""
    shipped = shipped_documents()
    found = [f"{op}.yaml" for op, text in rendered().items() if shipped.get(op.value) != text]
    return found + [f"{op}.yaml: {problem}" for op, text in rendered().items() for problem in lint(text)]


def documents(*, region: str | None, profile: str | None, prefix: str) -> Documents:
    """Build the documents of an account and Region."""
    session = Session(region=region, profile=profile)
    return Documents(client=session.ssm(), prefix=prefix, texts=rendered())


def holder() -> str:
    """Say who we are, for whoever meets our lock."""
    return f"{identity.who()} (pid {os.getpid()})"


def new_run_id(now: float) -> str:
    """Name a run: its time and four random bytes, for those that start in the same second."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S-") + randomness.token_hex(4)
