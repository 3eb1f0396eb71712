"""The runs whose controllers are killed: who lives in the fleet, what is asked for, and how everybody must end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.lab.faults import Cut
from orchestrator.lab.lab import Lab
from orchestrator.lab.scenario import AfterRestart, InstanceSpec
from tests.crash.controller import Point

QUICK = (
    "--poll-seconds=0.2",
    "--delivery-seconds=30",
    "--verify-seconds=10",
    "--restore-seconds=10",
    "--watchdog-seconds=25",
    "--step-seconds=40",
)
HALF = "--max-unavailable=50%"
DRAINS = "--on-ephemeral=drain"
CLUSTER = "demo"
SOURCE = "secretsmanager:registry"
STEADY = "i-00000000000000001"
SECOND = "i-00000000000000002"
THIRD = "i-00000000000000003"


class State(StrEnum):
    """Where the journal is, and so what may go on with a run: this machine, or another one."""

    SQLITE = "sqlite"
    DYNAMODB = "dynamodb"

    @property
    def words(self) -> tuple[str, ...]:
        """The flags that name it."""
        return ("--state", "dynamodb:rollouts") if self is State.DYNAMODB else ()


class End(StrEnum):
    """What an instance must hold at the end: the new credential, the old one, or either as it came to be."""

    NEW = "new"
    OLD = "old"
    EITHER = "either"


class Deed(StrEnum):
    """The command whose controller is killed."""

    RUN = "run"
    RESTORE = "restore"
    RESUME = "resume"
    HEAL = "heal"
    TAKE_OVER = "take over"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One story. `ends`: by instance; `dies_first`: where the run before another command was killed itself."""

    fleet: tuple[InstanceSpec, ...]
    flags: tuple[str, ...] = ()
    deed: Deed = Deed.RUN
    ends: Mapping[str, End]
    trouble: Callable[[Lab], None] = field(default=lambda _lab: None)
    dies_first: Point | None = None

    @property
    def states(self) -> tuple[State, ...]:
        """Where the journal may be; `heal` is for whoever has lost it."""
        return (State.SQLITE,) if self.deed is Deed.HEAL else tuple(State)

    @property
    def words(self) -> tuple[str, ...]:
        """The run, without its journal."""
        source = ("--credential", SOURCE, "--allow-removal")
        return ("run", "--cluster", CLUSTER, *source, "--yes", *QUICK, *self.flags)


def instance(instance_id: str, **changes: object) -> InstanceSpec:
    """Make one that is quick."""
    quick: dict[str, object] = {"restart_seconds": (0.05, 0.1), "retry_seconds": (0.2, 0.5), "service_tasks": 1}
    return InstanceSpec(instance_id=instance_id, **{**quick, **changes})  # type: ignore[arg-type] # by name


def _cut(lab: Lab) -> None:
    """Lose the answers to the two commands that change instances; the first one only looks."""
    lab.faults.cut("SendCommand", call=2, times=2, where=Cut.AFTER)


def _keep_calendar(lab: Lab) -> None:
    lab.ssm.calendars.closed_until = {"quiet": 0.0}


_PLAIN = (instance(STEADY), instance(SECOND))
_EMPTY = (instance(STEADY), instance(SECOND, persistent=False), instance(THIRD, persistent=False))
_ALL_NEW = {STEADY: End.NEW, SECOND: End.NEW, THIRD: End.NEW}
_ALL_OLD = {STEADY: End.OLD, SECOND: End.OLD, THIRD: End.OLD}
_FAILING = (
    instance(STEADY),
    instance(SECOND, after_restart=AfterRestart.EXIT5),
    instance(THIRD, persistent=False, after_restart=AfterRestart.EXIT5),
)
_LENIENT = (DRAINS, HALF, "--max-failures=100%", "--max-unreachable=100%")

SCENES: Mapping[str, Scene] = {
    "drain": Scene(fleet=_EMPTY, flags=(DRAINS, HALF, "--max-unreachable=100%"), ends=_ALL_NEW),
    "failure": Scene(fleet=_FAILING, flags=_LENIENT, ends={STEADY: End.NEW, SECOND: End.OLD, THIRD: End.OLD}),
    "halt": Scene(
        fleet=(instance(STEADY), instance(SECOND, after_restart=AfterRestart.EXIT5), instance(THIRD)),
        flags=("--on-halt=restore", "--waves=100%", "--max-unavailable=1", "--max-unreachable=100%"),
        ends=_ALL_OLD,
    ),
    "gates": Scene(
        fleet=_PLAIN,
        flags=(
            *("--window=Mon-Sun 00:00-23:00 UTC", "--window=Mon-Sun 12:00-11:00 UTC"),  # together always
            *("--gate-command=true", "--change-calendar=quiet"),
            *("--waves=1,100%", "--bake=1s", "--max-unreachable=100%"),
        ),
        ends={STEADY: End.NEW, SECOND: End.NEW},
        trouble=_keep_calendar,
    ),
    "lost answers": Scene(
        fleet=_PLAIN,
        flags=("--waves=1,100%", "--max-unreachable=100%"),
        ends={STEADY: End.NEW, SECOND: End.NEW},
        trouble=_cut,
    ),
    "restore": Scene(fleet=_EMPTY, flags=(DRAINS, HALF), deed=Deed.RESTORE, ends=_ALL_OLD),
    "resume": Scene(
        fleet=_EMPTY,
        flags=(DRAINS, HALF, "--max-unreachable=100%"),
        deed=Deed.RESUME,
        ends=_ALL_NEW,
        dies_first=Point("SendCommand", 3, after=True),
    ),
    "take over": Scene(
        fleet=_EMPTY,
        flags=(DRAINS, HALF, "--max-unreachable=100%"),
        deed=Deed.TAKE_OVER,
        ends=_ALL_NEW,
        dies_first=Point("UpdateContainerInstancesState", 1, after=True),
    ),
    "heal": Scene(
        fleet=_EMPTY,
        flags=(DRAINS, HALF),
        deed=Deed.HEAL,
        ends={STEADY: End.EITHER, SECOND: End.EITHER, THIRD: End.EITHER},
        dies_first=Point("UpdateContainerInstancesState", 1, after=True),
    ),
}
