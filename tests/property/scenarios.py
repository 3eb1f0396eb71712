"""Small runs in which each thing happens that a controller can die in the middle of."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.core.amount import Amount
from orchestrator.core.model import Ping, Status
from orchestrator.core.selection import EVERYBODY, Filter, Selection
from orchestrator.core.settings import Deadlines, OnEphemeral, Policy, StandaloneTasks
from orchestrator.engine import Pace
from tests.fake_fleet import NEVER, Host, Registration, Rollout, VirtualClock, World, fleet_of, roll
from tests.property.troubles import Kind, ScheduledGate, Trouble, schedule

EVERYTHING = Amount(100, percent=True)
QUICK = Deadlines(delivery=30, verify=30, restore=20, watchdog=60, step=90, connect=60, skew=10)
TOLERANT = {"max_failures": (EVERYTHING,), "max_unreachable": (EVERYTHING,), "deadlines": QUICK}
WIDE = Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING, **TOLERANT)  # type: ignore[arg-type]  # by keyword
DRAINING = Policy(
    waves=(Amount(1, percent=False), EVERYTHING),
    max_unavailable=Amount(2, percent=False),
    on_ephemeral=OnEphemeral.DRAIN,
    drain_timeout=60,
    **TOLERANT,  # type: ignore[arg-type]  # by keyword
)
FORCED = Policy(
    waves=(EVERYTHING,),
    max_unavailable=EVERYTHING,
    on_ephemeral=OnEphemeral.FORCE,
    **TOLERANT,  # type: ignore[arg-type]  # by keyword
)
PACE = Pace(shortest=5, longest=20)


@dataclass
class Scenario:
    """One run: its hosts, made anew for each try, its policy, what goes wrong, and what it is for."""

    hosts: Callable[[], list[Host]]
    policy: Policy
    troubles: list[Trouble] = field(default_factory=list)
    restores: str = ""
    heals: bool = False
    selection: Selection = EVERYBODY

    def rollout(self) -> Rollout:
        """Make the world anew, and a run over it that has not begun."""
        world = World(self.hosts(), VirtualClock())
        rollout = Rollout(
            world, self.policy, restores=self.restores, heals=self.heals, selection=self.selection, pace=PACE
        )
        if self.restores:
            rollout.run = "run-2"
        return rollout

    def begin(self, rollout: Rollout) -> None:
        """Let the troubles come, counted from now."""
        world = rollout.world
        rollout.gates = [ScheduledGate(self.troubles, world.clock.now())]
        world.foreign = {host.arn for host in world.hosts.values() if host.status is Status.DRAINING and not host.mark}
        schedule(world, self.troubles)


def _ephemeral(count: int = 4, **changes: object) -> list[Host]:
    return fleet_of(count, persistence="ephemeral", apply_seconds=15.0, **changes)


def _with(hosts: list[Host], *behaviours: str) -> list[Host]:
    for host, behaviour in zip(hosts, behaviours, strict=False):
        host.behaviour = behaviour
    return hosts


def _mixed() -> list[Host]:
    hosts = _ephemeral(5)
    hosts[1].persistence = "persistent"
    hosts[2].status = Status.DRAINING
    hosts[3].ping = Ping.CONNECTION_LOST
    return hosts


def _updated() -> list[Host]:
    hosts = _ephemeral(3)
    hosts[0].persistence = "persistent"
    roll(hosts, FORCED)
    for host in hosts:
        host.ghosts.clear()
        host.status, host.mark, host.fence = Status.ACTIVE, "", 0  # the next run's number would be larger
    if not any(host.run for host in hosts):
        raise AssertionError("there is nothing to take back")
    return hosts


def _dead_runs() -> list[Host]:
    hosts = fleet_of(6, apply_seconds=15.0, mark="run-0", status=Status.DRAINING)
    hosts[0].armed, hosts[0].armed_run = "dead", "run-0"
    hosts[1].status = Status.ACTIVE
    hosts[2].mark = ""
    hosts[3].persistence, hosts[3].mark, hosts[3].status = "ephemeral", "", Status.ACTIVE
    hosts[3].ghosts.append(Registration(f"{hosts[3].arn}-left", Status.DRAINING, "run-0", frozenset({"team"})))
    hosts[3].attributes = frozenset()
    return hosts


SCENARIOS = {
    "plain": Scenario(lambda: fleet_of(4, apply_seconds=15.0), WIDE),
    "plain waves": Scenario(lambda: fleet_of(5, apply_seconds=15.0), Policy(**TOLERANT)),  # type: ignore[arg-type]
    "drain": Scenario(_ephemeral, DRAINING),
    "drain mixed": Scenario(_mixed, DRAINING),
    "drain that never ends": Scenario(lambda: _ephemeral(3, drain_seconds=NEVER), DRAINING),
    "drain lost": Scenario(
        lambda: _with(_ephemeral(5), "lost", "lost_updated", "lost_restored", "lost_armed", "undelivered"), DRAINING
    ),
    "lost": Scenario(
        lambda: _with(fleet_of(5, apply_seconds=15.0), "lost", "lost_updated", "lost_restored", "lost_armed"), WIDE
    ),
    "failure": Scenario(lambda: _with(_ephemeral(4), "failed", "rolled_back", "refused", "updated"), DRAINING),
    "disproven": Scenario(lambda: _with(_ephemeral(3), "unseen", "unseen"), DRAINING),
    "standalone": Scenario(
        lambda: _ephemeral(3, standalone=1),
        Policy(
            waves=(EVERYTHING,),
            max_unavailable=EVERYTHING,
            on_ephemeral=OnEphemeral.DRAIN,
            standalone_tasks=StandaloneTasks.STOP,
            **TOLERANT,  # type: ignore[arg-type]  # by keyword
        ),
    ),
    "force": Scenario(_ephemeral, FORCED),
    "halt": Scenario(
        lambda: _with(_ephemeral(6), "failed"),
        Policy(
            waves=(EVERYTHING,),
            max_unavailable=Amount(3, percent=False),
            on_ephemeral=OnEphemeral.DRAIN,
            deadlines=QUICK,
        ),
    ),
    "aborted": Scenario(_ephemeral, DRAINING, [Trouble(Kind.ABORTED, at=50)]),
    "gates": Scenario(_ephemeral, DRAINING, [Trouble(Kind.HELD, at=20, lasts=60), Trouble(Kind.STOPPED, at=130)]),
    "answers lost": Scenario(
        _ephemeral,
        DRAINING,
        [Trouble(Kind.ANSWER_LOST), Trouble(Kind.NOT_ANSWERED, at=60), Trouble(Kind.SILENT, at=90)],
    ),
    "approved": Scenario(
        _ephemeral,
        Policy(
            waves=(Amount(1, percent=False), EVERYTHING),
            max_unavailable=EVERYTHING,
            approve=True,
            on_ephemeral=OnEphemeral.DRAIN,
            **TOLERANT,  # type: ignore[arg-type]  # by keyword
        ),
        [Trouble(Kind.APPROVED, at=300)],
    ),
    "others": Scenario(
        _ephemeral,
        DRAINING,
        [Trouble(Kind.DRAINED_ELSEWHERE, host=3, at=10), Trouble(Kind.ACTIVATED_ELSEWHERE, host=0, at=10)],
    ),
    "crowded": Scenario(_ephemeral, DRAINING, [Trouble(Kind.CROWDED, lasts=40)]),
    "not activated": Scenario(_ephemeral, DRAINING, [Trouble(Kind.NOT_ACTIVATED, lasts=70)]),
    "restore": Scenario(_updated, DRAINING, restores="run-1"),
    "heal": Scenario(_dead_runs, WIDE, heals=True),
    "adopted": Scenario(_dead_runs, DRAINING),
    "adopted, and only one is selected": Scenario(
        _dead_runs, DRAINING, selection=Selection(wanted=Filter(instances=("i-00000000000000004",)))
    ),
}
