"""Count what a rollout asks of AWS, page by page: for a test that bounds it and a bench that prints it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import TypeVar

from orchestrator.aws.owner import HEARTBEAT_SECONDS
from orchestrator.core.model import Sighting
from orchestrator.core.result import Op
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState
from orchestrator.engine import Pace
from orchestrator.ports import Answer, Invocation, Order
from tests.fake_fleet import Host, OpenLock, World, roll

T = TypeVar("T", bound=Sized)

_DESCRIBED, _LISTED = 100, 50
"""Instances in a page of DescribeContainerInstances (F80), invocations or commands in one of a list (F72)."""


class Metered:
    """The calls of one world from now on, as the adapters would make them."""

    def __init__(self, world: World) -> None:
        self.calls: Counter[str] = Counter()
        self.pages: Counter[float] = Counter()
        self.world = world
        self._kept = float("-inf")
        self._send, self._poll, self._ended, self._describe = world.send, world.poll, world.ended, world.describe
        world.send, world.poll, world.ended = self.send, self.poll, self.ended  # type: ignore[method-assign]  # metered
        world.describe = self.describe  # type: ignore[method-assign]  # metered

    def send(self, order: Order) -> Answer:
        self.calls["SendCommand"] += 1
        return self._send(order)

    def poll(self, command_id: str) -> Sequence[Invocation]:
        self.pages[self.world.clock.now()] += 1
        return self._paged("ListCommandInvocations", _LISTED, self._poll(command_id))

    def ended(self, op: Op, since: float) -> Mapping[str, int]:
        return self._paged("ListCommands", _LISTED, self._ended(op, since))

    def describe(self, arns: Sequence[str]) -> Mapping[str, Sighting]:
        return self._paged("DescribeContainerInstances", _DESCRIBED, self._describe(arns))

    def confirm(self) -> None:
        """Read the lock's numbers, as ClusterLock.confirm does."""
        self.calls["GetParametersByPath"] += 1

    def keep(self) -> None:
        """Write the heartbeat, as ClusterLock.keep does."""
        now = self.world.clock.now()
        if now - self._kept >= HEARTBEAT_SECONDS:
            self._kept = now
            self.confirm()
            self.calls["PutParameter"] += 1

    def _paged(self, name: str, size: int, answer: T) -> T:
        self.calls[name] += max(-(-len(answer) // size), 1)
        return answer


def metered(
    hosts: Sequence[Host], policy: Policy, prepare: Callable[[World], None] = lambda _: None
) -> tuple[RunState, Metered]:
    """Roll a fleet that was inspected already, at the pace of a real run; give what it asked of AWS."""
    meters: list[Metered] = []
    lock = OpenLock()

    def begin(world: World) -> None:
        prepare(world)
        meter = Metered(world)
        lock.check, lock.heartbeat = meter.confirm, meter.keep
        meters.append(meter)

    state, _, _ = roll(hosts, policy, prepare=begin, lock=lock, pace=Pace())
    return state, meters[0]
