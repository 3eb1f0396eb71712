"""A fleet, SSM and ECS in memory on a virtual clock: the engine's ports for tests that need thousands of runs."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.core.capacity import Capacity
from orchestrator.core.deciding import Goal, Heal, TakeBack, Wanted
from orchestrator.core.events import RunStarted
from orchestrator.core.model import Instance, Ping, Planned, Sighting, Status
from orchestrator.core.orders import Context, HostPaths, PayloadReference
from orchestrator.core.planning import Shape, make_plan, to_inspect
from orchestrator.core.result import Op
from orchestrator.core.selection import EVERYBODY, Selection
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState
from orchestrator.engine import Engine, Pace
from orchestrator.errors import EnvironmentFault
from orchestrator.inspection import Inspection
from orchestrator.ports import Accepted, Answer, Doubtful, Gate, Invocation, Observer, Order, Rejected, TaskSeen
from tests.fake_control import Claim, MemoryJournal, OpenLock, VirtualClock
from tests.fake_host import (
    NEVER,
    Host,
    Registration,
    answer,
    ghost_of,
    instance_of,
    seen_ghosts,
    sighting,
)

__all__ = ["NEVER", "Host", "MemoryJournal", "OpenLock", "Registration", "VirtualClock"]

GENERATION = "ab" * 16
PAYLOAD = PayloadReference(store="ssm", name="/p", version="1", url="http://x", region="us-east-1", digest="d" * 64)


@dataclass
class Command:
    order: Order
    sent_at: float
    ended: dict[str, tuple[float, str, str]] = field(default_factory=dict)


class World:
    """SSM and ECS over a set of hosts; implements the ports `Commands`, `Fleet`, `Drains` and `Survey`."""

    def __init__(self, hosts: Iterable[Host], clock: VirtualClock) -> None:
        self.hosts = {host.instance_id: host for host in hosts}
        self._arns: dict[str, Host] = {}
        self.clock = clock
        self.commands: dict[str, Command] = {}
        self.sends: list[Order] = []
        self.next_answers: list[Answer | str] = []
        self.deaf_until = 0.0
        self.silent_until = 0.0
        self.journal = MemoryJournal()
        self.may_list = True
        self.surveys = 0
        self.refuses: dict[str, str] = {}
        self.drained: list[str] = []
        self.deregistered: list[str] = []
        self.foreign: set[str] = set()
        self.trespasses: list[str] = []
        self.noticed: Callable[[], None] = lambda: None
        self.room: Callable[[Sequence[str]], Capacity] = plenty
        self.replan: Callable[[Sequence[Instance]], Sequence[Planned]] = lambda _: ()
        self.most_in_flight = 0
        self._applying: list[tuple[float, str]] = []

    # Commands

    def send(self, order: Order) -> Answer:
        if self.clock.now() < self.silent_until:
            return Doubtful("ConnectTimeoutError")
        self.sends.append(order)
        if self.next_answers:
            planned = self.next_answers.pop(0)
            if isinstance(planned, Accepted | Rejected | Doubtful):
                return planned
            if planned == "accepted, answer lost":
                self._accept(order)
                return Doubtful("ReadTimeoutError")
        unknown = [each for each in order.instance_ids if self.hosts[each].ping is Ping.UNREGISTERED]
        if unknown:
            return Rejected("InvalidInstanceId", instances=True)
        return Accepted(self._accept(order))

    def _accept(self, order: Order) -> str:
        command_id = f"cmd-{len(self.commands) + 1}"
        command = Command(order, self.clock.now())
        for instance_id in order.instance_ids:
            command.ended[instance_id] = answer(self.hosts[instance_id], order, self.clock.now())
        self.commands[command_id] = command
        now = self.clock.now()
        while self._applying and self._applying[0][0] <= now:
            heapq.heappop(self._applying)
        if order.op is Op.APPLY:
            for instance_id in order.instance_ids:
                heapq.heappush(self._applying, (command.ended[instance_id][0], instance_id))
        self.most_in_flight = max(self.most_in_flight, len(self._applying))
        self.noticed()
        return command_id

    def find(self, comment: str, since: float) -> str | None:
        self._listen()
        if not self.may_list:
            raise EnvironmentFault("Not allowed: ssm:ListCommands.", hint="Allow it.")
        for command_id, command in self.commands.items():
            if command.order.comment == comment and command.sent_at >= since - 60:
                return command_id
        return None

    def ended(self, op: Op, since: float) -> Mapping[str, int]:
        self._listen()
        now = self.clock.now()
        if now < self.deaf_until:
            raise EnvironmentFault("no answer", hint="wait")
        return {
            command_id: sum(now >= end for end, _, _ in command.ended.values())
            for command_id, command in self.commands.items()
            if command.order.op is op and command.sent_at >= since - 60 and now >= command.sent_at + 2
        }

    def busy(self, run: str, since: float) -> bool:
        now = self.clock.now()
        return any(
            f" {run} " in command.order.comment and any(end > now for end, _, _ in command.ended.values())
            for command in self.commands.values()
            if command.sent_at >= since
        )

    def _listen(self) -> None:
        if self.clock.now() < self.silent_until:
            raise EnvironmentFault("no answer at all", hint="wait")

    def poll(self, command_id: str) -> Sequence[Invocation]:
        self._listen()
        now = self.clock.now()
        if now < self.deaf_until:
            raise EnvironmentFault("no answer", hint="wait")
        command = self.commands[command_id]
        if now < command.sent_at + 2:
            return ()  # lists lag (F73)
        return [
            Invocation(instance_id=each, status=status, ended=True, stdout=stdout)
            if now >= end
            else Invocation(instance_id=each, status="InProgress", ended=False, stdout="")
            for each, (end, status, stdout) in command.ended.items()
        ]

    def full_output(self, command_id: str, instance_id: str) -> str:
        return self.commands[command_id].ended[instance_id][2]

    def ping(self, instance_ids: Iterable[str]) -> Mapping[str, Ping]:
        return {each: self.hosts[each].ping for each in instance_ids}

    # Fleet

    def discover(self) -> Sequence[Instance]:
        self._listen()
        now = self.clock.now()
        return [
            instance
            for host in self.hosts.values()
            if host.lives_at(now)
            for instance in (instance_of(host, now), *(ghost_of(host, each) for each in host.ghosts if each.status))
        ]

    def describe(self, arns: Sequence[str]) -> Mapping[str, Sighting]:
        self._listen()
        return {arn: self._described(arn) for arn in arns}

    def _host(self, arn: str) -> Host | None:
        """Find the host of a registration; what is known of it goes stale when hosts come, go and restart."""
        host = self._arns.get(arn)
        if host is None or self.hosts.get(host.instance_id) is not host:
            self._arns = {name: each for each in self.hosts.values() for name in each.arns()}
            host = self._arns.get(arn)
        return host

    def _described(self, arn: str) -> Sighting:
        host = self._host(arn)
        if host is None:
            return _nothing(arn)
        if arn == host.arn:
            return sighting(host, self.clock.now())
        return next(each for each in seen_ghosts(host) if each.arn == arn)

    def survey(self, known: frozenset[str], lagging: frozenset[str]) -> Sequence[Planned]:
        """Plan again, as `plan` did, for those that have joined and those that lagged."""
        self.surveys += 1
        fleet = [each for each in self.discover() if each.instance_id not in known or each.instance_id in lagging]
        return self.replan(fleet)

    # Drains

    def _living(self, arn: str) -> Host | Registration | None:
        host = self._host(arn)
        if host is None:
            return None
        found = host if host.arn == arn else next(each for each in host.ghosts if each.arn == arn)
        return found if found.status is not None else None

    def _each(self, call: str, arns: Sequence[str], change: Callable[[Host | Registration], None]) -> Mapping[str, str]:
        """Make a call for each; note it as a trespass where somebody else has drained the instance."""
        self._listen()
        failures = {}
        for arn in arns:
            found = self._living(arn)
            why = self.refuses.get(arn) or (
                self.refuses.get(f"{call} {self._arns[arn].instance_id}") if found else None
            )
            if found is None or why is not None:
                failures[arn] = why or "MISSING"
                continue
            if arn in self.foreign and found.status is Status.DRAINING and call != "drain":
                self.trespasses.append(f"{call} {arn}")
            change(found)
        self.noticed()
        return failures

    def own(self, arns: Sequence[str], run: str) -> Mapping[str, str]:
        def change(found: Host | Registration) -> None:
            found.mark = run

        return self._each("own", arns, change)

    def disown(self, arns: Sequence[str]) -> Mapping[str, str]:
        def change(found: Host | Registration) -> None:
            found.mark = ""

        return self._each("disown", arns, change)

    def drain(self, arns: Sequence[str]) -> Mapping[str, str]:
        def change(found: Host | Registration) -> None:
            if isinstance(found, Host) and found.status is not Status.DRAINING:
                found.drains_at = self.clock.now() + found.drain_seconds
                self.drained.append(found.instance_id)
            found.status = Status.DRAINING

        return self._each("drain", arns, change)

    def activate(self, arns: Sequence[str]) -> Mapping[str, str]:
        def change(found: Host | Registration) -> None:
            found.status = Status.ACTIVE

        return self._each("activate", arns, change)

    def tasks(self, arns: Sequence[str]) -> Mapping[str, Sequence[TaskSeen]]:
        self._listen()
        return {
            arn: [TaskSeen(arn=f"{arn}#{number}", service="") for number in range(host.standalone)]
            for arn in arns
            if (host := self._host(arn)) is not None
        }

    def stop(self, tasks: Sequence[str], reason: str) -> None:
        del reason
        self._listen()
        for task in tasks:
            host = self._host(task.rsplit("#", 1)[0])
            if host is not None and host.standalone:
                host.standalone -= 1

    def registrations(self, instance_ids: Sequence[str]) -> Mapping[str, Sequence[Sighting]]:
        self._listen()
        return {
            each: [
                seen
                for seen in (sighting(self.hosts[each], self.clock.now()), *seen_ghosts(self.hosts[each]))
                if seen.status is not None
            ]
            for each in instance_ids
        }

    def carry_over(self, old: str, new: str) -> None:
        """One that was deregistered is still described, for a while."""
        self._listen()
        host, found = self._host(old), self._living(new)
        if isinstance(found, Host) and host is not None:
            found.attributes |= next((each.attributes for each in host.ghosts if each.arn == old), frozenset())

    def deregister(self, arn: str) -> None:
        self._listen()
        found = self._living(arn)
        if isinstance(found, Registration):
            found.status = None
            self.deregistered.append(arn)
        elif found is not None:
            raise AssertionError("a living instance was deregistered")

    def capacity(self, arns: Sequence[str]) -> Capacity:
        """Room for everybody, unless a test says otherwise."""
        self._listen()
        return self.room(arns)


def _nothing(arn: str) -> Sighting:
    return Sighting(arn=arn, status=None, agent_connected=False, running_tasks=0)


def plenty(arns: Sequence[str]) -> Capacity:
    """A cluster with room for everything."""
    del arns
    return Capacity(rooms={}, loads={}, services={})


STEADY = Pace(shortest=2, longest=2)


@dataclass
class Rollout:
    """One run over a world: what an engine needs, so that another engine can go on with it."""

    world: World
    policy: Policy
    run: str = "run-1"
    restores: str = ""
    heals: bool = False
    selection: Selection = EVERYBODY
    gates: Sequence[Gate] = ()
    stop_requested: Callable[[], str] = lambda: ""
    lock: OpenLock = field(default_factory=OpenLock)
    pace: Pace = STEADY
    generation: str = GENERATION
    observers: Sequence[Observer] = ()

    def context(self, fence: int) -> Context:
        return Context(run=self.run, cluster="c", fence=fence, deadlines=self.policy.deadlines, paths=HostPaths())

    def selects(self, host: Host) -> bool:
        """Say whether the run is about this host."""
        return (
            self.selection.leaves_out(instance_of(replace(host, status=Status.ACTIVE), self.world.clock.now())) is None
        )

    def plan(self, fence: int, fleet: Sequence[Instance] | None = None) -> tuple[Planned, ...]:
        """Inspect and plan."""
        limit = self.policy.limit if fleet is None else None  # of a survey's the run says itself whom it lets through
        fleet = self.world.discover() if fleet is None else fleet
        left_out = {each.arn: why for each in fleet if (why := self.selection.leaves_out(each))}
        inspection = Inspection(
            commands=self.world, clock=self.world.clock, context=self.context(fence), keep=self.lock.keep
        )
        looks = inspection.look(to_inspect(fleet, left_out))
        goal: Wanted = Goal(generation=self.generation, registries=frozenset({"reg.example.com"}))
        if self.heals:
            goal = Heal()
        elif self.restores:
            goal = TakeBack(run=self.restores)
        policy = self.policy
        shape = Shape(
            left_out=left_out,
            waves=policy.waves,
            zones=policy.zones,
            seed=policy.seed,
            limit=limit,
            on_ephemeral=policy.on_ephemeral,
        )
        return make_plan("c", fleet, looks, goal, shape).planned

    def engine(self, fence: int, wrap: Callable[[Any], Any] = lambda port: port) -> Engine:
        """Make a controller; `wrap` may put something before each of its ports."""
        world = wrap(self.world)
        self.world.replan = lambda fleet: self.plan(fence, fleet)
        return Engine(
            commands=world,
            fleet=world,
            drains=world,
            journal=wrap(Claim(self.world.journal, fence)),
            lock=wrap(self.lock),
            clock=self.world.clock,
            context=self.context(fence),
            deliver=None if self.heals else lambda: PAYLOAD,
            survey=world.survey,
            pace=self.pace,
            gates=self.gates,
            stop_requested=self.stop_requested,
            observers=self.observers,
        )

    def started(self, fence: int, planned: tuple[Planned, ...]) -> RunStarted:
        return RunStarted(
            run=self.run,
            cluster="c",
            region="us-east-1",
            generation=self.generation,
            fence=fence,
            restores=self.restores,
            heals=self.heals,
            policy=self.policy,
            planned=planned,
        )


def roll(
    hosts: Iterable[Host],
    policy: Policy | None = None,
    *,
    fence: int = 1,
    run: str = "run-1",
    restores: str = "",
    heals: bool = False,
    selection: Selection = EVERYBODY,
    prepare: Callable[[World], None] = lambda _: None,
    stop_requested: Callable[[], str] = lambda: "",
    lock: OpenLock | None = None,
    gates: Sequence[Gate] = (),
    pace: Pace = STEADY,
) -> tuple[RunState, World, MemoryJournal]:
    """Plan and roll a fleet on a virtual clock."""
    world = World(hosts, VirtualClock())
    rollout = Rollout(
        world,
        policy or Policy(),
        run=run,
        restores=restores,
        heals=heals,
        selection=selection,
        gates=gates,
        stop_requested=stop_requested,
        lock=lock or OpenLock(),
        pace=pace,
    )
    planned = rollout.plan(fence)
    prepare(world)
    state = rollout.engine(fence).run(rollout.started(fence, planned))
    return state, world, world.journal


def fleet_of(count: int, **changes: object) -> list[Host]:
    """Make `count` equal hosts."""
    return [Host(f"i-{number:017x}", zone="abc"[number % 3], **changes) for number in range(count)]  # type: ignore[arg-type]  # test data by keyword
