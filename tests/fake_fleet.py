"""A fleet, SSM and ECS in memory on a virtual clock: the engine's ports for tests that need thousands of runs."""

import heapq
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.core.asks import Ask
from orchestrator.core.events import Entry, RunStarted
from orchestrator.core.model import Instance, Ping, Planned, Platform, Status
from orchestrator.core.orders import Context, HostPaths, PayloadReference
from orchestrator.core.planning import Goal, Shape, TakeBack, exclude_early, make_plan
from orchestrator.core.result import Op
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState
from orchestrator.engine import Engine, Pace
from orchestrator.errors import EnvironmentFault
from orchestrator.inspection import Inspection
from orchestrator.ports import Accepted, Answer, Doubtful, Gate, Invocation, Order, Rejected, Sighting

GENERATION = "ab" * 16
PAYLOAD = PayloadReference(store="ssm", name="/p", version="1", url="http://x", region="us-east-1", digest="d" * 64)


class VirtualClock:
    """Time that passes only when somebody waits."""

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class Host:
    """One instance: what it is, and how it answers an apply."""

    instance_id: str
    zone: str = "a"
    ping: Ping = Ping.ONLINE
    status: Status | None = Status.ACTIVE
    platform: Platform = Platform.LINUX
    persistence: str = "persistent"
    tasks: int = 1
    generation: str = ""
    connected: bool = True
    # What apply does: updated, rolled_back, failed, refused, current, or lost (with or without the effect).
    behaviour: str = "updated"
    apply_seconds: float = 40.0
    reconnect_seconds: float = 5.0
    reason: str = ""
    run: str = ""
    before: tuple[str, str] = ("", "")
    fence: int = 0
    last: str = ""
    last_run: str = ""
    mute: bool = False
    armed: str = "no"
    disagrees: bool = False
    applies: int = 0
    connects_at: float = 0.0

    @property
    def arn(self) -> str:
        return f"arn:aws:ecs:us-east-1:123456789012:container-instance/c/{self.instance_id[2:]:0>32}"


@dataclass
class Command:
    order: Order
    sent_at: float
    ended: dict[str, tuple[float, str, str]] = field(default_factory=dict)


class World:
    """SSM and ECS over a set of hosts; implements the ports `Commands` and `Fleet`."""

    def __init__(self, hosts: Iterable[Host], clock: VirtualClock) -> None:
        self.hosts = {host.instance_id: host for host in hosts}
        self.clock = clock
        self.commands: dict[str, Command] = {}
        self.sends: list[Order] = []
        self.next_answers: list[Answer | str] = []
        self.deaf_until = 0.0
        self.journal = MemoryJournal()
        self.may_list = True
        self.most_in_flight = 0
        self._applying: list[tuple[float, str]] = []

    # Commands

    def send(self, order: Order) -> Answer:
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
            command.ended[instance_id] = self._execute(self.hosts[instance_id], order)
        self.commands[command_id] = command
        now = self.clock.now()
        while self._applying and self._applying[0][0] <= now:
            heapq.heappop(self._applying)
        if order.op is Op.APPLY:
            for instance_id in order.instance_ids:
                heapq.heappush(self._applying, (command.ended[instance_id][0], instance_id))
        self.most_in_flight = max(self.most_in_flight, len(self._applying))
        return command_id

    def _execute(self, host: Host, order: Order) -> tuple[float, str, str]:
        now = self.clock.now()
        if host.ping is not Ping.ONLINE or (order.op is Op.INSPECT and host.mute):
            return now + order.delivery_seconds, "Delivery Timed Out", ""
        if order.op is Op.INSPECT:
            return now + 1, "Success", inspect_line(host)
        return self._apply(host, order, now)

    def _apply(self, host: Host, order: Order, now: float) -> tuple[float, str, str]:
        end = now + host.apply_seconds
        behaviour = host.behaviour
        if behaviour == "undelivered":
            return now + order.delivery_seconds, "DeliveryTimedOut", ""
        host.fence = int(order.parameters["Fence"])
        if order.op is Op.RESTORE:
            return self._restore(host, order, end)
        if host.generation == order.parameters["Generation"]:
            return end, "Success", apply_line("current", "already_current", changed=False)
        host.applies += 1
        if behaviour in {"updated", "lost_updated"}:
            host.before = host.generation, host.run
            host.generation, host.run = order.parameters["Generation"], order.parameters["RunId"]
            host.connects_at = end + host.reconnect_seconds
        if behaviour == "lost_restored":
            host.last, host.last_run = "watchdog_restored", order.parameters["RunId"]
        if behaviour.startswith("lost"):
            return end, "ExecutionTimedOut", ""
        if behaviour == "garbage":
            return end, "Success", '{"v":1,"op":"apply","outcome":"updated"'
        status = "Success" if behaviour == "updated" else "Failed"
        default = {"updated": "verified", "refused": "locked"}.get(behaviour, "agent_did_not_return")
        return end, status, apply_line(behaviour, host.reason or default, changed=behaviour == "updated")

    def _restore(self, host: Host, order: Order, end: float) -> tuple[float, str, str]:
        if host.run != order.parameters["RestoreRun"]:
            return end, "Success", apply_line("current", "nothing_to_restore", changed=False, op="restore")
        if host.behaviour in {"failed", "lost"}:
            return end, "Failed", apply_line("failed", "no_backup", changed=False, op="restore")
        host.generation, host.run = host.before
        host.connects_at = end + host.reconnect_seconds
        if host.behaviour == "lost_updated":
            return end, "ExecutionTimedOut", ""
        return end, "Success", apply_line("rolled_back", "restored", changed=True, op="restore")

    def find(self, comment: str, since: float) -> str | None:
        if not self.may_list:
            raise EnvironmentFault("Not allowed: ssm:ListCommands.", hint="Allow it.")
        for command_id, command in self.commands.items():
            if command.order.comment == comment and command.sent_at >= since - 60:
                return command_id
        return None

    def busy(self, run: str, since: float) -> bool:
        now = self.clock.now()
        return any(
            f" {run} " in command.order.comment and any(end > now for end, _, _ in command.ended.values())
            for command in self.commands.values()
            if command.sent_at >= since
        )

    def poll(self, command_id: str) -> Sequence[Invocation]:
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
        return [
            Instance(
                instance_id=host.instance_id,
                arn=host.arn,
                zone=host.zone,
                status=host.status,
                platform=host.platform,
                ping=host.ping,
                agent_connected=host.connected,
                agent_version="1.105.1",
                running_tasks=host.tasks,
                pending_tasks=0,
            )
            for host in self.hosts.values()
            if host.status is not None
        ]

    def describe(self, arns: Sequence[str]) -> Mapping[str, Sighting]:
        by_arn = {host.arn: host for host in self.hosts.values()}
        now = self.clock.now()
        return {
            arn: Sighting(
                arn=arn,
                status=(host := by_arn[arn]).status,
                agent_connected=host.connected and now >= host.connects_at,
                running_tasks=host.tasks,
            )
            for arn in arns
        }


