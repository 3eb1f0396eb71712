"""What each host kind gets: one list, which the tests run through and docs/hosts.md prints.

A row says what was wrong with a host and how an apply ended there. `tests/documents`, `tests/systemd`, `tests/docker`
and `tests/scenario` each try the rows of their own ground, so no row stands there untried.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from orchestrator.core.model import OutcomeKind
from orchestrator.core.reasons import Reason
from orchestrator.lab.scenario import AfterRestart, Platform, Ssm


class Host(StrEnum):
    """The kind of host, as the page names it."""

    ECS_INIT = "ecs-init, systemd"
    UPSTART = "ecs-init, upstart"
    DOCKER_RUN = "plain `docker run`"
    WRAPPED = "a unit around `docker run`"
    ANYWHERE = "ECS Anywhere"
    UNSUPPORTED = "not supported"
    ANY = "any"


class Ground(StrEnum):
    """On what it was tried."""

    SIMULATED = "simulated host"
    SYSTEMD = "real systemd"
    ENGINE = "real Docker"
    FLEET = "rollout in the lab"


Words = Mapping[str, str]
_NOTHING: Final = MappingProxyType[str, str]({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trouble and its end. `how` names the test's own preparation, "" for none.

    `changes` are those of the simulated instance, `values` the document's parameters, `options` those of
    `docker run`. So many `tasks` run before the change.
    """

    host: Host
    ground: Ground
    trouble: str
    outcome: OutcomeKind
    reason: Reason
    how: str = ""
    tasks: int = 0
    changes: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    values: Words = field(default_factory=lambda: _NOTHING)
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _On:
    host: Host
    ground: Ground

    def __call__(
        self,
        trouble: str,
        end: str,
        how: str = "",
        *,
        tasks: int = 0,
        changes: Mapping[str, Any] = _NOTHING,
        values: Words = _NOTHING,
        options: tuple[str, ...] = (),
    ) -> Row:
        outcome, reason = end.split()
        return Row(
            host=self.host,
            ground=self.ground,
            trouble=trouble,
            outcome=OutcomeKind(outcome),
            reason=Reason(reason),
            how=how,
            tasks=tasks,
            changes=changes,
            values=values,
            options=options,
        )


_init = _On(Host.ECS_INIT, Ground.SIMULATED)
_real = _On(Host.ECS_INIT, Ground.SYSTEMD)
_upstart = _On(Host.UPSTART, Ground.SIMULATED)
_engine = _On(Host.DOCKER_RUN, Ground.ENGINE)
_wrapped = _On(Host.WRAPPED, Ground.ENGINE)
_anywhere = _On(Host.ANYWHERE, Ground.SIMULATED)
_unsupported = _On(Host.UNSUPPORTED, Ground.FLEET)
_fleet = _On(Host.ANY, Ground.FLEET)

_QUICK: Final = {"VerifySeconds": "3", "RestoreSeconds": "6"}
_FORCE: Final = {"OnTasks": "force"}
_MOUNTED: Final = ("-v", "{root}/data:/data")
_SET: Final = ("-e", "ECS_DATADIR=/data")

