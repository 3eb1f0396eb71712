"""What was chosen for a run, by the flags' names: every field of its policy, so that none is left out."""

from collections.abc import Iterator
from dataclasses import fields
from enum import Enum

from orchestrator.core.settings import Deadlines, Policy

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


def _option(name: str, value: object) -> Iterator[tuple[str, Chosen]]:
    match value:
        case Deadlines():
            yield from ((f"{each.name}_seconds", getattr(value, each.name)) for each in fields(value))
        case Enum():
            yield name, str(value.value)
        case bool() | str():
            yield name, value
        case int():
            yield f"{name}_seconds", value  # a policy counts instances by Amount; its bare numbers are times
        case tuple():
            yield name, ",".join(str(each) for each in value)
        case None:
            yield name, ""
        case _:
            yield name, str(value)
