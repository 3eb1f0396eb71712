"""A command and its invocations: where each stands (F74, F75)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Stage(Enum):
    """Where an invocation stands: its Status, its StatusDetails as people read it, whether it has ended.

    Delivery timeouts and Undeliverable are no errors to MaxErrors (F75).
    """

    PENDING = ("Pending", "Pending", False)
    DELAYED = ("Delayed", "Delayed", False)
    IN_PROGRESS = ("InProgress", "In Progress", False)
    CANCELLING = ("Cancelling", "Cancelling", False)
    SUCCESS = ("Success", "Success", True)
    FAILED = ("Failed", "Failed", True)
    CANCELLED = ("Cancelled", "Cancelled", True)
    EXECUTION_TIMED_OUT = ("TimedOut", "Execution Timed Out", True)
    DELIVERY_TIMED_OUT = ("TimedOut", "Delivery Timed Out", True)
    UNDELIVERABLE = ("Failed", "Undeliverable", True)
    TERMINATED = ("Cancelled", "Terminated", True)
    INVALID_PLATFORM = ("Failed", "Invalid Platform", True)

    @property
    def status(self) -> str:
        """The API's Status."""
        return self.value[0]

    def details(self, *, spaced: bool) -> str:
        """Spell StatusDetails, which real answers do both ways (F74)."""
        return self.value[1] if spaced else self.value[1].replace(" ", "")

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.value[2]

    @property
    def is_error(self) -> bool:
        """Whether MaxErrors counts it."""
        return self in {Stage.FAILED, Stage.EXECUTION_TIMED_OUT, Stage.INVALID_PLATFORM}


@dataclass(slots=True, kw_only=True)
class StepRun:
    """One step on one instance, as far as the service knows."""

    name: str
    stage: Stage = Stage.IN_PROGRESS
    code: int = -1
    stdout: str = ""
    stderr: str = ""
    started: float | None = None
    ended: float | None = None


@dataclass(slots=True, kw_only=True)
class Invocation:
    """One command on one instance. `ordinal` counts the instance's commands, from 1."""

    instance_id: str
    instance_name: str
    ordinal: int
    stage: Stage = Stage.PENDING
    steps: list[StepRun] = field(default_factory=list)
    trace: str = ""
    cancel: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True)
class Command:
    """What SendCommand accepted. Times are seconds since the epoch; `visible_at` is when lists learn of it (F73)."""

    command_id: str
    document_name: str
    document_version: str
    document: Mapping[str, Any]
    platforms: tuple[str, ...]
    parameters: Mapping[str, list[str]]
    comment: str
    requested_at: float
    visible_at: float
    delivery_deadline: float
    total_deadline: float
    delivery_seconds: int
    expires_at: float
    max_concurrency: str
    max_errors: str
    echo: Mapping[str, Any]
    invocations: list[Invocation]

    @property
    def stage(self) -> tuple[str, str]:
        """The command's own Status and StatusDetails, from its invocations' (F75)."""
        stages = [invocation.stage for invocation in self.invocations]
        if not stages:
            return "Success", "NoInstancesInTag"
        if not all(stage.ended for stage in stages):
            if Stage.CANCELLING in stages:
                return "Cancelling", "Cancelling"
            waiting = all(stage in {Stage.PENDING, Stage.DELAYED} for stage in stages)
            return ("Pending", "Pending") if waiting else ("InProgress", "InProgress")
        return _ended(stages, share(self.max_errors, len(stages), least=0))

    def count(self, *stages: Stage) -> int:
        """Count the invocations in any of `stages`."""
        return sum(invocation.stage in stages for invocation in self.invocations)


def _ended(stages: list[Stage], budget: int) -> tuple[str, str]:
    errors = [stage for stage in stages if stage.is_error]
    if len(errors) > budget:
        timed_out = all(stage is Stage.EXECUTION_TIMED_OUT for stage in errors)
        return ("TimedOut", "ExecutionTimedOut") if timed_out else ("Failed", "Failed")
    if errors:
        return "Failed", "Incomplete"
    if Stage.SUCCESS in stages:
        return ("Cancelled", "Cancelled") if Stage.CANCELLED in stages else ("Success", "Success")
    if Stage.CANCELLED in stages:
        return "Cancelled", "Cancelled"
    if all(stage is Stage.DELIVERY_TIMED_OUT for stage in stages):
        return "TimedOut", "DeliveryTimedOut"
    return "Failed", "Incomplete"


def share(limit: str, count: int, *, least: int) -> int:
    """Read MaxConcurrency or MaxErrors: a number, or a percentage of `count` rounded down, at least `least`."""
    if limit.endswith("%"):
        return max(least, count * int(limit[:-1]) // 100)
    return int(limit)
