"""Reads scenario files (TOML) and the packaged ones; every complaint names the line and the key."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from orchestrator.lab import scenario_keys as keys
from orchestrator.lab import tables as read
from orchestrator.lab.faults import ApiFaults, Rate
from orchestrator.lab.scenario import (
    AfterRestart,
    Deed,
    Event,
    InstanceSpec,
    Scenario,
    ServiceSpec,
)
from orchestrator.lab.tables import ScenarioError, Table

__all__ = ["ScenarioError", "load", "packaged", "parse"]

_LARGEST = 20_000
_ID = re.compile(r"m?i-[0-9a-f]{8,17}")
_OCCASION = re.compile(r"(?:sent|begun|ended):[A-Za-z0-9_.-]{3,128}|draining|drained|active")
_CLUSTER = re.compile(r"[A-Za-z0-9_-]{1,255}")


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
    top = Table(raw, text, "")
    seed = top.take("seed", read.integer, 7)
    region = top.take("region", read.text, "us-east-1")
    api, service, defaults = top.table("api"), top.table("service"), top.table("defaults")
    common = _instance_fields(defaults, {})
    groups, events = top.tables("instances"), top.tables("events")
    fleet = _fleet(groups, common, region)
    scenario = Scenario(
        seed=seed,
        region=region,
        account=top.take("account", read.matching(re.compile(r"[0-9]{12}")), "123456789012"),
        cluster=top.take("cluster", read.matching(_CLUSTER), "demo"),
        api=_api(api, seed),
        service=ServiceSpec(**keys.take(service, keys.SERVICE)),
        instances=fleet,
        events=tuple(_event(each, common, fleet) for each in events),
    )
    for table in (top, api, service, defaults, *groups, *events):
        table.finish()
    return scenario


def _fleet(groups: tuple[Table, ...], common: Mapping[str, Any], region: str) -> tuple[InstanceSpec, ...]:
    fleet: list[InstanceSpec] = []
    taken: set[str] = set()
    for group in groups:
        count = group.take("count", read.within(0, _LARGEST), 1)
        given = group.take("id", read.matching(_ID), "")
        if given and count != 1:
            raise group.error("id", "an id is for one instance, not for a count of them")
        if given in taken:
            raise group.error("id", f"{given} is there twice")
        zone = group.take("zone", read.text, f"{region}a")
        if not zone.startswith(region):
            raise group.error("zone", f"{zone} is not in {region}")
        fields = {"zone": zone} | _instance_fields(group, common)
        for _ in range(count):
            instance_id = given or _fresh_id(len(fleet), taken)
            taken.add(instance_id)
            fleet.append(InstanceSpec(instance_id=instance_id, **fields))
    return tuple(fleet)


def _event(table: Table, common: Mapping[str, Any], fleet: tuple[InstanceSpec, ...]) -> Event:
    there = {spec.instance_id: spec for spec in fleet}
    what = table.take("what", read.one_of(Deed), None)
    if what is None:
        raise table.error("what", f"say one of: {', '.join(Deed)}")
    found: dict[str, Any] = {"what": what}
    table.take_into(found, "instance", "instance_id", _member(there))
    table.take_into(found, "when", "when", read.matching(_OCCASION))
    table.take_into(found, "of", "of", _member(there))
    found |= keys.take(table, keys.EVENT)
    if "instance_id" not in found and what is not Deed.JOIN:
        raise table.error("instance", "say whom it happens to")
    if "when" in found and not found.get("of", found.get("instance_id")):
        raise table.error("of", "say whose occasion it is")
    if what in {Deed.JOIN, Deed.REPLACE}:
        found["joins"] = _joining(table, common, there, there.get(found.get("instance_id", "")))
    return Event(**found)


def _joining(
    table: Table, common: Mapping[str, Any], there: Mapping[str, InstanceSpec], before: InstanceSpec | None
) -> InstanceSpec:
    """Read who joins: like the one that is replaced, but for what is said."""
    joins = table.table("joins")
    given = joins.take("id", read.matching(_ID), "")
    if not given or given in there:
        raise table.error("joins", "give it an id that nobody has")
    fields = _instance_fields(joins, {} if before else common)
    zone = joins.take("zone", read.text, before.zone if before else next((each.zone for each in there.values()), ""))
    joins.finish()
    if before is not None:
        return replace(before, instance_id=given, zone=zone, **fields)
    return InstanceSpec(instance_id=given, zone=zone, **fields)


def _member(there: Mapping[str, InstanceSpec]) -> Callable[[Any], str]:
    def known(value: object) -> str:
        found = read.text(value)
        if found not in there:
            raise ValueError(f"there is no instance {found!r}")
        return found

    return known


def _fresh_id(number: int, taken: set[str]) -> str:
    while (fresh := f"i-0{number + 1:016x}") in taken:
        number += 1
    return fresh


def _instance_fields(table: Table, common: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {**common, **keys.take(table, keys.INSTANCE)}
    if table.has("tasks"):
        tasks = table.table("tasks")
        found["service_tasks"] = tasks.take("service", read.within(0, 100), found.get("service_tasks", 2))
        found["standalone_tasks"] = tasks.take("standalone", read.within(0, 100), found.get("standalone_tasks", 0))
        tasks.finish()
    nothing: dict[str, Any] = {}
    return found | table.take("agent_after_restart", _after_restart, nothing)


def _after_restart(value: object) -> dict[str, Any]:
    """Read a kind of trouble, or `slow:SECONDS`."""
    kind, colon, seconds = read.text(value).partition(":")
    if kind == "slow" and colon:
        return {"slow_registration": read.seconds(float(seconds))}
    return {"after_restart": read.one_of(AfterRestart)(value)}


def _api(table: Table, seed: int) -> ApiFaults:
    found: dict[str, Any] = {"seed": seed, **keys.take(table, keys.API)}
    table.take_into(found, "throttle", "throttle", _throttles)
    return ApiFaults(**found)


def _throttles(value: object) -> dict[str, Rate]:
    if not isinstance(value, dict):
        raise ValueError("write throttle.OPERATION = { rate = 5, burst = 10 }")  # noqa: TRY004 - one error for a file
    found: dict[str, Rate] = {}
    for operation, each in value.items():
        if not isinstance(each, dict) or set(each) != {"rate", "burst"}:
            raise ValueError(f"{operation} needs exactly a rate and a burst")
        found[operation] = Rate(rate=read.seconds(each["rate"]), burst=read.seconds(each["burst"]))
    return found
