"""Reads scenario files (TOML) and the packaged ones; every complaint names the line and the key."""

import re
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.lab.faults import ApiFaults, Range, Rate
from orchestrator.lab.scenario import (
    AfterRestart,
    Disk,
    InstanceSpec,
    Platform,
    Scenario,
    ServiceSpec,
    Ssm,
)

T = TypeVar("T")
Read = Callable[[Any], Any]

_LARGEST = 20_000
_ID = re.compile(r"m?i-[0-9a-f]{8,17}")
_CLUSTER = re.compile(r"[A-Za-z0-9_-]{1,255}")


class ScenarioError(ValueError):
    """A scenario file says something that the lab does not understand."""


def load(path: Path) -> Scenario:
    """Read a scenario file. Raises OSError, and ScenarioError with the line and the key that is wrong."""
    return parse(path.read_text(encoding="utf-8"))


def packaged(name: str) -> Scenario:
    """Read one of the scenarios that come with the package: `demo` or `plain`."""
    file = resources.files("orchestrator.lab").joinpath("scenarios", f"{name}.toml")
    return parse(file.read_text(encoding="utf-8"))


def parse(text: str) -> Scenario:
    """Read a scenario; raises ScenarioError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"no TOML: {error}") from error
    top = _Table(raw, text, "")
    seed = top.take("seed", _integer, 7)
    region = top.take("region", _text, "us-east-1")
    api, service, defaults = top.table("api"), top.table("service"), top.table("defaults")
    common = _instance_fields(defaults, {})
    groups = top.tables("instances")
    scenario = Scenario(
        seed=seed,
        region=region,
        account=top.take("account", _matching(re.compile(r"[0-9]{12}")), "123456789012"),
        cluster=top.take("cluster", _matching(_CLUSTER), "demo"),
        api=_api(api, seed),
        service=_service(service),
        instances=_fleet(groups, common, region),
    )
    for table in (top, api, service, defaults, *groups):
        table.finish()
    return scenario


class _Table:
    """One table of the file; knows which of its keys were asked for, and on which line each stands."""

    def __init__(self, raw: object, text: str, name: str, number: int = 0) -> None:
        self._text = text
        self._name = name
        self._number = number
        if not isinstance(raw, dict):
            raise self.error("", "a table is wanted here")
        self._left = dict(raw)

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """Read one value, `default` where it is unsaid."""
        if key not in self._left:
            return default
        try:
            return read(self._left.pop(key))
        except (ValueError, TypeError) as error:
            raise self.error(key, str(error)) from error

    def take_into(self, found: dict[str, Any], key: str, field: str, read: Read) -> None:
        """Read a value into `found[field]` if it is said."""
        if key in self._left:
            found[field] = self.take(key, read, None)

    def table(self, key: str) -> "_Table":
        """Return a table inside, an empty one where it is unsaid."""
        return _Table(self._left.pop(key, {}), self._text, key)

    def tables(self, key: str) -> tuple["_Table", ...]:
        """Return an array of tables."""
        raw = self._left.pop(key, [])
        if not isinstance(raw, list):
            raise self.error(key, f"write [[{key}]]")
        return tuple(_Table(each, self._text, key, number) for number, each in enumerate(raw, 1))

    def has(self, key: str) -> bool:
        """Say whether a key is still to be read."""
        return key in self._left

    def finish(self) -> None:
        """Raise ScenarioError when something was said that nobody asked for."""
        for key in self._left:
            raise self.error(key, "there is no such key")

    def error(self, key: str, what: str) -> ScenarioError:
        """Return an error that names line and key."""
        where = f"{self._name}[{self._number}]" if self._number else self._name
        full = ".".join(filter(None, (where, key)))
        line = self._line(key)
        return ScenarioError(f"line {line}: {full}: {what}" if line else f"{full or 'the file'}: {what}")

    def _line(self, key: str) -> int:
        """Find the line of a key, or of the table's header; 0 where a search by eye must do."""
        lines = self._text.splitlines()
        start = self._start(lines)
        name = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[.=]""")
        for number in range(start + 1, len(lines)):
            if lines[number].lstrip().startswith("["):
                break
            if key and name.match(lines[number]):
                return number + 1
        whole = re.compile(rf"\s*(\[\[?\s*)?{re.escape(self._name or key)}\b")
        return start + 1 or next((number for number, line in enumerate(lines, 1) if whole.match(line)), 0)

    def _start(self, lines: list[str]) -> int:
        """Return the index of the table's header, -1 for the top and for what has none."""
        header = re.compile(rf"\s*\[\[?\s*{re.escape(self._name)}\s*\]")
        starts = [number for number, line in enumerate(lines) if self._name and header.match(line)]
        wanted = max(self._number, 1)
        return starts[wanted - 1] if len(starts) >= wanted else -1


def _fleet(groups: tuple[_Table, ...], common: Mapping[str, Any], region: str) -> tuple[InstanceSpec, ...]:
    fleet: list[InstanceSpec] = []
    taken: set[str] = set()
    for group in groups:
        count = group.take("count", _within(0, _LARGEST), 1)
        given = group.take("id", _matching(_ID), "")
        if given and count != 1:
            raise group.error("id", "an id is for one instance, not for a count of them")
        if given in taken:
            raise group.error("id", f"{given} is there twice")
        zone = group.take("zone", _text, f"{region}a")
        if not zone.startswith(region):
            raise group.error("zone", f"{zone} is not in {region}")
        fields = {"zone": zone} | _instance_fields(group, common)
        for _ in range(count):
            instance_id = given or _fresh_id(len(fleet), taken)
            taken.add(instance_id)
            fleet.append(InstanceSpec(instance_id=instance_id, **fields))
    return tuple(fleet)


