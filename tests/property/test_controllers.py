"""Controllers that come and go over one run, in any order: a state machine of time, troubles, deaths, successors."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.events import Resumed
from orchestrator.core.model import Status
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState
from orchestrator.engine import Engine
from orchestrator.errors import EnvironmentFault, LockedError
from tests.fake_fleet import Host, OpenLock, Rollout, VirtualClock, World
from tests.property.aftermath import check, holdings, taken
from tests.property.mortal import Died, Fate
from tests.property.strategies import Watcher, fleet_from, oddities, policies
from tests.property.troubles import Kind, Trouble, schedule

TICK = 5.0
MOST_TICKS = 20_000
small_fleets = st.builds(
    fleet_from,
    st.integers(1, 15),
    st.sampled_from([0, 1, 2]),
    st.lists(st.tuples(st.integers(0, 14), oddities), max_size=5),
)
kinds = st.sampled_from([kind for kind in Kind if kind not in {Kind.HELD, Kind.STOPPED, Kind.ABORTED, Kind.APPROVED}])


class Controllers(RuleBasedStateMachine):
    """One run over one world, and whoever drives it at the moment."""

    engine: Engine
    world: World
    rollout: Rollout
    watcher: Watcher

    @initialize(fleet=small_fleets, policy=policies)
    def begin(self, fleet: list[Host], policy: Policy) -> None:
        """Plan and begin a run."""
        self.world = World(fleet, VirtualClock())
        self.rollout = Rollout(self.world, policy)
        self.watcher = Watcher(self.world, self.rollout.run)
        self.fence = 1
        planned = self.rollout.plan(1)
        self.world.foreign = {host.arn for host in fleet if host.status is Status.DRAINING and not host.mark}
        self.engine = self.watcher.engine = self.rollout.engine(1)
        self.engine.begin(self.rollout.started(1, planned))

    @property
    def state(self) -> RunState:
        """What the present controller knows."""
        return self.engine.state

    @rule(ticks=st.integers(1, 60))
    def let_time_pass(self, ticks: int) -> None:
        """Let the controller tick for a while; one that gives up is followed by another."""
        for _ in range(ticks):
            if self.state.ended is not None:
                return
            try:
                self.engine.tick()
            except EnvironmentFault:
                self.world.clock.wait(600)
                self.succeed()
            self.world.clock.wait(TICK)

    @rule(kind=kinds, host=st.integers(0, 14), lasts=st.sampled_from([5.0, 60.0, 700.0]))
    def suffer(self, kind: Kind, host: int, lasts: float) -> None:
        """Let something go wrong now or in a moment."""
        schedule(self.world, [Trouble(kind, host, 1.0, lasts)])

    @rule(kind=st.sampled_from(AskKind), wave=st.integers(0, 3))
    def ask(self, kind: AskKind, wave: int) -> None:
        """Ask something of the run from another shell."""
        self.world.journal.asks.append(Ask(kind=kind, wave=wave, by="anna", at=self.world.clock.now()))

    @precondition(lambda self: self.state.ended is None)
    @rule(call=st.integers(1, 60), after=st.booleans())
    def die(self, call: int, *, after: bool) -> None:
        """Let the controller die at a call, before it or after it, and another one go on."""
        try:
            self.succeed(Fate(call, after))
            self.let_time_pass(40)
        except Died:
            self.succeed()

    @precondition(lambda self: self.state.ended is None)
    @rule()
    def be_taken_over(self) -> None:
        """Let another controller take over while the old one lives: that one is stopped at its next tick."""
        old, lock = self.engine, self.rollout.lock
        self.rollout.lock = OpenLock()
        self.succeed()
        lock.check = lock.heartbeat = taken
        before = holdings(self.rollout)
        try:
            old.tick()
        except LockedError:
            assert holdings(self.rollout) == before
        else:
            raise AssertionError("the old controller goes on")

    def succeed(self, fate: Fate | None = None) -> None:
        """Let a new controller stand where the journal says that the run is, as soon as it can."""
        for _ in range(100):
            self.fence += 1
            engine = self.rollout.engine(self.fence, (fate or Fate()).wrap)
            try:
                engine.take_up(tuple(self.world.journal.entries), Resumed(fence=self.fence, holder="berta"))
            except EnvironmentFault:
                self.world.clock.wait(60)
                continue
            self.engine = self.watcher.engine = engine
            return
        raise AssertionError("nobody can take the run up")

    @invariant()
    def the_world_is_in_order(self) -> None:
        """Hold what is so at every moment: the windows, other people's instances, one change for each."""
        if not hasattr(self, "watcher"):
            return
        assert self.watcher.over == []
        assert self.watcher.zone_over == []
        assert self.world.trespasses == []
        assert all(host.applies <= 1 for host in self.world.hosts.values())

    def teardown(self) -> None:
        """See the run to its end, and hold what is left against the laws."""
        if not hasattr(self, "watcher"):
            return
        for _ in range(MOST_TICKS):
            if self.state.ended is not None:
                break
            self.let_time_pass(1)
        self.world.journal.full = False
        check(self.rollout, self.state)
        self.the_world_is_in_order()


Controllers.TestCase.settings = settings(
    max_examples=2 * settings().max_examples,
    stateful_step_count=12,
    suppress_health_check=list(HealthCheck),
)
TestControllers = Controllers.TestCase
