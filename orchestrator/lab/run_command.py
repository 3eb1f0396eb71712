"""The engine for SSM Run Command: what is accepted, what is listed, and when (F70-F76)."""

import calendar
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.lab import agent_document
from orchestrator.lab.command_views import command_view, invocation_view, step_view
from orchestrator.lab.commands import Command, Invocation, StepRun
from orchestrator.lab.delivery import Delivery
from orchestrator.lab.documents_model import COMMAND, Version
from orchestrator.lab.documents_store import DocumentStore
from orchestrator.lab.faults import Faults
from orchestrator.lab.managed import ManagedHost, platform_type
from orchestrator.lab.paging import paged
from orchestrator.lab.scenario import Ssm
from orchestrator.lab.send_checks import check_parameters, is_targeted
from orchestrator.lab.wire import AwsError, Clock, Notice, unnoticed

_DELIVERY_SECONDS = 3600
_PAGE = 50
_ECHOED = (
    "OutputS3Region",
    "OutputS3BucketName",
    "OutputS3KeyPrefix",
    "NotificationConfig",
    "CloudWatchOutputConfig",
    "AlarmConfiguration",
)
_TERMINAL = frozenset({"Success", "Cancelled", "Failed", "TimedOut"})


class RunCommand:
    """Commands from SendCommand to their end. `documents` is where their content comes from."""

    OPERATIONS = frozenset(
        {"SendCommand", "ListCommands", "ListCommandInvocations", "GetCommandInvocation", "CancelCommand"}
    )

    def __init__(
        self,
        hosts: Mapping[str, ManagedHost],
        clock: Clock,
        documents: DocumentStore,
        faults: Faults,
        *,
        seed: int = 0,
        notice: Notice = unnoticed,
    ) -> None:
        self._hosts = hosts
        self._clock = clock
        self._documents = documents
        self._faults = faults
        self._notice = notice
        self._delivery = Delivery(hosts, clock, faults, notice=notice)
        self._ids = random.Random(f"command-ids {seed}")
        self._commands: dict[str, Command] = {}
        self._ordinals: Counter[str] = Counter()

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer one Run Command operation."""
        match operation:
            case "SendCommand":
                return self._send(params)
            case "ListCommands":
                return self._list_commands(params)
            case "ListCommandInvocations":
                return self._list_invocations(params)
            case "GetCommandInvocation":
                return self._get_invocation(params)
            case "CancelCommand":
                return self._cancel(params)
            case _:
                raise AwsError("UnknownOperationException", operation)

    async def stop(self) -> None:
        """End every running script. Raises what a delivery raised."""
        await self._delivery.stop()

    def _send(self, params: dict[str, Any]) -> dict[str, Any]:
        document = self._documents.document(params["DocumentName"])
        version = document.version(params.get("DocumentVersion"))
        if document.kind != COMMAND:
            raise AwsError("InvalidDocument", "Only a Command document can be sent.")
        wanted = params.get("DocumentHash")
        if wanted is not None and (params.get("DocumentHashType", "Sha256"), wanted) != ("Sha256", version.sha256):
            raise AwsError("InvalidDocument", "The document hash does not match the document's content.")
        parsed = version.parsed()
        check_parameters(parsed, params.get("Parameters") or {})
        ids = self._targets(params, version)
        command = self._accept(params, version, parsed, ids)
        self._commands[command.command_id] = command
        reply = {"Command": command_view(command)}
        self._delivery.start(command)
        for instance_id in ids:
            self._notice(f"sent:{command.document_name}", instance_id)
        return reply

    def _targets(self, params: Mapping[str, Any], version: Version) -> list[str]:
        ids: list[str] = params.get("InstanceIds") or []
        targets = params.get("Targets") or []
        if bool(ids) == bool(targets):
            raise AwsError("ValidationException", "Either InstanceIds or Targets must be given, and not both.")
        if targets:
            return [host.spec.instance_id for host in self._hosts.values() if is_targeted(host, targets)]
        if len(set(ids)) != len(ids):
            raise AwsError("DuplicateInstanceId", "An instance ID is given twice.")
        platforms = version.platforms
        for instance_id in ids:
            host = self._hosts.get(instance_id)
            # A lost connection is no reason to refuse; only one whom SSM does not know, or has given up (F71).
            if host is None or host.ping_status not in {Ssm.ONLINE, Ssm.CONNECTION_LOST}:
                raise AwsError("InvalidInstanceId", f"Instances [[{instance_id}]] not in a valid state for account")
            if platform_type(host.spec) not in platforms:
                message = f"The document does not support the platform of {instance_id}."
                raise AwsError("UnsupportedPlatformType", message)
        return ids

    def _accept(
        self, params: Mapping[str, Any], version: Version, parsed: Mapping[str, Any], ids: list[str]
    ) -> Command:
        now = self._clock.now()
        passed = params.get("Parameters") or {}
        delivery = params.get("TimeoutSeconds", _DELIVERY_SECONDS)
        total = delivery + agent_document.execution_timeout(parsed, passed)
        scale = self._faults.plan.time_scale
        echo = {key: params[key] for key in _ECHOED if key in params}
        return Command(
            command_id=str(uuid.UUID(int=self._ids.getrandbits(128), version=4)),
            document_name=params["DocumentName"].rpartition("/")[2],
            document_version=params.get("DocumentVersion", "$DEFAULT"),
            document=parsed,
            platforms=version.platforms,
            parameters=passed,
            comment=params.get("Comment", ""),
            requested_at=now,
            visible_at=now + self._faults.list_lag(len(self._commands) + 1),
            delivery_deadline=now + delivery * scale,
            total_deadline=now + total * scale,
            delivery_seconds=delivery,
            expires_at=now + total,
            max_concurrency=params.get("MaxConcurrency", "50"),
            max_errors=params.get("MaxErrors", "0"),
            echo={"InstanceIds": params.get("InstanceIds") or [], "Targets": params.get("Targets") or [], **echo},
            invocations=[self._invocation(instance_id) for instance_id in ids],
        )

    def _invocation(self, instance_id: str) -> Invocation:
        self._ordinals[instance_id] += 1
        host = self._hosts[instance_id]
        return Invocation(instance_id=instance_id, instance_name=host.spec.name, ordinal=self._ordinals[instance_id])

    def _visible(self, command_id: str | None) -> Iterable[Command]:
        """Yield the commands that lists know of by now, newest first (F73)."""
        now = self._clock.now()
        for command in reversed(self._commands.values()):
            if command.visible_at <= now and command_id in {None, command.command_id}:
                yield command

    def _list_commands(self, params: Mapping[str, Any]) -> dict[str, Any]:
        instance = params.get("InstanceId")
        self._check_instance(instance)
        found = [
            command
            for command in self._visible(params.get("CommandId"))
            if instance is None or any(other.instance_id == instance for other in command.invocations)
        ]
        for entry in params.get("Filters") or ():
            found = [command for command in found if _passes(command, command.stage[0], entry)]
        chunk, token = paged(found, params, _PAGE)
        return {"Commands": [command_view(command) for command in chunk]} | token

    def _list_invocations(self, params: Mapping[str, Any]) -> dict[str, Any]:
        instance = params.get("InstanceId")
        self._check_instance(instance)
        found = [
            (command, invocation)
            for command in self._visible(params.get("CommandId"))
            for invocation in command.invocations
            if instance in {None, invocation.instance_id}
        ]
        for entry in params.get("Filters") or ():
            found = [pair for pair in found if _passes(pair[0], pair[1].stage.status, entry)]
        chunk, token = paged(found, params, _PAGE)
        details = bool(params.get("Details"))
        spaced = self._faults.spaced_details
        rows = [invocation_view(command, one, details=details, spaced=spaced) for command, one in chunk]
        return {"CommandInvocations": rows} | token

    def _get_invocation(self, params: Mapping[str, Any]) -> dict[str, Any]:
        for command in self._visible(params["CommandId"]):
            for invocation in command.invocations:
                if invocation.instance_id == params["InstanceId"]:
                    step = _step(command, invocation, params.get("PluginName"))
                    return step_view(command, invocation, step, spaced=self._faults.spaced_details)
        raise AwsError("InvocationDoesNotExist")

    def _cancel(self, params: Mapping[str, Any]) -> dict[str, Any]:
        command = self._commands.get(params["CommandId"])
        if command is None:
            raise AwsError("InvalidCommandId")
        wanted: list[str] = params.get("InstanceIds") or []
        if len(set(wanted)) != len(wanted):
            raise AwsError("DuplicateInstanceId", "An instance ID is given twice.")
        if not {invocation.instance_id for invocation in command.invocations}.issuperset(wanted):
            raise AwsError("InvalidInstanceId", "The command was not sent to that instance.")
        for invocation in command.invocations:
            if not wanted or invocation.instance_id in wanted:
                self._delivery.cancel(invocation)
        return {}

    def _check_instance(self, instance_id: str | None) -> None:
        if instance_id is not None and instance_id not in self._hosts:
            raise AwsError("InvalidInstanceId", f"The instance ID {instance_id} is not valid.")


def _step(command: Command, invocation: Invocation, name: str | None) -> StepRun | None:
    """Find the step that GetCommandInvocation asks for; a document of several needs its name."""
    names = agent_document.step_names(command.document)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        raise AwsError("InvalidPluginName", "The plugin name is not valid.")
    return next((step for step in invocation.steps if step.name == name), None)


def _passes(command: Command, status: str, entry: Mapping[str, str]) -> bool:
    key, value = entry["key"], entry["value"]
    match key:
        case "InvokedAfter":
            return command.requested_at > _epoch(value)
        case "InvokedBefore":
            return command.requested_at < _epoch(value)
        case "Status":
            return status == value
        case "DocumentName":
            return command.document_name == value.rpartition("/")[2]
        case "ExecutionStage":
            return (command.stage[0] in _TERMINAL) == (value == "Complete")
        case _:
            raise AwsError("InvalidFilterKey", f"The filter key {key} is not valid.")


def _epoch(text: str) -> float:
    """Read the filters' form of a time, 2026-11-24T00:00:00Z."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError as error:
        raise AwsError("ValidationException", "A time is written as yyyy-MM-ddTHH:mm:ssZ.") from error