def apply_line(outcome: str, reason: str, *, changed: bool, op: str = "apply") -> str:
    return json.dumps({"v": 1, "op": op, "outcome": outcome, "reason": reason, "changed": changed}) + "\n"


def inspect_line(host: Host) -> str:
    facts = {
        "v": 1,
        "op": "inspect",
        "outcome": "inspected",
        "reason": "verified",
        "changed": False,
        "agent": "up",
        "arn": host.arn,
        "method": "systemd",
        "persistence": host.persistence,
        "why": ["datadir_set"],
        "tasks": host.tasks,
        "generation": host.generation,
        "run": host.run,
        "agrees": bool(host.generation) and not host.disagrees,
        "fence": host.fence,
        "armed": host.armed,
        "last": host.last,
        "last_run": host.last_run,
        "fetch": "curl",
    }
    return json.dumps(facts) + "\n"


@dataclass
class MemoryJournal:
    """Keeps what it was given; can be told to fail."""

    entries: list[Entry] = field(default_factory=list)
    transactions: int = 0
    fail_after: int | None = None

    def append(self, entries: Sequence[Entry]) -> None:
        if self.fail_after is not None and self.transactions >= self.fail_after:
            raise EnvironmentFault("disk full", hint="make room")
        self.transactions += 1
        self.entries.extend(entries)

    def asked(self) -> Sequence[Ask]:
        return ()


@dataclass
class OpenLock:
    """A lock that is held until told otherwise."""

    check: Callable[[], None] = lambda: None
    heartbeat: Callable[[], None] = lambda: None

    def keep(self) -> None:
        self.heartbeat()

    def confirm(self) -> None:
        self.check()


def roll(
    hosts: Iterable[Host],
    policy: Policy | None = None,
    *,
    fence: int = 1,
    run: str = "run-1",
    restores: str = "",
    prepare: Callable[[World], None] = lambda _: None,
    stop_requested: Callable[[], bool] = lambda: False,
    lock: OpenLock | None = None,
    gates: Sequence[Gate] = (),
) -> tuple[RunState, World, MemoryJournal]:
    """Plan and roll a fleet on a virtual clock."""
    clock = VirtualClock()
    world = World(hosts, clock)
    policy = policy or Policy()
    context = Context(run=run, cluster="c", fence=fence, deadlines=policy.deadlines, paths=HostPaths())
    planned = plan(world, context, policy, restores)
    journal = world.journal
    prepare(world)
    engine = Engine(
        commands=world,
        fleet=world,
        journal=journal,
        lock=lock or OpenLock(),
        clock=clock,
        context=context,
        deliver=lambda: PAYLOAD,
        pace=Pace(shortest=2, longest=2),
        gates=gates,
        stop_requested=stop_requested,
    )
    state = engine.run(
        RunStarted(
            run=run,
            cluster="c",
            region="us-east-1",
            generation=GENERATION,
            fence=fence,
            restores=restores,
            policy=policy,
            planned=planned,
        )
    )
    return state, world, journal


def plan(world: World, context: Context, policy: Policy, restores: str = "") -> tuple[Planned, ...]:
    """Inspect and plan."""
    fleet = world.discover()
    wanted = [each.instance_id for each in fleet if exclude_early(each, ghost=False) is None]
    looks = Inspection(commands=world, clock=world.clock, context=context).look(wanted)
    goal: Goal | TakeBack = (
        TakeBack(run=restores) if restores else Goal(generation=GENERATION, registries=frozenset({"reg.example.com"}))
    )
    return make_plan(
        "c", fleet, looks, goal, Shape(waves=policy.waves, zones=policy.zones, seed=policy.seed, limit=policy.limit)
    ).planned


def fleet_of(count: int, **changes: object) -> list[Host]:
    """Make `count` equal hosts."""
    return [Host(f"i-{number:017x}", zone="abc"[number % 3], **changes) for number in range(count)]  # type: ignore[arg-type]  # test data by keyword
