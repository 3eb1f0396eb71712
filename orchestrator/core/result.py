"""Read the result line that a document prints first: one flat JSON object of at most 2,000 bytes (F59).

Whatever does not parse is no result; nothing here guesses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from sys import intern
from typing import TypeVar

from orchestrator.core.model import AgentState, Armed, Facts, Persistence, RestartMethod
from orchestrator.core.reasons import Reason

LIMIT = 2000
VERSION = 1

E = TypeVar("E", bound=StrEnum)
_Value = str | int | bool | tuple[str, ...]


class Op(StrEnum):
    """Which document."""

    INSPECT = "inspect"
    APPLY = "apply"
    RESTORE = "restore"


class Claim(StrEnum):
    """What a document says of itself. The controller believes it only after its own look at ECS."""

    INSPECTED = "inspected"
    UPDATED = "updated"
    CURRENT = "current"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The evidence that apply or restore sends home. `-1` where a number is not known."""

    op: Op
    claim: Claim
    reason: Reason
    changed: bool
    detail: str
    arn: str
    arn_before: str
    agent_version: str
    persistence: Persistence
    method: RestartMethod
    tasks_before: int
    tasks_after: int
    restart_ms: int
    log: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A result line, checked for its form, with typed access to its evidence."""

    values: Mapping[str, _Value]

    def text(self, key: str) -> str:
        """Give a text; equal ones once, since thousands of instances say the same few."""
        value = self.values.get(key, "")
        return intern(value) if isinstance(value, str) else ""

    def number(self, key: str, default: int = -1) -> int:
        value = self.values.get(key, default)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def truth(self, key: str) -> bool:
        return self.values.get(key) is True

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key, ())
        return value if isinstance(value, tuple) else ()

    def member(self, key: str, default: E) -> E:
        try:
            return type(default)(self.text(key))
        except ValueError:
            return default


def _parse(stdout: str, op: Op) -> _Line | None:
    first = stdout.split("\n", 1)[0].rstrip("\r")
    if not first.isascii() or len(first) > LIMIT:
        return None
    try:
        loaded = json.loads(first)
    except ValueError:
        return None
    if not isinstance(loaded, dict) or loaded.get("v") != VERSION or loaded.get("op") != op.value:
        return None
    values: dict[str, _Value] = {}
    for key, value in loaded.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            values[key] = tuple(map(intern, value))
        elif isinstance(value, str | int):
            values[key] = value
        else:
            return None
    return _Line(values)


def parse_report(stdout: str, op: Op) -> Report | None:
    """Read what apply or restore printed; None when there is no valid result line of that document."""
    line = _parse(stdout, op)
    if line is None:
        return None
    try:
        claim, reason = Claim(line.text("outcome")), Reason(line.text("reason"))
    except ValueError:
        return None
    if claim is Claim.INSPECTED:
        return None
    return Report(
        op=op,
        claim=claim,
        reason=reason,
        changed=line.truth("changed"),
        detail=line.text("detail"),
        arn=line.text("arn"),
        arn_before=line.text("arn_before"),
        agent_version=line.text("version"),
        persistence=line.member("persistence", Persistence.UNKNOWN),
        method=line.member("method", RestartMethod.NONE),
        tasks_before=line.number("tasks_before"),
        tasks_after=line.number("tasks"),
        restart_ms=line.number("restart_ms"),
        log=line.text("log"),
        warnings=line.texts("warnings"),
    )


def parse_facts(stdout: str) -> Facts | Reason:
    """Read what inspect printed: facts, or the reason why there are none."""
    line = _parse(stdout, Op.INSPECT)
    if line is None:
        return Reason.NO_RESULT
    if line.text("outcome") != Claim.INSPECTED:
        try:
            return Reason(line.text("reason"))
        except ValueError:
            return Reason.NO_RESULT
    return Facts(
        agent=line.member("agent", AgentState.ABSENT),
        arn=line.text("arn"),
        cluster=line.text("cluster"),
        agent_version=line.text("version"),
        method=line.member("method", RestartMethod.NONE),
        persistence=line.member("persistence", Persistence.UNKNOWN),
        why=line.texts("why"),
        tasks=line.number("tasks"),
        generation=line.text("generation"),
        run=line.text("run"),
        agrees=line.truth("agrees"),
        fence=line.number("fence", 0),
        armed=line.member("armed", Armed.LIVING),
        last=line.text("last"),
        last_run=line.text("last_run"),
        registries=line.texts("registries"),
        registries_total=line.number("registries_total", 0),
        warnings=line.texts("warnings"),
        fetch=line.text("fetch"),
    )
