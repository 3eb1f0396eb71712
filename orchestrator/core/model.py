"""The words of the project as values: instance, facts, decision, outcome, plan."""

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.reasons import Reason

UNSCOPED = frozenset({Reason.GHOST, Reason.NOT_SELECTED, Reason.EXCLUDED})
"""Decisions about registrations that a run is not about: they do not count for percentages.

Those that a limit left for the next run do count, and so do those of which nothing is to be taken back: neither
changes the window, or what a budget is a share of.
"""

NOTHING_TO_DO = frozenset({Reason.NOTHING_TO_RESTORE, Reason.NOTHING_TO_HEAL})
"""Decisions of a run that takes back about instances that hold nothing of it."""

_LEFT_AS_WANTED = (
    UNSCOPED
    | NOTHING_TO_DO
    | {
        Reason.TERMINATED,
        Reason.LIMITED,
        Reason.RELEASED,
        Reason.TAKEN_BACK,
    }
)


class Platform(StrEnum):
    """What kind of host an instance is; only LINUX can be rolled."""

    LINUX = "linux"
    WINDOWS = "windows"
    BOTTLEROCKET = "bottlerocket"
    MANAGED = "managed"


class Ping(StrEnum):
    """What Systems Manager says of the instance's SSM agent (F71)."""

    ONLINE = "Online"
    CONNECTION_LOST = "ConnectionLost"
    INACTIVE = "Inactive"
    UNREGISTERED = "Unregistered"


class Status(StrEnum):
    """The container instance's status in ECS."""

    ACTIVE = "ACTIVE"
    DRAINING = "DRAINING"
    REGISTERING = "REGISTERING"
    DEREGISTERING = "DEREGISTERING"
    REGISTRATION_FAILED = "REGISTRATION_FAILED"
    INACTIVE = "INACTIVE"


class Persistence(StrEnum):
    """Does the agent keep its state over a restart (F30-F34)?"""

    PERSISTENT = "persistent"
    EPHEMERAL = "ephemeral"
    UNKNOWN = "unknown"


class RestartMethod(StrEnum):
    """How a host's agent is restarted (F20-F26)."""

    SYSTEMD = "systemd"
    UPSTART = "upstart"
    DOCKER_RUN = "docker-run"
    NONE = "none"


class AgentState(StrEnum):
    """What inspect saw of the agent."""

    UP = "up"
    DOWN = "down"
    ABSENT = "absent"


class Armed(StrEnum):
    """An armed state on the instance, and whether its watchdog lives."""

    NO = "no"
    LIVING = "living"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One ECS container instance and the EC2 instance under it, as ECS and SSM describe them.

    `mark`: the run that owns its draining, from our ownership attribute or tag; empty for none. `ami`: its image's id.
    """

    instance_id: str
    arn: str
    zone: str
    status: Status
    platform: Platform
    ping: Ping
    agent_connected: bool
    agent_version: str
    running_tasks: int
    pending_tasks: int
    mark: str = ""
    ami: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What ECS says of one container instance. `status` None: ECS does not know it (any more).

    `mark`: the run whose ownership mark it carries; empty for none.
    """

    arn: str
    status: Status | None
    agent_connected: bool
    running_tasks: int
    pending_tasks: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the inspect document saw on an instance. Names and ids only, never a secret.

    `agrees`: marker, file and the running container's environment hold the same credential.
    `fence`: the largest that this instance has seen. `last`, `last_run`: what its watchdog did, and for which run.
    """

    agent: AgentState
    arn: str
    cluster: str
    agent_version: str
    method: RestartMethod
    persistence: Persistence
    why: tuple[str, ...]
    tasks: int
    generation: str
    run: str
    agrees: bool
    fence: int
    armed: Armed
    last: str
    last_run: str
    registries: tuple[str, ...]
    registries_total: int
    warnings: tuple[str, ...]
    fetch: str


class DecisionKind(StrEnum):
    """What is to be done with an instance. RELEASE: a dead run drained it, and nothing else is the matter with it."""

    APPLY = "apply"
    DRAIN = "drain"
    RELEASE = "release"
    SKIP = "skip"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with an instance, and why."""

    kind: DecisionKind
    reason: Reason

    @property
    def changes(self) -> bool:
        """Whether something is to be done with the instance at all."""
        return self.kind in {DecisionKind.APPLY, DecisionKind.DRAIN, DecisionKind.RELEASE}


class OutcomeKind(StrEnum):
    """How an instance ended."""

    UPDATED = "updated"
    CURRENT = "current"
    SKIPPED = "skipped"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    UNVERIFIED = "unverified"
    NOT_ATTEMPTED = "not_attempted"


WORST_FIRST = (
    OutcomeKind.FAILED,
    OutcomeKind.UNVERIFIED,
    OutcomeKind.ROLLED_BACK,
    OutcomeKind.UNREACHABLE,
    OutcomeKind.REFUSED,
    OutcomeKind.NOT_ATTEMPTED,
    OutcomeKind.SKIPPED,
    OutcomeKind.UPDATED,
    OutcomeKind.CURRENT,
)
"""In which order reports tell of outcomes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an instance ended, why, and in a few words what was seen (never a secret)."""

    kind: OutcomeKind
    reason: Reason
    message: str = ""

    @property
    def as_wanted(self) -> bool:
        """Whether it ended as the operator asked: `restored` is what a restore is for, `limited` what a limit is."""
        if self.reason is Reason.STRANDED:  # whatever else is well with it
            return False
        if self.kind is OutcomeKind.SKIPPED:
            return self.reason in _LEFT_AS_WANTED
        if self.reason is Reason.RESTORED:
            return True
        return self.kind in {OutcomeKind.UPDATED, OutcomeKind.CURRENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One instance in a plan. `key` is unique in the plan: the EC2 instance id, for a ghost with its ARN's id.

    `wave` counts from 1, the canary; 0 for those that are not to be changed.
    """

    key: str
    instance: Instance
    facts: Facts | None
    decision: Decision
    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would happen to each instance of the cluster; a partition of it, in the order of admission."""

    cluster: str
    generation: str
    planned: tuple[Planned, ...]

    @property
    def in_scope(self) -> int:
        """How many instances percentages are taken of."""
        return sum(1 for each in self.planned if each.decision.reason not in UNSCOPED)

    @property
    def machines(self) -> int:
        """How many instances there are: some have left an old registration behind."""
        return len({each.instance.instance_id for each in self.planned})

    @property
    def changes(self) -> int:
        """How many instances would be changed."""
        return sum(each.decision.changes for each in self.planned)
