"""A command and its invocations: where each stands, and how the API shows it (F59, F72-F75)."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_TRACE_LIMIT = 2500
# The service shows up to 2,500 characters, but the agent (iohandler.go) has cut the text to 2,400 before.
DETAILS_LIMIT = 2400
STDOUT_LIMIT = 24_000
STDERR_LIMIT = 8_000
_ERROR_TITLE = "\n----------ERROR-------\n"
_OUTPUT_CUT = "\n---Output truncated---"
_ERROR_CUT = "\n---Error truncated----"


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


def command_view(command: Command) -> dict[str, Any]:
    """Show a command as SendCommand and ListCommands do."""
    status, details = command.stage
    ended = sum(invocation.stage.ended for invocation in command.invocations)
    errors = sum(invocation.stage.is_error for invocation in command.invocations)
    return {
        "CommandId": command.command_id,
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "Comment": command.comment,
        "ExpiresAfter": command.expires_at,
        "Parameters": dict(command.parameters),
        "RequestedDateTime": command.requested_at,
        "Status": status,
        "StatusDetails": details,
        "MaxConcurrency": command.max_concurrency,
        "MaxErrors": command.max_errors,
        "TargetCount": len(command.invocations),
        "CompletedCount": ended,
        "ErrorCount": errors,
        "DeliveryTimedOutCount": command.count(Stage.DELIVERY_TIMED_OUT),
        "TimeoutSeconds": command.delivery_seconds,
        **command.echo,
    }


def invocation_view(command: Command, invocation: Invocation, *, details: bool, spaced: bool) -> dict[str, Any]:
    """Show an invocation as ListCommandInvocations does; the output comes with `details` only."""
    rows = [_plugin_view(step, spaced=spaced) for step in invocation.steps] if details else []
    return {
        "CommandId": command.command_id,
        "InstanceId": invocation.instance_id,
        "InstanceName": invocation.instance_name,
        "Comment": command.comment,
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "RequestedDateTime": command.requested_at,
        "Status": invocation.stage.status,
        "StatusDetails": invocation.stage.details(spaced=spaced),
        "TraceOutput": invocation.trace[:_TRACE_LIMIT],
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": rows,
        "ServiceRole": "",
        "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "-", "CloudWatchOutputEnabled": False},
    }


def _plugin_view(step: StepRun, *, spaced: bool) -> dict[str, Any]:
    row = {
        "Name": step.name,
        "Status": step.stage.status,
        "StatusDetails": step.stage.details(spaced=spaced),
        "ResponseCode": step.code,
        "ResponseStartDateTime": step.started,
        "ResponseFinishDateTime": step.ended,
        "Output": both(step.stdout, step.stderr),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
    }
    return {key: value for key, value in row.items() if value is not None}


def step_view(command: Command, invocation: Invocation, step: StepRun | None, *, spaced: bool) -> dict[str, Any]:
    """Show one step as GetCommandInvocation does: the status is the step's once it has one."""
    stage = invocation.stage if step is None or not invocation.stage.ended else step.stage
    shown: dict[str, Any] = {
        "CommandId": command.command_id,
        "InstanceId": invocation.instance_id,
        "Comment": command.comment,
        "DocumentName": command.document_name,
        "DocumentVersion": command.document_version,
        "PluginName": step.name if step else "",
        "ResponseCode": step.code if step else -1,
        "ExecutionStartDateTime": _iso(step.started) if step else "",
        "ExecutionElapsedTime": _elapsed(step) if step else "",
        "ExecutionEndDateTime": _iso(step.ended) if step else "",
        "Status": stage.status,
        "StatusDetails": stage.details(spaced=spaced),
        "StandardOutputContent": cut_text(step.stdout, STDOUT_LIMIT) if step else "",
        "StandardOutputUrl": "",
        "StandardErrorContent": cut_text(step.stderr, STDERR_LIMIT) if step else "",
        "StandardErrorUrl": "",
        "CloudWatchOutputConfig": {"CloudWatchLogGroupName": "-", "CloudWatchOutputEnabled": False},
    }
    if not shown["PluginName"]:
        del shown["PluginName"]
    return shown


def cut_text(text: str, limit: int) -> str:
    """Keep the first `limit` bytes, never half a character (F59)."""
    data = text.encode()
    return text if len(data) <= limit else data[:limit].decode(errors="ignore")


def both(stdout: str, stderr: str, limit: int = DETAILS_LIMIT) -> str:
    """Put stdout and stderr into one text of at most `limit` characters, as the agent's reply does (F59)."""
    title = _ERROR_TITLE if stderr else ""
    room = limit - len(title)
    if len(stdout) + len(stderr) <= room:
        return f"{stdout}{title}{stderr}"
    half = room // 2
    if len(stdout) > half and len(stderr) > half:
        each = (room - len(_OUTPUT_CUT) - len(_ERROR_CUT)) // 2
        return f"{stdout[:each]}{_OUTPUT_CUT}{title}{stderr[:each]}{_ERROR_CUT}"
    if len(stdout) <= half:
        return f"{stdout}{title}{stderr[: room - len(_ERROR_CUT) - len(stdout)]}{_ERROR_CUT}"
    return f"{stdout[: room - len(_OUTPUT_CUT) - len(stderr)]}{_OUTPUT_CUT}{title}{stderr}"


def _iso(seconds: float | None) -> str:
    if seconds is None:
        return ""
    text = dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _elapsed(step: StepRun) -> str:
    if step.started is None or step.ended is None:
        return ""
    return f"PT{step.ended - step.started:.3f}S"
