"""Find the two variables in a piece of an env file, as ecs-init reads it, and what other readers make of it."""

import re
from dataclasses import dataclass, field

from orchestrator.core.credential import DATA_VARIABLE, TYPE_VARIABLE
from orchestrator.core.findings import Finding, Rule, error, warning
from orchestrator.core.go_values import JsonValue, trim_space

# Any line that a person would take for one of the two, even where the agent would not.
_MEANT = re.compile(
    rf"^(?P<comment>[\s#;]*)(?P<export>export\s+)?(?P<name>{TYPE_VARIABLE}|{DATA_VARIABLE})(?P<gap>\s*)=(?P<value>.*)$",
    re.DOTALL,
)
_QUOTES = ("'", '"')
_LEAST_QUOTED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A type and data given together; None where the type is missing. Data may already be JSON."""

    auth_type: str | None = field(repr=False)
    data: JsonValue = field(repr=False)


def is_fragment(text: str) -> bool:
    """Say whether some line names one of the two variables."""
    return any(_MEANT.match(line) for line in text.split("\n"))


def read_fragment(text: str) -> tuple[Declared, tuple[Finding, ...]]:
    """Read the two values; of repeated lines the last one counts (F40)."""
    values: dict[str, str] = {}
    findings: list[Finding] = []
    for number, line in enumerate(text.split("\n"), start=1):
        match = _MEANT.match(trim_space(line))
        if match is None:
            findings += _other_line(number, line)
            continue
        name = match["name"]
        if match["comment"].strip():
            message = f"line {number}: a commented-out {name} is still passed to the agent's container"
            findings.append(warning(Rule.ENV_FILE, "", message, "remove the line"))
            continue
        if match["export"] or match["gap"]:
            message = f"line {number}: with `export` or blanks before `=` the agent finds no {name}"
            findings.append(error(Rule.ENV_FILE, "", message, f"write {name}=...", fixable=True))
        value = match["value"]
        bare = _unquoted(trim_space(value))
        if bare != value and bare != trim_space(value):
            message = f"line {number}: the value of {name} is quoted; the agent keeps the quotes"
            findings.append(error(Rule.ENV_FILE, "", message, "write it without quotes", fixable=True))
        if name in values and values[name] != bare:
            message = f"line {number}: {name} stands twice with different values; the last one counts"
            findings.append(warning(Rule.ENV_FILE, "", message, "remove the dead line"))
        values[name] = bare
    return Declared(auth_type=values.get(TYPE_VARIABLE), data=values.get(DATA_VARIABLE, "")), tuple(findings)


def _other_line(number: int, line: str) -> list[Finding]:
    if not line.strip() or line.lstrip().startswith("#"):
        return []
    message = f"line {number}: only {TYPE_VARIABLE} and {DATA_VARIABLE} are taken from here; this line is ignored"
    return [warning(Rule.ENV_FILE, "", message, "ecs-rollout leaves the other settings of each instance alone")]


def _unquoted(value: str) -> str:
    if len(value) >= _LEAST_QUOTED and value[0] == value[-1] and value[0] in _QUOTES:
        return value[1:-1]
    return value
