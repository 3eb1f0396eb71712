"""The narrow protocols that the engine needs, in the words of the domain. Adapters and test fakes implement them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.asks import Ask
from orchestrator.core.capacity import Capacity
from orchestrator.core.events import Entry
from orchestrator.core.gates import GateAnswer
from orchestrator.core.model import Instance, Ping, Planned, Sighting
from orchestrator.core.result import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One SendCommand: at most 50 instance ids, a comment of at most 100 characters (F70). No secret in any of it."""

    op: Op
    instance_ids: tuple[str, ...]
    parameters: Mapping[str, str]
    comment: str
    delivery_seconds: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """SSM took the order."""

    command_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """SSM surely did not take the order. `instances`: it named an instance id as invalid (F71)."""

    detail: str
    instances: bool


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The answer was lost: SSM may or may not have taken the order (F70)."""

    detail: str


Answer = Accepted | Rejected | Doubtful


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One instance's part of a command. `status` is the normalised StatusDetails (F74); `ended`: it will not change."""

    instance_id: str
    status: str
    ended: bool
    stdout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSeen:
    """One task on an instance that is to be drained. `service`: its service's name; empty for a standalone task."""

    arn: str
    service: str


class Commands(Protocol):
    """SSM Run Command."""

    def send(self, order: Order) -> Answer:
        """Send once; never retried after an error that leaves doubt."""
        ...

    def find(self, comment: str, since: float) -> str | None:
        """Find the id of a command of ours by its comment, among those sent after `since` (epoch seconds)."""
        ...

    def poll(self, command_id: str) -> Sequence[Invocation]:
        """Read every invocation of a command that can be seen by now; it may be none at first (F73)."""
        ...

    def ended(self, op: Op, since: float) -> Mapping[str, int]:
        """Count, for each command of `op` sent after `since`, the invocations that have ended; by its id.

        A command that a list does not know yet (F73) is missing.
        """
        ...

    def busy(self, run: str, since: float) -> bool:
        """Say whether a command of that run, sent after `since`, may still be at work."""
        ...

    def full_output(self, command_id: str, instance_id: str) -> str:
        """Read up to 24,000 characters of one invocation's stdout (F59)."""
        ...

    def ping(self, instance_ids: Iterable[str]) -> Mapping[str, Ping]:
        """Say which of these Systems Manager reaches; the missing ones are UNREGISTERED."""
        ...


class Fleet(Protocol):
    """ECS container instances."""

    def discover(self) -> Sequence[Instance]:
        """List every registration of the cluster in every status but INACTIVE, joined with SSM."""
        ...

    def describe(self, arns: Sequence[str]) -> Mapping[str, Sighting]:
        """Read these again, now."""
        ...


class Drains(Protocol):
    """What draining asks of ECS. No ECS call is fenced: each is checked just before and healed after.

    Calls that change several instances give back which of them failed and why; the others are done. All are
    idempotent, since a run that died right after one does it again.
    """

    def own(self, arns: Sequence[str], run: str) -> Mapping[str, str]:
        """Mark these as drained by `run`, by a custom attribute or, where all ten are taken (F80), by a tag."""
        ...

    def disown(self, arns: Sequence[str]) -> Mapping[str, str]:
        """Take our mark off."""
        ...

    def drain(self, arns: Sequence[str]) -> Mapping[str, str]:
        """Set these DRAINING, ten in a call (F80)."""
        ...

    def activate(self, arns: Sequence[str]) -> Mapping[str, str]:
        """Set these ACTIVE, ten in a call (F80)."""
        ...

    def tasks(self, arns: Sequence[str]) -> Mapping[str, Sequence[TaskSeen]]:
        """List the tasks that are on these and not stopped.

        Those that are being stopped, too: they still serve, though `running_tasks` no longer counts them (F81).
        """
        ...

    def stop(self, tasks: Sequence[str], reason: str) -> None:
        """Stop tasks by ARN; one that is gone already is no error."""
        ...

    def registrations(self, instance_ids: Sequence[str]) -> Mapping[str, Sequence[Sighting]]:
        """Find every registration, in every status but INACTIVE, of these EC2 instances (F33)."""
        ...

    def carry_over(self, old: str, new: str) -> None:
        """Give the new registration the custom attributes and tags of the old one, our mark excepted (F33)."""
        ...

    def deregister(self, arn: str) -> None:
        """Deregister a ghost; one that is gone is no error. Raises RefusedError while its agent is connected."""
        ...

    def capacity(self, arns: Sequence[str]) -> Capacity:
        """Read what the tasks on these would need elsewhere, and what the cluster has left."""
        ...


class Journal(Protocol):
    """The durable record of one run: append-only."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Make these durable, in one transaction, before returning.

        Raises LockedError when an owner with a larger fence has claimed the run.
        """
        ...

    def asked(self) -> Sequence[Ask]:
        """Read what other shells asked of this run (`approve`, `abort`), oldest first."""
        ...


class Lock(Protocol):
    """The cluster's lock, held by this run."""

    def confirm(self) -> None:
        """Raise LockedError when another owner has won a larger number: asked right before every effect."""
        ...

    def keep(self) -> None:
        """Write the heartbeat where it is due, and raise LockedError when another owner has won a larger number."""
        ...


class Survey(Protocol):
    """A second look at the cluster, after the last wave."""

    def __call__(self, known: frozenset[str], lagging: frozenset[str]) -> Sequence[Planned]:
        """Decide about instances that are not `known` and those that are `lagging`, by EC2 instance id."""
        ...


class Clock(Protocol):
    """The only way to know the time and to wait."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait that long, or less when the run was asked to stop."""
        ...


class Gate(Protocol):
    """Something that must say go before instances are admitted."""

    @property
    def name(self) -> str:
        """What it is called in the journal and in messages."""
        ...

    def ask(self, now: float) -> GateAnswer:
        """Answer go, hold or stop with a reason. Raises a RolloutError when it cannot be asked: that is a hold."""
        ...


class Observer(Protocol):
    """Somebody who watches the event stream: progress on a terminal, a log. Neither call may fail the run."""

    def remember(self, entries: Sequence[Entry]) -> None:
        """Take in what a run that goes on has done before; it is no news."""
        ...

    def saw(self, entries: Sequence[Entry]) -> None:
        """Take note of what happens; of nothing where only time has passed."""
        ...
