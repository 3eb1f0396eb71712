"""How the API shows a command, an invocation and a step, with their outputs cut to size (F59, F72-F74)."""

import datetime as dt
from typing import Any

from orchestrator.lab.commands import Command, Invocation, Stage, StepRun

_TRACE_LIMIT = 2500
# The service shows up to 2,500 characters, but the agent (iohandler.go) has cut the text to 2,400 before.
DETAILS_LIMIT = 2400
STDOUT_LIMIT = 24_000
STDERR_LIMIT = 8_000
_ERROR_TITLE = "\n----------ERROR-------\n"
_OUTPUT_CUT = "\n---Output truncated---"
_ERROR_CUT = "\n---Error truncated----"


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