ROWS: Final[tuple[Row, ...]] = (
    _real("nothing", "updated verified"),
    _init("tasks run; the agent keeps its state", "updated verified", tasks=2),
    _init("it runs the credential already", "current already_current", "applied before"),
    _init("no `/etc/ecs/ecs.config`; the cluster stands in `/var/lib/ecs/ecs.config`", "updated verified", "no file"),
    _init("no `/etc/ecs/ecs.config`, and the agent has a cluster", "refused cluster_mismatch", "file lost"),
    _init("CRLF, BOM, double and commented-out copies of our lines", "updated verified", "odd lines"),
    _init("the file joins our line to another", "refused config_unsupported", "joined lines"),
    _init("the file is a directory", "refused config_unsupported", "directory"),
    _real("the file is over 1 MB", "refused config_unsupported", "large file"),
    _real("another owner, mode 0640", "updated verified", "other owner"),
    _real("the file is a link to another disk", "updated verified", "link"),
    _real("the disk under the file is full", "refused disk_full", "full disk"),
    _real("the disk under `/var/lib/ecs-rollout` is full", "refused disk_full", "full state"),
    _real("`/etc/ecs` is mounted read-only", "refused config_unwritable", "read-only"),
    _real("the file is immutable (`chattr +i`)", "refused config_unwritable", "immutable"),
    _init("`ECS_CLUSTER` was edited, the agent not restarted", "refused cluster_mismatch", "other cluster"),
    _init("the agent serves another cluster", "refused cluster_mismatch", values={"Cluster": "other"}),
    _init("`ECS_DATADIR=` is empty; tasks run", "refused tasks_running", tasks=1, changes={"persistent": False}),
    _init(
        "the same; the document is told to go on (`OnTasks=force`)",
        "updated verified",
        tasks=1,
        changes={"persistent": False},
        values=_FORCE,
    ),
    _init("the same; no task runs", "updated verified", changes={"persistent": False}),
    _init(
        "`ECS_CHECKPOINT=false`; tasks run",
        "refused tasks_running",
        tasks=1,
        changes={"config_lines": ("ECS_CHECKPOINT=false",)},
    ),
    _init(
        "`ECS_DATADIR` was edited, the agent not restarted; tasks run",
        "refused persistence_unknown",
        "datadir",
        tasks=1,
    ),
    _init("`agent.db` is missing; tasks run", "refused persistence_unknown", "no agent.db", tasks=1),
    _real("cloud-init still runs", "updated verified", "cloud-init"),
    _real("the unit was restarted four times a moment ago", "updated verified", "restarts"),
    _real("the unit has hit its start limit", "refused agent_down", "start limit"),
    _init("there is no agent container", "refused agent_absent", values={"AgentContainer": "nothing"}),
    _init("Docker does not answer", "refused agent_down", changes={"docker_down": True}),
    _init(
        "its unit is not named `ecs`",
        "refused no_restart_method",
        values={"AgentUnit": "nothing"},
    ),
    _init(
        "the agent does not come back",
        "rolled_back agent_did_not_return",
        changes={"after_restart": AfterRestart.STAYS_DOWN},
        values=_QUICK,
    ),
    _real("the agent exits with 5, the unit fails", "rolled_back agent_did_not_return", "exit 5"),
    _init(
        "the old agent goes on answering",
        "rolled_back container_not_replaced",
        changes={"after_restart": AfterRestart.NOT_REPLACED},
        values=_QUICK,
    ),
    _init(
        "the agent returns as another instance",
        "rolled_back identity_changed",
        changes={"after_restart": AfterRestart.FORGETS},
        values=_QUICK,
    ),
    _init("the agent cannot use the credential", "rolled_back auth_warning", "bad credential"),
    _init(
        "no agent comes back, with the old file neither",
        "failed restore_failed",
        changes={"after_restart": AfterRestart.NEVER_RETURNS},
        values=_QUICK,
    ),
    _real("SIGKILL of the SSM agent's whole control group half-way", "rolled_back watchdog_restored", "killed"),
    _real("a reboot half-way, then another apply", "updated verified", "reboot"),
    _init("another change's watchdog is armed", "refused watchdog_armed", "armed"),
    _init("another document is at work", "refused locked", "locked"),
    _init("a newer run was here", "refused fence_stale", "newer run"),
    _init("the command arrives after its expiry", "refused expired", values={"NotAfter": "1000"}),
    _init("the instance has no role", "failed no_instance_credentials", changes={"role": False}),
    _init("the store denies the role", "failed payload_denied", "denied"),
    _init("the store holds no such version", "failed payload_missing", "missing"),
    _init("the store cannot be reached", "failed payload_unreachable", values={"PayloadUrl": "http://127.0.0.1:9"}),
    _init("the instance's clock is wrong", "failed payload_clock_skew", "clock"),
    _init("curl is too old to sign; the AWS CLI is there", "updated verified", "old curl"),
    _init("curl is too old to sign; no AWS CLI", "failed tool_missing", "only old curl"),
    _init(
        "`--verify-login`: the registry cannot be reached",
        "failed login_unreachable",
        "no registry",
        values={"VerifyLogin": "yes"},
    ),
    _upstart("nothing", "updated verified", "upstart"),
    _upstart(
        "the agent does not come back",
        "rolled_back agent_did_not_return",
        "upstart",
        changes={"after_restart": AfterRestart.STAYS_DOWN},
        values=_QUICK,
    ),
    _anywhere("nothing", "updated verified", "shared keys", changes={"role": False}),
    _anywhere(
        "the SSM agent keeps no keys in `/root/.aws/credentials`",
        "failed no_instance_credentials",
        changes={"role": False},
    ),
    _engine("nothing", "updated verified", options=(*_SET, *_MOUNTED)),
    _engine(
        "`ECS_DATADIR=/data/`, tasks run", "updated verified", tasks=1, options=("-e", "ECS_DATADIR=/data/", *_MOUNTED)
    ),
    _engine("no `ECS_DATADIR`; tasks run", "refused tasks_running", tasks=1),
    _engine("the same; no task runs", "updated verified"),
    _engine(
        "`ECS_DATADIR=` is empty; tasks run",
        "refused tasks_running",
        tasks=1,
        options=("-e", "ECS_DATADIR=", *_MOUNTED),
    ),
    _engine(
        "`ECS_CHECKPOINT=false`; tasks run",
        "refused tasks_running",
        tasks=1,
        options=(*_SET, "-e", "ECS_CHECKPOINT=false", *_MOUNTED),
    ),
    _engine(
        "`ECS_DATADIR` names a directory that is not mounted; tasks run",
        "refused tasks_running",
        tasks=1,
        options=("-e", "ECS_DATADIR=/bin"),
    ),
    _engine(
        "`ECS_DATADIR` lies on a tmpfs; tasks run",
        "refused tasks_running",
        tasks=1,
        options=(*_SET, "--mount=type=tmpfs,dst=/data"),
    ),
    _engine("the container was started with `--rm`", "refused no_restart_method", options=("--rm", *_SET, *_MOUNTED)),
    _engine(
        "the new agent fails", "rolled_back agent_did_not_return", "poison", options=(*_SET, *_MOUNTED), values=_QUICK
    ),
    _wrapped("nothing: it reads the env file and makes the container anew", "updated verified", "unit", values=_FORCE),
    _wrapped("it does not read the env file", "refused no_restart_method", "unit of another file"),
    _wrapped("it starts the same container again", "refused no_restart_method", "unit that keeps"),
    _unsupported("Windows", "refused windows", changes={"platform": Platform.WINDOWS}),
    _unsupported("Bottlerocket", "refused bottlerocket", changes={"platform": Platform.BOTTLEROCKET}),
    _unsupported("ECS Managed Instances", "refused managed_instances", changes={"managed_instances": True}),
    _fleet("the agent keeps no state", "refused ephemeral", changes={"persistent": False}),
    _fleet("the SSM agent lost its connection", "unreachable ssm_offline", changes={"ssm": Ssm.CONNECTION_LOST}),
    _fleet("Systems Manager does not know it", "unreachable ssm_not_registered", changes={"ssm": Ssm.UNREGISTERED}),
    _fleet(
        "it has a login that the new credential lacks",
        "refused registry_removed",
        changes={"auth_data": '{"other.example.com":{"auth":"YTpi"}}'},
    ),
)


def rows(ground: Ground) -> tuple[Row, ...]:
    """Return the rows of one ground, for its test."""
    return tuple(row for row in ROWS if row.ground is ground)


def name_of(row: Row) -> str:
    """Name a test's case."""
    return f"{row.host}: {row.trouble}"