def _fresh_id(number: int, taken: set[str]) -> str:
    while (fresh := f"i-0{number + 1:016x}") in taken:
        number += 1
    return fresh


def _instance_fields(table: _Table, common: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict(common)
    for key in ("name", "instance_type", "ami_id", "agent_version", "ssm_agent_version", "auth_type", "auth_data"):
        table.take_into(found, key, key, _text)
    for key in ("persistent", "ecs_connected", "docker_down", "role", "managed_instances", "already_current"):
        table.take_into(found, key, key, _boolean)
    for key in ("restart_seconds", "retry_seconds"):
        table.take_into(found, key, key, _range)
    table.take_into(found, "config_lines", "config_lines", _texts)
    table.take_into(found, "attributes", "attributes", _pairs)
    table.take_into(found, "platform", "platform", _one_of(Platform))
    table.take_into(found, "ssm", "ssm", _one_of(Ssm))
    table.take_into(found, "disk", "disk", _one_of(Disk))
    table.take_into(found, "vanish_after", "vanish_after", _seconds)
    table.take_into(found, "outcome", "outcome", _text)
    if table.has("tasks"):
        tasks = table.table("tasks")
        found["service_tasks"] = tasks.take("service", _within(0, 100), found.get("service_tasks", 2))
        found["standalone_tasks"] = tasks.take("standalone", _within(0, 100), found.get("standalone_tasks", 0))
        tasks.finish()
    nothing: dict[str, Any] = {}
    return found | table.take("agent_after_restart", _after_restart, nothing)


def _after_restart(value: object) -> dict[str, Any]:
    """Read a kind of trouble, or `slow:SECONDS`."""
    kind, colon, seconds = _text(value).partition(":")
    if kind == "slow" and colon:
        return {"slow_registration": _seconds(float(seconds))}
    return {"after_restart": _one_of(AfterRestart)(value)}


def _api(table: _Table, seed: int) -> ApiFaults:
    found: dict[str, Any] = {"seed": seed}
    table.take_into(found, "throttle", "throttle", _throttles)
    for field in ("latency", "list_lag", "delivery_delay", "result_delay", "late_by"):
        table.take_into(found, f"{field}_seconds", field, _range)
    for field in ("lost_results", "late_results", "cut_connections"):
        table.take_into(found, field, field, _share)
    for field in ("lost_results_of", "undeliverable"):
        table.take_into(found, field, field, lambda value: frozenset(_texts(value)))
    table.take_into(found, "spaced_details", "spaced_details", _boolean)
    table.take_into(found, "time_scale", "time_scale", _seconds)
    return ApiFaults(**found)


def _service(table: _Table) -> ServiceSpec:
    found: dict[str, Any] = {}
    table.take_into(found, "name", "name", _text)
    table.take_into(found, "minimum_healthy_percent", "minimum_healthy_percent", _within(0, 100))
    table.take_into(found, "maximum_percent", "maximum_percent", _within(0, 200))
    table.take_into(found, "start_seconds", "start_seconds", _seconds)
    table.take_into(found, "stop_seconds", "stop_seconds", _seconds)
    return ServiceSpec(**found)


def _throttles(value: object) -> dict[str, Rate]:
    if not isinstance(value, dict):
        raise ValueError("write throttle.OPERATION = { rate = 5, burst = 10 }")  # noqa: TRY004 - one error for a file
    found: dict[str, Rate] = {}
    for operation, each in value.items():
        if not isinstance(each, dict) or set(each) != {"rate", "burst"}:
            raise ValueError(f"{operation} needs exactly a rate and a burst")
        found[operation] = Rate(rate=_seconds(each["rate"]), burst=_seconds(each["burst"]))
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a string is wanted")  # noqa: TRY004 - one error for a file
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("a list of strings is wanted")  # noqa: TRY004 - one error for a file
    return tuple(_text(each) for each in value)


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError("a table of strings is wanted")  # noqa: TRY004 - one error for a file
    return tuple((name, _text(each)) for name, each in value.items())


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is wanted")  # noqa: TRY004 - one error for a file
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("a whole number is wanted")  # noqa: TRY004 - one error for a file
    return value


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise ValueError("a number from 0 on is wanted")
    return float(value)


def _share(value: object) -> float:
    found = _seconds(value)
    if found > 1:
        raise ValueError("a share from 0 to 1 is wanted")
    return found


def _range(value: object) -> Range:
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or _seconds(pair[0]) > _seconds(pair[1]):  # noqa: PLR2004 - a pair
        raise ValueError("a number, or two of them with the smaller one first, is wanted")
    return _seconds(pair[0]), _seconds(pair[1])


def _within(least: int, most: int) -> Callable[[Any], int]:
    def read(value: object) -> int:
        found = _integer(value)
        if not least <= found <= most:
            raise ValueError(f"a number from {least} to {most} is wanted")
        return found

    return read


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def read(value: object) -> str:
        found = _text(value)
        if not pattern.fullmatch(found):
            raise ValueError(f"{found!r} does not look like {pattern.pattern}")
        return found

    return read


def _one_of(kind: type[StrEnum]) -> Callable[[Any], StrEnum]:
    def read(value: object) -> StrEnum:
        found = _text(value)
        if found not in set(kind):
            raise ValueError(f"{found!r} is none of: {', '.join(kind)}")
        return kind(found)

    return read
