"""What can go wrong around a run, as values that hypothesis draws and a world on a virtual clock suffers."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.asks import Ask, AskKind
from orchestrator.core.capacity import Capacity, Load, ServiceLoad
from orchestrator.core.gates import GateAnswer
from orchestrator.core.model import Ping, Status
from orchestrator.core.settings import Word
from orchestrator.ports import Doubtful, Rejected
from tests.fake_fleet import Host, World, plenty


class Kind(StrEnum):
    """What happens. The first group happens to one instance, the second to AWS, the third comes from people."""

    DRAINED_ELSEWHERE = "drained_elsewhere"
    ACTIVATED_ELSEWHERE = "activated_elsewhere"
    TERMINATED = "terminated"
    UNREACHED = "unreached"
    MUTE = "mute"
    NOT_OWNED = "own"
    NOT_DRAINED = "drain"
    NOT_ACTIVATED = "activate"

    SILENT = "silent"
    DEAF = "deaf"
    CROWDED = "crowded"
    ANSWER_LOST = "answer_lost"
    NOT_ANSWERED = "not_answered"
    TURNED_DOWN = "turned_down"
    JOURNAL_FULL = "journal_full"

    ABORTED = "aborted"
    APPROVED = "approved"
    HELD = "held"
    STOPPED = "stopped"


_REFUSED = frozenset({Kind.NOT_OWNED, Kind.NOT_DRAINED, Kind.NOT_ACTIVATED})


@dataclass(frozen=True)
class Trouble:
    """One thing that goes wrong, `at` seconds after the run begins, for `lasts` seconds, to the host of that number."""

    kind: Kind
    host: int = 0
    at: float = 0.0
    lasts: float = 60.0


class ScheduledGate:
    """Holds and stops when its troubles say so."""

    name = "scheduled"

    def __init__(self, troubles: Sequence[Trouble], began: float) -> None:
        self._troubles = troubles
        self._began = began

    def ask(self, now: float) -> GateAnswer:
        elapsed = now - self._began
        there = {each.kind for each in self._troubles if each.at <= elapsed < each.at + each.lasts}
        word = Word.STOP if Kind.STOPPED in there else Word.HOLD if Kind.HELD in there else Word.GO
        return GateAnswer(gate=self.name, word=word, reason="as scheduled")


def schedule(world: World, troubles: Sequence[Trouble]) -> None:
    """Let every trouble happen to the world in its time."""
    began = world.clock.now()
    hosts = list(world.hosts.values())
    for trouble in troubles:
        host = hosts[trouble.host % len(hosts)]
        world.clock.at(began + trouble.at, lambda trouble=trouble, host=host: _strike(world, trouble, host))  # type: ignore[misc]  # bound early


def _strike(world: World, trouble: Trouble, host: Host) -> None:
    end = world.clock.now() + trouble.lasts
    match trouble.kind:
        case Kind.DRAINED_ELSEWHERE:
            if host.status is Status.ACTIVE and not host.mark:
                host.status = Status.DRAINING
                world.foreign.add(host.arn)
        case Kind.ACTIVATED_ELSEWHERE:
            if host.status is Status.DRAINING and host.mark:
                host.status = Status.ACTIVE
        case Kind.TERMINATED:
            host.status = None
        case Kind.UNREACHED:
            host.ping = Ping.CONNECTION_LOST
            world.clock.at(end, lambda: setattr(host, "ping", Ping.ONLINE))
        case Kind.MUTE:
            host.mute = True
            world.clock.at(end, lambda: setattr(host, "mute", False))
        case Kind.NOT_OWNED | Kind.NOT_DRAINED | Kind.NOT_ACTIVATED:
            name = f"{trouble.kind} {host.instance_id}"
            world.refuses[name] = "AccessDenied"
            world.clock.at(end, lambda: _relent(world, name))
        case _:
            _strike_all(world, trouble, end)
    world.noticed()


def _relent(world: World, name: str) -> None:
    world.refuses.pop(name, None)


def _strike_all(world: World, trouble: Trouble, end: float) -> None:
    match trouble.kind:
        case Kind.SILENT:
            world.silent_until = end
        case Kind.DEAF:
            world.deaf_until = end
        case Kind.CROWDED:
            world.room = crowded
            world.clock.at(end, lambda: setattr(world, "room", plenty))
        case Kind.ANSWER_LOST:
            world.next_answers.append("accepted, answer lost")
        case Kind.NOT_ANSWERED:
            world.next_answers.append(Doubtful("ConnectionClosedError"))
        case Kind.TURNED_DOWN:
            world.next_answers.append(Rejected("InvalidInstanceId", instances=True))
        case Kind.JOURNAL_FULL:
            world.journal.full = True
            world.clock.at(end, lambda: setattr(world.journal, "full", False))
        case Kind.ABORTED | Kind.APPROVED:
            kind = AskKind.ABORT if trouble.kind is Kind.ABORTED else AskKind.APPROVE
            world.journal.asks.append(Ask(kind=kind, wave=0, by="anna", at=world.clock.now()))
        case _:
            pass  # gates are asked: see ScheduledGate


def crowded(arns: Sequence[str]) -> Capacity:
    """A cluster in which no task finds another place."""
    loads = {arn: (Load(service="web", cpu=1, memory=1),) for arn in arns}
    services = {"web": ServiceLoad(desired=9, running=1, minimum_percent=100, maximum_percent=200)}
    return Capacity(rooms={}, loads=loads, services=services)
