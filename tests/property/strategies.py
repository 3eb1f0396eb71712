"""Random fleets, policies and troubles, and one whole run over them: what the laws are tried on."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st

from orchestrator.core.amount import Amount
from orchestrator.core.events import Resumed
from orchestrator.core.model import Outcome, OutcomeKind, Ping, Platform, Status
from orchestrator.core.selection import EVERYBODY, Exclusion, Filter, Selection
from orchestrator.core.settings import Deadlines, OnEphemeral, Policy, StandaloneTasks, ZoneOrder
from orchestrator.core.state import RunState
from orchestrator.engine import Engine, Pace
from orchestrator.errors import EnvironmentFault
from tests.fake_fleet import GENERATION, NEVER, Host, MemoryJournal, Registration, Rollout, VirtualClock, World
from tests.property.troubles import Kind, ScheduledGate, Trouble, schedule

DEAD_RUN = "run-0"
RESUMES = 12

LOST = ["lost", "lost_updated", "lost_restored", "lost_armed", "garbage"]
behaviours = st.sampled_from(["updated"] * 8 + ["rolled_back", "failed", "refused", "undelivered", "unseen", *LOST])
oddities = st.fixed_dictionaries(
    {},
    optional={
        "ping": st.sampled_from(Ping),
        "status": st.sampled_from([Status.DRAINING, Status.REGISTERING]),
        "platform": st.sampled_from(Platform),
        "persistence": st.sampled_from(["persistent", "ephemeral", "ephemeral", "unknown"]),
        "tasks": st.integers(0, 4),
        "standalone": st.sampled_from([0, 0, 1]),
        "generation": st.sampled_from(["", "older", GENERATION]),
        "behaviour": behaviours,
        "apply_seconds": st.floats(3, 200),
        "reconnect_seconds": st.sampled_from([0.0, 5.0, 30.0, NEVER]),
        "drain_seconds": st.sampled_from([0.0, 20.0, 100.0, NEVER]),
        "joins_at": st.sampled_from([0.0, 1_000_100.0]),
        "mark": st.sampled_from(["", DEAD_RUN]),
        "armed": st.sampled_from(["no", "dead"]),
    },
)


def fleet_from(size: int, ephemeral: int, odd: Iterable[tuple[int, dict[str, object]]]) -> list[Host]:
    """Make `size` hosts in three zones, of which every `ephemeral`-th keeps no state, and some are odd."""
    hosts = [
        Host(
            f"i-{number:017x}",
            zone="abc"[number % 3],
            persistence="ephemeral" if ephemeral and number % ephemeral == 0 else "persistent",
        )
        for number in range(size)
    ]
    for number, changes in odd:
        hosts[number % size] = replace(hosts[number % size], **changes)  # type: ignore[arg-type]  # test data by keyword
    for host in hosts[::7]:  # what somebody's agent left behind long ago
        host.ghosts.append(Registration(f"{host.arn}-old", Status.ACTIVE, ""))
    return hosts


LAW = settings(max_examples=max(settings().max_examples // 2, 1))
"""How often each law is tried: a whole run each time."""

sizes = st.sampled_from([12] * 4 + [40] * 2 + [200]).flatmap(lambda most: st.integers(1, most))
fleets = st.builds(
    fleet_from,
    sizes,
    st.sampled_from([0, 1, 2, 5]),
    st.lists(st.tuples(st.integers(0, 199), oddities), max_size=12),
)
amounts = st.one_of(
    st.integers(0, 40).map(lambda value: Amount(value, percent=False)),
    st.integers(0, 100).map(lambda value: Amount(value, percent=True)),
)
budgets = st.lists(amounts, max_size=2).map(tuple)
policies = st.builds(
    Policy,
    waves=st.lists(amounts, min_size=1, max_size=4).map(tuple),
    bake=st.sampled_from([0, 0, 300]),
    zones=st.sampled_from(ZoneOrder),
    max_unavailable=amounts,
    max_unavailable_per_zone=st.one_of(st.none(), amounts),
    max_failures=budgets,
    max_unreachable=budgets,
    max_refused=budgets,
    approve=st.sampled_from([False, False, True]),
    approve_timeout=st.just(600),
    on_ephemeral=st.sampled_from([OnEphemeral.DRAIN, *OnEphemeral]),
    standalone_tasks=st.sampled_from(StandaloneTasks),
    drain_timeout=st.sampled_from([60, 300]),
    limit=st.one_of(st.none(), st.none(), st.none(), amounts),
    deadlines=st.sampled_from([Deadlines(), Deadlines(verify=30, restore=20, watchdog=60, step=90, connect=60)]),
)
troubles = st.lists(
    st.builds(
        Trouble,
        kind=st.sampled_from(Kind),
        host=st.integers(0, 199),
        at=st.floats(0, 600).map(round),
        lasts=st.sampled_from([5.0, 40.0, 200.0, 3000.0]),
    ),
    max_size=6,
)


@dataclass
class Case:
    """One run to be tried."""

    fleet: list[Host]
    policy: Policy
    troubles: list[Trouble] = field(default_factory=list)
    selection: Selection = EVERYBODY


ids = st.integers(0, 11).map(lambda number: f"i-{number:017x}")
selections = st.one_of(
    st.just(EVERYBODY),
    st.builds(
        Selection,
        wanted=st.one_of(
            st.just(Filter()),
            st.builds(Filter, zones=st.lists(st.sampled_from("abc"), min_size=1, max_size=2).map(tuple)),
            st.builds(Filter, instances=st.lists(ids, min_size=1, max_size=3).map(tuple)),
        ),
        excluded=st.lists(st.one_of(ids, st.just("zone:b")).map(Exclusion.parse), max_size=3).map(tuple),
    ),
)
cases = st.builds(Case, fleets, policies, troubles, selections)


@dataclass
class Played:
    """A run that has ended. `over`, `zone_over`: moments at which more was out of service than is allowed."""

    state: RunState
    world: World
    rollout: Rollout
    fence: int
    over: list[str]
    zone_over: list[str]

    @property
    def journal(self) -> MemoryJournal:
        """The run's own."""
        return self.world.journal


