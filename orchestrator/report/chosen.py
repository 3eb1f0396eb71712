"""What was chosen for a run, by the flags' names: every field of its policy, so that none is left out."""

from collections.abc import Iterator
from dataclasses import fields
from enum import Enum

from orchestrator.core.settings import Deadlines, Policy
from orchestrator.report.times import duration

_SECONDS = "_seconds"
_TIMES = frozenset(f"{each.name}{_SECONDS}" for each in fields(Deadlines))
_FIXED = frozenset({"connect_seconds", "skew_seconds"})
"""Times that no flag changes."""

Chosen = str | int | bool
"""A choice as a report holds it; empty where nothing was set."""


def options_of(policy: Policy) -> dict[str, Chosen]:
    """Give the policy as flat options; times in seconds, and named so."""
    return {name: value for each in fields(policy) for name, value in _option(each.name, getattr(policy, each.name))}


def worded(value: Chosen) -> str:
    """Say a choice to a person."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) or "not set"


def flag_of(name: str) -> str:
    """Name the flag of an option for a person; what no flag changes has words of its own."""
    if name in _FIXED:
        return name.replace("_", " ")
    return f"--{name if name in _TIMES else name.removesuffix(_SECONDS)}".replace("_", "-")


def setting(name: str, value: Chosen) -> str:
    """Say a choice to a person beside its flag; a time whose flag does not say seconds has its unit."""
    if isinstance(value, int) and name.endswith(_SECONDS) and name not in _TIMES:
        return duration(value)
    return worded(value)


def _option(name: str, value: object) -> Iterator[tuple[str, Chosen]]:
    match value:
        case Deadlines():
            yield from ((f"{each.name}{_SECONDS}", getattr(value, each.name)) for each in fields(value))
        case Enum():
            yield name, str(value.value)
        case bool() | str():
            yield name, value
        case int():
            yield f"{name}{_SECONDS}", value  # a policy counts instances by Amount; its bare numbers are times
        case tuple():
            yield name, ",".join(str(each) for each in value)
        case None:
            yield name, ""
        case _:
            yield name, str(value)
