"""The keys of a scenario file as data: how each is read, what it becomes, what it means. docs/lab.md shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from orchestrator.lab import tables as read
from orchestrator.lab.scenario import AfterRestart, Deed, Disk, Platform, Ssm
from orchestrator.lab.tables import Read, Table


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table, and the `field` that it becomes. `form`: how its value is written."""

    name: str
    form: str
    means: str
    read: Read
    field: str


def take(table: Table, keys: Iterable[Key]) -> dict[str, Any]:
    """Read what a table says of these keys, by field."""
    found: dict[str, Any] = {}
    for key in keys:
        table.take_into(found, key.name, key.field, key.read)
    return found


def _ids(value: object) -> frozenset[str]:
    """Read a list of instances."""
    return frozenset(read.texts(value))


_FORMS: Mapping[Read, str] = MappingProxyType(
    {
        read.text: "text",
        read.texts: "list of texts",
        _ids: "list of ids",
        read.pairs: "table of texts",
        read.boolean: "true or false",
        read.seconds: "seconds",
        read.share: "0 to 1",
        read.span: "seconds, or [least, most]",
    }
)


def _key(name: str, how: Read, means: str, field: str = "") -> Key:
    return Key(name, _FORMS[how], means, how, field or name)


def _choice(name: str, kind: type[StrEnum], means: str) -> Key:
    return Key(name, ", ".join(kind), means, read.one_of(kind), name)


def _number(name: str, least: int, most: int, means: str) -> Key:
    return Key(name, f"{least} to {most}", means, read.within(least, most), name)


INSTANCE = (
    _key("name", read.text, "what it is called; a named instance stays when the fleet is scaled"),
    _key("instance_type", read.text, "as EC2 and ECS say"),
    _key("ami_id", read.text, "as EC2 and ECS say"),
    _choice("platform", Platform, "what the instance runs"),
    _key("agent_version", read.text, "of the ECS agent"),
    _key("ssm_agent_version", read.text, "of the SSM agent"),
    _choice("ssm", Ssm, "what SSM knows of it (F71); `unregistered`: nothing"),
    _key("ecs_connected", read.boolean, "false: ECS never sees its agent connected"),
    _key("role", read.boolean, "false: its metadata service gives no credentials"),
    _key("managed_instances", read.boolean, "true: AWS runs it, as ECS Managed Instances"),
    _key("auth_type", read.text, "its `ECS_ENGINE_AUTH_TYPE` at first"),
    _key("auth_data", read.text, "its `ECS_ENGINE_AUTH_DATA` at first; by default a login for registry.example.com"),
    _key("config_lines", read.texts, "further lines of its env file, as they are"),
    _key("attributes", read.pairs, "custom attributes"),
    _key("persistent", read.boolean, "false: `ECS_DATADIR` is empty, and a restart loses its identity (F31)"),
    _key("docker_down", read.boolean, "true: Docker does not answer"),
    _choice("disk", Disk, "what its disk takes: everything, nothing, nothing under /etc/ecs"),
    _key("restart_seconds", read.span, "how long a restart of the agent takes"),
    _key("retry_seconds", read.span, "first and longest pause between tries to register"),
    _key("vanish_after", read.seconds, "so long after its first command has begun the machine is gone"),
    _key("already_current", read.boolean, "true: `demo` gives it the credential first"),
    _key("outcome", read.text, "what `demo` checks that it ends with"),
)
"""Of `[defaults]`, `[[instances]]` and an event's `joins`, without those that become several fields."""

SERVICE = (
    _key("name", read.text, "of the service whose tasks the fleet runs"),
    _number("minimum_healthy_percent", 0, 100, "as in its deployment configuration"),
    _number("maximum_percent", 0, 200, "as in its deployment configuration"),
    _key("start_seconds", read.seconds, "how long a task takes to start"),
    _key("stop_seconds", read.seconds, "how long a task takes to stop"),
)

API = (
    _key("latency_seconds", read.span, "of every call", "latency"),
    _key("list_lag_seconds", read.span, "how long lists do not know a new command (F73)", "list_lag"),
    _key("delivery_delay_seconds", read.span, "until an SSM agent hears of its command", "delivery_delay"),
    _key("result_delay_seconds", read.span, "between a script's end and SSM knowing of it", "result_delay"),
    _key("late_results", read.share, "share of results that come later still"),
    _key("late_by_seconds", read.span, "how much later those come", "late_by"),
    _key("lost_results", read.share, "share of scripts of whose end nobody hears (F61)"),
    _key("lost_results_of", _ids, "instances of whose scripts' ends nobody hears"),
    _key("undeliverable", _ids, "instances that no command reaches"),
    _key("cut_connections", read.share, "share of SendCommand calls that are carried out and never answered (F70)"),
    _key("spaced_details", read.boolean, "true: StatusDetails as `Timed Out`, not `TimedOut` (F74)"),
    _key("time_scale", read.seconds, "of SSM's own timeouts: at 0.1 one of 30 s passes in 3 s"),
)
"""Without `throttle`, whose keys are operations."""

EVENT = (
    _number("nth", 1, 1000, "at which of several such occasions"),
    _key("after", read.seconds, "how much later"),
    _key("version", read.text, "that `update_agent` brings"),
    _key("away", read.seconds, "how long `restart_ssm` takes"),
)
"""Without those that name instances of the fleet."""

AFTER_RESTART: Mapping[AfterRestart, str] = MappingProxyType(
    {
        AfterRestart.RETURNS: "The agent is back, with the new environment.",
        AfterRestart.STAYS_DOWN: "The new container ends at once, until the first credential is back in the file.",
        AfterRestart.EXIT5: "The same with exit code 5, after which ecs-init does not start it again.",
        AfterRestart.NOT_REPLACED: "The old container runs on, until the first credential is back in the file.",
        AfterRestart.NEVER_RETURNS: "No container stays up any more, whatever the file holds.",
        AfterRestart.FORGETS: "The agent comes back as another container instance: its state is gone.",
    }
)

DEEDS: Mapping[Deed, str] = MappingProxyType(
    {
        Deed.TERMINATE: "The machine is gone, and ECS deregisters it.",
        Deed.REPLACE: "The same, and another one joins, as Auto Scaling does.",
        Deed.JOIN: "One more joins.",
        Deed.DRAIN: "Somebody else sets it DRAINING.",
        Deed.ACTIVATE: "Somebody else sets it ACTIVE.",
        Deed.UPDATE_AGENT: "The ECS agent updates itself.",
        Deed.RESTART_SSM: "The SSM agent is away for some seconds; its scripts go on (F61).",
    }
)