class Watcher:
    """Looks at the world after each change, and at the state only for who is given up."""

    def __init__(self, world: World, run: str) -> None:
        self.over: list[str] = []
        self.zone_over: list[str] = []
        self.engine: Engine | None = None
        self._world = world
        self._run = run
        world.noticed = self.look

    def look(self) -> None:
        """Compare who is out of service because of this run with what may be."""
        if self.engine is None or self.engine.state.started is None:
            return
        state, now = self.engine.state, self._world.clock.now()
        out: Counter[str] = Counter(
            host.zone
            for host in self._world.hosts.values()
            if host.out_of_service(self._run, now) and not given_up(state, host.instance_id)
        )
        if out.total() > state.window:
            self.over.append(f"at {now}: {out.total()} of {state.window}")
        per_zone = state.run.policy.max_unavailable_per_zone
        for zone, count in out.items() if per_zone else ():
            allowed = per_zone.of(state.roster.zone_sizes[zone], at_least=1) if per_zone else 0
            if count > allowed:
                self.zone_over.append(f"at {now} in {zone}: {count} of {allowed}")


def given_up(state: RunState, key: str) -> bool:
    """Whether an instance ended broken, or was left DRAINING by name: a budget's matter, not the window's."""
    progress = state.instances.get(key)
    outcome = progress.outcome if progress else None
    return outcome is not None and (
        outcome.kind in {OutcomeKind.FAILED, OutcomeKind.UNVERIFIED} or left_by_name(outcome)
    )


def left_by_name(outcome: Outcome) -> bool:
    """Whether the report says that the instance stays DRAINING."""
    return any(words in outcome.message for words in ("left DRAINING", "not set DRAINING", "mark"))


def play(case: Case, prepare: Callable[[World], None] = lambda _: None) -> Played:
    """Plan and roll; where the run breaks off, resume it until it has ended."""
    world = World([host.copy() for host in case.fleet], VirtualClock())
    rollout = Rollout(world, case.policy, selection=case.selection, pace=Pace(shortest=2, longest=5))
    watcher = Watcher(world, rollout.run)
    planned = rollout.plan(1)
    rollout.gates = [ScheduledGate(case.troubles, world.clock.now())]
    world.foreign = {host.arn for host in world.hosts.values() if host.status is Status.DRAINING and not host.mark}
    schedule(world, case.troubles)
    prepare(world)
    for fence in range(1, RESUMES):
        watcher.engine = engine = rollout.engine(fence)
        try:
            if world.journal.entries:
                state = engine.resume(tuple(world.journal.entries), Resumed(fence=fence, holder="anna"))
            else:
                state = engine.run(rollout.started(fence, planned))
        except EnvironmentFault:
            world.clock.wait(600)
            continue
        return Played(state, world, rollout, fence, watcher.over, watcher.zone_over)
    raise AssertionError("the run does not end")
