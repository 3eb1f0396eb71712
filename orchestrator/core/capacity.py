"""Would draining an instance leave its tasks without a place? Values, and the pure check.

What ECS looks at beside it (placement constraints, host ports, GPUs, capacity providers) is not known here: the check
can promise too much, and then the drain waits until its own deadline.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What an ACTIVE, connected instance has left: CPU units and MiB."""

    cpu: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one task takes: CPU units and MiB. `service`: its service's name; empty for a standalone task."""

    service: str
    cpu: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLoad:
    """How many tasks a service wants and has, and its deployment's bounds in percent of what it wants.

    `daemon`: it has one task on each instance, which does not move anywhere.
    """

    desired: int
    running: int
    minimum_percent: int
    maximum_percent: int
    daemon: bool = False

    @property
    def least(self) -> int:
        """How many tasks must run: ECS rounds up."""
        return -(-self.desired * self.minimum_percent // 100)

    @property
    def most(self) -> int:
        """How many tasks may run or be starting: ECS rounds down."""
        return self.desired * self.maximum_percent // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What draining some instances would move, and where it could go. `rooms` and `loads` by container instance ARN.

    `rooms` holds every ACTIVE, connected instance of the cluster; `loads` the tasks of those that were asked for.
    """

    rooms: Mapping[str, Room]
    loads: Mapping[str, Sequence[Load]]
    services: Mapping[str, ServiceLoad]


def obstacle(capacity: Capacity, arn: str, *, unavailable: frozenset[str]) -> str:
    """Say why draining `arn` now would not work; empty when nothing stands in the way. See `admissible`."""
    return admissible(capacity, (arn,), unavailable=unavailable)[1].get(arn, "")


def admissible(
    capacity: Capacity, arns: Sequence[str], *, unavailable: frozenset[str]
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Choose, in order, those that can be drained together, and say of each other one what stands in its way.

    Room on `unavailable` instances is none. Tasks that `capacity` still counts there are on their way elsewhere: they
    take their room first. Tasks of daemon services and standalone ones do not move, nor does what nobody wants to run.
    """
    space = _Space({arn: room for arn, room in capacity.rooms.items() if arn not in unavailable})
    moving = _moving(capacity)
    waiting = space.take([load for arn in sorted(unavailable - set(arns)) for load in moving.get(arn, ())])
    admitted: list[str] = []
    obstacles: dict[str, str] = {}
    for arn in arns:
        loads = moving.get(arn, [])
        reason = _held_back(capacity, loads) or (waiting if loads else "") or space.vacate(arn, loads)
        if reason:
            obstacles[arn] = reason
        else:
            admitted.append(arn)
    return tuple(admitted), obstacles


def destinations(capacity: Capacity, arn: str) -> Mapping[str, int]:
    """Say how many of the tasks on `arn` each other instance could take; nothing where not all of them fit.

    ECS places them by its own strategy: this is one way that works, not a forecast.
    """
    space = _Space({other: room for other, room in capacity.rooms.items() if other != arn})
    space.take(_moving(capacity).get(arn, ()))
    return space.promised


def _moving(capacity: Capacity) -> Mapping[str, list[Load]]:
    """List the tasks that ECS replaces elsewhere: those of a known service that is no daemon and wants any."""
    services = {name for name, each in capacity.services.items() if each.desired and not each.daemon}
    return {arn: [load for load in loads if load.service in services] for arn, loads in capacity.loads.items()}


def _held_back(capacity: Capacity, loads: Iterable[Load]) -> str:
    """Name the first service whose own bounds keep its tasks where they are."""
    for name in sorted({load.service for load in loads}):
        service = capacity.services[name]
        if service.running < service.least:
            return (
                f"service {name} runs {service.running} of {service.desired} tasks, fewer than the {service.least} "
                f"that must run (minimum healthy percent {service.minimum_percent})"
            )
        # It moves by stopping a task first or by starting one first: one of both must be allowed.
        if service.running == service.least and service.running >= service.most:
            return (
                f"service {name} can move no task: at least {service.least} must run "
                f"(minimum healthy percent {service.minimum_percent}) and no more than {service.most} may "
                f"(maximum percent {service.maximum_percent})"
            )
    return ""


class _Space:
    """What instances have left, and what is promised to tasks on the way there."""

    def __init__(self, rooms: Mapping[str, Room]) -> None:
        self._rooms = dict(rooms)
        self._promised: dict[str, list[Load]] = {}

    @property
    def promised(self) -> Mapping[str, int]:
        """How many tasks each instance has room promised for."""
        return {arn: len(loads) for arn, loads in self._promised.items() if loads}

    def vacate(self, arn: str, loads: Sequence[Load]) -> str:
        """Take `arn` itself away and find room for its tasks and for what was promised there; else change nothing."""
        room, promised = self._rooms.pop(arn, None), self._promised.pop(arn, [])
        reason = self.take([*loads, *promised])
        if reason and room is not None:
            self._rooms[arn], self._promised[arn] = room, promised
        return reason

    def take(self, loads: Sequence[Load]) -> str:
        """Find room for these: first fit, the largest first; else change nothing and say which one has none."""
        taken: list[tuple[str, Load]] = []
        for load in sorted(loads, key=lambda each: (each.memory, each.cpu), reverse=True):
            found = next((arn for arn, room in self._rooms.items() if _fits(load, room)), None)
            if found is None:
                reason = self._shortfall(load)
                for arn, each in taken:
                    self._change(arn, each, -1)
                    self._promised[arn].remove(each)
                return reason
            self._change(found, load, 1)
            self._promised.setdefault(found, []).append(load)
            taken.append((found, load))
        return ""

    def _change(self, arn: str, load: Load, sign: int) -> None:
        room = self._rooms[arn]
        self._rooms[arn] = Room(cpu=room.cpu - sign * load.cpu, memory=room.memory - sign * load.memory)

    def _shortfall(self, load: Load) -> str:
        task = f"a task of service {load.service} ({load.cpu} CPU units, {load.memory} MiB)"
        if not self._rooms:
            return f"{task} has nowhere to go: there is no other ACTIVE, connected instance"
        most = max(self._rooms.values(), key=lambda each: (each.memory, each.cpu))
        return (
            f"{task} has nowhere to go: no other instance would have room for it; "
            f"the most that one would have left is {most.cpu} CPU units and {most.memory} MiB"
        )


def _fits(load: Load, room: Room) -> bool:
    return load.cpu <= room.cpu and load.memory <= room.memory
